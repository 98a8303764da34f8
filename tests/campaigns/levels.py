"""The tests of the block trainer on code for older processors, which this one runs too: `python -m` this.

Their vectors are narrower, and they lack the multiply-add or the instruction that compresses a vector.
"""

import os
import platform
import re
import subprocess
import sys
import time
from functools import partial

from fnnet.kernels import machine
from tests.conftest import ROOT

WORK = """
import sys, llvmlite.binding, pytest
from fnnet.kernels import library
from tests.campaigns import levels
tests, dtypes, parts, *files = sys.argv[1:]
levels.compile_here(parts.split(), dtypes.split())
def compile_parts(absent, *arguments):
    assert not absent, f"not compiled: {absent}"
    return {}
library.load_parts, library._compile = lambda *arguments: None, compile_parts
print("on", llvmlite.binding.get_host_cpu_name(), flush=True)
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", tests, *files]))
"""
"""One process compiles the parts that these tests call, and runs the tests."""


def compile_here(parts, dtypes):
    """Compile parts that are not in the cache in this process, whose processor may be one that children do not have."""
    from fnnet.kernels import build, cache, signatures

    for dtype in dtypes:
        for part in signatures.closure(parts):
            place = cache.place(part, dtype)
            if cache.read(place) is None:
                cache.write(place, build.build(part, dtype))
    # Numba's import of SciPy is forbidden by `kernels.shortcuts`, but tests import it.
    for name in [name for name, module in sys.modules.items() if module is None]:
        del sys.modules[name]


def levels():
    """The levels of x86-64 below this processor's own."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ()
    return ("x86-64", "x86-64-v3") if machine.machine().fma else ("x86-64",)


def environment(**names):
    """The environment of a process that compiles and tests."""
    # BLAS with a thread for each processor in each of two processes takes three times as long.
    return {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **names}


def start(level, tests="", dtypes=("float32", "float64")):
    """A process that runs the tests of the block trainer whose names hold `tests` on code for `level`."""
    parts, file = "train clip operations", "tests/kernels/test_block.py"
    command = [sys.executable, "-c", WORK, tests, " ".join(dtypes), parts, file]
    return subprocess.Popen(command, cwd=ROOT, env=environment(FNNET_CPU=level), stdout=subprocess.PIPE, text=True)


def passed(process, processor=""):
    """How many tests passed; AssertionError if one failed, or LLVM named another processor."""
    output = process.communicate()[0]
    assert process.returncode == 0, output[-2000:]
    assert f"on {processor}" in output, output[:2000]
    return int(re.search(r"(\d+) passed", output)[1])


def fails(about, check, began):
    """Run a check and print the figures that it returns and the seconds since `began`; True if something is wrong."""
    try:
        print(f"{about}: {check()}, {time.monotonic() - began:.0f} s", flush=True)
    except AssertionError as error:
        print(f"{about}: {error}", file=sys.stderr)
        return True
    return False


def figures(process, processor=""):
    """How many tests passed, in words."""
    return f"{passed(process, processor)} tests passed"


def main(most=sys.maxsize):
    began = time.monotonic()
    started = {level: start(level) for level in levels()[:most]}
    wrong = [fails(f"levels: {level}", partial(figures, each), began) for level, each in started.items()]
    return any(wrong)


if __name__ == "__main__":
    sys.exit(main())
