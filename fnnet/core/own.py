"""Functions of the user's own, which fnnet calls: they cannot change what they are given, and keep what they return."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fnnet.core.checks import as_array
from fnnet.core.params import Array, Params, each
from fnnet.core.state import Moments
from fnnet.errors import LONGEST, FnnetError, UsageError

REFUSAL: Final = re.compile(
    r"(assignment destination|((put: |putmask: )?output |sort |partition |buffer source |underlying )?array|out"
    r"|operand array with iterator write flag set|WRITEBACKIFCOPY base|array to be byte-swapped) is read-only"
    r"|cannot modify read-only memory|.*must be read-write bytes-like object, not numpy\.ndarray"
    r"|(?s:.*)Cannot modify readonly array of type: (?s:.*)"
)
"""The words of NumPy, Python's buffers and Numba where a function writes into an array that is read-only.

np.dot and the `out` of random generators name several reasons in one sentence: those errors stay NumPy's.
"""


def call_own(problem: str, function: Callable[..., Any], *given: Any) -> Any:
    """Return what the user's `function` makes of read-only copies; UsageError with the `problem` if it writes there.

    All else that it raises is its own.
    """
    try:
        return function(*map(read_only, given))
    except Exception as error:
        if isinstance(error, FnnetError) or not (words := REFUSAL.fullmatch(str(error))):
            raise
        expected = "a function that leaves its arguments as they are"
        fix = "make a new array, or write into a copy, as z.copy() makes it"
        found = words[0] if len(words[0]) < LONGEST else "a compiled function that writes into an argument"
        raise UsageError(problem, expected=expected, found=found, fix=fix) from None


def read_only(value: Any) -> Any:
    """Return `value` with read-only copies in the place of NumPy's arrays, in the forms that trees usually have.

    Copies, not views: a view can be made writable again, and a function may use an array that it returned once more.
    """
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.setflags(write=False)
        return copy
    if isinstance(value, Moments):
        return value._replace(trees=read_only(value.trees))
    if isinstance(value, Params):
        return each(read_only, value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(read_only, value))
    if type(value) in (tuple, list):
        return type(value)(map(read_only, value))
    return {name: read_only(item) for name, item in value.items()} if type(value) is dict else value


class Own:
    """A function of the user's own activation, whose result has the shape and the dtype of z, else UsageError.

    It is given copies, and its result is copied: it may write into an array that it keeps, however it does so, and
    changes nothing that fnnet holds. NaN in z is NaN in the result, as it is in fnnet's activations: a function that
    makes a number of it, as np.where(z > 0, z, 0) does, would hide NaN in the input.
    """

    __slots__ = ("_function", "_name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name, self._function = name, function

    def __call__(self, *given: Array) -> Array:
        """Return the function's value at z, or at da and z."""
        z, problem = given[-1], f"{self._name} of the activation"
        made = call_own(problem, self._function, *given)
        made = as_array(problem, made, "fc" if z.dtype.kind == "c" else "f", "floats")
        if made.shape != z.shape:
            raise UsageError(problem, expected=f"the shape of z, {z.shape}", found=made.shape)
        result: Array = made.astype(z.dtype)
        if (unknown := np.isnan(z)).any():
            result[unknown] = np.nan
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self._function == other._function

    def __hash__(self) -> int:
        return hash(self._function)
