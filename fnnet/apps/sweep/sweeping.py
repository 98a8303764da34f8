"""A sweep in one call: from data and a space to the best of its trials."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fnnet.apps.fitting import dev_set_of, with_tests_of
from fnnet.apps.given import dataset_of
from fnnet.apps.sweep import space as spaces
from fnnet.apps.sweep.course import Check, best, search
from fnnet.apps.sweep.journal import Journal, open_journal
from fnnet.apps.sweep.measuring import Setup, reference_job, setup_of, training_objective
from fnnet.apps.sweep.space import Choices, Space
from fnnet.apps.sweep.study import Study, Trial
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels
from fnnet.data import Dataset
from fnnet.errors import UsageError
from fnnet.training.config import config_of
from fnnet.training.recipes import Recipe

Notify = Callable[[str], None]
FORMAT = 1
"""Of what a sweep's folder says of it."""


class Swept(NamedTuple):
    """What a sweep found.

    reason    why it ended: `course.OUT_OF_TIME`, ENOUGH, ALL_KNOWN, or what `stop` returned.
    best      the trial with the best figures; None if none was trained.
    trials    all, with those of earlier starts.
    starts    of each start the name of its process and the seed of what it drew.
    """

    reason: str
    best: Trial | None
    trials: tuple[Trial, ...]
    starts: tuple[Mapping[str, Any], ...]


def sweep(
    data: Any,
    space: Space,
    recipe: str | Recipe = "classic",
    *,
    seconds: float | None = None,
    trials: int | None = None,
    by: str = "accuracy",
    repeats: int = 1,
    folds: int = 0,
    dev_data: Any = None,
    test_data: Any = None,
    class_weights: Any = None,
    seed: int = 0,
    kernels: Kernels = NUMPY,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    stop: Check = lambda: None,
    notify: Notify = lambda notice: None,
    **settings: Any,
) -> Swept:
    """Try the points of a space on `data`, with `settings` in place of the recipe's; the test set is not read.

    Without paths, and with `trials` alone, the same arguments give the same trials.

    data       as `fnnet.fit` takes it; images in memory.
    space      field of a plan or a recipe, `recipe` or `class_weights` -> `Choices` or a `Range`.
    seconds    that it may take; `trials` at most, with those of earlier starts. One of them is needed.
    by         "accuracy" or "loss", on the dev images, the mean of all networks of a trial.
    repeats    networks of a trial that differ in their initial weights.
    folds      of cross-validation; 0 for the recipe's dev images, or `dev_data`, as `fnnet.fit` takes it.
    test_data  as `fnnet.fit` takes it; without a test set, the share that `fnnet.fit` tests on is held out here, too.
    run_dir    a folder that keeps the trials; with `resume` the sweep in it goes on, in several processes at a time.
    stop       called ten times a second; a text that it returns ends the sweep.
    Raises     UsageError at the name of the argument that does not fit; FnnetError without the library optuna.
    """
    dataset = dataset_of(data, notify)
    if not isinstance(dataset, Dataset):
        raise UsageError("is read piece by piece", where="data", expected="images in memory", found="a stream")
    dev_set = None if dev_data is None else dev_set_of(dev_data, dataset, notify)
    dataset = with_tests_of(dataset, test_data, notify)
    make = setup_of(recipe, settings, class_weights)
    return sweep_setups(
        dataset, space, make, seconds=seconds, trials=trials, by=by, repeats=repeats, folds=folds, dev_set=dev_set,
        seed=seed, kernels=kernels, run_dir=run_dir, resume=resume, stop=stop, notify=notify,
    )  # fmt: skip


def sweep_setups(
    dataset: Dataset,
    space: Space,
    make: Callable[[Mapping[str, Any]], Setup],
    *,
    seconds: float | None,
    trials: int | None,
    by: str,
    repeats: int,
    folds: int,
    dev_set: Examples | None,
    seed: int,
    kernels: Kernels,
    run_dir: str | os.PathLike[str] | None,
    resume: bool,
    stop: Check,
    notify: Notify,
) -> Swept:
    """Do as `sweep`, on a data set, with what makes the Setup of values."""
    spaces.check_space(space)
    given: dict[str, Any] = {"folds": folds, "dev_set": dev_set, "seed": seed}
    objective = training_objective(dataset, make, by=by, repeats=repeats, kernels=kernels, **given)
    if resume and run_dir is None:
        raise UsageError("`resume` needs the folder of the sweep", expected="`run_dir`", found="none")
    first = reference_job(dataset, make(spaces.values(space, next(spaces.corners(space, 1)))), **given)
    journal: Journal | None = None
    if run_dir is not None:
        about = {"try": {name: _listed(tried) for name, tried in space.items()}, "by": by, "repeats": repeats}
        config = {"sweep": FORMAT, **about, "folds": folds or None, **config_of(first, kernels)}
        journal = open_journal(run_dir, config, resume=resume, notify=notify)
    with Study(space, seed, journal) as study:
        reason = search(study, space, objective, seconds=seconds, trials=trials, stop=stop)
        found = tuple(study.trials())
        return Swept(reason, best(found), found, tuple(study.starts()))


def _listed(tried: Any) -> Any:
    """Return choices or a range as JSON values."""
    return list(tried.names) if isinstance(tried, Choices) else str(tried)
