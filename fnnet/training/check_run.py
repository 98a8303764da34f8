"""What a run directory contradicts before the data is read, which may take seconds or a download."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from fnnet.core import rng
from fnnet.core.state import Model
from fnnet.errors import UsageError
from fnnet.files import runs
from fnnet.files.checkpoints import Checkpoint
from fnnet.files.run_folder import check_place
from fnnet.training import committee, going_on
from fnnet.training.choice import chosen_recipe, plan_of
from fnnet.training.config import Early, Known, config_before_data
from fnnet.training.plan import plain_values
from fnnet.training.recipes import Recipe
from fnnet.training.record import CHANGEABLE_AFTER_DIVERGENCE

NOTHING: Final = Known()


def check_run(
    run_dir: str | os.PathLike[str],
    resume: bool,
    recipe: str | Recipe,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    compiled: bool = False,
    class_weights: Any = None,
    start: Model | None = None,
    known: Known = NOTHING,
) -> None:
    """Check that a training can be kept in `run_dir`, or resumed, as far as that is possible before there are data.

    Arguments are those of `prepare` and `train`.
    known   of the data.
    Raises   as `train`.
    """
    settings, seed = plain_values(settings), rng.check_seed(seed)
    chosen = chosen_recipe(recipe, settings, start)
    alone = chosen.members == 1
    folders = [run_dir] if alone else [*runs.member_folders(run_dir, chosen.members)]
    job = Early(chosen.name, chosen.initialiser, chosen.hidden, plan_of(chosen), seed, start, members=chosen.members)
    for folder, own in zip(folders, committee.seeds(seed, chosen.members), strict=True):
        if not resume:
            runs.check_new(folder)
        elif found := runs.newest(folder):
            _check_resumed(folder, found, job._replace(seed=own), settings, compiled, class_weights, known)
        check_place(folder, resume)
    if not alone:
        check_place(run_dir, resume)


def _check_resumed(
    run_dir: str | os.PathLike[str],
    found: Checkpoint,
    job: Early,
    settings: Mapping[str, Any],
    compiled: bool,
    class_weights: Any,
    known: Known,
) -> None:
    """Raise what going on from the checkpoint `found` in a run directory would raise."""
    plan = job.plan
    config, unknown = config_before_data(job, compiled, settings, known, class_weights is not None)
    if "epochs" not in settings:  # they follow from the number of images
        stored = found.config.get("plan")
        plan = plan._replace(epochs=stored["epochs"] if isinstance(stored, Mapping) and "epochs" in stored else 0)
    terms = going_on.terms(plan, frozenset(settings))
    free = CHANGEABLE_AFTER_DIVERGENCE
    runs.check_resumable(run_dir, found, config, unknown=unknown, changeable_after_divergence=free, terms=terms)
    if class_weights is not None and found.config.get("weights") is None:
        problem, fix = "`class_weights` differs from the run", "resume without it, or train into another folder"
        raise UsageError(problem, where=run_dir, expected="none", found=class_weights, fix=fix)
