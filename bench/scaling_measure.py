"""What the model of `scaling_model` is given: times of messages between ranks, and of computing without any.

All times are the least of some: what other programs and the system do can only add to them.

python -m bench.scaling_measure TASK ARGUMENTS, in JSON; `messages` and `exchanges` as ranks of MPI.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NoReturn

import numpy as np

from bench.common import ROOT
from bench.scaling import MPIEXEC, undisturbed
from bench.scaling_model import shards_for
from fnnet.core.params import Array
from fnnet.core.shards import Ranks, cuts

SIZES: Final = (8, 64, 512, 4096, 16384, 65536, 262144, 1048576, 4194304)
"""Bytes of messages."""
LENGTHS: Final = (1024, 8192, 32768, 131072, 524288, 1048576)
"""Elements of vectors that ranks add up."""
TURNS: Final = 50
IMAGES: Final = 60_000


def _timed(work: Callable[[], object], seconds: float) -> float:
    """Return the least time of `work` over turns that together take about as long as asked for."""
    began = time.perf_counter()
    for _ in range(3):
        work()
    each = (time.perf_counter() - began) / 3
    count = max(1, int(seconds / TURNS / max(each, 1e-7)))
    taken = []
    for _ in range(TURNS):
        began = time.perf_counter()
        for _ in range(count):
            work()
        taken.append((time.perf_counter() - began) / count)
    return min(taken)


def messages(sizes: Sequence[int] = SIZES, seconds: float = 0.2) -> list[tuple[int, float]] | None:
    """Return (bytes, seconds) of a message in each direction at once between the two ranks, in the first of them."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    found = []
    for size in sizes:
        sent, received = np.ones(size, np.uint8), np.empty(size, np.uint8)
        send = partial(comm.Sendrecv, sent, 1 - comm.rank, recvbuf=received, source=1 - comm.rank)
        found.append((size, _together(comm, send, seconds)))
    return found if comm.rank == 0 else None


def _together(comm: Any, work: Callable[[], object], seconds: float) -> float:
    """Do as `_timed` in all ranks, as many calls in each as the first says; return the least time of the slowest."""
    comm.Barrier()
    began = time.perf_counter()
    for _ in range(5):
        work()
    count = max(1, int(seconds / TURNS / comm.bcast((time.perf_counter() - began) / 5)))
    taken = []
    for _ in range(TURNS):
        comm.Barrier()
        began = time.perf_counter()
        for _ in range(count):
            work()
        taken.append((time.perf_counter() - began) / count)
    found: float = max(comm.allgather(min(taken)))
    return found


def exchanges(lengths: Sequence[int] = LENGTHS, seconds: float = 0.2) -> dict[str, list[tuple[int, float]]] | None:
    """Return (bytes, seconds) in which two ranks add up vectors, in the first of them.

    window, messages   as the classes of `exchange` do, with what a rank does before and after in any case, writing its
                       vector and reading the sum, taken off.
    """
    from mpi4py import MPI

    from fnnet.training.distributed.exchange import Messages, SharedMemory

    comm = MPI.COMM_WORLD
    found: dict[str, list[tuple[int, float]]] = {"window": [], "messages": []}
    for length in lengths:
        window, sent = SharedMemory(comm, length, np.dtype(np.float32), 2), Messages(comm, length, np.dtype("f"), 2, 32)
        own, read = [np.ones(length, np.float32)], np.ones(length, np.float32)
        ways: dict[str, tuple[list[Array], Callable[[], Array]]] = {
            "without": (own, partial(own.__getitem__, 0)),
            "window": ([*window.own], partial(window.total, 32)),
            "messages": (own, partial(sent.total, own)),
        }
        taken = {}
        for name, (vectors, total) in ways.items():
            taken[name] = _together(comm, partial(_exchange, vectors[0], total, read), seconds)
        for name, rows in found.items():
            rows.append((4 * length, max(1e-7, taken[name] - taken["without"])))
    return found if comm.rank == 0 else None


def _exchange(vector: Array, total: Callable[[], Array], read: Array) -> None:
    np.multiply(read, 0.5, out=vector)
    np.multiply(total(), 0.5, out=read)


def rates(length: int = 250_000, seconds: float = 0.2) -> dict[str, float]:
    """Return the seconds in which a byte of a vector is copied, and added to that of another."""
    one, other = np.ones(length, np.float32), np.zeros(length, np.float32)

    add, copy = partial(np.add, one, other, out=one), partial(np.copyto, other, one)
    taken = {"copy": _timed(copy, seconds), "add": _timed(add, seconds)}
    return {name: each / one.nbytes for name, each in taken.items()}


