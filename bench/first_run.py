"""The first run on a machine, this checkout beside another one: `python -m bench.first_run CHECKOUT`.

Every run is a process with an empty kernel cache of its own; the two checkouts take turns. What is shown is the time of
the first run less that of a second one, which finds its kernels: the time that compiling takes.

python -m bench.first_run ../before --pairs 5      training, prediction, evaluation (five minutes)
"""

from __future__ import annotations

import compileall
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import click

from bench.common import ROOT, cpu_name
from bench.processes import run_program
from fnnet.limits import available_threads

COMMANDS: Final = {
    "train --jit": ("train", "--jit", "--quiet", "--out", "new.safetensors"),
    "predict --jit": ("predict", "--jit", "model.safetensors", str(ROOT / "docs" / "two.png")),
    "evaluate --jit": ("evaluate", "--jit", "model.safetensors"),
}


def compiling(checkout: Path, arguments: tuple[str, ...], folder: Path) -> float:
    """Return the seconds of a first run of the command line less those of a second."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        env = {"PYTHONPATH": str(checkout), "FNNET_CACHE": cache, "FNNET_OFFLINE": "1"}
        command = [sys.executable, str(checkout / "cli.py"), *arguments]
        if not os.environ.get("FNNET_DATA") and arguments[0] != "predict":
            command += ["--data", "digits"]
        first, second = (run_program(command, folder, env)[0] for _ in range(2))
    return first - second


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pairs", default=5, show_default=True, type=click.IntRange(min=1), help="Pairs of measurements.")
def main(checkout: Path, pairs: int) -> None:
    """Measure what compiling takes here and in the folder CHECKOUT."""
    sides = ROOT, checkout.resolve()
    for side in sides:
        compileall.compile_dir(side / "fnnet", quiet=1)
    print(f"compiling at the first run; {cpu_name()}, {available_threads()} threads, {pairs} pairs")
    carries = [side for side in sides if any((side / "fnnet" / "kernels").glob("code/*"))]
    print(f"code of a wheel: {', '.join(map(str, carries)) or 'in neither'}")
    print(f"{'command':16}{'this':>9}{'other':>9}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = {side: folder / str(number) for number, side in enumerate(sides)}
        for side in sides:
            # Each its own model: an older fnnet reads no newer file.
            own[side].mkdir()
            train = [sys.executable, str(side / "cli.py"), "train", "--quiet", "--data", "digits", "--epochs", "1"]
            run_program([*train, "--out", "model.safetensors"], own[side], {"PYTHONPATH": str(side)})
        for title, arguments in COMMANDS.items():
            found: dict[Path, list[float]] = {side: [] for side in sides}
            for turn in range(pairs):
                for side in sides if turn % 2 else reversed(sides):
                    found[side].append(compiling(side, arguments, own[side]))
            ratio = median(mine / other for mine, other in zip(*found.values(), strict=True))
            this, other = (median(each) for each in found.values())
            print(f"{title:16}{this:>7.2f} s{other:>7.2f} s{ratio:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
