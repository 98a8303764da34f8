"""CSV as Kaggle's digit recogniser has it and as others write it: one image a line, its label in one of the columns."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arff_header import looks_like_arff
from fnnet.data.arrays import image_shape, one_row
from fnnet.data.csv_columns import AS_BYTES, KAGGLE, NUMBERS, OPTION, Columns, is_header, numbers_columns
from fnnet.data.csv_comments import behind_comments
from fnnet.data.csv_ends import ends_of
from fnnet.data.csv_label import label_column
from fnnet.data.csv_lines import SEPARATORS, Lines, blocks, check_line, first_of, separator_of
from fnnet.data.csv_numbers import Part, is_name, mixed, parse, scaled
from fnnet.data.csv_table import read_table
from fnnet.data.kinds import UTF16, looks_like_pointer
from fnnet.data.label_names import Texts, labels_of, with_test
from fnnet.data.libsvm import looks_like_libsvm
from fnnet.data.notes import Note
from fnnet.data.opened import NO_ROWS, AnyPath, Packed
from fnnet.data.ranges import REACHED, SCALED, SIGNED, UNIT, WHOLE, ranges_in_table, remedy, scaling
from fnnet.data.reader import (
    BINARY,
    EITHER,
    MEMORY,
    OTHER,
    Content,
    Format,
    Wanted,
    like,
    looks_like_netpbm,
    read_as,
)
from fnnet.data.table_columns import columns_or_table
from fnnet.data.unpacked import is_packed, packed_head, unpacked
from fnnet.data.width import width_of
from fnnet.errors import DataError
from fnnet.files.disk import looks_like_html, refuse, show_bytes

START: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\s\w\"'+\-.,;\x80-\xff]|#(?![!?]|define|include)|\Z)")
"""What a header, a number or a comment may start with, after UTF-8's mark."""
QUOTED: Final = re.compile(rb'(?:[ \t,;]*+"(?:[^"\n]|"")*+")++[ \t]*+')
"""Cells that are all in quotes."""
SAID: Final = re.compile(rb'"?sep=([,;\t])"?[,;\t]*\n', re.IGNORECASE)
PIECE: Final = 2**17
"""Bytes that are read at a time. With 2**18, arrays are large enough for the system to take them back and clear them
each time, which doubled the time; 2**16 took a quarter more."""


def read_csv(path: AnyPath, label_column: str | None = None, image: bool = False) -> tuple[Array, Array | None]:
    """Return the pixels, uint8 (n, pixels), and the labels, int64 (n,), or None if the file has no label column.

    Raises   DataError for a table.
    """
    content = read_as((FORMAT,), path, Wanted(labelled=False, label_column=label_column, image=image))
    if content.columns is not None:
        refuse("a table, not images", path, "the columns", "pixels", "measurements", EITHER)
    return content.x, content.labels


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for text that may be a table, plain or packed: CSV has no signature."""
    inside = packed_head(head) if is_packed(head) else head
    return inside is None or (_is_text(inside) and inside != b"" and not _is_other(inside))


def _is_other(text: bytes) -> bool:
    return looks_like_libsvm(text) or looks_like_arff(text)


def _is_text(head: bytes) -> bool:
    utf16 = head.startswith(UTF16)
    other = utf16 or looks_like_netpbm(head) or looks_like_html(head) or looks_like_pointer(head)
    return bool(START.match(head)) and not (other or BINARY.search(head))


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the file once, in pieces; a second time if labels that begin as numbers go on as names, which all may be."""
    try:
        return _read_once(file, path, wanted)
    except DataError as error:
        labelled = wanted.labelled or wanted.names  # those of a test set; other numbers may be ids
        if not (labelled and error.problem == "not a label" and error.fix == NUMBERS):
            raise
        file.seek(0)
        try:
            return _read_once(file, path, wanted, as_names=True)
        except DataError as other:
            raise (error if other.problem == error.problem else other) from None


