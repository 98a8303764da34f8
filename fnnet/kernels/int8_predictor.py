"""Compiled scores of int8: the twin of `core.int8.scores`, whose bits they have."""

from __future__ import annotations

import itertools
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.int8 import Quantised
from fnnet.core.params import Array
from fnnet.kernels.int8_layout import COLUMN_AT, GROUPS, PAD, W_AT, int8_layout, pack_weights
from fnnet.kernels.layout import COUNTERS, aligned, whole_lines
from fnnet.kernels.library import Call, library
from fnnet.kernels.predictor import TEAM_WORK
from fnnet.kernels.team import run_team

UNIT_ROWS: Final = 96
"""Rows that go through the network at once: whole tiles of 4 and of 6 rows."""
SHORTER: Final = 4
"""A multiply-add of bytes takes this much less time than one of float32."""


class _Place(NamedTuple):
    """Buffers for one row and its scores, with calls that have them as arguments."""

    as_bytes: Array
    as_floats: Array
    logits: Array
    best: Array
    call_bytes: Call
    call_floats: Call


class Int8Predictor:
    """An int8 network ready to predict. Calls from several threads do not disturb one another."""

    def __init__(self, quantised: Quantised, threads: int) -> None:
        layers = quantised.layers
        self.sizes = (len(layers[0].W), *(layer.b.size for layer in layers))
        self._threads, self._work = threads, sum(a * b for a, b in itertools.pairwise(self.sizes))
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
        self._library = library("quantised", np.float32)
        self._places: list[_Place] = []

    def scores(self, x: Array) -> tuple[Array, Array]:
        """Return logits (n, classes), and the best class of each row (n,), -1 where an input is beyond the limit.

        x   (n, inputs), contiguous, uint8 or float32.
        """
        n = len(x)
        logits, best = np.empty((n, self.sizes[-1]), np.float32), np.empty(n, np.int64)
        if n == 1:
            place = self._score_one(x)
            logits[...], best[...] = place.logits, place.best
            self._places.append(place)
            return logits, best
        threads = max(1, min(self._threads, -(-n // UNIT_ROWS), n * self._work // (SHORTER * TEAM_WORK)))
        counters, shared = aligned(COUNTERS, np.int64), self._buffers(min(UNIT_ROWS, n), threads)
        run_team([self._bind(rank, threads, counters, shared, x, logits, best) for rank in range(threads)])
        return logits, best

    def best(self, x: Array) -> Array:
        """Return only the best class of each row."""
        if len(x) > 1:
            return self.scores(x)[1]
        place = self._score_one(x)
        found = place.best.copy()
        self._places.append(place)
        return found

    def _score_one(self, x: Array) -> _Place:
        """Score one row in buffers that no other call is using; the caller gives them back."""
        try:
            place = self._places.pop()
        except IndexError:
            place = self._place()
        is_bytes = x.dtype.itemsize == 1
        (place.as_bytes if is_bytes else place.as_floats)[...] = x
        (place.call_bytes if is_bytes else place.call_floats)()
        return place

    def _place(self) -> _Place:
        """Return buffers for one more row at a time."""
        shared, counters = self._buffers(1, 1), aligned(COUNTERS, np.int64)
        as_bytes, as_floats = (np.zeros((1, self.sizes[0]), dtype) for dtype in (np.uint8, np.float32))
        logits, best = np.zeros((1, self.sizes[-1]), np.float32), np.zeros(1, np.int64)
        calls = [self._bind(0, 1, counters, shared, x, logits, best) for x in (as_bytes, as_floats)]
        return _Place(as_bytes, as_floats, logits, best, *calls)

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

    def _bind(
        self, rank: int, threads: int, counters: Array, shared: dict[str, Array], x: Array, logits: Array, best: Array
    ) -> Call:
        is_bytes = x.dtype == np.uint8
        return self._library.bind(
            "scores_int8",
            **self._network,
            **shared,
            rank=rank,
            threads=threads,
            counters=counters,
            x_bytes=x.reshape(-1) if is_bytes else np.empty(0, np.uint8),
            x_floats=np.empty(0, np.float32) if is_bytes else x.reshape(-1),
            n=len(x),
            unit_rows=UNIT_ROWS,
            logits=logits.reshape(-1),
            best=best,
        )
