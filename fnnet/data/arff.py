"""ARFF, Weka's and OpenML's tables, dense and sparse: an image a line, its label in one of the columns.

Columns and labels are found as in CSV. A nominal column of labels names the classes. In sparse lines, `{0 5, 153 3}`, a
value that is left out is 0, or the first name of a nominal column.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Final, NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arff_header import AS_UTF8, ITEM, Attribute, cells_of, looks_like_arff, read_header, unquoted
from fnnet.data.bounds import bytes_on_disk
from fnnet.data.csv_columns import OPTION, Columns, is_pixel
from fnnet.data.csv_lines import Lines, blocks, check_line, check_text
from fnnet.data.csv_numbers import NUMBER, parse
from fnnet.data.csv_table import rows_in, table_content
from fnnet.data.kaggle_csv import assemble, check_images, shape_of
from fnnet.data.label_names import as_whole, whole_names
from fnnet.data.notes import Note
from fnnet.data.opened import AGAIN, NO_ROWS, AnyPath
from fnnet.data.ranges import ranges_in_table
from fnnet.data.reader import Content, Format, Wanted
from fnnet.data.roles import called_labels
from fnnet.data.sparse import Pairs, dense, parse_pairs
from fnnet.data.table_columns import columns_or_table
from fnnet.data.unpacked import is_packed, packed_head, unpacked
from fnnet.errors import counted
from fnnet.files.disk import refuse, show_bytes
from fnnet.names import names_of_labels

PIECE: Final = 2**18
PLACE: Final = "the header"
FIX: Final = "correct the line"
MOST_UNREAD: Final = 16
"""Columns that are neither pixels nor labels, in sparse lines: each is looked for in every line."""
TO_PAIRS: Final = bytes.maketrans(b" ,", b": ")
OTHER: Final = re.compile(rb"[{}:#]")
"""What no sparse line has in its braces, except in quotes."""
QUOTES: Final = re.compile(rb"['\"]")

Pieces = Iterator[tuple[int, bytes]]


class Table(NamedTuple):
    """What the header says of the lines.

    columns     which columns are pixels and labels.
    classes     the name of each class -> its number, if the column of labels is nominal.
    left_out    the label of a sparse line that has none.
    unread      the columns that are neither.
    ignored     True if labels are not wanted: those of images to predict are often `?`.
    """

    path: AnyPath
    columns: Columns
    classes: dict[str, int]
    left_out: bytes
    unread: tuple[int, ...]
    ignored: bool

    def label(self, text: bytes, line: int) -> bytes:
        """Return the number of a label that is written as `text`; a number of a numeric column as it is."""
        if self.ignored:
            return b"0"
        name = unquoted(text.decode("utf-8", "surrogateescape"))
        check_text(name, f"line {line}", self.path, AS_UTF8)
        if not self.classes:
            return name.encode()
        name = name if name in self.classes else as_whole(name)
        if name not in self.classes:
            expected = f"one of {', '.join([*self.classes][:12])}"
            refuse("not a class of the header", self.path, f"line {line}", expected, repr(name[:40]), FIX)
        return b"%d" % self.classes[name]


def _recognise(head: bytes, path: AnyPath) -> bool:
    inside = packed_head(head) if is_packed(head) else head
    return inside is not None and looks_like_arff(inside)


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the file once, in pieces."""
    with unpacked(file, path) as source:
        pieces = blocks(source, path, PIECE)
        attributes, line, block = read_header(pieces, path)
        table, notes = _table(attributes, path, wanted)
        rows = _rows(line, block, pieces)
        line, block = next(rows, (line, b""))
        if not block:
            refuse("empty dataset", path, f"line {line}", "at least 1 row of numbers", "0 rows", NO_ROWS)
        if table.columns.table:
            content = _measurements(_chain(line, block, rows), table, wanted)
            return content._replace(notes=(*notes, *content.notes))
        if block.startswith(b"{"):
            _check_sparse(attributes, table)
            parts = [_sparse(each, number, table) for number, each in _chain(line, block, rows)]
            x, labels, more, read_as = _of_pairs(parts, table, bytes_on_disk(file.fileno()), wanted.pixel_range)
        else:
            lines = Lines(",", path)
            cells = [
                parse(_dense(each, number, table), number, table.columns, lines)
                for number, each in _chain(line, block, rows)
            ]
            x, labels, more, read_as = assemble(cells, table.columns, lines, wanted.pixel_range)
    notes += [*table.columns.notes, *more]
    at = os.fsdecode(path)
    shape, of_shape = shape_of(x, table.columns, at, wanted)
    check_images(x, shape, table.columns, unit=bool(read_as), path=path, wanted=wanted)
    labels = None if table.ignored else labels
    by_row, classes = table.columns.shape is not None, tuple(table.classes)
    return Content(
        x, labels, shape, labels_at=at, shape_at=PLACE, notes=(*notes, *of_shape), classes=classes, by_row=by_row,
        pixel_ranges=ranges_in_table(x, read_as, path),
    )  # fmt: skip


