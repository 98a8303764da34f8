"""What `python cli.py train --jit --hidden 128 --batch-size 128 --epochs 3 --dev 0` does, as a PyTorch user writes it.

python -m bench.torch_program FOLDER OUT, with the four IDX files of MNIST in FOLDER.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch


def read(folder: Path, name: str, head: int) -> Any:
    """The content of an IDX file, gzip or not, behind its head."""
    file = next(path for path in (folder / f"{name}.gz", folder / name) if path.exists())
    content = file.read_bytes()
    content = gzip.decompress(content) if file.suffix == ".gz" else content
    return np.frombuffer(content, np.uint8)[head:]


def main() -> None:
    """Load, train, test, save."""
    folder, out = Path(sys.argv[1]), sys.argv[2]
    sets = {}
    for part in ("train", "t10k"):
        x = torch.from_numpy(read(folder, f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) / 255)
        sets[part] = x, torch.from_numpy(read(folder, f"{part}-labels-idx1-ubyte", 8).astype(np.int64))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer, loss_of = torch.optim.SGD(model.parameters(), lr=0.05), torch.nn.CrossEntropyLoss()
    x, labels = sets["train"]
    for _ in range(3):
        order = torch.randperm(len(x))
        for first in range(0, len(x), 128):
            rows = order[first : first + 128]
            optimizer.zero_grad()
            loss_of(model(x[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        x, labels = sets["t10k"]
        print(f"test accuracy {(model(x).argmax(1) == labels).float().mean():.2%}")
    torch.save(model.state_dict(), out)


if __name__ == "__main__":
    main()
