"""Training by a plan: a generator that yields the state after each report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from fnnet.core import deform, metrics, optimizers, rng
from fnnet.core.check_network import as_input, check_examples
from fnnet.core.checks import check_labels, check_weights
from fnnet.core.params import Array, Params
from fnnet.core.schedules import make_plateau, make_schedule
from fnnet.core.state import EpochReport, Examples, Progress, Training
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import ArgumentTypeError
from fnnet.training import steps, stopping
from fnnet.training.blocks import add_up, make_blocks
from fnnet.training.plan import Plan, check_kind, check_plan, make_optimizer

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
    if training.best and not (_is_extra(history[-1], plan) and _ends_with_best(history)):
        return training.best
    return optimizers.evaluation_params(state.params, state.optimizer_state, make_optimizer(plan))


def epoch_order(seed: int, epoch: int, images: int) -> Array:
    """Return the order of the images in an epoch, counted from 1: a function of (seed, epoch) alone."""
    return rng.order(seed, "shuffle", images, epoch=epoch)


def epochs(
    training: Training,
    train: Examples,
    plan: Plan,
    *,
    weights: Any = None,
    image_shape: tuple[int, int] | None = None,
    dev: Examples | None = None,
    kernels: Kernels = NUMPY,
    on_block: Callable[[Progress], None] | None = None,
) -> Iterator[Training]:
    """Train by `plan` from where `training` is, and yield it every `plan.report_every` epochs and after the last.

    The order of the images in epoch e is a function of (seed, e) alone, their deformation one of (seed, e, image).
    With `plan.epochs` 0 nothing is yielded. L-BFGS makes one iteration an epoch and is yielded once, at its end.

    weights       of the training images (n,); None for equal ones.
    image_shape   (height, width), for the deformation.
    dev           images for validation; None for none.
    on_block      called after each block of steps.
    Raises        DivergedError as `train_block`; UsageError for a plan or examples that do not fit.
    """
    check_plan(plan, has_dev=dev is not None)
    if not isinstance(training, Training):
        raise ArgumentTypeError("training", expected="a Training", found=type(training).__name__)
    train, dev = check_examples(train), None if dev is None else check_examples(dev)
    if not plan.is_stepwise:
        yield from _run_lbfgs(training, train, plan, weights, dev, kernels, on_block)
        return
    runner = EpochRunner(training, train, plan, weights, image_shape, kernels)
    while training.epoch < plan.epochs and not stops_early(training, plan):
        training = runner.run_pass(training, on_block)
        if training.epoch % plan.report_every == 0 or training.epoch == plan.epochs:
            training = runner.report(training, dev)
            yield training
        else:
            training = training._replace(images=0, loss_sum=0.0, correct=0)


def _run_lbfgs(
    training: Training, train: Examples, plan: Plan, weights: Any, dev: Examples | None, kernels: Kernels,
    on_block: Callable[[Progress], None] | None,
) -> Iterator[Training]:  # fmt: skip
    """Train by L-BFGS, whose iterations are the epochs: all of them, or fewer if the minimum is reached."""
    import scipy.optimize  # noqa: F401  here, so that it does not count in the first iteration's time

    from fnnet.training import lbfgs

    if plan.epochs < 1:
        return
    reached, began = training, time.perf_counter()

    def on_iteration(number: int, _: float, params: Params) -> None:
        nonlocal reached, began
        seconds, n = time.perf_counter() - began, len(train.x)
        on_train = metrics.evaluate(params, *train, activation=plan.activation, kernels=kernels)
        # There is no learning rate: each step is as long as the search along its line makes it.
        figures = (on_train.loss, on_train.accuracy, *_dev_figures(params, dev, plan, kernels), math.nan)
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
    """Runs passes over the training images in blocks of steps, and reports on them.

    The parameters stay in the blocks, compiled or not, from step to step; `Training` records the progress.
    """

    def __init__(
        self, training: Training, train: Examples, plan: Plan, weights: Any, image_shape: tuple[int, int] | None,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        params, self._images = training.state.params, len(train.x)
        self._plan, self._kernels, self._optimizer = plan, kernels, make_optimizer(plan)
        self._batch_size = min(plan.batch_size or self._images, self._images)
        self._full_batch = self._batch_size == self._images
        self._train = Examples(train.x, check_labels(train.labels, (self._images, params.layers[-1].W.shape[1])))
        self._weights, self._image_shape = check_weights(weights, self._images), image_shape
        if self._full_batch and not kernels.compiled and not plan.deformation:
            # Every step reads all images: convert the bytes to floats once.
            self._train = Examples(as_input(train.x, params), self._train.labels)
        self._blocks = make_blocks(training.state, self._batch_size, plan.objective, self._optimizer, kernels)
        if plan.deformation:
            deform.check_images(train.x, image_shape)
        else:
            self._blocks.use(self._train, self._weights)
        steps_per_epoch = -(-self._images // self._batch_size)
        length = (plan.epochs, steps_per_epoch, plan.cycles)
        self._schedule = make_schedule(plan.schedule, plan.learning_rate, *length)
        self._plateau = make_plateau(plan.schedule)
        self._seed, self._steps_done, self._steps_per_block = training.state.seed, training.state.step, 1

    def run_pass(self, training: Training, on_block: Callable[[Progress], None] | None) -> Training:
        """Finish the pass that `training` is in; in the full batch, several passes up to the next report at once."""
        n, passes = self._images, self._passes_at_once(training)
        epoch = training.epoch + passes
        order = None if self._full_batch else epoch_order(self._seed, epoch, n)
        rate_factor = self._rate_factor(training)
        while training.images < n:
            first = training.images
            rows = None if order is None else order[first : first + self._steps_per_block * self._batch_size]
            began = time.perf_counter()
            losses, correct = self._run_block(rows, epoch, passes, rate_factor)
            seconds = time.perf_counter() - began
            images = n if rows is None else len(rows)
            self._fit_block(seconds, passes * -(-images // self._batch_size))
            training = training._replace(
                images=first + images,
                loss_sum=add_up(training.loss_sum, losses),
                correct=training.correct + correct,
                seconds=training.seconds + seconds,
            )
            if on_block:
                figures = (training.images, training.loss_sum, training.correct)
                within = partial(self._within_pass, training, epoch)
                on_block(Progress(epoch, *figures, within, self._blocks.threads_used))
        return training._replace(epoch=epoch)

    def _passes_at_once(self, training: Training) -> int:
        """Return how many passes a block makes: more than 1 only where each is one step on the same images."""
        if not self._full_batch or self._plan.deformation:
            return 1
        every = self._plan.report_every
        until_report = min(every - training.epoch % every, self._plan.epochs - training.epoch)
        return min(self._steps_per_block, until_report)

    def _fit_block(self, seconds: float, steps_made: int) -> None:
        """Choose the size of the next block by the time of the last. Results do not depend on where blocks end."""
        growth = min(2.0, BLOCK_SECONDS / max(seconds, 1e-9))
        self._steps_per_block = max(1, int(growth * steps_made))

    def _within_pass(self, training: Training, epoch: int) -> Training:
        """Return `training`, at the end of a block, with the state of its parameters; its pass is not reported yet."""
        return training._replace(state=self._blocks.state(), epoch=epoch - 1)

    def _rate_factor(self, training: Training) -> float:
        return self._plateau([_watched_loss(report) for report in training.history])

    def _run_block(self, rows: Array | None, epoch: int, passes: int, rate_factor: float) -> tuple[Array, int]:
        images = self._images if rows is None else len(rows)
        steps_ahead = passes * -(-images // self._batch_size)
        rates = rate_factor * self._schedule(np.arange(self._steps_done, self._steps_done + steps_ahead))
        if self._plan.deformation:
            rows = self._deform(np.arange(self._images) if rows is None else rows, epoch)
        outcome = self._blocks.run(rows, rates, passes)
        self._steps_done += steps_ahead
        return outcome

    def _deform(self, rows: Array, epoch: int) -> Array:
        """Deform these images as in this epoch, pass them to the blocks, and return their new numbers."""
        assert self._plan.deformation
        assert self._image_shape
        x = deform.deform(
            np.asarray(self._train.x)[rows], self._image_shape, self._plan.deformation, seed=self._seed, epoch=epoch,
            samples=rows, kernels=self._kernels,
        )  # fmt: skip
        weights = None if self._weights is None else self._weights[rows]
        self._blocks.use(Examples(x, self._train.labels[rows]), weights)
        return np.arange(len(rows))

    def report(self, training: Training, dev: Examples | None) -> Training:
        """Return `training` after its pass, with the report of it."""
        state, plan, n = self._blocks.state(), self._plan, self._images
        params = optimizers.evaluation_params(state.params, state.optimizer_state, self._optimizer)
        rate = self._rate_factor(training) * float(self._schedule(self._steps_done - 1))
        on_train = (training.loss_sum / n, training.correct / n)
        figures = (*on_train, *_dev_figures(params, dev, plan, self._kernels), rate)
        history = (*training.history, EpochReport(training.epoch, training.seconds, *figures))
        best = training.best
        # An extra report leaves the best of those before it, for a run that goes on; `trained_params` looks at both.
        if plan.early_stopping and _ends_with_best(history) and not _is_extra(history[-1], plan):
            best = params
        return Training(state, history, best, training.epoch)


def _dev_figures(
    params: Params, dev: Examples | None, plan: Plan, kernels: Kernels
) -> tuple[float, float] | tuple[None, None]:
    """Return loss and accuracy on the dev images, None without any."""
    if dev is None:
        return None, None
    found = metrics.evaluate(params, *dev, activation=plan.activation, kernels=kernels)
    return found.loss, found.accuracy


def _watched_loss(report: EpochReport) -> float:
    """Return the loss that decides: on dev images, if there are any."""
    return report.train_loss if report.dev_loss is None else report.dev_loss


def _ends_with_best(history: tuple[EpochReport, ...]) -> bool:
    return stopping.best_epoch([_watched_loss(each) for each in history]) == len(history) - 1


def _is_extra(report: EpochReport, plan: Plan) -> bool:
    """True for the report after the last epoch, if it is not one of those every `report_every` epochs."""
    return report.epoch % plan.report_every != 0


def stops_early(training: Training, plan: Plan) -> bool:
    """True if early stopping ends the training where it is."""
    losses = [_watched_loss(report) for report in training.history]
    return plan.early_stopping is not None and stopping.is_over(losses, plan.early_stopping)


def without_extra_report(training: Training, plan: Plan) -> Training:
    """Return a training to go on with beyond its last epoch, as it would be if that had not been the last."""
    history = training.history
    if not (history and _is_extra(history[-1], plan)):
        return training
    return training._replace(history=history[:-1], seconds=training.seconds + history[-1].seconds)
