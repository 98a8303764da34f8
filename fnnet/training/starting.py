"""A start from a model: its layers are trained further, on data that may have other classes.

The sizes of the hidden layers, the activation and the way pixels are read are the model's. Of the last layer, the
outputs of classes that the model knows by name are kept, in the order of the data; those of others are drawn as for a
new network. The state of the optimizer, the steps and the seed are those of a new training.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fnnet.core.check_network import check_params
from fnnet.core.params import Layer, Params, freeze_params, layer_sizes, weights_sha256
from fnnet.core.public import init
from fnnet.core.state import Committee, Model, networks_of
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.notes import Note
from fnnet.errors import ArgumentTypeError, ModelError, UsageError
from fnnet.files.model import load_model
from fnnet.training.recipes import Recipe

if TYPE_CHECKING:
    from fnnet.training.session import Job


def start_of(run_dir: str | os.PathLike[str]) -> Model | None:
    """Return the model that the run in a folder was started from; None if it was not started from one.

    Raises   ModelError if it is damaged.
    """
    from fnnet.files.runs import START

    path = Path(run_dir, START)
    try:
        return load_model(path) if path.exists() else None
    except ModelError as error:
        raise error.at(path, fix="move it away, and give the model again as `start`") from None


def with_model(recipe: Recipe, model: Any, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the hidden layers and the activation of the model that training starts from.

    Raises   UsageError at the field of a setting that contradicts it.
    """
    if not isinstance(model, Model):
        raise ArgumentTypeError("start", expected="a Model", found=type(model).__name__)
    if isinstance(model.params, Committee):
        expected, found = "a model of one network", f"a committee of {len(model.params.members)}, held apart"
        raise UsageError("cannot be trained further", where="start", expected=expected, found=found)
    hidden = layer_sizes(check_params(model.params))[1:-1]
    own = {"hidden": hidden, "activation": model.activation} if hidden else {"hidden": hidden}
    for name, value in own.items():
        given = settings.get(name, value)
        if (tuple(given) if isinstance(given, list) else given) != value:
            fix = f"leave `{name}` out"
            raise UsageError("contradicts `start`", where=name, expected=_typed(value), found=_typed(given), fix=fix)
    return recipe._replace(hidden=hidden, plan={**recipe.plan, "activation": model.activation})


def check_shape(model: Model, shape: tuple[int, int]) -> None:
    """Raise UsageError at `start` unless images of a shape are as large as those of the model."""
    if shape != model.image_shape:
        (height, width), (rows, columns) = model.image_shape, shape
        expected, found = f"{height}x{width}, as the model has", f"{rows}x{columns}"
        raise UsageError("images of another size", where="start", expected=expected, found=found)


def check_dataset(model: Model, dataset: Dataset | StreamedDataset) -> None:
    """Raise UsageError at `start` unless the images of a data set are like those of the model."""
    check_shape(model, dataset.image_shape)
    # How the files store an image does not concern the model: MNIST's are upright whatever those of training were.
    if dataset.preprocessing._replace(transpose=False) != model.preprocessing._replace(transpose=False):
        expected, found = (str(each.preprocessing) for each in (model, dataset))
        fix = "load the data set with preprocessing=model.preprocessing"
        raise UsageError("pixels read in another way", where="start", expected=expected, found=found, fix=fix)


def first_params(job: Job) -> Params:
    """Return the parameters before the first step of a job."""
    seed = job.seed if job.init_seed is None else job.init_seed
    if job.start is None:
        return init(job.sizes, seed, scheme=job.initialiser)
    *layers, known = check_params(job.start.params).layers
    drawn = init(job.sizes, seed, scheme=job.initialiser, dtype=known.W.dtype).layers[-1]
    W, b, names = np.array(drawn.W), np.array(drawn.b), job.start.classes
    for number, name in enumerate(job.dataset.classes):
        if name in names:
            at = names.index(name)
            W[:, number], b[number] = known.W[:, at], known.b[at]
    return freeze_params(Params((*layers, Layer(W, b))))


def digest_of_start(model: Model) -> str:
    """Return a digest of all of a model that decides about the training that starts from it."""
    return hashlib.sha256(json.dumps([weights_sha256(*networks_of(model.params)), *model.classes]).encode()).hexdigest()


def note_of_start(model: Model, classes: Sequence[str]) -> Note | None:
    """Return the note of what becomes of the model's outputs; None if its classes are those of the data."""
    if model.classes == tuple(classes):
        return None
    kept = [name for name in classes if name in model.classes]
    new = [name for name in classes if name not in kept]
    left = [name for name in model.classes if name not in kept]
    if not kept:
        text = f"its last layer is new, for classes {_listed(new)}; it knew {_listed(left)}"
    elif not (new or left):
        text = "its outputs are put in the order of the classes of the data"
    else:
        text = f"outputs kept of classes {_listed(kept)}"
        text += f"; new: {_listed(new)}" if new else ""
        text += f"; left out: {_listed(left)}" if left else ""
    return Note("start-classes", f"start from a model: {text}")


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) or "no hidden layers" if isinstance(value, (tuple, list)) else str(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
