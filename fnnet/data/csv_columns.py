"""What the columns of a table are, by its first line: pixels, labels, names of rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.csv_lines import check_text
from fnnet.data.csv_made import IS_NUMBER, made_of_an_image
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import NO_COLUMN, Wanted
from fnnet.data.roles import called_labels
from fnnet.data.splits import ONE_PART, says_parts
from fnnet.errors import counted
from fnnet.files.disk import refuse
from fnnet.limits import MAX_CLASSES
from fnnet.names import PIXEL_NAMES

COUNTED: Final = 9
"""A first line that numbers the columns is a header if there are at least this many; fewer numbers may be pixels."""
ENOUGH: Final = 64
"""Columns without names of pixels are images if there are at least this many: fewer are measurements as often."""
LABELS: Final = frozenset({"label", "class", "target", "digit"})
"""Names that show that a first line is a header; "y" may be the label of a first image."""
ROW_NAMES: Final = re.compile(r"id|image[ _]?id|index|row[ _.]?names?|unnamed: [0-9]+(\.[0-9]+)?")
PIXELS: Final = tuple(map(re.compile, PIXEL_NAMES))
NUMBERED: Final = re.compile(r"([a-z_ .-]*)([0-9]{1,6})")
"""Names that any columns may have: numbers behind one word, as V1, V2... by R, or alone, as pandas writes them."""
PAIR: Final = re.compile(r"([^0-9]*)([0-9]{1,4})([^0-9]+)([0-9]{1,4})([^0-9]*)")
"""Names with two numbers, of a row and a column if each row is an image: r0c0, x0_y0, (0, 0)."""
ROWS, COLUMNS = ("r", "row", "h", "y"), ("c", "col", "column", "w", "x")
"""Words before the number of a row and that of a column."""
WHOLE: Final = re.compile(r"\s*([0-9]{1,6})(?:\.0*)?\s*")
"""A number of a column; floats are written with a point."""
SEPARATED: Final = "commas, semicolons, tabs or blanks"
KAGGLE: Final = "name the columns label, pixel0, pixel1..."
IMAGE: Final = "if each row is an image, say --image"
NO_STREAM: Final = f"{IMAGE}; a table, whose rows are not images, is read at once, not piece by piece"
"""What to do with what may be a table, where images alone are read."""
OPTION: Final = "say --label-column first, last, NAME, NUMBER or none"
NUMBERS: Final = "number the classes from 0, and name them with --class-names"
"""What to do with labels that are text."""
NO_PIXELS: Final = "give each pixel a column; if the rows name pictures, say --data with the folder of both"
SEVERAL: Final = 4
"""Fewer columns, without names of pixels among them, cannot be images."""
TRUTH: Final = frozenset({"true", "false"})
"""How tables write truth values, in lower case."""
AS_BYTES: Final = "write 0 and 255 for False and True"
LETTER: Final = re.compile(r"[^\W\d_]")
NO_NAMES: Final = frozenset({"nan", "-nan", "na", "n/a", "null", "none", "inf", "-inf", "true", "false"})
"""Words that may stand in place of a pixel, in lower case."""
Pixels = dict[tuple[int, ...], int]


class Columns(NamedTuple):
    """The meaning of the cells of a line.

    width      the number of columns.
    pixels_at  the columns that are pixels in any case, in the order of the image.
    pixels     the same as an index; a slice if they lie side by side.
    labels_at  the column of labels; or the first and the last column of the image, one of which holds the labels.
    label_at   the column of labels if the first line shows it.
    header     True if the first line holds names.
    notes      on what is passed over.
    sure       True if the names are those of pixels.
    shape      (height, width) of an image if the names say the row and the column of each pixel.
    most_label   the largest number in the column of labels.
    table      True if the rows are not images: the other columns are then `pixels_at`, in the order of the network.
    names      of these, each "" if the first line holds none.
    target     the name of the column of labels, "" if it has none.
    """

    width: int
    pixels_at: Array
    pixels: slice | Array
    labels_at: tuple[int, ...]
    label_at: int | None
    header: bool
    notes: tuple[Note, ...] = ()
    sure: bool = False
    shape: tuple[int, int] | None = None
    most_label: int = MAX_CLASSES - 1
    table: bool = False
    names: tuple[str, ...] = ()
    target: str = ""

    def read(self) -> list[int]:
        """Return the columns that hold pixels or labels."""
        return sorted((*self.pixels_at.tolist(), *self.labels_at))


class First(NamedTuple):
    """The first line and what is wanted from the file, for all that judges them."""

    cells: list[str]
    names: list[str]
    place: str
    path: AnyPath
    wanted: Wanted

    def refuse(self, problem: str, expected: object, found: object, fix: str, column: int | None = None) -> None:
        """Raise DataError about the first line, or a column in it."""
        place = self.place if column is None else f"{self.place}, column {column + 1}"
        refuse(problem, self.path, place, expected, found, fix)

    def check_text(self, columns: Iterable[int]) -> None:
        """Raise DataError for the name of one of these columns that is not UTF-8."""
        for column in columns:
            check_text(self.cells[column], f"{self.place}, column {column + 1}", self.path)


def columns_of(
    cells: list[str], place: str, path: AnyPath, wanted: Wanted, named: bool = False, quoted: bool = False
) -> Columns:
    """Return what the columns are.

    named    True if the cells are names in any case, False if the values of a first image are possible.
    quoted   True if all of them are in quotes, and no cell below is: they are names, perhaps made of an image.
    Raises   DataError for unknown names and for numbers of columns that images cannot have.
    """
    header = named or quoted or is_header(cells)
    names = lowered(cells) if header else []
    first = First(cells, names, place, path, wanted)
    if not named and made_of_an_image(cells):
        fix = "write the file from a table that was read without a header (pandas: header=None)"
        first.refuse("the header is made of the first image", "names of columns", repr(",".join(cells[:6]))[:40], fix)
    if len(cells) == 1 and "|" in cells[0]:
        first.refuse("cells separated by |", SEPARATED, repr(cells[0][:40]), "write the table with commas")
    places: dict[str, int] = {}
    for column, name in enumerate(names):
        if places.setdefault(name, column) != column and name in TRUTH and not named:
            expected, found = "names of columns, or numbers", repr(cells[column][:40])
            first.refuse("truth values in the first line", expected, found, AS_BYTES, column)
        if places[name] != column:
            fix = KAGGLE if is_pixel(name) else "give each column a name of its own"
            first.refuse("column named twice", "each name once", repr(cells[column][:40]), fix, column)
    told = told_by_option(first)
    if header:
        return _by_name(first, told)
    if told is None and wanted.label_column is None:
        told = name_at_an_end(cells)
    return _by_count({(column,): column for column in range(len(cells)) if column != told}, first, told, [])


def lowered(cells: list[str]) -> list[str]:
    """Return names in lower case, those that are numbers as 0, 1... if all of these are whole."""
    names = [cell.strip().lower() for cell in cells]
    whole = all(map(WHOLE.fullmatch, filter(IS_NUMBER.fullmatch, names)))
    return [WHOLE.sub(r"\1", name) if WHOLE.fullmatch(name) else name for name in names] if whole else names


def name_at_an_end(cells: list[str]) -> int | None:
    """Return the first or the last column if it alone holds a name, which is then the label; else None."""
    texts = [column for column, cell in enumerate(cells) if not IS_NUMBER.fullmatch(cell)]
    if len(texts) != 1 or texts[0] not in (0, len(cells) - 1):
        return None
    cell = cells[texts[0]].strip().lower()
    return texts[0] if LETTER.search(cell) and cell not in NO_NAMES else None


def is_header(cells: list[str]) -> bool:
    """Return True if a first line names or numbers the columns."""
    inside = (cells, cells[1:], cells[:-1]) if len(cells) > ENOUGH else (cells,)
    if any(map(numbers_columns, inside)) or not any(map(IS_NUMBER.fullmatch, cells)):
        return True
    names = [cell.strip().lower() for cell in cells]
    if not names[0]:
        if numbers_columns(cells[1:], 1):
            return True
        names = names[1:]
    return any(name in LABELS or ROW_NAMES.fullmatch(name) for name in names)


def numbers_columns(cells: list[str], least: int = COUNTED) -> bool:
    """Return True if these cells number the columns, as pandas writes columns without names.

    They do if they count up from 0 or 1, or if there are ENOUGH, all different, without gaps, in any order: no image
    has values like these, each of them once.
    """
    matches = [WHOLE.fullmatch(cell) for cell in cells]
    numbers = [int(match[1]) for match in matches if match]
    if len(numbers) < max(least, len(cells)):
        return False
    first, count = min(numbers), len(numbers)
    in_order = first < 2 and numbers == [*range(first, first + count)]
    return in_order or (count >= ENOUGH and len({*numbers}) == count == max(numbers) - first + 1)


def column_said(cells: list[str], place: str, path: AnyPath, wanted: Wanted) -> int | None:
    """Return the column of these names that the user says holds the labels; None for "none" and for nothing."""
    return told_by_option(First(cells, [name.strip().lower() for name in cells], place, path, wanted))


def told_by_option(first: First) -> int | None:
    """Return the column that the user says holds the labels; None if the user says none, or nothing."""
    choice, width = first.wanted.label_column, len(first.cells)
    if choice is None or choice == "none":
        return None
    found = {column for column, name in enumerate(first.names) if name == choice.strip().lower()}
    if choice in ("first", "last"):
        found.add(0 if choice == "first" else width - 1)
    elif choice.isascii() and choice.isdigit() and len(choice) < 7 and 1 <= int(choice) <= width:
        found.add(int(choice) - 1)
    if len(found) != 1:
        if not choice.isascii():
            first.check_text(range(width))
        expected = "first, last, none, a name in the header, or " + f"1 to {width}"
        problem = "two columns may be meant by --label-column" if found else NO_COLUMN
        first.refuse(problem, expected, repr(choice), "name another, or say its number")
    return found.pop()


def _by_name(first: First, told: int | None) -> Columns:
    labels: list[int] = []
    row_names: list[int] = []
    others: list[int] = []
    families: dict[int | str, Pixels] = {}
    in_pairs = first.wanted.image and 2 * sum(map(bool, map(PAIR.fullmatch, first.names))) > len(first.names)
    called = called_labels(first.names)
    for column, name in enumerate(first.names):
        if column == told:
            continue
        if name in called:
            labels.append(column)
        elif ROW_NAMES.fullmatch(name) or (not name and column == 0):
            row_names.append(column)
        elif (found := _family(name, in_pairs)) is None:
            others.append(column)
        else:
            pixels = families.setdefault(found[0], {})
            if pixels.setdefault(found[1], column) != column:
                first.refuse("pixel named twice", "each pixel once", repr(name[:40]), KAGGLE, column)
    if len(labels) > 1 and first.wanted.label_column is None:
        shown = " and ".join(repr(first.cells[column][:40]) for column in labels)
        first.refuse("several columns may be the labels", "one", shown, OPTION)
    if told is None and first.wanted.label_column is None and labels:
        told = labels.pop()
    notes = [passed_over(first.cells[column], column, column in labels) for column in sorted([*labels, *row_names])]
    only_numbered = first.wanted.image and not (in_pairs or any(isinstance(family, int) for family in families))
    if only_numbered and (others or len(families) > 1):
        inside = sorted([*others, *(column for each in families.values() for column in each.values())])
        return _by_count({(column,): column for column in inside}, first, told, notes)
    _check_names(first, families, others, told)
    [(family, pixels)] = families.items()
    pixels = _by_row(str(family), pixels)
    spans = [max(numbers) - min(numbers) + 1 for numbers in zip(*pixels, strict=True)]
    if math.prod(spans) != len(pixels):
        expected = f"{math.prod(spans)} columns, without gaps"
        first.refuse("pixel columns missing", expected, len(pixels), KAGGLE)
    if isinstance(family, int) or (in_pairs and min(spans) > 1):
        _check_order(first, pixels, spans, str(family))
        columns = _columns(first, [pixels[number] for number in sorted(pixels)], told, notes)
        return columns._replace(sure=True, shape=(spans[0], spans[1]) if len(spans) == 2 else None)
    return _by_count(pixels, first, told, notes)


def _words(family: str) -> tuple[str, str]:
    """Return the words before both numbers of a name.

    >>> _words("pixel_x#_y#"), _words("(#, #)")
    (('x', 'y'), ('', ''))
    """
    one, two, *_ = [(re.findall("[a-z]+", part) or [""])[-1] for part in (*family.split("#"), "")]
    return one, two


def _by_row(family: str, pixels: Pixels) -> Pixels:
    """Return pixels by the numbers in their names, that of the row first; x0_y0 and c0r0 say that it is the second."""
    one, two = _words(family)
    column_first = one in COLUMNS and two in ROWS
    return {numbers[::-1]: column for numbers, column in pixels.items()} if column_first else pixels


def _check_order(first: First, pixels: Pixels, spans: list[int], family: str) -> None:
    """Raise DataError where names such as pixel_1_0 stand in the order of their second numbers, which may be rows.

    Some call the row x: where x0_y0 does not go along the rows, either may be.
    """
    if {*_words(family)} == {"x", "y"}:
        if [*pixels] != sorted(pixels):
            found = ", ".join(repr(first.names[column]) for column in [*pixels.values()][:2])
            expected, fix = "x0_y0, x1_y0..., along the rows", "name the columns pixel_ROW_COLUMN"
            first.refuse("x may be the row or the column", expected, found, fix)
        return
    if {*_words(family)} <= {*ROWS, *COLUMNS}:
        return
    if len(spans) < 2 or min(spans) == 1 or first.wanted.transpose is not None:
        return
    by_second = sorted(pixels, key=lambda numbers: numbers[::-1])
    if [*pixels] != by_second:
        return
    expected, found = "to know which", ", ".join(repr(first.names[pixels[each]]) for each in by_second[:2])
    fix = "say --no-transpose if it is the row, or --transpose if it is the column"
    first.refuse("the first number of a name may be the row or the column", expected, found, fix)


def is_pixel(name: str) -> bool:
    """Return True for a name that only pixels have."""
    return any(each.fullmatch(name.strip().lower()) for each in PIXELS)


def _family(name: str, in_pairs: bool) -> tuple[int | str, tuple[int, ...]] | None:
    """Return which kind of names of pixels a name is, or the words beside its numbers, and its numbers.

    in_pairs   True if names of any words may have two numbers.
    """
    for kind, each in enumerate(PIXELS):
        if match := each.fullmatch(name):
            return kind, tuple(map(int, match.groups()))
    pair = PAIR.fullmatch(name) if in_pairs else None
    if pair:
        return f"{pair[1]}#{pair[3]}#{pair[5]}", (int(pair[2]), int(pair[4]))
    numbered = NUMBERED.fullmatch(name)
    return (numbered[1], (int(numbered[2]),)) if numbered else None


def _check_names(first: First, families: dict[int | str, Pixels], others: Sequence[int], told: int | None) -> None:
    """Raise DataError unless all columns beside labels and names of rows have names of one kind."""
    expected = "label, pixel0, pixel1... (or 1x1, 1x2...)"
    if len(families) > 1:
        largest = max(families.values(), key=len)
        found = [column for each in families.values() if each is not largest for column in each.values()]
        if len(found) >= len(largest):
            first.refuse("no pixel columns", expected, "both kinds of names", KAGGLE)
        others = sorted([*others, *found])
    if others:
        first.check_text(others)
        name = first.cells[others[0]][:40]
        fix = ONE_PART if says_parts(name) else "rename or remove the column"
        if not families and len(others) < SEVERAL:
            fix = NO_PIXELS
        elif len(others) == 1 and told is None:
            fix = f"if it is the labels, say --label-column {others[0] + 1}, or {fix}"
        elif len(others) > 1 and not (first.wanted.image or any(isinstance(family, int) for family in families)):
            fix = NO_STREAM if first.wanted.only else IMAGE
        first.refuse("unknown column", expected, repr(name), fix, others[0])
    if not families:
        first.refuse("no pixel columns", expected, "none", NO_PIXELS)


def passed_over(name: str, column: int, label: bool) -> Note:
    """Return the note of a column that is not read; `label` if other labels are why, else it names the rows."""
    what = "another column is the labels, or none" if label else "it names the rows"
    return Note("column-passed-over", f"column {column + 1}, {name[:40]!r}, is passed over: {what}")


def _by_count(pixels: Pixels, first: First, told: int | None, notes: Sequence[Note]) -> Columns:
    """Return the columns of a table whose columns are only numbered: as many as an image has, or one more."""
    at, shape = [pixels[number] for number in sorted(pixels)], first.wanted.shape
    count = len(at)
    open_label = told is None and first.wanted.label_column is None and fits(count - 1, shape)
    if not fits(count, shape) and not open_label:
        expected = "a square number of pixels, such as 784, or one more with the label first or last"
        problem = "names without 'pixel'" if first.names else "no header"
        sized = "" if first.wanted.known else "say --image-size HxW, or "
        fix = f"if each row is an image, {sized}{KAGGLE}"
        first.refuse(f"{problem} and an odd number of fields", expected, counted(len(first.cells), "field"), fix)
    images = count - open_label
    if not first.wanted.image and images < ENOUGH and (shape is None or images != math.prod(shape)):
        expected = f"names such as pixel0, or at least {ENOUGH} columns of pixels"
        fix = NO_STREAM if first.wanted.only else IMAGE
        first.refuse("a table, or images too small to tell", expected, counted(images, "column"), fix)
    return _columns(first, at, told, notes, open_label)


def fits(count: int, shape: tuple[int, int] | None) -> bool:
    """Return True if an image may have this many pixels."""
    return count > 0 and (math.isqrt(count) ** 2 == count or (shape is not None and math.prod(shape) == count))


def _columns(
    first: First, at: list[int], label_at: int | None, notes: Sequence[Note], open_label: bool = False
) -> Columns:
    if open_label and len(at) < 3:
        expected = "more columns than that of one pixel and that of the labels"
        first.refuse("the first or the last column is the labels", expected, counted(len(at), "column"), OPTION)
    labels_at = (at[0], at[-1]) if open_label else () if label_at is None else (label_at,)
    if first.wanted.labelled and not labels_at:
        expected, found = "a column named label, or one column more", counted(len(at), "pixel")
        first.refuse("no labels", expected, found, f"use it with predict, or {OPTION}")
    at = at[1:-1] if open_label else at
    beside = at == [*range(at[0], at[0] + len(at))]
    pixels = slice(at[0], at[-1] + 1) if beside else np.array(at)
    header, most = bool(first.names), first.wanted.most_label
    return Columns(len(first.cells), np.array(at), pixels, labels_at, label_at, header, tuple(notes), most_label=most)
