"""Two ranks of one thread beside PyTorch's: `FNNET_DATA=... python -m bench.scaling_torch` (extra `peers`).

784-128-10, batch 512, plain gradient descent. PyTorch has DistributedDataParallel over gloo, its images in memory as
float32, batches taken by index_select, SGD's fused form, and a graph that it is told does not change. fnnet has its
8 shards. Each measurement is two processes; both libraries take turns. A step counts with its least time of all epochs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any, Final

import click

from bench import scaling_report
from bench.common import ROOT, cpu_name, time_text, versions
from bench.scaling import MPIEXEC, NEEDS, Way, measure, undisturbed

HIDDEN, BATCH, RATE, EPOCHS = 128, 512, 0.05, 20
NAME: Final = f"784-{HIDDEN}-10, batch {BATCH}"
LEAST: Final = 2.5
"""The least that PyTorch's time is to be of fnnet's."""


def work(rank: int, size: int, images: int | None = None) -> dict[str, float]:
    """Train here, as one of the ranks; return the seconds of an undisturbed epoch, and the accuracy."""
    import numpy as np
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from fnnet import data

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
    train = data.load().train
    x = torch.from_numpy(np.asarray(train.x[:images], np.float32) / np.float32(255))
    labels = torch.from_numpy(np.asarray(train.labels[:images], np.int64))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(784, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10))
    given: dict[str, Any] = {"gradient_as_bucket_view": True, "broadcast_buffers": False, "static_graph": True}
    model = DistributedDataParallel(network, **given)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    ends: list[float] = []
    for _ in range(EPOCHS):
        torch.distributed.barrier()
        order = torch.randperm(len(x))  # the same in all ranks
        for batch in order.split(BATCH):
            rows = batch.tensor_split(size)[rank]
            optimizer.zero_grad()
            loss_of(model(x.index_select(0, rows)), labels.index_select(0, rows)).backward()
            optimizer.step()
            ends.append(time.perf_counter())
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    with torch.no_grad():
        right = int((network(x).argmax(1) == labels).sum())
    return {"seconds": undisturbed(ends, EPOCHS), "accuracy": right / len(x)}


def measured(images: int | None = None) -> dict[str, float]:
    """Return what `work` does in the first of two processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    pipe, env = subprocess.PIPE, {**os.environ, **place, "PYTHONPATH": str(ROOT)}
    commands = [
        [sys.executable, "-m", "bench.scaling_torch", "--work", json.dumps([rank, 2, images])] for rank in (0, 1)
    ]
    started = [subprocess.Popen(each, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) for each in commands]
    printed = [process.communicate() for process in started]
    for process, (_, err) in zip(started, printed, strict=True):
        if process.returncode:
            sys.exit(f"PyTorch: {err.strip()}")
    found: dict[str, float] = json.loads(printed[0][0])
    return found


@click.command()
@click.option("--turns", default=5, show_default=True, type=click.IntRange(min=1), help="Turns of each.")
@click.option("--write", is_flag=True, help="Write the result into docs/scaling-model.*.")
@click.option("--once", is_flag=True, help="PyTorch alone, once, on 4,096 images.")
@click.option("--work", "task", hidden=True)
def main(turns: int, write: bool, once: bool, task: str | None) -> None:
    """Measure an epoch of both libraries, turn by turn."""
    if find_spec("torch") is None:
        sys.exit("needs torch: pip install -e '.[peers]'")
    if task is not None:
        print(json.dumps(work(*json.loads(task))))
        return
    if once:
        found = measured(4096)
        print(f"PyTorch, 2 ranks: {time_text(found['seconds'])}, accuracy {found['accuracy']:.1%}")
        return
    if MPIEXEC is None:
        sys.exit(NEEDS)
    print(f"{NAME}, 2 ranks of 1 thread; {cpu_name()}; torch {versions()['torch']}; {turns} turns")
    taken: dict[str, list[float]] = {"fnnet": [], "PyTorch": []}
    for _ in range(turns):
        taken["fnnet"].append(measure(NAME, (HIDDEN,), BATCH, Way(2, 1, 8), EPOCHS).least)
        theirs = measured()
        taken["PyTorch"].append(theirs["seconds"])
        last = ", ".join(f"{name} {time_text(each[-1])}" for name, each in taken.items())
        print(f"{last} ({theirs['accuracy']:.1%})", flush=True)
    fnnet, torch = (min(each) for each in taken.values())
    ratio = torch / fnnet
    print(f"fnnet {time_text(fnnet)}, PyTorch {time_text(torch)}: {ratio:.2f} times; at least {LEAST}")
    if write:
        row = {
            "name": NAME,
            "fnnet": fnnet,
            "torch": torch,
            "ratio": ratio,
            "least": LEAST,
            "version": versions()["torch"],
        }
        scaling_report.publish_part("torch", row)


if __name__ == "__main__":
    main()
