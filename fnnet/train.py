"""Training: one step as the equations say, a block of steps, and epochs as a generator of reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet import metrics, rng
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.network import (
    Examples,
    as_input,
    check_activation,
    check_input,
    check_labels,
    check_params,
    forward,
    loss,
    loss_and_grads,
)
from fnnet.optim import SGD, Moments, Optimizer, check_learning_rate
from fnnet.params import Array, Params

BLOCK_SECONDS: Final = 0.1
"""About how long a block of steps may run: Ctrl-C, the progress bar and the check for divergence wait for its end."""


class TrainState(NamedTuple):
    """All that training carries from one step to the next."""

    params: Params
    optimizer_state: Any
    step: int
    seed: int
    scheme: str = rng.SCHEME


class Plan(NamedTuple):
    """How to train. `batch_size` None takes all images in every step; a report comes every `report_every` epochs."""

    epochs: int
    batch_size: int | None
    learning_rate: float
    activation: str = "relu"
    report_every: int = 1


class EpochReport(NamedTuple):
    """Where training stands. The keys of `epochs` in the JSON document.

    epoch          passes over the training images so far.
    seconds        training alone since the last report, without evaluation.
    train_loss, train_accuracy   mean over the last pass, each image as it was met, before its step.
    dev_loss, dev_accuracy       over the dev images with the parameters as they are now; None without dev images.
    learning_rate  of the last step.
    """

    epoch: int
    seconds: float
    train_loss: float
    train_accuracy: float
    dev_loss: float | None
    dev_accuracy: float | None
    learning_rate: float


class Progress(NamedTuple):
    """What `epochs` tells after each block: images of this pass so far with their loss sum and right answers."""

    epoch: int
    images: int
    loss_sum: float
    correct: int


def start(params: Params, seed: int, *, optimizer: Optimizer = SGD) -> TrainState:
    """The state before the first step."""
    return TrainState(params, optimizer.init(params), 0, rng.check_seed(seed))


def train_step(
    state: TrainState,
    x: Any,
    labels: Any,
    learning_rate: float,
    *,
    activation: str = "relu",
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> tuple[TrainState, float, int]:
    """Forward, backward, update on one batch: the next state, the batch's mean loss and its right answers before it."""
    learning_rate = check_learning_rate(learning_rate)
    activations = forward(state.params, x, activation=activation, kernels=kernels)
    mean_loss, grads = loss_and_grads(state.params, activations, labels, kernels=kernels)
    params, optimizer_state = optimizer.update(state.params, grads, state.optimizer_state, learning_rate, kernels)
    correct = int(np.count_nonzero(activations.logits.argmax(axis=1) == np.asarray(labels)))
    return state._replace(params=params, optimizer_state=optimizer_state, step=state.step + 1), mean_loss, correct


