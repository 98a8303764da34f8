"""The compiler, run as `python -m fnnet.kernels.build DTYPE PART...`: writes object files to standard output.

`python -m fnnet.kernels.build --ship` writes what Numba makes into the package instead, for a wheel to carry: see
`kernels.shipped`.

It runs in a process of its own with NUMBA_OPT=0: Numba only generates LLVM's intermediate code, which is then optimised
once, as a whole. Left to Numba, every function is optimised again in each function that calls it (14 s for 8).

Each module of fnnet that this process imports is part of the cache's key, `kernels.cache.SOURCES`.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib import import_module
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir

from fnnet.kernels import shipped
from fnnet.kernels.machine import target
from fnnet.kernels.shortcuts import leave_work_out, texts
from fnnet.kernels.signatures import FUNCTIONS, NEEDS, PARTS, Function, symbol

INLINED: Final = {"infer": ("compress", "compress_floats", "product", "sparse_layer")}
"""Functions of other parts that a part has for itself, too: called for one image, they took a tenth of its time."""

RUNTIME: Final = frozenset({"memset", "memcpy", "memmove", "bzero", "sched_yield", "SwitchToThread"})
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
    from numba import types

    from fnnet.kernels.native.pieces import numba_types, result_type

    kept = not plain and leave_work_out()
    if plain:
        for name in FUNCTIONS:  # Numba then emits machine code, which nobody calls, and finds what it calls
            binding.add_symbol(symbol(name), 1)
    real = getattr(types, np.dtype(dtype).name)
    names, libraries = {}, []
    inlined = {name: FUNCTIONS[name] for name in INLINED.get(part, ())}
    for name, described in {**PARTS[part], **inlined}.items():
        dispatcher = native(name, described)
        signature = numba_types(described, real)
        dispatcher.compile(signature)
        overload = dispatcher.overloads[signature]
        if overload.signature.return_type != result_type(described):
            raise RuntimeError(f"{name} returns {overload.signature.return_type}, not {described.returns}")
        names[name] = overload.fndesc.llvm_func_name
        libraries.append(overload.library)
    whole = binding.parse_assembly(_entries(part, real.bitwidth, {name: names[name] for name in PARTS[part]}))
    for text in texts(libraries, kept):
        whole.link_in(binding.parse_assembly(text))
    for name, found in names.items():
        whole.get_function(found).name = symbol(name)
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


def _entries(part: str, bits: int, names: dict[str, str]) -> str:
    """Return LLVM code of an entry for each function, which takes its arguments from a vector of 64-bit words.

    names   of the functions in LLVM's code.
    """
    module, word, status, byte = ir.Module(), ir.IntType(64), ir.IntType(32), ir.IntType(8)
    pointer, real = byte.as_pointer(), ir.FloatType() if bits == 32 else ir.DoubleType()
    for name, described in PARTS[part].items():
        kinds: list[Any] = []
        for kind in described.arguments.values():
            if kind.dimensions:
                kinds += [pointer, pointer, word, word, pointer, *[word] * (2 * kind.dimensions)]
            else:
                kinds.append(real if kind.dtype == "real" else word)
        function = ir.Function(module, ir.FunctionType(status, [pointer, pointer, *kinds]), names[name])
        entry = ir.Function(module, ir.FunctionType(status, [word.as_pointer()]), f"fnnet_{name}")
        builder = ir.IRBuilder(entry.append_basic_block())
        outcome = builder.bitcast(builder.alloca(word, size=8), pointer)
        arguments = []
        for number, kind in enumerate(kinds):
            place = builder.gep(entry.args[0], [word(number)])
            arguments.append(builder.load(builder.bitcast(place, kind.as_pointer())))
        builder.ret(builder.call(function, [outcome, outcome, *arguments]))
    return str(module)


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
    if "--ship" in sys.argv:
        _ship()
        return
    out = os.dup(1)
    os.dup2(2, 1)
    dtype, *parts = (word for word in sys.argv[1:] if not word.startswith("--"))
    assembly, plain = "--assembly" in sys.argv, "--plain" in sys.argv
    with os.fdopen(out, "wb") as file:
        for number, part in enumerate(parts):
            try:
                code = build(part, dtype, assembly, plain)
            except Exception:
                if plain:
                    raise
                again = [sys.executable, "-m", "fnnet.kernels.build", *sys.argv[1:], "--plain"]
                again = [word for word in again if word not in parts[:number]]
                sys.exit(subprocess.run(again, stdout=file, check=False).returncode)
            file.write(code if assembly else len(code).to_bytes(8, "little") + code)
            file.flush()


if __name__ == "__main__":
    main()
