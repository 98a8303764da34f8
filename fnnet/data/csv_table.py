"""The rows of a table that are not images: measurements as they stand, and the names of classes."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.csv_columns import ENOUGH, TRUTH, Columns
from fnnet.data.csv_lines import Lines, check_text, decimal_comma
from fnnet.data.csv_numbers import CORRECT, LONGEST, NUMBER, cells_in, is_name, parse_numbers
from fnnet.data.label_names import MISSING, Texts, as_whole, in_order, labels_of, merged
from fnnet.data.notes import Note
from fnnet.data.opened import NO_ROWS, AnyPath
from fnnet.data.reader import Content, Wanted
from fnnet.data.splits import ONE_PART, divides, refuse_column, says_parts
from fnnet.data.table_columns import NO_REGRESSION, say_nothing
from fnnet.errors import counted
from fnnet.files.disk import refuse
from fnnet.names import names_of_labels

FILL: Final = "fill the cell in, or leave the row or the column out"
MOST: Final = 1e300
"""The largest measurement: sums of as many rows as fit into memory are then finite."""
INFINITE: Final = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
MANY: Final = 20
"""More numbers than these, each in fewer than FEW rows in the mean, are measured, not classes."""
FEW: Final = 5
ROWS: Final = 10
"""In at least this many rows without names of columns, a class of the first alone is such a name, beside 2019, 2020."""
ALL_DIFFER: Final = 20
"""A column of whole numbers is noted if it has a different one in each row, of at least this many."""
ID: Final = re.compile("(?:^|[^A-Za-z])(?:id|Id|ID|uuid|UUID)$|[a-z]I[Dd]$")
"""Names of columns that name what is measured, as customer_id and PassengerId."""
RENAME: Final = "if it is a measurement, rename it"
MARKS: Final = frozenset(each.lower() for each in MISSING)


def read_table(
    first: tuple[int, bytes], pieces: Iterator[tuple[int, bytes]], columns: Columns, lines: Lines, wanted: Wanted,
    place: str,
) -> Content:  # fmt: skip
    """Return the measurements, float64 (n, columns), and the classes in blocks of lines.

    first    the number of the first line below the names, and the lines from it on; `pieces` are what follows.
    place    of the names, in words.
    Raises   DataError with line and column for a cell that is not a number.
    """
    parts: list[Array] = []
    texts: list[str] = []
    for line, block in itertools.chain([first], pieces):
        values, found = rows_in(block, line, columns, lines)
        parts.append(values)
        texts += found
    x = np.concatenate(parts)
    if not len(x):
        refuse("empty dataset", lines.path, f"line {first[0] + 1}", "at least 1 row of numbers", "0 rows", NO_ROWS)
    rising = not columns.header and (x[0] == np.floor(x[0])).all() and (np.diff(x[0]) > 0).all()
    if rising and not wanted.known and len(texts) >= ROWS and texts.count(texts[0]) == 1:
        seen, fix = f"{texts[0][:40]!r}, once", "name the columns, other than by numbers, or take the line out"
        refuse("names of columns, or a row", lines.path, place, "a class that other rows have", seen, fix)
    return table_content(x, texts, columns, lines.path, wanted, place)


def table_content(
    x: Array, texts: Sequence[str], columns: Columns, path: AnyPath, wanted: Wanted, place: str
) -> Content:
    """Return rows of measurements, float64 (n, columns), and their labels as text, if they are wanted.

    Raises   DataError for rows that may be images, and for labels that are not classes.
    """
    where = os.fsdecode(path)
    notes = [*columns.notes]
    if not (wanted.table or wanted.columns):
        _check_no_images(x, columns, path)
    if not wanted.columns:
        _check_parts(x, columns, path)
        notes += _naming_rows(x, columns, where)
    labels, classes = None, tuple[str, ...]()
    if len(texts) and not wanted.images_alone:
        name = columns.target or str((columns.label_at or 0) + 1)
        labels, classes, more = _labels(texts, path, name, wanted)
        notes += more
    return Content(
        x, labels, (1, x.shape[1]), labels_at=where, shape_at=place, notes=tuple(notes), classes=classes,
        named=bool(classes), columns=columns.names, target=columns.target,
    )  # fmt: skip


def check_values(values: Array, path: AnyPath, names: Sequence[str], first: int = 0) -> None:
    """Raise DataError for a measurement that is missing, infinite or too large, of numbers (n, columns).

    names   of the columns, each "" if it has none.
    first   the number of the first row.
    """
    wrong = ~(np.abs(values) <= MOST)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        place = f"row {first + row}, column {repr(names[column][:40]) if names[column] else column + 1}"
        found = float(values[row, column])
        if np.isnan(found):
            refuse("a value is missing", path, place, "a number", "nan", FILL)
        _refuse_large(str(found), place, path)


def _check_no_images(x: Array, columns: Columns, path: AnyPath) -> None:
    """Raise DataError for as many whole numbers from 0 to 255 in each row as an image may have, of any size, unless
    the columns have names of their own."""
    if x.shape[1] < ENOUGH or not say_nothing(columns.names):
        return
    if x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all():
        found = f"{counted(x.shape[1], 'column')} of whole numbers from 0 to 255"
        fix = "say --table if each column is a measurement; if each row is an image, say --image-size HxW"
        refuse("a table, or images", path, "the columns", "names or values that show which", found, fix)


def _check_parts(x: Array, columns: Columns, path: AnyPath) -> None:
    """Raise DataError for a column that by its name says of which part each row is: some are then for testing."""
    for at, name in enumerate(columns.names):
        if says_parts(name) and divides(name, {*x[:, at].tolist()}):
            refuse_column(
                path, _called(columns, at).rstrip(","), [f"{each:g}" for each in x[:, at]], ONE_PART, "rows", RENAME
            )


def _naming_rows(x: Array, columns: Columns, where: str) -> list[Note]:
    """Return a note of each column that may only name the rows: so it is called, or its whole numbers all differ."""
    notes = []
    for at, name in enumerate(columns.names):
        values = x[:, at]
        called = ID.search(name) is not None
        if called or (len(x) >= ALL_DIFFER and (values == np.floor(values)).all() and len(np.unique(values)) == len(x)):
            why = "by its name, it" if called else "its whole numbers all differ: it"
            text = f"{where}: {_called(columns, at)} is taken as a measurement; {why} may only name the rows:"
            notes.append(Note("names-rows", f"{text} if so, leave it out"))
    return notes


def _called(columns: Columns, at: int) -> str:
    name = columns.names[at][:40]
    return f"column {int(columns.pixels_at[at]) + 1}" + (f", {name!r}," if name else "")


def _labels(
    texts: Sequence[str], path: AnyPath, name: str, wanted: Wanted
) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return labels, int64 (n,), the names of their classes, and notes: numbers are names, too.

    Classes that the user or a model names keep their order; numbers that are not among these are their places, without
    names, as in other files.
    Raises   DataError for numbers that are measured, and as `labels_of`.
    """
    whole = [as_whole(text.strip()) for text in texts]
    found = Counter(whole)
    plain = tuple(wanted.names) == names_of_labels(0, len(wanted.names))
    if any(each in MISSING for each in found) or not all(map(NUMBER.fullmatch, found)):
        return labels_of(texts, path, name, wanted)
    if {*found} <= {*wanted.names} and (wanted.known or not plain):
        classes = tuple(wanted.names)
    elif not plain and not (wanted.known and any(map(NUMBER.fullmatch, wanted.names))):
        return labels_of(texts, path, name, wanted)
    else:
        if wanted.labelled:  # others may be ids
            _check_classes(whole, found, path, name, wanted)
        classes = in_order([*found])
    places = {each: number for number, each in enumerate(classes)}
    labels = np.array([places[each] for each in whole], np.int64)
    return labels, classes, merged(texts, labels, path, name)


