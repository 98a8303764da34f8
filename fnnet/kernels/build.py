"""The compiler, run as `python -m fnnet.kernels.build PART DTYPE [--assembly]`: writes an object file to stdout.

It runs in a process of its own with NUMBA_OPT=0: Numba only generates LLVM's intermediate code, which is then optimised
once, as a whole. Left to Numba, every function is optimised again in each function that calls it (14 s for 8).

Each module of fnnet that this process imports is part of the cache's key, `kernels.cache.SOURCES`.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
from importlib import import_module
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir

from fnnet.kernels.machine import target
from fnnet.kernels.signatures import PARTS, Function

RUNTIME: Final = frozenset({"memset", "memcpy", "memmove", "bzero", "sched_yield", "SwitchToThread"})
"""What the code may call from outside: functions of the C library only."""


def build(part: str, dtype: str, assembly: bool = False) -> bytes:
    """Return an object file, or its assembly to read, with every function of `part` compiled for `dtype`.

    Raises   RuntimeError if a function's parameters are not those of `kernels.signatures`, or the code calls others.
    """
    from numba import types

    links = _leave_work_out()
    machine, real = target(), getattr(types, np.dtype(dtype).name)
    names, libraries = {}, []
    for name, described in PARTS[part].items():
        dispatcher = native(name, described)
        signature = []
        for kind in described.arguments.values():
            element = real if kind.dtype == "real" else getattr(types, kind.dtype)
            signature.append(types.Array(element, kind.dimensions, "C") if kind.dimensions else element)
        dispatcher.compile(tuple(signature))
        overload = dispatcher.overloads[tuple(signature)]
        names[name] = overload.fndesc.llvm_func_name
        libraries.append(overload.library)
    whole = binding.parse_assembly(_entries(part, real.bitwidth, names))
    for library in libraries if links else _all_called(libraries):
        whole.link_in(binding.parse_assembly(library.get_llvm_str()))
    _optimise(whole, machine, {f"fnnet_{name}" for name in PARTS[part]})
    whole.verify()
    foreign = {each.name for each in whole.functions if each.is_declaration and not each.name.startswith("llvm.")}
    if foreign - RUNTIME:
        raise RuntimeError(f"the compiled code calls {', '.join(sorted(foreign - RUNTIME))}")
    return machine.emit_assembly(whole).encode() if assembly else bytes(machine.emit_object(whole))


def native(name: str, described: Function) -> Any:
    """Return the native function `name`, as Numba's dispatcher.

    Raises   RuntimeError unless its parameters have the names and the order of `described`.
    """
    dispatcher = getattr(import_module(f"fnnet.kernels.native.{described.module}"), name.removesuffix("_floats"))
    found = list(inspect.signature(dispatcher.py_func).parameters)
    if found != list(described.arguments):
        raise RuntimeError(f"{name} takes {', '.join(found)}, not {', '.join(described.arguments)}")
    return dispatcher


def _leave_work_out() -> bool:
    """Keep Numba from work whose result this process throws away; return True if Numba still links each function.

    It would emit machine code for each function, and again in each that calls it: a third of the time. It would copy
    each function into each that calls it: a sixth. If Numba renames what is replaced here, compiling only takes longer.
    """
    from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary, JITCPUCodegen

    gc.set_threshold(100_000)  # collecting garbage took a sixteenth of the time
    JITCodeLibrary._finalize_specific = lambda self: None
    JITCodeLibrary.get_pointer_to_function = lambda self, name: self._ensure_finalized() or 0
    JITCPUCodegen.set_env = lambda self, name, env: None
    if not hasattr(CPUCodeLibrary, "finalize") or "_linking_libraries" not in CPUCodeLibrary.__init__.__code__.co_names:
        return True
    JITCodeLibrary.finalize = lambda self: setattr(self, "_finalized", True)
    return False


def _all_called(libraries: list[Any]) -> list[Any]:
    """Return `libraries` and all that they call, each once."""
    found = dict.fromkeys(libraries)
    waiting = list(found)
    while waiting:
        for library in waiting.pop()._linking_libraries:
            if library not in found:
                found[library] = None
                waiting.append(library)
    return list(found)


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


def main() -> None:
    """Write the object file for sys.argv's part and dtype to standard output, to which nothing else may print."""
    out = os.dup(1)
    os.dup2(2, 1)
    part, dtype, *options = sys.argv[1:]
    if part != "train" and hasattr(os, "nice"):
        os.nice(10)  # the others finish before training's part does, even at a lower priority
    with os.fdopen(out, "wb") as file:
        file.write(build(part, dtype, assembly="--assembly" in options))


if __name__ == "__main__":
    main()
