"""The compiled kernels' code, as Numba compiles it. Only `kernels.build` imports this, in a process of its own."""

from __future__ import annotations

from typing import Any, Final

from numba import njit

OPTIONS: Final = {
    "error_model": "numpy",
    "nogil": True,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""Options of every compiled function. Division by zero gives infinity as in NumPy; nothing is allocated; no fastmath: a
multiply-add is written where it is meant, so the same code gives the same bits whatever is vectorised."""


def compiled(function: Any) -> Any:
    """Compile `function` with the options of every compiled function."""
    return njit(**OPTIONS)(function)


def inlined(function: Any) -> Any:
    """Compile `function` as `compiled` does, but into each function that calls it."""
    return njit(**OPTIONS, forceinline=True)(function)