def _check_classes(whole: Sequence[str], found: Counter[str], path: AnyPath, name: str, wanted: Wanted) -> None:
    """Raise DataError for labels that are numbers with fractions, or too many different ones for classes."""
    fraction = next((each for each in found if not float(each).is_integer()), None)
    place, fix = f"column {name}", f"{NO_REGRESSION}; write the name of a class, or name another by --label-column"
    if fraction is not None:
        place = f"row {whole.index(fraction) + 1}, {place}"
        refuse("the labels are measured numbers", path, place, "names or whole numbers", repr(fraction[:40]), fix)
    if len(found) > MANY and found.total() < FEW * len(found) and len(found) != len(wanted.names):
        seen = f"{len(found):,} numbers in {found.total():,} rows"
        fix += f"; if they are classes, say --classes {len(found)}"
        refuse("the labels are measured numbers", path, place, "classes, each in several rows", seen, fix)


def rows_in(block: bytes, line: int, columns: Columns, lines: Lines) -> tuple[Array, list[str]]:
    """Return the measurements and the labels of whole lines: in one pass if they are plain, else cell by cell."""
    if b'"' not in block:
        texts = None if columns.label_at is None else Texts(columns.label_at, columns.width, lines)
        plain = lines.plain(block if texts is None else texts.taken(block, line))
        values = parse_numbers(plain, np.frombuffer(plain, np.uint8), columns) if plain else None
        if values is not None and (np.abs(x := values[:, columns.pixels]) <= MOST).all():
            return x, [] if texts is None else texts.found
    rows, labels = [], []
    for number, cells in cells_in(block, line, columns.width, lines):
        rows.append([_value(cells[at], at, number, columns, lines) for at in columns.pixels_at.tolist()])
        if columns.label_at is not None:
            place = f"line {number}, column {columns.label_at + 1}"
            labels.append(check_text(cells[columns.label_at], place, lines.path))
    return np.array(rows).reshape(-1, len(columns.names)), labels


