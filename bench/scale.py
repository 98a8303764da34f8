"""Measure how time and memory of an epoch grow: `python -m bench.scale`.

Each point is a process of its own, compiled and with NumPy. The table goes to standard output, the picture to
docs/scale.svg.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from bench.common import ROOT
from bench.workloads import Workload, images_and_labels

AXES: Final = {
    "width": (8, 32, 128, 512, 2048),
    "depth": (1, 2, 4, 8, 16),
    "batch": (1, 8, 64, 512, 4096),
    "images": (1000, 4000, 16000, 64000),
}
PLAIN: Final = {"width": 128, "depth": 1, "batch": 64, "images": 6000}
"""The values of the other three while one grows."""
KERNELS: Final = ("numba", "numpy")
COLOURS: Final = {"numba": "#0b7285", "numpy": "#868e96"}


def point(settings: dict[str, int], kernels: str) -> dict[str, float]:
    """Return the seconds of an epoch, the median of three after a first, and the MiB of training without the data."""
    import fnnet
    from fnnet.core.state import Examples
    from fnnet.training import epochs
    from fnnet.training.plan import Plan

    sizes = (784, *[settings["width"]] * settings["depth"], 10)
    x, labels = images_and_labels(Workload("", "train", sizes, settings["batch"], "mnist", 0), settings["images"])
    plan = Plan(4, settings["batch"], 0.01)
    table = fnnet.load_kernels(kernels)
    before = _resident(forget=True)
    taken, began = [], time.perf_counter()
    for _ in epochs.epochs(epochs.start(fnnet.init(sizes), 0, plan), Examples(x, labels), plan, kernels=table):
        taken.append(time.perf_counter() - began)
        began = time.perf_counter()
    return {"seconds": median(taken[1:]), "mib": _resident() - before}


def _resident(forget: bool = False) -> float:
    """Return the peak MiB of this process; `forget` first sets the peak to what it takes now.

    Loading takes more than training, so its peak is forgotten. Only Linux can do that.
    """
    if forget:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(axis: str, value: int, kernels: str) -> dict[str, float]:
    """Measure a point in a process of its own."""
    command = [sys.executable, "-m", "bench.scale", "--point", json.dumps({**PLAIN, axis: value}), "--kernels", kernels]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def draw(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw a panel for each axis, time above, memory below, logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.4), layout="constrained")
    rest = ", ".join(f"{name} {value:,}" for name, value in PLAIN.items())
    figure.suptitle(f"An epoch of training, one thing growing, the others at {rest}", fontsize=11)
    panels = figure.subplots(2, len(AXES))
    for column, (axis, rows) in enumerate(results.items()):
        for line, what, unit in ((0, "seconds", "s"), (1, "mib", "MiB")):
            axes = panels[line][column]
            for kernels in KERNELS:
                values = [row[kernels][what] for row in rows]
                label = "compiled" if kernels == "numba" else "NumPy"
                axes.plot(AXES[axis], values, marker="o", markersize=3, color=COLOURS[kernels], label=label)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xticks(AXES[axis], [f"{value:,}" for value in AXES[axis]])
            axes.minorticks_off()
            axes.set_xlabel(axis)
            axes.set_ylabel(unit)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "scale.svg", help="The picture.")
@click.option("--point", "at", default=None, hidden=True)
@click.option("--kernels", default="numba", hidden=True)
def main(out: Path, at: str | None, kernels: str) -> None:
    """Measure, print, draw."""
    if at:
        click.echo(json.dumps(point(json.loads(at), kernels)))
        return
    results: dict[str, list[dict[str, Any]]] = {}
    click.echo(f"{'':>8}{'':>8}{'compiled':>12}{'':>12}{'NumPy':>12}")
    for axis, values in AXES.items():
        results[axis] = []
        for value in values:
            row: dict[str, Any] = {name: measured(axis, value, name) for name in KERNELS}
            results[axis].append(row)
            cells = "".join(f"{row[name]['seconds']:>10.4f} s{row[name]['mib']:>8.1f} MiB" for name in KERNELS)
            click.echo(f"{axis:>8}{value:>8,}{cells}")
    draw(results, out)
    click.echo(f"saved {out}")


if __name__ == "__main__":
    main()