def _read_once(file: BufferedReader, path: AnyPath, wanted: Wanted, *, as_names: bool = False) -> Content:
    """Read the file in pieces.

    as_names   True if the labels are names, whatever the first is.
    Columns are placed by the names in the header. Where these do not show the labels, the values do.
    Raises   DataError with line and column; a number is never coerced.
    """
    with unpacked(file, path) as source:
        pieces = blocks(source, path, PIECE)
        line, block, comments = behind_comments(pieces, path)
        said, line, block = _separator_said(line, block, pieces)
        first, _, rest = block.partition(b"\n")
        check_line(first, line, path)
        lines, place = Lines(said or separator_of(first, line, path), path), f"line {line}"
        if not rest.strip():  # the first line is as long as a piece
            rest += next(pieces, (0, b""))[1]
            block = first + b"\n" + rest
        ends = ends_of(first, rest, line, lines)
        if ends and not (wanted.images_alone and wanted.label_column):  # the last cell may be a label that is missing
            first = first if ends.header else ends.taken(first, line)
            rest, pieces = ends.taken(rest, line + 1), ends.all_taken(pieces)
            block, comments = first + b"\n" + rest, [*comments, ends.note()]
        cells = lines.cells(first, line)
        if not any(cells):
            refuse("first line is empty", path, place, "a header or numbers", show_bytes(first), KAGGLE)
        below, number = _first_line(rest, line + 1, lines)
        check_line(below, number, path)
        row, quoted = lines.cells(below, number), _alone_quoted(first, rest)
        names_rows = is_header(cells) and len(row) == len(cells) + 1 and _named(lines).match(below) is not None
        cells = ["", *cells] if names_rows else cells
        named = names_rows or (not wanted.known and _numbered_names(cells, rest, lines))
        columns = columns_or_table(cells, place, path, wanted, named=named, quoted=quoted, row=row)
        if columns.header:
            after, block = first_of(itertools.chain([(line + 1, rest)], pieces), lines.separator == "\t")
            after = after if block else line
            if names_rows:  # as R's write.table does; without the quotes the header may be cut
                pieces = _all_named(pieces, lines)
                block = _check_named(block, after, lines)
        else:
            after = line
        if columns.table:
            content = read_table((after, block), pieces, columns, lines, wanted, place)
        else:
            content = _images((after, block), pieces, columns, lines, wanted, place, as_names=as_names)
    content = content._replace(notes=(*comments, *_separated(lines), *content.notes))
    return _with_test(content, path, columns, wanted) if wanted.labelled else content


def _images(
    first: tuple[int, bytes], pieces: Iterator[tuple[int, bytes]], columns: Columns, lines: Lines, wanted: Wanted,
    place: str, *, as_names: bool,
) -> Content:  # fmt: skip
    """Return images and their labels in blocks of lines; arguments as `_read_once`.

    first   the number of the first line below the header, and the lines from it on; `pieces` are what follows.
    place   of the first line, in words.
    """
    (after, block), path = first, lines.path
    texts = None if columns.label_at is None else Texts(columns.label_at, columns.width, lines)
    passed_over = texts and wanted.images_alone and texts.begins_without_label(block, after)
    if texts and wanted.images_alone and not passed_over:  # they may be missing further down
        columns, texts = columns._replace(labels_at=(), label_at=None), None
    if texts and (passed_over or as_names or texts.begins_with_name(block, after)):
        block, pieces = texts.taken(block, after), texts.all_taken(pieces)
    with _or_a_table(columns, wanted):
        parts = [parse(block, after, columns, lines)]
        parts += [parse(block, line, columns, lines) for line, block in pieces]
    if not any(len(part.x) for part in parts):
        refuse("empty dataset", path, f"line {after + 1}", "at least 1 row of numbers", "0 rows", NO_ROWS)
    notes = [*columns.notes]
    x, labels, more, read_as = assemble(parts, columns, lines, wanted.pixel_range)
    labels = None if passed_over else labels
    classes: tuple[str, ...] = ()
    if texts and texts.found and not passed_over:
        labels, classes, same = labels_of(texts.found, path, str(texts.column + 1), wanted)
        notes += same
    shape, of_shape = shape_of(x, columns, os.fsdecode(path), wanted)
    check_images(x, shape, columns, unit=bool(read_as), path=path, wanted=wanted)
    return Content(
        x, labels, shape, labels_at=os.fsdecode(path), shape_at=place, notes=(*notes, *more, *of_shape),
        by_row=columns.shape is not None, classes=classes, named=bool(classes),
        pixel_ranges=ranges_in_table(x, read_as, path),
    )  # fmt: skip


def _separated(lines: Lines) -> list[Note]:
    """Return a note of what separates cells other than commas."""
    if lines.separator == ",":
        return []
    return [Note("separator", f"{os.fsdecode(lines.path)}: cells are separated by {SEPARATORS[lines.separator]}")]


def _first_line(rest: bytes, line: int, lines: Lines) -> tuple[bytes, int]:
    """Return the first of these lines that is not blank, and its number; nothing if all at their start are."""
    found = ((content, number) for number, content in enumerate(rest.split(b"\n", 9)[:9], line))
    return next(((content, number) for content, number in found if not lines.is_blank(content)), (b"", line))


