"""Dispatch by number, generated from a table: an LLVM switch, whose default is a case of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types


def emit_switch(builder: Any, number: Any, cases: Sequence[Callable[[], None]], otherwise: Callable[[], None]) -> None:
    """Emit a switch that runs what cases[number] emits, or what `otherwise` emits if there is no such case."""
    default, after = builder.append_basic_block("default"), builder.append_basic_block("after")
    switch = builder.switch(number, default)
    for position, case in enumerate(cases):
        block = builder.append_basic_block(f"case {position}")
        switch.add_case(ir.Constant(number.type, position), block)
        builder.position_at_end(block)
        case()
        builder.branch(after)
    builder.position_at_end(default)
    otherwise()
    builder.branch(after)
    builder.position_at_end(after)


def emit_call(context: Any, builder: Any, function: Any, signature: Any, arguments: Sequence[Any]) -> None:
    """Emit a call of a compiled function that returns nothing.

    It is not inlined: a function of its own has all registers, of which its neighbours' constants would take some.
    """
    overload = function.overloads[signature.args]
    callee = context.declare_function(builder.module, overload.fndesc)
    context.add_linking_libs([overload.library])
    context.call_conv.call_function(
        builder, callee, overload.fndesc.restype, signature.args, arguments, attrs=("noinline",)
    )


def signature_of(typing: Any, function: Any, arguments: Sequence[Any]) -> Any:
    """Return the signature of a compiled function for arguments of these types, which compiles it for them."""
    return types.Dispatcher(function).get_call_type(typing, tuple(arguments), {})