def _value(cell: str, column: int, line: int, columns: Columns, lines: Lines) -> float:
    """Return the number in a cell; DataError, which names the column, for anything else."""
    if len(cell) <= LONGEST and NUMBER.fullmatch(cell):
        value = float(cell)
        if abs(value) <= MOST:
            return value
    name = columns.names[columns.pixels_at.tolist().index(column)]
    return refuse_cell(cell, f"line {line}, column {column + 1}" + (f", {name[:40]!r}" if name else ""), lines.path)


def refuse_cell(cell: str, place: str, path: AnyPath) -> NoReturn:
    """Raise DataError for a cell that is not a measurement, by what it holds."""
    check_text(cell, place, path)
    text = cell.strip()
    if text.lower() in MARKS:
        refuse("a value is missing", path, place, "a number", repr(cell[:40]), FILL)
    if text.lower() in INFINITE or NUMBER.fullmatch(text):
        _refuse_large(text, place, path)
    if text.count(",") == 1 and NUMBER.fullmatch(text.replace(",", ".")):
        decimal_comma(cell, place, path)
    if text.lower() in TRUTH:
        refuse("a truth value", path, place, "a number", repr(cell[:40]), "write 0 and 1 for False and True")
    if not is_name(text):
        refuse("not a number", path, place, "a number", repr(cell[:40]), CORRECT)
    fix = "leave the column out, write numbers in it, or say --label-column if it is the labels"
    refuse("a column of text", path, place, "a number", repr(cell[:40]), fix)


def _refuse_large(text: str, place: str, path: AnyPath) -> NoReturn:
    problem = "an infinite value" if text.lower() in INFINITE else "a value too large"
    refuse(problem, path, place, f"a number from {-MOST:g} to {MOST:g}", text[:40], CORRECT)
