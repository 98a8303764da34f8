"""Objects with large arrays, given to all ranks: of the processes of one machine all map one copy of the arrays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from fnnet.errors import FnnetError
from fnnet.files import mapped

PIECE: Final = 2**28
"""Bytes that are copied or sent at once."""
LINE: Final = 64


def give(value: Any, comm: Any, node: Any, leaders: Any, moved: Callable[[], None]) -> Any:
    """Return the first rank's `value` in every rank, its large arrays read-only.

    comm      all ranks.
    node      those of this machine, the first of which is its leader.
    leaders   the leaders of all machines; None in others.
    moved     called for each piece that a leader has.
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
    arrays = [memoryview(each).cast("B") for each in given[1]]
    whole = _mapped([*zip(starts, arrays, strict=False)], end, comm, node, leaders, moved)
    return MPI.pickle.loads_oob(packed, [whole[at : at + size] for at, size in zip(starts, sizes, strict=True)])


def _mapped(
    arrays: list[tuple[int, memoryview]], end: int, comm: Any, node: Any, leaders: Any, moved: Callable[[], None]
) -> memoryview:
    """Return a view, read-only, of a file on each machine that has the arrays of the first rank, where each begins.

    The file has no name any more when it is written, so that a rank that is lost leaves none.
    """
    path, failed = "", None
    with ExitStack() as stack:
        if leaders is not None:
            try:
                path = mapped.make(end)
                stack.callback(mapped.drop, path)
                view = stack.enter_context(mapped.written(path))
            except FnnetError as error:
                failed = error
        if failed := next(filter(None, comm.allgather(failed)), None):
            raise failed
        found = mapped.read(node.bcast(path))
        node.Barrier()
        mapped.drop(path)
        if leaders is not None:
            for start, array in arrays:
                for at in range(0, array.nbytes, PIECE):  # no other thread runs while a piece is copied
                    piece = array[at : at + PIECE]
                    view[start + at : start + at + piece.nbytes] = piece
                    moved()
            for at in range(0, end, PIECE):
                leaders.Bcast(view[at : at + PIECE])
                moved()
        node.Barrier()
    return found
