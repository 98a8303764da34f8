"""Arrays in NPZ, NPY, HDF5 and MATLAB files: images, or the rows of a table, which have no names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import ENOUGH, as_content, as_labels
from fnnet.data.csv_columns import Columns
from fnnet.data.csv_table import check_values, table_content
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Wanted
from fnnet.data.table_columns import unnamed
from fnnet.data.text_labels import Stored, named
from fnnet.errors import DataError, counted
from fnnet.files.disk import refuse


def is_table(x: Array, wanted: Wanted) -> bool:
    """Return True for rows of a table: numbers (n, columns) other than bytes, of fewer columns than ENOUGH.

    >>> is_table(np.zeros((2, 30)), Wanted(True)), is_table(np.zeros((2, 30), np.uint8), Wanted(True))
    (True, False)
    """
    if wanted.table:
        return True
    images = wanted.known or wanted.shape is not None or x.dtype.kind not in "iuf" or x.dtype == np.uint8
    return not images and x.ndim == 2 and x.shape[1] < ENOUGH


def content_of(
    x: Array, labels: Array | None, where: AnyPath, name: str, wanted: Wanted, classes: tuple[str, ...] = (),
    notes: Sequence[Note] = (), labels_at: str = "", labels_name: str = "", stored: Stored | None = None,
) -> Content:  # fmt: skip
    """Return images as `as_content` does, or the rows of a table, with their labels if there are any.

    classes, notes   the names of the classes if labels are text, as `numbered_texts` has them, and its notes.
    stored           names of classes that the file holds for labels that are numbers.
    """
    if is_table(x, wanted):
        content = _rows(x, labels, where, name, wanted, bool(classes), labels_at, labels_name, stored or {})
    else:
        with _or_a_table(x, name, wanted):
            content = as_content(x, labels, where, name, wanted.shape, labels_at, labels_name, wanted.pixel_range)
    return named(content, classes, notes)


def _rows(
    x: Array, labels: Array | None, where: AnyPath, name: str, wanted: Wanted, named: bool, labels_at: str,
    labels_name: str, stored: Stored,
) -> Content:  # fmt: skip
    """Return the rows of a table; numbers are the names of its classes, unless these are named or stored.

    Raises   DataError for another shape, or another number of columns than that of training.
    """
    if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "biuf":
        fix = "store one row of numbers for each example"
        refuse("not a table", where, name, "numbers, shape (n, columns)", f"shape {x.shape}, {x.dtype}", fix)
    count, known = x.shape[1], wanted.columns
    if known and len(known) != count:
        fix, found = "give the columns of the training data", counted(count, "column")
        refuse("columns differ from those of training", where, name, counted(len(known), "column"), found, fix)
    values, at = x.astype(np.float64), np.arange(count)
    check_values(values, where, ("",) * count, 1)
    columns = Columns(count, at, at, (), None, False, table=True, names=("",) * count)
    if any(known):
        columns = columns._replace(notes=(unnamed(where),))
    more: list[Note] = []
    found_labels = None if labels is None else as_labels(labels, len(x), labels_at or where, labels_name, more)
    texts = [] if found_labels is None or named or any(stored.values()) else [*map(str, found_labels.tolist())]
    content = table_content(values, texts, columns, where, wanted, name)
    if not texts:
        content = content._replace(labels=found_labels)
    return content._replace(notes=(*content.notes, *more), labels_at=labels_at or content.labels_at)


@contextmanager
def _or_a_table(x: Array, name: str, wanted: Wanted) -> Iterator[None]:
    """Put into the remedy of a number that no pixel can be that the rows may not be images, if nothing shows them."""
    try:
        yield
    except DataError as error:
        open_yet = x.ndim == 2 and not (wanted.known or wanted.shape)
        if not (open_yet and error.place.startswith(f"{name}[")):
            raise
        fix = f"{error.fix}; if each column is a measurement, say --table"
        raise error.at(error.where, fix=fix).with_traceback(error.__traceback__) from None
