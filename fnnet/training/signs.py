"""Signs of how a training went, measured at its end on some of the images that it was trained on.

No step is watched, so that the bits and the time of training stay as they are: the units and the loss are those of the
network that training returns, the course is that of its reports, and the first steps are made again (`first_steps`),
where a run has gone wrong. `advice.explain` judges what is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fnnet.core import network
from fnnet.core.operations import OPERATIONS
from fnnet.core.params import Array, Params
from fnnet.core.state import EpochReport, Model
from fnnet.data.stream import Stream, count_of
from fnnet.training.first_steps import Start, start_of
from fnnet.training.plan import Plan
from fnnet.training.sample import Sample, floats_of, sample_of
from fnnet.training.starting import first_params

if TYPE_CHECKING:
    from fnnet.training.session import Job

FLAT: Final = 0.01
"""A unit is flat for an image if its slope is less than this fraction of the steepest that its activation has."""
MOSTLY: Final = 0.99
"""A unit is saturated if it is flat for this fraction of the images."""
STEEPEST: Final = {"sigmoid": 0.25}
"""Of activations whose slope nowhere reaches 1."""
NOTHING: Final = 0.05
"""Learnt, as `Signs.learnt`: less than this is chance, and the network of the start is measured, too."""
HALVINGS: Final = 12
"""Times that logits are halved in search of the certainty that suits them."""
DIM: Final = 0.05
"""Root mean square of images whose largest byte is looked for: that of MNIST is 0.33."""
LAST_PART: Final = 0.25
"""The part of a run, at its end, whose share of the whole fall of the loss is measured."""


class Signs(NamedTuple):
    """What a training shows at its end; all but the plan and the sizes are measured.

    plan, sizes, image_shape   what was trained.
    images          training images; `steps` and `epochs` that were made.
    diverged        True if a loss or weight became infinite or NaN.
    chance_loss     nats, of the network that knows how often each class occurs and nothing else.
    floor_loss      the least loss that there can be: above 0 with label smoothing.
    loss, accuracy  on the sample: without dropout and deformation, with the smoothing and the weights of training.
    rows            images in the sample.
    start_loss      the loss before the first step; measured where less than NOTHING is learnt, else None.
    gained          as `learnt`, from the network before the first step to that of the end, both at the certainty that
                    suits their outputs; measured where `start_loss` is.
    train_loss, least_train_loss   of the last report, and the smallest of all.
    dev_loss, dev_accuracy         of the report whose weights are returned; None without dev images.
    dev_images      how many these are.
    least_dev_loss  the smallest of all reports.
    late_fall       see `late_fall`.
    dead, saturated   of each hidden layer, the share of units that are 0 for all images, and flat for nearly all.
    variation       how much the last hidden layer's outputs vary between images, beside their size; None without one.
    input_size      root mean square of what the network takes.
    brightest       the largest byte of images that are dim; None of others.
    start           None where the run has not gone wrong, and of L-BFGS, which has no rate.
    """

    plan: Plan
    sizes: tuple[int, ...]
    image_shape: tuple[int, int]
    images: int
    steps: int
    epochs: int
    diverged: bool
    chance_loss: float
    floor_loss: float
    loss: float
    accuracy: float
    rows: int
    start_loss: float | None
    gained: float | None
    train_loss: float
    least_train_loss: float
    dev_loss: float | None
    dev_accuracy: float | None
    dev_images: int
    least_dev_loss: float | None
    late_fall: float | None
    dead: tuple[float, ...]
    saturated: tuple[float, ...]
    variation: float | None
    input_size: float
    brightest: int | None
    start: Start | None = None

    @property
    def learnt(self) -> float:
        """How far the loss on the sample has come from that of chance, 0, to the least that there can be, 1."""
        return (self.chance_loss - self.loss) / (self.chance_loss - self.floor_loss)


def signs_of(job: Job, model: Model, history: Sequence[EpochReport]) -> Signs | None:
    """Return the signs of a training that ended with `model`, all but its start.

    Returns  None if there is nothing to judge: no epoch was made, all images are of one class, or those of a stream
             cannot be read any more.
    """
    assert isinstance(model.params, Params)
    if not history:
        return None
    about = model.training
    return _measured(job, model.params, history, tuple(about["dead_units"]), about["steps"])


def signs_of_divergence(job: Job, history: Sequence[EpochReport]) -> Signs | None:
    """Return the signs of a training that diverged after the reports `history`: those of its start."""
    found = _measured(job, first_params(job), history, (), 0)
    return found and with_start(job, found._replace(diverged=True, saturated=()), None)


def _measured(
    job: Job, params: Params, history: Sequence[EpochReport], dead: tuple[float, ...], steps: int
) -> Signs | None:
    sample, plan = sample_of(job), job.plan
    if sample is None:
        return None
    chance_loss, floor_loss = chance_of(_class_shares(job), plan.label_smoothing)
    if not chance_loss > floor_loss:
        return None
    x = floats_of(sample, params)
    with np.errstate(all="ignore"):
        made = network.forward(params, x, plan.activation)
        loss = OPERATIONS.cross_entropy(made.logits, sample.labels, sample.weights, plan.label_smoothing)
        start_loss = gained = None
        if not loss < chance_loss - NOTHING * (chance_loss - floor_loss):
            start = network.forward(first_params(job), x, plan.activation).logits
            before, after = (_losses_by_certainty(each, sample, plan.label_smoothing) for each in (start, made.logits))
            start_loss = before[0]
            gained = (min(chance_loss, *before) - min(chance_loss, *after)) / (chance_loss - floor_loss)
        right = made.logits.argmax(axis=1) == sample.labels
        hidden = made.a[1:]
        saturated = tuple(_saturated(plan.activation, z) for z in made.z[:-1])
        variation = _variation(hidden[-1]) if hidden else None
        size = float(np.linalg.norm(x)) / math.sqrt(x.size)
    accuracy = float(np.average(right, weights=_usable(sample.weights)))
    chosen = _report_returned(plan, history)
    dev = [report.dev_loss for report in history if report.dev_loss is not None]
    train = [report.train_loss for report in history if math.isfinite(report.train_loss)] or [math.nan]
    return Signs(
        plan, job.sizes, job.dataset.image_shape, job.images, steps, history[-1].epoch if history else 0, False,
        chance_loss, floor_loss, loss if math.isfinite(loss) else math.inf, accuracy, len(x), start_loss, gained,
        train[-1], min(train), chosen and chosen.dev_loss, chosen and chosen.dev_accuracy, count_of(job.dev),
        min(dev, default=None), _late_fall_of(job, history, chance_loss), dead, saturated, variation, size,
        _brightest(job, size),
    )  # fmt: skip


def _losses_by_certainty(logits: Array, sample: Sample, smoothing: float) -> list[float]:
    """Return the loss of logits as they are, and halved again and again; infinite in place of NaN."""
    halved = (np.ldexp(logits, -times) for times in range(HALVINGS + 1))
    losses = [OPERATIONS.cross_entropy(each, sample.labels, sample.weights, smoothing) for each in halved]
    return [loss if math.isfinite(loss) else math.inf for loss in losses]


def with_start(job: Job, signs: Signs, params: Params | None) -> Signs:
    """Return signs with those of the start, from which training came to `params`; None if it diverged."""
    sample = sample_of(job)
    if sample is None or not job.plan.is_stepwise:
        return signs
    return signs._replace(start=start_of(job, sample, params))


def _usable(weights: Array | None) -> Array | None:
    """Return weights of which a mean can be taken."""
    return weights if weights is None or weights.any() else None


def _class_shares(job: Job) -> Array:
    """Return the share of each class among all training images, by their weights."""
    if isinstance(job.train, Stream):
        counts = np.array(job.train.counts, np.float64) * (1.0 if job.weights is None else job.weights)
    else:
        counts = np.bincount(np.asarray(job.train.labels), job.weights, job.sizes[-1]).astype(np.float64)
    shares: Array = counts / (counts.sum() or 1.0)
    return shares


def chance_of(shares: Array, smoothing: float) -> tuple[float, float]:
    """Return the loss of a network that knows the shares of the classes alone, and the least loss.

    smoothing   of the labels: `label_smoothing`.

    >>> [round(each, 3) for each in chance_of(np.array([0.5, 0.5]), 0.0)]
    [0.693, 0.0]
    """
    classes = len(shares)
    sure = np.full(classes, smoothing / classes)
    sure[0] += 1 - smoothing
    return _entropy((1 - smoothing) * shares + smoothing / classes), _entropy(sure)


def _entropy(shares: Array) -> float:
    some = shares[shares > 0]
    return float(0.0 - (some * np.log(some)).sum())  # not -0.0


def _saturated(activation: Any, z: Array) -> float:
    """Return the share of units of a layer that are flat for nearly all images; of ReLU, which are dead then, 0."""
    if activation in ("relu", "leaky_relu", "linear"):
        return 0.0
    slopes = OPERATIONS.activations[activation].backward(np.ones_like(z), z)
    flat = np.abs(slopes) < FLAT * STEEPEST.get(activation, 1.0)
    return float((flat.mean(axis=0) >= MOSTLY).mean())


def _variation(a: Array) -> float:
    """Return the standard deviation between images of the outputs `a` (n, units), beside their root mean square."""
    size = float(np.linalg.norm(a)) / math.sqrt(a.size)
    return math.sqrt(float(a.var(axis=0).mean())) / size if size else 0.0


def _brightest(job: Job, size: float) -> int | None:
    """Return the largest byte of images that are dim, by their size; None of others."""
    x = None if isinstance(job.train, Stream) else np.asarray(job.train.x)
    return int(x.max()) if size < DIM and x is not None and x.dtype == np.uint8 else None


def _report_returned(plan: Plan, history: Sequence[EpochReport]) -> EpochReport | None:
    """Return the report of the weights that training returns; None without any with dev images."""
    known = [report for report in history if report.dev_loss is not None]
    if not known:
        return None
    if plan.early_stopping:
        return min(known, key=lambda report: math.inf if math.isnan(report.dev_loss or 0) else report.dev_loss or 0)
    return known[-1]


def _late_fall_of(job: Job, history: Sequence[EpochReport], chance_loss: float) -> float | None:
    """Return the late fall of the loss that is watched: on dev images, if there are any.

    Returns  None, too, where images are deformed less and less: these become easier, whatever the network has learned.
    """
    dev = [report.dev_loss for report in history if report.dev_loss is not None]
    if len(dev) < len(history):
        if job.plan.deformation and job.plan.deformation.fade:
            return None
        return late_fall(history, [report.train_loss for report in history], chance_loss, during=True)
    return late_fall(history, dev, chance_of(_class_shares(job), 0.0)[0])


def late_fall(
    history: Sequence[EpochReport], losses: Sequence[float], chance_loss: float, *, during: bool = False
) -> float | None:
    """Return which share of its whole fall, from that of chance, the loss fell in the last quarter of a run.

    A loss that falls in a straight line gives 0.25, one that has come to rest 0. The run is measured by the sum of its
    learning rates: where a schedule ends near 0 the loss comes to rest with it, in however short a run.

    losses   of the reports; `during` if they are means over their last pass, and not after it.
    Returns  None if the loss has not fallen, or there are fewer than two reports.
    """
    if len(history) < 2:
        return None
    epochs = np.diff([0, *(report.epoch for report in history)])
    rates = np.array([report.learning_rate for report in history])
    if not np.isfinite(rates).all():  # of L-BFGS
        rates = np.ones(len(history))
    means = (np.concatenate([rates[:1], rates[:-1]]) + rates) / 2
    passed = np.cumsum(epochs * means) - (means / 2 if during else 0)
    fall = chance_loss - losses[-1]
    if not (fall > 0 and passed[-1] > 0):
        return None
    at = np.concatenate([[0.0], passed]) / passed[-1]
    before = float(np.interp(1 - LAST_PART, at, [chance_loss, *losses]))
    return (before - losses[-1]) / fall
