"""The ids that a table gives its images, for answers that name them."""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data import formats
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import LABELS, NO_COLUMN, Content, Wanted
from fnnet.data.tables import wanted_as
from fnnet.errors import DataError, UsageError

NAMES: Final = ("id", "imageid", "image_id", "image id")
"""Columns of ids, in lower case; numbers of rows, as pandas writes them, do not count."""

MOST: Final = 2**53 - 1
"""The largest id: numbers of a table are read as floats of 64 bits, which are exact up to here."""


def read_ids(
    path: AnyPath, shape: tuple[int, int], preprocessing: Preprocessing | None = None
) -> tuple[Array | None, list[Note]]:
    """Return the ids of the images in a table, whole numbers (n,), None if it has none; and a note if they are unfit.

    Of Parquet, nothing else is read.
    shape   (height, width) of the images, as they are stored.
    preprocessing   of the model, if it is known: rows of a table that are not images are those of its columns.
    """
    for name in NAMES:
        try:
            wanted = Wanted(labelled=False, shape=shape, label_column=name, most_label=MOST, only=LABELS)
            content = formats.read(path, wanted_as(wanted, preprocessing))
        except UsageError:
            return None, []  # no table
        except DataError as error:
            if error.problem != NO_COLUMN:
                return None, [_unfit(path, name, f"{error.place}: not a whole number")]
        else:
            if content.columns is not None and all(map(str.isdecimal, content.classes)):
                content = content._replace(labels=_numbers(content), classes=())
            # Names would be numbered as those of classes.
            return (None, [_unfit(path, name, "names, not whole numbers")]) if content.classes else (content.labels, [])
    return None, []


def _numbers(content: Content) -> Array:
    """Return labels that are names as the numbers that these are."""
    found: Array = np.array([*map(int, content.classes)], np.int64)[content.labels]
    return found


def _unfit(path: AnyPath, name: str, what: str) -> Note:
    text = f"{os.fsdecode(path)}: its column {name} is not taken as ids: {what} from 0 to {MOST:,}"
    return Note("ids-not-read", text)
