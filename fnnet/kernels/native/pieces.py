"""Calls of compiled functions that lie in other parts: the linker joins them when the parts are loaded.

A part then compiles no function of another, and the parts compile side by side. `product(...)`, imported from here,
calls the function of that name in `kernels.signatures`, whose arguments it takes. One in LATE is called through its
pointer, which is set when its part is loaded: who calls it sees to that.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing import signature
from numba.extending import lower_builtin, type_callable

from fnnet.kernels.signatures import FUNCTIONS, LATE, Function, pointer, symbol

POINTER: Final = ir.IntType(8).as_pointer()
STATUS: Final = ir.IntType(32)
POSITIONAL: Final = Parameter.POSITIONAL_OR_KEYWORD


def numba_types(described: Function, real: Any) -> tuple[Any, ...]:
    """Return the types of a function's arguments, for `real` numbers."""
    found = []
    for kind in described.arguments.values():
        element = real if kind.dtype == "real" else getattr(types, kind.dtype)
        found.append(types.Array(element, kind.dimensions, "C") if kind.dimensions else element)
    return tuple(found)


def _elsewhere(name: str) -> Any:
    described = FUNCTIONS[name]
    reals = [place for place, kind in enumerate(described.arguments.values()) if kind.dtype == "real"]

    def call(*arguments: Any) -> Any:
        raise NotImplementedError("called from compiled code only")

    @type_callable(call)
    def typed(context: Any) -> Any:
        def typer(*given: Any) -> Any:
            real = given[reals[0]].dtype if reals else None
            return signature(types.none, *numba_types(described, real))

        typer.__signature__ = Signature(  # type: ignore[attr-defined]
            [Parameter(name, POSITIONAL) for name in described.arguments]
        )
        return typer

    @lower_builtin(call, types.VarArg(types.Any))
    def emit(context: Any, builder: Any, its: Any, args: Any) -> Any:
        words: list[Any] = []
        for kind, given in zip(its.args, args, strict=True):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, given)
                words += [builder.bitcast(array.data, POINTER), *cgutils.unpack_tuple(builder, array.shape)]
            else:
                words.append(given)
        kind = ir.FunctionType(STATUS, [word.type for word in words])
        if name in LATE:
            place = builder.load(_pointer_to(builder.module, name))
            function = builder.bitcast(place, kind.as_pointer())
        else:
            function = cgutils.get_or_insert_function(builder.module, kind, symbol(name))
        builder.call(function, words)
        return context.get_dummy_value()

    return call


def _pointer_to(module: Any, name: str) -> Any:
    """Return the variable with the address of a function in LATE, which `kernels.build` defines."""
    return module.globals.get(pointer(name)) or ir.GlobalVariable(module, POINTER, pointer(name))


product: Final = _elsewhere("product")
activate: Final = _elsewhere("activate")
sparse_layer: Final = _elsewhere("sparse_layer")
compress: Final = _elsewhere("compress")
compress_floats: Final = _elsewhere("compress_floats")
first_rows: Final = _elsewhere("first_rows")
rest_forward: Final = _elsewhere("rest_forward")
second_phase: Final = _elsewhere("second_phase")
move_gathered: Final = _elsewhere("move_gathered")