@contextmanager
def _or_a_table(columns: Columns, wanted: Wanted) -> Iterator[None]:
    """Put into the remedy of a number that no pixel can be that the rows may not be images, if nothing shows them."""
    try:
        yield
    except DataError as error:
        open_yet = not (columns.sure or wanted.image or wanted.known or wanted.shape)
        if not (open_yet and error.problem.startswith("not a pixel")) or error.fix == AS_BYTES:
            raise
        fix = f"{error.fix}; if each column is a measurement, say --table"
        raise error.at(error.where, fix=fix).with_traceback(error.__traceback__) from None


def _numbered_names(cells: list[str], rest: bytes, lines: Lines) -> bool:
    """Return True for 0, 1, 2... beside a name at the end, as pandas names columns without names beside a new one.

    The name is not that of a class, which stands in lines below, too.
    """
    *numbers, last = cells[1:] if not cells[0].strip() else cells
    if not numbers_columns(numbers, 2) or float(numbers[0]) or not is_name(last):
        return False
    mark, end = lines.separator.encode(), re.escape(last.strip().encode("utf-8", "surrogateescape"))
    return rest.strip() != b"" and re.search(rb'[%s\t "]%s[ "]*$' % (mark, end), rest, re.MULTILINE) is None


def _separator_said(line: int, block: bytes, pieces: Iterator[tuple[int, bytes]]) -> tuple[str, int, bytes]:
    """Return the separator that the first line names, as Excel reads and writes it, and what follows that line."""
    said = SAID.match(block)
    if not said:
        return "", line, block
    line, block = first_of(itertools.chain([(line + 1, block[said.end() :])], pieces))
    return said[1].decode(), line, block


def _alone_quoted(first: bytes, rest: bytes) -> bool:
    """Return True if all cells of the first line are in quotes, and none of those below."""
    return QUOTED.fullmatch(first) is not None and rest.strip() != b"" and b'"' not in rest


def _with_test(content: Content, path: AnyPath, columns: Columns, wanted: Wanted) -> Content:
    """Return the content with the test set in the file beside it whose name has -test at its end, if there is one."""
    beside = Path(os.fsdecode(path))
    beside = beside.with_stem(f"{beside.stem}-test")
    if isinstance(path, Packed) or beside.suffix.lower() != ".csv" or not beside.is_file():
        return content
    test = read_as((FORMAT,), beside, like(content, wanted)._replace(labelled=False))
    if test.labels is None:
        text = f"{beside}: not used as the test set of {os.fsdecode(path)}: it has no labels"
        return content._replace(notes=(*content.notes, Note("not-used", text)))
    return with_test(content, test, beside)


def _named(lines: Lines) -> re.Pattern[bytes]:
    return re.compile(rb'"(?:[^"\n]|"")*+"[%s](?!["\n])' % lines.separator.encode())


def _all_named(pieces: Iterator[tuple[int, bytes]], lines: Lines) -> Iterator[tuple[int, bytes]]:
    return ((line, _check_named(block, line, lines)) for line, block in pieces)


def _check_named(block: bytes, line: int, lines: Lines) -> bytes:
    """Return the block; DataError for a line that does not begin with the name of a row."""
    named = _named(lines)
    for number, content in enumerate(block.split(b"\n"), line):
        if not (lines.is_blank(content) or named.match(content)):
            expected, found = "a name in quotes, as the lines before it have", show_bytes(content)
            refuse("no name of the row", lines.path, f"line {number}", expected, found, "complete or remove the line")
    return block


FORMAT: Final = Format("Kaggle CSV", _recognise, _read, columns=True, any_text=True)


def shape_of(x: Array, columns: Columns, where: str, wanted: Wanted) -> tuple[tuple[int, int], list[Note]]:
    """Return the (height, width) of images, and a note if they are taken as one row of pixels."""
    if columns.shape:
        return columns.shape, []
    return image_shape(x.shape[1], wanted.shape), [*one_row(x.shape[1], where, wanted.shape)]


def check_images(
    x: Array, shape: tuple[int, int], columns: Columns, *, unit: bool, path: AnyPath, wanted: Wanted
) -> None:
    """Raise DataError for fractions in columns without names of pixels, unless their rows show that they are images.

    Whole numbers up to 255 are hardly anything else; numbers from 0 to 1 are measurements as often.
    """
    if unit and not (columns.sure or wanted.image or wanted.shape == shape) and width_of(x, shape[1]) != shape[1]:
        expected = "names such as pixel0, whole numbers from 0 to 255, or rows like those below them"
        refuse("a table, or images", path, "the columns", expected, f"{x.shape[1]:,} of fractions", EITHER)


