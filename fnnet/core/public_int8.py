"""What `core.public` calls for int8: a network, and rows that are checked once."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import numpy as np

from fnnet.core import int8
from fnnet.core.check_network import as_stored, check_finite_input
from fnnet.core.network import BYTES
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params
from fnnet.core.table import Kernels
from fnnet.errors import UsageError

FLOAT: Final = np.dtype(np.float32)
CHUNK: Final = 1024
"""Rows that NumPy scores at a time, in float64."""


class Int8Network:
    """A checked int8 network, and what scores its rows: NumPy, or compiled code with the same bits.

    Raises   UsageError for a network that has no int8 form: see `int8.quantise`.
    """

    def __init__(self, params: Params, formula: str | Activation, kernels: Kernels) -> None:
        self._quantised = int8.quantise(params, formula)
        self._first = Params((params.layers[0],))
        self._ready = kernels.int8(self._quantised, kernels.threads) if kernels.int8 else None

    def scores(self, x: Any) -> Array:
        """Return the logits of rows that are checked, float32 (n, classes)."""
        return self._scored(x)[0]

    def best(self, x: Any) -> Array:
        """Return the class of the highest score of each row, int64 (n,), the first of equals; scores are finite."""
        if not self._ready:
            return self._scored(x)[1]
        rows = as_stored(x, self._first, FLOAT)
        best: Array = self._ready.best(rows)
        if best[0] < 0 or (len(best) > 1 and best.min() < 0):
            self._refuse(x, rows)
        return best

    def _scored(self, x: Any) -> tuple[Array, Array]:
        rows = as_stored(x, self._first, FLOAT)
        if self._ready:
            logits, best = self._ready.scores(rows)
            if best.min() < 0:
                self._refuse(x, rows)
            return logits, best
        if rows.dtype != BYTES and not np.abs(rows).max() <= self._quantised.limit:
            self._refuse(x, rows)
        logits = np.concatenate(
            [int8.scores(self._quantised, rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK)]
        )
        return logits, logits.argmax(axis=1)

    def _refuse(self, given: Any, rows: Array) -> NoReturn:
        """Raise UsageError for the first number that is not finite, or too large, with its row and column."""
        check_finite_input(given, self._first)
        limit = self._quantised.limit
        row, column = divmod(int((np.abs(rows) > limit).argmax()), rows.shape[1])
        place, expected = f"row {row}, column {column}", f"at most {limit:.3g} in magnitude"
        raise UsageError("x is too large for int8", place=place, expected=expected, found=rows[row, column])
