"""What sharing a training out costs: ranks of MPI beside threads, shards beside none: `python -m bench.scaling`.

Every measurement is a process, or as many as there are ranks; all take turns, and a ratio is the median over the turns.
An epoch is the median of those of a run but the first. MPI_SUM stands for the same exchange with MPI's own sum in
place of the plan's tree: another order of additions, which is all that the tree costs.

FNNET_DATA=... python -m bench.scaling                  the rows below, five turns (minutes)
FNNET_DATA=... python -m bench.scaling --only 2,048     the rows whose names contain this
FNNET_DATA=... python -m bench.scaling --model          the model of `scaling_model`: what it predicts for 1 to 1,024
                                                        ranks, and how well for two; docs/scaling-model.* (minutes)
python -m bench.scaling --model --write                 page, picture and a table of docs/scale.md again from the JSON

`bench.links` measures two ranks on links of other rates, `bench.scaling_torch` PyTorch's beside fnnet's.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import click

from bench.common import ROOT, cpu_name, time_text
from fnnet.limits import available_threads

BESIDE: Final = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
MPIEXEC: Final = shutil.which("mpiexec", path=BESIDE)
NEEDS: Final = "needs mpiexec and mpi4py: pip install 'fnnet[mpi]'"
EPOCHS: Final = 6


class Way(NamedTuple):
    """How an epoch is trained: ranks (0 without MPI), threads of each, shards, and who adds up what.

    sums   `tree`, as fnnet does; `messages`, the same by messages alone, also on one machine; `MPI_SUM`.
    """

    ranks: int
    threads: int
    shards: int
    sums: str = "tree"


class Found(NamedTuple):
    """Seconds of an epoch, the SHA-256 of the weights, and the seconds of an epoch that nothing disturbs."""

    seconds: float
    sha256: str
    least: float


class Row(NamedTuple):
    """Two ways, and the most that the time of the first may be of that of the second."""

    name: str
    hidden: tuple[int, ...]
    batch: int
    one: Way
    other: Way
    most: float


ROWS: Final = (
    Row("2 ranks beside 2 threads, 784-800-10, batch 512", (800,), 512, Way(2, 1, 8), Way(0, 2, 8), 1.3),
    Row("2 ranks beside 2 threads, 784-800-10, batch 2,048", (800,), 2048, Way(2, 1, 8), Way(0, 2, 8), 1.12),
    Row("the tree beside MPI_SUM, 784-800-10, batch 512", (800,), 512, Way(2, 1, 8), Way(2, 1, 8, "MPI_SUM"), 1.05),
    Row("8 shards beside 1, 784-800-10, batch 512", (800,), 512, Way(0, 2, 8), Way(0, 2, 1), 1.15),
)


def undisturbed(ends: Sequence[float], epochs: int) -> float:
    """Return the seconds of an epoch whose steps each take their least time: what disturbs one can only add to it.

    ends     when each step of all epochs ended; the first epoch, which warms up, does not count.

    The first step of an epoch, which no end precedes, counts like the others in the mean. What is done once in an epoch
    or a block of steps is left out.

    >>> undisturbed([0.0, 1.0, 2.0, 3.0, 4.5, 5.5, 6.5, 7.5, 8.5], 3)
    3.0
    """
    steps = len(ends) // epochs
    if steps < 2 or len(ends) != steps * epochs:
        raise ValueError(f"{len(ends)} ends of steps for {epochs} epochs")
    counted = [ends[first : first + steps] for first in range(steps, len(ends), steps)]
    each = zip(*([end - begin for begin, end in itertools.pairwise(some)] for some in counted), strict=True)
    least: float = sum(map(min, each)) * steps / (steps - 1)
    return least


def work(hidden: tuple[int, ...], batch: int, way: Way, epochs: int = EPOCHS) -> Found | None:
    """Train here, as one of the ranks; return what was found in the first."""
    from fnnet import data, load_kernels
    from fnnet.core.params import weights_sha256
    from fnnet.core.shards import ALONE, Ranks
    from fnnet.core.state import networks_of
    from fnnet.training import session

    ranks: Ranks = ALONE
    if way.ranks:
        from fnnet.training.distributed.world import world

        ranks = world()
    if way.sums == "MPI_SUM":
        _sum_by_mpi()
    if way.sums == "messages":
        _share_no_memory()
    ends = _note_steps(ranks)
    settings = {"hidden": hidden, "batch_size": batch, "shards": way.shards, "epochs": epochs, "dev": 0}
    kernels = load_kernels("numba", threads=way.threads, parts=("train", "clip"))
    dataset = data.load()
    job = session.prepare(dataset._replace(test=None), "classic", settings)
    model, reports = session.train(job, kernels=kernels, ranks=ranks)
    first = ranks.rank == 0
    if ranks is not ALONE:
        ranks.meet()
        ranks.leave()
    seconds = [report.seconds for report in reports]
    least = undisturbed(ends, epochs) if ends else min(seconds[1:])
    return Found(median(seconds[1:]), weights_sha256(*networks_of(model.params)), least) if first else None


def _note_steps(ranks: Any) -> list[float]:
    """Return a list to which the end of each exchange of ranks is added from now on."""
    ends: list[float] = []
    total = ranks.total

    def timed(*given: Any) -> Any:
        found = total(*given)
        ends.append(time.perf_counter())
        return found

    ranks.total = timed
    return ends


def _sum_by_mpi() -> None:
    """Let MPI add up the vectors, in the order that it likes."""
    from mpi4py import MPI

    from fnnet.training.distributed.ranks import MpiRanks

    def total(self: Any, parts: Any, shards: int, bits: int = 32) -> Any:
        own = sum(parts[1:], parts[0])
        MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, own)
        return own

    MpiRanks.total = total  # type: ignore[method-assign]


def _share_no_memory() -> None:
    """Let ranks of one machine exchange messages, as those of several do."""
    from fnnet.training.distributed.ranks import MpiRanks

    MpiRanks.vectors = lambda *given: None  # type: ignore[method-assign]


def program_of(hidden: tuple[int, ...], batch: int, way: Way, epochs: int = EPOCHS) -> list[str]:
    """Return the program of a process that does `work`, and prints what it returns."""
    program = ["-m", "bench.scaling", "--work", json.dumps([hidden, batch, way, epochs])]
    return [sys.executable, *(["-m", "mpi4py"] if way.ranks else []), *program]


def measure(name: str, hidden: tuple[int, ...], batch: int, way: Way, epochs: int = EPOCHS) -> Found:
    """Return what `work` does, of processes of its own."""
    program = program_of(hidden, batch, way, epochs)
    if way.ranks:
        assert MPIEXEC
        program = [MPIEXEC, "-n", str(way.ranks), *program]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr.strip()}")
    return Found(*json.loads(done.stdout))


@click.command()
@click.option("--turns", default=5, show_default=True, type=click.IntRange(min=1), help="Turns that are counted.")
@click.option("--only", default="", help="Only rows whose names contain this.")
@click.option("--model", is_flag=True, help="Measure what the model takes, predict, and write docs/scaling-model.*.")
@click.option("--write", is_flag=True, help="With --model: write page and picture from the JSON, and measure nothing.")
@click.option("--once", is_flag=True, help="With --model: one small work, measured once; nothing is written.")
@click.option("--work", "task", hidden=True)
def main(turns: int, only: str, model: bool, write: bool, once: bool, task: str | None) -> None:
    """Measure an epoch in two ways, turn by turn."""
    if task is not None:
        hidden, batch, way, epochs = json.loads(task)
        if here := work(tuple(hidden), batch, Way(*way), epochs):
            print(json.dumps(here))
        return
    if (write or once) and not model:
        raise click.UsageError("--write and --once are options of --model")
    if MPIEXEC is None and not write:
        sys.exit(NEEDS)
    if model:
        from bench import scaling_report

        scaling_report.run(turns, write=write, once=once)
        return
    print(f"scaling; {cpu_name()}, {available_threads()} processors, {turns} turns")
    print(f"{'work':52}{'one':>10}{'other':>10}{'ratio':>7}{'most':>7}")
    for row in (row for row in ROWS if only in row.name):
        pairs = []
        for number in range(turns + 1):
            ways = (row.one, row.other)[:: 1 if number % 2 else -1]
            found = [measure(row.name, row.hidden, row.batch, way) for way in ways][:: 1 if number % 2 else -1]
            if row.one.shards == row.other.shards and "tree" == row.one.sums == row.other.sums:
                assert found[0].sha256 == found[1].sha256, f"{row.name}: other bits"
            pairs.append([each.seconds for each in found])
        del pairs[0]
        one, other = (median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = median(pair[0] / pair[1] for pair in pairs)
        print(f"{row.name:52}{time_text(one):>10}{time_text(other):>10}{ratio:>7.2f}{row.most:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
