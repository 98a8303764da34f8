"""Compiled scores of int8: the twin of `core.int8.scores`, whose bits they have."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core.int8 import Quantised
from fnnet.core.params import Array
from fnnet.kernels.int8_layout import COLUMN_AT, GROUPS, PAD, W_AT, int8_layout, pack_weights
from fnnet.kernels.layout import aligned, whole_lines
from fnnet.kernels.predictor import TEAM_WORK
from fnnet.kernels.row_predictor import RowPredictor

UNIT_ROWS: Final = 96
"""Rows that go through the network at once: whole tiles of 4 and of 6 rows."""
SHORTER: Final = 4
"""A multiply-add of bytes takes this much less time than one of float32."""


class Int8Predictor(RowPredictor):
    """An int8 network ready to predict: a row with an input beyond the limit has no scores."""

    def __init__(self, quantised: Quantised, threads: int) -> None:
        layers = quantised.layers
        sizes = (len(layers[0].W), *(layer.b.size for layer in layers))
        work = SHORTER * TEAM_WORK
        super().__init__(sizes, np.float32, threads, "quantised", "scores_int8", UNIT_ROWS, work)
        plan = self._plan = int8_layout(self.sizes)
        weights = aligned(plan.weights, np.int8)
        sums, scales = aligned(plan.columns, np.int32), aligned(plan.columns, np.float32)
        biases = aligned(plan.columns, np.float64)
        for layer, row in zip(layers, plan.shape.tolist(), strict=True):
            W, scale, b = layer
            pad, groups, units = row[PAD], row[GROUPS], slice(row[COLUMN_AT], row[COLUMN_AT] + b.size)
            pack_weights(W, weights[row[W_AT] :], pad, groups)
            sums[units], scales[units], biases[units] = W.sum(axis=0, dtype=np.int32), scale, b
        self._network = {
            "shape": plan.shape,
            "weights": weights,
            "column_sums": sums,
            "scales": scales,
            "biases": biases,
            "slope": quantised.slope,
            "limit": quantised.limit,
            "code_line": plan.codes_line,
            "z_line": plan.floats_line,
        }

    def _arguments(self, rows: int, threads: int) -> dict[str, Any]:
        return {**self._network, **self._buffers(rows, threads)}

    def _buffers(self, rows: int, threads: int) -> dict[str, Array]:
        """Return the arguments that are the workspace, for each thread a part."""
        codes, each = rows * self._plan.codes_line, whole_lines(rows)
        return {
            "codes_all": aligned(threads * whole_lines(codes), np.uint32),
            "lists_all": aligned(threads * whole_lines(codes), np.uint32),
            "counts_all": aligned(threads * each, np.int64),
            "row_scales_all": aligned(threads * each, np.float32),
            "zeros_all": aligned(threads * each, np.int32),
            "z_all": aligned(threads * whole_lines(rows * self._plan.floats_line), np.float32),
        }
