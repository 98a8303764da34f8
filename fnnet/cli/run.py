"""What `fnnet train` does with its data: training by a recipe, kept in a run directory, and the test at its end."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fnnet.cli.common import progress_bar
from fnnet.cli.mismatch import by_option, by_options
from fnnet.cli.signals import Interrupts
from fnnet.errors import DivergedError, FnnetError

if TYPE_CHECKING:
    from fnnet.core.params import Array
    from fnnet.core.state import EpochReport, Examples, Progress, Training
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset
    from fnnet.files.model import Model
    from fnnet.files.runs import Run
    from fnnet.training.plan import Plan
    from fnnet.training.recipes import Recipe

MENDS: Final = ("plan.learning_rate", "plan.clip_norm")
"""What may be another when a run goes on that diverged."""
SHARE_OF_SAVING: Final = 0.1
"""Between checkpoints passes so much time that saving takes at most this share of it."""


class Job(NamedTuple):
    """What is to be trained, and on what."""

    recipe: Recipe
    dataset: Dataset
    train: Examples
    dev: Examples | None
    weights: Array | None
    seed: int
    kernels: Kernels


def plan_of(recipe: Recipe) -> Plan:
    """The recipe's plan."""
    from fnnet.core.deform import Deformation
    from fnnet.training.plan import Plan

    shared = {name: getattr(recipe, name) for name in Plan._fields if name in recipe._fields}
    deformation = Deformation(**recipe.deformation) if recipe.augment else None
    return Plan(**shared | {"report_every": recipe.report_every(), "deformation": deformation})


def train_and_test(
    job: Job, run_dir: str | None, resume: bool, quiet: bool, notify: Callable[[str], None]
) -> tuple[Model, list[EpochReport]]:
    """The model that comes of the job, and the reports on the way."""
    from fnnet.core import metrics
    from fnnet.core.check_network import check_sizes
    from fnnet.core.public import init
    from fnnet.files.model import Model
    from fnnet.files.strictjson import frozen
    from fnnet.training import epochs, memory, steps
    from fnnet.training.plan import check_plan

    recipe, dataset = job.recipe, job.dataset
    sizes = check_sizes((job.train.x.shape[1], *recipe.hidden, len(dataset.classes)))
    plan = plan_of(recipe)
    with by_options():
        check_plan(plan, has_dev=job.dev is not None, hidden=len(sizes) - 2)
    memory.check(sizes, len(job.train.labels), plan, compiled=job.kernels.compiled)
    training = epochs.start(init(sizes, job.seed, scheme=recipe.initialiser), job.seed, plan)
    with _keeper(job, plan, sizes, run_dir, resume, notify) as keeper:
        training = _train(job, plan, keeper.latest(training), keeper, quiet)
    found = epochs.answering(training, plan)
    tested = dataset.test and metrics.evaluate(found, *dataset.test, activation=plan.activation, kernels=job.kernels)
    if tested and not math.isfinite(tested.loss):
        raise steps.diverged("test loss", None, tested.loss)
    # Of all images, whose forward pass is stopped as soon as no unit can be dead.
    dead = metrics.dead_units(found, job.train.x, activation=plan.activation, kernels=job.kernels)
    about = {
        "recipe": recipe.name,
        "dataset": dataset.name,
        "seed": job.seed,
        "scheme": training.state.scheme,
        "initialiser": recipe.initialiser,
        "plan": _described(plan),
        "images": len(job.train.labels),
        "steps": training.state.step,
        "test_loss": tested.loss if tested else None,
        "test_accuracy": tested.accuracy if tested else None,
        "dead_units": [count / units for count, units in dead],
    }
    model = Model(found, recipe.activation, dataset.classes, dataset.image_shape, training=frozen(about))
    return model, list(training.history)


def _train(job: Job, plan: Plan, training: Training, keeper: _Keeper, quiet: bool) -> Training:
    """Training to its end, to a signal or to divergence; what it had come to is kept in all three cases."""
    from fnnet.files.runs import DIVERGED
    from fnnet.training import epochs
    from fnnet.training.plan import goes_by_steps

    interrupts = Interrupts()
    # An iteration of L-BFGS may take seconds and nothing of it is kept: a signal need not wait for its end.
    noted = interrupts if goes_by_steps(plan) else contextlib.nullcontext()
    with noted, progress_bar(plan.epochs, len(job.train.labels), not quiet) as shown:

        def on_block(progress: Progress) -> None:
            if shown:
                shown(progress)
            if interrupts.received:
                reached = progress.training()
                keeper.save(reached)
                keeper.stopped(interrupts.word, reached)
                error = FnnetError(interrupts.word, place=f"step {reached.state.step}", fix=keeper.fix())
                error.exit_code = interrupts.exit_code
                raise error

        options: dict[str, Any] = {"dev": job.dev, "weights": job.weights, "image_shape": job.dataset.image_shape}
        try:
            for reached in epochs.epochs(training, job.train, plan, kernels=job.kernels, on_block=on_block, **options):
                training = reached
                keeper.reported(training, last=training.epoch == plan.epochs)
        except DivergedError as error:
            keeper.save(training)
            keeper.stopped(DIVERGED, training)
            raise keeper.explained(error, training) from None
    keeper.save(training)
    keeper.stopped("finished", training)
    return training


