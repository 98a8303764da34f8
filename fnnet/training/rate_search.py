"""Which learning rate? The range test shows where the loss falls; short trainings at several rates show which is best.

A range test alone cannot tell: where the loss falls fastest while the rate grows, what was learned before counts too,
and nothing shows which rate serves longest. So the plan is trained at rates ten times apart, shortened if that takes
long, and then at rates beside the best, closer and closer; each is judged by images that it does not train on. The
suggestion is where a curve through the best three is lowest.

>>> from fnnet import data
>>> from fnnet.training import session
>>> job = session.prepare(data.load("digits"), "classic", {"epochs": 3, "min_steps": 0})
>>> found = find_learning_rate(job, low=1e-3, high=10.0)
>>> 0.01 < found.suggestion < 1, len(found.trials) <= MOST_TRIALS
(True, True)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.deform import deform
from fnnet.core.orders import epoch_order
from fnnet.core.params import Array, count_parameters
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels
from fnnet.data.stream import Stream
from fnnet.errors import DivergedError, UsageError
from fnnet.names import STEPPING
from fnnet.training import epochs, memory, session
from fnnet.training.lr_find import RangeTest, range_test
from fnnet.training.plan import make_optimizer
from fnnet.training.session import Job
from fnnet.training.signs import chance_of
from fnnet.training.starting import first_params

APART: Final = 10.0
"""Factor between the rates that are tried first."""
CLOSER: Final = 2
"""Times that rates beside the best are tried, each time at the root of the factor before: 3.2 and 1.8."""
MOST_TRIALS: Final = 11
"""Of a range from 1e-5 to 10."""
WORK: Final = 3 * 10**11
"""Multiply-adds of all trials together, as if no pixel were zero: some seconds of compiled code."""
NUMPY_STEPS: Final = 1000
"""Steps of a trial, at most, that the loop in NumPy makes: each takes a tenth of a millisecond, however small it is."""
LEAST: Final = 20
"""Steps of a trial, at least."""
MOST_EPOCHS: Final = 100
"""Epochs of a trial, at most: each takes about a millisecond, however few its images are."""
SOME, REPEATS = 3, 5
"""Trials at each rate with seeds and held-out images of their own: before there are more epochs, and at most. Where
units die in the first steps, as on inverted MNIST, the best rates of two seeds differ by three."""
SEEDS_APART: Final = 2**32
"""Between the seeds of these."""
ENOUGH: Final = 1000
"""Images for validation; where a job has fewer, a fifth of those for training is held out beside them."""


class Trial(NamedTuple):
    """A rate, and the loss on held-out images after training with it, nats; infinite if training diverged."""

    rate: float
    loss: float


class RateSearch(NamedTuple):
    """What `find_learning_rate` returns.

    test         the range test.
    trials       by their rates.
    epochs       of each trial: fewer than the plan's where these would take long; a fraction where even one would.
    suggestion   see `lowest`; None if no loss is below that of chance.
    seconds      that it all took.
    """

    test: RangeTest
    trials: tuple[Trial, ...]
    epochs: float
    suggestion: float | None
    seconds: float


class _Parts(NamedTuple):
    """What a trial trains on, with weights, and what it is judged by."""

    train: Examples
    weights: Array | None
    dev: Examples


def find_learning_rate(
    job: Job, *, low: float = 1e-5, high: float = 10.0, steps: int = 200, kernels: Kernels = NUMPY
) -> RateSearch:
    """Find a learning rate from `low` to `high` for a job, whose images are deformed in the range test as in epoch 1.

    steps    of the range test.
    Raises   as `lr_find.range_test`; UsageError for lbfgs and for a stream; FnnetError if there is not enough memory.
    """
    session.check_job(job, kernels)
    plan, train_set = job.plan, job.train
    if isinstance(train_set, Stream):
        raise UsageError("reads all images at once", expected="a data set that fits in memory", found="a stream")
    if not plan.is_stepwise:
        problem = "has no learning rate"
        raise UsageError(problem, where="optimizer", expected=" or ".join(STEPPING), found=plan.optimizer)
    memory.check(job.sizes, job.images, plan, compiled=kernels.compiled)
    examples = train_set
    if plan.deformation:
        place: dict[str, Any] = {"seed": job.seed, "epoch": 1, "kernels": kernels}
        examples = examples._replace(x=deform(examples.x, job.dataset.image_shape, plan.deformation, **place))
    start = epochs.start(first_params(job), job.seed, plan)
    began = time.perf_counter()
    test = range_test(
        start.state, examples, session.batch_size_of(job), low=low, high=high, steps=steps, objective=plan.objective,
        optimizer=make_optimizer(plan), kernels=kernels,
    )  # fmt: skip
    images, passes, repeats = _extent(job, kernels.compiled)
    own = [_with_seed(job, number) for number in range(repeats)]
    parts = [_parts(each, train_set, images) for each in own]

    def loss(rate: float) -> float:
        return _loss_after(own, parts, passes, rate, kernels)

    trials = tuple(sorted(Trial(*each) for each in search(loss, low, high).items()))
    best = min(trials, key=lambda trial: trial.loss)
    shares = _shares([each.dev.labels for each in parts], job.sizes[-1])
    suggestion = lowest(trials) if best.loss < chance_of(shares, 0.0)[0] else None
    share = min(1.0, len(parts[0].train.labels) / max(1, _left(job)))
    return RateSearch(test, trials, passes * share, suggestion, time.perf_counter() - began)


def search(loss: Callable[[float], float], low: float, high: float) -> dict[float, float]:
    """Return the loss at rates from `low` to `high`, about APART apart, and at others closer and closer to the best.

    loss   of a rate; beyond one whose loss is infinite none is tried.

    >>> found = search(lambda rate: abs(math.log(rate / 0.05)) if rate < 5 else math.inf, 1e-3, 100)
    >>> sorted(found), min(found, key=found.get)
    ([0.001, 0.01, 0.018, 0.032, 0.057, 0.1, 0.32, 1.0, 10.0], 0.057)
    """
    count = max(2, round(math.log(high / low, APART)) + 1)
    apart = (high / low) ** (1 / (count - 1))
    known: dict[float, float] = {}
    for rate in np.geomspace(low, high, count).tolist():
        known[_round(rate)] = found = loss(_round(rate))
        if found == math.inf:
            break
    for _ in range(CLOSER):
        apart = math.sqrt(apart)
        best = min(known, key=lambda rate: known[rate])
        if known[best] == math.inf:
            break
        for rate in (_round(best / apart), _round(best * apart)):
            if low <= rate <= high and rate not in known:
                known[rate] = loss(rate)
    return known


def lowest(trials: Sequence[Trial]) -> float:
    """Return where the loss is smallest, by the best of trials and those beside it.

    The slope of the loss over the logarithm of the rate is known in the middle between two rates, and 0 on the straight
    line through both slopes: at most half way to the next rate, on the side where the loss grows more slowly. So it
    keeps away from an edge beyond which training goes wrong. Without a rate on both sides it is the best itself.

    trials   by their rates.

    >>> lowest([Trial(0.01, 0.5), Trial(0.1, 0.3), Trial(1.0, math.inf)])
    0.032
    >>> lowest([Trial(0.01, 0.5), Trial(0.1, 0.3), Trial(1.0, 0.5)])
    0.1
    """
    at = min(range(len(trials)), key=lambda number: trials[number].loss)
    best = trials[at]
    if not 0 < at < len(trials) - 1:
        return best.rate
    under, over = trials[at - 1], trials[at + 1]
    if under.loss == over.loss == math.inf:
        return best.rate
    falls = (under.loss - best.loss) / math.log(best.rate / under.rate)
    grows = (over.loss - best.loss) / math.log(over.rate / best.rate)
    low, high = math.sqrt(under.rate * best.rate), math.sqrt(best.rate * over.rate)
    return _round(low * (high / low) ** (1 / (1 + grows / falls)))


def _round(rate: float) -> float:
    return float(f"{rate:.2g}")


def _left(job: Job) -> int:
    """Return how many images are left to train on."""
    known = 0 if job.dev is None else len(job.dev.labels)
    return job.images - (job.images // 5 if known < ENOUGH else 0)


def _extent(job: Job, compiled: bool) -> tuple[int, int, int]:
    """Return the images, the epochs and the repeats of a trial, as many as WORK allows."""
    images, parameters = _left(job), count_parameters(job.sizes)
    batch = min(session.batch_size_of(job), images)
    most = max(LEAST, WORK // (MOST_TRIALS * 3 * batch * parameters))
    most = most if compiled else min(most, NUMPY_STEPS)
    each = -(-images // batch)
    passes = max(1, min(job.plan.epochs, MOST_EPOCHS, most // (SOME * each)))
    images = min(images, most * batch)
    return images, passes, max(1, min(REPEATS, most // (passes * -(-images // batch))))


def _parts(job: Job, train: Examples, images: int) -> _Parts:
    """Return `images` training images of a job and images to judge by: its own, and some that are held out."""
    order, held = epoch_order(job.seed, 1, len(train.labels)), job.images - _left(job)
    rows = order[held : held + images]
    dev = [job.dev] if job.dev is not None else []
    if held or not dev:  # of few images none can be spared
        dev.append(Examples(train.x[order[:held]], train.labels[order[:held]]) if held else train)
    x, labels = (np.concatenate(each) for each in zip(*dev, strict=True))
    weights = None if job.weights is None else job.weights[rows]
    return _Parts(Examples(train.x[rows], train.labels[rows]), weights, Examples(x, labels))


def _with_seed(job: Job, number: int) -> Job:
    """Return a job with the seeds of a repeat, 0 for those of the job: other images are held out, too."""
    own = job._replace(seed=(job.seed + number * SEEDS_APART) % 2**64)
    return own if own.init_seed is None else own._replace(init_seed=(own.init_seed + number * SEEDS_APART) % 2**64)


def _shares(labels: Sequence[Array], classes: int) -> Array:
    counts = np.bincount(np.concatenate(labels), minlength=classes)
    shares: Array = counts / counts.sum()
    return shares


def _loss_after(own: Sequence[Job], parts: Sequence[_Parts], passes: int, rate: float, kernels: Kernels) -> float:
    """Return the mean loss on held-out images after trainings at a rate, one of each job; infinite if one diverged."""
    losses = []
    for job, (train, weights, dev) in zip(own, parts, strict=True):
        plan = job.plan._replace(
            learning_rate=rate, epochs=passes, report_every=passes, early_stopping=None, cycles=(), local_steps=1
        )
        training = epochs.start(first_params(job), job.seed, plan)
        options: dict[str, Any] = {"weights": weights, "image_shape": job.dataset.image_shape, "dev": dev}
        try:
            *_, reached = epochs.epochs(training, train, plan, kernels=kernels, **options)
        except DivergedError:
            return math.inf
        loss = reached.history[-1].dev_loss
        assert loss is not None
        losses.append(loss if math.isfinite(loss) else math.inf)
    return float(np.mean(losses))