def _measurements(pieces: Pieces, table: Table, wanted: Wanted) -> Content:
    """Return the rows of a table that are not images, as in CSV; classes are in the order of the header."""
    columns, lines, names = table.columns, Lines(",", table.path), [*table.classes]
    parts: list[Array] = []
    texts: list[str] = []
    for line, block in pieces:
        if block.startswith(b"{"):
            fix = "write the table as CSV, or say --image if each row is an image"
            refuse("a sparse table", table.path, f"line {line}", "all cells of a row", show_bytes(block[:16]), fix)
        values, found = rows_in(_dense(block, line, table), line, columns, lines)
        parts.append(values)
        texts += [names[int(text)] for text in found] if names and not table.ignored else found
    plain = tuple(wanted.names) == names_of_labels(0, len(wanted.names))
    wanted = wanted._replace(names=tuple(names)) if names and plain and not wanted.known else wanted
    return table_content(np.concatenate(parts), [] if table.ignored else texts, columns, table.path, wanted, PLACE)


FORMAT: Final = Format("ARFF", _recognise, _read, columns=True)


def _chain(line: int, block: bytes, rows: Pieces) -> Pieces:
    yield line, block
    yield from rows


def _rows(line: int, block: bytes, pieces: Pieces) -> Pieces:
    """Yield blocks of lines of data from the first that is neither blank nor a comment on."""
    while True:
        at, first = 0, line
        for content in block.split(b"\n")[:-1]:
            if content.strip() and not content.lstrip().startswith(b"%"):
                yield first, block[at:].lstrip(b" \t")
                yield from pieces
                return
            at, first = at + len(content) + 1, first + 1
        following = next(pieces, None)
        if following is None:
            return
        line, block = following


def _table(attributes: list[Attribute], path: AnyPath, wanted: Wanted) -> tuple[Table, list[Note]]:
    """Return what the columns are: by their names, as in CSV, and their types."""
    names = [each.name for each in attributes]
    nominal = [column for column, each in enumerate(attributes) if each.values and not is_pixel(each.name)]
    notes: list[Note] = []
    if wanted.label_column is None and len(nominal) == 1 and not called_labels(names):
        [column] = nominal
        wanted = wanted._replace(label_column=str(column + 1))
        text = f"{os.fsdecode(path)}: column {column + 1}, {names[column][:40]!r}, is the labels: it alone is nominal"
        notes.append(Note("label-column", text))
    if not names:
        refuse("no columns", path, PLACE, "@attribute lines", "none", AGAIN)
    columns = columns_or_table(names, PLACE, path, wanted, named=True)
    for column in columns.read():
        numbers = all(map(NUMBER.fullmatch, attributes[column].values))
        if not (attributes[column].numeric or (attributes[column].values and (numbers or column == columns.label_at))):
            kind = "names" if attributes[column].values else "text or dates"
            place, expected = f"column {column + 1}, {names[column][:40]!r}", "numbers, or labels by name"
            fix = f"leave the column out, or {OPTION}" if columns.table and column != columns.label_at else OPTION
            refuse("a column that is not read", path, place, expected, kind, fix)
    classes, left_out = _classes(() if columns.label_at is None else attributes[columns.label_at].values)
    read = set(columns.read())
    unread = tuple(column for column in range(len(names)) if column not in read)
    ignored = not wanted.labelled and columns.label_at is not None
    return Table(path, columns, classes, left_out, unread, ignored), notes


def _classes(values: tuple[str, ...]) -> tuple[dict[str, int], bytes]:
    """Return the numbers of classes, names that are numbers in order of value, and the label of the header's first."""
    whole = whole_names(values)
    values = tuple(dict.fromkeys(whole[value] for value in values))
    numbers = all(value.isascii() and value.isdecimal() and len(value) < 10 for value in values)
    classes = {name: number for number, name in enumerate(sorted(values, key=int) if numbers else values)}
    return classes, b"%d" % (classes[values[0]] if values else 0)


def _dense(block: bytes, line: int, table: Table) -> bytes:
    """Return lines of cells as CSV has them: labels by their numbers, columns that are not read as 0, no comments."""
    if not (table.classes or table.ignored or table.unread or b"%" in block or b"{" in block or QUOTES.search(block)):
        return block
    return b"\n".join(
        _dense_line(content.strip(), number, table) for number, content in enumerate(block.split(b"\n"), line)
    )


