"""Frames of pandas and Polars as data sets: columns and labels are found as in CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from fnnet.core.frames import WIDE, is_frame, is_truth, names_of, numbers_of
from fnnet.core.params import Array
from fnnet.data.csv_columns import NUMBERS, Columns
from fnnet.data.csv_lines import Lines
from fnnet.data.csv_numbers import CORRECT, Part, as_pixels, exact, fix_of, part_of, wrong_numbers
from fnnet.data.csv_table import FILL as MISSING_FIX
from fnnet.data.csv_table import check_values, table_content
from fnnet.data.kaggle_csv import assemble, check_images, shape_of
from fnnet.data.label_names import FIX, labels_of
from fnnet.data.notes import Note
from fnnet.data.ranges import LEVELS, ranges_in_table
from fnnet.data.reader import Content, Wanted, check_scaling
from fnnet.data.table_columns import columns_or_table
from fnnet.errors import ArgumentTypeError, FnnetError
from fnnet.files.disk import refuse

FRAME: Final = "frame"
ROWS: Final = 1024
"""Rows that are converted at a time."""
LISTS: Final = (bytes, bytearray, dict, list, np.ndarray)
"""Cells that are images: packed pictures, or lists of pixels."""
CELLS: Final = "arrays or lists of pixels, or the bytes of pictures"
EXTRA: Final = "fnnet[formats]"
ARGUMENTS: Final = {
    "--label-column": "label_column", "--image-size HxW": "flat=(height, width)", "--image-size": "flat",
    "--image": "Reading(image=True)", "--table": "Reading(table=True)",
    "--class-names": "classes", "--classes": "the length of classes", "--first-label": "first_label",
    "--first-index": "first_index", "--pixel-max": "pixel_max", "--no-transpose": "transpose=False",
    "--transpose": "transpose=True", "--size": "size=(height, width)", "--ink dark": "ink='dark'",
    "--ink light": "ink='light'", "--test-data": "test_data",
}  # fmt: skip
"""Options of the command line, which readers name, and the arguments in Python that they stand for."""
OPTION: Final = re.compile("|".join(sorted(ARGUMENTS, key=len, reverse=True)))


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Turn errors that name options of the command line into errors that name arguments in Python."""
    try:
        yield
    except FnnetError as error:
        parts = (error.problem, error.where, error.place, error.expected, error.found, error.fix)
        problem, where, place, expected, found, fix = (as_arguments(part) for part in parts)
        translated = type(error)(problem, where=where, place=place, expected=expected, found=found, fix=fix)
        raise translated.with_traceback(error.__traceback__) from None


def as_arguments(text: Any) -> Any:
    """Return text with arguments in place of options; anything else as it is."""
    return OPTION.sub(lambda found: ARGUMENTS[found[0]], text) if isinstance(text, str) else text


def with_arguments(note: Note) -> Note:
    """Return a note with arguments in place of options."""
    return Note(note.code, as_arguments(str(note)))


def read_frame(frame: Any, wanted: Wanted) -> Content:
    """Return what a frame holds, by the rule of CSV: names of columns show pixels and labels, or the values do.

    Raises   DataError, ArgumentTypeError with the name of the column.
    """
    if not is_frame(frame):
        expected = "a DataFrame of pandas or Polars"
        fix = "fnnet.data.load reads files"
        raise ArgumentTypeError("not a frame", expected=expected, found=type(frame).__name__, fix=fix)
    names = names_of(frame)
    if not names or not len(frame):
        refuse("empty dataset", FRAME, "the rows", "at least 1 row of numbers", f"{len(frame)} rows", "give another")
    first = dict(_first_cells(frame))
    picture = next((at for at, each in first.items() if hasattr(each, "getbands")), None)
    if picture is not None:
        fix = "store numpy.asarray(picture.convert('L')) in each cell, or the bytes of its file"
        refuse("pictures of Pillow", FRAME, f"column {names[picture][:40]!r}", CELLS, "such objects", fix)
    if any(isinstance(each, LISTS) for each in first.values()):
        return _read_lists(frame, wanted)
    check_scaling(wanted.sized, "a frame of numbers")
    columns = columns_or_table(names, "the columns", FRAME, wanted, named=True, row=_texts_in(frame, first))
    if columns.table:
        return _read_table(frame, columns, names, wanted)
    read = columns.read()
    frame, texts = _without_names(frame, columns, labelled=wanted.labelled)
    numbers = _numbers(frame, read, columns)
    inside = _inside(columns, read)
    truth = [is_truth(dtype) for dtype in frame.dtypes]
    scaled = False
    if any(truth):
        numbers = numbers.astype(np.float64)
        scaled = as_pixels(numbers, [truth[at] for at in read], inside, [names[at] for at in read], FRAME)
    parts = [_part(numbers[row : row + ROWS], row, inside, names, read) for row in range(0, len(numbers), ROWS)]
    x, labels, notes, read_as = assemble(parts, inside, Lines(",", FRAME), wanted.pixel_range)
    classes: tuple[str, ...] = ()
    if texts:
        labels, classes, same = labels_of(texts, FRAME, names[columns.labels_at[0]], wanted, typed=True)
        notes += same
    shape, of_shape = shape_of(x, columns, FRAME, wanted)
    check_images(x, shape, columns, unit=bool(read_as), path=FRAME, wanted=wanted)
    notes = [*columns.notes, *notes, *of_shape]
    labels = labels if wanted.labelled or columns.label_at is None else None
    return Content(
        x, labels, shape, labels_at=FRAME, shape_at="the columns", notes=tuple(notes), by_row=columns.shape is not None,
        classes=classes, named=bool(classes), pixel_ranges=(LEVELS,) if scaled else ranges_in_table(x, read_as, FRAME),
    )  # fmt: skip


