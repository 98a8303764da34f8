"""The compiled block trainer's face: parameters in flat vectors that move in place between `Trainer`'s own walls."""

from __future__ import annotations

import itertools
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array, Params, layer_sizes
from fnnet.kernels.layout import (
    BUCKETS,
    CLIP,
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


class Work(NamedTuple):
    """What a trainer is built for.

    rule        one of RULES, on moments that are shaped like the parameters, and `averages` whether their last is the
                parameters' average.
    dropped     of each hidden layer, how many of 65,536 units dropout leaves out.
    clips       whether gradients may be clipped.
    density     about the share of inputs that are not zero.
    """

    batch_size: int
    rule: str
    averages: bool
    activation: str
    dropped: tuple[int, ...]
    clips: bool
    density: float
    seed: int


class Trainer:
    """Parameters and an optimizer's moments on their way through blocks of steps."""

    def __init__(self, params: Params, moments: tuple[Params, ...], work: Work, threads: int) -> None:
        dtype = params.layers[0].W.dtype
        sizes = layer_sizes(params)
        self._work, self._rule = work, RULES.index(work.rule)
        narrow = is_narrow(max(sizes[1:]), dtype, machine().vector_bytes)
        rows = min(work.batch_size, CHUNK_ROWS * (NARROW_CHUNKS if narrow else 1))
        weights = [a * b for a, b in itertools.pairwise(sizes)]
        self.threads = threads if rows * (work.density * weights[0] + sum(weights[1:])) >= TEAM_WORK else 1
        self._plan = layout(
            sizes, dtype, machine().vector_bytes, rows, self.threads, activation=work.activation, dropped=work.dropped
        )
        count = self._plan.parameters
        self._p = pack(params, self._plan)
        self._moments = [pack(each, self._plan) for each in moments]
        *trees, average = self._moments if work.averages else (*self._moments, aligned(0, dtype))
        spare = [aligned(0, dtype) for _ in range(2 - len(trees))]
        pads = self._plan.shape[:, PAD]
        widest, panel = int(pads.max()), PANEL_VECTORS * self._plan.lanes
        scratch = max(SUMS_BYTES // dtype.itemsize, widest, UNIT_INPUTS * panel + rows * (UNIT_INPUTS + panel))
        floats = max(4 * whole_lines(sizes[0] + SLACK), (widest + 7) * self._plan.lanes)
        self._fixed = (
            self._p,
            *trees,
            *spare,
            aligned(count if work.clips or work.batch_size > rows else 0, dtype),
            average,
            np.zeros(int(pads.sum()) if work.clips else 0),
            aligned(self._plan.workspace, dtype),
            self._constants(widest),
            aligned(self.threads * whole_lines(scratch), dtype),
            aligned(self.threads * whole_lines(2 * rows + BUCKETS + 1), np.int64),
            aligned(self.threads * whole_lines(floats), dtype),
        )
        self._rows, self._library = rows, library("train", dtype)

    def _constants(self, widest: int) -> Array:
        """Zeros for the start of sums, and behind them a one."""
        zeros = aligned(widest + 1, self._plan.dtype)
        zeros[-1] = 1
        return zeros

    def run(
        self, examples: tuple[Pixels, Array], ids: Array, shares: Array, constants: Array, first_step: int
    ) -> Outcome:
        """Train on the rows `ids`, batch by batch, and again where there are as many as a batch.

        examples     rows, and labels int64 (n,).
        shares       of each of the ids in the mean loss of its batch, float64.
        constants    (steps, CONSTANTS), what each step takes.
        first_step   the number of the first step, which the dropout masks are drawn for.

        It ends before the first step that has a loss that is not finite.
        """
        pixels, labels = examples
        ids, shares = np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(shares, self._p.dtype)
        dtype, steps = self._p.dtype, len(constants)
        # A limit that is too small for the dtype is still one; 0 would be none.
        limits = constants[:, CLIP]
        constants = constants.astype(dtype)
        constants[(limits > 0) & (constants[:, CLIP] == 0), CLIP] = np.finfo(dtype).smallest_subnormal
        m = len(ids) * max(1, steps // -(-len(ids) // self._work.batch_size))
        totals, shifted, right = np.ones(m, dtype), np.zeros(m, dtype), np.zeros(m, np.uint8)
        done, counters = np.zeros(1, np.int64), aligned(COUNTERS, np.int64)
        middle = pixels.middle(int(self._plan.shape[0, CUT]))
        calls = [
            self._library.bind(
                "train_block", rank, self.threads, counters, self._plan.shape, middle, *self._fixed,
                *pixels.arguments(), labels, shares, ids,
                self._work.batch_size, self._rows, steps, self._rule,
                constants.reshape(-1), self._work.seed, first_step,
                totals, shifted, right, done,
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
