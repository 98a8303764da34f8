"""Data sets of arrays in memory: rows as networks take them, and labels that are numbers or names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.check_network import as_pixels
from fnnet.core.checks import as_array, check_classes, shown
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples
from fnnet.data.arguments import check_size
from fnnet.data.dataset import Dataset, places_by_number
from fnnet.data.label_names import in_order
from fnnet.errors import ArgumentTypeError, UsageError, counted
from fnnet.limits import MAX_CLASSES
from fnnet.names import composed

ARRAYS: Final = "arrays"
SHOWN: Final = 12
"""Names of classes in a message."""


def from_arrays(
    x: Any,
    labels: Any,
    *,
    test: tuple[Any, Any] | None = None,
    classes: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> Dataset:
    """Return a data set of arrays, whose rows are taken as they are: bytes are divided by 255, floats are not.

    x            (n, inputs) or (n, height, width), uint8 or floats; a frame of pandas or Polars.
    labels       (n,), whole numbers or text, a series too.
    test         x and labels of the test set.
    classes      the names of classes that labels are, or of which they are the places, as those of `load`: a label of 3
                 is the class called 3 if all names are numbers. None for the labels that occur, in their order.
    image_shape  (height, width) of rows of pixels; None for squares, or (1, inputs) where that is not a square.
    Raises   UsageError, ArgumentTypeError for arrays that do not fit one another, and for a label of no class.

    >>> import numpy as np
    >>> from fnnet import data
    >>> dataset = data.from_arrays(np.eye(4), ["yes", "no", "no", "yes"])
    >>> dataset.classes, dataset.train.labels.tolist(), dataset.image_shape
    (('no', 'yes'), [1, 0, 0, 1], (2, 2))
    """
    rows, shape = _rows(x, image_shape)
    given = _labels(labels, len(rows))
    if classes is None:
        names, places = _coded(given)
    else:
        names = check_classes(classes)
        places = _places(given, names)
    tested = None if test is None else examples_of(test, names, shape, "test")
    return Dataset(ARRAYS, ARRAYS, Examples(rows, places), tested, names, shape)


def examples_of(given: Any, classes: Sequence[str], shape: tuple[int, int], where: str) -> Examples:
    """Return a pair of arrays (x, labels) as examples of these classes, whose images have `shape`.

    where    names them in messages.
    Raises   UsageError, ArgumentTypeError as `from_arrays`, and for rows of another length.
    """
    if not isinstance(given, tuple) or len(given) != 2:
        raise ArgumentTypeError("not a pair", where=where, expected="(x, labels)", found=type(given).__name__)
    try:
        x, found = _rows(given[0], None)
        if x.shape[1] != math.prod(shape) or (np.ndim(given[0]) == 3 and found != shape):
            expected = f"(n, {math.prod(shape)}) or (n, {shape[0]}, {shape[1]})"
            raise UsageError("x does not fit", expected=expected, found=np.shape(given[0]))
        return Examples(x, _places(_labels(given[1], len(x)), classes))
    except UsageError as error:
        raise (error if error.where else error.at(where)) from None


def shape_of(inputs: int) -> tuple[int, int]:
    """Return (height, width) of rows: those of a square, else one row of numbers.

    >>> shape_of(784), shape_of(30)
    ((28, 28), (1, 30))
    """
    side = math.isqrt(inputs)
    return (side, side) if side * side == inputs else (1, inputs)


def _rows(given: Any, image_shape: tuple[int, int] | None) -> tuple[Array, tuple[int, int]]:
    """Return rows, read-only (n, inputs), and the shape of their images."""
    x = as_pixels(given)
    if x.ndim not in (2, 3) or not x.size:
        expected = "shape (n, inputs) or (n, height, width), not empty"
        raise UsageError("x is not rows of numbers", expected=expected, found=x.shape)
    inputs = math.prod(x.shape[1:])
    shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else shape_of(inputs)
    if image_shape is not None:
        wanted = check_size("image_shape", image_shape)
        if math.prod(wanted) != inputs or (x.ndim == 3 and shape != wanted):
            raise UsageError("x is not of image_shape", expected=f"images {wanted}", found=f"shape {x.shape}")
        shape = wanted
    return freeze(x.reshape(len(x), inputs).view()), shape


def _labels(given: Any, n: int) -> Array:
    """Return labels (n,), whole numbers or text; truth values are text, too."""
    expected = "whole numbers or text, shape (n,)"
    labels = as_array("labels are neither numbers nor names", given, "iubUOT", expected)
    if labels.shape != (n,):
        raise UsageError("labels do not fit x", expected=f"shape ({n},)", found=labels.shape)
    if labels.dtype.kind == "O":
        other = next((at for at, each in enumerate(labels) if not isinstance(each, str)), None)
        if other is not None:
            found = f"{shown(labels[other])}, {type(labels[other]).__name__}"
            raise ArgumentTypeError("label is not a name", place=f"row {other}", expected="text", found=found)
    return labels if labels.dtype.kind in "iu" else labels.astype(np.str_)


def _coded(labels: Array) -> tuple[tuple[str, ...], Array]:
    """Return the names of the classes that occur, numbers by value and names in natural order, and each one's place."""
    found, inverse = np.unique(labels, return_inverse=True)
    if not 2 <= len(found) <= MAX_CLASSES:
        seen, expected = counted(len(found), "value"), f"2 to {MAX_CLASSES:,} classes"
        raise UsageError("labels", expected=expected, found=seen, fix="name the classes by `classes`")
    names = [*map(str, found.tolist())]
    ordered = names if labels.dtype.kind in "iu" else in_order(names)
    places = {name: at for at, name in enumerate(ordered)}
    return check_classes(ordered), freeze(np.array([places[name] for name in names], np.int64)[inverse.reshape(-1)])


def _places(labels: Array, classes: Sequence[str]) -> Array:
    """Return the place of each label in classes, read-only int64; UsageError for one that is of no class."""
    found, inverse = np.unique(labels, return_inverse=True)
    known: dict[Any, int] = {name: at for at, name in enumerate(classes)}
    if labels.dtype.kind in "iu":
        known = {**places_by_number(classes)} or dict(zip(range(len(classes)), range(len(classes)), strict=True))
    values = [composed(each) if isinstance(each, str) else each for each in found.tolist()]
    places = [known.get(each, -1) for each in values]
    if -1 in places:
        wrong = places.index(-1)
        some = ", ".join(map(str, [*known][:SHOWN])) + (", ..." if len(known) > SHOWN else "")
        row = int((inverse.reshape(-1) == wrong).argmax())
        raise UsageError("label of no class", place=f"row {row}", expected=some, found=shown(found.tolist()[wrong]))
    return freeze(np.array(places, np.int64)[inverse.reshape(-1)])
