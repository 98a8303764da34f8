"""The objective of a sweep of training options: networks trained on the same images, measured on others.

Trials that see the same batches are trained in one pass, each with its repeats: see `fnnet.train_many`. The test set is
not read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Final, NamedTuple

from fnnet.apps.sweep.course import Check, Objective
from fnnet.apps.sweep.study import DIVERGED, REFUSED, Result
from fnnet.core import metrics
from fnnet.core.checks import check_count
from fnnet.core.state import Examples, Model, Progress
from fnnet.core.table import NUMPY, Kernels
from fnnet.data import Dataset
from fnnet.errors import DivergedError, UsageError, counted
from fnnet.limits import MOST_NETWORKS
from fnnet.training import folds as cross
from fnnet.training import session
from fnnet.training.many import OWN, Trained, train_together, with_init_seeds
from fnnet.training.plan import Plan
from fnnet.training.recipes import Recipe
from fnnet.training.session import Job

MEASURES: Final = ("accuracy", "loss")
"""What trials are compared by, on dev images."""


class Setup(NamedTuple):
    """How the networks of a trial are trained, as `session.prepare` takes it."""

    recipe: str | Recipe = "classic"
    settings: Mapping[str, Any] = {}
    class_weights: Any = None


class Measured(NamedTuple):
    """What a network of a trial reached on the dev images."""

    loss: float
    accuracy: float


def setup_of(
    recipe: str | Recipe, settings: Mapping[str, Any], class_weights: Any = None
) -> Callable[[Mapping[str, Any]], Setup]:
    """Return what makes the Setup of values that are fields of a plan or a recipe, `recipe` or `class_weights`."""

    def make(values: Mapping[str, Any]) -> Setup:
        own = {name: value for name, value in values.items() if name not in ("recipe", "class_weights")}
        return Setup(values.get("recipe", recipe), {**settings, **own}, values.get("class_weights", class_weights))

    return make


def training_objective(
    dataset: Dataset,
    make: Callable[[Mapping[str, Any]], Setup],
    *,
    by: str = "accuracy",
    repeats: int = 1,
    folds: int = 0,
    dev_set: Examples | None = None,
    seed: int = 0,
    kernels: Kernels = NUMPY,
) -> Objective:
    """Return the objective of training on `dataset`: the mean accuracy, or minus the mean loss, on dev images.

    make      makes the Setup of the values of a trial.
    repeats   networks of a trial on the same images in the same order, with initial weights of the seeds from `seed`
              on.
    folds     of the training images, each of which is held out once; 0 for the dev images of the setup, or `dev_set`.
    seed      of what is held out, the folds, and the order of the images.
    """
    if by not in MEASURES:
        raise UsageError("unknown measure", where="by", expected=" or ".join(MEASURES), found=repr(by))
    if folds and dev_set is not None:
        raise UsageError("cannot be combined with `dev_data`", where="folds", expected="one of them", found=folds)
    dataset = dataset._replace(test=None)
    init_seeds = [(seed + number) % 2**64 for number in range(check_count("repeats", repeats, 1, MOST_NETWORKS))]
    given = _Given(dataset, dev_set, by, init_seeds, folds, seed, kernels)

    def objective(points: Sequence[Mapping[str, Any]], check: Check) -> Iterator[tuple[int, Result]]:
        groups: dict[Any, list[tuple[int, Setup]]] = {}
        for place, point in enumerate(points):
            try:
                setup = make(point)
                job = _job(given, setup, *next(_parts(given)))
            except UsageError as error:
                yield place, Result(None, {}, REFUSED, str(error))
                continue
            groups.setdefault(_alike(job, setup), []).append((place, setup))
        for members in groups.values():
            yield from _measured(given, members, check)

    return objective


class _Given(NamedTuple):
    """What all trials share."""

    dataset: Dataset
    dev_set: Examples | None
    by: str
    init_seeds: list[int]
    folds: int
    seed: int
    kernels: Kernels


def reference_job(
    dataset: Dataset, setup: Setup, *, folds: int = 0, dev_set: Examples | None = None, seed: int = 0
) -> Job:
    """Return the job of a setup, of cross-validation that of the first fold: what a sweep is known by.

    Raises   UsageError for what does not fit the data, or without images for validation.
    """
    given = _Given(dataset._replace(test=None), dev_set, MEASURES[0], [seed], folds, seed, NUMPY)
    return _job(given, setup, *next(_parts(given)))


def _parts(given: _Given) -> Iterator[tuple[Dataset, Examples | None]]:
    """Yield each data set to train on, with the images for validation; None for those that a recipe holds out."""
    if not given.folds:
        yield given.dataset, given.dev_set
        return
    for train, held in cross.cut(given.dataset.train, given.folds, given.seed):
        yield given.dataset._replace(train=train), held


def _job(given: _Given, setup: Setup, dataset: Dataset, dev_set: Examples | None) -> Job:
    job = session.prepare(
        dataset, setup.recipe, setup.settings, dev_set=dev_set, class_weights=setup.class_weights, seed=given.seed
    )
    if job.dev is None:
        fix = "hold some out with `dev`, or cross-validate with `folds`"
        raise UsageError("no dev images to choose by", where="dev", expected="dev images", found="none", fix=fix)
    return job


def _alike(job: Job, setup: Setup) -> Any:
    """Return what networks that see the same batches have in common."""
    shared = job.plan._replace(**{name: getattr(_NEUTRAL, name) for name in OWN})
    return job.sizes, job.initialiser, shared, job.images, job.members, repr(setup.class_weights)


_NEUTRAL: Final = Plan(1, 1, 1.0)


def _measured(given: _Given, members: Sequence[tuple[int, Setup]], check: Check) -> Iterator[tuple[int, Result]]:
    """Train and measure the networks of trials that see the same batches; yield the place and the result of each."""
    began = time.perf_counter()
    found: dict[int, list[Measured]] = {place: [] for place, _ in members}
    failed: dict[int, Result] = {}
    for dataset, dev_set in _parts(given):
        some = [each for each in members if each[0] not in failed]
        if not some:
            break
        jobs = _jobs(given, some, dataset, dev_set)
        networks = _trained(jobs, given.kernels, check)
        count = len(given.init_seeds)
        for number, (place, _) in enumerate(some):
            own = networks[count * number : count * (number + 1)]
            errors = [each for each in own if isinstance(each, DivergedError)]
            found[place] += [_measure(each.model, jobs[0], given.kernels) for each in own if isinstance(each, Trained)]
            if errors or not all(math.isfinite(each.loss) for each in found[place]):
                many = f"{len(errors)} of {counted(count, 'network')}: " if count > 1 and errors else ""
                problem = f"{many}{errors[0]}" if errors else "the loss on the dev images is not finite"
                failed[place] = Result(None, {}, DIVERGED, problem)
    seconds = (time.perf_counter() - began) / len(members)
    for place, _ in members:
        yield place, failed.get(place) or Result(*_score(found[place], given.by, seconds))


def _jobs(given: _Given, members: Sequence[tuple[int, Setup]], dataset: Dataset, dev_set: Examples | None) -> list[Job]:
    """Return a job for each repeat of each trial, all of the same images."""
    first: Job | None = None
    jobs: list[Job] = []
    for _, setup in members:
        job = _job(given, setup, dataset, dev_set)
        first = first or job
        jobs += with_init_seeds(job._replace(train=first.train, dev=first.dev, weights=first.weights), given.init_seeds)
    return jobs


def _trained(jobs: list[Job], kernels: Kernels, check: Check) -> list[Trained | DivergedError]:
    def on_block(progress: Progress) -> str | None:
        return check()

    if jobs[0].members == 1 and jobs[0].plan.local_steps == 1:
        return [*train_together(jobs, kernels=kernels, on_block=on_block).networks]
    found: list[Trained | DivergedError] = []
    for job in jobs:
        try:
            found.append(Trained(*session.train(job, kernels=kernels, on_block=on_block)))
        except DivergedError as error:
            found.append(error)
    return found


def _measure(model: Model, job: Job, kernels: Kernels) -> Measured:
    assert job.dev is not None
    found = metrics.evaluate(model, *job.dev, kernels=kernels)
    return Measured(float(found.loss), float(found.accuracy))


def _score(found: Sequence[Measured], by: str, seconds: float) -> tuple[float, dict[str, Any]]:
    """Return what trials are compared by, and their figures: means, and the spread of one network."""
    figures: dict[str, Any] = {}
    for name in MEASURES:
        values = [getattr(each, name) for each in found]
        figures[f"dev_{name}"] = mean(values)
        figures[f"dev_{name}_spread"] = stdev(values) if len(values) > 1 else None
    for name, many in (("accuracy", "accuracies"), ("loss", "losses")):
        figures[f"dev_{many}"] = [getattr(each, name) for each in found]
    figures["seconds"] = seconds
    return (figures["dev_accuracy"] if by == "accuracy" else -figures["dev_loss"]), figures
