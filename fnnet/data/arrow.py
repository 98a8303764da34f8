"""Parquet and Arrow: tables of numbers as CSV holds them, data sets of packed pictures as model hubs store them, and
columns of lists; by pyarrow. See `arrow_columns` for what columns hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet.data.arrow_rows import ROWS, opened
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.child import Reader, kept
from fnnet.data.label_names import joined, with_test
from fnnet.data.listing import entries
from fnnet.data.opened import AnyPath, Opened
from fnnet.data.pieces import joined_note, piece_of, pieces_of, unused_part
from fnnet.data.ranges import BYTES
from fnnet.data.reader import (
    DECODED,
    GROUPS,
    IMAGES,
    LABELS,
    Content,
    Format,
    Wanted,
    format_of,
    joined_ink,
    like,
    size,
)
from fnnet.data.roles import PARTS, part_of
from fnnet.data.splits import PROBLEM
from fnnet.errors import counted
from fnnet.files.disk import refuse

PARQUET: Final = b"PAR1"
FILE: Final = b"ARROW1\0\0"
NEXT: Final = b"\xff\xff\xff\xff"
"""Before each message of a stream."""
SIZES: Final = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}
"""Parquet's types -> bytes of a number."""


def read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read one file; to be called in a child: damaged files may crash pyarrow.

    Raises   DataError for columns that are not images and labels; whatever pyarrow raises for a damaged file.
    """
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        return _read(file, path, wanted)
    except pa.ArrowNotImplementedError as error:
        found = str(error).partition("\n")[0][:120]
        expected, fix = (
            "types and compression that pyarrow reads",
            "store numbers of at most 64 bits, packed by Zstandard",
        )
        refuse("not implemented in pyarrow", path, "the columns", expected, found, fix)


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    import pyarrow as pa

    from fnnet.data.arrow_columns import chosen_columns

    packed, head = bytes_on_disk(file.fileno()), file.peek(4)
    if wanted.only == IMAGES:
        return _read_rows(file, path, wanted, packed)
    with pa.PythonFile(file, mode="r") as source:
        if head.startswith(PARQUET):
            from pyarrow.parquet import ParquetFile

            parquet = ParquetFile(source, pre_buffer=False, page_checksum_verification=True)
            return _read_parquet(parquet, path, wanted, packed)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        if head.startswith(FILE[:4]):
            arrow = pa.ipc.open_file(source, options=options)
            batches: Iterator[Any] = (arrow.get_batch(number) for number in range(arrow.num_record_batches))
        else:
            arrow = pa.ipc.open_stream(source, options=options)
            batches = iter(arrow)
        columns = chosen_columns(arrow.schema, path, wanted, packed)
        pieces = (batch.slice(at, ROWS) for batch in batches for at in range(0, batch.num_rows, ROWS))
        return columns.read(piece.select(list(columns.names)) for piece in pieces)


def _read_parquet(parquet: Any, path: AnyPath, wanted: Wanted, packed: int) -> Content:
    """Return what an open Parquet file holds: all, or a part other than the images of some rows."""
    from fnnet.data.arrow_columns import chosen_columns

    groups = [*wanted.groups] or [*range(parquet.metadata.num_row_groups)]
    if wanted.only == GROUPS:
        sizes = np.array([parquet.metadata.row_group(group).num_rows for group in groups], np.int64)
        return Content(np.empty((len(sizes), 0), np.uint8), sizes, (0, 0))
    alone = wanted.only in (LABELS, DECODED)
    columns = chosen_columns(parquet.schema_arrow, path, wanted._replace(only=LABELS if alone else ""), packed)
    _check_parquet(parquet.metadata, groups, columns.names, packed, path, alone)
    batches = parquet.iter_batches(ROWS, row_groups=groups, columns=[*columns.names], use_threads=False)
    if wanted.only == DECODED:
        return Content(np.empty((sum(each.num_rows for each in batches), 0), np.uint8), None, (0, 0))
    return columns.read(batches)


def _read_rows(file: BufferedReader, path: AnyPath, wanted: Wanted, packed: int) -> Content:
    """Return the images of some rows of a Parquet file."""
    from fnnet.data.arrow_columns import chosen_columns

    (group,), (first, _) = wanted.groups, wanted.rows[0]
    with opened(file.fileno()) as rows:
        columns = chosen_columns(rows.parquet.schema_arrow, path, wanted, packed, rows.starts[group] + first + 1)
        _check_parquet(rows.parquet.metadata, [group], columns.names, packed, path)
        return columns.read(rows.between(columns.names, group, wanted.rows))


def _check_parquet(
    metadata: Any, groups: Sequence[int], names: Sequence[str], packed: int, path: AnyPath, alone: bool = False
) -> None:
    """Raise DataError if the columns of row groups would unpack to far more than they take in the file.

    alone   True for labels without their images: sorted, they take next to nothing, and are held against all of it.
    """
    needed = stored = 0
    for group in groups:
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if column.path_in_schema.partition(".")[0] in names:
                needed += max(column.num_values * SIZES.get(column.physical_type, 1), column.total_uncompressed_size)
                stored += column.total_compressed_size
    check_expansion(needed, packed if alone else min(packed, stored), path, "the row groups")


def _read_parts(reader: Reader, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read a file and, for a data set, the other pieces of its part and the test set beside it."""
    if not wanted.labelled:
        return reader(file, path, wanted)
    with kept():
        paths = pieces_of(Path(os.fsdecode(path)))
        return with_parts_beside(reader, _read_all(reader, paths, wanted), path, len(paths), wanted)


