"""This checkout beside another one in one interleaved run: `python -m bench.against CHECKOUT`.

Each checkout has processes and a kernel cache of its own, compiled before anything is measured. Every pair measures
one after the other, in turns first the one and first the other; the ratio is the median of the pairs' ratios. A few
pairs get new processes: where an array lies in memory stays for a process's life, and made 4 % between two processes of
one checkout (784-1024-1024-10, dense).

python -m bench.against ../before                     everything (a quarter of an hour)
python -m bench.against ../before --only NumPy        the rows whose names contain this
python -m bench.against ../before --pairs 31          more pairs, a narrower spread
python -m bench.against ../before --itself            a third side, CHECKOUT again: how far the same code differs
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

import click

from bench.common import ROOT, cpu_name, time_text
from bench.processes import Worker, run_program
from bench.workloads import COUNTS, PROGRAM, WORKLOADS
from fnnet.limits import available_threads

Figures = dict[str, float]
FORMATS: Final[dict[str, Callable[[float], str]]] = {
    "seconds": time_text,
    "MiB": "{:.0f} MiB".format,
    "over bare": "{:.2f}".format,
    "frames": "{:.0f}".format,
}


class Row(NamedTuple):
    """A row of the table: one figure of a measurement."""

    name: str
    figure: str


class Measured(NamedTuple):
    """What is measured at once, and the rows that it gives.

    name    as the worker takes it; the arguments of the command line where it is a program.
    """

    name: str | tuple[str, ...]
    rows: tuple[Row, ...]


STEP, ONE_ROW = "NumPy train_step, 784-10-10, batch 32", "NumPy forward, 784-10-10, one row"
MEASURED: Final = (
    Measured("step", (Row(STEP, "seconds"), Row(f"{STEP}, over its bare lines", "over bare"))),
    Measured("frames", (Row(f"{STEP}, frames entered", "frames"),)),
    Measured("one row", (Row(ONE_ROW, "seconds"), Row(f"{ONE_ROW}, over its bare lines", "over bare"))),
    *(Measured(work.name, (Row(work.name, "seconds"),)) for work in WORKLOADS if work.kind in COUNTS),
    Measured(PROGRAM, tuple(Row(work.name, "MiB" if work.kind == "memory" else "seconds")
                            for work in WORKLOADS if work.kind not in COUNTS)),
    Measured(("train", "--jit"), (Row("program: train --jit", "seconds"),)),
    Measured(("train", "--jit", "--recipe", "quick"), (Row("program: quick", "seconds"),)),
)  # fmt: skip
NEEDS_NO_KERNELS: Final = ("step", "frames", "one row")
PAIRS_OF_A_PROCESS: Final = 3


class Side:
    """A checkout, with a folder whose `fnnet` is the checkout's and whose `bench` is this one."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout, self._folder = checkout, folder
        folder.mkdir()
        for name, target in (("fnnet", checkout / "fnnet"), ("bench", ROOT / "bench")):
            (folder / name).symlink_to(target)
        # Stale bytecode, which PYTHONDONTWRITEBYTECODE keeps stale, cost 0.08 s at each start of one side.
        compileall.compile_dir(checkout / "fnnet", quiet=1)
        self._env = {"PYTHONPATH": str(folder), "FNNET_CACHE": str(folder / "kernels"), "FNNET_OFFLINE": "1"}

    def worker(self, threads: int) -> Worker:
        """Start a worker that measures it."""
        command = [sys.executable, "-m", "bench.sides", str(threads)]
        return Worker(str(self.checkout), command, threads, self._folder, self._env)

    def run(self, *arguments: str) -> Figures:
        """Run its command line."""
        seconds, mib = run_program([sys.executable, str(self.checkout / "cli.py"), *arguments], self._folder, self._env)
        return {"seconds": seconds, "MiB": mib}

    def version(self) -> str:
        """Return its commit, and whether files differ from it."""
        command = ["git", "-C", str(self.checkout), "describe", "--always", "--dirty"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return f"{self.checkout} ({done.stdout.strip() or 'no commit'})"


def measure(measured: Measured, sides: Sequence[Side], pairs: int, threads: int) -> list[tuple[Figures, ...]]:
    """Return the figures of the sides, pair by pair."""
    if isinstance(measured.name, tuple):
        options = [*measured.name, "--quiet", "--out", "model.safetensors"]
        options += [] if os.environ.get("FNNET_DATA") else ["--data", "digits"]
        programs = [partial(side.run, *options) for side in sides]
        for program in programs:
            program()
        return list(_pairs(programs, range(pairs)))
    found: list[tuple[Figures, ...]] = []
    while len(found) < pairs:
        found += _by_workers(
            measured.name, sides, range(len(found), min(len(found) + PAIRS_OF_A_PROCESS, pairs)), threads
        )
    return found


def _by_workers(name: str, sides: Sequence[Side], turns: range, threads: int) -> list[tuple[Figures, ...]]:
    """Return the figures of these turns, by a new process for each side."""
    with ExitStack() as stack:
        workers = [side.worker(threads) for side in sides]
        for worker in workers:
            stack.callback(worker.end)
            _asked(worker, {"prepare": name})
        return list(_pairs([partial(_asked, worker, {}) for worker in workers], turns))


def _pairs(asks: Sequence[Callable[[], Figures]], turns: range) -> Iterator[tuple[Figures, ...]]:
    for turn in turns:
        found: list[Figures] = [{} for _ in asks]
        for side in range(len(asks)) if turn % 2 else reversed(range(len(asks))):
            found[side] = asks[side]()
        yield tuple(found)


def _asked(worker: Worker, question: dict[str, str]) -> Figures:
    answer = worker.ask(question)
    if "error" in answer:
        raise click.ClickException(f"{worker.name}: {answer['error']}")
    return answer


HEAD: Final = f"{'work':58}{'this':>9}{'other':>9}{'ratio':>7}  {'quartiles':13}{'pairs':>5}"
ITSELF: Final = f"{'itself':>8}  {'quartiles':13}"


def line(row: Row, pairs: Sequence[tuple[Figures, ...]]) -> str:
    """Return a row of the table: medians of both, median and quartiles of the pairs' ratios.

    Where there is a third side, the other checkout's again, the ratios of the two follow.
    """
    values = [tuple(side[row.figure] for side in pair) for pair in pairs]
    this, other = (FORMATS[row.figure](median(pair[side] for pair in values)) for side in (0, 1))
    ratio, spread = _ratios([pair[0] / pair[1] for pair in values])
    text = f"{row.name:58}{this:>9}{other:>9}{ratio:>7}  {spread:13}{len(pairs):>5}"
    if len(values[0]) > 2:
        ratio, spread = _ratios([pair[1] / pair[2] for pair in values])
        text += f"{ratio:>8}  {spread:13}"
    return text


def _ratios(ratios: list[float]) -> tuple[str, str]:
    first, _, third = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{median(ratios):.3f}", f"{first:.3f}-{third:.3f}"


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--only", multiple=True, help="Only the rows whose names contain this.")
@click.option("--pairs", default=15, show_default=True, type=click.IntRange(min=1), help="Pairs of measurements.")
@click.option("--itself", is_flag=True, help="Measure CHECKOUT twice, and show how far the same code differs.")
def main(checkout: Path, only: tuple[str, ...], pairs: int, itself: bool) -> None:
    """Measure this checkout and the one in the folder CHECKOUT."""
    chosen = [each for each in MEASURED if not only or any(text in row.name for text in only for row in each.rows)]
    if not chosen:
        raise click.UsageError(f"no row has a name that contains {' or '.join(only)}")
    if not (checkout / "fnnet").is_dir():
        raise click.UsageError(f"{checkout} has no fnnet")
    threads = available_threads()
    with tempfile.TemporaryDirectory() as folder:
        sides = [Side(ROOT, Path(folder, "this")), Side(checkout, Path(folder, "other"))]
        sides += [Side(checkout, Path(folder, "again"))] if itself else []
        click.echo(f"this: {sides[0].version()}; other: {sides[1].version()}; {cpu_name()}, {threads} threads")
        if any(each.name not in NEEDS_NO_KERNELS for each in chosen):
            for side in sides:
                side.run("warmup", "--quiet")
        click.echo(HEAD + (ITSELF if itself else ""))
        for each in chosen:
            found = measure(each, sides, pairs, threads)
            for row in each.rows:
                click.echo(line(row, found))


if __name__ == "__main__":
    main()
