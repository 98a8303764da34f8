"""Ranks that are killed, stopped, hang, raise or leave early: all end soon, and the run goes on to the same bits."""

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools import faulty_rank

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
TRAIN = (
    "train", "--data", "digits", "--jit", "--hidden", "40", "--batch-size", "100", "--optimizer", "adam", "--dropout",
    "0.2", "--learning-rate", "0.001", "--shards", "8", "--epochs", "60", "--quiet",
)  # fmt: skip
EXCHANGES = 60 * 13
LIMIT = 10.0
"""Seconds in which all ranks are to end."""
SILENT = ("exit 0", "sys.exit(0)")
"""Faults that MPICH's mpiexec takes for a success: only what is printed, and the run that is not finished, tell."""

OWN_WORDS = ("raise", "out of memory")
"""Faults that the first rank tells as a process alone does."""


def missing():
    """What this machine lacks for it; None for nothing."""
    return None if MPIEXEC and importlib.util.find_spec("mpi4py") else "mpiexec and mpi4py"


def command(size, *program):
    return [MPIEXEC, "-n", str(size), sys.executable, "-m", "mpi4py", *map(str, program)]


def lose(folder, how, rank, size, exchange):
    """Let a rank fail; return mpiexec's exit code, its standard error, and the seconds from the fault to the end."""
    mark = folder / "failed"
    program = command(
        size, ROOT / "tests/tools/faulty_rank.py", how, rank, exchange, mark, *TRAIN, "--run-dir", folder / "run",
        "--out", folder / "m.safetensors",
    )  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120, cwd=folder, env=env)
    end = folder / "ended"
    end.touch()
    assert mark.exists(), f"{how}: did not come to exchange {exchange}: {done.stderr}"
    return done.returncode, done.stderr, end.stat().st_mtime - mark.stat().st_mtime


def finish(folder, size):
    """Let `size` ranks go on with the run; return the SHA-256 of the weights."""
    program = [ROOT / "cli.py", *TRAIN, "--json", "--run-dir", folder / "run", "--resume"]
    program += ["--out", folder / "m.safetensors"]
    start = command(size, *program) if size else [sys.executable, *map(str, program)]
    done = subprocess.run(start, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), f"{size} ranks: {done}"
    return json.loads(done.stdout)["weights_sha256"]


def whole(folder):
    """The weights of the run that nothing happens to."""
    folder.mkdir()
    program = [sys.executable, str(ROOT / "cli.py"), *TRAIN, "--json", "--out", str(folder / "m.safetensors")]
    return json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)["weights_sha256"]


def losses(base, most, seed=0):
    """Faults of a random rank at a random exchange; each run goes on with another number of ranks, or without MPI."""
    draw, base = random.Random(seed), Path(base)
    expected = whole(base / "whole")
    for number in range(most):
        how = list(faulty_rank.FAULTS)[number % len(faulty_rank.FAULTS)]
        size = draw.choice((2, 3))
        rank, exchange, other = draw.randrange(size), draw.randrange(1, EXCHANGES), draw.choice((0, 1, 2, 3))
        folder = base / str(number)
        folder.mkdir()
        case = f"case {number}: {how} of rank {rank} of {size} at exchange {exchange}"
        code, told, seconds = lose(folder, how, rank, size, exchange)
        assert seconds < LIMIT, f"{case}: all ended after {seconds:.1f} s"
        assert code or how in SILENT, f"{case}: exit code 0"
        assert told.count("error: ") == 1, f"{case}: {told}"
        assert f"rank {rank}" in told or (rank == 0 and how in OWN_WORDS), f"{case}: {told}"
        assert not (folder / "m.safetensors").exists(), case
        assert finish(folder, other) == expected, f"{case}: other bits with {other} ranks"
        shutil.rmtree(folder)
        yield case
