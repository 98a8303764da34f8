"""Blocks of training steps: the loop over `train_step`, or one call of compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fnnet.core import network as equations
from fnnet.core.check_network import check_activation, check_examples, check_finite_input, check_input
from fnnet.core.checks import as_array, as_integers, check_amount, check_count, check_labels, check_weights
from fnnet.core.flat import flatten, unflatten
from fnnet.core.optimizers import Optimizer, trees_of
from fnnet.core.params import Array, layer_sizes
from fnnet.core.public_optimizers import SGD, check_state, unchecked
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import PLAIN, Examples, Moments, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.kernels.rules import Rule, rule_of
from fnnet.training.compiled_blocks import Compiled, Made
from fnnet.training.steps import check_work, freeze_state, step

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
    blocks = make_blocks([state], batch_size, [objective], [optimizer], kernels)
    rows = blocks.use(Examples(x, labels), weights, rows)
    (made,) = blocks.run(rows, rates[None])
    if isinstance(made, DivergedError):
        raise made
    (state,) = blocks.states()
    return state, add_up(0.0, made.losses), made.correct


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
        self, state: TrainState, batch_size: int, objective: Objective, optimizer: Optimizer, kernels: Kernels,
        ranks: Ranks = ALONE,
    ) -> None:  # fmt: skip
        objective = objective._replace(activation=check_activation(objective.activation))
        self._state, self._batch_size, self._ranks = state, batch_size, ranks
        self._objective, self._optimizer, self._operations = objective, optimizer, kernels.operations
        self._examples: Examples | None = None
        self._weights: Array | None = None

    def use(
        self, examples: Examples, weights: Array | None, rows: Array | None = None, once: bool = False,
        checked: bool = False,
    ) -> Array | None:  # fmt: skip
        """Train on these examples from now on.

        rows     the examples that `run` will ask for; None for any.
        once     whether it will ask for each once: what is made of them then has to pay at once.
        checked  whether the caller has checked the examples, whose rows may then be SparseRows, too.
        Returns  the numbers that `run` takes for these rows.
        """
        if checked:
            self._examples, self._weights = examples, weights
            return rows
        params = self._state.params
        x, classes = check_input(examples.x, params), params.layers[-1].W.shape[1]
        at = slice(None) if rows is None else rows
        labels = np.asarray(examples.labels)
        found = check_labels(labels[at], (len(labels[at]), classes))
        self._examples = Examples(x, found if rows is None else labels)
        self._weights = weights
        return rows

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> list[Made | DivergedError]:
        """Train on the examples numbered `rows`, or `passes` times on all in their order.

        rates    of the steps of each network, (networks, steps); here of one.
        Returns  what was made of each, or the error of one that diverged.
        """
        steps, made = rates.shape[1] // passes, Made(np.zeros(0), 0)
        try:
            with np.errstate(all="ignore"):
                for number in range(passes):
                    made = self._run_once(rows, rates[0, number * steps : (number + 1) * steps])
        except DivergedError as error:
            return [error]
        return [made]

    def _run_once(self, rows: Array | None, rates: Array) -> Made:
        assert self._examples
        losses, correct, dtype = [], 0, self._state.params.layers[0].W.dtype
        for rate, batch in zip(rates.tolist(), self._batches(rows), strict=True):
            x, labels = equations.as_floats(self._examples.x[batch], dtype), self._examples.labels[batch]
            weights = None if self._weights is None else self._weights[batch]
            try:
                self._state, loss, right = step(
                    self._state, x, labels, rate, weights, self._objective, self._optimizer, self._operations,
                    self._ranks,
                )  # fmt: skip
            except DivergedError:
                check_finite_input(self._examples.x[batch], self._state.params, None if rows is None else batch)
                raise
            losses.append(loss * len(labels))
            correct += right
        return Made(np.array(losses), correct)

    def _batches(self, rows: Array | None) -> Iterator[Any]:
        if rows is None:
            yield slice(None)
            return
        for first in range(0, len(rows), self._batch_size):
            yield rows[first : first + self._batch_size]

    def vector(self) -> Array:
        """Return the parameters, and the moments behind them, as one vector."""
        state = self._state
        return np.concatenate([flatten(tree) for tree in (state.params, *trees_of(state.optimizer_state))])

    def take(self, vector: Array) -> None:
        """Go on with these parameters and moments in place of those of `vector`."""
        state, sizes = self._state, layer_sizes(self._state.params)
        moments = state.optimizer_state
        params, *trees = (unflatten(each, sizes) for each in np.split(vector, 1 + len(trees_of(moments))))
        if isinstance(moments, Moments):
            moments = moments._replace(trees=tuple(trees))
        self._state = state._replace(params=params, optimizer_state=moments)

    def pass_over(self, steps: int) -> None:
        """Count steps that are not made."""
        moments = self._state.optimizer_state
        if isinstance(moments, Moments):
            moments = moments._replace(steps=moments.steps + steps)
        self._state = self._state._replace(optimizer_state=moments, step=self._state.step + steps)

    @property
    def threads_used(self) -> float | None:
        """The mean number of compiled threads; None without them."""
        return None

    def states(self) -> list[TrainState]:
        """Return the state of each network after its last step."""
        return [freeze_state(self._state)]


def make_blocks(
    states: Sequence[TrainState], batch_size: int, objectives: Sequence[Objective], optimizers: Sequence[Optimizer],
    kernels: Kernels, ranks: Ranks = ALONE,
) -> Loop | Compiled:  # fmt: skip
    """Return the runner of blocks: `Compiled` if the kernels are and have the optimizers' rule, else `Loop` for one.

    An activation of the user's own runs in the loop too, between the operations of the table.
    """
    check_kernels(kernels)
    states = [check_work(*given) for given in zip(states, objectives, optimizers, strict=True)]
    plain = [unchecked(optimizer) for optimizer in optimizers]
    states = [_with_moments(*given) for given in zip(states, plain, strict=True)]
    if rules := rules_of(objectives, optimizers, kernels):
        return Compiled(states, batch_size, objectives, rules, kernels, ranks)
    return Loop(states[0], batch_size, objectives[0], plain[0], kernels, ranks)


def rules_of(objectives: Sequence[Objective], optimizers: Sequence[Optimizer], kernels: Kernels) -> list[Rule]:
    """Return the rule of each optimizer in compiled code; none where the loop makes the steps."""
    rules = [rule for optimizer in optimizers if (rule := rule_of(unchecked(optimizer)))]
    activations = [objective.activation for objective in objectives]
    compiled = kernels.trainer and len(rules) == len(optimizers) and all(isinstance(each, str) for each in activations)
    return rules if compiled else []


def _with_moments(state: TrainState, optimizer: Optimizer) -> TrainState:
    """Return a state with moments as the optimizer takes them."""
    moments = check_state(optimizer, state.params, state.optimizer_state)
    return state if moments is state.optimizer_state else state._replace(optimizer_state=moments)


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
