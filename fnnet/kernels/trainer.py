"""The compiled block trainer's face: parameters in flat vectors that move in place between `Trainer`'s own walls."""

from __future__ import annotations

import itertools
from typing import Final, NamedTuple

import numpy as np

from fnnet.kernels.layout import (
    BUCKETS,
    COUNTERS,
    CUT,
    PAD,
    PANEL_VECTORS,
    RULES,
    SLACK,
    SUMS_BYTES,
    UNIT_INPUTS,
    aligned,
    is_narrow,
    layout,
    pack,
    unpack,
    whole_lines,
)
from fnnet.kernels.library import library, run_team
from fnnet.kernels.machine import machine
from fnnet.kernels.pixels import Pixels
from fnnet.params import Array, Params, layer_sizes

CHUNK_ROWS: Final = 512
"""Rows that go through the network at once; a larger batch is summed chunk by chunk."""
NARROW_CHUNKS: Final = 4
"""How many times as many where every layer is narrow: its activations fit the cache, and threads meet less."""
TEAM_WORK: Final = 50_000
"""Multiply-adds of a step from which on a second thread pays: below, it waits longer than it works."""

THREADS: Final = 1
"""Which argument of `train_block` is the number of threads."""


class Outcome(NamedTuple):
    """What a block did: steps made, and for each row of its last pass the loss and whether the answer was right."""

    steps: int
    losses: Array
    right: Array


class Trainer:
    """Parameters and an optimizer's moments on their way through blocks of steps over `examples`.

    moments   what is shaped like the parameters in the optimizer's state, first `velocity` or Adam's means.
    """

    def __init__(
        self,
        params: Params,
        moments: tuple[Params, ...],
        rule: str,
        examples: tuple[Pixels, Array],
        batch_size: int,
        threads: int,
    ) -> None:
        pixels, labels = examples
        dtype = params.layers[0].W.dtype
        sizes = layer_sizes(params)
        self._rule, self._batch = RULES.index(rule), batch_size
        narrow = is_narrow(max(sizes[1:]), dtype, machine().vector_bytes)
        rows = min(batch_size, CHUNK_ROWS * (NARROW_CHUNKS if narrow else 1))
        weights = [a * b for a, b in itertools.pairwise(sizes)]
        work = rows * (pixels.density() * weights[0] + sum(weights[1:]))
        self.threads = threads if work >= TEAM_WORK else 1
        self._plan = layout(sizes, dtype, machine().vector_bytes, rows, self.threads)
        count = self._plan.parameters
        self._p = pack(params, self._plan)
        self._moments = [pack(each, self._plan) for each in moments]
        self._spare = [aligned(0, dtype) for _ in range(2 - len(moments))]
        widest = int(self._plan.shape[:, PAD].max())
        panel = PANEL_VECTORS * self._plan.lanes
        scratch = max(SUMS_BYTES // dtype.itemsize, widest, UNIT_INPUTS * panel + rows * (UNIT_INPUTS + panel))
        floats = max(4 * whole_lines(sizes[0] + SLACK), (widest + 5) * self._plan.lanes)
        self._fixed = (
            self._plan.shape,
            pixels.middle(int(self._plan.shape[0, CUT])),
            self._p,
            *self._moments,
            *self._spare,
            aligned(count if batch_size > rows else 0, dtype),
            aligned(self._plan.workspace, dtype),
            self._constants(widest),
            aligned(self.threads * whole_lines(scratch), dtype),
            aligned(self.threads * whole_lines(2 * rows + BUCKETS + 1), np.int64),
            aligned(self.threads * whole_lines(floats), dtype),
            *pixels.arguments(),
            labels,
        )
        self._rows, self._library = rows, library("train", dtype)

    def _constants(self, widest: int) -> Array:
        """Zeros for the start of sums, and behind them a one."""
        zeros = aligned(widest + 1, self._plan.dtype)
        zeros[-1] = 1
        return zeros

    def run(self, ids: Array, rates: Array) -> Outcome:
        """Train on the rows `ids`, batch by batch, and again where there are as many as a batch; `rates` (steps, 9) are
        the rule's constants at each step.

        It ends before the first step that has a loss that is not finite.
        """
        dtype, steps = self._p.dtype, len(rates)
        m = len(ids) * max(1, steps // -(-len(ids) // self._batch))
        totals, shifted, right = np.ones(m, dtype), np.zeros(m, dtype), np.zeros(m, np.uint8)
        done, counters = np.zeros(1, np.int64), aligned(COUNTERS, np.int64)
        constants = np.ascontiguousarray(rates, dtype=dtype).reshape(-1)
        calls = [
            self._library.bind(
                "train_block", rank, self.threads, counters, *self._fixed, np.ascontiguousarray(ids, np.int64),
                self._batch, self._rows, steps, self._rule, constants, totals, shifted, right, done,
            )
            for rank in range(self.threads)
        ]  # fmt: skip
        run_team(calls, THREADS)
        last = slice(-len(ids), None)
        losses: Array = np.log(totals[last]) - shifted[last]
        return Outcome(int(done[0]), losses, right[last])

    def params(self) -> Params:
        """The parameters as they are now."""
        return unpack(self._p, self._plan)

    def moments(self) -> tuple[Params, ...]:
        """The optimizer's moments as they are now."""
        return tuple(unpack(each, self._plan) for each in self._moments)

    def is_finite(self) -> bool:
        """Whether every parameter is a number."""
        # The sum is quicker, and makes no vector of answers; it may overflow though no parameter has.
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(self._p.sum()) or np.isfinite(self._p).all())
