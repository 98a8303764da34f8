"""Images to predict that are read piece by piece: of Parquet files, and of folders that `fnnet data expand` writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data import parquet_folder
from fnnet.data.arrow import FORMATS, PARQUET
from fnnet.data.binary import BINARY
from fnnet.data.from_path import images_to_predict
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.parquet_files import Files, Group, steps
from fnnet.data.parquet_folder import files_of
from fnnet.data.parquet_kind import check_ranges, kind_of, sampled
from fnnet.data.preprocess import AUTOMATIC
from fnnet.data.ranges import scaled_from
from fnnet.data.reader import DOUBTFUL, Content, Wanted, read_as, size
from fnnet.data.stream_folder import open_stream
from fnnet.data.stream_index import is_stream
from fnnet.errors import UsageError
from fnnet.files.disk import read_head, refuse


class Batch(NamedTuple):
    """Images that follow one another in a file.

    file    its path.
    first   the number of the first, from 0.
    x       as a network takes them, uint8 (n, pixels).
    """

    file: str
    first: int
    x: Array


def streamed(files: Sequence[str]) -> list[str]:
    """Return the Parquet files and folders of streams to predict piece by piece, in order; none if files are others, or
    Parquet that is small.
    """
    found: list[str] = []
    for file in files:
        path = Path(file)
        if path.is_dir() and not is_stream(path):
            inside = files_of(path)
            if not inside:
                return []
            found += map(str, inside)
        elif path.is_dir() or (path.is_file() and read_head(path, len(PARQUET)) == PARQUET):
            found.append(file)
        else:
            return []
    named = found == [*files] and not any(map(os.path.isdir, found))
    return [] if named and sum(map(os.path.getsize, found)) < parquet_folder.LARGE else found


class ParquetImages:
    """The images in a Parquet file, read as `images_to_predict` reads them; those of another kind than the first that
    are looked at are refused.

    images   their number.
    notes    on how the file is read.
    ranges   those that its pixels are scaled from.
    """

    def __init__(
        self,
        path: str,
        files: Files,
        number: int,
        shape: tuple[int, int],
        preprocessing: Preprocessing,
        columns: dict[str, Any],
    ) -> None:
        self.path, self._shape, self._preprocessing, self._columns = path, shape, preprocessing, columns
        self._files, self._number, self._groups = files, number, list[Group]()
        self._kind = kind_of(Content(np.empty((0, 0), np.uint8), None, (0, 0)))
        read = images_to_predict(path, shape, preprocessing, **columns, reader=self._look)
        self.images = sum(group.size for group in self._groups)
        self.notes, self.ranges = read.notes, scaled_from(read.pixel_ranges)
        if any(note.code == BINARY for note in self.notes):  # no image in it is blank for sure
            expected, fix = "pixels that show what is ink", "multiply them by 255 if 1 is"
            refuse(DOUBTFUL, path, "the images", expected, "0 and 1", fix)

    def _look(self, path: Any, wanted: Wanted) -> Content:
        return read_as((FORMATS[0]._replace(read=self._sample),), path, wanted)

    def _sample(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        self._groups = self._groups or self._files.groups(self._number)
        if not self._groups:
            refuse("empty dataset", path, "the row groups", "at least 1 row", "0 rows", "leave the file out")
        content = sampled(self._files, self._groups, wanted)[self._number]
        self._kind = kind_of(content)
        return content

    def __iter__(self) -> Iterator[Batch]:
        """Yield all images in their order."""
        at = 0
        for group in self._groups:
            for first, stop in steps(group.size, self._shape[0] * self._shape[1]):
                rows = (first, stop)
                reader = partial(self._read, group, rows)
                found = images_to_predict(self.path, self._shape, self._preprocessing, **self._columns, reader=reader)
                yield Batch(self.path, at + first, found.x)
            at += group.size

    def _read(self, group: Group, rows: tuple[int, int], path: Any, wanted: Wanted) -> Content:
        wanted = wanted._replace(pixel_range=self._kind.pixel_range, sure=True)
        content = self._files.images(group, [rows], wanted)
        place = f"row group {group.number + 1}, rows {rows[0] + 1} to {rows[1]}"
        check_ranges(kind_of(content), self._kind, self._preprocessing, path, place)
        return content


class StreamImages:
    """The images for training in the folder of a stream; fields as those of `ParquetImages`.

    Raises   DataError for images of another size than `shape`.
    """

    notes: tuple[Note, ...] = ()
    ranges: tuple[str, ...] = ()

    def __init__(self, path: str, shape: tuple[int, int]) -> None:
        found = open_stream(path)
        if found.image_shape != shape:
            problem, expected = "image size does not fit the model", f"{size(shape)}, as the model was trained"
            fix = "train a model for theirs, or expand images of that size"
            refuse(problem, path, "the index", expected, size(found.image_shape), fix)
        self.path, self._train, self.images = path, found.train, found.train.images

    def __iter__(self) -> Iterator[Batch]:
        """Yield all images in their order."""
        for piece, (name, count) in enumerate(zip(self._train.names, self._train.sizes, strict=True)):
            for first, stop in steps(count, self._train.pixels):
                x, labels = np.empty((stop - first, self._train.pixels), np.uint8), np.empty(stop - first, np.int64)
                self._train.read(piece, first, stop, x, labels)
                yield Batch(os.path.join(self.path, name), first, x)


def open_images(
    paths: Sequence[str], shape: tuple[int, int], preprocessing: Preprocessing, columns: dict[str, Any]
) -> list[ParquetImages | StreamImages]:
    """Open what `streamed` returns; arguments as those of `images_to_predict`, those about columns in a mapping.

    One child reads all Parquet files.
    """
    tables = [path for path in paths if not os.path.isdir(path)]
    files, found = Files([*map(Path, tables)]), list[ParquetImages | StreamImages]()
    for path in paths:
        if os.path.isdir(path):
            _check_unsaid(columns, path)
            found.append(StreamImages(path, shape))
        else:
            found.append(ParquetImages(path, files, tables.index(path), shape, preprocessing, columns))
    return found


def _check_unsaid(columns: dict[str, Any], path: str) -> None:
    """Raise UsageError for an option about columns, of a stream."""
    if said := [name for name, value in columns.items() if value != getattr(AUTOMATIC, name)]:
        expected, found = "files", f"{path}, a stream, which says it itself"
        where = f"--{said[0].replace('_', '-')}"
        raise UsageError("has no effect", where=where, expected=expected, found=found)
