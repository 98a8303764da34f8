"""The compiled functions as machine code of our own keeping: compiled once by Numba, kept on disk, called by ctypes.

Numba turns each function of `kernels.native` into LLVM's intermediate code; that becomes one object file, which is
cached and loaded without importing Numba again. A warm start costs milliseconds, nothing is unpickled, and a call
leaves the interpreter's lock to other threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.params import Array
from fnnet.errors import FnnetError
from fnnet.kernels import cache
from fnnet.kernels.machine import machine


class Kind(NamedTuple):
    """An argument: a scalar, or an array of so many dimensions; "real" is the dtype that is compiled for."""

    dtype: str
    dimensions: int = 0


KINDS: Final = MappingProxyType(
    {
        "i": Kind("int64"),
        "r": Kind("real"),
        "R": Kind("real", 1),
        "B": Kind("uint8", 1),
        "H": Kind("uint16", 1),
        "U": Kind("uint32", 1),
        "F": Kind("float32", 1),
        "I": Kind("int64", 1),
        "D": Kind("float64", 1),
        "S": Kind("int64", 2),
    }
)

PARTS: Final = MappingProxyType(
    {
        "train": MappingProxyType({"train_block": ("block", "iiISiRRRRRDRRRIRBRUHBRIRIiiiiRiiRRBI")}),
        "augment": MappingProxyType({"deform": ("deform", "BiiiiIiiDFFiiFUBB")}),
        "infer": MappingProxyType(
            {
                "scores": ("inference", "iiISRRRBRiiIIRUHBRRI"),
                "count_nonzero": ("sparse", "BiiiI"),
                "count_nonzero_floats": ("sparse", "RiiiI"),
                "compress": ("sparse", "BiiiUHB"),
                "compress_floats": ("sparse", "RiiiUHR"),
            }
        ),
        "operations": MappingProxyType(
            {
                "product": ("products", "iiiRiiiRiiiiRiiRii"),
                "relu": ("elementwise", "RR"),
                "relu_backward": ("elementwise", "RRR"),
                "softmax": ("elementwise", "Riii"),
                "cross_entropy": ("elementwise", "RiiiIrRR"),
                "cross_entropy_backward": ("elementwise", "RiiiIRr"),
                "activate": ("activation", "iRiRii"),
                "column_sums": ("elementwise", "RiiR"),
                "update": ("elementwise", "RRrR"),
            }
        ),
    }
)
"""The parts that are compiled one beside the other: name -> (module in `kernels.native`, kinds of its arguments).
`name_floats` is `name` for floats in place of bytes."""


class Call:
    """A compiled function with its arguments in place: calling it again costs half a microsecond.

    words   the arguments as 64-bit words; `at` gives the place of each.
    """

    def __init__(self, function: Any, kinds: str, arguments: Sequence[Any], real: np.dtype[Any]) -> None:
        self._function, self._arguments, self._real = function, list(arguments), real
        words: list[int] = []
        self.at = []
        for letter, argument in zip(kinds, arguments, strict=True):
            self.at.append(len(words))
            kind = KINDS[letter]
            if kind.dimensions:
                self._check(kind, argument)
                words += [0, 0, argument.size, argument.itemsize, address(argument), *argument.shape, *argument.strides]
            elif kind.dtype == "real":
                words.append(int.from_bytes(np.asarray(argument, real).tobytes(), "little"))
            else:
                words.append(int(argument))
        self.words = (ctypes.c_int64 * len(words))(*words)
        self._pointer = ctypes.addressof(self.words)

    def _check(self, kind: Kind, array: Array) -> None:
        expected = self._real if kind.dtype == "real" else np.dtype(kind.dtype)
        if array.dtype != expected or array.ndim != kind.dimensions or not array.flags.c_contiguous:
            raise TypeError(
                f"expected contiguous {expected} ({kind.dimensions} axes), found {array.dtype} {array.shape}"
            )

    def __call__(self) -> None:
        """Run."""
        # 0 and -2 are Numba's codes for a return; the cores raise nothing.
        if self._function(self._pointer) not in (0, -2):
            raise FnnetError("a compiled kernel failed", fix="report this, with the command that showed it")


def address(array: Array) -> int:
    """Where an array's first element lies."""
    place: int = array.__array_interface__["data"][0]
    return place


class Library:
    """The compiled functions of one part for one dtype, loaded from an object file."""

    def __init__(self, code: bytes, part: str, dtype: DTypeLike) -> None:
        from llvmlite import binding

        self._dtype = np.dtype(dtype)
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target())
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        self._functions = {}
        for name, (_, kinds) in PARTS[part].items():
            place = self._engine.get_function_address(f"fnnet_{name}")
            if not place:
                raise FnnetError("the compiled code lacks a function", found=name)
            self._functions[name] = prototype(place), kinds

    def bind(self, name: str, *arguments: Any) -> Call:
        """The function `name` with its arguments in place."""
        function, kinds = self._functions[name]
        return Call(function, kinds, arguments, self._dtype)

    def run(self, name: str, *arguments: Any) -> None:
        """Call the function `name` once."""
        self.bind(name, *arguments)()


