"""A training session: from a data set and a recipe to a tested model, with checkpoints in a run directory.

The command line calls it, as can any other program that trains. It prints nothing and handles no signals: callers pass
functions that show progress, take notices and stop. Errors name fields, as in `learning_rate`.

>>> import tempfile
>>> from fnnet import data
>>> from fnnet.training import session
>>> digits = data.load("digits")
>>> job = session.prepare(digits, "classic", {"hidden": (16,), "epochs": 3, "learning_rate": 0.1}, seed=1)
>>> model, reports = session.train(job)
>>> [report.epoch for report in reports], model.training["test_accuracy"] > 0.7
([1, 2, 3], True)

A run directory keeps a training that is stopped; resumed, it ends with the same weights, bit for bit.

>>> run_dir = tempfile.mkdtemp()
>>> def stop_in_epoch_2(progress):
...     return "cancelled" if progress.epoch == 2 else None
>>> session.train(job, run_dir=run_dir, on_block=stop_in_epoch_2)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
fnnet.training.ending.StoppedError: step ...: cancelled; go on with `resume`
>>> resumed, _ = session.train(job, run_dir=run_dir, resume=True)
>>> resumed.params.layers[0].W.tobytes() == model.params.layers[0].W.tobytes()
True
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fnnet.core import metrics, rng
from fnnet.core.params import Array, Params
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import EpochReport, Examples, Model, Progress, Training, frozen
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.stream import Stream, count_of, fingerprint_of
from fnnet.errors import ArgumentTypeError, DataError, DivergedError, StorageError
from fnnet.training import ending, epochs, memory, parts, steps
from fnnet.training.about import about_training
from fnnet.training.choice import chosen_recipe, plan_of
from fnnet.training.class_weights import check_text, weights_of
from fnnet.training.config import config_of
from fnnet.training.dev_set import check_dev_set
from fnnet.training.plan import (
    Plan,
    check_hidden,
    check_plan,
    check_ranks,
    check_run_dir,
    note_of_schedule,
    plain_values,
)
from fnnet.training.recipes import Recipe
from fnnet.training.starting import check_dataset, first_params, note_of_start

if TYPE_CHECKING:
    from fnnet.training.record import Record

OnBlock = Callable[[Progress], str | None]
"""Called after each block of steps, about ten times a second. A text that it returns is the reason to stop."""
OnReport = Callable[[EpochReport], str | None]
"""Called with each report on training. A text that it returns is the reason to stop, unless it is the last."""
Notify = Callable[[str], None]
StoppedError = ending.StoppedError


class Job(NamedTuple):
    """What to train, and on what; made by `prepare`.

    recipe        name of the recipe that it came from.
    initialiser   scheme of the initial weights.
    sizes         of the layers, (inputs, hidden..., classes).
    weights       of the training images (n,), of a stream those of the classes; None for equal ones.
    seed          of all that is drawn but the initial weights: which images are held out, orders, dropout, deformation.
    given         names of the settings that were given in place of the recipe's.
    start         model to train further; None for new parameters.
    init_seed     of the initial weights; None for `seed`.
    members       networks whose logits are averaged; 1 for a network alone. See `committee`.
    test_sha256   digest of the images to test on, by which they are known again; "" if there are none.
    """

    recipe: str
    initialiser: str
    sizes: tuple[int, ...]
    plan: Plan
    dataset: Dataset | StreamedDataset
    train: Examples | Stream
    dev: Examples | None
    weights: Array | None
    seed: int
    given: frozenset[str] = frozenset()
    start: Model | None = None
    init_seed: int | None = None
    members: int = 1
    test_sha256: str = ""

    @property
    def images(self) -> int:
        """The number of images to train on."""
        return count_of(self.train)


def prepare(
    dataset: Dataset | StreamedDataset,
    recipe: str | Recipe = "classic",
    settings: Mapping[str, Any] | None = None,
    *,
    dev_set: Examples | None = None,
    class_weights: Any = None,
    seed: int = 0,
    init_seed: int | None = None,
    start: Model | None = None,
) -> Job:
    """Return the job of training on `dataset` by a recipe, with `settings` in place of the recipe's.

    settings        name of a field of `Plan` or `Recipe` -> its value. A `deformation` may be a mapping of the figures
                    that differ from the recipe's; None for no deformation.
    dev_set         images for validation, in place of some held out of the training set; see `dev_set.load_dev_set`.
    class_weights   as text, `balanced` or `CLASS=WEIGHT,...`, or as `class_weights.class_weights` takes them.
    init_seed       of the initial weights; None for `seed`, which draws all else.
    start           model to train further, in place of new parameters; see `starting`.
    Raises   UsageError at the name of the field that does not fit.
    """
    parts.check_arguments(dataset, settings := {} if settings is None else settings)
    if dev_set is not None:
        dev_set = check_dev_set(dev_set, parts.pixels_of(dataset), len(dataset.classes))
    settings, seed = plain_values(settings), rng.check_seed(seed)
    init_seed = None if init_seed in (None, seed) else rng.check_seed(init_seed)
    chosen = chosen_recipe(recipe, settings, start)
    if start is not None:
        check_dataset(start, dataset)
    parts.check_dev(settings, dev_set is not None)
    parts.check_kind_of_data(chosen, settings, isinstance(dataset, StreamedDataset))
    held_out = parts.held_out(dataset, chosen, settings)
    plan = parts.fitting(dataset, plan_of(chosen))
    check_plan(plan, has_dev=bool(held_out) or dev_set is not None, hidden=len(chosen.hidden))
    sizes = check_hidden((parts.pixels_of(dataset), *chosen.hidden, len(dataset.classes)))
    train_set, dev_set = parts.cut(dataset, held_out, dev_set, seed, chosen.train_images)
    plan = parts.with_window(plan, train_set)
    if "epochs" not in settings:
        plan = plan._replace(epochs=chosen.epochs_for(count_of(train_set)))
    if "report_every" not in settings:
        plan = plan._replace(report_every=chosen.report_every(plan.epochs))
    weights = weights_of(class_weights, train_set, dataset.classes)
    digest = fingerprint_of(dataset.test) if dataset.test else ""
    others = (frozenset(settings), start, init_seed, chosen.members, digest)
    return Job(chosen.name, chosen.initialiser, sizes, plan, dataset, train_set, dev_set, weights, seed, *others)


def check_settings(
    recipe: str | Recipe,
    settings: Mapping[str, Any],
    *,
    has_dev_set: bool = False,
    streamed: bool = False,
    class_weights: Any = None,
    start: Model | None = None,
) -> None:
    """Check what `prepare` is to be given, as far as that is possible before there are data.

    has_dev_set   whether there will be images for validation in place of some held out.
    streamed      whether the images are those of a stream.
    Raises   UsageError at the name of the field that does not fit; FnnetError if there is not enough memory for the
             network alone.
    """
    chosen = chosen_recipe(recipe, plain_values(settings), start)
    plan = plan_of(chosen)
    parts.check_dev(settings, has_dev_set)
    parts.check_kind_of_data(chosen, settings, streamed)
    check_plan(plan, has_dev=has_dev_set or streamed or bool(chosen.dev), hidden=len(chosen.hidden))
    sizes, fixed = check_hidden((1, *chosen.hidden, 1)), start is not None
    memory.check(sizes, 1, plan, compiled=False, fixed=fixed, members=chosen.members)
    check_text(class_weights)


def train(
    job: Job,
    *,
    kernels: Kernels = NUMPY,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_block: OnBlock = lambda progress: None,
    on_report: OnReport = lambda report: None,
    during: AbstractContextManager[Any] | None = None,
    notify: Notify = lambda notice: None,
    ranks: Ranks = ALONE,
) -> tuple[Model, tuple[EpochReport, ...]]:
    """Train and test the model of a job; of a committee, as `committee.train` does.

    run_dir    folder for checkpoints, a log and the trained model; None keeps nothing.
    resume     go on with the run in `run_dir`; the result is bit-identical to that of an uninterrupted run. A job
               whose settings name `epochs` may have others than the run, and a larger `early_stopping`: see `going_on`.
    on_block   shows progress, and may return a reason to stop.
    on_report  takes each report as soon as it is made, and may return a reason to stop.
    during     context manager that is entered while steps are made, such as one that handles signals.
    notify     takes notices: of damaged checkpoints, of a run begun by another version, of a warm-up without an end,
               and at the end of what went wrong, with one thing to try: see `training.advice`.
    ranks      processes that share the shards of each batch, all of which call this with the same job: see
               `training.distributed`. The first keeps the run and takes notices.

    Returns  the Model, which records the plan and the test figures, and the reports: of members one after another.
    Raises   StoppedError if a callback returns a reason, and DivergedError; what was reached is kept in `run_dir`.
             OtherRunError if `run_dir` holds the run of another job. FnnetError if there is not enough memory.
    """
    check_job(job, kernels)
    given: dict[str, Any] = {
        "run_dir": run_dir, "resume": resume, "on_block": on_block, "on_report": on_report, "during": during,
        "ranks": ranks,
    }  # fmt: skip
    if job.members > 1:
        from fnnet.training.committee import train as train_members

        found = train_members(job, kernels=kernels, notify=notify, **given)
        return found.model, tuple(report for member in found.members for report in member.reports)
    with trained(job, kernels=kernels, notify=notify, **given) as (planned, training, record):

        def finish() -> Model:
            model = tested(planned, training, kernels)
            if record:
                record.keep_model(model)
            return ending.judged(planned, model, training.history, notify)

        return ranks.of_first(finish), training.history


@contextmanager
def trained(
    job: Job, *, kernels: Kernels, run_dir: str | os.PathLike[str] | None, resume: bool, on_block: OnBlock,
    on_report: OnReport, during: AbstractContextManager[Any] | None, notify: Notify, ranks: Ranks = ALONE,
) -> Iterator[tuple[Job, Training, Record | None]]:  # fmt: skip
    """Train one network as `train` does, without reading the test images.

    Yields   the job with the plan of its run, how far training came, and the record of the run directory, which is
             this process's alone until the end of the block; None for the record in other ranks than the first.
    """
    check_run_dir(run_dir, resume, job.plan.optimizer)
    check_ranks(job.plan, ranks)
    memory.check_job(job, kernels)
    training = epochs.start(first_params(job), job.seed, job.plan)
    if job.start and not resume and (note := note_of_start(job.start, job.dataset.classes)):
        notify(note)
    with ExitStack() as stack:
        record: Record | None = None

        def begin() -> tuple[Training, Plan]:
            nonlocal record
            if run_dir is None:
                return training, job.plan
            from fnnet.training import going_on
            from fnnet.training.record import record_of

            record = stack.enter_context(record_of(job, config_of(job, kernels), run_dir, resume, notify))
            return record.latest(training), going_on.plan_of(job.plan, record.config)

        training, plan = ranks.of_first(begin)
        job = job._replace(plan=plan)
        if note := note_of_schedule(job.plan):
            notify(note)
        reached = _train(job, training, kernels, record, on_block, on_report, during or nullcontext(), ranks)
        yield job, reached, record


def check_job(job: Any, kernels: Any) -> None:
    """Raise ArgumentTypeError unless these are a job and kernels."""
    if not isinstance(job, Job):
        raise ArgumentTypeError("job", expected="a Job, as prepare returns it", found=type(job).__name__)
    check_kernels(kernels)


def _train(
    job: Job,
    training: Training,
    kernels: Kernels,
    record: Record | None,
    on_block: OnBlock,
    on_report: OnReport,
    during: AbstractContextManager[Any],
    ranks: Ranks,
) -> Training:
    """Train to the end, to a reason to stop or to divergence; `record` keeps what was reached in all three cases.

    record   of the first rank; None in the others, or to keep nothing.
    """

    latest: Callable[[], Training] | None = None

    def after_block(progress: Progress) -> None:
        nonlocal latest
        latest = progress.training
        with ranks.slow():  # a terminal may be held up
            wanted = on_block(progress)
        heed(wanted, progress.training)
        if record and record.is_due:
            with ranks.slow():
                record.keep(progress.training())

    def heed(wanted: str | None, reached: Callable[[], Training]) -> None:
        if reason := next(filter(None, ranks.gather(wanted)), None):
            ending.stopped(reason, reached(), record, ranks)

    def pass_on(known: int) -> None:
        wanted = [on_report(each) for each in training.history[known:]]
        if job.plan.is_stepwise and training.epoch < job.plan.epochs:
            heed(next(filter(None, wanted), None), lambda: training)

    def report() -> None:
        if record:
            record.report(training, last=training.epoch == job.plan.epochs)

    options: dict[str, Any] = {"weights": job.weights, "image_shape": job.dataset.image_shape, "dev": job.dev}
    passes = epochs.epochs(
        training, job.train, job.plan, kernels=kernels, on_block=after_block, ranks=ranks, **options
    )  # fmt: skip

    def reach() -> Training | None:
        try:
            return next(passes, None)
        except DivergedError as error:
            raise ranks.of_first(partial(ending.diverged, error, job, training, record)) from None
        except (DataError, StorageError) as error:  # of a stream
            reached = latest() if latest else training
            raise ranks.of_first(partial(ending.unreadable, error, reached, record)) from None

    with during:
        while (reached := reach()) is not None:
            known, training, latest = len(training.history), reached, None
            ranks.of_first(report)
            pass_on(known)
    ending.finished(training, job.plan, record, ranks)
    return training


def tested(job: Job, training: Training, kernels: Kernels) -> Model:
    """Return the trained model, with its test figures and everything that it was trained with."""
    return model_of(job, epochs.trained_params(training, job.plan), training.state.step, kernels)


def model_of(job: Job, params: Params, made: int, kernels: Kernels) -> Model:
    """Return the model of a job with these parameters, which `made` steps have trained, and test it."""
    activation = job.plan.activation
    test = job.dataset.test and metrics.evaluate(params, *job.dataset.test, activation=activation, kernels=kernels)
    if test and not math.isfinite(test.loss):
        raise ending.explained(steps.diverged("test loss", None, test.loss), job)
    dead = parts.dead_units(params, job.train, activation)
    about = about_training(job, made, test, dead, kernels)
    given = job.dataset
    return Model(params, activation, given.classes, given.image_shape, given.preprocessing, frozen(about))


def batch_size_of(job: Job) -> int:
    """Return the number of images in a step."""
    return min(job.plan.batch_size or job.images, job.images)
