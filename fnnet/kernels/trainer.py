"""Python wrapper of the compiled block trainer; it owns the flat parameter vectors that training updates in place.

It trains one network, or a few whose first layers lie side by side: see `layout.side_by_side`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array, Params, layer_sizes
from fnnet.core.shards import ALONE, Ranks, merges, waiting
from fnnet.kernels.layout import (
    BLOCK,
    BUCKETS,
    CLIP,
    COUNTERS,
    CUT,
    DENSE,
    FAILED,
    FIRST_PANEL,
    IN,
    LISTED,
    LISTS,
    PAD,
    PANEL_VECTORS,
    READS,
    RULES,
    SLACK,
    SLEPT,
    SUMS_BYTES,
    UNIT_INPUTS,
    aligned,
    is_narrow,
    layout,
    round_up,
    whole_lines,
)
from fnnet.kernels.library import Call, library
from fnnet.kernels.machine import machine
from fnnet.kernels.pace import NEVER, Measured, Pace
from fnnet.kernels.pack import pack, unpack
from fnnet.kernels.pixels import Pixels
from fnnet.kernels.shared_steps import MARK, SharedSteps
from fnnet.kernels.team import run_team

CHUNK_ROWS: Final = 512
"""Rows that go through the network at once; a larger batch is summed chunk by chunk."""
NARROW_CHUNKS: Final = 4
"""Factor of CHUNK_ROWS if every layer is narrow: activations then fit the cache, and threads wait less often."""
TEAM_WORK: Final = 50_000
"""The fewest multiply-adds of a step for a second thread: below, it waits longer than it works."""

LEAST_READS, MOST_READS, READ_TERMS = 200_000, 4_000_000, 12
"""Reads of a barrier before a thread sleeps, at least (about 0.15 milliseconds) and at most, and multiply-adds of a
step for each: about as long as the step takes, since one that slept is late by 0.1 to 0.2 milliseconds. With a tenth of
the least, threads of a quiet machine slept so often that one trained alone, and 784-10-10 took 1.3 of the time; with
the most, 784-10-10 beside two busy loops took 1.1 of it."""


class Outcome(NamedTuple):
    """Result of a block.

    steps    made with all networks.
    losses   of each network for each row of the last pass, (networks, rows); the next run writes over it.
    right    1 for a correct prediction, likewise.
    failed   networks whose loss in the step after these is not finite.
    """

    steps: int
    losses: Array
    right: Array
    failed: tuple[int, ...] = ()


class Work(NamedTuple):
    """What a trainer is built for.

    shards      parts of a batch, whose gradients are summed in a tree, rounded to `message_bits`.
    rule        one of RULES, whose moments are shaped like the parameters.
    averages    True if the last of the moments is the average of the parameters.
    dropped     units of 65,536 that dropout leaves out, for each hidden layer.
    clips       True if gradients may be clipped.
    density     about the fraction of nonzero inputs.
    """

    batch_size: int
    shards: int
    message_bits: int
    rule: str
    averages: bool
    activation: str
    dropped: tuple[int, ...]
    clips: bool
    density: float
    seed: int


class Trainer:
    """Parameters and moments of networks that see the same batches, which blocks of steps move.

    networks   parameters, and the trees that the optimizer remembers, of each.
    ranks      processes that share the shards of each batch.
    """

    def __init__(
        self,
        networks: Sequence[tuple[Params, tuple[Params, ...]]],
        work: Work,
        threads: int,
        ranks: Ranks = ALONE,
    ) -> None:
        params = networks[0][0]
        dtype = params.layers[0].W.dtype
        sizes = layer_sizes(params)
        self._work, self._rule, self._ranks = work, list(RULES).index(work.rule), ranks
        narrow = is_narrow(max(sizes[1:]), dtype, machine().vector_bytes)
        rows = min(work.batch_size, CHUNK_ROWS * (NARROW_CHUNKS if narrow else 1))
        weights = [a * b for a, b in itertools.pairwise(sizes)]
        terms = len(networks) * rows * (work.density * weights[0] + sum(weights[1:]))
        self.threads = threads if terms >= TEAM_WORK else 1
        self._reads = min(max(LEAST_READS, int(terms) // READ_TERMS), MOST_READS)
        self._plan = layout(
            sizes, dtype, machine().vector_bytes, rows, self.threads, activation=work.activation, dropped=work.dropped,
            networks=len(networks),
        )  # fmt: skip
        count = self._plan.parameters
        if ranks.size > 1:
            count = whole_lines(count + MARK)
        self._p = pack([each for each, _ in networks], self._plan)
        self._moments = [pack(trees, self._plan) for trees in zip(*(moments for _, moments in networks), strict=True)]
        *trees, average = self._moments if work.averages else (*self._moments, aligned(0, dtype))
        if len(trees) != RULES[work.rule]:
            raise TypeError(f"{work.rule} remembers {RULES[work.rule]} trees, found {len(trees)}")
        first_moment, second_moment = (*trees, *(aligned(0, dtype) for _ in range(2 - len(trees))))
        pads = self._plan.shape[:, PAD]
        widest, panel = int(max(pads.max(), self._plan.whole[PAD])), PANEL_VECTORS * self._plan.lanes
        own = ranks.own(work.shards)
        levels = waiting(own, work.shards)
        level = whole_lines(max(SUMS_BYTES // dtype.itemsize, widest, UNIT_INPUTS * panel))
        scratch = levels * level + rows * max(FIRST_PANEL * self._plan.lanes, UNIT_INPUTS + panel)
        floats = max(4 * whole_lines(sizes[0] + SLACK), (widest + 7) * self._plan.lanes)
        self._fixed = {
            "whole": self._plan.whole,
            "shape": self._plan.shape,
            "networks": len(networks),
            "parameters": self._p,
            "first_moment": first_moment,
            "second_moment": second_moment,
            "gradient": self._gradients(levels if self._keeps(rows) else 0, count),
            "average": average,
            "norms": np.zeros(int(pads.sum()) if work.clips else 0),
            "work": aligned(self._plan.workspace, dtype),
            "zeros": self._zeros(widest),
            "scratch_all": aligned(self.threads * whole_lines(scratch), dtype),
            "order_all": aligned(self.threads * whole_lines(2 * rows + BUCKETS + 1), np.int64),
            "floats_all": aligned(self.threads * whole_lines(floats), dtype),
            **self._lists(rows, own[1] - own[0]),
            "batch": work.batch_size,
            "shards": work.shards,
            "own_shard": own[0],
            "own_stop": own[1],
            "merges": np.array(merges(own, work.shards)),
            "levels": levels,
            "level": level,
            "bits": work.message_bits,
            "chunk_rows": rows,
            "rule": self._rule,
            "seed": work.seed,
        }
        self._library = library("train", dtype)
        if work.clips or ranks.size > 1:
            library("clip", dtype)
        self.pace = Pace(self.threads)
        self._kept: tuple[Array, Array, Array] | None = None
        self._halves: tuple[Pixels, int] | None = None

    def _lists(self, rows: int, shards: int) -> dict[str, Array]:
        """Return arrays for the lists of the rows where each input is not zero; empty where they do not pay.

        An odd number of cache lines each: lists as far apart as a divisor of a page would share few sets of the cache.
        """
        whole, capacity = self._plan.whole, (-(-rows // 16) | 1) * 16
        inputs = round_up(int(whole[IN]), BLOCK)
        groups = max(1, self.threads // (2 if whole[CUT] < whole[IN] else 1))
        pays = self._work.density < DENSE and whole[PAD] >= LISTED * self._plan.lanes * groups
        inputs = inputs if pays and inputs * max(capacity, 4 * shards) <= LISTS else 0
        return {
            "numbers": aligned(inputs * capacity, np.uint16, zero=False),
            "reals": aligned(inputs * capacity, self._plan.dtype, zero=False),
            "ends": aligned(shards * inputs, np.int64),
        }

    def _gradients(self, kept: int, length: int) -> Array:
        dtype = self._plan.dtype
        if self._ranks.size > 1 and (given := self._ranks.vectors(length, dtype, self._work.shards)) is not None:
            return given.reshape(-1)
        return aligned(kept * length, dtype)

    def _keeps(self, rows: int) -> bool:
        """Return True if sums are kept in memory, and do not all move their weights at once."""
        return self._work.clips or self._ranks.size > 1 or self._work.batch_size > rows

    def _zeros(self, widest: int) -> Array:
        """Return zeros for the start of sums, and behind them a one."""
        zeros = aligned(widest + 1, self._plan.dtype)
        zeros[-1] = 1
        return zeros

    def run(
        self, examples: tuple[Pixels, Array], ids: Array, shares: Array, constants: Array, first_step: int
    ) -> Outcome:
        """Train on the rows `ids`, batch by batch, and from their start again until all steps are made.

        examples     rows, and labels int64 (n,).
        shares       weight of each of the ids in the mean loss of its batch, float64.
        constants    the constants of each network's steps, (networks, steps, CONSTANTS); (1, ...) if they share them.
        first_step   the number of the first step, for which its dropout masks are drawn.

        It ends before the first step with a loss that is not finite.
        """
        pixels, labels = examples
        ids, shares = np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(shares, self._p.dtype)
        dtype, networks, steps = self._p.dtype, self._plan.networks, constants.shape[1]
        # A limit too small for the dtype remains one; 0 would mean none.
        limits = constants[..., CLIP]
        constants = constants.astype(dtype)
        constants[(limits > 0) & (constants[..., CLIP] == 0), CLIP] = np.finfo(dtype).smallest_subnormal
        m = len(ids) * max(1, steps // -(-len(ids) // self._work.batch_size))
        totals, shifted, right = self._marks(m)
        done, counters = np.zeros(1, np.int64), aligned(COUNTERS, np.int64)
        given = self._fixed | {
            "threads": self.threads,
            "counters": counters,
            "begin": 0,
            "end": steps,
            "sleeps": NEVER,
            "middle": self._middle(pixels),
            **pixels.arguments(),
            "labels": labels,
            "shares": shares,
            "ids": ids,
            "steps": steps,
            "constants": constants.reshape(-1),
            "apart": constants[0].size if len(constants) > 1 else 0,
            "first_step": first_step,
            "totals": totals.reshape(-1),
            "shifted": shifted.reshape(-1),
            "right": right.reshape(-1),
            "done": done,
        }
        calls = [self._library.bind("train_block", rank=rank, **given) for rank in range(self.threads)]
        if self._ranks.size > 1:
            self._run_shared(calls, given)
            self._gather(m, totals, shifted, right)
        else:
            self._run_turns(calls, counters, done, steps)
        failed: tuple[int, ...] = ()
        if done[0] < steps:
            at = slice(int(done[0]) * self._work.batch_size, None)
            unfit = ~np.isfinite(np.log(totals[:, at]) - shifted[:, at]).all(axis=1)
            failed = tuple(np.flatnonzero(unfit).tolist()) or tuple(range(networks))
        last = slice(-len(ids), None)
        losses: Array = np.log(totals[:, last], out=totals[:, last])
        losses -= shifted[:, last]
        return Outcome(int(done[0]), losses, right[:, last], failed)

    def _marks(self, m: int) -> tuple[Array, Array, Array]:
        """Return where each network writes of m rows the sum and the maximum of its softmax, and if it was right.

        The arrays of the run before, where they fit: memory that each epoch takes and gives back, the system zeros
        each time, which was 3 % of an epoch of 784-10-10.
        """
        shape = (self._plan.networks, m)
        if self._kept is None or self._kept[0].shape != shape:
            self._kept = np.empty(shape, self._p.dtype), np.empty(shape, self._p.dtype), np.empty(shape, np.uint8)
        for array, value in zip(self._kept, (1, 0, 0), strict=True):
            array[:] = value
        return self._kept

    def _middle(self, pixels: Pixels) -> int:
        """Return `pixels.middle`, which is looked for once."""
        if self._halves is None or self._halves[0] is not pixels:
            self._halves = pixels, pixels.middle(int(self._plan.shape[0, CUT]))
        return self._halves[1]

    def _run_turns(self, calls: Sequence[Call], counters: Array, done: Array, steps: int) -> None:
        """Run the calls until all steps are made or one is not, with as many threads as bring the most."""
        while done[0] < steps and not counters[FAILED]:
            begin, turn = int(done[0]), self.pace.turn(steps - int(done[0]))
            team = calls[: turn.threads]
            for call in team:
                places = {"threads": turn.threads, "begin": begin, "end": begin + turn.steps, "sleeps": turn.sleeps}
                for name, value in places.items():
                    call.words[call.at[name]] = value
            counters[:] = 0
            counters[READS] = self._reads
            start, computed = time.perf_counter(), time.thread_time()
            run_team(team)
            seconds, computing = time.perf_counter() - start, time.thread_time() - computed
            self.pace.note(Measured(int(done[0]) - begin, seconds, computing, int(counters[SLEPT])))

    def _run_shared(self, calls: Sequence[Call], given: Mapping[str, Any]) -> None:
        """Run the calls, a step at a time, each with the shards of all ranks, until one step is not made by a rank."""
        done, steps = given["done"], given["steps"]
        shared = SharedSteps(self._ranks, self._library, self.threads, given, self._plan.parameters)
        for step in range(steps):
            for call in calls:
                call.words[call.at["begin"]], call.words[call.at["end"]] = step, step + 1
            given["counters"][:] = 0
            given["counters"][READS] = self._reads
            run_team(calls)
            if not shared.move(step, failed=done[0] == step):
                done[0] = step
                return

    def _gather(self, m: int, *marks: Array) -> None:
        """Fill in what other ranks have of each row."""
        places = self._ranks.rows(m, self._work.batch_size, self._work.shards)
        own = places[self._ranks.rank]
        for rank, found in enumerate(self._ranks.gather([each[:, own] for each in marks])):
            for array, part in zip(marks, found, strict=True):
                array[:, places[rank]] = part

    @property
    def vectors(self) -> list[Array]:
        """The parameters of all networks, and each of their moments, of one length: training changes them in place."""
        return [self._p, *self._moments]

    def params(self) -> tuple[Params, ...]:
        """Return the current parameters of each network."""
        return unpack(self._p, self._plan)

    def moments(self) -> tuple[tuple[Params, ...], ...]:
        """Return the optimizer's current moments of each network."""
        trees = [unpack(each, self._plan) for each in self._moments]
        return tuple(zip(*trees, strict=True)) or ((),) * self._plan.networks

    def is_finite(self) -> bool:
        """Return True if every parameter is finite."""
        # The sum is quicker and allocates nothing; it may overflow even if all parameters are finite.
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(self._p.sum()) or np.isfinite(self._p).all())
