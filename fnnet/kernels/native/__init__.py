"""The compiled kernels' code, as Numba compiles it. Only `kernels.library` imports this, and only to compile."""

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
"""Options of every core. Division by zero gives infinity as in NumPy; nothing is allocated; no fastmath: a multiply-add
is written where it is meant, so the same code gives the same bits whatever is vectorised."""


def core(function: Any) -> Any:
    """Compile `function` with the options of every core."""
    return njit(**OPTIONS)(function)