def with_parts_beside(reader: Reader, content: Content, path: AnyPath, pieces: int, wanted: Wanted) -> Content:
    """Return the content of the `pieces` of a training set with the test set beside them, and notes of what is there.

    path   the piece that the user named.
    """
    here = Path(os.fsdecode(path))
    notes = [*joined_note(here, pieces), *(unused_part(each, "val") for each in _part_beside(here, "val")[:1])]
    content = content._replace(notes=(*content.notes, *notes))
    test = pieces_of(found[0]) if (found := _part_beside(here, "test")) else []
    return with_test(content, _read_all(reader, test, like(content, wanted)), test[0]) if test else content


def read_with(path: Path) -> list[Path]:
    """Return the files that are read with one of Parquet or Arrow as a data set: all pieces, and those of the test set.

    None for a file of another format.
    Raises   DataError if a piece is missing.
    """
    if format_of(FORMATS, path) is None:
        return []
    test = _part_beside(path, "test")[:1]
    return [each for first in (path, *test) for each in pieces_of(first)]


def _read_all(reader: Reader, paths: Sequence[Path], wanted: Wanted) -> Content:
    contents: list[Content] = []
    for path in paths:
        with Opened(path) as file:
            contents.append(reader(file, path, wanted))
    return joined_files(contents, paths)


def joined_files(contents: Sequence[Content], paths: Sequence[Path]) -> Content:
    """Return what the pieces of one part hold, one behind another.

    Raises   DataError unless their images have one size, and their labels are of the same classes.
    """
    _check_one_part(contents, paths)
    contents = joined(contents)
    first = contents[0]
    for path, each in zip(paths[1:], contents[1:], strict=True):
        if (each.image_shape, each.classes, each.columns) != (first.image_shape, first.classes, first.columns):
            expected = f"{size(first.image_shape)} and the classes of {paths[0].name}"
            found = f"{size(each.image_shape)}, {counted(len(each.classes), 'class', 'classes')}"
            refuse("pieces differ", path, "the columns", expected, found, "fetch all pieces of one set")
    if len(contents) == 1:
        return first
    labels = [each.labels for each in contents if each.labels is not None]
    return first._replace(
        x=np.concatenate([each.x for each in contents]),
        labels=np.concatenate(labels),
        lossy=any(each.lossy for each in contents),
        ink=joined_ink([(each.ink, len(each.x)) for each in contents]),
        pixel_ranges=tuple(dict.fromkeys(found for each in contents for found in each.pixel_ranges or (BYTES,))),
        notes=tuple(dict.fromkeys(note for each in contents for note in each.notes)),
    )


def _check_one_part(contents: Sequence[Content], paths: Sequence[Path]) -> None:
    """Raise DataError for pieces whose columns say that they are of several parts."""
    said: dict[str, tuple[str, Path]] = {}
    for path, content in zip(paths, contents, strict=True):
        for text in content.one_part:
            column, _, part = text.rpartition(": ")
            first, of = said.setdefault(column, (part, path))
            if first != part:
                expected, fix = f"{first}, as in {of.name}", "move the pieces of each part into a folder: train, test"
                refuse(PROBLEM, path, f"column {column}", expected, part, fix)


def _part_beside(path: Path, part: str) -> list[Path]:
    """Return the files of a part beside one of training, by their names or those of their folders."""
    name, folders = part_named(path), [path.parent]
    if part_of(path.absolute().parent.name) == "train":
        folders = [each for each in entries(path.absolute().parent.parent) if part_of(each.name) == part]
    elif "train" not in name:
        return []
    wanted = [word if word != "train" else part for word in name]
    inside = [each for folder in folders for each in entries(folder) if each.suffix == path.suffix]
    return [each for each in inside if part_named(each) == wanted]


def part_named(path: Path) -> list[str]:
    """Return the name of a file, or of a folder, in pieces, the word for the part as "train", "test" or "val"."""
    own = piece_of(path)
    pieces = re.split(r"([A-Za-z]+)", own.name if own else path.stem)
    return [PARTS.get(piece.lower(), piece) for piece in pieces]


def _is_stream(head: bytes) -> bool:
    length = int.from_bytes(head[4:8], "little")
    return head.startswith(NEXT) and 0 < length < 2**24 and length % 8 == 0


class _Parts:
    """The function `read` of a format."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def __call__(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        return _read_parts(self.reader, file, path, wanted)


READER: Final = Reader("Parquet", __name__)
"""Reads one file, in a child."""

FORMATS: Final = (
    Format(
        "Parquet", lambda head, path: head.startswith(PARQUET), _Parts(READER), extra="fnnet[formats]", columns=True,
        pieces=True, suffixes=(".parquet", ".pq"),
    ),
    Format(
        "Arrow", lambda head, path: head.startswith(FILE) or _is_stream(head), _Parts(Reader("Arrow", __name__)),
        extra="fnnet[formats]", columns=True, pieces=True, suffixes=(".arrow", ".feather", ".ipc"),
    ),
)  # fmt: skip
