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
from fnnet.data import Dataset
from fnnet.data.notes import Note
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError, counted

OF_TRAINING: Final = ("numbered-classes", "transposed", "transpose-name")
"""Notes with the remedy, behind a semicolon, of an option that says how the data for training is read."""


def load_dev_set(
    path: str | os.PathLike[str],
    dataset: Dataset,
    notify: Callable[[str], None] = lambda notice: None,
    label_column: str | None = None,
    first_index: int | None = None,
) -> Examples:
    """Load the images at `path` for validation while training on `dataset`.

    notify   called with each note about them.
    label_column, first_index   as in `fnnet.data.preprocess.Reading`.
    Raises   as `data.load`; UsageError for images of another shape or other classes.
    """

    def tell(note: str) -> None:
        """Pass a note on, without a remedy by options that are for the other data set."""
        code = getattr(note, "code", "")
        notify(Note(code, note.partition("; ")[0]) if code in OF_TRAINING else note)

    try:
        found = data.load(
            os.fsdecode(path),
            None,
            classes=dataset.classes,
            flat=dataset.image_shape,
            reading=Reading(label_column=label_column, first_index=first_index),
            preprocessing=dataset.preprocessing,
            by_name=True,
            notify=tell,
        )
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
    if _are_among(found.train.x, dataset.train.x):
        text = "validation takes the very images trained on, which does not show how well others are recognised"
        notify(Note("dev-in-train", f"{os.fsdecode(path)}: {text}"))
    return found.train


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
