"""The tests of the compiled code on emulated processors of ARM's 64-bit architecture: `python -m` this.

fnnet's own compiler compiles for them, through LLVM's target; `aarch64.c` calls the code under qemu-aarch64. The tests
and NumPy's definition run here, with a library whose calls go there: the arrays of each are copied there and back.
"""

import itertools
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from llvmlite import binding

from fnnet.kernels import machine
from tests.campaigns.levels import compile_here, environment, fails, figures
from tests.conftest import ROOT

EMULATOR, COMPILER = "qemu-aarch64", "aarch64-linux-gnu-gcc"
INSTALL = "apt-get install qemu-user gcc-aarch64-linux-gnu"
TRIPLE, ELF_MACHINE = "aarch64-linux-gnu", 183
PARTS = ("train", "clip", "augment", "operations", "quantised")
PROCESSORS = {"cortex-a72": "cortex-a72", "neoverse-v1": "max"}
"""LLVM's names of processors, and what qemu calls the nearest that it has. The second has SVE, vectors of any width."""
FILES = (
    "tests/kernels/test_block.py",
    "tests/kernels/test_kernels.py",
    "tests/kernels/test_int8.py",
    "tests/core/test_activations.py",
    "tests/core/test_deform.py",
)
WORK = """
import sys, pytest
from tests.campaigns import aarch64
processor, tests, parts, *files = sys.argv[1:]
aarch64.become(processor)
aarch64.connect(processor, parts.split())
print("on", processor, flush=True)
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", tests, *files]))
"""


def missing():
    """The first program that is not there; None if all are."""
    return next((name for name in (EMULATOR, COMPILER) if not shutil.which(name)), None)


def become(processor):
    """Let fnnet in this process compile for `processor`, as the code decides that decides on such a machine."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine.machine.cache_clear()
    with (
        mock.patch.object(platform, "machine", return_value="aarch64"),
        mock.patch.object(binding, "get_host_cpu_name", return_value=processor),
        mock.patch.object(binding, "get_host_cpu_features", binding.FeatureMap),
    ):
        chosen = machine.machine()
    options = {"cpu": chosen.cpu, "features": chosen.features, "opt": 3, "reloc": "pic", "codemodel": "small"}
    machine.target = lambda: binding.Target.from_triple(TRIPLE).create_target_machine(**options)


def connect(processor, parts):
    """Let fnnet in this process compile here and call there. After `become`: what is imported here asks the machine."""
    from fnnet.kernels import cache, library, signatures, team

    class Call(library.Call):
        """A function of `Emulated` with its arguments in place."""

        def __call__(self):
            self._function.library.run_calls([self])

        @property
        def arguments(self):
            return {name: each for name, each in self._arguments.items() if isinstance(each, np.ndarray)}

        @property
        def number(self):
            return self._function.library.names.index(self._function.name)

    class Function:
        def __init__(self, owner, name):
            self.library, self.name = owner, name

    class Emulated:
        """What takes the place of `Library`."""

        def __init__(self, dtype):
            self._dtype, self._lock = np.dtype(dtype), threading.Lock()
            compile_here(parts, [self._dtype.name])
            codes = {part: cache.read(cache.place(part, self._dtype.name)) for part in signatures.closure(parts)}
            self.names = [name for part in codes for name in signatures.PARTS[part]]
            self._folder = tempfile.TemporaryDirectory()
            late = [name for name in signatures.LATE if name in self.names]
            program = link(codes, self.names, late, Path(self._folder.name))
            command = [EMULATOR, "-cpu", PROCESSORS[processor], program]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def bind(self, name, /, **arguments):
            return Call(Function(self, name), signatures.FUNCTIONS[name].arguments, arguments, self._dtype)

        def run(self, name, /, **arguments):
            self.bind(name, **arguments)()

        def run_calls(self, calls):
            with self._lock:
                exchange(self._process, calls, library.address)

    found = {}

    def load(part, dtype):
        name = np.dtype(dtype).name
        if name not in found:
            found[name] = Emulated(name)
        return found[name]

    def run_team(calls):
        calls[0]._function.library.run_calls(calls)

    library.library, library.load_parts, team.run_team = load, lambda *arguments: None, run_team


def link(codes, names, late, folder):
    """The program that calls the functions `names` of object files, and sets the pointers to those that are `late`."""
    objects = []
    for part, code in codes.items():
        assert code[:5] == b"\x7fELF\x02", part
        assert struct.unpack_from("<H", code, 18) == (ELF_MACHINE,), part
        objects.append(folder / f"{part}.o")
        objects[-1].write_bytes(code)
    tables = {"ENTRIES": names, "LATE": late}
    lines = [f"#define {table}(EACH) {' '.join(f'EACH({name})' for name in each)}\n" for table, each in tables.items()]
    (folder / "entries.h").write_text("".join(lines))
    source, program = Path(__file__).with_suffix(".c"), folder / "program"
    command = [COMPILER, "-O1", "-Wall", "-Werror", "-static", "-pthread", f"-I{folder}", "-o", program, source]
    subprocess.run([*command, *objects], check=True)
    return program


def exchange(process, calls, address):
    """Run calls of one function at once, there, and take over what they wrote."""
    arrays = {(address(each), each.nbytes): each for call in calls for each in call.arguments.values()}
    places = list(arrays)
    spans = sorted(place for place in places if place[1])
    for (start, size), (other, _) in itertools.pairwise(spans):
        assert start + size <= other, "arrays that overlap are copied apart"
    before = [each.tobytes() for each in arrays.values()]
    parts = [np.array([calls[0].number, len(calls), len(arrays), *map(len, before)], np.int64).tobytes(), *before]
    for call in calls:
        words = np.array([(-1, word) for word in call.words], np.int64)
        for name, each in call.arguments.items():
            words[call.at[name]] = places.index((address(each), each.nbytes)), 0
        parts += [len(words).to_bytes(8, "little"), words.tobytes()]
    process.stdin.write(b"".join(parts))
    process.stdin.flush()
    *status, damaged = np.frombuffer(receive(process, 8 * len(calls) + 8), np.int64).tolist()
    # 0 and -2 are Numba's codes for a return.
    assert set(status) <= {0, -2}, status
    names = {(address(each), each.nbytes): name for name, each in calls[0].arguments.items()}
    assert damaged < 0, f"written around {names.get(places[damaged])}"
    for each, old in zip(arrays.values(), before, strict=True):
        new = receive(process, len(old))
        if new != old:
            each[...] = np.frombuffer(new, each.dtype).reshape(each.shape)


def receive(process, size):
    """The next bytes of the answer."""
    found = process.stdout.read(size)
    assert len(found) == size, f"the emulated program has ended: {process.wait()}"
    return found


def start(processor, cache, tests="", parts=PARTS, files=FILES):
    """A process that runs the tests of `files` whose names hold `tests` on code for `processor`."""
    env = environment(FNNET_CACHE=str(cache))
    env.pop("FNNET_CPU", None)
    command = [sys.executable, "-c", WORK, processor, tests, " ".join(parts), *files]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes)


def main(most=sys.maxsize):
    if missing():
        print(f"aarch64: left out, needs {missing()}: {INSTALL}")
        return False
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as cache:
        # All at once: one compiles while another waits.
        started = {name: start(name, cache) for name in list(PROCESSORS)[:most]}
        wrong = [fails(f"aarch64: {name}", partial(figures, each, name), began) for name, each in started.items()]
    return any(wrong)


if __name__ == "__main__":
    sys.exit(main())
