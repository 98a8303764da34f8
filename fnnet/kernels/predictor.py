"""Compiled inference: a network packed once, then scores of one row in microseconds or of many by a team of threads."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array, Params, layer_sizes
from fnnet.kernels.layout import BLOCK, BUCKETS, COUNTERS, PAD, SLACK, aligned, layout, whole_lines
from fnnet.kernels.library import Call, library
from fnnet.kernels.machine import machine
from fnnet.kernels.pack import pack
from fnnet.kernels.pixels import MAX_SPARSE_INPUTS
from fnnet.kernels.team import run_team

UNIT_ROWS: Final = 64
"""Rows that go through the network at once."""
TEAM_WORK: Final = 4_000_000
"""The fewest multiply-adds for a second thread: starting one takes about 100 us."""


class _Place(NamedTuple):
    """Buffers for one row and its scores, with calls that have them as arguments."""

    as_bytes: Array
    as_floats: Array
    logits: Array
    best: Array
    call_bytes: Call
    call_floats: Call


class Predictor:
    """A network ready to predict. Calls from several threads do not disturb one another."""

    def __init__(self, params: Params, threads: int, activation: str = "relu") -> None:
        self.sizes = layer_sizes(params)
        self.dtype = params.layers[0].W.dtype
        self._threads, self._work = threads, sum(a * b for a, b in itertools.pairwise(self.sizes))
        plan = partial(layout, self.sizes, self.dtype, machine().vector_bytes, activation=activation)
        self._plan, self._one = plan(UNIT_ROWS), plan(1)
        self._p = pack([params], self._plan)
        self._library = library("infer", self.dtype)
        self._places: list[_Place] = []

    def scores(self, x: Array) -> tuple[Array, Array]:
        """Return logits (n, classes), and the best class of each row (n,), -1 where a score is NaN.

        x   (n, inputs), contiguous, uint8 or floats of the parameters' dtype.
        """
        n = len(x)
        logits, best = np.empty((n, self.sizes[-1]), self.dtype), np.empty(n, np.int64)
        if n == 1:
            place = self._score_one(x)
            logits[...], best[...] = place.logits, place.best
            self._places.append(place)
            return logits, best
        threads = max(1, min(self._threads, -(-n // UNIT_ROWS), n * self._work // TEAM_WORK))
        counters, shared = aligned(COUNTERS, np.int64), self._buffers(UNIT_ROWS, threads)
        calls = [self._bind(rank, threads, counters, shared, x, logits, best, UNIT_ROWS) for rank in range(threads)]
        run_team(calls)
        return logits, best

    def best(self, x: Array) -> Array:
        """Return only the best class of each row; for one row twice as fast as `scores`."""
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
        inputs, shared = self.sizes[0], self._buffers(1, 1)
        as_bytes, as_floats = np.zeros((1, inputs), np.uint8), np.zeros((1, inputs), self.dtype)
        counters = aligned(COUNTERS, np.int64)
        logits, best = np.zeros((1, self.sizes[-1]), self.dtype), np.zeros(1, np.int64)
        calls = [self._bind(0, 1, counters, shared, x, logits, best, 1) for x in (as_bytes, as_floats)]
        return _Place(as_bytes, as_floats, logits, best, *calls)

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

    def _bind(
        self, rank: int, threads: int, counters: Array, shared: dict[str, Array],
        x: Array, logits: Array, best: Array, rows: int,
    ) -> Call:  # fmt: skip
        is_bytes = x.dtype == np.uint8
        return self._library.bind(
            "scores",
            **shared,
            rank=rank,
            threads=threads,
            counters=counters,
            shape=(self._plan if rows > 1 else self._one).shape,
            parameters=self._p,
            x_bytes=x.reshape(-1) if is_bytes else np.empty(0, np.uint8),
            x_floats=np.empty(0, self.dtype) if is_bytes else x.reshape(-1),
            n=len(x),
            unit_rows=rows,
            logits=logits.reshape(-1),
            best=best,
        )
