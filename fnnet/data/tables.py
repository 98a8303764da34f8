"""Tables as data sets: columns are standardised, and options that describe images are refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing, Scaling
from fnnet.data.dataset import Dataset, dataset_of, numbered
from fnnet.data.holdout import held_rows
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.reader import Content, Wanted
from fnnet.data.scaling import scaling_of
from fnnet.errors import UsageError, counted
from fnnet.files.disk import refuse

OF_IMAGES: Final = {
    "pixel_max": "--pixel-max", "ink": "--ink", "transpose": "--transpose", "image": "--image", "size": "--size",
    "first_index": "--first-index",
}  # fmt: skip
"""Fields of a reading that mean nothing for a table -> their options."""
TABLE: Final = "a table, whose rows are not images"
SHOWN: Final = 8


def dataset_of_table(
    name: str, source: str, content: Content, classes: tuple[str, ...], known: Preprocessing | None, by_name: bool,
    reading: Reading, notify: Notify,
) -> Dataset:  # fmt: skip
    """Return the data set of a table, whose columns are standardised by the training part, or as `known` has them.

    classes, by_name, reading   as `data.load` has them.
    """
    check_options(reading, source)
    scaling = known.scaling if known else None
    notes: list[Note] = []
    if scaling is None:
        x = _trained_on(content, len(content.classes or classes), reading.first_label)
        scaling = scaling_of(x, content.columns or (), content.target)
        notes += _constant(scaling, source)
    if content.classes:
        classes = content.classes
    elif by_name and content.labels is not None:
        content, more = numbered(content, classes, source, reading.first_label)
        notes += more
    found = dataset_of(
        name, source, content, classes, Preprocessing(scaling=scaling), notify, notes, (), reading.first_label,
        bool(content.classes), beside_others=known is not None,
    )  # fmt: skip
    return found._replace(numbered=not content.classes)


def _trained_on(content: Content, classes: int, first: int) -> Array:
    """Return the rows that show how columns are standardised: without a test set, not those that are held out for one.

    first   the label of the first class.
    """
    if content.test is not None or content.labels is None or int(content.labels.min()) < first:
        return content.x
    kept: Array = content.x[~held_rows(content.labels.astype(np.int64) - first, classes)]
    return kept


def check_options(reading: Reading, where: str) -> None:
    """Raise UsageError, which names the option, for what is given about images where the data are a table."""
    for field, option in OF_IMAGES.items():
        given = getattr(reading, field)
        if given != getattr(AUTOMATIC, field):
            found = "--no-transpose" if field == "transpose" and not given else option
            raise UsageError("has no effect", where=found, expected="images", found=f"{where}, {TABLE}")


def check_is_table(content: Content, known: Preprocessing | None, where: AnyPath) -> None:
    """Raise DataError for images where a model, or the data for training, is of a table, and the other way round."""
    if known is not None and known.scaling is not None and content.columns is None:
        expected = f"a table of {counted(len(known.scaling.names), 'column')}, as in training"
        fix = "give a table with the columns of training"
        refuse("images, not a table", where, "the file", expected, "images", fix)
    if known is not None and known.scaling is None and content.columns is not None:
        refuse("a table, not images", where, "the file", "images, as in training", "a table", "leave --table out")


def wanted_as(wanted: Wanted, known: Preprocessing | None) -> Wanted:
    """Return what is wanted for a model, or beside another data set, whose preprocessing is `known`."""
    if known is None or known.scaling is None:
        return wanted
    return wanted._replace(
        table=True, columns=known.scaling.names, target=known.scaling.target, shape=None, known=True, image=False
    )


def refuse_table(dataset: Any, where: str, expected: str, fix: str) -> None:
    """Raise UsageError at `where` for a data set that is a table, where only images can be taken."""
    if dataset.preprocessing.scaling is not None:
        raise UsageError("takes images", where=where, expected=expected, found=f"{dataset.source}, {TABLE}", fix=fix)


def _constant(scaling: Scaling, source: str) -> Sequence[Note]:
    """Return a note on the columns that are constant in the training part."""
    at = np.flatnonzero(np.array(scaling.scales) == 0).tolist()
    if not at:
        return []
    called = ", ".join(repr(scaling.names[each][:40]) if scaling.names[each] else str(each + 1) for each in at[:SHOWN])
    some = called + (", ..." if len(at) > SHOWN else "")
    found = f"{counted(len(at), 'column')} with one value in all training rows, taken as 0"
    text = f"{os.fsdecode(source)}: {found}: {some}"
    return [Note("constant-column", text)]
