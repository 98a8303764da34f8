"""Are the rows of a table images? If they are not: which column holds the classes, which ones are measurements."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from fnnet.data.csv_columns import (
    ENOUGH,
    NO_PIXELS,
    NUMBERED,
    OPTION,
    PAIR,
    ROW_NAMES,
    SEVERAL,
    Columns,
    First,
    columns_of,
    fits,
    is_header,
    is_pixel,
    lowered,
    name_at_an_end,
    numbers_columns,
    passed_over,
    told_by_option,
)
from fnnet.data.csv_made import made_of_an_image
from fnnet.data.csv_numbers import NUMBER, is_name
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import EITHER, Wanted
from fnnet.data.roles import called_labels
from fnnet.data.splits import ONE_PART, refuse_column, says_parts
from fnnet.errors import counted

NO_REGRESSION: Final = "fnnet tells classes apart: regression is not offered"
ONE_TARGET: Final = "several targets at once (multi-label) are not offered"
LEAST: Final = 3
"""A first line of at least this many numbers that count the columns may be their names."""
SHOWN: Final = 8
"""Names of columns in a message."""


def columns_or_table(
    cells: list[str],
    place: str,
    path: AnyPath,
    wanted: Wanted,
    *,
    named: bool = False,
    quoted: bool = False,
    row: Sequence[str] = (),
) -> Columns:
    """Return what the columns are: of images, as `columns_of` does, or of a table.

    Rows are images if the names of columns are those of pixels, or if there are ENOUGH columns of a square number
    without names or with numbered ones; their values must then be those of pixels.
    named, quoted   as in `columns_of`.
    row             the first line below the names, which shows what is text.
    Raises   DataError as `columns_of`, where rows may be either, and where no column is sure to be the labels.
    """
    header = named or quoted or is_header(cells) or _has_all(cells, wanted)
    first = First(cells, lowered(cells) if header else [], place, path, wanted)
    repeated = len({*first.names}) < len(first.names)  # which is refused there
    if repeated or not (wanted.table or (_may_be_table(first, named=named))):
        return columns_of(cells, place, path, wanted, named, quoted)
    target, notes = _target(first, row)
    beside = _beside(first) if target is not None and wanted.label_column else frozenset()
    at: list[int] = []
    passed: list[int] = []
    for column in range(len(cells)):
        name = first.names[column] if header else None
        unread = name is not None and (ROW_NAMES.fullmatch(name) or (not name and column == 0) or name in beside)
        if column != target:
            (passed if unread else at).append(column)
    if not wanted.table:
        few = [row[column] for column in at if len(at) < SEVERAL and len(row) == len(cells)]
        pictures = few and (all(map(is_name, few)) or any(map(_is_list, few)))  # names of files, or all pixels
        if pictures or _is_like_images(first, at, target):
            return columns_of(cells, place, path, wanted, named, quoted)
    if wanted.labelled and target is None:
        expected = "one named label, class or target, or a single one of text"
        first.refuse("no column is sure to be the labels", expected, _shown(first), f"{OPTION}; {NO_REGRESSION}")
    if not at:
        fix = OPTION if wanted.table else NO_PIXELS
        first.refuse("no columns beside the labels", "columns of numbers", counted(len(cells), "column"), fix)
    if not header and numbers_columns(cells, LEAST):
        expected, fix = "names other than numbers, or measurements", "name the columns, or take the line out"
        first.refuse("names of columns, or measurements", expected, repr(",".join(cells)), fix)
    if not wanted.columns:
        _check_parts(first, at, row)
    if header:
        first.check_text(range(len(cells)))
    at, more = _as_in_training(first, at)
    names = tuple(cells[column].strip() if header else "" for column in at)
    notes += [passed_over(cells[column], column, first.names[column] in beside) for column in passed]
    labels_at = () if target is None else (target,)
    called = cells[target].strip() if header and target is not None else ""
    index = np.array(at)
    return Columns(
        len(cells), index, index, labels_at, target, header, (*notes, *more), table=True, names=names, target=called
    )


def _beside(first: First) -> frozenset[str]:
    """Return the names of columns that hold other labels than those that the user says."""
    known = {name.lower() for name in first.wanted.columns}
    return (called_labels(first.names) - {"y"} | {first.wanted.target.lower()}) - {""} - known


def _check_parts(first: First, at: Sequence[int], row: Sequence[str]) -> None:
    """Raise DataError for a column of text that by its name says of which part each row is."""
    for column in at if first.names and len(row) == len(first.cells) else ():
        if is_name(row[column]) and says_parts(first.names[column]):
            place = f"{first.place}, column {column + 1}"
            refuse_column(first.path, place, [first.cells[column].strip()[:40]], ONE_PART, "rows")


def _is_list(cell: str) -> bool:
    """Return True for several numbers in one cell."""
    parts = cell.split()
    return len(parts) > 1 and all(map(NUMBER.fullmatch, parts))


def _may_be_table(first: First, *, named: bool) -> bool:
    """Return True if rows may not be images: nothing else is given or known, and no column is called as pixels are."""
    wanted = first.wanted
    if wanted.image or wanted.known or wanted.shape is not None or wanted.only:
        return False
    return len(first.cells) > 1 and not any(map(is_pixel, first.names)) and (named or not made_of_an_image(first.cells))


def _has_all(cells: list[str], wanted: Wanted) -> bool:
    """Return True if a first line holds the names of all columns that are wanted."""
    known = {name.lower() for name in wanted.columns if name}
    return bool(known) and known <= {cell.strip().lower() for cell in cells}


def _is_like_images(first: First, at: list[int], target: int | None) -> bool:
    """Return True for as many columns as an image has, with names that say nothing.

    Raises   DataError for names of two numbers each, which may be the row and the column of a pixel.
    """
    counts = (len(at), len(at) - (target is None and first.wanted.label_column is None))
    names = [first.names[column] for column in at] if first.names else []
    if not (any(count >= ENOUGH and fits(count, None) for count in counts) and say_nothing(names)):
        return False
    if names and not say_nothing(names, (NUMBERED,)):
        expected = "names such as pixel0, or another number of columns than a square"
        first.refuse("a table, or images", expected, _shown(first), EITHER)
    return True


def say_nothing(names: Sequence[str], kinds: Sequence[re.Pattern[str]] = (NUMBERED, PAIR)) -> bool:
    """Return True if half of the names or more are numbered, or there are none: images and tables may have them.

    >>> say_nothing(["", ""]), say_nothing(["V1", "V2"]), say_nothing(["r0c0", "r0c1"]), say_nothing(["age", "height"])
    (True, True, True, False)
    """
    numbered = [name for name in names if not name or any(kind.fullmatch(name.lower()) for kind in kinds)]
    return 2 * len(numbered) >= len(names)


def _target(first: First, row: Sequence[str]) -> tuple[int | None, list[Note]]:
    """Return the column of the classes, None if it is not given or there is none, and notes."""
    wanted, known = first.wanted, {name.lower() for name in first.wanted.columns}
    told = told_by_option(first)
    if told is not None or wanted.label_column == "none":
        return told, []
    if not first.names:
        return name_at_an_end(first.cells), []
    if wanted.target and wanted.target.lower() in first.names:
        return first.names.index(wanted.target.lower()), []
    called = called_labels(first.names)
    called -= {"y"} if "x" in first.names and len(called) > 1 else frozenset()  # a place in the plane
    found = [column for column, name in enumerate(first.names) if name in called and name not in known]
    if len(found) > 1:
        shown = " and ".join(repr(first.cells[column][:40]) for column in found)
        first.refuse("several columns may be the labels", "one", shown, f"{OPTION}; {ONE_TARGET}")
    if found:
        return found[0], []
    texts = [
        column
        for column, cell in enumerate(row if len(row) == len(first.cells) else ())
        if is_name(cell) and not ROW_NAMES.fullmatch(first.names[column]) and first.names[column] not in known
    ]
    unnamed = len(texts) == 1 and not (first.names[texts[0]] or texts[0])
    if len(texts) != 1 or unnamed or says_parts(first.names[texts[0]]):
        return None, []
    name = first.cells[texts[0]].strip()[:40]
    text = f"{os.fsdecode(first.path)}: column {texts[0] + 1}, {name!r}, is the labels: it alone is text"
    return texts[0], [Note("label-column", text)]


def _as_in_training(first: First, at: list[int]) -> tuple[list[int], list[Note]]:
    """Return the columns in the order of those that are wanted, and a note if they are put in order.

    Raises   DataError for columns that are missing, or are not wanted.
    """
    known, count = first.wanted.columns, len(first.wanted.columns)
    if not known:
        return at, []
    where = os.fsdecode(first.path)
    if not (first.names and any(known)):
        if len(at) != count:
            found = counted(len(at), "column")
            fix = "give the columns of the training data, or say --label-column if one is the labels"
            first.refuse("columns differ from those of training", counted(count, "column"), found, fix)
        named = bool(first.names) or any(known)
        return at, [unnamed(first.path)] if named else []
    places = {first.names[column]: column for column in at}
    wanted = [name.lower() for name in known]
    missing = [name for name in known if name.lower() not in places]
    more = [first.cells[column].strip() for name, column in places.items() if name not in wanted]
    if missing or more:
        found = "; ".join(f"{what} {_listed(names)}" for what, names in (("without", missing), ("with", more)) if names)
        fix = "give the columns of the training data"
        fix += ", or say --label-column if one is the labels" if more else ""
        expected = f"{counted(count, 'column')}: {_listed(known)}"
        first.refuse("columns differ from those of training", expected, found, fix)
    ordered = [places[name] for name in wanted]
    text = f"{where}: columns stand in another order than in training; they are taken by their names"
    return ordered, [Note("columns-ordered", text)] if ordered != at else []


def unnamed(path: AnyPath) -> Note:
    """Return the note of columns that are not found by names."""
    text = "columns are taken in their order: those of training or these have no names"
    return Note("columns-unnamed", f"{os.fsdecode(path)}: {text}")


def _shown(first: First) -> str:
    names = [*map(str.strip, first.cells)] if first.names else []
    return _listed(names) if names else f"{counted(len(first.cells), 'column')} without names"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name[:40] for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
