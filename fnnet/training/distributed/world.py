"""The ranks that `mpiexec` started this program with."""

from __future__ import annotations

from typing import Any

from fnnet.core.shards import ALONE, Ranks
from fnnet.errors import FnnetError
from fnnet.limits import launched


def world() -> Ranks:
    """Return the ranks that this process is one of, ALONE if it was not started by a launcher of MPI.

    Raises   FnnetError if it was, and mpi4py is missing or does not know the launcher.
    """
    told = launched()
    if told == 1:
        return ALONE
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        fix = "install it: pip install 'fnnet[mpi]'"
        found = f"{told} processes without mpi4py ({error})"
        expected = "the module mpi4py, in a program that mpiexec starts"
        raise FnnetError("mpi4py cannot be loaded", expected=expected, found=found, fix=fix) from None
    comm: Any = MPI.COMM_WORLD
    if comm.Get_size() != told:
        fix = "start it with the mpiexec of the MPI that mpi4py was built with or loads"
        found = f"{told} processes that each see {comm.Get_size()} rank"
        raise FnnetError("mpiexec and mpi4py are of different MPIs", expected=f"{told} ranks", found=found, fix=fix)
    from fnnet.training.distributed.ranks import MpiRanks

    return MpiRanks(comm)
