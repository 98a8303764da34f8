"""What `fnnet train` does with its data: training by a recipe, and the test at its end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fnnet.cli.output import progress_bar

if TYPE_CHECKING:
    from fnnet.data import Dataset
    from fnnet.kernels import Kernels
    from fnnet.params import Model
    from fnnet.plan import Plan
    from fnnet.recipes import Recipe
    from fnnet.train import EpochReport


def plan_of(recipe: Recipe) -> Plan:
    """The recipe's plan."""
    from fnnet.augment import Deformation
    from fnnet.plan import Plan

    shared = {name: getattr(recipe, name) for name in Plan._fields if name in recipe._fields}
    deformation = Deformation(**recipe.deformation) if recipe.augment else None
    return Plan(**shared | {"report_every": recipe.report_every(), "deformation": deformation})


def train_and_test(
    recipe: Recipe, dataset: Dataset, sets: tuple[Any, Any], seed: int, kernels: Kernels, quiet: bool
) -> tuple[Model, list[EpochReport]]:
    """The model that comes of training by `recipe`, and the reports on the way."""
    from fnnet import metrics, params, steps, train

    train_set, dev_set = sets
    sizes = params.check_sizes((train_set.x.shape[1], *recipe.hidden, len(dataset.classes)))
    plan = plan_of(recipe)
    training = train.start(params.init(sizes, seed, scheme=recipe.initialiser), seed, plan)
    with progress_bar(plan.epochs, len(train_set.labels), not quiet) as on_block:
        options = {"dev": dev_set, "image_shape": dataset.image_shape, "kernels": kernels, "on_block": on_block}
        for reached in train.epochs(training, train_set, plan, **options):
            training = reached
    found = train.answering(training, plan)
    tested = dataset.test and metrics.evaluate(found, *dataset.test, activation=plan.activation, kernels=kernels)
    if tested and not math.isfinite(tested.loss):
        raise steps.diverged("test loss", None, tested.loss)
    about = {
        "recipe": recipe.name,
        "dataset": dataset.name,
        "seed": seed,
        "scheme": training.state.scheme,
        "initialiser": recipe.initialiser,
        "plan": plan._asdict() | {"deformation": plan.deformation and plan.deformation._asdict()},
        "images": len(train_set.labels),
        "steps": training.state.step,
        "test_loss": tested.loss if tested else None,
        "test_accuracy": tested.accuracy if tested else None,
    }
    model = params.Model(found, recipe.activation, dataset.classes, dataset.image_shape, training=params.frozen(about))
    return model, list(training.history)
