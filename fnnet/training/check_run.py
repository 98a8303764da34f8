"""What a run directory contradicts before the data is read, which may take seconds or a download."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from fnnet.core import rng
from fnnet.core.state import Model
from fnnet.errors import UsageError
from fnnet.files import runs
from fnnet.training import going_on, session
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
    if not resume:
        runs.check_new(run_dir)
        return
    if (found := runs.newest(run_dir)) is None:
        return
    settings = plain_values(settings)
    chosen = session.chosen_recipe(recipe, settings, start)
    plan = session.plan_of(chosen)
    job = Early(chosen.name, chosen.initialiser, chosen.hidden, plan, rng.check_seed(seed), start)
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
