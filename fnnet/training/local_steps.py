"""Local steps: each shard of the batches trains a network of its own for some steps, and then all take their mean.

Between means nothing is exchanged. The networks belong to the shards, and not to the ranks: the bits depend on the
plan alone. It is stochastic gradient descent with local steps after an ordinary start (Lin, Stich, Patel and Jaggi,
Don't use large mini-batches, use local SGD, ICLR 2020): up to the middle of the training all shards make each step
together, as the weights still move far; see `is_local`.

With S shards and networks w_s, which begin alike, and H local steps:

    w_s <- w_s - rate g(w_s; the rows of shard s)     H times, with moments of its own
    w_s <- (w_1 + ... + w_S) / S                      and so do the moments; summed in the tree of `core.shards`
"""

from __future__ import annotations

import numpy as np

from fnnet.core import shards
from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array
from fnnet.core.shards import Ranks
from fnnet.core.state import Examples, Moments, Objective, TrainState
from fnnet.core.table import Kernels
from fnnet.errors import DivergedError
from fnnet.training.blocks import Loop, make_blocks
from fnnet.training.compiled_blocks import Compiled, Made
from fnnet.training.plan import Plan
from fnnet.training.together import remembering


def is_local(plan: Plan, epoch: int) -> bool:
    """Return True if the steps of an epoch, counted from 1, are local: in the second half of the epochs, or of those of
    its cycle."""
    first, last = next(span for span in plan.spans if epoch <= span[1])
    return plan.local_steps > 1 and 2 * (epoch - first) > last - first


class LocalSteps:
    """Blocks of local steps of one network; what it does is that of `blocks.Loop`, of the mean of its shards' networks.

    A block begins behind a mean, and ends with one.

    batch_size   images of a batch, the same number for each shard.
    every        steps between two means.
    """

    def __init__(
        self, state: TrainState, batch_size: int, every: int, objective: Objective, optimizer: Optimizer,
        kernels: Kernels, ranks: Ranks,
    ) -> None:  # fmt: skip
        self._ranks, self._shards, self._batch_size, self._every = ranks, objective.shards, batch_size, every
        self._objective = objective._replace(shards=1, message_bits=32)
        self._optimizer, self._kernels, self._start = optimizer, remembering(kernels), state
        self._own = range(*ranks.own(self._shards))
        self._runners = [self._runner(shard) for shard in self._own]
        self._given: tuple[Examples, Array | None] | None = None
        self._steps, self._mean, self._failed = 0, np.zeros(0), False

    def _runner(self, shard: int) -> Loop | Compiled:
        state = self._start._replace(seed=(self._start.seed + shard) % 2**64)  # dropout masks of its own
        size = self._batch_size // self._shards
        return make_blocks([state], size, [self._objective], [self._optimizer], self._kernels)

    def use(self, examples: Examples, weights: Array | None, once: bool = False) -> None:
        """Train on these examples from now on; `once` as in `blocks.Loop.use`."""
        self._given = examples, weights
        for runner in self._runners:
            runner.use(examples, weights, once=once)

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> list[Made | DivergedError]:
        """Do as `Loop.run`; `rows` are given, and `passes` is 1."""
        assert rows is not None
        size, parts = self._every * self._batch_size, []
        for number, first in enumerate(range(0, len(rows), size)):
            ahead = rates[:, number * self._every : (number + 1) * self._every]
            made = self._run_apart(rows[first : first + size], ahead)
            if isinstance(made, DivergedError):
                self._failed = True
                return [made]
            parts.append(made)
        return [Made(np.concatenate([part.losses for part in parts]), sum(part.correct for part in parts))]

    def _run_apart(self, rows: Array, rates: Array) -> Made | DivergedError:
        """Make steps in each shard, and take the mean."""
        steps = rates.shape[1]
        with self._ranks.slow(computes=True):
            found = [self._run_shard(*each, rows, rates) for each in zip(self._own, self._runners, strict=True)]
        losses, correct = np.zeros(steps), 0
        for made in (each for some in self._ranks.gather(found) for each in some):
            if isinstance(made, DivergedError):
                return made
            losses[: len(made.losses)] += made.losses
            correct += made.correct
        self._take_mean()
        self._steps += steps
        return Made(losses, correct)

    def _run_shard(self, shard: int, runner: Loop | Compiled, rows: Array, rates: Array) -> Made | DivergedError:
        """Make the steps of one shard."""
        own = rows[shards.rows_of(len(rows), self._batch_size, self._shards, (shard, shard + 1))]
        count = -(-len(own) * self._shards // self._batch_size)
        made = runner.run(own, rates[:, :count])[0] if count else Made(np.zeros(0), 0)
        runner.pass_over(rates.shape[1] - count)  # the last batch may have no rows for it
        return made

    def _take_mean(self) -> None:
        vectors = [runner.vector() for runner in self._runners]
        total = shards.vector_total(vectors, self._shards, self._ranks)
        self._mean = total * total.dtype.type(1 / self._shards)
        for runner in self._runners:
            runner.take(self._mean)

    @property
    def threads_used(self) -> float | None:
        """Do as `Loop.threads_used`."""
        used = [each for runner in self._runners if (each := runner.threads_used) is not None]
        return float(np.mean(used)) if used else None

    def states(self) -> list[TrainState]:
        """Return the state behind the last mean."""
        if not self._steps:
            return [self._start]
        runner = self._runners[0]
        if self._failed:  # it may have lost its own
            assert self._given
            runner = self._runner(self._own[0])
            runner.use(*self._given)
            runner.take(self._mean)
        (state,) = runner.states()
        given, made = self._start.optimizer_state, state.optimizer_state
        if isinstance(given, Moments):
            made = made._replace(steps=given.steps + self._steps)
        return [state._replace(optimizer_state=made, step=self._start.step + self._steps, seed=self._start.seed)]