class _Keeper:
    """What is kept of a training without a run directory: nothing."""

    def latest(self, training: Training) -> Training:
        """Where to go on from."""
        return training

    def reported(self, training: Training, last: bool) -> None:
        """Training has come to a report."""

    def save(self, training: Training) -> None:
        """Keep `training`, if it is not kept yet."""

    def stopped(self, reason: str, training: Training) -> None:
        """Training has come to an end."""

    def fix(self) -> str:
        """What a user can do about an interruption."""
        return "nothing is kept without --run-dir"

    def explained(self, error: DivergedError, training: Training) -> DivergedError:
        """The error, with what was kept."""
        return error


class _RunKeeper(_Keeper):
    """Checkpoints and a log in a run directory."""

    def __init__(self, run: Run, start: dict[str, Any], notify: Callable[[str], None]) -> None:
        self._run, self._start, self._notify = run, start, notify
        self._saved, self._next = -1, 0.0

    def latest(self, training: Training) -> Training:
        from fnnet.files.checkpoints import training_of

        checkpoint = self._run.latest()
        if checkpoint:
            self._saved = checkpoint.state.step
            self._tell_version()
            return training_of(checkpoint)
        self._run.log("start", **self._start)
        self.save(training)
        return training

    def _tell_version(self) -> None:
        """The same bits are promised by one version alone."""
        from fnnet import __version__
        from fnnet.files.log import read_log

        began = [event.get("version") for event in read_log(self._run.path) if event["event"] == "start"]
        if began and began[-1] != __version__:
            self._notify(f"{self._run.path}: begun by fnnet {began[-1]}, going on with {__version__}")

    def reported(self, training: Training, last: bool) -> None:
        self._run.log("epoch", **training.history[-1]._asdict())
        if last or time.monotonic() >= self._next:
            self.save(training, again=True)

    def save(self, training: Training, again: bool = False) -> None:
        from fnnet.files.checkpoints import checkpoint_of

        if training.state.step == self._saved and not again:
            return
        began = time.monotonic()
        self._run.save(checkpoint_of(training))
        ended = time.monotonic()
        self._saved, self._next = training.state.step, ended + (ended - began) / SHARE_OF_SAVING

    def stopped(self, reason: str, training: Training) -> None:
        self._run.log("stop", reason=reason, step=training.state.step)

    def fix(self) -> str:
        return f"go on with --run-dir {self._run.path} --resume"

    def explained(self, error: DivergedError, training: Training) -> DivergedError:
        kept = f"step {training.state.step}, the last good one, is kept"
        fix = f"{kept}: {self.fix()} and a smaller --learning-rate, or with --clip-norm"
        return error.at(self._run.path, fix=fix)


@contextlib.contextmanager
def _keeper(
    job: Job, plan: Plan, sizes: tuple[int, ...], run_dir: str | None, resume: bool, notify: Callable[[str], None]
) -> Iterator[_Keeper]:
    if run_dir is None:
        yield _Keeper()
        return
    from fnnet import __version__
    from fnnet.files.runs import OtherRunError, open_run

    about = {"recipe": job.recipe.name, "sizes": list(sizes), "seed": job.seed}
    counts = {"train": len(job.train.x), "dev": len(job.dev.x) if job.dev else 0}
    # Causes before their effects: a recipe's epochs follow from batches and images.
    config = {
        "recipe": job.recipe.name,
        "seed": job.seed,
        # The two kinds of kernels differ in the last bits.
        "jit": job.kernels.compiled,
        "initialiser": job.recipe.initialiser,
        "images": {"pixels": sizes[0], "classes": sizes[-1], **counts},
        "hidden": list(sizes[1:-1]),
        "plan": dict(sorted(_described(plan).items(), key=lambda item: item[0] == "epochs")),
        "data": {"train": _fingerprint(job.train), "dev": job.dev and _fingerprint(job.dev), **_kind(job.dataset)},
        "weights": None if job.weights is None else hashlib.sha256(job.weights.tobytes()).hexdigest(),
    }
    try:
        with open_run(run_dir, config, resume=resume, mends=MENDS, notify=notify) as run:
            yield _RunKeeper(run, about | {"version": __version__, "config": config}, notify)
    except OtherRunError as error:
        raise by_option(error, job.dataset.source) from None


def _described(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    return plan._asdict() | {"deformation": plan.deformation and plan.deformation._asdict()}


def _kind(dataset: Dataset) -> dict[str, Any]:
    """What the numbers of a data set mean."""
    return {"shape": list(dataset.image_shape), "classes": list(dataset.classes)}


def _fingerprint(examples: Examples) -> str:
    """A digest of images and labels, in their order."""
    import numpy as np

    digest = hashlib.sha256(np.ascontiguousarray(examples.x).data)
    digest.update(np.ascontiguousarray(examples.labels, dtype="<i8").data)
    return digest.hexdigest()
