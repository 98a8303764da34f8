"""The recipe `quick` as a PyTorch user writes it: `python -m bench.torch_accuracy FOLDER SEED THREADS`, one JSON line.

FOLDER has the four IDX files of MNIST. The same network, variance of the initial weights, batch size, Nesterov
momentum, one cycle and label smoothing; the data lies in memory as floats before the clock starts.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch

from bench.torch_program import read
from fnnet.core.schedules import parse_schedule
from fnnet.training import recipes
from fnnet.training.choice import plan_of


def main() -> None:
    """Train, test, print the figures."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    recipe = recipes.get("quick")
    plan = plan_of(recipe)
    sets = {}
    for part in ("train", "t10k"):
        x = torch.from_numpy(read(folder, f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) / 255)
        sets[part] = x, torch.from_numpy(read(folder, f"{part}-labels-idx1-ubyte", 8).astype(np.int64))
    torch.manual_seed(seed)
    (hidden,), batch = recipe.hidden, plan.batch_size
    assert batch
    model = torch.nn.Sequential(torch.nn.Linear(784, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.normal_(0, math.sqrt(2 / layer.weight.shape[1]))
            layer.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), plan.learning_rate, plan.momentum, nesterov=True, fused=True)
    x, labels = sets["train"]
    epochs = recipe.epochs_for(len(x))
    steps = epochs * -(-len(x) // batch)
    _, options = parse_schedule(plan.schedule)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, steps, pct_start=options["warmup"], cycle_momentum=False
    )
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=plan.label_smoothing)
    began = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        x, labels = sets["t10k"]
        accuracy = float((model(x).argmax(1) == labels).float().mean())
    print(json.dumps({"accuracy": accuracy, "seconds": seconds}))


if __name__ == "__main__":
    main()
