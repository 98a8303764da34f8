"""Training by a plan: epochs as a generator of how far it has come."""

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
from fnnet.core.state import EpochReport, Examples, Objective, Progress, Training
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import ArgumentTypeError
from fnnet.training import steps, stopping
from fnnet.training.blocks import add_up, make_blocks
from fnnet.training.plan import Plan, check_plan, goes_by_steps, make_optimizer, make_plateau, make_schedule

BLOCK_SECONDS: Final = 0.1
"""About how long a block of steps may run: Ctrl-C, the progress bar and the check for divergence wait for its end."""


def start(params: Params, seed: int, plan: Plan) -> Training:
    """Training by `plan` before its first step."""
    state = steps.start(params, seed)
    return Training(state._replace(optimizer_state=make_optimizer(plan).init(params)) if goes_by_steps(plan) else state)


def answering(training: Training, plan: Plan) -> Params:
    """The parameters to answer with: the best, where early stopping kept them, else the average, else the last."""
    state = training.state
    if not goes_by_steps(plan):
        return state.params
    return training.best or optimizers.evaluation_params(state.params, state.optimizer_state, make_optimizer(plan))


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
    """Train by `plan` from where `training` is, yielding it every `plan.report_every` epochs and after the last.

    The order of the images in epoch e is a function of (seed, e) alone, their deformation one of (seed, e, image).
    With `plan.epochs` 0 nothing is yielded. L-BFGS makes an iteration of an epoch and is yielded once, at its end.

    weights       of the training images (n,); None for equal ones.
    image_shape   (height, width), for the deformation.
    on_block      is told after each block.
    """
    check_plan(plan, has_dev=dev is not None)
    if not isinstance(training, Training):
        raise ArgumentTypeError("training", expected="a Training", found=type(training).__name__)
    train, dev = check_examples(train), None if dev is None else check_examples(dev)
    if not goes_by_steps(plan):
        yield from _minimised(training, train, plan, weights, dev, kernels, on_block)
        return
    course = _Course(training, train, plan, weights, image_shape, kernels)
    while training.epoch < plan.epochs and not _is_over(training, plan):
        training = course.pass_over(training, on_block)
        if training.epoch % plan.report_every == 0 or training.epoch == plan.epochs:
            training = course.report(training, dev)
            yield training
        else:
            training = training._replace(images=0, loss_sum=0.0, correct=0)


def _minimised(
    training: Training, train: Examples, plan: Plan, weights: Any, dev: Examples | None, kernels: Kernels,
    on_block: Callable[[Progress], None] | None,
) -> Iterator[Training]:  # fmt: skip
    """Training by L-BFGS, whose iterations are the epochs: all of them, or as many as the minimum takes."""
    import scipy.optimize  # noqa: F401  here, so that it is no part of the first iteration's time

    from fnnet.training import lbfgs

    if plan.epochs < 1:
        return
    reached, began = training, time.perf_counter()

    def on_iteration(number: int, _: float, params: Params) -> None:
        nonlocal reached, began
        took, n = time.perf_counter() - began, len(train.x)
        on_train, on_dev = (
            part and metrics.evaluate(params, *part, activation=plan.activation, kernels=kernels)
            for part in (train, dev)
        )
        assert on_train
        dev_loss, dev_accuracy = (on_dev.loss, on_dev.accuracy) if on_dev else (None, None)
        # There is no learning rate: each step is as long as the search along its line says.
        report = EpochReport(number, took, on_train.loss, on_train.accuracy, dev_loss, dev_accuracy, math.nan)
        state = training.state._replace(params=params, step=training.state.step + number)
        reached = Training(state, (*reached.history, report), epoch=number)
        if on_block:
            right = round(on_train.accuracy * n)
            on_block(Progress(number, n, on_train.loss * n, right, lambda: reached))
        began = time.perf_counter()

    lbfgs.minimise(
        training.state.params, train, iterations=plan.epochs, activation=plan.activation, l2=plan.weight_decay,
        weights=weights, label_smoothing=plan.label_smoothing, kernels=kernels, on_iteration=on_iteration,
    )  # fmt: skip
    yield reached


