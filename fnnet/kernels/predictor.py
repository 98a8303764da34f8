"""Compiled inference: a network packed once, then scores of one row in microseconds or of many by a team of threads."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array, Params, layer_sizes
from fnnet.kernels.layout import BLOCK, BUCKETS, DENSE, PAD, SLACK, Layout, aligned, layout, whole_lines
from fnnet.kernels.machine import machine
from fnnet.kernels.pack import pack
from fnnet.kernels.pixels import MAX_SPARSE_INPUTS
from fnnet.kernels.row_predictor import RowPredictor

UNIT_ROWS: Final = 64
"""Rows that go through the network at once."""
TEAM_WORK: Final = 1_000_000
"""The fewest multiply-adds for a second thread: waking one takes about 10 us."""

SEARCH: Final = {True: (0.1, 0.55), False: (1.2, 1.4)}
"""What finding the nonzero inputs of bytes and of floats costs, on machines that can `compress` and on others.

Divided by the vectors of columns, it is how far below DENSE the share of nonzero inputs has to be for a search to pay:
measured with 10 to 300 columns and a fifth to a third of the inputs nonzero, on AVX-512, AVX2 and SSE.
"""


class Predictor(RowPredictor):
    """A network of floats ready to predict: a row whose scores have a NaN among them has none."""

    def __init__(self, params: Params, threads: int, activation: str = "relu") -> None:
        dtype = params.layers[0].W.dtype
        super().__init__(layer_sizes(params), dtype, threads, "infer", "scores", UNIT_ROWS, TEAM_WORK)
        plan = partial(layout, self.sizes, self.dtype, machine().vector_bytes, activation=activation)
        self._plan, self._one = plan(UNIT_ROWS), plan(1)
        self._p = pack([params], self._plan)
        self._dense_from = dense_from(self._plan)

    def _arguments(self, rows: int, threads: int) -> dict[str, Any]:
        plan = self._plan if rows > 1 else self._one
        given = {"shape": plan.shape, "parameters": self._p, "dense_from": self._dense_from}
        return given | self._buffers(rows, threads)

    def _buffers(self, rows: int, threads: int) -> dict[str, Array]:
        """Return the arguments that are the workspace, zeros, ids, and the sparse rows of one unit for each thread."""
        # Hidden units that are 0 are skipped too, row by row: see `few_forward`.
        inputs, plan = self.sizes[0], self._plan if rows > 1 else self._one
        widest = max((size for size in self.sizes[:-1] if size <= MAX_SPARSE_INPUTS), default=0)
        places = whole_lines(max(rows * (inputs + SLACK), widest + SLACK)) if inputs <= MAX_SPARSE_INPUTS else 0
        starts = max(rows * (-(-inputs // BLOCK) + 1), -(-widest // BLOCK) + 1)
        return {
            "work_all": aligned(threads * whole_lines(plan.workspace), self.dtype),
            "zeros": aligned(int(plan.shape[:, PAD].max()), self.dtype),
            "ids": np.arange(rows),
            "order_all": aligned(threads * whole_lines(2 * rows + BUCKETS + 1), np.int64),
            "floats_all": aligned(threads * 4 * whole_lines(inputs + SLACK), self.dtype),
            "starts_all": aligned(threads * whole_lines(starts), np.uint32),
            "indices_all": aligned(threads * places, np.uint16, zero=False),
            "codes_all": aligned(threads * places, np.uint8, zero=False),
            "values_all": aligned(threads * places, self.dtype, zero=False),
        }


def dense_from(plan: Layout) -> Array:
    """Return the number of nonzero inputs from which many rows of bytes, and of floats, are better not searched.

    A search costs as much as a part of a vector of columns, whatever their number.
    """
    inputs, vectors = plan.sizes[0], int(plan.shape[0, PAD]) // plan.lanes
    shares = [max(0.0, DENSE - cost / vectors) for cost in SEARCH[machine().compress]]
    return np.array([math.ceil(share * inputs) for share in shares], np.int64)
