"""A recipe with settings in place of its own, and its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fnnet.core.deform import Deformation
from fnnet.core.state import Model
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training import recipes
from fnnet.training.plan import Plan, check_effects, check_parts, check_recipe
from fnnet.training.recipes import Recipe
from fnnet.training.starting import with_model

LBFGS_ITERATIONS: Final = 100
OVERRIDABLE: Final = frozenset(Recipe._fields) - {"name", "what", "plan"}
"""Settings that are a recipe's own; all others are its plan's."""


def chosen_recipe(recipe: str | Recipe, settings: Mapping[str, Any], start: Model | None) -> Recipe:
    """Return the recipe, as it is with `start`, with `settings` in place of its own, all but its plan checked."""
    if not isinstance(recipe, (str, Recipe)):
        raise ArgumentTypeError("recipe", expected="a name or a Recipe", found=type(recipe).__name__)
    own = recipes.get(recipe) if isinstance(recipe, str) else check_parts(recipe)
    chosen = override(own if start is None else with_model(own, start, settings), settings)
    if not isinstance(chosen.hidden, (tuple, list)):
        raise ArgumentTypeError("hidden", expected="a size for each hidden layer", found=repr(chosen.hidden))
    check_recipe(chosen, settings)
    if start is not None and chosen.members > 1:
        problem = "members start from weights of their own"
        raise UsageError(problem, where="members", expected="1 with `start`", found=chosen.members)
    return chosen


def override(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with `settings`, as `prepare` takes them, in place of its own.

    Raises   UsageError for an unknown setting, or one that would have no effect.
    """
    own = {name: value for name, value in settings.items() if name in OVERRIDABLE}
    figures = {name: value for name, value in settings.items() if name in Plan._fields}
    for name in settings:
        if name not in own and name not in figures:
            expected = "a field of a plan or a recipe"
            raise UsageError("unknown setting", where=str(name), expected=expected, found=repr(name))
    deformation = figures.get("deformation")
    if isinstance(deformation, Mapping):
        figures["deformation"] = {**(recipe.plan.get("deformation") or recipes.DEFORMATION), **deformation}
    if settings.get("optimizer") == "lbfgs":
        # L-BFGS passes over all images in each iteration: these defaults replace the recipe's.
        figures = {"batch_size": None, "schedule": "constant", "epochs": 1} | figures
        own = {"min_steps": LBFGS_ITERATIONS} | own
    chosen = recipe._replace(**own, plan={**recipe.plan, **figures})
    check_effects(chosen, settings)
    return chosen


def plan_of(recipe: Recipe) -> Plan:
    """Return the plan of a recipe."""
    deformation = recipe.plan.get("deformation")
    if isinstance(deformation, Mapping):
        unknown = [name for name in deformation if name not in Deformation._fields]
        if unknown:
            expected = " or ".join(Deformation._fields)
            raise UsageError("unknown figure", where="deformation", expected=expected, found=repr(unknown[0]))
        deformation = Deformation(**deformation)
    return Plan(**{**recipe.plan, "deformation": deformation})
