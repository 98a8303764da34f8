"""The time and memory of reading data, beside another checkout and libraries: `python -m bench.reading CHECKOUT`.

Every measurement is a process of its own, which has read a small file of the kind, and so imported what it reads with,
and all take turns: the first pass over them brings the files into memory and is not counted. Every other pass goes
backwards: a virtual machine may give free memory back to its host, and who is first after a pause gets it anew, and
leaves it warm for the next. A ratio is the median over neighbouring passes, of either order; of the time of processors
the least is printed. Last comes what looking at the images for notes takes of reading IDX here, in processes alike.

FNNET_DATA=... python -m bench.reading ../before                   MNIST as CSV, IDX, NPZ and 60,000 PNGs (minutes)
FNNET_DATA=... python -m bench.reading ../before --only CSV        the rows whose names contain this
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Final

import click

from bench.common import ROOT, cpu_name, time_text
from fnnet.core.state import Examples
from fnnet.data import Dataset, load
from fnnet.data.convert import convert
from fnnet.limits import available_threads

KAGGLE: Final = 42_000
"""Rows of Kaggle's train.csv."""
FEW: Final = 100
"""Images of a small file."""
PROGRAM: Final = """
import json, sys, time
{prepare}
read = lambda path: {read}
read(sys.argv[2])
base = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
began, worked = time.perf_counter(), time.process_time()
x, labels = read(sys.argv[1])
seconds, work = time.perf_counter() - began, time.process_time() - worked
peak = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
print(json.dumps([seconds, (int(peak) - int(base)) / 1024, int(x.sum()) + int(labels.sum()), work]))
"""
LOOK: Final = """
import json, sys, time
from fnnet.data import from_path, load, preprocess
load(sys.argv[2])
spent = []
def timed(step):
    def run(*given, **named):
        began = time.perf_counter()
        found = step(*given, **named)
        spent.append(time.perf_counter() - began)
        return found
    return run
preprocess.measure, from_path.dataset_of = timed(preprocess.measure), timed(from_path.dataset_of)
load(sys.argv[1])
print(json.dumps(spent))
"""
"""The steps that look at a data set, timed as they are called; the second also converts MNIST's labels, in 0.3 ms."""
OWN: Final = {
    "prepare": "from fnnet.data import load; load('digits')",
    "read": "load(path).train",
}
FRAMES: Final = {
    "pandas": {
        "prepare": "import numpy as np, pandas",
        "read": "(lambda f: (f.drop(columns='label').to_numpy(), f['label'].to_numpy()))"
        "(pandas.read_csv(path, dtype=np.uint8))",
    },
    "polars": {
        "prepare": "import polars",
        "read": "(lambda f: (f.drop('label').to_numpy(), f['label'].to_numpy()))"
        "(polars.read_csv(path, schema_overrides=[polars.UInt8] * 785))",
    },
}
"""The quickest way of each to bytes, which it has to be told; it checks nothing."""


def written(dataset: Dataset, folder: Path, only: str) -> dict[str, tuple[Path, Path]]:
    """Return the name of each row -> what is read, and some of it, written to `folder`."""
    alone = dataset._replace(test=None)
    x, labels = dataset.train
    rows = {
        "CSV": (dataset._replace(train=Examples(x[:KAGGLE], labels[:KAGGLE]), test=None), "train.csv", "csv"),
        "IDX": (dataset, "idx", "idx"),
        "NPZ": (dataset, "mnist.npz", "npz"),
        "PNG": (alone, "png", "png"),
    }
    names = {}
    for kind, (part, name, form) in rows.items():
        title = f"{kind}, {len(part.train.labels):,} images"
        if only in title:
            few = part._replace(train=Examples(*(each[:FEW] for each in part.train)), test=None)
            names[title] = folder / name, folder / f"few-{name}"
            for each, path in zip((part, few), names[title], strict=True):
                convert(each, path, form)
    return names


def measure(program: str, checkout: Path, path: Path, few: Path) -> list[float]:
    """Return what a program prints of reading: of PROGRAM the seconds, the MiB above those of the imports, a sum of
    what was read, and the seconds of processors."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "FNNET_OFFLINE": "1"}
    command = [sys.executable, "-c", program, str(path), str(few)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=path.parent)
    if done.returncode:
        sys.exit(f"{checkout}: {path}: {done.stderr.strip().splitlines()[-1]}")
    found: list[float] = json.loads(done.stdout)
    return found


def ratio(passes: Sequence[float]) -> float:
    """Return the median of the geometric means of neighbouring passes, which have taken turns in either order."""
    return median(sqrt(one * other) for one, other in itertools.pairwise(passes))


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pairs", default=7, show_default=True, type=click.IntRange(min=2), help="Passes that are counted.")
@click.option("--only", default="", help="Only rows whose names contain this.")
def main(checkout: Path, pairs: int, only: str) -> None:
    """Measure here, in the folder CHECKOUT, and in pandas and Polars if they are installed."""
    print(f"reading; {cpu_name()}, {available_threads()} threads, {pairs} passes")
    frames = [name for name in FRAMES if importlib.util.find_spec(name)]
    others = " ".join(f"{name:>18}" for name in frames)
    print(f"{'work':24}{'this':>9}{'other':>9}{'ratio':>7}{'CPU':>9}{'other':>9}{'MiB':>6}{'other':>6} {others}")
    with tempfile.TemporaryDirectory() as name:
        for title, (path, few) in written(load(), Path(name), only).items():
            ways = {"this": (OWN, ROOT), "other": (OWN, checkout.resolve())}
            ways |= {frame: (FRAMES[frame], ROOT) for frame in frames if path.suffix == ".csv"}
            passes = []
            for number in range(pairs + 1):
                turns = [*ways.items()][:: 1 if number % 2 else -1]
                passes.append(
                    {way: measure(PROGRAM.format(**texts), where, path, few) for way, (texts, where) in turns}
                )
            del passes[0]
            assert len({found[2] for each in passes for found in each.values()}) == 1, "read differently"
            seconds = {way: median(each[way][0] for each in passes) for way in ways}
            work = {way: min(each[way][3] for each in passes) for way in ways}
            mib = {way: median(each[way][1] for each in passes) for way in ways}
            ratios = {way: ratio([each["this"][0] / each[way][0] for each in passes]) for way in ways}
            line = f"{title:24}{time_text(seconds['this']):>9}{time_text(seconds['other']):>9}{ratios['other']:>7.2f}"
            line += f"{time_text(work['this']):>9}{time_text(work['other']):>9}"
            line += f"{mib['this']:>6.0f}{mib['other']:>6.0f} "
            rest = " ".join(f"{time_text(seconds[each]):>9} ({ratios[each]:.2f})" for each in frames if each in ways)
            print(line + rest, flush=True)
            if title.startswith("IDX"):
                looks = [sum(measure(LOOK, ROOT, path, few)) for _ in range(pairs)]
                print(f"  of this, the look at a data set: {time_text(median(looks))}", flush=True)


if __name__ == "__main__":
    main()
