"""The tests of the compiled code on emulated processors: older ones of x86-64, and others by `tests.campaigns.aarch64`.

Unlike `levels`, an emulated processor stops at an instruction that it lacks. Python, NumPy and LLVM run there too, so
that what LLVM finds there and chooses is tested. NumPy 2.4 needs x86-64-v2, which Nehalem was the first to have.
"""

import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.campaigns import aarch64
from tests.campaigns.aarch64 import FILES, PARTS
from tests.campaigns.levels import WORK, environment, fails, figures
from tests.conftest import ROOT

EMULATOR, INSTALL = "qemu-x86_64", "apt-get install qemu-user"
LEVELS = {"Nehalem": "x86-64-v2", "Haswell": "x86-64-v3"}
"""Processors, and the level of each."""
DTYPES = ("float32", "float64")
ALONE = {"tests": "float32 and shuffled or predictor", "dtypes": ("float32",), "parts": ("infer",), "files": FILES[:1]}
"""What is tested of the code that a processor compiles for itself, which takes it minutes: predictions."""

COMPILE = """
import sys
from fnnet.kernels import library
dtypes, parts = sys.argv[1:]
for dtype in dtypes.split():
    library.load_parts(parts.split(), dtype)
"""
BITS = """
import hashlib, numpy as np, fnnet
from fnnet.core.params import weights_sha256
from fnnet.kernels import load
from tests.core.test_deform import STRONG, images
from tests.kernels.test_block import CASES, OBJECTIVES, OPTIMIZERS, block, data
kernels = load("numba", threads=2)
def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()
for dtype in (np.float32, np.float64):
    for case, (sizes, batch, zeros, as_bytes) in CASES.items():
        examples = data(150, sizes[0], sizes[-1], zeros=zeros, as_bytes=as_bytes, dtype=dtype)
        for name, optimizer in OPTIMIZERS.items():
            params = block(kernels, sizes, examples, batch, optimizer, dtype=dtype)[0].params
            print(dtype.__name__, case, name, weights_sha256(params))
        for name, objective in OBJECTIVES.items():
            params = block(kernels, sizes, examples, batch, dtype=dtype, objective=objective)[0].params
            print(dtype.__name__, case, name, weights_sha256(params))
            scores = fnnet.scores(params, examples.x, activation=objective.activation, kernels=kernels)
            print(dtype.__name__, case, name, "scores", digest(scores))
print("deform", digest(fnnet.deform(images(60), (28, 28), STRONG, seed=0, epoch=0, kernels=kernels)))
"""
"""A line for each result: the digest of its bits."""
NUMPY = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX"
}
"""NumPy, the definition, computes alike everywhere: its powers by AVX-512 differ in the last bit, and so would Adam's
corrections; QEMU 7.2 computes its maximum of strided float32 by AVX2 wrongly."""
UNGUARDED = """
import numpy as np
from llvmlite import binding
class All(dict):
    def get(self, name):
        return True
binding.get_host_cpu_features = All
import fnnet
kernels = fnnet.load_kernels("numba", threads=1, parts=("infer",))
fnnet.scores(fnnet.init((20, 3)), np.ones((9, 20), np.uint8), kernels=kernels)
"""
"""Predict with code for a level that the processor may lack, without fnnet's own check."""


def missing():
    """The program that is not there, or what this machine is not; None if nothing is missing."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return "x86-64"
    return None if shutil.which(EMULATOR) else EMULATOR


def emulated(processor, code, *arguments):
    """The command that runs Python code on an emulated processor."""
    return [EMULATOR, "-cpu", processor, sys.executable, "-c", code, *arguments]


def compile_for(level, cache, dtypes=DTYPES, parts=PARTS):
    """Compile for a level on the real processor, into a folder."""
    command = [sys.executable, "-c", COMPILE, " ".join(dtypes), " ".join(parts)]
    subprocess.run(command, cwd=ROOT, env=environment(FNNET_CPU=level, FNNET_CACHE=str(cache)), check=True)


def start(processor, level, cache, tests="", dtypes=DTYPES, parts=PARTS, files=FILES):
    """A process on an emulated processor that runs the tests of `files` whose names hold `tests`.

    level   whose code it runs, which `compile_for` has compiled; "" for the code that it compiles for itself.
    """
    env = environment(FNNET_CACHE=str(cache), FNNET_CPU=level, **NUMPY)
    command = emulated(processor, WORK, tests, " ".join(dtypes), " ".join(parts), *files)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes)


def run(processor, code, level, cache):
    """Run Python code on an emulated processor, or on the real one for None."""
    command = emulated(processor, code) if processor else [sys.executable, "-c", code]
    env = environment(FNNET_CACHE=str(cache), FNNET_CPU=level, **NUMPY)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def same_bits(processor, level, cache):
    """Check that the results of the same code are the same bits on the real processor."""
    here, there = (run(each, BITS, level, cache) for each in (None, processor))
    assert here.returncode == there.returncode == 0, (here.stderr + there.stderr)[-2000:]
    pairs = zip(here.stdout.splitlines(), there.stdout.splitlines(), strict=True)
    assert not (other := [line for line, twin in pairs if line != twin]), other
    return f"{len(here.stdout.splitlines())} results of the same bits"


def check_levels(cache):
    """Check that code for a newer processor stops an older one, without which no test here says anything."""
    done = run("Nehalem", UNGUARDED, "x86-64-v3", cache)
    assert done.returncode == -signal.SIGILL, f"Nehalem runs code for x86-64-v3: {done}"
    done = run("Nehalem", "from fnnet import cli; cli.main(['warmup'])", "x86-64-v3", cache)
    assert done.returncode == 2, done
    assert "x86-64-v3, which needs avx" in done.stderr.splitlines()[-1], done
    return "refused by fnnet, and by the processor"


def _tested(processor, level, cache, **chosen):
    return figures(start(processor, level, cache, **chosen), processor.lower())


def checks(cache):
    """What is checked -> a function that checks it and returns the figures; the code for each level lies in `cache`."""
    found = {"Nehalem, x86-64-v3": partial(check_levels, cache)}
    for processor, level in LEVELS.items():
        found[f"{processor}, {level}"] = partial(_tested, processor, level, cache)
        found[f"{processor}, its own choice"] = partial(_tested, processor, "", cache, **ALONE)
        found[f"{processor}, {level}, against the real processor"] = partial(same_bits, processor, level, cache)
    return found


def main(most=sys.maxsize):
    began = time.monotonic()
    if missing():
        print(f"emulated: left out, needs {missing()}: {INSTALL}")
        return aarch64.main(most)
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(2) as pool:
        for level in LEVELS.values():
            compile_for(level, cache)
        found = list(checks(cache).items())[:most]
        wrong = list(pool.map(lambda each: fails(f"emulated: {each[0]}", each[1], began), found))
    return aarch64.main(most) or any(wrong)


if __name__ == "__main__":
    sys.exit(main())
