"""How ranks add up what they have of the tree: by messages, or in memory that those of one machine share.

Each rank adds up one part of the vector, for all. MPI moves bytes and adds nothing, so that the order of the additions
is that of `core.shards`, whatever the MPI is, the number of ranks or the length of the vector.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.shards import HALF, additions, cuts, rounded, subtrees, waiting
from fnnet.files import mapped

LINE: Final = 16
"""Elements in a part of the vector are a multiple of this: whole cache lines."""


class _Plan:
    """What all ranks know of an exchange.

    cuts    where the part of the vector that each rank adds up begins and ends.
    trees   the subtrees of each rank: where each begins -> where it ends.
    """

    def __init__(self, size: int, length: int, shards: int) -> None:
        edges = [length * number // size // LINE * LINE for number in range(size)] + [length]
        self.cuts = [*itertools.pairwise(edges)]
        self.trees = [subtrees(own, shards) for own in cuts(shards, size)]
        self._shards = shards

    def additions(self) -> list[tuple[int, int]]:
        """Return which subtree takes which, until one is left."""
        ends = {leaf: end for tree in self.trees for leaf, end in tree.items()}
        return [*additions(ends, self._shards)]


class Messages:
    """An exchange by messages: each rank gets its part of all subtrees, and gives its part of the sum.

    kind   length and dtype of the vectors, the shards, and the bits of each number in a message.
    """

    def __init__(self, comm: Any, length: int, dtype: np.dtype[Any], shards: int, bits: int) -> None:
        from mpi4py import MPI

        self.kind = (length, dtype, shards, bits)
        self._comm, rank, size = comm, comm.Get_rank(), comm.Get_size()
        plan = _Plan(size, length, shards)
        self._cuts, trees = plan.cuts, plan.trees
        lengths = [end - begin for begin, end in self._cuts]
        own, mine = len(trees[rank]), lengths[rank]
        sent_as = np.dtype(np.uint16) if bits == HALF else dtype
        kind = MPI._typedict[sent_as.char]
        self._sent, self._received, self._gathered = (
            _Halves(count, dtype) if bits == HALF else _Wholes(count, dtype)
            for count in (own * length, sum(map(len, trees)) * mine, length)
        )
        sent, received = [own * each for each in lengths], [len(tree) * mine for tree in trees]
        self._send = [self._sent.wire, (sent, _starts(sent)), kind]
        self._receive = [self._received.wire, (received, _starts(received)), kind]
        self._gather = [self._gathered.wire, (lengths, _starts(lengths)), kind]
        places = [leaf for tree in trees for leaf in tree]
        rows = dict(zip(places, self._received.values.reshape(len(places), mine), strict=True))
        self._mine, self._root, self._bits = slice(*self._cuts[rank]), rows[0], bits
        self._additions = [(rows[left], rows[right]) for left, right in plan.additions()]

    def total(self, parts: Sequence[Array]) -> Array:
        """Return the sum, which the next call writes over."""
        from mpi4py import MPI

        at = 0
        for begin, end in self._cuts:
            for part in parts:
                self._sent.values[at : at + end - begin] = part[begin:end]
                at += end - begin
        self._sent.pack()
        self._comm.Alltoallv(self._send, self._receive)
        self._received.unpack()
        _add(self._additions, self._bits)
        self._gathered.values[self._mine] = self._root
        self._gathered.pack()
        self._comm.Allgatherv(MPI.IN_PLACE, self._gather)
        self._gathered.unpack()
        return self._gathered.values


class _Wholes:
    """Numbers that are sent as they are."""

    def __init__(self, count: int, dtype: np.dtype[Any]) -> None:
        self.values: Array = np.zeros(count, dtype)
        self.wire = self.values

    def pack(self) -> None:
        """Write the values to `wire`, which is sent."""

    def unpack(self) -> None:
        """Write what came in `wire` to the values."""


class _Halves(_Wholes):
    """Numbers of float32 whose upper halves are sent."""

    def __init__(self, count: int, dtype: np.dtype[Any]) -> None:
        super().__init__(count, dtype)
        self.wire = np.zeros(count, np.uint16)

    def pack(self) -> None:
        """Do as `_Wholes.pack`."""
        np.right_shift(self.values.view(np.uint32), HALF, out=self.wire, casting="unsafe")

    def unpack(self) -> None:
        """Do as `_Wholes.unpack`."""
        np.left_shift(self.wire, HALF, out=self.values.view(np.uint32), dtype=np.uint32)


def _add(additions: Sequence[tuple[Array, Array]], bits: int) -> None:
    """Add up what the tree says, the first of each pair taking the sum."""
    for left, right in additions:
        np.add(left, right, out=left)
        if bits == HALF:
            left[:] = rounded(left, bits)


class SharedMemory:
    """An exchange in memory that all ranks share, as they are of one machine: nothing is copied but the sum.

    own      this rank's vectors, (vectors, length), as many as wait at once for others of the tree; at the end the
             first have what is to be added up.
    Raises   OSError, in all ranks, where one of them cannot open the memory: containers may hide processes.
    """

    def __init__(self, comm: Any, length: int, dtype: np.dtype[Any], shards: int) -> None:
        self._comm, rank, size = comm, comm.Get_rank(), comm.Get_size()
        plan, starts = _Plan(size, length, shards), [0]
        for own in cuts(shards, size):
            starts.append(starts[-1] + waiting(own, shards))
        vectors = _shared(starts[-1] + 1, length, dtype, comm)
        self.own = vectors[starts[rank] : starts[rank + 1]]
        places = [(start, tree) for start, tree in zip(starts, plan.trees, strict=False)]
        rows = {leaf: row for start, tree in places for row, leaf in enumerate(tree, start)}
        part = slice(*plan.cuts[rank])
        self._mine, self._root, self._total = vectors[-1, part], vectors[0, part], vectors[-1]
        self._additions = [(vectors[rows[left], part], vectors[rows[right], part]) for left, right in plan.additions()]

    def holds(self, parts: Sequence[Array]) -> bool:
        """Return True if these are vectors of `own`."""
        return np.may_share_memory(parts[0], self.own)

    def total(self, bits: int) -> Array:
        """Return the sum, which the next call writes over; `bits` as in `rounded`."""
        self._comm.Barrier()  # all have put theirs there, and read the sum before
        _add(self._additions, bits)
        self._mine[:] = self._root
        self._comm.Barrier()
        total: Array = self._total
        return total


def _shared(rows: int, columns: int, dtype: np.dtype[Any], comm: Any) -> Array:
    """Return a matrix of zeros that the ranks of one machine share, which the first makes; raise as `SharedMemory`."""
    size = rows * columns * dtype.itemsize
    own: tuple[int, str] | None = None
    found: Array | None = None
    with contextlib.suppress(OSError):
        own = mapped.make_memory(size) if comm.Get_rank() == 0 else None
    if place := comm.bcast(own and (os.getpid(), *own)):
        process, handle, name = place
        with contextlib.suppress(OSError):
            found = np.frombuffer(mapped.memory(process, handle, name, size), dtype).reshape(rows, columns)
    everywhere = all(comm.allgather(found is not None))
    if own:
        os.close(own[0])
    if found is None or not everywhere:
        raise OSError("memory is not shared")
    return found


def _starts(counts: Sequence[int]) -> list[int]:
    return [0, *itertools.accumulate(counts)][:-1]
