"""Images for validation while training: those in a file or folder of their own, or in arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fnnet import data
from fnnet.core.check_network import check_examples
from fnnet.core.checks import as_array, check_labels
from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.arguments import check_path
from fnnet.data.dataset import placed
from fnnet.data.notes import Note
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.sets import load_alike
from fnnet.errors import DataError, UsageError, counted

OF_TRAINING: Final = ("numbered-classes", "numbers-as-names", "transposed", "transpose-name")
"""Notes with the remedy, behind a semicolon, of an option that says how the data for training is read."""
OF_A_MODEL: Final = {
    "labelled image": "validation image", "those that the model was trained on": "those of training",
    "that of the model": "as for training", "as what the model was trained on": "as the data for training",
}  # fmt: skip
"""Words of notes that are for images given to a model -> those for images of validation."""


def load_dev_set(
    path: str | os.PathLike[str],
    dataset: Dataset | StreamedDataset,
    notify: Callable[[str], None] = lambda notice: None,
    reading: Reading = AUTOMATIC,
) -> Examples:
    """Load the images at `path` for validation while training on `dataset`.

    Labels that are numbers are places of the classes if those for training are (`dataset.numbered`), else their names.
    notify   called with each note about them.
    reading  what the user says about the data for training, which holds for these images where it has a meaning: they
             are read as those of training, but the columns of a table, say, are not those of an archive.
    Raises   as `data.load`; UsageError for images of another shape or other classes.
    """

    def tell(note: str) -> None:
        """Pass a note on, without a remedy by options that are for the other data set."""
        code, text = getattr(note, "code", ""), str(note)
        for word, here in OF_A_MODEL.items():
            text = text.replace(word, here)
        notify(Note(code, text.partition("; ")[0] if code in OF_TRAINING else text) if code else note)

    check_path(path, "dev_data", "a path", "name one file or folder that holds all images")
    order = None if reading.transpose else reading.transpose  # True is in the preprocessing, and not for pictures
    reading = reading._replace(pixel_max=None, ink="auto", transpose=order, size=None)
    try:
        found = _loaded(path, dataset, reading, tell)
        found = data.with_classes(found, dataset.classes, notify)
    except DataError as error:
        # Its remedies are those of the other data set.
        where, fix = ("dev_data", "") if error.where == "--data" else (error.where, error.fix)
        fix = "label its images as those of training" if error.problem.startswith("label ") else fix
        raise error.at(where, fix=re.sub("--data(?= )", "`dev_data`", fix)) from None
    if found.image_shape != dataset.image_shape or found.classes != dataset.classes:
        kinds = [
            f"{each.image_shape} pixels, {counted(len(each.classes), 'class', 'classes')} ({_shown(each.classes)})"
            for each in (dataset, found)
        ]
        raise UsageError("images differ", where="dev_data", place=os.fsdecode(path), expected=kinds[0], found=kinds[1])
    if found.test is not None:
        text = f"{os.fsdecode(path)}: its test part is not used: validation takes its training images"
        notify(Note("not-used", text))
    # Of a stream, all files would be read for it.
    if isinstance(dataset, Dataset) and _are_among(found.train.x, dataset.train.x):
        text = "validation takes the very images trained on, which does not show how well others are recognised"
        notify(Note("dev-in-train", f"{os.fsdecode(path)}: {text}"))
    return found.train


def _loaded(
    path: str | os.PathLike[str], dataset: Dataset | StreamedDataset, reading: Reading, notify: Callable[[str], None]
) -> Dataset:
    """Load images as those of a data set are read, without the options that have no meaning for their file."""
    try:
        found = load_alike(
            os.fsdecode(path), None, classes=dataset.classes, flat=dataset.image_shape, reading=reading,
            preprocessing=dataset.preprocessing, by_name=not dataset.numbered, notify=notify,
        )  # fmt: skip
    except UsageError as error:
        field = error.where.removeprefix("--").replace("-", "_")
        if error.problem != "has no effect" or field not in Reading._fields:
            raise
        return _loaded(path, dataset, reading._replace(**{field: getattr(AUTOMATIC, field)}), notify)
    for note in placed(found.classes, found.source, reading.first_label) if dataset.numbered and found.numbered else ():
        notify(note)
    return found


def _are_among(x: Array, others: Array) -> bool:
    """Return True if each image of x (n, pixels) is one of the `others`, by hashes of 64 bits."""
    hashes, known = (np.fromiter((hash(row.tobytes()) for row in each), np.int64, len(each)) for each in (x, others))
    return bool(np.isin(hashes, known).all())


def _shown(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")


def check_dev_set(given: Any, pixels: int, classes: int) -> Examples:
    """Return dev images (n, `pixels`) with labels in [0, `classes`), else UsageError."""
    examples = check_examples(given)
    shape = as_array("images", examples.x, "fiub", "numbers").shape
    if len(shape) != 2 or shape[1] != pixels:
        raise UsageError("images differ", where="dev_set", expected=f"shape (n, {pixels})", found=shape)
    try:
        check_labels(examples.labels, (shape[0], classes))
    except UsageError as error:
        raise error.at("dev_set") from None
    return examples
