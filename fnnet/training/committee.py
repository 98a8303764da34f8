"""A committee: networks of one recipe with seeds of their own, trained one after another; their logits are averaged.

All are trained on the images that the job has cut, so that none has seen those of validation. The test images are read
once all are trained. In a run directory each member has one of its own: what is finished is not trained again, and a
member that was stopped goes on from its checkpoint. The models are kept there, too.

>>> import fnnet
>>> from fnnet.data import load
>>> from fnnet.training import committee, session
>>> job = session.prepare(load("digits"), "classic", {"members": 3, "epochs": 1, "min_steps": 0})
>>> found = committee.train(job)
>>> len(found.members), found.model.training["members"][1]["seed"]
(3, 4294967296)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, Final, NamedTuple

from fnnet.core import metrics
from fnnet.core.committee import assemble
from fnnet.core.params import Params
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import EpochReport, Model, Progress, frozen, networks_of, thawed
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import DivergedError, FnnetError
from fnnet.files import runs
from fnnet.files.model import save_model
from fnnet.files.run_folder import check_place
from fnnet.names import MODEL_FILE
from fnnet.training import ending, epochs, session
from fnnet.training.advice import advise, together
from fnnet.training.many import Trained
from fnnet.training.plan import check_run_dir
from fnnet.training.session import Job, Notify, OnBlock, OnReport, StoppedError

SEEDS_APART: Final = 2**32
"""Between the seeds of members, so that committees of small seeds share none; a float64 holds them exactly."""


class CommitteeTrained(NamedTuple):
    """What `train` returns.

    model     of the committee: joined into one network, or beyond 100 MB a `Committee`. Its `training` has the figures
              of each member, too.
    members   the networks, each as a model of its own.
    """

    model: Model
    members: tuple[Trained, ...]


class _Member(NamedTuple):
    """A member that is trained, without the state of its optimizer."""

    job: Job
    params: Params
    reports: tuple[EpochReport, ...]
    steps: int


def seeds(seed: int, members: int) -> list[int]:
    """Return the seed of each member: the first has that of the committee.

    >>> seeds(7, 3)
    [7, 4294967303, 8589934599]
    """
    return [(seed + number * SEEDS_APART) % 2**64 for number in range(members)]


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
) -> CommitteeTrained:
    """Train and test the members of a job one after another, and the committee that they are.

    Arguments are those of `session.train`; `on_block` is given the number of the member, too. Each member has the bits
    of a network that is trained alone with its seed on the same images.
    Raises   as `session.train`, at the member.
    """
    session.check_job(job, kernels)
    check_run_dir(run_dir, resume, job.plan.optimizer)
    folders: Sequence[Path | None] = runs.member_folders(run_dir, job.members) if run_dir else [None] * job.members
    ranks.of_first(partial(_check_folders, run_dir, folders, resume))
    jobs = [job._replace(seed=seed) for seed in seeds(job.seed, job.members)]
    if job.init_seed is not None:
        own_seeds = zip(jobs, seeds(job.init_seed, job.members), strict=True)
        jobs = [own._replace(init_seed=seed) for own, seed in own_seeds]
    members: list[_Member] = []
    with during or nullcontext():
        for number, (own, folder) in enumerate(zip(jobs, folders, strict=True), 1):
            # Only the first notes that a run begins.
            begun = ranks.of_first(partial(_is_begun, number, folder))
            given = {"run_dir": folder, "resume": resume and begun, "notify": notify, "ranks": ranks}
            members.append(_trained(own, number, kernels, on_block, given | {"on_report": on_report}))
            notify(_line(members[-1], number))
    return ranks.of_first(lambda: _kept(_tested(job, members, kernels, notify), run_dir, folders))


def _check_folders(run_dir: str | os.PathLike[str] | None, folders: Sequence[Path | None], resume: bool) -> None:
    """Raise UsageError for folders that hold a run already, or other files where the models of the run will be."""
    for folder in filter(None, folders):
        if not resume:
            runs.check_new(folder)
        check_place(folder, resume)
    if run_dir:
        check_place(run_dir, resume)


def _kept(
    found: CommitteeTrained, run_dir: str | os.PathLike[str] | None, folders: Sequence[Path | None]
) -> CommitteeTrained:
    """Keep the models of the members in their run directories, and then that of the committee in its own."""
    if run_dir:
        for folder, member in zip(folders, found.members, strict=True):
            save_model(Path(folder or run_dir, MODEL_FILE), member.model)
        save_model(Path(run_dir, MODEL_FILE), found.model)
    return found


def _is_begun(number: int, folder: Path | None) -> bool:
    return number == 1 or (folder is not None and folder.exists())


def _tested(job: Job, members: Sequence[_Member], kernels: Kernels, notify: Notify) -> CommitteeTrained:
    trained = []
    for own, params, reports, steps in members:
        model = session.model_of(own, params, steps, kernels)
        trained.append(Trained(model, reports, advise(own, model, reports)))
    for note in together([(str(number), each.advice) for number, each in enumerate(trained, 1)], "member"):
        notify(note)
    return CommitteeTrained(_model(job, trained, kernels), tuple(trained))


def _trained(own: Job, number: int, kernels: Kernels, on_block: OnBlock, given: dict[str, Any]) -> _Member:
    def after_block(progress: Progress) -> str | None:
        return on_block(progress._replace(member=number))

    at = partial(_at_member, number=number, count=own.members)
    try:
        with session.trained(own, kernels=kernels, on_block=after_block, during=None, **given) as (job, training, _):
            return _Member(job, epochs.trained_params(training, job.plan), training.history, training.state.step)
    except StoppedError as error:
        raise at(error) from None
    except DivergedError as error:
        # The members that are finished were trained by this plan: what the run keeps cannot go on by another.
        raise at(ending.explained(error, own, ", in another folder if there is a run")) from None


def _at_member(error: FnnetError, number: int, count: int) -> FnnetError:
    place = ", ".join(part for part in (f"member {number} of {count}", error.place) if part)
    parts: dict[str, Any] = {"where": error.where, "expected": error.expected, "found": error.found}
    return type(error)(error.problem, place=place, fix=error.fix, **parts)


def _line(member: _Member, number: int) -> str:
    """Return the notice that a member is trained."""
    line = f"member {number} of {member.job.members} is trained"
    if not member.reports:
        return line
    last, seconds = member.reports[-1], sum(report.seconds for report in member.reports)
    known = last.train_accuracy if last.dev_accuracy is None else last.dev_accuracy
    part = "train" if last.dev_accuracy is None else "dev"
    return f"{line}: {last.epoch:,} epochs, {seconds:.1f} s, {part} accuracy {known:.2%}"


def _model(job: Job, trained: Sequence[Trained], kernels: Kernels) -> Model:
    """Return the model of a committee, with its figures and those of its members."""
    models = [each.model for each in trained]
    network = assemble([member for model in models for member in networks_of(model.params)])
    model = models[0]._replace(params=network)
    about = thawed(model.training)
    shares = zip(*(each.training["dead_units"] for each in models), strict=True)
    about |= {
        "seed": job.seed,
        "steps": sum(each.training["steps"] for each in models),
        "dead_units": [*map(mean, shares)],
        **_figures("test", model, job.dataset.test, kernels),
        **_figures("dev", model, job.dev, kernels),
    }
    own = ("seed", "steps", "test_loss", "test_accuracy", "dead_units")
    about["members"] = [
        {**{name: thawed(each.training[name]) for name in own}, **_figures("dev", each, job.dev, kernels)}
        for each in models
    ]
    return model._replace(training=frozen(about))


def _figures(part: str, model: Model, examples: Any, kernels: Kernels) -> dict[str, float | None]:
    """Return loss and accuracy of a model on a part of the images; None for both without any."""
    found = examples and metrics.evaluate(model, *examples, kernels=kernels)
    return {f"{part}_loss": found.loss if found else None, f"{part}_accuracy": found.accuracy if found else None}
