"""The compiler, run as `python -m fnnet.kernels.build DTYPE PART...`: writes object files to standard output.

`python -m fnnet.kernels.build --ship` writes what Numba makes into the package instead, for a wheel to carry: see
`kernels.shipped`.

It runs in a process of its own with NUMBA_OPT=0: Numba only generates LLVM's intermediate code, which is then optimised
once, as a whole. Left to Numba, every function is optimised again in each function that calls it (14 s for 8).

Each module of fnnet that this process imports is part of the cache's key, `kernels.cache.SOURCES`.
"""

from __future__ import annotations

import functools
import inspect
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir

from fnnet.errors import FnnetError
from fnnet.kernels import shipped
from fnnet.kernels.machine import target
from fnnet.kernels.shortcuts import leave_work_out, texts
from fnnet.kernels.signatures import FUNCTIONS, LATE, NEEDS, PARTS, Function, pointer, symbol

STATUS, WORD, POINTER = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()

RUNTIME: Final = frozenset({"memset", "memcpy", "memmove", "bzero", "sched_yield", "SwitchToThread", "syscall"})
"""What the code may call from outside: functions of the C library only."""


def build(part: str, dtype: str, assembly: bool = False, plain: bool = False) -> bytes:
    """Return an object file, or its assembly to read, with every function of `part` compiled for `dtype`.

    What Numba makes of it is taken from `kernels.shipped` if it is there: Numba is then not imported.

    plain    without `shortcuts`.
    Raises   RuntimeError if a function's parameters are not those of `kernels.signatures`, or the code calls others.
    """
    machine = target()
    whole = _shipped(part, dtype) or numba_code(part, dtype, plain)
    whole.triple, whole.data_layout = machine.triple, str(machine.target_data)
    _optimise(whole, machine, {entry for name in PARTS[part] for entry in (f"fnnet_{name}", symbol(name))})
    whole.verify()
    known = RUNTIME | {symbol(name) for needed in NEEDS[part] for name in PARTS[needed]}
    foreign = {each.name for each in whole.functions if each.is_declaration and not each.name.startswith("llvm.")}
    if foreign - known:
        raise RuntimeError(f"the compiled code calls {', '.join(sorted(foreign - known))}")
    return machine.emit_assembly(whole).encode() if assembly else bytes(machine.emit_object(whole))


def _shipped(part: str, dtype: str) -> Any:
    """Return the module of a part that a wheel carries; None if there is none that this LLVM reads."""
    code = shipped.read(part, dtype)
    try:
        return code and binding.parse_bitcode(code)
    except RuntimeError:  # from a newer LLVM
        return None


def numba_code(part: str, dtype: str, plain: bool = False) -> Any:
    """Return what Numba makes of a part, as a module of LLVM that is not optimised yet."""
    kept = not plain and leave_work_out()

    from numba import types

    from fnnet.kernels.native.pieces import numba_types

    if plain:
        for name in FUNCTIONS:  # Numba then emits machine code, which nobody calls, and finds what it calls
            binding.add_symbol(symbol(name), 1)
    real = getattr(types, np.dtype(dtype).name)
    names, libraries = {}, []
    for name, described in PARTS[part].items():
        dispatcher = native(name, described)
        signature = numba_types(described, real)
        dispatcher.compile(signature)
        overload = dispatcher.overloads[signature]
        if overload.signature.return_type != types.none:
            raise RuntimeError(f"{name} returns {overload.signature.return_type}, not nothing")
        names[name] = overload.fndesc.llvm_func_name
        libraries.append(overload.library)
    whole = binding.parse_assembly(_entries(part, real.bitwidth, names))
    for text in texts(libraries, kept):
        whole.link_in(binding.parse_assembly(text))
    return whole


def native(name: str, described: Function) -> Any:
    """Return the native function `name`, as Numba's dispatcher.

    Raises   RuntimeError unless its parameters have the names and the order of `described`.
    """
    dispatcher = getattr(import_module(f"fnnet.kernels.native.{described.module}"), name.removesuffix("_floats"))
    found = list(inspect.signature(dispatcher.py_func).parameters)
    if found != list(described.arguments):
        raise RuntimeError(f"{name} takes {', '.join(found)}, not {', '.join(described.arguments)}")
    return dispatcher


