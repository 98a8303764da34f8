"""The images in a batch of rows, whatever holds them: each is read by itself, so that no answer depends on its batch.

What a file as a whole shows, such as the range of its floats or the column of its labels, a batch may show otherwise:
here names and types decide, and what the caller says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.frames import numbers_of
from fnnet.core.params import Array
from fnnet.core.state import Model
from fnnet.data import preprocess
from fnnet.data.csv_columns import columns_of, is_pixel
from fnnet.data.reader import Wanted, size
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, counted
from fnnet.files.disk import refuse

BATCH: Final = "batch"
RANGES: Final = ((0, 1), (-1, 1), (0, 255))
"""The ranges that floats may be of."""
SAY_RANGE: Final = "(0, 1), (-1, 1) or (0, 255)"
SAY_IMAGES: Final = "say images=, the column that holds an image a row, or the columns of the pixels in their order"


class Reading(NamedTuple):
    """What the caller says about the images in batches.

    images        the column that holds an image a row, or the columns of the pixels; None for what the names show.
    pixel_range   the range of floats, one of RANGES; None where there are none.
    transpose     True if images are stored column by column; None for row by row where names do not leave it open.
    """

    images: str | tuple[str, ...] | None = None
    pixel_range: tuple[int, int] | None = None
    transpose: bool | None = None


def columns_in(names: Sequence[str], reading: Reading, model: Model, axes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the columns of a table that hold the images: one with an image a row, or one for each pixel, in order.

    axes    the axes of one row's value in each column that has some.
    Raises   DataError for names that do not show it, or are missing.
    """
    if reading.images is not None:
        wanted = [reading.images] if isinstance(reading.images, str) else list(reading.images)
        if missing := [name for name in wanted if name not in names]:
            found, fix = ", ".join(names), "name them in images= as the batches do"
            refuse("no such column", BATCH, f"column {missing[0]!r}", "the columns of images=", found, fix)
        return wanted
    if axes:
        fitting = [name for name, shape in axes.items() if math.prod(shape) == math.prod(model.image_shape)]
        if len(fitting) != 1:
            problem = "several columns may be the images" if fitting else "no column of images"
            shown = ", ".join(f"{name} {shape}" for name, shape in axes.items())
            refuse(problem, BATCH, "the arrays", f"one of {size(model.image_shape)} in each row", shown, SAY_IMAGES)
        return fitting
    return [names[at] for at in _pixels(tuple(names), model.image_shape, reading.transpose)]


@lru_cache(maxsize=16)
def _pixels(names: tuple[str, ...], shape: tuple[int, int], transpose: bool | None) -> tuple[int, ...]:
    """Return the places of the columns that are pixels by their names, in the order of their numbers."""
    at = [place for place, name in enumerate(names) if is_pixel(name)] or [*range(len(names))]
    wanted = Wanted(labelled=False, shape=shape, label_column="none", transpose=transpose, known=True)
    try:
        columns = columns_of([names[place] for place in at], "the columns", BATCH, wanted, named=True)
    except FnnetError as error:
        raise error.at(BATCH, fix=SAY_IMAGES) from None
    found = tuple(at[place] for place in columns.pixels_at.tolist())
    if columns.shape and transpose:
        seen, fix = "transpose=True", "leave it out"
        refuse("names say the row and the column", BATCH, "the columns", "images row by row", seen, fix)
    if len(found) != math.prod(shape) or columns.shape not in (None, shape):
        seen = size(columns.shape) if columns.shape else counted(len(found), "column")
        expected = f"{size(shape)}, {counted(math.prod(shape), 'column')}"
        refuse("pixels do not fit the model", BATCH, "the columns", expected, seen, SAY_IMAGES)
    return found


def rows_of(frame: Any, columns: list[str], reading: Reading, model: Model) -> Array:
    """Return the images in a frame of pandas as the network takes them, uint8 (n, height x width).

    columns   as by `columns_in`.
    """
    if isinstance(reading.images, str):
        cells, column = list(frame[columns[0]]), columns[0]
        if any(map(_is_picture(model), cells)):
            from fnnet.data.from_path import images_to_predict

            turned = reading.transpose if model.preprocessing.transpose else None
            return images_to_predict(frame[[column]], model.image_shape, model.preprocessing, transpose=turned).x
        return of_cells(cells, column, reading, model)
    if not len(frame):  # an empty partition may have columns of any type
        return np.empty((0, math.prod(model.image_shape)), np.uint8)
    try:
        numbers = numbers_of("pixels are not numbers", frame[columns])
    except ArgumentTypeError as error:
        raise error.at(BATCH) from None
    return as_taken(numbers, reading, model)


