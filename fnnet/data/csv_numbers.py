"""Numbers of a table: text -> bytes of pixels and exact values of labels, many lines at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.csv_columns import AS_BYTES, LETTER, NUMBERS, OPTION, TRUTH, Columns
from fnnet.data.csv_lines import MARK, MAX_LINE, Lines, check_line, check_text, decimal_comma
from fnnet.data.opened import AnyPath
from fnnet.data.ranges import ALIKE, remedy
from fnnet.errors import DataError, counted
from fnnet.files.disk import refuse, show_bytes

CORRECT: Final = "correct the cell"
LONGEST: Final = 60
"""Characters of a number: Python refuses to convert thousands of digits."""
NUMBER: Final = re.compile(r"[ \t]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?[ \t]*")
DAMAGED: Final = re.compile(r"[\s?\"]*|[-+.,\s]*[0-9][0-9.,\s]*")
"""A number with what no number has in its place, and what stands for nothing; neither has a letter."""
IN_NUMBERS: Final = np.isin(np.arange(256), list(b"0123456789.eE+-,\n\t "))
"""The bytes of lines that hold only numbers."""
VALUES: Final = {str(value): float(value) for value in range(256)}


class Part(NamedTuple):
    """What some of the lines hold, a row for each.

    x         pixels, uint8 (n, pixels): the columns that are pixels in any case.
    labels    the exact values of the columns that are or may be labels, (n, candidates).
    fraction  "" if the pixels are whole numbers from 0; else the place of the first that is not, and all are at most 1:
              x has 255 times as much of those above 0.
    signed    x if the numbers of the file are from -1 to 1; given with `fraction`.
    least     the least number; given with `fraction`.
    """

    x: Array
    labels: Array
    fraction: str = ""
    signed: Array | None = None
    least: float = 0.0


def parse(block: bytes, line: int, columns: Columns, lines: Lines) -> Part:
    """Return the numbers of whole lines: in one pass if they are plain, else cell by cell.

    line     the number of the first of them.
    Raises   DataError with line and column for a cell that neither a pixel nor a label can have.
    """
    if block and lines.separator == "," and (found := _parse_digits(np.frombuffer(block, np.uint8), columns)):
        return found
    plain, fix = lines.plain(block), CORRECT
    if plain == b"":
        return Part(np.zeros((0, len(columns.pixels_at)), np.uint8), np.zeros((0, len(columns.labels_at)), np.int64))
    if plain is not None:
        codes = np.frombuffer(plain, np.uint8)
        if plain != block and (found := _parse_digits(codes, columns)):
            return found
        values = parse_numbers(plain, codes, columns)
        if values is not None and not wrong_numbers(values, columns).any():
            return _part(values, block, line, columns, lines)
        fix = fix if values is None else fix_of(values, columns)
    with _advising(fix):
        values = _parse_cells(block, line, columns, lines)
    return _part(values, block, line, columns, lines)


@contextmanager
def _advising(fix: str) -> Iterator[None]:
    """Put a remedy into the error of a pixel."""
    try:
        yield
    except DataError as error:
        raise (error.at(error.where, fix=fix) if error.problem == "not a pixel" else error) from None


def _parse_digits(codes: Array, columns: Columns) -> Part | None:
    """Return None unless every row has a field for each column: 1 to 3 digits, up to 6 for a label."""
    separators = codes < ord("0")
    ends = np.flatnonzero(separators)
    if codes.max() > ord("9") or not _is_grid(codes, ends, columns.width):
        return None
    if separators[0] or (separators[1:] & separators[:-1]).any():
        return None
    values, large = _numbers_before(codes, ~separators)
    cells, at = values.take(ends).reshape(-1, columns.width), ends.reshape(-1, columns.width)
    if len(large) and np.isin(np.searchsorted(ends, large) % columns.width, columns.pixels_at).any():
        return None
    labels = np.zeros((len(cells), len(columns.labels_at)), np.int64)
    for number, column in enumerate(columns.labels_at):
        before = at[:, column - 1] if column else np.concatenate([[-1], at[:-1, -1]])
        lengths = at[:, column] - before - 1
        if lengths.max() > 6:
            return None
        for digit in range(1, int(lengths.max()) + 1):
            rows = np.flatnonzero(lengths >= digit)
            labels[rows, number] += (codes[at[rows, column] - digit].astype(np.int64) - ord("0")) * 10 ** (digit - 1)
    return Part(cells[:, columns.pixels], labels)


def _numbers_before(codes: Array, digits: Array) -> tuple[Array, Array]:
    """Return for each byte the number that ends before it, modulo 256, and the places of digits that end one above 255.

    Sums over all bytes, of which each number needs one: they take a third of the time of one gather of its digits.
    """
    ones = (codes - np.uint8(ord("0"))) * digits.view(np.uint8)
    two = np.zeros(len(codes) + 1, np.uint8)  # two[i]: of the digits at i - 1 and i - 2
    two[1:] = ones
    two[2:] += ones[:-1] * np.uint8(10)
    hundreds = ones[:-2] * digits[1:-1].view(np.uint8)
    large = (hundreds > 2) | ((hundreds == 2) & (two[3:] > 55))
    large[1:] |= digits[2:-1] & digits[1:-2] & digits[:-3]
    large &= digits[2:]
    two[3:] += hundreds * np.uint8(100)
    return two[:-1], np.flatnonzero(large) + 2


def _is_grid(codes: Array, ends: Array, width: int) -> bool:
    """Return True if these ends of cells make rows of `width` cells."""
    newlines = np.flatnonzero(codes == ord("\n"))
    if len(ends) % width or not np.array_equal(ends[width - 1 :: width], newlines):
        return False
    if np.count_nonzero(codes == ord(",")) + len(newlines) != len(ends):
        return False
    return bool(np.diff(newlines, prepend=-1).max() <= MAX_LINE)


def parse_numbers(plain: bytes, codes: Array, columns: Columns) -> Array | None:
    """Return the numbers, float64 (n, width), however they are written; None if there is anything else."""
    ends = np.flatnonzero((codes == ord(",")) | (codes == ord("\n")))
    if not IN_NUMBERS[codes].all() or not _is_grid(codes, ends, columns.width):
        return None
    if np.diff(ends, prepend=-1).max() > LONGEST:
        return None
    try:
        cells = plain.replace(b"\n", b",").split(b",")[:-1]
        return np.array([float(cell) for cell in cells]).reshape(-1, columns.width)
    except ValueError:
        return None


def _parse_cells(block: bytes, line: int, columns: Columns, lines: Lines) -> Array:
    """Return the numbers, float64 (n, width), of lines with quotes, names of rows and the like.

    Raises   DataError for any other cell.
    """
    rows: list[list[float]] = []
    read = columns.read()
    for number, cells in cells_in(block, line, columns.width, lines):
        row = [0.0] * columns.width
        for column in read:
            cell = cells[column]
            value = VALUES.get(cell)
            row[column] = _number(cell, column, number, columns, lines) if value is None else value
        rows.append(row)
    return np.array(rows).reshape(-1, columns.width)


def cells_in(block: bytes, line: int, width: int, lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank; DataError for one without `width` cells.

    line   the number of the first line.
    """
    for number, content in enumerate(block.split(b"\n")[:-1], line):
        if lines.is_blank(content):
            continue
        check_line(content, number, lines.path)
        if content.startswith(MARK):
            found, fix = show_bytes(content), "it joins files: take the mark and the second header out"
            refuse("a byte order mark within the file", lines.path, f"line {number}", "one at its start", found, fix)
        cells = lines.cells(content, number)
        if len(cells) != width:
            place, expected = f"line {number}", counted(width, "field")
            fix = "separate the fields by commas" if len(cells) == 1 else "complete or remove the line"
            refuse("wrong number of fields", lines.path, place, expected, len(cells), fix)
        yield number, cells


