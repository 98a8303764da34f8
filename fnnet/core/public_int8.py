"""The door to `core.int8`: a network in whole numbers, ready to score rows that are checked once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core import int8, notes
from fnnet.core.check_network import check_finite_input, check_input
from fnnet.core.network import BYTES
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params
from fnnet.core.table import Kernels
from fnnet.errors import UsageError

CHUNK: Final = 1024
"""Rows that NumPy scores at a time, in float64."""


class Whole:
    """A checked network in whole numbers, and what scores its rows: NumPy, or compiled code with the same bits.

    Raises   UsageError for a network that has no int8 form: see `int8.quantise`.
    """

    def __init__(self, params: Params, formula: str | Activation, kernels: Kernels) -> None:
        if not isinstance(formula, str):
            expected = " or ".join(int8.SLOPES)
            raise UsageError("activation has no int8 form", expected=expected, found="an Activation of your own")
        self._quantised = int8.quantise(params, formula)
        self._first = Params((params.layers[0],))
        self._ready = kernels.whole(self._quantised, kernels.threads) if kernels.whole else None

    def scores(self, x: Any) -> Array:
        """Return the logits of rows that are checked, float32 (n, classes)."""
        rows = self._checked(x)
        if self._ready:
            logits: Array = self._ready.scores(rows)[0]
            return logits
        each = [int8.scores(self._quantised, rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK)]
        return each[0] if len(each) == 1 else np.concatenate(each)

    def best(self, x: Any) -> Array:
        """Return the class of the highest score of each row, int64 (n,), the first of equals; scores are finite."""
        best: Array = self._ready.best(self._checked(x)) if self._ready else self.scores(x).argmax(axis=1)
        return best

    def _checked(self, x: Any) -> Array:
        """Return x as contiguous bytes or float32, which no value of the network overflows for."""
        given = x
        plain = type(x) is np.ndarray and (x.dtype is BYTES or x.dtype == np.float32) and x.flags.c_contiguous
        if not (plain and x.ndim == 2 and x.shape[1] == len(self._first.layers[0].W) and len(x)):
            given = x = check_input(x, self._first)
            with np.errstate(over="ignore"):
                x = np.ascontiguousarray(x, dtype=BYTES if x.dtype == BYTES else np.float32)
        elif x.dtype is not BYTES and next(notes.turns):
            notes.note_pixels(x)
        limit = self._quantised.limit
        if x.dtype != BYTES and not (x.max() <= limit and x.min() >= -limit):
            check_finite_input(given, self._first)
            wrong = np.abs(x) > limit
            row, column = divmod(int(wrong.argmax()), x.shape[1])
            place, expected = f"row {row}, column {column}", f"at most {limit:.3g} in magnitude"
            raise UsageError("x is too large for int8", place=place, expected=expected, found=given[row, column])
        stored: Array = x
        return stored
