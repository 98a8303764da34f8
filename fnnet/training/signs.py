"""Signs of how a training went, measured at its end on some of the images that it was trained on.

No step is watched, so that the bits and the time of training stay as they are: the units and the loss are those of the
network that training returns, the course is that of its reports, and the steps are made again from its start, where a
run has gone wrong. `advice.explain` judges what is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fnnet.core import network, optimizers
from fnnet.core.check_network import check_input
from fnnet.core.network import as_floats
from fnnet.core.operations import OPERATIONS
from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array, Params, count_parameters, zeros
from fnnet.core.public_optimizers import unchecked
from fnnet.core.state import EpochReport, Model
from fnnet.data.stream import Stream, count_of
from fnnet.errors import FnnetError
from fnnet.training.plan import Plan, make_optimizer
from fnnet.training.starting import first_params

if TYPE_CHECKING:
    from fnnet.training.session import Job

WORK: Final = 10**9
"""Multiply-adds of a forward pass over the sample: a few hundredths of a second, whatever the network."""
FEWEST, MOST = 128, 1024
"""Images of the sample, within these limits by WORK. Of 128, one standard deviation of an accuracy at chance is 3%."""
FEW: Final = 256
"""Images, at most, on which rates are tried from the start."""
PIECES: Final = 4
"""Files of a stream that the sample is taken from: one alone may have one class."""
FLAT: Final = 0.01
"""A unit is flat for an image if its slope is less than this fraction of the steepest that its activation has."""
MOSTLY: Final = 0.99
"""A unit is saturated if it is flat for this fraction of the images."""
STEEPEST: Final = {"sigmoid": 0.25}
"""Of activations whose slope nowhere reaches 1."""
DIM: Final = 0.05
"""Root mean square of images whose largest byte is looked for: that of MNIST is 0.33."""
LAST_PART: Final = 0.25
"""The part of a run, at its end, whose share of the whole fall of the loss is measured."""
RATES: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
ROOT: Final = math.sqrt(10)
"""Learning rates that are tried from the start, and by what those beside the best differ from it."""
STEPS: Final = 5
"""At each of these rates. A single step finds rates that differ by a hundred between seeds; more steps find others by a
factor of two."""
NEARLY: Final = 0.8
"""Of the largest fall of the loss: the lowest rate that reaches it leaves room for what comes later."""
TRIAL, LEAST = 2 * 10**7, 32
"""Multiply-adds of a forward pass over the images on which they are tried, and the fewest images: there are 135 passes
forward and back."""


class Sample(NamedTuple):
    """Images x (n, inputs) as they are stored, labels (n,), and weights (n,) or None."""

    x: Array
    labels: Array
    weights: Array | None


class Start(NamedTuple):
    """What the start of a training shows, measured where a run has gone wrong.

    moved       of each layer, how far its weights have come from their start, beside their size there.
    kept        the size of all weights at the end, beside that at the start.
    update      the size of the first update beside that of the weights, the largest of all layers.
    decay       the same without a gradient: that of weight decay alone.
    grad_norm   Euclidean norm of the first gradient.
    rate        a learning rate that suits the start: see `suitable_rate`; None if no step lowers the loss.
    """

    moved: tuple[float, ...]
    kept: float
    update: float
    decay: float
    grad_norm: float
    rate: float | None


class Signs(NamedTuple):
    """What a training shows at its end; all but the plan and the sizes are measured.

    plan, sizes, image_shape   what was trained.
    images          training images; `steps` and `epochs` that were made.
    diverged        True if a loss or weight became infinite or NaN.
    chance_loss     nats, of the network that knows how often each class occurs and nothing else.
    floor_loss      the least loss that there can be: above 0 with label smoothing.
    chance          accuracy, 0 to 1, of always naming the most frequent class.
    loss, accuracy  on the sample: without dropout and deformation, with the smoothing and the weights of training.
    start_loss      the same before the first step; measured where the loss is above that of chance, else None.
    rows            images in the sample.
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
    chance: float
    loss: float
    accuracy: float
    start_loss: float | None
    rows: int
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
    chance_loss, floor_loss, chance = chance_of(_class_shares(job), plan.label_smoothing)
    if not chance_loss > floor_loss:
        return None
    x = _floats(sample, params)
    with np.errstate(all="ignore"):
        made = network.forward(params, x, plan.activation)
        loss = OPERATIONS.cross_entropy(made.logits, sample.labels, sample.weights, plan.label_smoothing)
        start_loss = None
        if loss > chance_loss:
            more = (sample.labels, plan.activation, sample.weights, plan.label_smoothing)
            start_loss = network.loss(first_params(job), x, *more)
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
        chance_loss, floor_loss, chance, loss if math.isfinite(loss) else math.inf, accuracy, start_loss, len(x),
        train[-1], min(train), chosen and chosen.dev_loss, chosen and chosen.dev_accuracy, count_of(job.dev),
        min(dev, default=None), _late_fall_of(job, history, chance_loss), dead, saturated, variation, size,
        _brightest(job, size),
    )  # fmt: skip


