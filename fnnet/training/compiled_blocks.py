"""Blocks of training steps by compiled kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import dropout
from fnnet.core import network as equations
from fnnet.core.check_network import check_finite_input, check_input
from fnnet.core.checks import check_labels
from fnnet.core.optimizers import trees_of
from fnnet.core.params import Array
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import Examples, Moments, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import DivergedError
from fnnet.kernels.layout import SMOOTH
from fnnet.kernels.rules import Rule
from fnnet.training.steps import check_finite_weights, diverged, overflowing_layer

SOON_READ: Final = 32
"""Units of a first layer up to which images that are trained on once are read as they lie: to find the pixels that are
not zero took longer than it saved, with 16 units by a quarter of an epoch, with 32 by a tenth. Same bits either way."""


class Made(NamedTuple):
    """What a block made of a network: the sum of the losses of each batch of its last pass, and the number of correct
    predictions in it."""

    losses: Array
    correct: int


class Compiled:
    """Blocks of steps by the compiled block trainer, whose parameters stay in its own vectors from block to block.

    states, objectives, rules   of networks that see the same batches: their first layers lie side by side. They differ
                                in parameters, moments, smoothing and figures of the rule only.
    """

    def __init__(
        self,
        states: Sequence[TrainState],
        batch_size: int,
        objectives: Sequence[Objective],
        rules: Sequence[Rule],
        kernels: Kernels,
        ranks: Ranks = ALONE,
    ) -> None:
        self._kernels, self._batch_size, self._ranks = kernels, batch_size, ranks
        self._objectives, self._rules = objectives, rules
        self._start, self._steps = list(states), 0
        self._trained: list[int] = list(range(len(states)))
        self._errors: dict[int, DivergedError] = {}
        self._trainer: Any = None
        self._even = np.zeros(0)

    def use(
        self, examples: Examples, weights: Array | None, rows: Array | None = None, once: bool = False,
        checked: bool = False,
    ) -> Array | None:  # fmt: skip
        """Do as `Loop.use`; only the given rows are converted to the form that the trainer reads."""
        self._numbers = rows
        if rows is not None:
            examples = Examples(examples.x[rows], examples.labels[rows])
            weights = None if weights is None else weights[rows]
        params, pixels = self._start[0].params, self._kernels.pixels
        assert pixels
        dtype, classes = params.layers[0].W.dtype, params.layers[-1].W.shape[1]
        x, labels = examples
        if not checked:
            x, labels = check_input(x, params), check_labels(labels, (len(x), classes))
        self._examples, self._weights = Examples(x, labels), weights
        if self._trainer is None:
            self._trainer = self._make_trainer()
        first = len(self._trained) * params.layers[0].W.shape[1]
        if once and first <= SOON_READ:
            from fnnet.kernels.pixels import all_inputs

            taken = all_inputs(x, dtype)
        else:
            taken = pixels(x, dtype, self._kernels.threads)
        self._taken = taken, np.ascontiguousarray(labels)
        return None if rows is None else np.arange(len(rows))

    def _make_trainer(self) -> Any:
        from fnnet.kernels.pixels import density
        from fnnet.kernels.trainer import Work

        assert self._kernels.trainer
        objective, rule, start = self._objectives[0], self._rules[0], self._start[0]
        activation = objective.activation
        assert isinstance(activation, str)
        dropped = dropout.dropped(objective.dropout, len(start.params.layers) - 1)
        work = Work(
            self._batch_size, objective.shards, objective.message_bits, rule.name, rule.averages, activation, dropped,
            rule.clips, density(self._examples.x), start.seed,
        )  # fmt: skip
        states = [self._start[network] for network in self._trained]
        networks = [(state.params, trees_of(state.optimizer_state)) for state in states]
        return self._kernels.trainer(networks, work, self._kernels.threads, self._ranks)

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> list[Made | DivergedError]:
        """Do as `Loop.run`; one that diverges leaves the others, which go on."""
        rows = np.arange(len(self._examples.x)) if rows is None else rows
        steps, made = rates.shape[1], 0
        parts: dict[int, list[Made]] = {network: [] for network in self._trained}
        while self._trained and made < steps:
            left = rows if passes > 1 else rows[made * self._batch_size :]
            made += self._run_some(left, rates[:, made:], passes, parts)
        return [self._errors.get(network) or _joined(parts[network], passes) for network in range(len(self._start))]

    def _run_some(self, rows: Array, rates: Array, passes: int, parts: dict[int, list[Made]]) -> int:
        """Make steps until all are made or one with a loss that is not finite comes; return how many."""
        firsts = np.arange(0, len(rows), self._batch_size)
        counts = np.diff(firsts, append=len(rows))
        shares = self._shares(rows, firsts, counts)
        constants, first_step = self._constants(rates), self._start[self._trained[0]].step + self._steps
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outcome = self._trainer.run(self._taken, rows, shares, constants, first_step)
        self._steps += outcome.steps
        stop = outcome.steps if passes == 1 else len(firsts)
        losses = (np.add.reduceat(outcome.losses * shares, firsts, axis=1) * counts)[:, :stop]
        right = outcome.right[:, : stop * self._batch_size].sum(axis=1, dtype=np.int64).tolist()
        for network, found, correct in zip(self._trained, losses, right, strict=True):
            parts[network].append(Made(found, correct))
        if outcome.failed:
            first = outcome.steps * self._batch_size % len(rows)
            self._drop(outcome.failed, rows[first : first + self._batch_size])
        elif not self._trainer.is_finite():
            self._check_finite_input(rows)
            self._drop(range(len(self._trained)), None)
        return int(outcome.steps)

    def _shares(self, rows: Array, firsts: Array, counts: Array) -> Array:
        """Return the weight of each row in the mean loss of its batch, float64."""
        if self._weights is None:
            # Most blocks are as long as the one before.
            if len(self._even) != len(rows):
                self._even = np.repeat(1.0 / counts, counts)
            return self._even
        each = self._weights[rows].astype(np.float64)
        wholes = np.repeat(np.add.reduceat(each, firsts), counts)
        found: Array = np.divide(each, wholes, out=np.zeros_like(each), where=wholes > 0)
        return found

    def _constants(self, rates: Array) -> Array:
        """Return the constants of the steps at these rates (networks, steps), or (1, steps) where all have the same."""
        given = self._start[self._trained[0]].optimizer_state
        before = self._steps + (given.steps if isinstance(given, Moments) else 0)
        numbers, tables = before + np.arange(1.0, rates.shape[1] + 1), []
        figures = [(self._rules[each], self._objectives[each].label_smoothing, rates[each]) for each in self._trained]
        rule, smoothing, rate = figures[0]
        alike = all(each[:2] == (rule, smoothing) and np.array_equal(each[2], rate) for each in figures)
        for rule, smoothing, rate in figures[:1] if alike else figures:
            table = rule.constants(rate, numbers)
            table[:, SMOOTH] = smoothing
            tables.append(table)
        return np.array(tables)

    def _drop(self, places: Iterable[int], rows: Array | None) -> None:
        """Keep the error of each of the networks in `places` that diverged, in its next step, on the batch `rows`, or
        in its last, and train on without them; the states of all are then those of a new start."""
        diverged_ones = []
        self._start, self._steps = self.states(), 0
        for place in places:
            network = self._trained[place]
            try:
                if rows is not None:
                    self._raise_diverged(network, rows)
                check_finite_weights(self._start[network])
            except DivergedError as error:
                self._errors[network] = error
                diverged_ones.append(network)
        self._trained = [network for network in self._trained if network not in diverged_ones]
        if self._trained:
            self._trainer = self._make_trainer()

    def _raise_diverged(self, network: int, rows: Array) -> None:
        """Raise the error for a network's next step, whose batch is `rows`, by NumPy's forward pass."""
        self._check_finite_input(rows)
        state, activation = self._start[network], self._objectives[0].activation
        # Each rank has the images of its own rows; of few rows, some have none.
        own = rows[self._ranks.rows(len(rows), self._batch_size, self._objectives[0].shards)[self._ranks.rank]]
        found = 0.0
        error: DivergedError | None = None
        if len(own):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                x = equations.as_floats(self._examples.x[own], state.params.layers[0].W.dtype)
                activations = equations.forward(state.params, x, activation)
                found = NUMPY.operations.cross_entropy(activations.logits, self._examples.labels[own])
            error = diverged(state.step + 1, overflowing_layer(activations.z), found)
        errors = [(loss, error) for loss, error in self._ranks.gather((found, error)) if error]
        raise next((error for loss, error in errors if not np.isfinite(loss)), errors[0][1])

    def _check_finite_input(self, rows: Array) -> None:
        numbers = rows if self._numbers is None else self._numbers[rows]
        check_finite_input(self._examples.x[rows], self._start[0].params, numbers)

    def vector(self) -> Array:
        """Do as `Loop.vector`, of one network, in the trainer's order."""
        return np.concatenate(self._trainer.vectors)

    def take(self, vector: Array) -> None:
        """Do as `Loop.take`."""
        vectors = self._trainer.vectors
        for own, given in zip(vectors, np.split(vector, len(vectors)), strict=True):
            own[:] = given

    def pass_over(self, steps: int) -> None:
        """Do as `Loop.pass_over`."""
        self._steps += steps

    @property
    def threads_used(self) -> float | None:
        """Do as `Loop.threads_used`."""
        used: float | None = self._trainer and self._trainer.pace.used
        return used

    def states(self) -> list[TrainState]:
        """Do as `Loop.states`."""
        states = list(self._start)
        if self._trainer is None or not self._trained:
            return states
        for network, params, trees in zip(self._trained, self._trainer.params(), self._trainer.moments(), strict=True):
            state = states[network]
            given = state.optimizer_state
            if isinstance(given, Moments):
                given = Moments(given.steps + self._steps, trees)
            states[network] = state._replace(params=params, optimizer_state=given, step=state.step + self._steps)
        return states


def _joined(parts: list[Made], passes: int) -> Made:
    """Return what the parts of a block made as one; of several passes, the last."""
    if passes > 1 or len(parts) == 1:
        return parts[-1]
    return Made(np.concatenate([part.losses for part in parts]), sum(part.correct for part in parts))
