"""Images to test on where a data set has none of its own: a share of those for training, by class.

The share depends on the labels alone and on no seed of a training: networks of other seeds are tested on the same
images, and none that is trained further has been trained on them.

>>> from fnnet import data
>>> digits = data.load("digits")._replace(test=None)
>>> found = hold_out(digits)
>>> found.origin.held_out, len(found.train.labels), len(found.test.labels)
(143, 1294, 143)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from fnnet.core import rng
from fnnet.core.orders import first_of_classes
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples, unit_of
from fnnet.data.dataset import Dataset
from fnnet.data.notes import Note
from fnnet.data.stream import StreamedDataset, fingerprint_of
from fnnet.errors import counted

SEED: Final = 0
"""Of all draws here, whatever the seed of a training."""
EACH: Final = 10
"""One of this many images of a class is held out..."""
FEW: Final = 5
"""... and one at least of a class that has this many; smaller ones give one only where that share is not reached."""
CODE: Final = "held-out"
NONE: Final = "no-test-set"
D = TypeVar("D", bound="Dataset | StreamedDataset")


def hold_out(dataset: Dataset) -> Dataset:
    """Return a data set with a tenth of the training images of each class to test on, drawn by a fixed seed.

    Every class keeps an image for training. The data set is returned as it is if it has a test set, or too few images.
    """
    labels = dataset.train.labels
    if dataset.test is not None:
        return dataset
    held = held_rows(labels, len(dataset.classes))
    count = int(held.sum())
    if not count:
        return dataset
    train, test = (Examples(freeze(dataset.train.x[rows]), freeze(labels[rows])) for rows in (~held, held))
    return dataset._replace(
        train=train, test=test, origin=dataset.origin._replace(held_out=count), files=_divided(dataset.files[0], held)
    )


def _divided(files: Sequence[str], held: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files of the images for training, and of those held out."""
    each = list(zip(files, held.tolist(), strict=False))  # of other data than pictures none are known
    return tuple(name for name, out in each if not out), tuple(name for name, out in each if out)


def hold_out_again(dataset: D, test: Mapping[str, Any]) -> D:
    """Return a data set with the share of its images held out that a model was tested on; else as it is.

    test   what the model says of the images that it was tested on: the share is known again by their digest.
    """
    if test.get("held_out") is not True or not isinstance(dataset, Dataset):
        return dataset
    found: Any = hold_out(dataset)
    return found if found.test and fingerprint_of(found.test) == test.get("sha256") else dataset


def held_rows(labels: Array, classes: int) -> Array:
    """Return which images `hold_out` takes of a data set with these labels, bool (n,)."""
    return _held(labels, rng.order(SEED, "test", len(labels)), classes)


def _held(labels: Array, order: Array, classes: int) -> Array:
    """Return which images are held out, bool (n,).

    order   of the images: of each class the first are taken.
    """
    counts = np.bincount(labels, minlength=classes)
    share = np.where(counts >= FEW, np.maximum(1, (counts + EACH // 2) // EACH), 0)
    # Classes of few images are many only together: the classes whose images come first give one each.
    missing, small = len(labels) // EACH - int(share.sum()), (counts > 1) & (counts < FEW)
    for label in labels[order].tolist():
        if missing <= 0:
            break
        if small[label] and not share[label]:
            share[label], missing = 1, missing - 1
    return first_of_classes(labels, order, share)


def note_of(dataset: Dataset) -> Note:
    """Return the note of what `hold_out` made of a data set without a test set."""
    held = dataset.origin.held_out
    if not held:
        return Note(NONE, f"{dataset.source}: no test set, and too few images of each class to hold some out")
    count = counted(held + len(dataset.train.labels), unit_of(dataset.preprocessing))
    text = f"no test set: {held:,} of {count}, a share of each class, held out to test on"
    return Note(CODE, f"{dataset.source}: {text}; --test-data names others, or none to train on all")
