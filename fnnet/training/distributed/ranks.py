"""Ranks that MPI started; see `exchange` for how they add up gradients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from math import inf
from typing import Any, Final, NoReturn, TypeVar, cast

import numpy as np

from fnnet.core.params import Array
from fnnet.core.shards import Ranks
from fnnet.errors import FnnetError
from fnnet.files import mapped
from fnnet.limits import processors
from fnnet.training.distributed.exchange import Messages, SharedMemory
from fnnet.training.distributed.sharing import give
from fnnet.training.distributed.watch import Watch

T = TypeVar("T")
PAUSE: Final = 0.002
"""Seconds between looks at whether all have come."""


class MpiRanks(Ranks):
    """The ranks of a communicator of mpi4py."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm, self._meetings = comm, comm.Dup()
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        leads = self._node.Get_rank() == 0
        leaders = comm.Split(0 if leads else MPI.UNDEFINED)
        self._leaders = leaders if leads else None
        self.neighbours = self._node.Get_size()
        self.processors = len(set().union(*self._node.allgather(processors())))
        self._messages: Messages | None = None
        self._memory: SharedMemory | None = None
        self._watch = Watch(comm, alone=self.neighbours == self.size)
        self.note = self._watch.note

    def total(self, parts: Sequence[Array], shards: int, bits: int = 32) -> Array:
        """Do as `Ranks.total`; what is returned is written over by the next call."""
        self._watch.enter(step=True)
        if self._memory and self._memory.holds(parts):
            found = self._memory.total(bits)
        else:
            kind = (len(parts[0]), parts[0].dtype, shards, bits)
            if self._messages is None or self._messages.kind != kind:
                self._messages = Messages(self._comm, *kind)
            found = self._messages.total(parts)
        self._watch.leave()
        return found

    def vectors(self, length: int, dtype: Any, shards: int) -> Array | None:
        """Do as `Ranks.vectors`: memory that the ranks of one machine share."""
        if self.neighbours < self.size or not mapped.CAN_SHARE:
            return None
        self._memory = None
        self._watch.enter()
        with suppress(OSError):
            self._memory = SharedMemory(self._comm, length, np.dtype(dtype), shards)
        self._watch.leave()
        return self._memory.own if self._memory else None

    def gather(self, value: Any) -> list[Any]:
        """Do as `Ranks.gather`."""
        self._watch.enter()
        found: list[Any] = self._comm.allgather(value)
        self._watch.leave()
        return found

    def of_first(self, make: Callable[[], T]) -> T:
        """Do as `Ranks.of_first`."""
        made: T | None = None
        raised: Exception | None = None
        if self.rank == 0:
            with self.slow():
                try:
                    made = make()
                except Exception as error:
                    raised = error
        self._watch.enter()
        told = self._comm.bcast(None if raised is None else _packed(raised))
        given = give(made, self._comm, self._node, self._leaders, self._watch.enter) if told is None else None
        self._watch.leave()
        if told is not None:
            raise raised or _unpacked(told)
        return cast("T", given)

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return what `make` returns, which of each machine's ranks one calls before the others."""
        made: T | None = None
        if first := self._node.Get_rank() == 0:
            with self.slow():
                made = make()
        self._watch.enter()
        _meet(self._node)
        self._watch.leave()
        if not first:
            with self.slow():
                made = make()
        return cast("T", made)

    def slow(self, computes: bool = False) -> AbstractContextManager[None]:
        """Do as `Ranks.slow`."""
        return self._watch.slow(computes)

    def meet(self, seconds: float = inf) -> bool:
        """Do as `Ranks.meet`; who waits here leaves the processor to others, which MPI's own barrier does not."""
        return _meet(self._meetings, seconds)

    def abort(self, code: int) -> NoReturn:
        """Do as `Ranks.abort`."""
        self._watch.abort()
        self._comm.Abort(code)
        os._exit(code)

    def leave(self) -> None:
        """Do as `Ranks.leave`."""
        from mpi4py import MPI

        self._watch.end()
        MPI.Finalize()


def _packed(error: Exception) -> bytes | tuple[str, str]:
    """Return an error for other ranks; one that cannot be pickled or unpickled as the name of its type and its text."""
    from mpi4py import MPI

    try:
        packed: bytes = MPI.pickle.dumps(error)
        _ = MPI.pickle.loads(packed)
    except Exception:
        return type(error).__name__, str(error)
    return packed


def _unpacked(told: bytes | tuple[str, str]) -> Exception:
    """Return the error that another rank has packed."""
    from mpi4py import MPI

    if isinstance(told, bytes):
        error: Exception = MPI.pickle.loads(told)
        return error
    name, text = told
    kind = type(name, (FnnetError,), {})
    made: Exception = kind(text)
    return made


def _meet(comm: Any, seconds: float = inf) -> bool:
    arrived, last = comm.Ibarrier(), time.monotonic() + seconds
    while not arrived.Test():
        if time.monotonic() > last:
            return False
        time.sleep(PAUSE)
    return True
