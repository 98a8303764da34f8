"""The columns of a table that hold its images, one or a pixel in each row: of a dict of arrays, or a pandas frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from fnnet.apps.batch_cells import PICTURES, as_plain_bytes, axes_of, of_cells, of_pictures, pictures_in
from fnnet.apps.batch_images import BATCH, Reading, as_bytes, as_taken, fits, in_groups, read, refuse_axes
from fnnet.core.frames import numbers_of
from fnnet.core.params import Array
from fnnet.core.state import Model
from fnnet.data.csv_columns import columns_of, is_pixel
from fnnet.data.reader import Wanted, size
from fnnet.errors import ArgumentTypeError, FnnetError, counted
from fnnet.files.disk import refuse

Axes = Mapping[str, tuple[int, ...]]
NONE: Final[Axes] = MappingProxyType({})
SAY_IMAGES: Final = "say images=, the column that holds an image a row, or the columns of the pixels in their order"


def columns_in(
    names: Sequence[str], reading: Reading, model: Model, arrays: Axes = NONE, cells: Axes = NONE
) -> list[str]:
    """Return the columns of a table that hold the images: one with an image a row, or one for each pixel, in order.

    arrays, cells   the axes of one row's value in columns that are arrays, and in those of objects, which hold images
                    only if the caller says so.
    Raises   DataError for names and axes that show no images, or may show several, and for names that are missing.
    """
    if reading.images is not None:
        wanted = [reading.images] if isinstance(reading.images, str) else list(reading.images)
        if missing := [name for name in wanted if name not in names]:
            found, fix = ", ".join(names), "name them in images= as the batches do"
            refuse("no such column", BATCH, f"column {missing[0]!r}", "the columns of images=", found, fix)
        return wanted
    pixels = math.prod(model.image_shape)
    images = {name: each for name, each in {**arrays, **cells}.items() if len(each) > 1 or math.prod(each) == pixels}
    if not images:
        return [names[at] for at in _pixels(tuple(names), model.image_shape, reading.transpose)]
    # Size alone does not choose: beside pictures of another size, the array that fits may be their mask.
    others = [name for name in names if is_pixel(name) and name not in images]
    (first, shape), *more = images.items()
    if more or others or first in cells or math.prod(shape) != pixels:
        problem = "several columns may be the images" if more or others else "no column of images"
        shown = [f"{name} {'pictures' if each is PICTURES else each}" for name, each in images.items()]
        found = ", ".join([*shown, *others[:1], *["..."][: len(others) - 1]])
        expected = f"one array of {size(model.image_shape)} in each row"
        refuse(problem, BATCH, "the columns", expected, found, SAY_IMAGES)
    return [first]


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


def as_columns(batch: Mapping[Any, Any]) -> dict[str, Array]:
    """Return the columns of a dict as arrays of one length; of objects where the cells differ.

    Raises   ArgumentTypeError for a name other than text, DataError without columns, or where their lengths differ.
    """
    for name in batch:
        if not isinstance(name, str):
            fix = "name the columns: {f'pixel{name}': values for name, values in batch.items()}"
            raise ArgumentTypeError("not the name of a column", where=BATCH, expected="text", found=name, fix=fix)
    arrays = {name: _as_array(values) for name, values in batch.items()}
    if not arrays:
        refuse("no columns", BATCH, "the dict", "arrays by their names", "none", SAY_IMAGES)
    n = max(len(each) if each.ndim else 0 for each in arrays.values())
    for name, each in arrays.items():
        if not each.ndim or len(each) != n:
            found = counted(len(each), "row") if each.ndim else type(batch[name]).__name__
            expected = f"{counted(n, 'row')}, as another column has" if each.ndim else "an array with a value a row"
            fix = "give each row its value, or leave the column out"
            refuse("columns differ in length", BATCH, f"column {name!r}", expected, found, fix)
    return arrays


def _as_array(values: Any) -> Array:
    if isinstance(values, np.ndarray):
        return values
    try:
        found = np.asarray(values)
    except ValueError:  # arrays of several sizes
        found = None
    if found is not None and found.dtype.kind not in "SV":  # which cut zeros off the end of bytes
        return found
    cells = list(values)
    objects = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        objects[row] = cell
    return objects


def axes_in_arrays(arrays: Mapping[str, Array]) -> tuple[Axes, Axes]:
    """Return the axes of one row's value in the columns of a dict that have some, as `columns_in` takes them."""
    objects = {name: axes_of(each) for name, each in arrays.items() if each.dtype == object and each.ndim == 1}
    cells = {name: axes for name, axes in objects.items() if axes}
    return {name: each.shape[1:] for name, each in arrays.items() if each.ndim > 1}, cells