def with_start(job: Job, signs: Signs, params: Params | None) -> Signs:
    """Return signs with those of the start, from which training came to `params`; None if it diverged."""
    plan, sample = job.plan, sample_of(job)
    if sample is None or not plan.is_stepwise:
        return signs
    first, few = first_params(job), _thinned(sample, max(LEAST, min(FEW, TRIAL // count_parameters(job.sizes))))
    with np.errstate(all="ignore"):
        made = network.forward(first, _floats(few, first), plan.activation)
        grads = network.backward(first, made, few.labels, few.weights, plan.label_smoothing)
        optimizer = unchecked(make_optimizer(plan))
        update = max(_sizes_of_update(first, grads, optimizer, plan.learning_rate))
        decay = max(_sizes_of_update(first, zeros(first), optimizer, plan.learning_rate)) if plan.weight_decay else 0.0
        moved = tuple(_distances(params, first)) if params else ()
        kept = _norm(params) / max(_norm(first), TINY) if params else math.inf
        rate = suitable_rate(first, few, plan)
    return signs._replace(start=Start(moved, kept, update, decay, optimizers.global_norm(grads), rate))


TINY: Final = 1e-30
"""In place of a size of 0, which nothing can be divided by."""


def suitable_rate(params: Params, sample: Sample, plan: Plan) -> float | None:
    """Return a learning rate by a few steps from `params` on all of `sample`, at each of RATES and beside the best.

    It is the lowest whose loss falls nearly as far as that of the best. The gradient is not clipped, nothing is dropped
    and no weight decays. None if the loss falls at no rate.
    """
    optimizer = unchecked(make_optimizer(plan._replace(clip_norm=0.0, weight_decay=0.0, ema=0.0)))
    x, labels, smoothing = _floats(sample, params), sample.labels, plan.label_smoothing

    def loss(stepped: Params) -> float:
        found = network.loss(stepped, x, labels, plan.activation, sample.weights, smoothing)
        return found if math.isfinite(found) else math.inf

    before = loss(params)

    def fall(rate: float) -> float:
        stepped, state = params, optimizer.init(params)
        for _ in range(STEPS):
            made = network.forward(stepped, x, plan.activation)
            grads = network.backward(stepped, made, labels, sample.weights, smoothing)
            stepped, state = optimizer.update(stepped, grads, state, rate)
        return before - loss(stepped)

    falls = {rate: fall(rate) for rate in RATES}
    best = max(falls, key=lambda rate: falls[rate])
    falls |= {rate: fall(rate) for rate in (best / ROOT, best * ROOT)}
    most = max(falls.values())
    return min(rate for rate, found in falls.items() if found >= NEARLY * most) if most > 0 else None


def sample_of(job: Job) -> Sample | None:
    """Return training images, evenly spread, at most MOST; None if those of a stream cannot be read."""
    rows = max(FEWEST, min(MOST, WORK // count_parameters(job.sizes)))
    if isinstance(job.train, Stream):
        return _sample_of_stream(job.train, rows, job.weights)
    return _thinned(Sample(job.train.x, np.asarray(job.train.labels), job.weights), rows)


def _thinned(sample: Sample, rows: int) -> Sample:
    """Return images of a sample, evenly spread, at most `rows`."""
    every = slice(None, None, -(-len(sample.labels) // rows))
    x, labels, weights = sample
    return Sample(x[every], labels[every], None if weights is None else weights[every])


def _sample_of_stream(stream: Stream, rows: int, weights: Array | None) -> Sample | None:
    """Return the first images of some files of a stream; None if they cannot be read.

    weights   of the classes.
    """
    numbers = np.unique(np.linspace(0, len(stream.sizes) - 1, PIECES).astype(int)).tolist()
    x: list[Array] = []
    labels: list[Array] = []
    for piece in numbers:
        count = min(-(-rows // len(numbers)), stream.sizes[piece])
        x.append(np.empty((count, stream.pixels), np.uint8))
        labels.append(np.empty(count, np.int64))
        try:
            stream.read(piece, 0, count, x[-1], labels[-1])
        except FnnetError:
            return None  # the training is finished, and what it needed was read
    known = np.concatenate(labels)
    return Sample(np.concatenate(x), known, None if weights is None else weights[known])


def _floats(sample: Sample, params: Params) -> Array:
    return as_floats(check_input(sample.x, params), params.layers[0].W.dtype)


def _usable(weights: Array | None) -> Array | None:
    """Return weights of which a mean can be taken."""
    return weights if weights is None or weights.any() else None


def _class_shares(job: Job) -> Array:
    """Return the share of each class among all training images, by their weights."""
    if isinstance(job.train, Stream):
        counts = np.array(job.train.counts, np.float64) * (1.0 if job.weights is None else job.weights)
    else:
        counts = np.bincount(np.asarray(job.train.labels), job.weights, job.sizes[-1]).astype(np.float64)
    shares: Array = counts / max(counts.sum(), TINY)
    return shares


def chance_of(shares: Array, smoothing: float) -> tuple[float, float, float]:
    """Return the loss of a network that knows the shares of the classes alone, the least loss, and its accuracy.

    smoothing   of the labels: `label_smoothing`.

    >>> [round(each, 3) for each in chance_of(np.array([0.5, 0.5]), 0.0)]
    [0.693, 0.0, 0.5]
    """
    classes = len(shares)
    sure = np.full(classes, smoothing / classes)
    sure[0] += 1 - smoothing
    return _entropy((1 - smoothing) * shares + smoothing / classes), _entropy(sure), float(shares.max())


def _entropy(shares: Array) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


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


def _sizes_of_update(params: Params, grads: Params, optimizer: Optimizer, rate: float) -> list[float]:
    """Return the size of an update of each layer's weights beside that of the weights, from a new optimizer state."""
    return _distances(optimizer.update(params, grads, optimizer.init(params), rate)[0], params)


def _distances(params: Params, others: Params) -> list[float]:
    """Return how far apart the weights of each layer of two networks are, beside the size of the second's."""
    pairs = zip(params.layers, others.layers, strict=True)
    return [_length(one.W - other.W) / max(_length(other.W), TINY) for one, other in pairs]


def _norm(params: Params) -> float:
    return math.hypot(*(_length(layer.W) for layer in params.layers))


def _length(array: Array) -> float:
    """Return the Euclidean norm, in float64: squares of long steps are beyond float32."""
    return float(np.linalg.norm(array.astype(np.float64)))


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
    """Return the late fall of the loss that is watched: on dev images, if there are any."""
    dev = [report.dev_loss for report in history if report.dev_loss is not None]
    if len(dev) < len(history):
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
