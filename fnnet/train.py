"""Training: one step as the equations say, a block of steps, and epochs as a generator of reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet import metrics, rng
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.network import Examples, as_input, check_labels, forward, loss_and_grads
from fnnet.optim import SGD, Optimizer, check_learning_rate
from fnnet.params import Array, Params

BLOCK_SECONDS: Final = 0.05
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
    loss, grads = loss_and_grads(state.params, activations, labels, kernels=kernels)
    params, optimizer_state = optimizer.update(state.params, grads, state.optimizer_state, learning_rate, kernels)
    correct = int(np.count_nonzero(activations.logits.argmax(axis=1) == np.asarray(labels)))
    return state._replace(params=params, optimizer_state=optimizer_state, step=state.step + 1), loss, correct


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
    With `rows` None it is one step over all examples as they lie.

    Returns  the state, the sum of the m losses and the number of right answers.
    Raises   DivergedError at the first step whose loss is not finite, or for weights that are not finite after the
             last; it names the step and the layer.
    """
    loss_sum, correct = 0.0, 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for x, labels in _batches(examples, rows, batch_size):
            before = state
            state, loss, right = train_step(
                before, x, labels, learning_rate, activation=activation, optimizer=optimizer, kernels=kernels
            )
            if not np.isfinite(loss):
                layer = _overflowing_layer(before.params, x, activation)
                raise diverged(f"step {state.step}, layer {layer}", "a finite loss", loss)
            loss_sum += loss * len(labels)
            correct += right
    _check_weights(state)
    return state, loss_sum, correct


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
    if batch_size == n:
        # Every step reads all images: make floats of the bytes once.
        train = Examples(as_input(train.x, state.params), train.labels)
    steps, seconds = 1, 0.0
    for epoch in range(1, plan.epochs + 1):
        rows = rng.order(state.seed, "shuffle", n, epoch=epoch) if batch_size < n else None
        loss_sum, correct, done = 0.0, 0, 0
        while done < n:
            block = None if rows is None else rows[done : done + steps * batch_size]
            began = time.perf_counter()
            state, block_loss, block_correct = train_block(
                state,
                train,
                block,
                batch_size,
                plan.learning_rate,
                activation=plan.activation,
                optimizer=optimizer,
                kernels=kernels,
            )
            took = time.perf_counter() - began
            images = n if block is None else len(block)
            # Sizes of blocks follow the clock; results do not depend on where blocks end.
            steps = max(1, int(min(2.0, BLOCK_SECONDS / max(took, 1e-9)) * -(-images // batch_size)))
            done, seconds = done + images, seconds + took
            loss_sum, correct = loss_sum + block_loss, correct + block_correct
            if on_block:
                on_block(Progress(epoch, done, loss_sum, correct))
        if epoch % plan.report_every == 0 or epoch == plan.epochs:
            on_dev = dev and metrics.evaluate(state.params, *dev, activation=plan.activation, kernels=kernels)
            dev_loss, dev_accuracy = (on_dev.loss, on_dev.accuracy) if on_dev else (None, None)
            figures = (loss_sum / n, correct / n, dev_loss, dev_accuracy)
            yield state, EpochReport(epoch, seconds, *figures, plan.learning_rate)
            seconds = 0.0


def check_plan(plan: Plan) -> None:
    """UsageError unless every figure of `plan` is within its range."""
    check_learning_rate(plan.learning_rate)
    least = {"epochs": 0, "report_every": 1} | ({} if plan.batch_size is None else {"batch_size": 1})
    for name, bound in least.items():
        value = getattr(plan, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ArgumentTypeError(f"{name} is not an integer", expected=f"an integer >= {bound}", found=repr(value))
        if value < bound:
            raise UsageError(f"{name} out of range", expected=f"an integer >= {bound}", found=value)
