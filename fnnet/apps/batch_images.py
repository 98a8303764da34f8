"""Images of a batch as a network takes them: each is read by itself, so that no answer depends on its batch.

What a file as a whole shows, such as the range of its floats or the column of its labels, a batch may show otherwise:
here names and types decide, and what the caller says. Numbers of several dtypes are not converted together: beside
floats, integers would become floats. `batch_columns` has tables, `batch_cells` images in the cells of one column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Model
from fnnet.data import preprocess
from fnnet.errors import ArgumentTypeError, DataError
from fnnet.files.disk import refuse

BATCH: Final = "batch"
RANGES: Final = ((0, 1), (-1, 1), (0, 255))
"""The ranges that numbers may be of."""
SAY_RANGE: Final = "(0, 1), (-1, 1) or (0, 255)"


class Reading(NamedTuple):
    """What the caller says about the images in batches.

    images        the column that holds an image a row, or the columns of the pixels; None for what the names show.
    pixel_range   the range of all numbers, integers too, one of RANGES; None for integers from 0 to 255 alone.
    transpose     True if images, pictures too, are stored column by column; None for row by row where names do not
                  leave it open.
    """

    images: str | tuple[str, ...] | None = None
    pixel_range: tuple[int, int] | None = None
    transpose: bool | None = None


def as_taken(x: Array, reading: Reading, model: Model) -> Array:
    """Return images as the network takes them, uint8 (n, height x width), read by the model's preprocessing.

    x        integers from 0 to 255, or numbers of the range that the caller names, (n, pixels) or (n, height, width).
    Raises   DataError for another shape or a number out of range, ArgumentTypeError for other types.
    """
    if not x.ndim or not fits(x.shape[1:], reading, model):
        refuse_axes(x.shape, reading, model)
    values = x.reshape(len(x), math.prod(model.image_shape))
    return read(as_bytes(values, reading, "", lambda row, pixel: f"row {row}, pixel {pixel}"), reading, model)


def fits(axes: tuple[int, ...], reading: Reading, model: Model) -> bool:
    """Return True for the axes of an image of the model's size, or of its pixels; those of length 1 do not count."""
    one, *others = (
        tuple(each for each in some if each != 1)
        for some in (axes, _stored(reading, model), (math.prod(model.image_shape),))
    )
    return one in others


def _stored(reading: Reading, model: Model) -> tuple[int, int]:
    """Return the axes of an image as it is stored."""
    height, width = model.image_shape
    return (width, height) if reading.transpose else (height, width)


def refuse_axes(found: object, reading: Reading, model: Model) -> None:
    """Raise DataError for images of another shape."""
    rows, columns = _stored(reading, model)
    expected = f"(n, {rows * columns}) or (n, {rows}, {columns})"
    refuse("images do not fit the model", BATCH, "the axes", expected, found, "give an image of the model's size a row")


def in_groups(dtypes: Iterable[Any], shape: tuple[int, int], axis: int, part: Callable[[list[int]], Array]) -> Array:
    """Return images as bytes, uint8 of `shape` (n, pixels), of rows (axis 0) or columns (axis 1) of several dtypes.

    part   the places of those of one dtype, in their order -> their bytes.
    """
    objects: dict[int, tuple[Any, list[int]]] = {}
    for place, dtype in enumerate(dtypes):
        objects.setdefault(id(dtype), (dtype, []))[1].append(place)
    groups: dict[Any, list[int]] = {}
    for dtype, places in objects.values():  # few: the hash of a dtype takes 1 us
        groups[dtype] = sorted([*groups.get(dtype, ()), *places])
    if len(groups) == 1:
        return part(next(iter(groups.values())))
    found = np.empty(shape, np.uint8)
    for at in groups.values():
        found[(slice(None),) * axis + (at,)] = part(at)
    return found


def as_bytes(x: Array, reading: Reading, where: str, place: Callable[[int, int], str]) -> Array:
    """Return numbers of one dtype, (n, columns), as bytes: those of a range up to 1 are scaled to 0 to 255.

    where    names what has this dtype in messages, and place(row, column) a number.
    Raises   as `as_taken`.
    """
    low, high = _range_of(x.dtype, reading.pixel_range, where)
    if x.dtype != np.uint8 or high == 1:
        _check_range(x, low, high, place)
    if high == 1:
        x = np.rint((x.astype(np.float64) - low) * (255 / (high - low)))
    return np.ascontiguousarray(x, np.uint8)


def read(x: Array, reading: Reading, model: Model) -> Array:
    """Return images as bytes, (n, pixels), as the network takes them."""
    known = model.preprocessing._replace(transpose=bool(reading.transpose))
    scaled = reading.pixel_range is not None and reading.pixel_range[1] == 1
    return preprocess.apply(known, x, model.image_shape, BATCH, scaled=scaled)


def _range_of(dtype: np.dtype[Any], given: tuple[int, int] | None, where: str) -> tuple[int, int]:
    """Return the range of pixels of a dtype: `given`, or that of integers."""
    expected = "integers from 0 to 255, or floats"
    if dtype.kind not in "iuf":
        problem, fix = "pixels are not numbers", "store bytes from 0 to 255"
        raise ArgumentTypeError(problem, where=BATCH, place=where, expected=expected, found=dtype, fix=fix)
    if given is None and dtype.kind == "f":
        problem, fix = "floats of an unknown range, which a batch may not show", f"say pixel_range={SAY_RANGE}"
        raise DataError(problem, where=BATCH, place=where, expected="integers from 0 to 255", found=dtype, fix=fix)
    return given or (0, 255)


def _check_range(x: Array, low: int, high: int, place: Callable[[int, int], str]) -> None:
    """Raise DataError for a number out of a range, NaN too, and for one that is not whole from 0 to 255."""
    wrong = ~((x >= low) & (x <= high))
    if high > 1 and x.dtype.kind == "f":
        wrong |= x != np.rint(x)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        expected = f"{'whole numbers from ' if high > 1 else ''}{low} to {high}"
        fix = f"store all images alike, and say pixel_range={SAY_RANGE}, which holds for integers too"
        refuse("pixel out of range", BATCH, place(row, column), expected, x[row, column], fix)
