"""CSV in the form of Kaggle's digit recogniser: an optional header, `label`, then one column per pixel, 0 to 255."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import MAX_LABEL, image_shape
from fnnet.data.kinds import looks_like_pointer
from fnnet.data.reader import AGAIN, BINARY, AnyPath, Content, Format, Wanted, looks_like_netpbm, read_as
from fnnet.errors import counted
from fnnet.files.disk import looks_like_html, refuse, show_bytes

COUNTED: Final = 9
"""A first line that numbers the columns is a header if there are at least this many; fewer numbers may be pixels."""
START: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\s\w\"'+\-.,;\x80-\xff]|\Z)")
"""What a header or a number may start with, after UTF-8's mark."""
MAX_LINE: Final = 65536
PIECE: Final = 2**18
PIXEL: Final = re.compile(r"pixel([0-9]{1,6})|([0-9]{1,4})x([0-9]{1,4})")
NUMBER: Final = re.compile(r"[ \t]*\+?0*([0-9]{1,9})[ \t]*")
VALUES: Final = {str(value): value for value in range(256)}
SAVE: Final = "save it as CSV (comma separated, UTF-8)"
KAGGLE: Final = "name the columns label, pixel0, pixel1..."


class _Columns(NamedTuple):
    """The meaning of the fields of a line.

    label_at   the column of the label, or None.
    pixels_at  the columns of the pixels, in the order of the image.
    width      the number of columns.
    """

    label_at: int | None
    pixels_at: Array
    width: int


def read_csv(path: AnyPath) -> tuple[Array, Array | None]:
    """Return the pixels, uint8 (n, pixels), and the labels, int64 (n,), or None if the file has no label column."""
    content = read_as((FORMAT,), path, Wanted(labelled=False))
    return content.x, content.labels


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for text that may be a table: CSV has no signature."""
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    other = utf16 or looks_like_netpbm(head) or looks_like_html(head) or looks_like_pointer(head)
    return bool(head and START.match(head)) and not (other or BINARY.search(head))


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the file once, in pieces.

    Columns are placed by the names in the header (`pixel0`... or `1x1`..., `label` anywhere). Without a header, a
    square number of fields is pixels, and one more field puts the label first.
    Raises   DataError with line and column; a number is never coerced.
    """
    blocks = _blocks(file, path)
    line, block = _first_of(blocks)
    first, _, rest = block.partition(b"\n")
    columns, named = _columns(first, line, path)
    place = f"line {line}"
    if wanted.labelled and columns.label_at is None:
        expected, found = "a column named label, or the label first", counted(columns.width, "pixel")
        refuse("no labels", path, place, expected, found, "use it with predict")
    parts = [_parse(rest, line + 1, columns, path) if named else _parse(block, line, columns, path)]
    parts += [_parse(block, line, columns, path) for line, block in blocks]
    x = np.concatenate([pixels for pixels, _ in parts])
    if not len(x):
        refuse("empty dataset", path, f"line {line + 1}", "at least 1 row of numbers", "0 rows", AGAIN)
    labels = None if columns.label_at is None else np.concatenate([labels for _, labels in parts])
    shape = image_shape(x.shape[1], wanted.shape)
    return Content(x, labels, shape, labels_at=os.fsdecode(path), shape_at=place)


FORMAT: Final = Format("Kaggle CSV", _recognise, _read)


