"""Compiled kernels: built once by Numba, cached as object files, called through ctypes.

Numba turns each function of `kernels.native` into LLVM's intermediate code; a part becomes one object file, which is
cached and loaded without importing Numba again. A warm start takes milliseconds, nothing is unpickled, and a call
releases the global interpreter lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.params import Array
from fnnet.errors import FnnetError
from fnnet.kernels import cache
from fnnet.kernels.machine import target
from fnnet.kernels.signatures import LATE, PARTS, Argument, closure, pointer, symbol
from fnnet.threads import Lock

RETURNED: Final = (0, -2)  # Numba's codes for a return
"""What a compiled function returns: anything else is `failed`."""


class Call:
    """A compiled function with its arguments in place: calling it again takes half a microsecond.

    words   the arguments as 64-bit words; at[name] is the first word of an argument.
    """

    def __init__(
        self, function: Any, signature: Mapping[str, Argument], arguments: dict[str, Any], real: np.dtype[Any]
    ) -> None:
        if arguments.keys() != signature.keys():
            found = ", ".join(sorted(arguments.keys() ^ signature.keys()))
            raise TypeError(f"missing or unknown arguments of a compiled function: {found}")
        # Kept, or the arrays could be freed while their addresses are in use.
        self._function, self._arguments, self._signature, self._real = function, arguments, signature, real
        words: list[int] = []
        self.at: dict[str, int] = {}
        for name, argument in ((name, arguments[name]) for name in signature):
            self.at[name] = len(words)
            words += self.words_of(name, argument)
        self.words = (ctypes.c_int64 * len(words))(*words)
        self._pointer = ctypes.addressof(self.words)
        self.held: Mapping[str, Any] = {}

    def words_of(self, name: str, argument: Any) -> list[int]:
        """Return the words of an argument; TypeError for an array of another dtype or number of axes."""
        kind = self._signature[name]
        if kind.dimensions:
            self._check(name, kind, argument)
            return [address(argument), *argument.shape]
        if kind.dtype == "real":
            return [int.from_bytes(np.asarray(argument, self._real).tobytes(), "little")]
        return [int(argument)]

    def _check(self, name: str, kind: Argument, array: Array) -> None:
        expected = self._real if kind.dtype == "real" else np.dtype(kind.dtype)
        if array.dtype != expected or array.ndim != kind.dimensions or not array.flags.c_contiguous:
            raise TypeError(
                f"{name}: expected contiguous {expected} ({kind.dimensions} axes), found {array.dtype} {array.shape}"
            )

    def __call__(self) -> None:
        """Run."""
        if self._function(self._pointer) not in RETURNED:
            raise failed()

    @property
    def bare(self) -> tuple[Callable[[int], int], int]:
        """The function and its argument, to call it without a frame of Python; see RETURNED."""
        return self._function, self._pointer


def put(calls: Sequence[Call], arguments: Mapping[str, Any]) -> None:
    """Put other arguments in the places of those of calls of one function, which then hold them; none lets them go.

    Raises   TypeError as `Library.bind`.
    """
    for call in calls:
        # A thread that is still running when another is interrupted has the calls, and so what it writes to.
        call.held = arguments
    for name, argument in arguments.items():
        for number, word in enumerate(calls[0].words_of(name, argument), calls[0].at[name]):
            for call in calls:
                call.words[number] = word


def failed() -> FnnetError:
    """Return the error of a compiled function that returned none of RETURNED: it raises nothing."""
    return FnnetError("a compiled kernel failed", fix="report this, with the command that showed it")


def address(array: Array) -> int:
    """Return where an array's first element lies in memory."""
    place: int = array.__array_interface__["data"][0]
    return place


class Library:
    """The compiled functions for one dtype, of the parts that have been loaded from their object files."""

    def __init__(self, dtype: DTypeLike) -> None:
        from llvmlite import binding

        self._dtype = np.dtype(dtype)
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target())
        self._functions: dict[str, tuple[Any, Mapping[str, Argument]]] = {}
        self.parts: frozenset[str] = frozenset()

    def add(self, codes: Mapping[str, bytes]) -> None:
        """Load the object files of parts, which call one another and parts that were loaded before."""
        from llvmlite import binding

        for code in codes.values():
            self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        for part in codes:
            for name, described in PARTS[part].items():
                place = self._engine.get_function_address(f"fnnet_{name}")
                if not place:
                    raise FnnetError("the compiled code lacks a function", found=name)
                self._functions[name] = prototype(place), described.arguments
        for name in LATE.keys() & self._functions.keys():
            if variable := self._engine.get_global_value_address(pointer(name)):
                ctypes.c_void_p.from_address(variable).value = self._engine.get_function_address(symbol(name))
        self.parts |= codes.keys()

    def bind(self, name: str, /, **arguments: Any) -> Call:
        """Return the function `name` with its arguments in place.

        Raises   TypeError unless they are those of `kernels.signatures`, each of its dtype and number of axes.
        """
        function, signature = self._functions[name]
        return Call(function, signature, arguments, self._dtype)

    def run(self, name: str, /, **arguments: Any) -> None:
        """Call the function `name` once."""
        self.bind(name, **arguments)()


