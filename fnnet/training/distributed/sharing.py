"""Objects with large arrays, given to all ranks: of the processes of one machine all map one copy of the arrays."""

from __future__ import annotations

from typing import Any, Final

from fnnet.errors import FnnetError
from fnnet.files import mapped

PIECE: Final = 2**28
"""Bytes that are sent at once."""
LINE: Final = 64


def give(value: Any, comm: Any, node: Any, leaders: Any) -> Any:
    """Return the first rank's `value` in every rank, its large arrays read-only.

    comm      all ranks.
    node      those of this machine, the first of which is its leader.
    leaders   the leaders of all machines; None in others.
    Raises    FnnetError, in all ranks, where the disk of a machine is too full for the arrays.
    """
    from mpi4py import MPI

    given: tuple[bytes, list[Any]] = (b"", [])
    if comm.Get_rank() == 0:
        given = MPI.pickle.dumps_oob(value)
    packed, sizes = comm.bcast((bytes(given[0]), [each.nbytes for each in given[1]]))
    if not sizes:
        return MPI.pickle.loads_oob(packed, [])
    starts, end = [], 0
    for size in sizes:
        starts.append(end)
        end += -(-size // LINE) * LINE
    whole = _mapped(given[1], starts, end, comm, node, leaders)
    return MPI.pickle.loads_oob(packed, [whole[at : at + size] for at, size in zip(starts, sizes, strict=True)])


def _mapped(arrays: list[Any], starts: list[int], end: int, comm: Any, node: Any, leaders: Any) -> memoryview:
    """Return a view, read-only, of a file on each machine that has the arrays of the first rank."""
    path, failed = "", None
    if leaders is not None:
        try:
            path = mapped.make(end)
        except FnnetError as error:
            failed = error
    try:
        if failed := next(filter(None, comm.allgather(failed)), None):
            raise failed
        if leaders is not None:
            with mapped.written(path) as view:
                for array, start in zip(arrays, starts, strict=False):
                    view[start : start + array.nbytes] = memoryview(array).cast("B")
                for at in range(0, end, PIECE):
                    leaders.Bcast(view[at : at + PIECE])
        found = mapped.read(node.bcast(path))
        node.Barrier()
    finally:
        if path:
            mapped.drop(path)
    return found
