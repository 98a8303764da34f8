"""The course of a training: epochs of steps by the block trainer, some in one call, until a rule ends it.

The order of the rows is that of `core.orders`, a function of the seed and the epoch. Where a batch has all rows, they
are taken as they lie.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.apps.estimator.scores import scores_of
from fnnet.core.orders import epoch_order
from fnnet.core.params import Array, Params
from fnnet.core.schedules import make_plateau
from fnnet.core.sparse_rows import SparseRows
from fnnet.core.state import Examples, TrainState
from fnnet.core.table import Kernels
from fnnet.errors import DivergedError
from fnnet.kernels.pixels import fits
from fnnet.training.blocks import make_blocks
from fnnet.training.plan import Plan, make_optimizer, schedule_of

BLOCK_SECONDS: Final = 0.1
"""About how long a block of steps may run: Ctrl-C waits for its end."""
MOST_ROWS: Final = 2**18
"""Numbers of rows in a block of several epochs, at most."""
PADDED: Final = 2_000_000
"""Multiply-adds of the rows of weight 0 that fill the last batch of an epoch, at most: they cost less than a call."""
DENSE_BYTES: Final = 2**25
"""Bytes of sparse rows that are made dense at a time, where compiled code cannot read them as they are."""


class Data(NamedTuple):
    """Rows to train on, or to validate with.

    x        (n, inputs), floats of the network's dtype.
    labels   int64 (n,), numbers of classes.
    weights  float64 (n,), above 0; None for equal ones.
    """

    x: Array | SparseRows
    labels: Array
    weights: Array | None


class Learner(NamedTuple):
    """What training goes on with.

    state    parameters, moments of the optimizer, steps made, seed.
    epochs   made.
    """

    state: TrainState
    epochs: int = 0


class Rule(NamedTuple):
    """When training ends before its last epoch.

    tol, stale   more than `stale` epochs in a row whose loss is not lower than the best by `tol`; None for never.
    patience     as many epochs in a row without a better loss on the rows for validation; None for never.
    """

    tol: float | None
    stale: int
    patience: int | None


class Course(NamedTuple):
    """What a training has made.

    learner   after its last epoch.
    params    the best, where rows for validation decide, else the last.
    losses    mean loss of each epoch, nats, each row before its step.
    scores    (loss, accuracy) on the rows for validation after each epoch.
    """

    learner: Learner
    params: Params
    losses: list[float]
    scores: list[tuple[float, float]]


def run(
    learner: Learner, data: Data, plan: Plan, rule: Rule, kernels: Kernels, *, shuffle: bool = True,
    validation: Data | None = None, first_step: int = 0,
) -> Course:  # fmt: skip
    """Train on `data` by a plan with steps until its last epoch or the rule ends it.

    first_step   of the schedule.
    Raises   DivergedError.
    """
    passes = _Passes(learner, data, plan, kernels, shuffle=shuffle, first_step=first_step)
    factor, losses, scores = make_plateau(plan.schedule), list[float](), list[tuple[float, float]]()
    each_alone = validation is not None or plan.schedule.startswith("plateau")
    best, stale = math.inf, 0
    kept, lowest, worse = learner, math.inf, 0
    while len(losses) < plan.epochs:
        ahead = 1 if each_alone else plan.epochs - len(losses)
        if rule.tol is not None:  # which ends it not earlier
            ahead = min(ahead, rule.stale - stale + 1)
        watched = [score[0] for score in scores] or losses
        made = passes.run(ahead, factor(watched))
        losses += made
        for loss in made:
            stale = 0 if rule.tol is None or loss <= best - rule.tol else stale + 1
            best = min(best, loss)
        if validation is not None:
            reached = passes.learner()
            scores.append(measured(reached.state.params, validation, plan.activation, kernels))
            worse += 1
            if scores[-1][0] < lowest:
                kept, lowest, worse = reached, scores[-1][0], 0
        if stale > rule.stale or (rule.patience is not None and worse >= rule.patience):
            break
    last = passes.learner()
    if rule.patience is None or validation is None:
        return Course(last, last.state.params, losses, scores)
    # It goes on from the best, with the moments of the best; seeds are those of the steps and epochs to come.
    going = kept.state._replace(step=last.state.step)
    return Course(Learner(going, last.epochs), kept.state.params, losses, scores)


def by_lbfgs(learner: Learner, data: Data, plan: Plan, kernels: Kernels, held: Data | None) -> Course:
    """Train by L-BFGS, which reads all rows at once; sparse ones are made dense."""
    from fnnet.training.lbfgs import minimise

    x = data.x[:] if isinstance(data.x, SparseRows) else data.x
    params, losses = minimise(
        learner.state.params, Examples(x, data.labels), iterations=plan.epochs, activation=plan.activation,
        l2=plan.weight_decay, weights=data.weights, label_smoothing=plan.label_smoothing, kernels=kernels,
    )  # fmt: skip
    if not losses:  # it was at a minimum
        losses = (measured(params, data, plan.activation, kernels)[0],)
    state = learner.state._replace(params=params, step=learner.state.step + len(losses))
    scores = [] if held is None else [measured(params, held, plan.activation, kernels)]
    return Course(Learner(state, learner.epochs + len(losses)), params, [*losses], scores)


class _Passes:
    """Passes over the rows, whose parameters stay in the block trainer."""

    def __init__(
        self, learner: Learner, data: Data, plan: Plan, kernels: Kernels, *, shuffle: bool, first_step: int
    ) -> None:
        n = len(data.labels)
        batch_size = min(plan.batch_size or n, n)
        self._learner, self._data, self._n, self._batch_size = learner, data, n, batch_size
        self._shuffle = shuffle and batch_size < n
        self._steps_per_epoch = -(-n // batch_size)
        self._schedule, self._first_step = schedule_of(plan, self._steps_per_epoch), first_step
        optimizer = make_optimizer(plan)
        self._blocks = make_blocks([learner.state], batch_size, [plan.objective], [optimizer], kernels)
        self._epoch, self._steps = learner.epochs, 0
        self._seconds = 0.0
        work = sum(layer.W.size for layer in learner.state.params.layers)
        spare = -n % batch_size
        x, labels, self._weights = data
        self._alone = isinstance(x, SparseRows) and not (kernels.compiled and fits(x))
        self._spare = 0
        if self._alone:
            return
        plain = isinstance(x, np.ndarray) and data.weights is None and 2 * n <= MOST_ROWS
        if spare and plain and kernels.compiled and 6 * spare * work <= PADDED:
            # A last row of weight 0, with which the last batch of an epoch is filled up.
            self._spare, self._weights = spare, np.append(np.ones(n), 0.0)
            x, labels = np.concatenate([np.asarray(x), x[:1]]), np.append(labels, labels[0])
        self._blocks.use(_examples(x, labels), self._weights, checked=True)

    def run(self, epochs: int, factor: float) -> list[float]:
        """Make at most `epochs` passes, as many as a block may have, at `factor` times the rates of the schedule.

        Returns   the mean loss of each.
        """
        whole = (self._batch_size == self._n or self._n % self._batch_size == 0 or self._spare) and not self._alone
        most = int(BLOCK_SECONDS / self._seconds) if self._seconds else 2
        many = max(1, min(epochs, MOST_ROWS // self._n, most)) if whole else 1
        began = time.perf_counter()
        orders = [self._order(self._epoch + number) for number in range(1, many + 1)]
        self._epoch += many
        rows = orders[0] if many == 1 else np.concatenate(orders)
        sums = [part for piece in self._pieces(rows) for part in self._run(piece, factor)]
        self._seconds = (time.perf_counter() - began) / many
        totals = np.array(sums).reshape(many, -1, 2).sum(axis=1)
        means: list[float] = (totals[:, 0] / totals[:, 1]).tolist()
        return means

    def _order(self, epoch: int) -> Array:
        rows = epoch_order(self._learner.state.seed, epoch, self._n) if self._shuffle else np.arange(self._n)
        return np.concatenate([rows, np.full(self._spare, self._n)]) if self._spare else rows

    def _pieces(self, rows: Array) -> Iterator[Array]:
        """Yield the rows of the next steps, no more than a block may have."""
        steps = -(-len(rows) // self._batch_size)
        if self._alone:
            bytes_of_step = self._batch_size * self._data.x.shape[1] * self._data.x.dtype.itemsize
            ahead = max(1, DENSE_BYTES // bytes_of_step)
        else:
            # Of the first epoch nothing is known.
            share = BLOCK_SECONDS / self._seconds if self._seconds else 2**22 / (self._n * self._data.x.shape[1])
            ahead = steps if share >= 1 else max(1, int(steps * share))
        for first in range(0, steps, ahead):
            yield rows[first * self._batch_size : (first + ahead) * self._batch_size]

    def _run(self, rows: Array, factor: float) -> Iterator[tuple[float, float]]:
        """Make the steps of a piece; yield of each batch the sums of its losses, by their weights, and of these."""
        firsts = np.arange(0, len(rows), self._batch_size)
        numbers = self._first_step + np.arange(self._steps, self._steps + len(firsts))
        self._steps += len(firsts)
        weights = None if self._weights is None else self._weights[rows]
        if self._alone:
            self._blocks.use(_examples(self._data.x[rows], self._data.labels[rows]), weights, checked=True, once=True)
            rows = np.arange(len(rows))
        (made,) = self._blocks.run(rows, factor * np.asarray(self._schedule(numbers))[None])
        if isinstance(made, DivergedError):
            raise made
        counts = np.diff(firsts, append=len(rows))
        sums = counts if weights is None else np.add.reduceat(weights, firsts)
        yield from zip((made.losses / counts * sums).tolist(), sums.tolist(), strict=True)

    def learner(self) -> Learner:
        """Return what has been learned so far."""
        return Learner(self._blocks.states()[0], self._epoch)


def _examples(x: Any, labels: Array) -> Examples:
    """Return rows that may be sparse as the block trainer takes them."""
    return Examples(x, labels)


def measured(params: Params, data: Data, activation: Any, kernels: Kernels) -> tuple[float, float]:
    """Return the mean loss in nats and the accuracy on rows, by their weights."""
    logits = scores_of(params, data.x, activation, kernels)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = kernels.operations.cross_entropy(logits, data.labels, data.weights)
    right = logits.argmax(axis=1) == data.labels
    return float(loss), float(np.average(right, weights=data.weights))
