"""The tests of the block trainer on code for older processors, which this one runs too: `python -m` this.

Their vectors are narrower, and they lack the multiply-add or the instruction that compresses a vector.
"""

import os
import platform
import re
import subprocess
import sys
import time

from fnnet.kernels import machine
from tests.conftest import ROOT

WORK = """
import sys, pytest
from fnnet.kernels import build, cache, library, signatures
tests, *dtypes = sys.argv[1:]
for dtype in dtypes:
    for part in signatures.closure(["train"]):
        place = cache.place(part, dtype)
        if cache.read(place) is None:
            cache.write(place, build.build(part, dtype))
library.load_parts = lambda *arguments: None
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-k", tests, "tests/kernels/test_block.py"]))
"""
"""One process compiles the parts that these tests call, and runs the tests."""


def levels():
    """The levels of x86-64 below this processor's own."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    return ("x86-64", "x86-64-v3") if machine.machine().fma else ("x86-64",)


def start(level, tests="", dtypes=("float32", "float64")):
    """A process that runs the tests of the block trainer whose names hold `tests` on code for `level`."""
    # BLAS with a thread for each processor in each of two processes takes three times as long.
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "FNNET_CPU": level}
    command = [sys.executable, "-c", WORK, tests, *dtypes]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def passed(process):
    """How many tests passed; AssertionError if one failed."""
    output = process.communicate()[0]
    assert process.returncode == 0, output[-2000:]
    return int(re.search(r"(\d+) passed", output)[1])


def main(most=sys.maxsize):
    began = time.monotonic()
    wrong = False
    for level, process in {level: start(level) for level in levels()[:most]}.items():
        try:
            print(f"levels: {level}: {passed(process)} tests passed, {time.monotonic() - began:.0f} s", flush=True)
        except AssertionError as error:
            wrong = True
            print(f"levels: {level}: {error}", file=sys.stderr)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
