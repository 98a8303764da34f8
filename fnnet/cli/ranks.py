"""A command that `mpiexec` starts with several processes: the first runs it, the others train where it trains.

They wait for its orders, and print nothing; so data are read, files written and lines printed once.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fnnet.cli import signals
from fnnet.cli.mismatch import naming_options
from fnnet.cli.streams import print_aside, print_error
from fnnet.errors import FnnetError, UsageError, counted

if TYPE_CHECKING:
    from fnnet.core.shards import Ranks
    from fnnet.core.table import Kernels
    from fnnet.training.session import Job

STARTING: Final = 60.0
ENDING: Final = 5.0
"""Seconds after which a rank that is not where the others are is taken for lost."""
TELLING: Final = 0.5
"""Seconds that a launcher has to pass on what a rank printed: lines that came right before the end were lost."""

_ranks: list[Ranks] = []
"""The ranks of the command that runs, if it was started with some."""


class Order(NamedTuple):
    """What the other ranks are to train with the first."""

    job: Job
    jit: bool
    threads: int | None
    run_dir: str | None
    resume: bool


def started() -> Ranks:
    """Return the ranks that this command was started with, ALONE if it was not by `mpiexec`."""
    from fnnet.training.distributed.world import world

    here = world()
    _ranks[:] = [here]
    if here.note and not here.rank:
        print_aside("note", here.note)
    return here


def tell_not_started(error: FnnetError) -> None:
    """Print why a process has not become a rank, once on each machine, whose processes all have what it lacks."""
    from fnnet.limits import launched_as

    rank, local = launched_as()
    if not local:
        print_error(f"rank {rank} on {platform.node()}: {error}" if rank else str(error))


def ranks() -> Ranks:
    """Return the ranks of the command that runs."""
    from fnnet.core.shards import ALONE

    return _ranks[0] if _ranks else ALONE


def threads_for(ranks: Ranks, wanted: int | None) -> int | None:
    """Return the threads of each rank: those of a machine share its processors.

    Raises   UsageError if they would be more than these.
    """
    if ranks.size == 1:
        return wanted
    from fnnet.limits import available_threads, granted

    most = granted(ranks.processors)
    each = max(1, most // ranks.neighbours)
    if wanted is not None and wanted > each:
        expected = f"at most {each}, as {ranks.neighbours} ranks share {counted(most, 'processor')}"
        raise UsageError("too many threads", where="--threads", expected=expected, found=wanted)
    return min(each, available_threads()) if wanted is None else wanted


def give(order: Order | None) -> bool:
    """Have the other ranks do what is ordered, or end; return whether they have heard it."""
    first = ranks()
    # Before an order they may still be starting; at the end they wait, unless they are lost.
    if not first.meet(STARTING if order else ENDING):
        return False
    first.of_first(lambda: order)
    return True


def follow(first: Ranks) -> tuple[BaseException | None, bool]:
    """Do what the first rank orders, until it orders the end.

    Returns  the error that ended it, and whether the other ranks have come to the end too.
    """
    from fnnet.training.session import StoppedError

    failed: BaseException | None = None
    while first.meet(inf if failed is None else ENDING):
        order: Order | None = first.of_first(lambda: None)
        if order is None:
            return failed, True
        try:
            _train(first, order)
        except StoppedError:
            continue  # all have stopped, and the first says so
        except (Exception, signals.Stopped) as error:
            failed = error
    return failed, False


def _train(first: Ranks, order: Order) -> None:
    from fnnet.training import session

    kernels = load_alike(first, lambda: _kernels(first, order))
    interrupts = signals.Interrupts()
    with naming_options(order.job.dataset.source, only_in_text=True):  # as the first, whose errors are of these kinds
        session.train(
            order.job, kernels=kernels, run_dir=order.run_dir, resume=order.resume,
            on_block=lambda progress: interrupts.word, during=interrupts, ranks=first,
        )  # fmt: skip


def _kernels(first: Ranks, order: Order) -> Kernels:
    from fnnet import kernels

    if not order.jit:
        return kernels.load("numpy")
    threads = threads_for(first, order.threads)
    return kernels.load("numba", threads=threads, parts=order.job.plan.kernel_parts, notify=lambda notice: None)


def load_alike(here: Ranks, load: Callable[[], Kernels]) -> Kernels:
    """Return what `load` does in each rank; one on each machine compiles for the others.

    Raises   UsageError, in all ranks, unless all were started alike and compute the same bits: by the same version and
             way, on processors of one kind.
    """
    kernels = here.in_turn(load)
    every = here.gather((platform.node(), _about(kernels)))
    for rank, (name, about) in enumerate(every):
        for what, first in every[0][1].items():
            if about[what] != first:
                place, expected = f"rank {rank} on {name}", f"{first}, as rank 0"
                raise UsageError(f"{what} differs", where=place, expected=expected, found=about[what], fix=_fix(what))
    return kernels


def end(failed: BaseException | None, code: int, together: bool) -> int:
    """Leave MPI, and return the exit code of all; where ranks are not together any more, end them at once.

    failed   the error of this rank. Of others than the first those are printed that are of another kind: most errors
             come in all ranks.
    code     of the first rank; if it is not 0, it has printed why.
    """
    here = ranks()
    kind, line, own = "", "", code
    if failed is not None:
        kind, (line, own) = type(failed).__name__, _told(failed)
    if not together:
        if here.rank or not code:
            print_error(f"rank {here.rank}: {line or 'the other ranks do not answer'}")
        time.sleep(TELLING)
        here.abort(own or 1)
    found = here.gather((kind, line, own))
    for rank, (other, text, _) in enumerate(found):
        if here.rank == 0 and other not in ("", kind):
            print_error(f"rank {rank}: {text}")
    here.leave()
    codes: list[int] = [each for _, _, each in found]
    return codes[0] or max(codes)


def _told(failed: BaseException) -> tuple[str, int]:
    """Return the line and the exit code of an error."""
    from fnnet.cli.program import explain

    if isinstance(failed, Exception):
        return explain(failed), getattr(failed, "exit_code", 1)
    return signals.STOPPED[failed.args[0]]


KIND: Final = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
"""Fields of /proc/cpuinfo that tell kinds of processors apart."""
VECTORS: Final = ("sse", "ssse", "avx", "fma", "f16c", "asimd", "sve")
"""How flags begin that are instructions for vectors."""
BLAS: Final = "the number of BLAS threads"
"""Of NumPy's kernels: OpenBLAS adds up otherwise with 1 thread than with 2."""
LINE: Final = "command line"
"""Of each rank, of which that of the first counts: another would not be what its user wants."""
CODE: Final = "compiled code"
"""What differs where the files of fnnet, or the versions of Numba, llvmlite or Python, do."""


