"""The images of a job: those in memory, some of which are held out, or a stream and the images that come with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fnnet import data
from fnnet.core import metrics
from fnnet.core.orders import WINDOW
from fnnet.core.params import Params
from fnnet.core.public import CHUNK
from fnnet.core.state import Examples
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.stream import Stream, count_of
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training.choice import plan_of
from fnnet.training.plan import Plan, check_streamed
from fnnet.training.recipes import Recipe

SPREAD: Final = 2**18
"""Images of a stream in which units are looked for that are never active: of 6,000,000 one dead unit would have all
read again, by one thread, while other ranks wait."""


def check_arguments(dataset: Any, settings: Any) -> None:
    """Raise ArgumentTypeError unless these are a data set and a mapping."""
    if not isinstance(dataset, (Dataset, StreamedDataset)):
        expected = "a Dataset or a StreamedDataset"
        raise ArgumentTypeError("dataset", expected=expected, found=type(dataset).__name__)
    if not isinstance(settings, Mapping):
        raise ArgumentTypeError("settings", expected="a Mapping", found=type(settings).__name__)


def pixels_of(dataset: Dataset | StreamedDataset) -> int:
    """Return how many pixels an image has."""
    return dataset.train.pixels if isinstance(dataset, StreamedDataset) else dataset.train.x.shape[1]


def check_dev(settings: Mapping[str, Any], has_dev_set: bool) -> None:
    """Raise UsageError for images that are to be held out beside others for validation."""
    if has_dev_set and settings.get("dev"):
        problem = "cannot be combined with `dev_data`"
        raise UsageError(problem, where="dev", expected="one of them", found=settings["dev"])


def check_kind_of_data(recipe: Recipe, settings: Mapping[str, Any], streamed: bool) -> None:
    """Raise UsageError, at its field, for what does not go with a stream, or with images in memory."""
    plan = plan_of(recipe)
    if not streamed:
        if plan.window is not None:
            expected = "a data set that is streamed"
            raise UsageError("has no effect", where="window", expected=expected, found="images in memory")
        return
    check_streamed(plan)
    if settings.get("dev"):
        problem, fix = "nothing is held out of a stream", "hold some out where it is made: fnnet data expand --dev N"
        raise UsageError(problem, where="dev", expected="0", found=settings["dev"], fix=fix)
    if recipe.train_images is not None:
        problem, expected = "a stream is trained on as a whole", "all images"
        raise UsageError(problem, where="train_images", expected=expected, found=recipe.train_images)


def fitting(dataset: Dataset | StreamedDataset, plan: Plan) -> Plan:
    """Return the plan; UsageError at its field for a deformation, which only images can have, of rows of a table."""
    if plan.deformation and dataset.preprocessing.scaling:
        found, fix = f"{dataset.name}, a table", "train by a recipe without it, such as classic, or leave it out"
        raise UsageError("deforms images", where="deformation", expected="none", found=found, fix=fix)
    return plan


def held_out(dataset: Dataset | StreamedDataset, recipe: Recipe, settings: Mapping[str, Any]) -> int:
    """Return how many images are held out for validation; of a stream, those that come with it."""
    if isinstance(dataset, StreamedDataset):
        return 0 if "dev" in settings else count_of(dataset.dev)
    return recipe.dev if "dev" in settings else recipe.dev_for(len(dataset.train.labels))


def cut(
    dataset: Dataset | StreamedDataset, dev: int, dev_set: Examples | None, seed: int, limit: int | None
) -> tuple[Examples | Stream, Examples | None]:
    """Return the images to train on and those for validation: `dev_set` if it is given, else `dev` held out.

    limit   images to train on at most; None for all.
    """
    if isinstance(dataset, StreamedDataset):
        return dataset.train, dev_set or (dataset.dev if dev else None)
    train, found = data.split(dataset.train, 0 if dev_set is not None else dev, seed, limit)
    return train, found if dev_set is None else dev_set


def with_window(plan: Plan, train: Examples | Stream) -> Plan:
    """Return a plan that says how large the windows of a stream are: the run keeps it."""
    return plan._replace(window=plan.window or WINDOW) if isinstance(train, Stream) else plan


def dead_units(params: Params, train: Examples | Stream, activation: Any) -> tuple[tuple[int, int], ...]:
    """Return what `metrics.dead_units` does; images are read until every unit has been active, of a stream at most
    SPREAD that lie in all its parts.

    By NumPy's operations: compiled ones would be compiled for this alone.
    """
    if isinstance(train, Stream):
        batches = (examples.x for examples in train.spread(SPREAD, CHUNK))
        return metrics.dead_units_in(params, batches, activation=activation)
    return metrics.dead_units(params, train.x, activation=activation)