def begin_loading() -> None:
    """Load LLVM and what calls it in a thread, which takes 0.07 s; a failure is reported where LLVM is used."""

    def load() -> None:
        with contextlib.suppress(Exception):
            from fnnet.kernels import compiled, deform, pixels, predictor, trainer  # noqa: F401

            target()
            cache.place("train", "float32")

    threading.Thread(target=load, daemon=True).start()


_libraries: dict[str, Library] = {}
_lock: Final = Lock()


def library(part: str, dtype: DTypeLike) -> Library:
    """Return the functions for `dtype`, `part` and what it needs among them.

    They come from this process, else from disk, else they are compiled now (seconds).

    Raises   FnnetError if they cannot be compiled.
    """
    name = np.dtype(dtype).name
    found = _libraries.get(name)
    return found if found and part in found.parts else _load([part], name)


def load_parts(
    parts: Sequence[str],
    dtype: DTypeLike,
    on_compile: Callable[[], None] = lambda: None,
    notify: Callable[[str], None] = lambda notice: None,
    on_part: Callable[[float], None] = lambda done: None,
) -> None:
    """Load `parts`, and what they need; those that are not on disk are compiled side by side, after `on_compile`.

    notify    is called with the reason if they cannot be kept.
    on_part   is called with the fraction of the work that is done, after each part.
    Raises   FnnetError if they cannot be compiled, or NUMBA_DISABLE_JIT forbids it.
    """
    _check_allowed()
    _load(parts, np.dtype(dtype).name, on_compile, notify, on_part)


def keep_parts(
    parts: Sequence[str],
    dtype: DTypeLike,
    folder: Path | None,
    on_compile: Callable[[], None],
    notify: Callable[[str], None],
    on_part: Callable[[float], None],
) -> list[Path]:
    """Compile those of `parts`, and of what they need, that are not in `folder`, and keep them there; load none.

    Other arguments and errors are those of `load_parts`.
    Returns  the files.
    """
    _check_allowed()
    name = np.dtype(dtype).name
    places = {part: cache.place(part, name, folder) for part in closure(parts)}
    with _lock.held():
        absent = [part for part, place in places.items() if cache.read(place) is None]
        if absent:
            on_compile()
        _keep(_compile(absent, name, on_part), name, notify, folder)
    return [place for place in places.values() if place]


def possible() -> bool:
    """Return True unless it is clear without compiling that NumPy will compute: forbidden, or not installed."""
    try:
        _check_allowed()
        from importlib import metadata

        for name in ("numba", "llvmlite"):
            metadata.version(name)
    except (FnnetError, ImportError):
        return False
    return True


def _check_allowed() -> None:
    if (value := os.environ.get("NUMBA_DISABLE_JIT", "0")) not in ("", "0"):
        found = f"NUMBA_DISABLE_JIT={value}"
        raise FnnetError("compiled kernels are forbidden", found=found, fix="unset NUMBA_DISABLE_JIT")


def _load(
    parts: Sequence[str], dtype: str, on_compile: Callable[[], None] = lambda: None,
    notify: Callable[[str], None] = lambda notice: None, on_part: Callable[[float], None] = lambda done: None,
) -> Library:  # fmt: skip
    with _lock.held():
        known = _libraries.get(dtype)
        wanted = [part for part in closure(parts) if not (known and part in known.parts)]
        codes = {part: cache.read(cache.place(part, dtype)) for part in wanted}
        absent = [part for part, code in codes.items() if code is None]
        if absent:
            on_compile()
        compiled = _compile(absent, dtype, on_part)
        loaded = known or Library(dtype)
        loaded.add({part: code for part, code in (codes | compiled).items() if code is not None})
        _libraries[dtype] = loaded
        _keep(compiled, dtype, notify)
        return loaded


def _compile(parts: Sequence[str], dtype: str, on_part: Callable[[float], None]) -> dict[str, bytes]:
    if not parts:
        return {}
    from fnnet.kernels.compiler import compile_parts

    found = compile_parts(parts, dtype, on_part)
    cache.check_sources()
    return found


def _keep(compiled: dict[str, bytes], dtype: str, notify: Callable[[str], None], folder: Path | None = None) -> None:
    """Keep what was compiled; if that is not possible, notify once."""
    try:
        for part, code in compiled.items():
            cache.write(cache.place(part, dtype, folder), code)
    except (FnnetError, OSError) as error:
        notify(f"compiled kernels cannot be kept, each process compiles them again: {error}")