class _Course:
    """Passes over the training images."""

    def __init__(
        self, training: Training, train: Examples, plan: Plan, weights: Any, image_shape: tuple[int, int] | None,
        kernels: Kernels,
    ) -> None:  # fmt: skip
        self.plan, self._kernels, self._optimizer = plan, kernels, make_optimizer(plan)
        params = training.state.params
        self._n = n = len(train.x)
        self._train = Examples(train.x, check_labels(train.labels, (n, params.layers[-1].W.shape[1])))
        self._weights, self._shape = check_weights(weights, n), image_shape
        self._batch = min(plan.batch_size or n, n)
        if self._batch == n and not kernels.compiled and not plan.deformation:
            # Every step reads all images: make floats of the bytes once.
            self._train = Examples(as_input(train.x, params), self._train.labels)
        objective = Objective(plan.activation, plan.dropout, plan.label_smoothing)
        self._blocks = make_blocks(training.state, self._batch, objective, self._optimizer, kernels)
        if plan.deformation:
            deform.check_images(train.x, image_shape)
        else:
            self._blocks.use(self._train, self._weights)
        self._schedule = make_schedule(plan, -(-n // self._batch))
        self._plateau = make_plateau(plan)
        self._steps, self._made, self._seed = 1, training.state.step, training.state.seed

    def pass_over(self, training: Training, on_block: Callable[[Progress], None] | None) -> Training:
        """The rest of the pass under way; in the full batch it may be several, up to the next report."""
        plan, n, whole = self.plan, self._n, self._batch == self._n
        ahead = min(plan.report_every - training.epoch % plan.report_every, plan.epochs - training.epoch)
        passes = min(self._steps, ahead) if whole and not plan.deformation else 1
        epoch = training.epoch + passes
        rows = None if whole else rng.order(training.state.seed, "shuffle", n, epoch=epoch)
        done, losses, correct, seconds = training.images, training.loss_sum, training.correct, training.seconds
        scale = self._scale(training)
        while done < n:
            block = None if rows is None else rows[done : done + self._steps * self._batch]
            began = time.perf_counter()
            found, right = self._run(block, epoch, passes, scale)
            took = time.perf_counter() - began
            images = n if block is None else len(block)
            # Sizes of blocks follow the clock; results do not depend on where blocks end.
            self._steps = max(1, int(min(2.0, BLOCK_SECONDS / max(took, 1e-9)) * passes * -(-images // self._batch)))
            done, seconds = done + images, seconds + took
            losses, correct = add_up(losses, found), correct + right
            if on_block:
                reached = training._replace(images=done, loss_sum=losses, correct=correct, seconds=seconds)
                on_block(Progress(epoch, done, losses, correct, partial(self._now, reached, epoch)))
        return training._replace(epoch=epoch, images=n, loss_sum=losses, correct=correct, seconds=seconds)

    def _now(self, training: Training, epoch: int) -> Training:
        """`training`, which is at the end of a block, with its state; a pass that has ended is not reported yet."""
        return training._replace(state=self._blocks.state(), epoch=epoch - 1)

    def _scale(self, training: Training) -> float:
        return self._plateau([_watched(report) for report in training.history])

    def _run(self, block: Array | None, epoch: int, passes: int, scale: float) -> tuple[Array, int]:
        images = self._n if block is None else len(block)
        steps = passes * -(-images // self._batch)
        rates = scale * self._schedule(np.arange(self._made, self._made + steps))
        if self.plan.deformation:
            block = self._deform(np.arange(self._n) if block is None else block, epoch)
        found = self._blocks.run(block, rates, passes)
        self._made += steps
        return found

    def _deform(self, rows: Array, epoch: int) -> Array:
        """Have the blocks use these images as they are in this epoch; returns their new numbers."""
        assert self.plan.deformation
        assert self._shape
        x = deform.deform(
            np.asarray(self._train.x)[rows], self._shape, self.plan.deformation, seed=self._seed, epoch=epoch,
            samples=rows, kernels=self._kernels,
        )  # fmt: skip
        weights = None if self._weights is None else self._weights[rows]
        self._blocks.use(Examples(x, self._train.labels[rows]), weights)
        return np.arange(len(rows))

    def report(self, training: Training, dev: Examples | None) -> Training:
        """`training` after its pass, with the report of it."""
        state, plan, n = self._blocks.state(), self.plan, self._n
        params = optimizers.evaluation_params(state.params, state.optimizer_state, self._optimizer)
        on_dev = dev and metrics.evaluate(params, *dev, activation=plan.activation, kernels=self._kernels)
        dev_loss, dev_accuracy = (on_dev.loss, on_dev.accuracy) if on_dev else (None, None)
        rate = self._scale(training) * float(self._schedule(self._made - 1))
        figures = (training.loss_sum / n, training.correct / n, dev_loss, dev_accuracy, rate)
        history = (*training.history, EpochReport(training.epoch, training.seconds, *figures))
        best = training.best
        if plan.early_stopping and stopping.best_epoch([_watched(each) for each in history]) == len(history) - 1:
            best = params
        return Training(state, history, best, training.epoch)


def _watched(report: EpochReport) -> float:
    """The loss that decides: on dev images, where there are some."""
    return report.train_loss if report.dev_loss is None else report.dev_loss


def _is_over(training: Training, plan: Plan) -> bool:
    losses = [_watched(report) for report in training.history]
    return bool(plan.early_stopping) and stopping.is_over(losses, plan.early_stopping or 1)
