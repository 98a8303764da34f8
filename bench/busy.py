"""Training on a machine that other programs use too: `python -m bench.busy`.

Busy loops, as many as processors by default, run beside it. Each pair trains with one thread and with as many as fnnet
chooses, in turns first the one and first the other; the ratio, of which the median counts, is how much faster that is.

python -m bench.busy                  two networks, beside busy loops
python -m bench.busy --loops 0        the same, on a quiet machine
python -m bench.busy --pairs 15       more pairs, a narrower spread
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Final

import click

from bench.common import cpu_name, time_text
from bench.workers import Run, fnnet_run
from bench.workloads import IMAGES, WORKLOADS, Workload
from fnnet.limits import available_threads

EPOCHS: Final = {"train 784-10-10, batch 64": 20, "train 784-1024-1024-10, batch 512": 1}
"""What is trained, and for how many epochs: those of `classic`, and one that takes seconds."""


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run `count` programs that compute all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


def measure(work: Workload, epochs: int, pairs: int, threads: int) -> list[tuple[float, float]]:
    """Return the seconds of each pair: with one thread, and with as many as fnnet chooses."""

    def fresh(count: int) -> Run:
        run = fnnet_run(work, IMAGES, count)
        assert run
        return run

    def seconds(count: int) -> float:
        run = fresh(count)
        return sum(run() for _ in range(epochs))

    fresh(threads)()  # compiles, and reads the images
    found = []
    for pair in range(pairs):
        order = (1, threads) if pair % 2 else (threads, 1)
        both = {count: seconds(count) for count in order}
        found.append((both[1], both[threads]))
    return found


@click.command(help="Measure training beside busy loops.")
@click.option("--loops", type=click.IntRange(0), default=None, help="Busy loops; as many as processors by default.")
@click.option("--pairs", type=click.IntRange(1), default=7, show_default=True, help="Pairs of measurements.")
def main(loops: int | None, pairs: int) -> None:
    """Print a row for each network."""
    threads = available_threads()
    loops = threads if loops is None else loops
    click.echo(f"{cpu_name()}, {threads} threads, {loops} busy loops")
    click.echo(f"{'work':44}{'1 thread':>10}{'default':>10}  ratio  quartiles    pairs")
    with busy_loops(loops):
        for name, epochs in EPOCHS.items():
            work = next(each for each in WORKLOADS if each.name == name)
            found = measure(work, epochs, pairs, threads)
            ratios = [alone / team for alone, team in found]
            low, _, high = quantiles(ratios, n=4) if pairs > 1 else (ratios * 3)
            alone, team = (median(each) for each in zip(*found, strict=True))
            title = f"{name}, {epochs} epochs" if epochs > 1 else name
            figures = f"{time_text(alone):>10}{time_text(team):>10}  {median(ratios):.2f}"
            click.echo(f"{title:44}{figures}   {low:.2f}-{high:.2f}{pairs:9}")


if __name__ == "__main__":
    main()