def train_block(
    state: TrainState,
    examples: Examples,
    rows: Array | None,
    batch_size: int,
    learning_rate: float,
    *,
    activation: str = "relu",
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> tuple[TrainState, float, int]:
    """A run of steps over the examples numbered `rows` (m,), `batch_size` at a time; the last batch may be smaller.
    With `rows` None it is one step over all examples as they lie, whatever `batch_size`.

    With NumPy's kernels this is the loop over `train_step`. Compiled kernels run it as one call, and equal the loop
    within rounding: the same bits whatever their number of threads.

    Returns  the state, the sum of the m losses and the number of right answers.
    Raises   DivergedError at the first step whose loss is not finite, or for weights that are not finite after the
             last; it names the step and the layer. UsageError for a batch size or rows that cannot be.
    """
    _check_count("batch_size", batch_size, 1)
    x, labels = np.asarray(examples.x), np.asarray(examples.labels)
    if rows is None:
        examples, batch_size = Examples(x, labels), max(1, len(x))
    else:
        rows = _check_rows(rows, min(len(x), len(labels)))
        examples, rows = Examples(x[rows], labels[rows]), np.arange(len(rows))
    blocks = _blocks(state, examples, batch_size, activation, optimizer, kernels)
    loss_sum, correct = blocks.run(rows, check_learning_rate(learning_rate))
    return blocks.state(), loss_sum, correct


class _Loop:
    """Blocks of steps by their definition, the loop over `train_step`."""

    def __init__(
        self, state: TrainState, examples: Examples, batch_size: int, activation: str, optimizer: Optimizer,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        self._state, self._examples, self._batch_size = state, examples, batch_size
        self._options: dict[str, Any] = {"activation": activation, "optimizer": optimizer, "kernels": kernels}

    def run(self, rows: Array | None, learning_rate: float, passes: int = 1) -> tuple[float, int]:
        """Train on the examples numbered `rows`, or `passes` times on all as they lie: the sum of the last pass's
        losses, and how many of its answers were right."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(passes):
                loss_sum, correct = self._run_once(rows, learning_rate)
        _check_weights(self._state)
        return loss_sum, correct

    def _run_once(self, rows: Array | None, learning_rate: float) -> tuple[float, int]:
        loss_sum, correct = 0.0, 0
        for x, labels in _batches(self._examples, rows, self._batch_size):
            before = self._state
            self._state, loss, right = train_step(before, x, labels, learning_rate, **self._options)
            if not np.isfinite(loss):
                layer = _overflowing_layer(before.params, x, self._options["activation"])
                raise diverged(f"step {self._state.step}, layer {layer}", "a finite loss", loss)
            loss_sum += loss * len(labels)
            correct += right
        return loss_sum, correct

    def state(self) -> TrainState:
        """The state after the last step."""
        return self._state


class _Compiled:
    """The same by the compiled block trainer, whose parameters stay in its own vectors from block to block."""

    def __init__(
        self, state: TrainState, examples: Examples, batch_size: int, activation: str, optimizer: Optimizer,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        assert kernels.pixels
        assert kernels.trainer
        assert optimizer.rule
        check_activation(activation)
        dtype = check_params(state.params).layers[0].W.dtype
        labels = check_labels(examples.labels, (len(examples.x), state.params.layers[-1].W.shape[1]))
        self._examples, self._batch_size, self._activation = examples, batch_size, activation
        self._start, self._steps, self._rule = state, 0, optimizer.rule
        given = state.optimizer_state
        trees = given.trees if isinstance(given, Moments) else ()
        pixels = kernels.pixels(check_input(examples.x, state.params), dtype, kernels.threads)
        self._trainer = kernels.trainer(
            state.params,
            trees,
            optimizer.rule.name,
            (pixels, np.ascontiguousarray(labels)),
            batch_size,
            kernels.threads,
        )

    def run(self, rows: Array | None, learning_rate: float, passes: int = 1) -> tuple[float, int]:
        """As `_Loop.run`."""
        rows = np.arange(len(self._examples.x)) if rows is None else rows
        steps = passes * -(-len(rows) // self._batch_size)
        given = self._start.optimizer_state
        before = self._steps + (given.steps if isinstance(given, Moments) else 0)
        rates = self._rule.coefficients(learning_rate, before + np.arange(1.0, steps + 1))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outcome = self._trainer.run(rows, rates)
        self._steps += outcome.steps
        if outcome.steps < steps:
            first = outcome.steps * self._batch_size % len(rows)
            self._raise_diverged(rows[first : first + self._batch_size])
        if not self._trainer.is_finite():
            _check_weights(self.state())
        return float(outcome.losses.sum(dtype=np.float64)), int(outcome.right.sum())

    def _raise_diverged(self, rows: Array) -> None:
        state = self.state()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            x, labels = np.asarray(self._examples.x)[rows], np.asarray(self._examples.labels)[rows]
            found = loss(state.params, x, labels, activation=self._activation)
            layer = _overflowing_layer(state.params, x, self._activation)
        raise diverged(f"step {state.step + 1}, layer {layer}", "a finite loss", found)

    def state(self) -> TrainState:
        """The state after the last step."""
        given = self._start.optimizer_state
        if isinstance(given, Moments):
            given = Moments(given.steps + self._steps, self._trainer.moments())
        params = self._trainer.params()
        return self._start._replace(params=params, optimizer_state=given, step=self._start.step + self._steps)


def _blocks(
    state: TrainState, examples: Examples, batch_size: int, activation: str, optimizer: Optimizer, kernels: Kernels
) -> _Loop | _Compiled:
    """What runs blocks of steps, compiled where the kernels can and know the optimizer."""
    maker = _Compiled if kernels.trainer and optimizer.rule else _Loop
    return maker(state, examples, batch_size, activation, optimizer, kernels)


def _batches(examples: Examples, rows: Array | None, batch_size: int) -> Iterator[Examples]:
    if rows is None:
        yield examples
        return
    for first in range(0, len(rows), batch_size):
        batch = rows[first : first + batch_size]
        yield Examples(examples.x[batch], examples.labels[batch])


def diverged(place: str, expected: str, found: object = None) -> DivergedError:
    """The error for numbers that are no longer finite at `place`."""
    fix = "use a smaller learning rate"
    return DivergedError("training diverged", place=place, expected=expected, found=found, fix=fix)


def _overflowing_layer(params: Params, x: Any, activation: str) -> int:
    """The first layer, counted from 1, whose scores for `x` are not finite; the last if all are."""
    z = forward(params, x, activation=activation).z
    return next((number for number, scores in enumerate(z, 1) if not np.isfinite(scores).all()), len(z))


def _check_weights(state: TrainState) -> None:
    for number, layer in enumerate(state.params.layers, 1):
        if not all(np.isfinite(array).all() for array in layer):
            raise diverged(f"step {state.step}, layer {number}", "finite weights")


def epochs(
    state: TrainState,
    train: Examples,
    plan: Plan,
    *,
    dev: Examples | None = None,
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
    on_block: Callable[[Progress], None] | None = None,
) -> Iterator[tuple[TrainState, EpochReport]]:
    """Train by `plan`, yielding the state and a report every `plan.report_every` epochs and after the last.

    The order of the images in epoch e is a function of (seed, e) alone. With `plan.epochs` 0 nothing is yielded.
    """
    check_plan(plan)
    n, classes = len(train.x), state.params.layers[-1].W.shape[1]
    train = Examples(train.x, check_labels(train.labels, (n, classes)))
    batch_size = min(plan.batch_size or n, n)
    if batch_size == n and not kernels.trainer:
        # Every step reads all images: make floats of the bytes once.
        train = Examples(as_input(train.x, state.params), train.labels)
    blocks = _blocks(state, train, batch_size, plan.activation, optimizer, kernels)
    steps, seconds, epoch = 1, 0.0, 0
    while epoch < plan.epochs:
        # A block lies within one epoch; in the full batch it may be several, up to the next report.
        passes = 1 if batch_size < n else min(steps, plan.report_every - epoch % plan.report_every, plan.epochs - epoch)
        epoch += passes
        rows = rng.order(state.seed, "shuffle", n, epoch=epoch) if batch_size < n else None
        loss_sum, correct, done = 0.0, 0, 0
        while done < n:
            block = None if rows is None else rows[done : done + steps * batch_size]
            began = time.perf_counter()
            block_loss, block_correct = blocks.run(block, plan.learning_rate, passes)
            took = time.perf_counter() - began
            images = n if block is None else len(block)
            # Sizes of blocks follow the clock; results do not depend on where blocks end.
            steps = max(1, int(min(2.0, BLOCK_SECONDS / max(took, 1e-9)) * passes * -(-images // batch_size)))
            done, seconds = done + images, seconds + took
            loss_sum, correct = loss_sum + block_loss, correct + block_correct
            if on_block:
                on_block(Progress(epoch, done, loss_sum, correct))
        if epoch % plan.report_every == 0 or epoch == plan.epochs:
            state = blocks.state()
            on_dev = dev and metrics.evaluate(state.params, *dev, activation=plan.activation, kernels=kernels)
            dev_loss, dev_accuracy = (on_dev.loss, on_dev.accuracy) if on_dev else (None, None)
            figures = (loss_sum / n, correct / n, dev_loss, dev_accuracy)
            yield state, EpochReport(epoch, seconds, *figures, plan.learning_rate)
            seconds = 0.0


def check_plan(plan: Plan) -> None:
    """UsageError unless every figure of `plan` is within its range."""
    check_learning_rate(plan.learning_rate)
    _check_count("epochs", plan.epochs, 0)
    _check_count("report_every", plan.report_every, 1)
    if plan.batch_size is not None:
        _check_count("batch_size", plan.batch_size, 1)


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ArgumentTypeError(f"{name} is not an integer", expected=f"an integer >= {least}", found=repr(value))
    if value < least:
        raise UsageError(f"{name} out of range", expected=f"an integer >= {least}", found=value)


def _check_rows(given: Any, n: int) -> Array:
    rows: Array = np.asarray(given)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        found = f"shape {rows.shape}, dtype {rows.dtype}"
        raise ArgumentTypeError(
            "rows are not a vector of integers", expected="shape (m,), an integer dtype", found=found
        )
    if not rows.size:
        raise UsageError("rows are empty", expected="at least 1 row", found="0 rows")
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        index = int(outside.argmax())
        raise UsageError("row out of range", place=f"index {index}", expected=f"0 to {n - 1}", found=rows[index])
    return rows