def is_name(cell: str) -> bool:
    """Return True if a cell may be the name of a class: it is neither a number, also a damaged one, nor missing.

    >>> [cell for cell in ("cat", "10-19", "+", "-1", "1,5", "1.2.3", "?", "") if is_name(cell)]
    ['cat', '10-19', '+']
    """
    return not NUMBER.fullmatch(cell) and (LETTER.search(cell) is not None or not DAMAGED.fullmatch(cell))


def _number(cell: str, column: int, line: int, columns: Columns, lines: Lines) -> float:
    """Return the value of a cell; DataError if neither a pixel nor, in a column of labels, a label can have it."""
    place = f"line {line}, column {column + 1}"
    check_text(cell, place, lines.path)
    if lines.separator != "," and re.search("[0-9],[0-9]", cell):
        decimal_comma(cell, place, lines.path)
    if column != columns.label_at and cell.strip().lower() in TRUTH:
        expected = "a whole number from 0 to 255"
        refuse("not a pixel: a truth value", lines.path, place, expected, repr(cell[:40]), AS_BYTES)
    value = float(cell) if len(cell) <= LONGEST and NUMBER.fullmatch(cell) else -2.0
    kind, most = ("label", columns.most_label) if column in columns.labels_at else ("pixel", 255)
    fits = (0 <= value <= most and value.is_integer()) or -1 <= value < 1
    if not fits or (columns.label_at == column and not (value >= 0 and value.is_integer())):
        expected = f"a whole number from 0 to {most}"
        fix = NUMBERS if kind == "label" and is_name(cell) else CORRECT
        fix = f"{CORRECT}, or {OPTION}" if kind == "label" and columns.label_at is None else fix
        refuse(f"not a {kind}", lines.path, place, expected, repr(cell[:40]), fix)
    return value


