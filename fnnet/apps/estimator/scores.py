"""The logits of a network on dense and on sparse rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core import network
from fnnet.core.params import Array, Params
from fnnet.core.sparse_rows import SparseRows
from fnnet.core.table import NUMPY, Kernels

FEW: Final = 500_000
"""Multiply-adds of all rows up to which NumPy is quicker than packing the parameters for compiled code."""
SPARSE_ROWS: Final = 2**14
"""Sparse rows that go through the first layer at a time."""


def scores_of(params: Params, x: Array | SparseRows, activation: str, kernels: Kernels) -> Array:
    """Return the logits (n, classes) of rows of the network's dtype, by one call for it."""
    return Scorer(params, activation, kernels, len(x)).scores(x)


class Scorer:
    """A network that is ready to score rows, again and again.

    rows   of one call, about; None for any number.
    """

    def __init__(self, params: Params, activation: str, kernels: Kernels, rows: int | None = None) -> None:
        self._params, self._activation, self._kernels = params, activation, kernels
        self._work = sum(layer.W.size for layer in params.layers)
        self._compiled = kernels.predictor is not None and (rows is None or rows * self._work > FEW)
        self._dense: Any = None
        self._behind: Any = None

    def scores(self, x: Array | SparseRows) -> Array:
        """Return the logits (n, classes) of rows of the network's dtype."""
        if isinstance(x, SparseRows):
            return np.concatenate([self._of_sparse(x, first) for first in range(0, len(x), SPARSE_ROWS)])
        if not self._compiled:
            return self._by_numpy(self._params, x)
        if self._dense is None:
            self._dense = self._ready(self._params)
        found: Array = self._dense(x)
        return found

    def _ready(self, params: Params) -> Any:
        assert self._kernels.predictor
        ready = self._kernels.predictor(params, self._kernels.threads, self._activation)
        return lambda x: ready.scores(np.ascontiguousarray(x))[0]

    def _by_numpy(self, params: Params, x: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return network.scores(params, x, self._activation, NUMPY.operations)

    def _of_sparse(self, x: SparseRows, first: int) -> Array:
        """Return the logits of some sparse rows: the first layer by SciPy, which reads what is kept alone."""
        from scipy.sparse import csr_array

        part = x if len(x) <= SPARSE_ROWS else x.taken(slice(first, first + SPARSE_ROWS))
        (W, b), *others = self._params.layers
        z = csr_array((part.values, part.indices, part.indptr), shape=part.shape) @ W + b
        if not others:
            return np.asarray(z)
        behind = Params(tuple(others))
        a = NUMPY.operations.activations[self._activation].value(z)
        if not self._compiled:
            return self._by_numpy(behind, a)
        if self._behind is None:
            self._behind = self._ready(behind)
        found: Array = self._behind(a)
        return found