def _blocks(file: BufferedReader, path: AnyPath) -> Iterator[tuple[int, bytes]]:
    """Yield many whole lines at a time, any line end as a newline, with the number of the first line."""
    rest, line = b"", 1
    while True:
        piece = file.read(PIECE)
        if piece.endswith(b"\r"):
            piece += file.read(1)
        if line == 1 and not rest:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
        lines = (rest + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not piece:
            if lines or line == 1:
                yield line, lines + b"\n"
            return
        end = lines.rfind(b"\n") + 1
        rest = lines[end:]
        if end:
            yield line, lines[:end]
            line += lines.count(b"\n")
        _check_line(rest, line, path)


def _first_of(blocks: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Return the first block from its first line that is not blank on, with the number of that line."""
    line, block = next(blocks)
    while not block.strip(b"\n"):
        following = next(blocks, None)
        if following is None:
            return 1, b""
        line, block = following
    blank = len(block) - len(block.lstrip(b"\n"))
    return line + blank, block[blank:]


def _check_line(content: bytes, line: int, path: AnyPath) -> None:
    if len(content) > MAX_LINE:
        found = f"{len(content):,} or more"
        refuse("line too long", path, f"line {line}", f"at most {MAX_LINE:,} bytes", found, "put one image on a line")


def _columns(first: bytes, line: int, path: AnyPath) -> tuple[_Columns, bool]:
    """Return the columns according to the first line, and whether that line is a header."""
    _check_line(first, line, path)
    cells, place = _cells(first, line, path), f"line {line}"
    if not any(cells):
        refuse("first line is empty", path, place, "a header or numbers", show_bytes(first), KAGGLE)
    named = not any(_is_number(cell) for cell in cells)
    label_at, pixels_at = _columns_by_name(cells, place, path) if named else _columns_by_count(len(cells), place, path)
    return _Columns(label_at, np.array(pixels_at), len(cells)), named or _numbers_columns(cells)


def _numbers_columns(cells: list[str]) -> bool:
    """Return True if the first line numbers the columns, as pandas writes columns without names."""
    return len(cells) >= COUNTED and any(
        cells == [str(number) for number in range(start, start + len(cells))] for start in (0, 1)
    )


def _cells(content: bytes, line: int, path: AnyPath) -> list[str]:
    try:
        return next(csv.reader([content.decode("utf-8", "replace")], strict=True), [])
    except csv.Error as error:
        refuse(f"damaged line ({error})", path, f"line {line}", "quotes around whole fields", show_bytes(content), SAVE)


def _is_number(field: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*", field) is not None


def _columns_by_name(header: list[str], line: str, path: AnyPath) -> tuple[int | None, list[int]]:
    names = [name.strip().lower() for name in header]
    seen: dict[str, int] = {}
    for column, name in enumerate(names):
        if seen.setdefault(name, column) != column:
            place = f"{line}, column {column + 1}"
            refuse("column named twice", path, place, "each name once", repr(header[column][:40]), KAGGLE)
    places = {}
    for column, name in enumerate(names):
        match = PIXEL.fullmatch(name)
        if match:
            number, row, of_row = match.groups()
            places[(int(number),) if number else (int(row), int(of_row))] = column
        elif name != "label":
            place, expected = f"{line}, column {column + 1}", "label, pixel0, pixel1... (or 1x1, 1x2...)"
            fix = "rename or remove the column; fields are separated by commas"
            refuse("unknown column", path, place, expected, repr(header[column][:40]), fix)
    if not places or len({len(place) for place in places}) > 1:
        found = "none" if not places else "both kinds of names"
        refuse("no pixel columns", path, line, "label, pixel0, pixel1... or label, 1x1, 1x2...", found, KAGGLE)
    if len(places) != len(names) - ("label" in names):
        found = f"{counted(len(places), 'pixel')} in {counted(len(names) - ('label' in names), 'column')}"
        refuse("pixel named twice", path, line, "each pixel once", found, KAGGLE)
    spans = [max(numbers) - min(numbers) + 1 for numbers in zip(*places, strict=True)]
    if math.prod(spans) != len(places):
        expected = f"{math.prod(spans)} columns, without gaps"
        refuse("pixel columns missing", path, line, expected, len(places), KAGGLE)
    return (names.index("label") if "label" in names else None), [places[place] for place in sorted(places)]


def _columns_by_count(count: int, line: str, path: AnyPath) -> tuple[int | None, list[int]]:
    if math.isqrt(count) ** 2 == count:
        return None, list(range(count))
    if math.isqrt(count - 1) ** 2 != count - 1:
        expected = "a square number of pixels, such as 784, or one more with the label first"
        refuse("no header and an odd number of fields", path, line, expected, counted(count, "field"), KAGGLE)
    return 0, list(range(1, count))


def _parse(block: bytes, line: int, columns: _Columns, path: AnyPath) -> tuple[Array, Array]:
    """Return the pixels, uint8, and labels, int64, of whole lines: in one pass if they are plain, else cell by cell."""
    plain = re.sub(rb"\n\n+", b"\n", block).lstrip(b"\n")
    if not plain:
        return np.zeros((0, len(columns.pixels_at)), np.uint8), np.zeros(0, np.int64)
    found = _parse_plain(np.frombuffer(plain, np.uint8), columns)
    return _parse_cells(block, line, columns, path) if found is None else found


def _parse_plain(codes: Array, columns: _Columns) -> tuple[Array, Array] | None:
    """Return None unless every row has a field for each column: 1 to 3 digits, up to 6 for a label."""
    ends = np.flatnonzero(codes < ord("0"))
    if codes.max() > ord("9") or len(ends) % columns.width:
        return None
    marks = codes[ends].reshape(-1, columns.width)
    if (marks[:, :-1] != ord(",")).any() or (marks[:, -1] != ord("\n")).any():
        return None
    if np.diff(ends[columns.width - 1 :: columns.width], prepend=-1).max() > MAX_LINE:
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    values = codes[ends - 1].astype(np.int16) - ord("0")
    for digits, unit in ((2, 10), (3, 100)):
        at = np.flatnonzero(lengths >= digits)
        values[at] += (codes[ends[at] - digits].astype(np.int16) - ord("0")) * unit
    values, lengths = values.reshape(marks.shape), lengths.reshape(marks.shape)
    labels = np.zeros(len(values), np.int64)
    if columns.label_at is not None:
        labels += values[:, columns.label_at]
        for digits in (4, 5, 6):
            at = np.flatnonzero(lengths[:, columns.label_at] >= digits)
            first = ends.reshape(marks.shape)[at, columns.label_at] - digits
            labels[at] += (codes[first].astype(np.int64) - ord("0")) * 10 ** (digits - 1)
        if lengths[:, columns.label_at].max() > 6:
            return None
        lengths[:, columns.label_at] = np.minimum(lengths[:, columns.label_at], 3)
        values[:, columns.label_at] = 0
    if lengths.min() < 1 or lengths.max() > 3 or values.max() > 255:
        return None
    return values.astype(np.uint8).take(columns.pixels_at, axis=1), labels


def _parse_cells(block: bytes, line: int, columns: _Columns, path: AnyPath) -> tuple[Array, Array]:
    """Parse quotes, spaces, signs and leading zeros too; raise DataError for anything else."""
    rows: list[list[int]] = []
    for number, content in enumerate(block.split(b"\n")[:-1], line):
        if not content:
            continue
        _check_line(content, number, path)
        cells = _cells(content, number, path)
        if len(cells) != columns.width:
            place, expected = f"line {number}", counted(columns.width, "field")
            fix = "separate the fields by commas" if len(cells) == 1 else "complete or remove the line"
            refuse("wrong number of fields", path, place, expected, len(cells), fix)
        label = None if columns.label_at is None else cells.pop(columns.label_at)
        try:
            row = [VALUES[cell] for cell in cells]
        except KeyError:
            at = [column for column in range(columns.width) if column != columns.label_at]
            row = [
                _number(cell, 255, f"line {number}, column {column + 1}", path)
                for column, cell in zip(at, cells, strict=True)
            ]
        place = f"line {number}, column {(columns.label_at or 0) + 1}"
        row.insert(columns.label_at or 0, 0 if label is None else _number(label, MAX_LABEL, place, path))
        rows.append(row if label is not None else row[1:])
    table = np.array(rows, np.int64).reshape(-1, columns.width)
    labels = table[:, columns.label_at] if columns.label_at is not None else np.zeros(len(table), np.int64)
    return table.take(columns.pixels_at, axis=1).astype(np.uint8), labels.copy()


def _number(cell: str, most: int, place: str, path: AnyPath) -> int:
    # NUMBER limits the digits: Python refuses to convert thousands of them.
    match = NUMBER.fullmatch(cell)
    if not match or int(match[1]) > most:
        kind = "pixel" if most == 255 else "label"
        refuse(f"not a {kind}", path, place, f"a whole number from 0 to {most}", repr(cell[:40]), "correct the cell")
    return int(match[1])
