"""Work of Numba that the compiler leaves out, because its result is thrown away or is known already.

Left to itself Numba emits machine code for each function, and again in each that calls it (a third of the time), copies
each into each that calls it (a sixth), parses, checks and prints its intermediate code several times (a tenth), and
finds the type of `int64 + int64` again at each place (a tenth). Where Numba renames what is replaced here, compiling
only takes longer.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

NEEDLESS: Final = frozenset(
    {
        "AnnotateTypes",
        "DumpParforDiagnostics",
        "FindLiterallyCalls",
        "InlineClosureLikes",
        "InlineInlinables",
        "InlineOverloads",
        "LiteralPropagationSubPipelinePass",
        "LiteralUnroll",
        "MakeFunctionToJitFunction",
        "NoPythonSupportedFeatureValidation",
        "RewriteDynamicRaises",
        "WithLifting",
    }
)
"""Passes for context managers, closures, raised exceptions, inlined and literal arguments, parallel loops, reports."""


@functools.cache
def leave_work_out() -> bool:
    """Keep Numba from needless work in this process, once.

    Return True if libraries keep their code as `texts` reads it.
    """
    for name in ("scipy", "coverage"):  # Numba looks for them; importing them took a fifth of a second
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    from numba.core.codegen import JITCodeLibrary, JITCPUCodegen

    gc.disable()  # collecting garbage took a tenth of the time
    _leave_passes_out()
    _load_registries_once()
    _remember_types()
    JITCodeLibrary._finalize_specific = lambda self: None
    JITCodeLibrary.get_pointer_to_function = lambda self, name: self._ensure_finalized() or 0
    JITCPUCodegen.set_env = lambda self, name, env: None
    return _keep_texts()


def texts(libraries: Iterable[Any], kept: bool) -> Iterator[str]:
    """Return the intermediate code of these libraries and, if it is `kept` apart, of all that they call, each once."""
    if not kept:
        yield from (library.get_llvm_str() for library in libraries)
        return
    found = dict.fromkeys(libraries)
    waiting = list(found)
    while waiting:
        for library in waiting.pop()._linking_libraries:
            if library not in found:
                found[library] = None
                waiting.append(library)
    for library in found:
        yield from library.kept_texts


def _keep_texts() -> bool:
    """Keep each function's code as Numba wrote it, rather than parsed, checked and linked with what it calls."""
    from numba.core import cgutils
    from numba.core.codegen import CodeLibrary, CPUCodeLibrary, JITCodeLibrary

    made = getattr(CPUCodeLibrary.__init__, "__code__", None)
    known = made and {"_linking_libraries", "_final_module", "_shared_module"} <= set(made.co_names)
    if not known or not all(hasattr(CPUCodeLibrary, name) for name in ("add_ir_module", "finalize")):
        return False

    def make(self: Any, codegen: Any, name: str) -> None:
        CodeLibrary.__init__(self, codegen, name)
        self._linking_libraries, self.kept_texts = [], []

    def keep(self: Any, module: Any) -> None:
        self.kept_texts.append(cgutils.normalize_ir_text(str(module)))

    CPUCodeLibrary.__init__, CPUCodeLibrary.add_ir_module = make, keep
    CPUCodeLibrary._ensure_finalized = lambda self: None
    JITCodeLibrary.finalize = lambda self: setattr(self, "_finalized", True)
    return True


def _leave_passes_out() -> None:
    """Leave out passes over the code that change nothing: they look for what the kernels do not contain."""
    from numba.core.compiler import DefaultPassBuilder
    from numba.core.compiler_machinery import PassManager

    define = DefaultPassBuilder.define_nopython_pipeline

    def fewer(state: Any, name: str = "nopython") -> Any:
        whole = define(state, name)
        kept = PassManager(name)
        kept.passes = [each for each in whole.passes if each[0].__name__ not in NEEDLESS]
        kept.finalize()
        return kept

    DefaultPassBuilder.define_nopython_pipeline = staticmethod(fewer)


def _load_registries_once() -> None:
    """Let Numba import the modules that register implementations once: it imported them 1,400 times.

    What these modules register later, as intrinsics do, is still looked for each time.
    """
    from numba.core.cpu import CPUContext

    load, loaded = CPUContext.load_additional_registries, list[Any]()

    def once(self: Any) -> None:
        if not any(registries is self._registries for registries in loaded):
            loaded.append(self._registries)
            load(self)
        for registry in list(self._registries):
            self.install_registry(registry)

    CPUContext.load_additional_registries = once


def _remember_types() -> None:
    """Remember the types of calls of Numba's own functions: 5,600 of 5,900 had been found before."""
    from numba.core.types.functions import BaseFunction

    find, found = BaseFunction.get_call_type, {}

    def remembered(self: Any, context: Any, args: Any, kws: Any) -> Any:
        key = self, tuple(args), tuple(sorted(dict(kws).items()))
        if key not in found:
            found[key] = find(self, context, args, kws)
        return found[key]

    BaseFunction.get_call_type = remembered  # type: ignore[method-assign]