def axes_in_frame(frame: Any, names: Sequence[str]) -> Axes:
    """Return the axes of the images in cells of a frame, by the names of their columns."""
    at = [place for place, dtype in enumerate(frame.dtypes) if getattr(dtype, "kind", "O") == "O"]
    found = {names[place]: axes_of(frame.iloc[:, place]) for place in at}
    return {name: axes for name, axes in found.items() if axes}


def of_arrays(arrays: Mapping[str, Array], columns: list[str], reading: Reading, model: Model) -> Array:
    """Return the images in the columns of a dict as the network takes them, uint8 (n, height x width).

    columns   as by `columns_in`.
    """
    first = arrays[columns[0]]
    if len(columns) == 1:
        if first.dtype == object:
            return of_cells(list(first), columns[0], reading, model)
        return as_taken(first, reading, model)
    for name in columns:
        if arrays[name].ndim > 1:
            found, fix = f"shape {arrays[name].shape}", "name one column in images=, or columns of numbers"
            refuse("not a column of pixels", BATCH, f"column {name!r}", "a number in each row", found, fix)
    dtypes, shape = [arrays[name].dtype for name in columns], (len(first), len(columns))
    return _of_columns(
        dtypes, shape, lambda at: np.stack([arrays[columns[place]] for place in at], axis=1), columns, reading, model
    )


def of_frame(frame: Any, names: list[str], columns: list[str], reading: Reading, model: Model) -> Array:
    """Return the images in a frame of pandas as the network takes them, uint8 (n, height x width).

    names     of all its columns, each once.
    columns   as by `columns_in`.
    """
    if isinstance(reading.images, str):
        column, at = columns[0], names.index(columns[0])
        cells = list(frame.iloc[:, at])
        if next(pictures_in(cells, model), None) is not None:
            pictures = frame.iloc[:, [at]].set_axis([column], axis=1).copy()
            pictures[column] = as_plain_bytes(cells)
            return of_pictures(pictures, column, reading, model)
        return of_cells(cells, column, reading, model)
    if not len(frame):  # an empty partition may have columns of any type
        return np.empty((0, math.prod(model.image_shape)), np.uint8)
    # By their places: pandas takes milliseconds to find hundreds of names.
    chosen = frame if columns == names else frame.iloc[:, _places(tuple(names), tuple(columns))]

    def numbers(at: list[int]) -> Array:
        try:
            return numbers_of("pixels are not numbers", chosen if len(at) == len(columns) else chosen.iloc[:, at])
        except ArgumentTypeError as error:
            raise error.at(BATCH) from None

    return _of_columns([*chosen.dtypes], (len(chosen), len(columns)), numbers, columns, reading, model)


@lru_cache(maxsize=16)
def _places(names: tuple[str, ...], columns: tuple[str, ...]) -> list[int]:
    """Return the places of columns among names."""
    known = {name: place for place, name in enumerate(names)}
    return [known[name] for name in columns]


def _of_columns(
    dtypes: Any, shape: tuple[int, int], numbers: Callable[[list[int]], Array], columns: list[str], reading: Reading,
    model: Model,
) -> Array:  # fmt: skip
    """Return the images in columns of pixels, (n, columns), as the network takes them.

    numbers   the places of columns of one dtype -> the numbers in them, (n, some columns).
    """
    if not fits(shape[1:], reading, model):
        refuse_axes(shape, reading, model)

    def part(at: list[int]) -> Array:
        where = f"column {columns[at[0]]!r}"
        return as_bytes(numbers(at), reading, where, lambda row, n: f"row {row}, column {columns[at[n]]!r}")

    return read(in_groups(dtypes, shape, 1, part), reading, model)