def fix_of(values: Array, columns: Columns) -> str:
    """Return what to do with a pixel of a wrong number: the others of its row show it, or nothing does."""
    x = values[:, columns.pixels]
    wrong = ~((x >= -1) & (x < 1)) & ((x < 0) | (x > 255) | (x != np.floor(x)))
    rows = x[wrong.any(axis=1)]
    return (remedy(float(rows.min()), float(rows.max())) if rows.size else "") or CORRECT


def wrong_numbers(values: Array, columns: Columns) -> Array:
    """Return which values no pixel, and in columns of labels no label, can have, of the columns read; as `_number`."""
    most = np.full(columns.width, 255, np.int64)
    most[list(columns.labels_at)] = columns.most_label
    whole = values == np.floor(values)
    wrong = ~((values >= 0) & (values <= most) & whole) & ~((values >= -1) & (values < 1))
    if columns.label_at is not None:
        wrong[:, columns.label_at] |= ~whole[:, columns.label_at] | (values[:, columns.label_at] < 0)
    return np.asarray(wrong[:, columns.read()])


def as_pixels(values: Array, truth: Sequence[bool], columns: Columns, names: Sequence[str], path: AnyPath) -> bool:
    """Multiply pixels that are truth values, in numbers (n, width), by 255, in place; return whether they are.

    truth    for each column of the table, True if it holds truth values.
    Raises   DataError for truth values beside numbers, and where a column may be the labels or pixels.
    """
    edges = columns.labels_at if columns.label_at is None else ()
    pixels = sorted({*columns.pixels_at.tolist(), *edges})
    kinds = {truth[column] for column in pixels}
    if kinds == {False}:
        return False
    if edges:
        place = f"columns {names[edges[0]][:40]!r} and {names[edges[1]][:40]!r}"
        problem, expected = "the first or the last column is the labels", "one that is named, beside truth values"
        refuse(problem, path, place, expected, "either may be", OPTION)
    if len(kinds) > 1:
        other = next(column for column in pixels if truth[column] != truth[pixels[0]])
        one, two = ("truth values" if truth[column] else "numbers" for column in (pixels[0], other))
        found, place = f"{one} in {names[pixels[0]][:40]!r}, {two} here", f"column {names[other][:40]!r}"
        refuse("truth values beside numbers", path, place, "pixels of one kind", found, AS_BYTES)
    values[:, columns.pixels] *= 255
    return True


def _part(values: Array, block: bytes, line: int, columns: Columns, lines: Lines) -> Part:
    def place(row: int, column: int) -> str:
        numbers = [number for number, each in enumerate(block.split(b"\n")[:-1], line) if not lines.is_blank(each)]
        return f"line {numbers[row]}, column {column + 1}"

    return part_of(values, columns, lines, place)


def part_of(values: Array, columns: Columns, lines: Lines, place: Callable[[int, int], str]) -> Part:
    """Return numbers (n, width), none of them `wrong_numbers` of these columns, as a part.

    place   (row, column) -> the place in words.
    """
    x, labels = values[:, columns.pixels], values[:, list(columns.labels_at)]
    fractions = (x != np.floor(x)) | (x < 0)
    if not fractions.any():
        return Part(x.astype(np.uint8), labels)
    row, pixel = map(int, np.unravel_index(fractions.argmax(), x.shape))
    at = place(row, int(columns.pixels_at[pixel]))
    if x.max() > 1:
        fix = remedy(float(x[row].min()), float(x[row].max())) if x[row].max() > 1 else ""
        mixed(at, exact(x[row, pixel]), lines, "a fraction" if x[row, pixel] > 0 else "a number below 0", fix)
    least = float(x.min())
    return Part(scaled(np.maximum(x, 0)), labels, at, scaled((x + 1) / 2), least)


def exact(value: float) -> str:
    """Return a number in few digits if these are all of it.

    >>> exact(79.0), exact(0.5), exact(79.0000001)
    ('79', '0.5', '79.0000001')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def mixed(place: str, found: str, lines: Lines, what: str = "a fraction", fix: str = "") -> None:
    """Raise DataError for a fraction, or a number below 0, among pixels of another range."""
    expected = "whole numbers from 0 to 255, or all of them from 0 to 1 or from -1 to 1"
    refuse(f"not a pixel: {what}", lines.path, place, expected, found, fix or ALIKE)


def scaled(fractions: Array) -> Array:
    """Return fractions of 1 as bytes, uint8."""
    return np.floor(fractions * 255 + 0.5).astype(np.uint8)