def _is_picture(model: Model) -> Callable[[Any], bool]:
    """Return a function that is True for a cell that packs a picture: bytes, but not those of the pixels."""
    pixels = math.prod(model.image_shape)
    return lambda cell: isinstance(cell, dict) or (isinstance(cell, bytes) and len(cell) != pixels)


def of_cells(cells: Sequence[Any], column: str, reading: Reading, model: Model) -> Array:
    """Return the images in the cells of a column, arrays or lists of pixels or their bytes, as the network takes them.

    Raises   DataError with the row of a cell that holds no image of the model's size.
    """
    pixels = math.prod(model.image_shape)
    images: list[Array] = []
    for row, cell in enumerate(cells):
        image = np.frombuffer(cell, np.uint8) if isinstance(cell, bytes) else _array(cell)
        if image.size != pixels:
            place, expected = f"row {row}, column {column!r}", f"{size(model.image_shape)} as an array, a list or bytes"
            found = type(cell).__name__ if image.ndim == 0 else f"shape {image.shape}"
            fix = "scale the images to that size; pictures are read in pandas batches"
            refuse("no image of the model's size", BATCH, place, expected, found, fix)
        images.append(image.reshape(-1))
    return as_taken(np.stack(images) if images else np.empty((0, pixels), np.uint8), reading, model)


def _array(cell: Any) -> Array:
    """Return the numbers in a cell as an array, of arrays in an array too; one of size 0 where it is ragged."""
    try:
        found = np.asarray(cell)
        return np.array(found.tolist()) if found.dtype == object and found.ndim else found
    except ValueError:
        return np.empty((0, 0))


def as_taken(x: Array, reading: Reading, model: Model) -> Array:
    """Return images as the network takes them, uint8 (n, height x width), read by the model's preprocessing.

    x        integers from 0 to 255, or floats of the range that the caller names, (n, pixels) or (n, height, width).
    Raises   DataError for another shape or a number out of range, ArgumentTypeError for other types.
    """
    shape, turned = model.image_shape, bool(reading.transpose)
    stored, fix = shape[::-1] if turned else shape, "give an image of the model's size in each row"
    if x.shape[1:] not in ((math.prod(shape),), stored):
        expected = f"(n, {math.prod(shape)}) or (n, {stored[0]}, {stored[1]})"
        refuse("images do not fit the model", BATCH, "the axes", expected, x.shape, fix)
    low, high = _range_of(x.dtype, reading.pixel_range)
    x = x.reshape(len(x), math.prod(shape))
    if x.dtype != np.uint8:
        _check_range(x, low, high)
    scaled = high == 1
    if scaled:
        x = np.rint((x.astype(np.float64) - low) * (255 / (high - low)))
    known = model.preprocessing._replace(transpose=turned)
    return preprocess.apply(known, np.ascontiguousarray(x, np.uint8), shape, BATCH, scaled=scaled)


def _range_of(dtype: np.dtype[Any], given: tuple[int, int] | None) -> tuple[int, int]:
    """Return the range of pixels of a dtype; `given` is that of floats."""
    if dtype.kind in "iu":
        return 0, 255
    expected = "integers from 0 to 255, or floats"
    if dtype.kind != "f":
        fix = "store bytes from 0 to 255"
        raise ArgumentTypeError("pixels are not numbers", where=BATCH, expected=expected, found=dtype, fix=fix)
    if given is None:
        problem, fix = "floats of an unknown range, which a batch may not show", f"say pixel_range={SAY_RANGE}"
        raise DataError(problem, where=BATCH, expected="integers from 0 to 255", found=dtype, fix=fix)
    return given


def _check_range(x: Array, low: int, high: int) -> None:
    """Raise DataError for a number out of a range, NaN too, and for one that is not whole from 0 to 255."""
    wrong = ~((x >= low) & (x <= high))
    if high > 1 and x.dtype.kind == "f":
        wrong |= x != np.rint(x)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        expected = f"{'whole numbers from ' if high > 1 else ''}{low} to {high}"
        fix = f"store all images alike, and say pixel_range={SAY_RANGE} for floats"
        refuse("pixel out of range", BATCH, f"row {row}, pixel {column}", expected, x[row, column], fix)