def _texts_in(frame: Any, first: Mapping[int, Any]) -> list[str]:
    """Return a cell of each column: those of text, and 0 for all others.

    first   the first cells that are not missing, as `_first_cells` has them.
    """
    return [first[at] if isinstance(first.get(at), str) else "0" for at in range(len(frame.columns))]


def _read_table(frame: Any, columns: Columns, names: list[str], wanted: Wanted) -> Content:
    """Return rows that are not images: numbers as they stand, and the names of classes."""
    at, pandas = columns.pixels_at.tolist(), _is_pandas(frame)
    numbers = frame.iloc[:, at] if pandas else frame[:, at]
    missing = numbers.isna().to_numpy() if pandas else np.column_stack([each.is_null().to_numpy() for each in numbers])
    if missing.any():
        row, column = map(int, np.argwhere(missing)[0])
        place = f"row {row}, column {names[at[column]][:40]!r}"
        refuse("a value is missing", FRAME, place, "a number", "a missing value", MISSING_FIX)
    values = numbers_of("columns are not numbers", numbers, truth=True).astype(np.float64)
    check_values(values, FRAME, [names[each] for each in at])
    texts: list[str] = []
    if columns.label_at is not None and not wanted.images_alone:
        texts = _labels_of(frame, columns.label_at)
    return table_content(values, texts, columns, FRAME, wanted, "the columns")


def _labels_of(frame: Any, at: int) -> list[str]:
    """Return the labels in a column as text; DataError for one that is missing."""
    series = frame.iloc[:, at] if _is_pandas(frame) else frame[:, at]
    missing = (series.isna() if _is_pandas(frame) else series.is_null()).to_numpy()
    if missing.any():
        place = f"row {int(missing.argmax())}, column {str(series.name)[:40]!r}"
        refuse("a label is missing", FRAME, place, "the name of a class", "a missing value", FIX)
    return [str(each) for each in (series.tolist() if _is_pandas(frame) else series.to_list())]


def _is_pandas(frame: Any) -> bool:
    return hasattr(frame, "iloc")


def _first_cells(frame: Any) -> Iterator[tuple[int, Any]]:
    """Yield each column with its first cell that is not missing; no columns of numbers, as far as types show."""
    for at, dtype in enumerate(frame.dtypes):
        if not (getattr(dtype, "kind", "O") in "biufcmM" if _is_pandas(frame) else dtype.is_numeric()):
            column = frame.iloc[:, at] if _is_pandas(frame) else frame[:, at]
            there = np.flatnonzero(~np.asarray(column.isna() if _is_pandas(frame) else column.is_null()))
            if len(there):
                yield at, column.iloc[there[0]] if _is_pandas(frame) else frame.row(int(there[0]))[at]


def _read_lists(frame: Any, wanted: Wanted) -> Content:
    """Return images in a column of lists or of packed pictures, as they are read of the Parquet that the frame writes.

    Raises   DataError without pyarrow, and for cells that it cannot take.
    """
    try:
        import pyarrow as pa

        from fnnet.data.arrow_columns import chosen_columns

        table = _as_table(frame) if _is_pandas(frame) else frame.to_arrow()
    except ImportError as error:
        problem, fix = "a frame of lists or pictures needs an optional library", "give each pixel a column"
        refuse(problem, FRAME, "the columns", EXTRA, error, f"pip install '{EXTRA}', or {fix}")
    except FnnetError:
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:
        found, fix = str(error.args[0] if error.args else error)[:120], "store a list of numbers in each (.tolist())"
        refuse("cells that Arrow cannot hold", FRAME, "the columns", "cells of one kind", found, fix)
    columns = chosen_columns(table.schema, FRAME, wanted, table.nbytes, first=0)
    return columns.read(iter(table.select(list(columns.names)).to_batches(ROWS)))


def _as_table(frame: Any) -> Any:
    """Return a frame of pandas as a table of Arrow, with arrays of several axes in cells as lists in lists."""
    import pyarrow as pa

    names, arrays = names_of(frame), [at for at, each in _first_cells(frame) if getattr(each, "ndim", 0) > 1]
    lists = {names[at]: _as_lists(frame.iloc[:, at].tolist(), names[at]) for at in arrays}
    others = frame.iloc[:, [at for at in range(len(names)) if at not in arrays]]
    rest = pa.Table.from_pandas(others, preserve_index=False)
    if not lists:
        return rest
    columns = [lists[name] if name in lists else rest.column(name) for name in names]
    return pa.table(columns, names=names)