def _entries(part: str, bits: int, names: Mapping[str, str]) -> str:
    """Return LLVM code of two functions for each of a part: that which other parts call, and the entry for Python.

    An entry takes the arguments of the first from a vector of 64-bit words. A pointer to each function in LATE that the
    part calls is null until that function is loaded.

    names   of the functions in Numba's code.
    """
    module, real = ir.Module(), ir.FloatType() if bits == 32 else ir.DoubleType()
    for name, described in PARTS[part].items():
        kinds: list[Any] = []
        for kind in described.arguments.values():
            number = real if kind.dtype == "real" else WORD
            kinds += [POINTER, *[WORD] * kind.dimensions] if kind.dimensions else [number]
        function = ir.Function(module, ir.FunctionType(STATUS, kinds), symbol(name))
        builder = ir.IRBuilder(function.append_basic_block())
        arguments = _numba_arguments(builder, described, bits // 8, function.args)
        outcome = builder.bitcast(builder.alloca(WORD, size=8), POINTER)
        numba = ir.FunctionType(STATUS, [each.type for each in (outcome, outcome, *arguments)])
        builder.ret(builder.call(ir.Function(module, numba, names[name]), [outcome, outcome, *arguments]))
        entry = ir.Function(module, ir.FunctionType(STATUS, [WORD.as_pointer()]), f"fnnet_{name}")
        builder = ir.IRBuilder(entry.append_basic_block())
        places = [builder.gep(entry.args[0], [WORD(number)]) for number in range(len(kinds))]
        words = [builder.bitcast(place, kind.as_pointer()) for place, kind in zip(places, kinds, strict=True)]
        builder.ret(builder.call(function, [builder.load(word) for word in words]))
    for name in (name for name, caller in LATE.items() if caller == part):
        ir.GlobalVariable(module, POINTER, pointer(name)).initializer = POINTER(None)
    return str(module)


def _numba_arguments(builder: Any, described: Function, real_bytes: int, given: Sequence[Any]) -> list[Any]:
    """Return the arguments of a function as Numba passes them.

    An array is its owner, twice, its elements, the bytes of one, its address, its axes, and their strides.
    """
    rest, found = iter(given), list[Any]()
    for kind in described.arguments.values():
        if not kind.dimensions:
            found.append(next(rest))
            continue
        itemsize = real_bytes if kind.dtype == "real" else np.dtype(kind.dtype).itemsize
        address, axes, strides = next(rest), [next(rest) for _ in range(kind.dimensions)], [WORD(itemsize)]
        for axis in reversed(axes[1:]):
            strides.insert(0, builder.mul(strides[0], axis))
        elements = functools.reduce(builder.mul, axes)
        found += [POINTER(None), POINTER(None), elements, WORD(itemsize), address, *axes, *strides]
    return found


def _optimise(module: Any, machine: Any, entries: set[str]) -> None:
    """Run LLVM's optimisations of level 3 over the whole module, of which only `entries` are visible outside."""
    for function in module.functions:
        if not function.is_declaration and function.name not in entries:
            function.linkage = "internal"
    options = binding.create_pipeline_tuning_options(3)
    options.loop_vectorization, options.slp_vectorization = True, False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _ship() -> None:
    """Write the code of every part, for both dtypes, for the vectors of this machine, or of the level FNNET_CPU."""
    for dtype in ("float32", "float64"):
        for part in PARTS:
            shipped.write(part, dtype, numba_code(part, dtype).as_bitcode())
    sys.stderr.write(f"written for {shipped.vectors()} to {shipped.FOLDER}\n")


def main() -> None:
    """Write object files for sys.argv's dtype and parts to standard output, to which nothing else may print.

    Each is written when it is ready, after its size as 8 bytes. With `--assembly` text to read takes their place.
    With `--ship` see `_ship`. Where `shortcuts` does not fit the Numba that is installed, a process compiles without it
    (`--plain`).
    """
    if sys.argv[1:] == ["--ship"]:
        _ship()
        return
    flags = {word for word in sys.argv[1:] if word.startswith("-")}
    dtype, *parts = [word for word in sys.argv[1:] if word not in flags] or [""]
    known = flags <= {"--assembly", "--plain"} and set(parts) <= set(PARTS)
    if dtype not in ("float32", "float64") or not parts or not known:
        sys.exit(f"error: expected float32 or float64, and parts among {', '.join(PARTS)}; or --ship alone")
    try:
        _write(dtype, parts, "--assembly" in flags, "--plain" in flags)
    except OSError as error:
        sys.exit(f"error: {error.filename or 'standard output cannot be written'}: {error.strerror}")


def _write(dtype: str, parts: Sequence[str], assembly: bool, plain: bool) -> None:
    if sys.stdout is None:  # closed by the shell: what is opened next may get its number
        sys.exit("error: standard output cannot be written: closed")
    out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(out, "wb") as file:
        for number, part in enumerate(parts):
            try:
                code = build(part, dtype, assembly, plain)
            except FnnetError:
                raise
            except Exception:
                if plain:
                    raise
                again = [sys.executable, "-m", "fnnet.kernels.build", *sys.argv[1:], "--plain"]
                again = [word for word in again if word not in parts[:number]]
                sys.exit(subprocess.run(again, stdout=file, check=False).returncode)
            file.write(code if assembly else len(code).to_bytes(8, "little") + code)
            file.flush()


if __name__ == "__main__":
    try:
        main()
    except FnnetError as error:
        sys.exit(f"error: {error}")
    sys.stderr.flush()
    os._exit(0)  # freeing what Numba made takes half a second
