"""Many networks at once: the same images in the same order for all, or an order of its own for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

from fnnet.core import rng
from fnnet.core.state import EpochReport, Examples, Model, Progress, Training
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.stream import Stream, count_of
from fnnet.errors import ArgumentTypeError, DivergedError, UsageError
from fnnet.limits import MOST_NETWORKS
from fnnet.threads import run_each
from fnnet.training import ending, epochs, memory, session
from fnnet.training.advice import Advice, advise
from fnnet.training.recipes import Recipe
from fnnet.training.session import Job, OnBlock, StoppedError
from fnnet.training.starting import first_params
from fnnet.training.together import remembering

OWN: Final = ("learning_rate", "schedule", "momentum", "weight_decay", "label_smoothing", "early_stopping")
"""Settings in which networks that see the same batches may differ."""


class Trained(NamedTuple):
    """A network, and the reports on its training; `seconds` in them are those of all that were trained together.

    advice   what went wrong in it, and one thing to try; None if nothing did.
    """

    model: Model
    reports: tuple[EpochReport, ...]
    advice: Advice | None = None


class ManyTrained(NamedTuple):
    """What `train_many` returns.

    networks   a Trained for each network in the order in which they were given, or the error of one that diverged.
    seconds    from the first step to the last: that of all together.
    threads    the mean number of compiled threads; None where NumPy trained.
    """

    networks: tuple[Trained | DivergedError, ...]
    seconds: float
    threads: float | None


def train_many(
    dataset: Dataset | StreamedDataset,
    recipe: str | Recipe = "classic",
    settings: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    init_seeds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    seed: int = 0,
    dev_set: Examples | None = None,
    class_weights: Any = None,
    start: Model | None = None,
    kernels: Kernels = NUMPY,
    on_block: OnBlock = lambda progress: None,
    during: AbstractContextManager[Any] | None = None,
) -> ManyTrained:
    """Train and test many networks on one data set; each has the bits of its training alone.

    With `init_seeds` they see the same batches, those of `seed`, and differ in their initial weights. With `settings`
    for each they differ in these, too: rates, schedules, decays, momentum, smoothing and early stopping. What they
    share is done once; narrow first layers lie side by side. With `seeds` each has an order of its own, and each
    compiled thread trains one at a time.

    settings   in place of the recipe's, as in `session.prepare`: one mapping for all, or one for each network.
    on_block   as in `session.train`: figures are means of all networks, and with `seeds` of one of them.
    Raises     as `session.train`; UsageError for settings in which networks must not differ. A network that diverges
               leaves the others, and its error is returned in its place.

    >>> import fnnet
    >>> from fnnet.data import load
    >>> settings = {"epochs": 1, "min_steps": 0}
    >>> found = fnnet.train_many(load("digits"), "classic", settings, init_seeds=range(3))
    >>> [each.model.training["init_seed"] for each in found.networks[1:]], len(found.networks)
    ([1, 2], 3)
    """
    check_kernels(kernels)
    each = _settings_of_each(settings, init_seeds, seeds)
    given: dict[str, Any] = {"dev_set": dev_set, "class_weights": class_weights, "start": start}
    if seeds is not None:
        makers = [
            partial(session.prepare, dataset, recipe, own, seed=rng.check_seed(number), **given)
            for number, own in zip(seeds, each, strict=True)
        ]
        return train_apart(makers, kernels=kernels, on_block=on_block, during=during)
    numbers = [seed] if init_seeds is None else list(init_seeds)
    if len(numbers) == 1:
        numbers *= len(each)
    first = session.prepare(dataset, recipe, each[0], seed=seed, init_seed=numbers[0], **given)
    jobs = with_init_seeds(first, numbers)
    for at, (number, own) in enumerate(zip(numbers, each, strict=True)):
        if own == each[0]:
            continue
        job = session.prepare(dataset, recipe, own, seed=seed, init_seed=number, **given)
        _check_alike(first, job)
        jobs[at] = job._replace(train=first.train, dev=first.dev, weights=first.weights)
    return train_together(jobs, kernels=kernels, on_block=on_block, during=during)


def with_init_seeds(job: Job, seeds: Sequence[int]) -> list[Job]:
    """Return a job for each seed of initial weights; their networks see the same batches."""
    return [job._replace(init_seed=None if seed == job.seed else rng.check_seed(seed)) for seed in seeds]


def _settings_of_each(
    settings: Any, init_seeds: Sequence[int] | None, seeds: Sequence[int] | None
) -> list[Mapping[str, Any]]:
    """Return the settings of each network; UsageError unless they and the seeds are as many."""
    if init_seeds is not None and seeds is not None:
        raise UsageError("cannot be combined with `init_seeds`", where="seeds", expected="one of them", found="both")
    name, given = ("init_seeds", init_seeds) if seeds is None else ("seeds", seeds)
    numbers = [0] if given is None else [*given]
    if isinstance(settings, Mapping) or settings is None:
        each: list[Mapping[str, Any]] = [settings or {}] * len(numbers)
    elif isinstance(settings, Sequence) and all(isinstance(own, Mapping) for own in settings):
        each = list(settings)
    else:
        expected = "a Mapping, or one for each network"
        raise ArgumentTypeError("settings", expected=expected, found=type(settings).__name__)
    if len(numbers) not in (1, len(each)) or (seeds is not None and len(numbers) != len(each)):
        found = f"{len(each)} settings, {len(numbers)} seeds"
        raise UsageError("not as many as the settings", where=name, expected="one for each network", found=found)
    if not 1 <= len(each) <= MOST_NETWORKS:
        raise UsageError("number of networks", where=name, expected=f"1 to {MOST_NETWORKS:,}", found=len(each))
    return each


def _check_alike(first: Job, job: Job) -> None:
    """Raise UsageError unless two networks can see the same batches."""
    for name, own in job.plan._asdict().items():
        value = getattr(first.plan, name)
        if own != value and name not in OWN:
            fix = f"let networks differ in {', '.join(OWN[:-1])} or {OWN[-1]}, or train them one after another"
            raise UsageError("differs between networks", where=name, expected=repr(value), found=repr(own), fix=fix)
    if (job.sizes, job.initialiser) != (first.sizes, first.initialiser):
        raise UsageError("differs between networks", where="hidden", expected=first.sizes, found=job.sizes)
    if (job.images, count_of(job.dev)) != (first.images, count_of(first.dev)):
        expected, found = first.images, job.images
        raise UsageError("differs between networks", where="train_images", expected=expected, found=found)


def _check_alone(job: Job) -> None:
    """Raise UsageError for a job of many networks itself."""
    if job.members > 1:
        fix = "train one committee at a time"
        raise UsageError("each network is a committee", where="members", expected="1", found=job.members, fix=fix)
    if job.plan.local_steps > 1:
        problem, fix = "are made by the shards of one network", "train one network at a time"
        raise UsageError(problem, where="local_steps", expected="1", found=job.plan.local_steps, fix=fix)


def refuse_stream() -> NoReturn:
    """Raise UsageError for networks with orders of their own on a stream."""
    problem, fix = "each network would read all images", "give `init_seeds`: these networks see the same images"
    raise UsageError(problem, where="seeds", expected="images in memory", found="a stream", fix=fix)


def train_together(
    jobs: Sequence[Job],
    *,
    kernels: Kernels = NUMPY,
    on_block: OnBlock = lambda progress: None,
    during: AbstractContextManager[Any] | None = None,
    advised: bool = True,
) -> ManyTrained:
    """Train networks that see the same batches, as `train_many` does with `init_seeds` and settings for each.

    jobs      with the same images; see `with_init_seeds`.
    advised   False to leave `Trained.advice` out, and the cause from the errors of divergence: both take time.
    """
    check_kernels(kernels)
    first = jobs[0]
    _check_alone(first)
    if not first.plan.is_stepwise:
        makers = [lambda job=job: job for job in jobs]
        return train_apart(makers, kernels=kernels, on_block=on_block, during=during, advised=advised)
    memory.check_job(first, kernels, networks=len(jobs))
    used: float | None = None

    def after_block(progress: Progress) -> None:
        nonlocal used
        used = progress.threads
        _stop_for(on_block(progress), progress)

    starts = [epochs.start(first_params(job), job.seed, job.plan) for job in jobs]
    reached: list[epochs.Reached] = [*starts]
    with during or nullcontext():
        for latest in epochs.epochs_together(
            starts,
            first.train,
            [job.plan for job in jobs],
            weights=first.weights,
            image_shape=first.dataset.image_shape,
            dev=first.dev,
            kernels=kernels,
            on_block=after_block,
        ):
            reached = latest
    histories = [each.history for each in reached if isinstance(each, Training)]
    seconds = max((sum(report.seconds for report in history) for history in histories), default=0.0)
    tasks = [partial(_tested, job, each, kernels, advised) for job, each in zip(jobs, reached, strict=True)]
    # A unit that is never active has all of a stream read: by several threads, each where another did not leave off.
    threads = 1 if isinstance(first.train, Stream) else kernels.threads
    return ManyTrained(tuple(run_each(tasks, threads)), seconds, used)


def train_apart(
    makers: Sequence[Callable[[], Job]],
    *,
    kernels: Kernels = NUMPY,
    on_block: OnBlock = lambda progress: None,
    during: AbstractContextManager[Any] | None = None,
    advised: bool = True,
) -> ManyTrained:
    """Train networks that share nothing but the data, one on each thread, as `train_many` does with `seeds`.

    makers    each returns a job, whose images are copied out of the data set only while it is trained.
    advised   as in `train_together`.
    """
    check_kernels(kernels)
    own = remembering(kernels)._replace(threads=1)

    def train(make: Callable[[], Job]) -> Trained | DivergedError:
        job = make()
        _check_alone(job)
        if isinstance(job.train, Stream):
            refuse_stream()
        memory.check_job(job, kernels)
        begun = epochs.start(first_params(job), job.seed, job.plan)
        reached: epochs.Reached = begun

        def after_block(progress: Progress) -> None:
            _stop_for(on_block(progress), progress)

        options: dict[str, Any] = {"weights": job.weights, "image_shape": job.dataset.image_shape, "dev": job.dev}
        try:
            for latest in epochs.epochs(begun, job.train, job.plan, kernels=own, on_block=after_block, **options):
                reached = latest
        except DivergedError as error:
            reached = error
        return _tested(job, reached, own, advised)

    began = time.perf_counter()
    with during or nullcontext():
        networks = run_each([partial(train, make) for make in makers], kernels.threads)
    seconds = time.perf_counter() - began
    return ManyTrained(tuple(networks), seconds, float(min(kernels.threads, len(makers))) if kernels.compiled else None)


def _tested(job: Job, reached: epochs.Reached, kernels: Kernels, advised: bool) -> Trained | DivergedError:
    if isinstance(reached, DivergedError):
        return ending.explained(reached, job) if advised else reached
    try:
        model = session.tested(job, reached, kernels._replace(threads=1))
        return Trained(model, reached.history, advise(job, model, reached.history) if advised else None)
    except DivergedError as error:
        return error


def _stop_for(reason: str | None, progress: Progress) -> None:
    if reason:
        fix = "nothing is kept of many networks: train with fewer, or one with `run_dir`"
        raise StoppedError(reason, place=f"epoch {progress.epoch}", fix=fix)