def _as_lists(cells: list[Any], name: str) -> Any:
    """Return arrays of one shape as a column of lists; DataError for any other cells."""
    import pyarrow as pa

    def kind(cell: Any) -> str:
        return f"{cell.dtype} {cell.shape}" if isinstance(cell, np.ndarray) else type(cell).__name__

    first = next(cell for cell in cells if isinstance(cell, np.ndarray))
    if first.dtype.kind not in "biufO":
        place, fix = f"column {name[:40]!r}", "store bytes from 0 to 255"
        refuse("not numbers", FRAME, place, "integers, floats or truth values", first.dtype, fix)
    for row, cell in enumerate(cells):
        if kind(cell) != kind(first):
            place, fix = f"row {row}, column {name[:40]!r}", "store images of one size and dtype in all rows"
            refuse("images differ", FRAME, place, f"an array {kind(first)}, as in others", kind(cell), fix)
    stacked = np.stack(cells)
    lists = pa.array(np.ascontiguousarray(stacked, stacked.dtype.newbyteorder("=")).reshape(-1))
    for size in reversed(first.shape):
        lists = pa.FixedSizeListArray.from_arrays(lists, size)
    return lists


def _without_names(frame: Any, columns: Columns, *, labelled: bool) -> tuple[Any, list[str]]:
    """Return a frame with 0 for labels that are names, truth values, or numbers as text or categories, and them.

    None where the labels are numbers, or may be either of two columns. Labels that are not wanted become 0, whatever
    they are.
    Raises   DataError for a name that is missing.
    """
    if columns.label_at is None:
        return frame, []
    pandas = _is_pandas(frame)
    if not labelled:
        return _with_zeros(frame, columns.label_at), []
    series = frame.iloc[:, columns.label_at] if pandas else frame[:, columns.label_at]
    if getattr(series.dtype, "kind", "O") not in "OTUSb" or (not pandas and series.dtype.is_numeric()):
        return frame, []
    values = series.tolist() if pandas else series.to_list()
    missing = (series.isna() if pandas else series.is_null()).to_numpy()
    if missing.any() and any(isinstance(each, str) for each in values):
        place = f"row {int(missing.argmax())}, column {str(series.name)[:40]!r}"
        refuse("a label is missing", FRAME, place, "the name of a class", "a missing value", FIX)
    truth = [isinstance(each, bool) for each in values]
    if not (all(isinstance(each, (str, int)) for each in values) and len({*truth}) == 1):
        return frame, []
    return _with_zeros(frame, columns.label_at), [str(each) for each in values]


def _with_zeros(frame: Any, column: int) -> Any:
    """Return a frame with 0 in a column."""
    zeros = np.zeros(len(frame), np.int64)
    if _is_pandas(frame):
        frame = frame.copy(deep=False)
        frame.isetitem(column, zeros)
        return frame
    series = frame[:, column]
    return frame.with_columns(series.__class__(series.name, zeros))


def _numbers(frame: Any, read: list[int], columns: Columns) -> Array:
    """Return the numbers in the columns that are read; ArgumentTypeError for anything else."""
    for at in columns.labels_at:
        try:
            label = frame.iloc[:, [at]] if _is_pandas(frame) else frame[:, [at]]
            numbers_of("labels are not numbers", label, truth=True)
        except ArgumentTypeError as error:
            convertible = error.found == "missing values" or error.found in WIDE
            raise error if convertible else error.at(error.where, fix=NUMBERS) from None
    numbers = frame.iloc[:, read] if _is_pandas(frame) else frame[:, read]
    return numbers_of("pixels are not numbers", numbers, truth=True)


def _inside(columns: Columns, read: list[int]) -> Columns:
    """Return the same columns, counted among those that are read."""
    place = {column: number for number, column in enumerate(read)}
    at = np.array([place[column] for column in columns.pixels_at.tolist()])
    labels_at = tuple(place[column] for column in columns.labels_at)
    label_at = None if columns.label_at is None else place[columns.label_at]
    return columns._replace(width=len(read), pixels_at=at, pixels=at, labels_at=labels_at, label_at=label_at)


def _part(values: Array, first: int, columns: Columns, names: list[str], read: list[int]) -> Part:
    """Return rows from number `first` on; DataError with row and column for what neither pixel nor label can be."""

    def place(row: int, column: int) -> str:
        return f"row {first + row}, column {names[read[column]][:40]!r}"

    values = values.astype(np.float64)
    wrong = wrong_numbers(values, columns)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        kind = "label" if column in columns.labels_at else "pixel"
        expected = "a whole number from 0" if kind == "label" else "a whole number from 0 to 255, or from 0 to 1"
        fix = CORRECT if kind == "label" else fix_of(values, columns)
        refuse(f"not a {kind}", FRAME, place(row, column), expected, exact(values[row, column]), fix)
    return part_of(values, columns, Lines(",", FRAME), place)
