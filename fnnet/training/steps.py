"""Steps of training: one as the equations say, and blocks of them, compiled where the kernels can."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnnet.core import dropout, rng
from fnnet.core.checks import (
    as_array,
    calm,
    check_amount,
    check_count,
    check_label_smoothing,
    check_labels,
    check_weights,
)
from fnnet.core.network import check_activation, check_examples, check_input, forward, loss, loss_and_grads
from fnnet.core.optimizers import SGD, Optimizer, check_optimizer, check_state, map_trees, trees_of
from fnnet.core.params import Array, Params, check_params, layer_sizes
from fnnet.core.state import PLAIN, Examples, Moments, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels.layout import SMOOTH

Rates = float | Callable[[Array], Array]
"""A learning rate, or a schedule: a function of the steps (n,), counted from 0, that gives the rates (n,)."""


def start(params: Params, seed: int, *, optimizer: Optimizer = SGD) -> TrainState:
    """The state before the first step."""
    params = map_trees(np.ndarray.view, check_params(params))
    return TrainState(params, check_optimizer(optimizer).init(params), 0, rng.check_seed(seed))


@calm
def train_step(
    state: TrainState,
    x: Any,
    labels: Any,
    learning_rate: float,
    *,
    weights: Any = None,
    objective: Objective = PLAIN,
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> tuple[TrainState, float, int]:
    """Forward, backward, update on one batch: the next state, the batch's mean loss and its right answers before it.

    weights   of the samples (n,); None for equal ones.
    Raises    DivergedError for a loss, or weights after the step, that are not finite; it names the step and the layer.
              UsageError for what does not fit: a learning rate below 0, an optimizer state of another optimizer.
    """
    check_work(state, objective, optimizer)
    learning_rate, x = check_amount("learning_rate", learning_rate), check_input(x, state.params)
    widths, dtype = layer_sizes(state.params)[1:-1], state.params.layers[0].W.dtype
    masks = dropout.masks(state.seed, state.step, widths, len(x), objective.dropout, dtype=dtype)
    activations = forward(state.params, x, activation=objective.activation, masks=masks, kernels=kernels)
    mean_loss, grads = loss_and_grads(
        state.params, activations, labels, weights=weights, label_smoothing=objective.label_smoothing, kernels=kernels
    )
    if not math.isfinite(mean_loss):
        raise diverged(state.step + 1, _overflowing_layer(state.params, x, objective.activation), mean_loss)
    params, optimizer_state = optimizer.update(state.params, grads, state.optimizer_state, learning_rate, kernels)
    correct = int(np.count_nonzero(activations.logits.argmax(axis=1) == np.asarray(labels)))
    made = state._replace(params=params, optimizer_state=optimizer_state, step=state.step + 1)
    _check_finite(made)
    return made, mean_loss, correct


def train_block(
    state: TrainState,
    examples: Examples,
    rows: Array | None,
    batch_size: int,
    learning_rate: Rates,
    *,
    weights: Any = None,
    objective: Objective = PLAIN,
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> tuple[TrainState, float, int]:
    """A run of steps over the examples numbered `rows` (m,), `batch_size` at a time; the last batch may be smaller.
    With `rows` None it is one step over all examples as they lie, whatever `batch_size`.

    With NumPy's kernels this is the loop over `train_step`. Compiled kernels run it as one call, and equal the loop
    within rounding: the same bits whatever their number of threads.

    learning_rate   a number, or a schedule of the state's step.
    weights         of the examples, as many as they are; None for equal ones.
    Returns  the state, the sum of the m losses and the number of right answers.
    Raises   DivergedError at the first step whose loss is not finite, or for weights that are not finite at the
             latest after the last; it names the step and the layer. UsageError for a batch size or rows that cannot be.
    """
    check_count("batch_size", batch_size, 1)
    check_work(state, objective, optimizer)
    examples = check_examples(examples)
    x = check_input(examples.x, state.params)
    labels = as_array("labels are not integers", examples.labels, "iu", "an integer dtype")
    weights = check_weights(weights, len(x))
    if labels.shape != (len(x),):
        raise UsageError("labels do not fit x", expected=f"shape ({len(x)},)", found=labels.shape)
    if rows is None:
        examples, batch_size = Examples(x, labels), max(1, len(x))
    else:
        rows = _check_rows(rows, len(x))
        examples, weights = Examples(x[rows], labels[rows]), None if weights is None else weights[rows]
        rows = np.arange(len(rows))
    steps = 1 if rows is None else -(-len(rows) // batch_size)
    rates = rates_of(learning_rate, state.step, steps)
    blocks = make_blocks(state, examples, batch_size, objective, optimizer, kernels)
    blocks.use(examples, weights)
    losses, correct = blocks.run(rows, rates)
    return blocks.state(), add_up(0.0, losses), correct


def rates_of(learning_rate: Rates, first: int, steps: int) -> Array:
    """The learning rates of so many steps from `first` on, float64; UsageError for one below 0 or not finite."""
    if not callable(learning_rate):
        return np.full(steps, check_amount("learning_rate", learning_rate))
    given = as_array("rates of a schedule", learning_rate(np.arange(first, first + steps)), "fiu", "numbers")
    if given.shape != (steps,):
        found = f"shape {given.shape}, dtype {given.dtype}"
        raise UsageError("rates of a schedule", expected=f"shape ({steps},), numbers", found=found)
    rates: Array = given.astype(np.float64)
    for rate in (rates.min(), rates.max()):
        check_amount("learning_rate", float(rate))
    return rates


def check_work(state: Any, objective: Any, optimizer: Any) -> None:
    """UsageError unless these are a state of a network, an objective and an optimizer."""
    for each, kind in ((state, TrainState), (objective, Objective)):
        if not isinstance(each, kind):
            raise ArgumentTypeError(f"not of type {kind.__name__}", expected=kind.__name__, found=type(each).__name__)
    rng.check_seed(state.seed)
    check_count("step", state.step, 0)
    check_optimizer(optimizer)
    check_params(state.params)


def add_up(before: float, losses: Array) -> float:
    """`before` and the losses of the batches, one after another: the same bits however the batches came in blocks."""
    return float(np.cumsum(np.concatenate([[before], losses]))[-1])


class Loop:
    """Blocks of steps by their definition, the loop over `train_step`."""

    def __init__(
        self, state: TrainState, examples: Examples, batch_size: int, objective: Objective, optimizer: Optimizer,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        self._state, self._batch_size = state, batch_size
        self._examples = examples
        self._weights: Array | None = None
        self._options: dict[str, Any] = {"objective": objective, "optimizer": optimizer, "kernels": kernels}

    def use(self, examples: Examples, weights: Array | None) -> None:
        """Train on these from now on."""
        self._examples, self._weights = examples, weights

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> tuple[Array, int]:
        """Train on the examples numbered `rows`, or `passes` times on all as they lie; `rates` are of the steps.

        Returns  the sum of the losses of each batch of the last pass, and how many of its answers were right.
        """
        steps = len(rates) // passes
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for number in range(passes):
                losses, correct = self._run_once(rows, rates[number * steps : (number + 1) * steps])
        return losses, correct

    def _run_once(self, rows: Array | None, rates: Array) -> tuple[Array, int]:
        losses, correct = [], 0
        for rate, batch in zip(rates.tolist(), self._batches(rows), strict=True):
            x, labels = self._examples.x[batch], self._examples.labels[batch]
            weights = None if self._weights is None else self._weights[batch]
            self._state, loss, right = train_step(self._state, x, labels, rate, weights=weights, **self._options)
            losses.append(loss * len(labels))
            correct += right
        return np.array(losses), correct

    def _batches(self, rows: Array | None) -> Iterator[Any]:
        if rows is None:
            yield slice(None)
            return
        for first in range(0, len(rows), self._batch_size):
            yield rows[first : first + self._batch_size]

    def state(self) -> TrainState:
        """The state after the last step."""
        return self._state


class Compiled:
    """The same by the compiled block trainer, whose parameters stay in its own vectors from block to block."""

    def __init__(
        self, state: TrainState, examples: Examples, batch_size: int, objective: Objective, optimizer: Optimizer,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        from fnnet.kernels.pixels import density
        from fnnet.kernels.trainer import Work

        assert kernels.trainer
        assert optimizer.rule
        check_activation(objective.activation)
        check_state(optimizer, state.params, state.optimizer_state)
        sizes, self._rule = layer_sizes(state.params), optimizer.rule
        self._kernels, self._batch_size, self._objective = kernels, batch_size, objective
        self._smoothing = check_label_smoothing(objective.label_smoothing)
        self._start, self._steps = state, 0
        given = state.optimizer_state
        work = Work(
            batch_size, optimizer.rule.name, optimizer.averages, objective.activation,
            dropout.dropped(objective.dropout, len(sizes) - 2), optimizer.rule.clips,
            density(check_input(examples.x, state.params)), state.seed,
        )  # fmt: skip
        self._trainer = kernels.trainer(state.params, trees_of(given), work, kernels.threads)

    def use(self, examples: Examples, weights: Array | None) -> None:
        """As `Loop.use`."""
        assert self._kernels.pixels
        params = self._start.params
        dtype, classes = params.layers[0].W.dtype, params.layers[-1].W.shape[1]
        labels = check_labels(examples.labels, (len(examples.x), classes))
        pixels = self._kernels.pixels(check_input(examples.x, params), dtype, self._kernels.threads)
        self._examples, self._weights = examples, weights
        self._taken = pixels, np.ascontiguousarray(labels)

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> tuple[Array, int]:
        """As `Loop.run`."""
        rows = np.arange(len(self._examples.x)) if rows is None else rows
        given = self._start.optimizer_state
        before = self._steps + (given.steps if isinstance(given, Moments) else 0)
        constants = self._rule.coefficients(rates, before + np.arange(1.0, len(rates) + 1))
        firsts = np.arange(0, len(rows), self._batch_size)
        each = np.ones(len(rows)) if self._weights is None else self._weights[rows].astype(np.float64)
        counts = np.diff(firsts, append=len(rows))
        wholes = np.repeat(np.add.reduceat(each, firsts), counts)
        shares = np.divide(each, wholes, out=np.zeros_like(each), where=wholes > 0)
        constants[:, SMOOTH] = self._smoothing
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outcome = self._trainer.run(self._taken, rows, shares, constants, self._start.step + self._steps)
        self._steps += outcome.steps
        if outcome.steps < len(rates):
            first = outcome.steps * self._batch_size % len(rows)
            self._raise_diverged(rows[first : first + self._batch_size])
        if not self._trainer.is_finite():
            _check_finite(self.state())
        losses = np.add.reduceat(outcome.losses * shares, firsts) * counts
        return losses, int(outcome.right.sum())

    def _raise_diverged(self, rows: Array) -> None:
        state, activation = self.state(), self._objective.activation
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            x, labels = np.asarray(self._examples.x)[rows], np.asarray(self._examples.labels)[rows]
            found = loss(state.params, x, labels, activation=activation)
            raise diverged(state.step + 1, _overflowing_layer(state.params, x, activation), found)

    def state(self) -> TrainState:
        """As `Loop.state`."""
        given = self._start.optimizer_state
        if isinstance(given, Moments):
            given = Moments(given.steps + self._steps, self._trainer.moments())
        params = self._trainer.params()
        return self._start._replace(params=params, optimizer_state=given, step=self._start.step + self._steps)


def make_blocks(
    state: TrainState, examples: Examples, batch_size: int, objective: Objective, optimizer: Optimizer, kernels: Kernels
) -> Loop | Compiled:
    """What runs blocks of steps, compiled where the kernels can and know the optimizer, on examples like these."""
    check_kernels(kernels)
    check_work(state, objective, optimizer)
    maker = Compiled if kernels.trainer and optimizer.rule else Loop
    return maker(state, examples, batch_size, objective, optimizer, kernels)


def diverged(step: int | str, layer: int | None = None, found: object = None) -> DivergedError:
    """The error for numbers that are no longer finite."""
    place = f"step {step}" if isinstance(step, int) else step
    expected = "finite weights" if found is None else "a finite loss"
    place += f", layer {layer}" if layer else ""
    fix = "use a smaller learning rate, or clip the gradient's norm"
    return DivergedError("training diverged", place=place, expected=expected, found=found, fix=fix)


def _overflowing_layer(params: Params, x: Any, activation: str) -> int:
    """The first layer, counted from 1, whose scores for `x` are not finite; the last if all are."""
    z = forward(params, x, activation=activation).z
    return next((number for number, scores in enumerate(z, 1) if not np.isfinite(scores).all()), len(z))


def _check_finite(state: TrainState) -> None:
    for number, layer in enumerate(state.params.layers, 1):
        # The sum of squares is quicker, and makes no vector of answers; it may overflow though no weight has.
        if not all(math.isfinite(np.vdot(each, each)) or np.isfinite(each).all() for each in layer):
            raise diverged(state.step, number)


def _check_rows(given: Any, n: int) -> Array:
    problem, expected = "rows are not a vector of integers", "shape (m,), an integer dtype"
    rows = as_array(problem, given, "iu", expected)
    if rows.ndim != 1:
        raise ArgumentTypeError(problem, expected=expected, found=f"shape {rows.shape}, dtype {rows.dtype}")
    if not rows.size:
        raise UsageError("rows are empty", expected="at least 1 row", found="0 rows")
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        index = int(outside.argmax())
        raise UsageError("row out of range", place=f"index {index}", expected=f"0 to {n - 1}", found=rows[index])
    return rows