class Pretended(Ranks):
    """The last of `size` ranks, the others of which there are not: it waits for none, and gets nothing from them.

    Its steps move the weights by its own gradients.
    """

    def __init__(self, size: int) -> None:
        self.rank, self.size = size - 1, size
        self.gathers, self.length = 0, 0
        self.ends: list[float] = []

    def rows(self, n: int, batch: int, shards: int) -> list[Array]:
        """Return its own rows, as those of all: what others would have of a block, nobody has."""
        from fnnet.core.shards import rows_of

        return [rows_of(n, batch, shards, cuts(shards, self.size)[self.rank])] * self.size

    def total(self, parts: Sequence[Array], shards: int, bits: int = 32) -> Array:
        """Return its own first vector."""
        self.length = parts[0].nbytes
        self.ends.append(time.perf_counter())
        return parts[0]

    def gather(self, value: Any) -> list[Any]:
        """Return its own value as that of all."""
        self.gathers += isinstance(value, list)
        return [value] * self.size

    def abort(self, code: int) -> NoReturn:
        """End the program."""
        sys.exit(code)


def computing(
    hidden: Sequence[int], batch: int, ranks: Sequence[int], images: int = IMAGES, passes: int = 4
) -> dict[str, Any]:
    """Return the seconds that one rank of some computes, without exchanges, in an undisturbed epoch of `images` images.

    Returns  `length`, `steps`, and by the number of ranks (as texts, as JSON has them) `seconds` and `gathers`.
    """
    from fnnet import data, load_kernels
    from fnnet.training import epochs, session

    whole = data.load()
    train = type(whole.train)(whole.train.x[:images], whole.train.labels[:images])
    kernels = load_kernels("numba", threads=1, parts=("train", "clip"))
    found: dict[str, Any] = {"length": 0, "steps": 0, "seconds": {}, "gathers": {}}
    block = epochs.BLOCK_SECONDS
    for size in ranks:
        settings = {
            "hidden": tuple(hidden), "batch_size": batch, "shards": shards_for(size), "epochs": passes, "dev": 0,
        }  # fmt: skip
        job = session.prepare(whole._replace(train=train, test=None), "classic", settings)
        pretended = Pretended(size)
        # One rank alone makes all steps of a block in a call, some make a step in a call: so does it here.
        epochs.BLOCK_SECONDS = 0.0 if size == 1 else block  # type: ignore[misc]
        blocks: list[float] = []
        session.train(job, kernels=kernels, ranks=pretended, on_block=partial(_note_end, blocks))
        found["seconds"][str(size)] = undisturbed(blocks if size == 1 else pretended.ends, passes)
        found["gathers"][str(size)] = round(pretended.gathers / passes)
        found["length"] = max(found["length"], pretended.length)
        found["steps"] = -(-len(train.labels) // batch)
    return found


def _note_end(ends: list[float], progress: object) -> None:
    ends.append(time.perf_counter())


def by_ranks(task: str, *arguments: Any) -> Any:
    """Return what a task returns in the first of two ranks."""
    assert MPIEXEC
    return _answers([[MPIEXEC, "-n", "2", sys.executable, "-m", "mpi4py", *_program(task, arguments)]])[0]


def side_by_side(task: str, *arguments: Any) -> list[Any]:
    """Return what a task returns in two processes at once."""
    return _answers([[sys.executable, *_program(task, arguments)]] * 2)


def _program(task: str, arguments: Sequence[Any]) -> list[str]:
    return ["-m", "bench.scaling_measure", task, json.dumps(arguments)]


def _answers(commands: Sequence[Sequence[str]]) -> list[Any]:
    pipe, env = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen(each, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) for each in commands]
    found = []
    for process in started:
        out, err = process.communicate()
        if process.returncode:
            for other in started:
                other.kill()
            sys.exit(f"{' '.join(process.args)}: {err.strip()}")  # type: ignore[arg-type]
        found.append(json.loads(out))
    return found


def main() -> None:
    """Do one task, and print what it returns in the first rank."""
    tasks: dict[str, Callable[..., Any]] = {
        "messages": messages, "exchanges": exchanges, "rates": rates, "computing": computing,
    }  # fmt: skip
    if (found := tasks[sys.argv[1]](*json.loads(sys.argv[2]))) is not None:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
