"""Rows of mostly zeros, of which only the other numbers are kept, in the three arrays of CSR."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnnet.core.params import Array


class SparseRows:
    """Rows (n, columns): row i has `values[indptr[i] : indptr[i + 1]]` in the columns `indices`, which ascend.

    Blocks of training steps take them in place of an array; indexed by rows, it gives these as an array.

    >>> rows = SparseRows(np.array([0, 1, 3]), np.array([2, 0, 1]), np.array([5.0, 6.0, 7.0]), 3)
    >>> rows.shape, rows[::-1].tolist()
    ((2, 3), [[6.0, 7.0, 0.0], [0.0, 0.0, 5.0]])
    """

    ndim = 2

    def __init__(self, indptr: Array, indices: Array, values: Array, columns: int) -> None:
        self.indptr, self.indices, self.values = indptr, indices, values
        self.shape = (len(indptr) - 1, columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        return self.values.dtype

    @property
    def density(self) -> float:
        """The fraction of numbers that are kept."""
        return len(self.values) / max(1, self.shape[0] * self.shape[1])

    def __getitem__(self, rows: Any) -> Array:
        """Return some rows as an array (m, columns)."""
        some = self.taken(rows)
        found = np.zeros(some.shape, self.dtype)
        found[np.repeat(np.arange(len(some)), np.diff(some.indptr)), some.indices] = some.values
        return found

    def taken(self, rows: Any) -> SparseRows:
        """Return some rows, numbered by an array or a slice."""
        starts, stops = self.indptr[:-1][rows], self.indptr[1:][rows]
        counts = stops - starts
        indptr = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
        return SparseRows(indptr, self.indices[places], self.values[places], self.shape[1])