def assemble(
    parts: Sequence[Part], columns: Columns, lines: Lines, given: str, sure: bool = False
) -> tuple[Array, Array | None, list[Note], str]:
    """Return pixels, labels and notes of the whole file, and the range that the pixels were scaled from, "" for none.

    given, sure   the range of fractions, as `Wanted` has it.
    """
    parts = [part for part in parts if len(part.x)]
    labels = np.concatenate([part.labels for part in parts])
    parts, lowest = _in_one_range(parts, labels if len(columns.labels_at) > 1 else None, lines, given, sure)
    read_as = "" if lowest is None else SIGNED if lowest else UNIT
    scaled_so = [Note("unit-pixels", scaling(read_as))] if read_as else []
    if len(columns.labels_at) < 2:
        x = np.ascontiguousarray(np.concatenate([part.x for part in parts]))
        found = labels[:, 0].astype(np.int64) if columns.labels_at else None
        return x, found, scaled_so, read_as
    at = _by_values(parts, labels, columns, lines, lowest)
    x = _with_edge(parts, labels[:, 1 - at], -at, lowest)
    what = "the first" if at == 0 else "the last"
    note = Note(
        "label-column", f"the values show that {what} column, number {columns.labels_at[at] + 1}, is the labels"
    )
    return x, labels[:, at].astype(np.int64), [note, *scaled_so], read_as


def _by_values(parts: Sequence[Part], labels: Array, columns: Columns, lines: Lines, lowest: int | None) -> int:
    """Return which of the two candidates is the labels: 0 or 1; DataError if either may be."""
    near = [_beside(part.x) for part in parts]
    first, last = labels.T
    found = label_column(first, last, np.concatenate(near), lowest)
    if found is None:
        place = f"columns {columns.labels_at[0] + 1} and {columns.labels_at[1] + 1}"
        expected = "values that show which one is the labels"
        refuse("the first or the last column is the labels", lines.path, place, expected, "either may be", OPTION)
    return ("first", "last").index(found)


def _beside(x: Array) -> Array:
    """Return the columns that lie beside the first and the last one."""
    return x if x.shape[1] <= 8 else np.concatenate([x[:, :4], x[:, -4:]], axis=1)


def _in_one_range(
    parts: Sequence[Part], edges: Array | None, lines: Lines, given: str, sure: bool
) -> tuple[Sequence[Part], int | None]:
    """Return parts whose x are bytes of one range, and its lowest number, 0 or -1; None if they are bytes in the file.

    edges   the columns of which one is a pixel, if they are apart.
    given, sure   the range of fractions, as `Wanted` has it.
    Raises   DataError for pixels of several ranges.
    """
    fraction = next((part.fraction for part in parts if part.fraction), "")
    if sure:
        _check_known(parts, fraction, lines, given)
    if not fraction and not (sure and given in SCALED):
        return parts, None
    for part in parts:
        if not part.fraction and part.x.max() > 1:
            mixed(fraction, "other pixels above 1", lines)
    least = min(part.least for part in parts)
    if edges is not None and edges.min() < least:
        mixed(fraction, f"{edges.min():g}", lines)
    if least >= 0 and given != SIGNED:
        return [part if part.fraction else part._replace(x=part.x * np.uint8(255)) for part in parts], 0
    if least > -1 and given != SIGNED:
        expected, found = f"{WHOLE}, {REACHED}", f"pixels from {least:g}"
        refuse("not a pixel: a number below 0", lines.path, fraction, expected, found, remedy(least, 1))
    if not (sure or any(part.x.any() for part in parts)):
        mixed(fraction, f"pixels from {least:g}", lines)
    whole = scaled((np.arange(2) + 1) / 2)
    return [part._replace(x=whole[part.x] if part.signed is None else part.signed) for part in parts], -1


def _check_known(parts: Sequence[Part], fraction: str, lines: Lines, known: str) -> None:
    """Raise DataError for some rows of a table that cannot be of the range that others show.

    fraction   the place of the first one; "" for none.
    """
    most = max((int(part.x.max()) for part in parts if not part.fraction), default=0)
    found = str(most) if known in SCALED and most > 1 else "a fraction" if known not in SCALED and fraction else ""
    if found:
        refuse(OTHER, lines.path, fraction or "the pixels", f"pixels from {known}", found, MEMORY)


def _with_edge(parts: Sequence[Part], edge: Array, at: int, lowest: int | None) -> Array:
    """Return the pixels of all lines with those of the first (at = -1) or last (at = 0) column, which are apart."""
    x = np.empty((len(edge), parts[0].x.shape[1] + 1), np.uint8)
    np.concatenate([part.x for part in parts], out=x[:, 1:] if at else x[:, :-1])
    x[:, 0 if at else -1] = edge if lowest is None else scaled((edge - lowest) / (1 - lowest))
    return x