def _dense_line(content: bytes, line: int, table: Table) -> bytes:
    if not content or content.startswith(b"%"):
        return b""
    check_line(content, line, table.path)
    label, width = table.columns.label_at, table.columns.width
    quoted = QUOTES.search(content)
    if content.endswith(b"}") and not quoted:
        refuse("a weight, or a sparse line", table.path, f"line {line}", "cells alone", show_bytes(content[-16:]), FIX)
    if not (table.unread or quoted) and (table.classes or table.ignored) and label in (0, width - 1):
        if label:
            rest, _, name = content.rpartition(b",")
            return rest + b"," + table.label(name.strip(), line)
        name, _, rest = content.partition(b",")
        return table.label(name.strip(), line) + b"," + rest
    cells = cells_of(content.decode("utf-8", "surrogateescape"))
    if len(cells) != width:
        expected = counted(width, "field")
        refuse(
            "wrong number of fields", table.path, f"line {line}", expected, len(cells), "complete or remove the line"
        )
    for column in table.unread:
        cells[column] = "0"
    if label is not None:
        cells[label] = table.label(cells[label].encode("utf-8", "surrogateescape"), line).decode()
    return ",".join(cell.replace(",", " ") for cell in cells).encode("utf-8", "surrogateescape")


def _check_sparse(attributes: list[Attribute], table: Table) -> None:
    """Raise DataError for columns of which a value that is left out is not 0, and where their names do not show all."""
    columns, path = table.columns, table.path
    if len(columns.labels_at) > 1:
        expected = "a name, or --label-column"
        refuse("the first or the last column is the labels", path, PLACE, expected, "either may be", OPTION)
    if len(table.unread) > MOST_UNREAD:
        expected, fix = f"at most {MOST_UNREAD} other columns", "remove them"
        refuse("columns beside pixels and labels", path, PLACE, expected, len(table.unread), fix)
    for column in columns.pixels_at.tolist():
        values = attributes[column].values
        if values and float(values[0]):
            expected, fix = "0 as the first value, which sparse lines leave out", "make the column numeric"
            refuse("nominal pixels", path, f"column {column + 1}", expected, repr(values[0][:40]), fix)


def _sparse(block: bytes, line: int, table: Table) -> Pairs:
    """Return the numbers of lines such as `{0 5, 153 3}`, those of columns in place of those of pixels."""
    content = [_sparse_line(each.strip(), number, table) for number, each in enumerate(block.split(b"\n"), line)]
    pairs = parse_pairs(b"\n".join(content), line, table.path)
    order = np.full(table.columns.width + 1, -1, np.int32)
    order[table.columns.pixels_at] = np.arange(len(table.columns.pixels_at))
    pixels = order[np.minimum(pairs.numbers, table.columns.width)]
    if len(pixels) and pixels.min() < 0:
        at = int(pixels.argmin())
        row = int(np.searchsorted(pairs.counts.cumsum(), at, side="right"))
        place = f"line {[number for number, each in enumerate(content, line) if each][row]}"
        expected = f"each column once, 0 to {table.columns.width - 1}"
        refuse("a column beyond the last, or twice", table.path, place, expected, int(pairs.numbers[at]), FIX)
    return pairs._replace(numbers=pixels)


def _sparse_line(content: bytes, line: int, table: Table) -> bytes:
    """Return a line as libsvm has it: the label, then `column:value`."""
    if not content or content.startswith(b"%"):
        return b""
    check_line(content, line, table.path)
    if not (content.startswith(b"{") and content.endswith(b"}")):
        _refuse_sparse(content, line, table)
    body = content[1:-1].replace(b", ", b",").replace(b"\t", b" ").strip()
    for column in table.unread:
        _, body = _taken(body, column)
    label = table.left_out
    if table.columns.label_at is not None:
        name, body = _taken(body, table.columns.label_at)
        label = label if name is None else table.label(name, line)
    body = body.strip()
    if b" ," in body or b"  " in body or b", " in body:
        body = re.sub(rb" ?, ?", b",", re.sub(rb" +", b" ", body))
    if OTHER.search(body) or OTHER.search(label) or b" " in label or not label:
        _refuse_sparse(content, line, table)
    return label + b" " + body.translate(TO_PAIRS)


def _refuse_sparse(content: bytes, line: int, table: Table) -> NoReturn:
    expected = "{column value, ...} without a weight"
    refuse("not a sparse line", table.path, f"line {line}", expected, show_bytes(content), FIX)


def _taken(body: bytes, column: int) -> tuple[bytes | None, bytes]:
    """Return the text of the value of a column, None if it is left out, and what is left of the line."""
    found = re.search(rb"(?:\A|,) *%d +(%s *|[^,]*)(?:,|\Z)" % (column, ITEM.encode()), body)
    if not found:
        return None, body
    before, after = body[: found.start()], body[found.end() :]
    return found[1].strip(), before + b"," + after if before and after else before or after


def _of_pairs(parts: list[Pairs], table: Table, packed: int, given: str) -> tuple[Array, Array | None, list[Note], str]:
    """Return the images, the labels and the notes of sparse lines, and the range of the pixels, as `assemble` does."""
    columns, path = table.columns, table.path
    x, notes, read_as = dense(parts, 0, len(columns.pixels_at), path, packed, given)
    if columns.label_at is None:
        return x, None, notes, read_as
    labels = np.concatenate([part.labels for part in parts]).astype(np.int64)
    if labels.min() < 0:
        refuse(
            "not a label", path, f"row {int(labels.argmin()) + 1}", "0 or more", int(labels.min()), "number them from 0"
        )
    return x, labels, notes, read_as
