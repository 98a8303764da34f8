"""Training by a plan: a generator that yields the state after each report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from fnnet.core import metrics, optimizers
from fnnet.core.check_network import check_examples
from fnnet.core.params import Array, Params
from fnnet.core.schedules import make_plateau
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import EpochReport, Examples, Progress, Training, TrainState
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.data.stream import Stream
from fnnet.errors import ArgumentTypeError, DivergedError
from fnnet.training import steps
from fnnet.training.blocks import add_up
from fnnet.training.compiled_blocks import Made
from fnnet.training.feed import Part, deformed, make_feed
from fnnet.training.local_steps import LocalSteps, is_local
from fnnet.training.plan import (
    Plan,
    check_kind,
    check_plan,
    check_streamed,
    deformation_in,
    make_optimizer,
    schedule_of,
)
from fnnet.training.reports import dev_figures, ends_with_best, is_extra, stops_early, watched_loss
from fnnet.training.together import Together

Reached = Training | DivergedError
"""Where the training of a network is, or the error with which it ended."""

BLOCK_SECONDS: Final = 0.1
"""About how long a block of steps may run: Ctrl-C, the progress bar and the check for divergence wait for its end."""


def start(params: Params, seed: int, plan: Plan) -> Training:
    """Return the training by `plan` before its first step."""
    stepwise = check_kind(plan).is_stepwise
    return Training(steps.start(params, seed, **({"optimizer": make_optimizer(plan)} if stepwise else {})))


def trained_params(training: Training, plan: Plan) -> Params:
    """Return the parameters to predict with: the best if early stopping kept them, else the average, else the last."""
    state, history = training.state, training.history
    if not check_kind(plan).is_stepwise:
        return state.params
    if training.best and not (is_extra(history[-1], plan) and ends_with_best(history)):
        return training.best
    return optimizers.evaluation_params(state.params, state.optimizer_state, make_optimizer(plan))


def epochs(
    training: Training,
    train: Examples | Stream,
    plan: Plan,
    *,
    weights: Any = None,
    image_shape: tuple[int, int] | None = None,
    dev: Examples | None = None,
    kernels: Kernels = NUMPY,
    on_block: Callable[[Progress], None] | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[Training]:
    """Train by `plan` from where `training` is, and yield it every `plan.report_every` epochs and after the last.

    The order of the images in epoch e is a function of (seed, e) alone, and of the plan's window and the sizes of the
    pieces if they are streamed: see `core.orders`. Their deformation is one of (seed, e, image) and, if it fades, of
    the plan's epochs.
    With `plan.epochs` 0 nothing is yielded. L-BFGS makes one iteration an epoch and is yielded once, at its end.

    weights       of the training images (n,), of a stream those of the classes; None for equal ones.
    image_shape   (height, width), for the deformation.
    dev           images for validation; None for none.
    on_block      called after each block of steps.
    ranks         processes that share the shards of each batch; all are given the same.
    Raises        DivergedError as `train_block`; UsageError for a plan or examples that do not fit; of a stream,
                  DataError or StorageError for a file that is damaged or not there.
    """
    check_plan(plan, has_dev=dev is not None)
    if not isinstance(training, Training):
        raise ArgumentTypeError("training", expected="a Training", found=type(training).__name__)
    dev = None if dev is None else check_examples(dev)
    if isinstance(train, Stream):
        check_streamed(plan)
    else:
        train = check_examples(train)
    if not plan.is_stepwise:
        assert not isinstance(train, Stream)
        yield from _run_lbfgs(training, train, plan, weights, dev, kernels, on_block)
        return
    together = epochs_together(
        [training], train, [plan], weights=weights, image_shape=image_shape, dev=dev, kernels=kernels,
        on_block=on_block, ranks=ranks,
    )  # fmt: skip
    for (reached,) in together:
        if isinstance(reached, DivergedError):
            raise reached
        yield reached


def epochs_together(
    trainings: Sequence[Training],
    train: Examples | Stream,
    plans: Sequence[Plan],
    *,
    weights: Any = None,
    image_shape: tuple[int, int] | None = None,
    dev: Examples | None = None,
    kernels: Kernels = NUMPY,
    on_block: Callable[[Progress], None] | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[list[Reached]]:
    """Train networks that see the same batches by plans with steps, and yield where they are at every report.

    plans    of the networks: they differ in figures of the optimizer, smoothing and early stopping only.
    Yields   the training of each, also of those that have stopped, or the error of one that diverged.
    """
    reached: list[Reached] = list(trainings)
    members: list[int] = []
    runner = None
    try:
        while going := {
            number: each
            for number, (each, plan) in enumerate(zip(reached, plans, strict=True))
            if isinstance(each, Training) and each.epoch < plan.epochs and not stops_early(each, plan)
        }:
            if runner is None or members != [*going]:
                # Some have stopped: the others are put together again.
                members = [*going]
                some = [plans[number] for number in members]
                if runner:
                    runner.close()
                with ranks.slow(computes=True):  # pixels are looked for
                    runner = EpochRunner([*going.values()], train, some, weights, image_shape, kernels, ranks)
            passed = runner.run_pass([*going.values()], on_block)
            reports = runner.reports_after(passed)
            if reports:
                passed = runner.report(passed, dev)
            elif any(isinstance(each, DivergedError) for each in passed):
                passed = runner.with_states(passed)
            for number, each in zip(members, passed, strict=True):
                reached[number] = each
                if isinstance(each, Training) and not reports:
                    reached[number] = each._replace(images=0, loss_sum=0.0, correct=0)
            if reports:
                yield list(reached)
    finally:
        if runner:
            runner.close()


def _run_lbfgs(
    training: Training, train: Examples, plan: Plan, weights: Any, dev: Examples | None, kernels: Kernels,
    on_block: Callable[[Progress], None] | None,
) -> Iterator[Training]:  # fmt: skip
    """Train by L-BFGS, whose iterations are the epochs: all of them, or fewer if the minimum is reached."""
    from fnnet.training import lbfgs

    if plan.epochs < 1:
        return
    reached, began = training, time.perf_counter()

    def on_iteration(number: int, _: float, params: Params) -> None:
        nonlocal reached, began
        seconds, n = time.perf_counter() - began, len(train.x)
        on_train = metrics.evaluate(params, *train, activation=plan.activation, kernels=kernels)
        # There is no learning rate: each step is as long as the search along its line makes it.
        figures = (on_train.loss, on_train.accuracy, *dev_figures(params, dev, plan, kernels), math.nan)
        state = training.state._replace(params=params, step=training.state.step + number)
        reached = Training(state, (*reached.history, EpochReport(number, seconds, *figures)), epoch=number)
        if on_block:
            correct = round(on_train.accuracy * n)
            on_block(Progress(number, n, on_train.loss * n, correct, lambda: reached))
        began = time.perf_counter()

    lbfgs.minimise(
        training.state.params, train, iterations=plan.epochs, activation=plan.activation, l2=plan.weight_decay,
        weights=weights, label_smoothing=plan.label_smoothing, kernels=kernels, on_iteration=on_iteration,
    )  # fmt: skip
    yield reached


class EpochRunner:
    """Runs passes of networks over the training images in blocks of steps, and reports on them.

    The parameters stay in the blocks, compiled or not, from step to step; `Training` records the progress. The networks
    see the same batches.
    """

    def __init__(
        self, trainings: Sequence[Training], train: Examples | Stream, plans: Sequence[Plan], weights: Any,
        image_shape: tuple[int, int] | None, kernels: Kernels, ranks: Ranks = ALONE,
    ) -> None:  # fmt: skip
        check_kernels(kernels)
        states, plan = [each.state for each in trainings], plans[0]
        self._plans, self._plan, self._kernels, self._ranks = plans, plan, kernels, ranks
        self._optimizers, self._image_shape = [make_optimizer(each) for each in plans], image_shape
        self._images = train.images if isinstance(train, Stream) else len(train.x)
        self._batch_size = min(plan.batch_size or self._images, self._images)
        self._feed = make_feed(train, weights, plan, states[0], image_shape, kernels, ranks)
        self._blocks: Together | LocalSteps = self._together(states)
        self._used: Examples | None = None
        if self._feed.whole and not plan.deformation:
            self._use(*self._feed.whole)
        steps_per_epoch = -(-self._images // self._batch_size)
        self._schedules = [schedule_of(each, steps_per_epoch) for each in plans]
        self._plateaus = [make_plateau(each.schedule) for each in plans]
        self._seed, self._steps_done, self._steps_per_block = states[0].seed, states[0].step, 1

    def close(self) -> None:
        """Give back what it holds beside memory; it makes no more steps."""
        self._feed.close()

    def run_pass(self, trainings: Sequence[Training], on_block: Callable[[Progress], None] | None) -> list[Reached]:
        """Finish the pass that the trainings are in; in the full batch, several passes up to the next report at once.

        It ends early once all have diverged.
        """
        first = trainings[0]
        n, passes, images = self._images, self._passes_at_once(first), first.images
        epoch = first.epoch + passes
        with self._ranks.slow(computes=True):  # the order of many images takes longer than a step
            self._feed.begin(epoch)
        self._go_apart(epoch)
        factors = np.array([[self._rate_factor(*each)] for each in enumerate(trainings)])
        reached: list[Reached] = list(trainings)
        while images < n:
            began = time.perf_counter()
            part = self._feed.part(images, self._steps_ahead() * self._batch_size)
            made = self._run_block(part, epoch, passes, factors)
            seconds = self._ranks.gather(time.perf_counter() - began)[0]
            self._fit_block(seconds, passes * -(-len(part.numbers) // self._batch_size))
            images += len(part.numbers)
            reached = [_added(*each, images, seconds) for each in zip(reached, made, strict=True)]
            going = [each for each in reached if isinstance(each, Training)]
            if not going:
                return reached
            if on_block:
                on_block(self._progress(reached, going, epoch))
        return [each._replace(epoch=epoch) if isinstance(each, Training) else each for each in reached]

    def _together(self, states: Sequence[TrainState]) -> Together:
        objectives = [each.objective for each in self._plans]
        return Together(states, self._batch_size, objectives, self._optimizers, self._kernels, self._ranks)

    def _go_apart(self, epoch: int) -> None:
        """Let each shard make steps of its own if they are local in this epoch, else all together, as where a batch has
        all images: it may be smaller than the plan's, which shards divide."""
        plan, local = self._plan, is_local(self._plan, epoch) and self._batch_size < self._images
        if local == isinstance(self._blocks, LocalSteps):
            return
        states, self._used = self._blocks.states(), None
        if not local:
            self._blocks = self._together(states)
            return
        given = (plan.local_steps, plan.objective, self._optimizers[0], self._kernels, self._ranks)
        self._blocks = LocalSteps(states[0], self._batch_size, *given)

    def _steps_ahead(self) -> int:
        """Return the steps of the next block, which ends where shards that make steps of their own take their mean."""
        every = self._plan.local_steps
        return -(-self._steps_per_block // every) * every

    def _progress(self, reached: list[Reached], going: list[Training], epoch: int) -> Progress:
        """Return the progress of the networks that go on, in the mean; its training is that of the first."""
        loss_sum = float(np.mean([each.loss_sum for each in going]))
        correct = round(float(np.mean([each.correct for each in going])))
        number = next(number for number, each in enumerate(reached) if isinstance(each, Training))
        within = partial(self._within_pass, going[0], number, epoch)
        return Progress(epoch, going[0].images, loss_sum, correct, within, self._blocks.threads_used)

    def _passes_at_once(self, training: Training) -> int:
        """Return how many passes a block makes: more than 1 only where each is one step on the same images."""
        if not self._feed.is_full_batch or self._plan.deformation:
            return 1
        every = self._plan.report_every
        until_report = min(every - training.epoch % every, self._plan.epochs - training.epoch)
        return min(self._steps_per_block, until_report)

    def _fit_block(self, seconds: float, steps_made: int) -> None:
        """Choose the size of the next block by the time of the last, which may have been cut short by the end of an
        epoch or a window. Results do not depend on where blocks end."""
        in_time = BLOCK_SECONDS / max(seconds, 1e-9) * steps_made
        self._steps_per_block = max(1, int(min(2.0 * self._steps_per_block, in_time)))

    def _within_pass(self, training: Training, number: int, epoch: int) -> Training:
        """Return `training`, at the end of a block, with the state of its parameters; its pass is not reported yet."""
        return training._replace(state=self._blocks.states()[number], epoch=epoch - 1)

    def _rate_factor(self, number: int, training: Training) -> float:
        return self._plateaus[number]([watched_loss(report) for report in training.history])

    def _run_block(self, part: Part, epoch: int, passes: int, factors: Array) -> list[Made | DivergedError]:
        steps_ahead = passes * -(-len(part.numbers) // self._batch_size)
        numbers = np.arange(self._steps_done, self._steps_done + steps_ahead)
        rates = factors * np.array([schedule(numbers) for schedule in self._schedules])
        if deformation := deformation_in(self._plan, epoch):
            assert self._image_shape
            own = self._ranks.rows(len(part.numbers), self._batch_size, self._plan.shards)[self._ranks.rank]
            part = deformed(part, own, self._image_shape, deformation, self._seed, epoch, self._kernels)
        self._use(part.examples, part.weights)
        made = self._blocks.run(part.rows, rates, passes)
        self._steps_done += steps_ahead
        return made

    def _use(self, examples: Examples, weights: Array | None) -> None:
        """Pass these images to the blocks, unless it has been done."""
        if examples is not self._used:
            whole = self._feed.whole
            self._blocks.use(examples, weights, once=not whole or examples is not whole[0])
            self._used = examples

    def reports_after(self, reached: Sequence[Reached]) -> bool:
        """True if a report is due after this pass: every `report_every` epochs, after the last, and if none goes on."""
        epochs_done = [each.epoch for each in reached if isinstance(each, Training)]
        return not epochs_done or epochs_done[0] % self._plan.report_every == 0 or epochs_done[0] == self._plan.epochs

    def with_states(self, reached: Sequence[Reached]) -> list[Reached]:
        """Return the trainings with the state of their parameters, from which others than this runner can go on."""
        return [
            training._replace(state=state) if isinstance(training, Training) else training
            for training, state in zip(reached, self._blocks.states(), strict=True)
        ]

    def report(self, reached: Sequence[Reached], dev: Examples | None) -> list[Reached]:
        """Return the trainings after their pass, with the report of it."""
        return [
            self._report(number, training, dev) if isinstance(training, Training) else training
            for number, training in enumerate(self.with_states(reached))
        ]

    def _report(self, number: int, training: Training, dev: Examples | None) -> Training:
        plan, n, state = self._plans[number], self._images, training.state
        params = optimizers.evaluation_params(state.params, state.optimizer_state, self._optimizers[number])
        rate = self._rate_factor(number, training) * float(self._schedules[number](self._steps_done - 1))
        on_train = (training.loss_sum / n, training.correct / n)
        on_dev = self._ranks.of_first(lambda: dev_figures(params, dev, plan, self._kernels))
        figures = (*on_train, *on_dev, rate)
        history = (*training.history, EpochReport(training.epoch, training.seconds, *figures))
        best = training.best
        # An extra report leaves the best of those before it, for a run that goes on; `trained_params` looks at both.
        if plan.early_stopping and ends_with_best(history) and not is_extra(history[-1], plan):
            best = params
        return Training(state, history, best, training.epoch)


def _added(reached: Reached, made: Made | DivergedError, images: int, seconds: float) -> Reached:
    """Return where a network is after a block up to `images` of its pass."""
    if isinstance(reached, DivergedError):
        return reached
    if isinstance(made, DivergedError):
        return made
    return reached._replace(
        images=images,
        loss_sum=add_up(reached.loss_sum, made.losses),
        correct=reached.correct + made.correct,
        seconds=reached.seconds + seconds,
    )