def _about(kernels: Kernels) -> dict[str, str]:
    """Return what all ranks must have in common: what it is -> which. The bits of a result depend on it."""
    import numpy as np

    from fnnet import __version__

    processor, instructions = _processor()
    versions = {"version of fnnet": __version__, "version of NumPy": np.__version__}
    found = {LINE: shlex.join(sys.argv[1:]) or "no arguments", **versions, "way of computing": kernels.name}
    code = {BLAS: _blas_threads()}
    if kernels.compiled:
        from fnnet.kernels import cache
        from fnnet.kernels.machine import machine

        processor, instructions = machine().cpu, machine().features
        place = cache.place("train", "float32", Path())
        code = {CODE: place.stem if place else ""}
    # The code last: it differs where any of the others does.
    return found | {"processor": processor, "set of the processor's instructions": instructions} | code


def _processor() -> tuple[str, str]:
    """Return the kind of this processor, and its instructions for vectors: by these NumPy and its BLAS choose code."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(2**16).split("\n\n")[0]
    except OSError:
        return platform.processor(), ""
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    kind = [fields[name] for name in KIND if name in fields]
    flags = f"{fields.get('flags', '')} {fields.get('Features', '')}".split()
    return " ".join(kind), " ".join(sorted(flag for flag in flags if flag.startswith(VECTORS)))


def _blas_threads() -> str:
    from fnnet.limits import BLAS_LIMITS, processors

    told = [value for name in BLAS_LIMITS if (value := os.environ.get(name, "")).isdecimal() and int(value)]
    return told[0] if told else str(len(processors()))


def _fix(what: str) -> str:
    if what == LINE:
        return "start all ranks with the same arguments"
    if what == BLAS:
        return "set OPENBLAS_NUM_THREADS=1 everywhere, also for one process that is to have the same bits; or use --jit"
    if what == CODE:
        return "install the same files of fnnet, and versions of Numba, llvmlite and Python, everywhere"
    return "use machines that are alike; with --jit, FNNET_CPU names a level that several have"