def begin_loading() -> None:
    """Load LLVM in a thread while something else is done: it takes 0.07 s. What goes wrong shows when it is used."""

    def load() -> None:
        with contextlib.suppress(Exception):
            import llvmlite.binding  # noqa: F401

    threading.Thread(target=load, daemon=True).start()


def target() -> Any:
    """LLVM's description of this machine."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    host = machine()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=host.cpu, features=host.features, opt=3, reloc="default", codemodel="jitdefault"
    )


_libraries: dict[tuple[str, str], Library] = {}
_lock = threading.Lock()


def _unlock() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # A child has but the thread that forked: one that was loading would never let go of the lock.
    os.register_at_fork(after_in_child=_unlock)


def library(part: str, dtype: DTypeLike) -> Library:
    """The compiled functions of `part` for `dtype`: from this process, else from disk, else compiled now (seconds).

    Raises   FnnetError where they cannot be compiled.
    """
    name = np.dtype(dtype).name
    found = _libraries.get((part, name))
    return found or _load([part], name)[0]


def load_all(
    dtype: DTypeLike, on_compile: Callable[[], None] = lambda: None, notify: Callable[[str], None] = lambda notice: None
) -> None:
    """Have every part for `dtype`; those that are not on disk are compiled side by side, after `on_compile`.

    notify   is told why they cannot be kept, where they cannot.
    Raises   FnnetError where they cannot be compiled, or NUMBA_DISABLE_JIT forbids it.
    """
    if (said := os.environ.get("NUMBA_DISABLE_JIT", "0")) not in ("", "0"):
        found = f"NUMBA_DISABLE_JIT={said}"
        raise FnnetError("compiled kernels are forbidden", found=found, fix="unset NUMBA_DISABLE_JIT")
    _load(list(PARTS), np.dtype(dtype).name, on_compile, notify)


def _load(
    parts: list[str], dtype: str, on_compile: Callable[[], None] = lambda: None,
    notify: Callable[[str], None] = lambda notice: None,
) -> list[Library]:  # fmt: skip
    with _lock:
        codes = {part: cache.read(cache.place(part, dtype)) for part in parts if (part, dtype) not in _libraries}
        absent = [part for part, code in codes.items() if code is None]
        if absent:
            on_compile()
        compiled = _compile(absent, dtype)
        for part, code in (codes | compiled).items():
            assert code is not None
            _libraries[part, dtype] = Library(code, part, dtype)
        _keep(compiled, dtype, notify)
        return [_libraries[part, dtype] for part in parts]


def _keep(compiled: dict[str, bytes], dtype: str, notify: Callable[[str], None]) -> None:
    """Keep what was compiled; if that cannot be, say so once."""
    try:
        for part, code in compiled.items():
            cache.write(cache.place(part, dtype), code)
    except (FnnetError, OSError) as error:
        notify(f"compiled kernels cannot be kept, each process compiles them anew: {error}")


def _compile(parts: list[str], dtype: str) -> dict[str, bytes]:
    """Compile in processes of their own: they may be interrupted, may fail, and keep their settings apart."""
    root = str(Path(__file__).resolve().parents[2])
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")])), "NUMBA_OPT": "0"}
    running = {}
    with contextlib.ExitStack() as stack:
        for part in parts:
            command, pipe = [sys.executable, "-m", "fnnet.kernels.build", part, dtype], subprocess.PIPE
            try:
                process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
            except OSError as error:
                raise FnnetError("the compiler cannot be started", found=str(error)) from None
            stack.callback(_end, process)
            running[part] = process
        return {part: _finished(process) for part, process in running.items()}


def _finished(process: subprocess.Popen[bytes]) -> bytes:
    # Pipes and no files, which need a folder to write to; the others wait with what they have to say until it is read.
    code, said = process.communicate()
    if process.returncode or not code:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise FnnetError("the kernels cannot be compiled", found=last[0])
    return code


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def run_team(calls: Sequence[Call], threads_argument: int | None = None) -> None:
    """Run calls of one function at once, a thread each; all must be running before any starts, for they wait for one
    another. Where the system gives fewer threads, the argument that tells their number is set to what there are.

    With `threads_argument` None the calls do not know of one another, and all of them run.
    """
    if len(calls) == 1:
        calls[0]()
        return
    go = threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        go.wait()
        try:
            if number < running[0]:
                calls[number]()
        except BaseException as error:
            failures.append(error)

    running = [1]
    helpers = []
    try:
        for number in range(1, len(calls)):
            helper = threading.Thread(target=work, args=(number,), daemon=True)
            helper.start()
            helpers.append(helper)
    except RuntimeError:
        if threads_argument is not None:
            for call in calls:
                call.words[call.at[threads_argument]] = len(helpers) + 1
    running[0] = len(helpers) + 1
    go.set()
    calls[0]()
    if threads_argument is None:
        for call in calls[running[0] :]:
            call()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
