"""Blocks of training steps: the loop over `train_step`, or one call of compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnnet.core import dropout, network
from fnnet.core.check_network import check_activation, check_examples, check_finite_input, check_input
from fnnet.core.checks import as_array, as_integers, check_amount, check_count, check_labels, check_weights
from fnnet.core.optimizers import Optimizer, trees_of
from fnnet.core.params import Array
from fnnet.core.public_optimizers import SGD, check_state, unchecked
from fnnet.core.state import PLAIN, Examples, Moments, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels.layout import SMOOTH
from fnnet.kernels.rules import Rule, rule_of
from fnnet.training.steps import (
    check_finite_weights,
    check_work,
    diverged,
    freeze_state,
    overflowing_layer,
    step,
)

Rates = float | Callable[[Array], Array]
"""A learning rate, or a schedule: a function of the steps (n,), counted from 0, that gives the rates (n,).

A function of one step that gives one rate, as optax's schedules are, is called for each step.
"""


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
    """Make steps over the examples numbered `rows` (m,), `batch_size` at a time; the last batch may be smaller.

    With `rows` None it makes one step over all examples and ignores `batch_size`. NumPy's kernels run the loop over
    `train_step`. Compiled kernels make one call: its results equal the loop's within rounding, and are the same bits
    for any number of threads.

    examples        x (n, inputs), floats or uint8, and labels (n,).
    learning_rate   a number, or a schedule of the state's step.
    weights         of the examples (n,); None for equal ones.
    Returns  the state, the sum of the m losses and the number of correct predictions, each before its step.
    Raises   DivergedError at the first step whose loss is not finite, and after the last step at the latest for
             parameters that are not finite; it names the step and the layer. UsageError for a batch size or rows out
             of range, and for an `x` that is not finite.

    >>> import fnnet, numpy as np
    >>> from fnnet.core.state import Examples
    >>> state = fnnet.TrainState(fnnet.init((4, 3, 2)), (), step=0, seed=0)
    >>> examples = Examples(np.zeros((8, 4)), np.zeros(8, int))
    >>> state, loss_sum, correct = fnnet.train_block(state, examples, np.arange(8), 4, 0.1)
    >>> state.step, correct
    (2, 8)
    """
    batch_size = check_count("batch_size", batch_size, 1)
    state = check_work(state, objective, optimizer)
    examples = check_examples(examples)
    x = check_input(examples.x, state.params)
    labels = as_integers(examples.labels, (len(x), state.params.layers[-1].b.size))
    weights = check_weights(weights, len(x))
    if labels.shape != (len(x),):
        raise UsageError("labels do not fit x", expected=f"shape ({len(x)},)", found=labels.shape)
    rows = None if rows is None else _check_rows(rows, len(x))
    batch_size = len(x) if rows is None else batch_size
    rates = rates_of(learning_rate, state.step, 1 if rows is None else -(-len(rows) // batch_size))
    blocks = make_blocks(state, batch_size, objective, optimizer, kernels)
    rows = blocks.use(Examples(x, labels), weights, rows)
    losses, correct = blocks.run(rows, rates)
    return blocks.state(), add_up(0.0, losses), correct


def rates_of(learning_rate: Rates, first: int, steps: int) -> Array:
    """Return the learning rates of `steps` steps from `first` on, float64; UsageError for one below 0 or not finite."""
    if not callable(learning_rate):
        return np.full(steps, check_amount("learning_rate", learning_rate))
    given = as_array("rates of a schedule", _rates_at(learning_rate, np.arange(first, first + steps)), "fiu", "numbers")
    if given.shape != (steps,):
        found = f"shape {given.shape}, dtype {given.dtype}"
        fix = "return one rate for each step"
        raise UsageError("rates of a schedule", expected=f"shape ({steps},), numbers", found=found, fix=fix)
    rates: Array = given.astype(np.float64)
    for rate in (rates.min(), rates.max()):
        check_amount("learning_rate", float(rate))
    return rates


def _rates_at(schedule: Callable[[Any], Any], steps: Array) -> Any:
    """Return what a schedule gives for `steps`; one that takes or gives one number at a time is called for each."""
    try:
        rates = schedule(steps)
    except (
        TypeError,
        ValueError,
    ):  # of `if step < 10` or math.cos(step); other errors are raised again
        rates = 0.0
    if np.size(rates) == 1 != len(steps) or np.ndim(rates) == 0:
        each = [schedule(step) for step in steps.tolist()]
        return [check_amount("learning_rate", rate) for rate in each]
    return rates


def add_up(before: float, losses: Array) -> float:
    """Add the losses of the batches to `before` one after another: the same bits however blocks divide the batches."""
    return float(np.cumsum(np.concatenate([[before], losses]))[-1])


class Loop:
    """Blocks of steps by their definition, the loop over `train_step`, whose arguments are checked here once."""

    def __init__(
        self, state: TrainState, batch_size: int, objective: Objective, optimizer: Optimizer, kernels: Kernels
    ) -> None:
        objective = objective._replace(activation=check_activation(objective.activation))
        self._state, self._batch_size = state, batch_size
        self._objective, self._optimizer, self._operations = objective, optimizer, kernels.operations
        self._examples: Examples | None = None
        self._weights: Array | None = None

    def use(self, examples: Examples, weights: Array | None, rows: Array | None = None) -> Array | None:
        """Train on these examples from now on.

        rows     the examples that `run` will ask for; None for any.
        Returns  the numbers that `run` takes for these rows.
        """
        params = self._state.params
        x, classes = check_input(examples.x, params), params.layers[-1].W.shape[1]
        at = slice(None) if rows is None else rows
        labels = np.asarray(examples.labels)
        checked = check_labels(labels[at], (len(labels[at]), classes))
        self._examples = Examples(x, checked if rows is None else labels)
        self._weights = weights
        return rows

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> tuple[Array, int]:
        """Train on the examples numbered `rows`, or `passes` times on all in their order, at the `rates` of the steps.

        Returns  the sum of the losses of each batch of the last pass, and its number of correct predictions.
        """
        steps = len(rates) // passes
        with np.errstate(all="ignore"):
            for number in range(passes):
                losses, correct = self._run_once(rows, rates[number * steps : (number + 1) * steps])
        return losses, correct

    def _run_once(self, rows: Array | None, rates: Array) -> tuple[Array, int]:
        assert self._examples
        losses, correct, dtype = [], 0, self._state.params.layers[0].W.dtype
        for rate, batch in zip(rates.tolist(), self._batches(rows), strict=True):
            x, labels = network.as_floats(self._examples.x[batch], dtype), self._examples.labels[batch]
            weights = None if self._weights is None else self._weights[batch]
            try:
                self._state, loss, right = step(
                    self._state, x, labels, rate, weights, self._objective, self._optimizer, self._operations
                )
            except DivergedError:
                check_finite_input(self._examples.x[batch], self._state.params, None if rows is None else batch)
                raise
            losses.append(loss * len(labels))
            correct += right
        return np.array(losses), correct

    def _batches(self, rows: Array | None) -> Iterator[Any]:
        if rows is None:
            yield slice(None)
            return
        for first in range(0, len(rows), self._batch_size):
            yield rows[first : first + self._batch_size]

    @property
    def threads_used(self) -> float | None:
        """The mean number of compiled threads; None without them."""
        return None

    def state(self) -> TrainState:
        """Return the state after the last step."""
        return freeze_state(self._state)


class Compiled:
    """Blocks of steps by the compiled block trainer, whose parameters stay in its own vectors from block to block."""

    def __init__(self, state: TrainState, batch_size: int, objective: Objective, rule: Rule, kernels: Kernels) -> None:
        self._kernels, self._batch_size, self._objective = kernels, batch_size, objective
        self._rule, self._start, self._steps = rule, state, 0
        self._trainer: Any = None

    def use(self, examples: Examples, weights: Array | None, rows: Array | None = None) -> Array | None:
        """Do as `Loop.use`; only the given rows are converted to the form that the trainer reads."""
        self._numbers = rows
        if rows is not None:
            examples = Examples(examples.x[rows], examples.labels[rows])
            weights = None if weights is None else weights[rows]
        params, pixels = self._start.params, self._kernels.pixels
        assert pixels
        dtype, classes = params.layers[0].W.dtype, params.layers[-1].W.shape[1]
        x, labels = check_input(examples.x, params), check_labels(examples.labels, (len(examples.x), classes))
        if self._trainer is None:
            self._trainer = self._make_trainer(x)
        self._examples, self._weights = Examples(x, labels), weights
        self._taken = pixels(x, dtype, self._kernels.threads), np.ascontiguousarray(labels)
        return None if rows is None else np.arange(len(rows))

    def _make_trainer(self, x: Array) -> Any:
        from fnnet.kernels.pixels import density
        from fnnet.kernels.trainer import Work

        assert self._kernels.trainer
        params, rule, activation = self._start.params, self._rule, self._objective.activation
        assert isinstance(activation, str)
        dropped = dropout.dropped(self._objective.dropout, len(params.layers) - 1)
        work = Work(
            self._batch_size, self._objective.shards, rule.name, rule.averages, activation, dropped, rule.clips,
            density(x), self._start.seed,
        )  # fmt: skip
        trees = trees_of(self._start.optimizer_state)
        return self._kernels.trainer(params, trees, work, self._kernels.threads)

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> tuple[Array, int]:
        """Do as `Loop.run`."""
        rows = np.arange(len(self._examples.x)) if rows is None else rows
        given = self._start.optimizer_state
        before = self._steps + (given.steps if isinstance(given, Moments) else 0)
        constants = self._rule.constants(rates, before + np.arange(1.0, len(rates) + 1))
        firsts = np.arange(0, len(rows), self._batch_size)
        each = np.ones(len(rows)) if self._weights is None else self._weights[rows].astype(np.float64)
        counts = np.diff(firsts, append=len(rows))
        wholes = np.repeat(np.add.reduceat(each, firsts), counts)
        shares = np.divide(each, wholes, out=np.zeros_like(each), where=wholes > 0)
        constants[:, SMOOTH] = self._objective.label_smoothing
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outcome = self._trainer.run(self._taken, rows, shares, constants, self._start.step + self._steps)
        self._steps += outcome.steps
        if outcome.steps < len(rates):
            first = outcome.steps * self._batch_size % len(rows)
            self._raise_diverged(rows[first : first + self._batch_size])
        if not self._trainer.is_finite():
            self._check_finite_input(rows)
            check_finite_weights(self.state())
        losses = np.add.reduceat(outcome.losses * shares, firsts) * counts
        return losses, int(outcome.right.sum())

    def _raise_diverged(self, rows: Array) -> None:
        """Raise the error for the step after these, whose batch is `rows`, by NumPy's forward pass."""
        self._check_finite_input(rows)
        state, activation = self.state(), self._objective.activation
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            x = network.as_floats(self._examples.x[rows], state.params.layers[0].W.dtype)
            activations = network.forward(state.params, x, activation)
            found = NUMPY.operations.cross_entropy(activations.logits, self._examples.labels[rows])
        raise diverged(state.step + 1, overflowing_layer(activations.z), found)

    def _check_finite_input(self, rows: Array) -> None:
        numbers = rows if self._numbers is None else self._numbers[rows]
        check_finite_input(self._examples.x[rows], self._start.params, numbers)

    @property
    def threads_used(self) -> float | None:
        """Do as `Loop.threads_used`."""
        used: float | None = self._trainer and self._trainer.pace.used
        return used

    def state(self) -> TrainState:
        """Do as `Loop.state`."""
        if self._trainer is None:
            return self._start
        given = self._start.optimizer_state
        if isinstance(given, Moments):
            given = Moments(given.steps + self._steps, self._trainer.moments())
        params = self._trainer.params()
        return self._start._replace(params=params, optimizer_state=given, step=self._start.step + self._steps)


def make_blocks(
    state: TrainState, batch_size: int, objective: Objective, optimizer: Optimizer, kernels: Kernels
) -> Loop | Compiled:
    """Return the runner of blocks: `Compiled` if the kernels are and have the optimizer's rule, else `Loop`.

    An activation of the user's own runs in the loop too, between the operations of the table.
    """
    check_kernels(kernels)
    state = check_work(state, objective, optimizer)
    plain = unchecked(optimizer)
    moments = check_state(plain, state.params, state.optimizer_state)
    if moments is not state.optimizer_state:
        state = state._replace(optimizer_state=moments)
    rule = rule_of(plain)
    if kernels.trainer and rule and isinstance(objective.activation, str):
        return Compiled(state, batch_size, objective, rule, kernels)
    return Loop(state, batch_size, objective, plain, kernels)


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
