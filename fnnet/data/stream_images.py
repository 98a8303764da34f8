"""Images to predict that are read piece by piece: of Parquet files, and of folders that `fnnet data expand` writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Preprocessing
from fnnet.data import parquet_stream
from fnnet.data.arrow import PARQUET
from fnnet.data.from_path import BINARY, images_to_predict
from fnnet.data.listing import entries
from fnnet.data.notes import Note
from fnnet.data.parquet_files import Files, Group, steps
from fnnet.data.parquet_stream import SUFFIXES, check_ranges, joined_sample, kind_of, sampled
from fnnet.data.ranges import scaled_from
from fnnet.data.reader import Content, Wanted, size
from fnnet.data.stream_folder import open_stream
from fnnet.data.stream_index import is_stream
from fnnet.errors import DataError, UsageError
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
            inside = [str(each) for each in entries(path) if each.suffix in SUFFIXES]
            if not inside:
                return []
            found += inside
        elif path.is_dir() or (path.is_file() and read_head(path, len(PARQUET)) == PARQUET):
            found.append(file)
        else:
            return []
    named = found == [*files] and not any(map(os.path.isdir, found))
    return [] if named and sum(map(os.path.getsize, found)) < parquet_stream.LARGE else found


class ParquetImages:
    """The images in a Parquet file, read as `images_to_predict` reads them; those of another kind than the first that
    are looked at are refused.

    images   their number.
    notes    on how the file is read.
    ranges   those that its pixels are scaled from.
    """

    def __init__(
        self, path: str, shape: tuple[int, int], preprocessing: Preprocessing, columns: dict[str, Any]
    ) -> None:
        self.path, self._shape, self._preprocessing, self._columns = path, shape, preprocessing, columns
        self._files = Files([Path(path)])
        self._groups = self._files.groups(0)
        self.images = sum(group.size for group in self._groups)
        if not self.images:
            refuse("empty dataset", path, "the row groups", "at least 1 row", "0 rows", "leave the file out")
        self._kind = kind_of(Content(np.empty((0, 0), np.uint8), None, (0, 0)))
        read = images_to_predict(path, shape, preprocessing, **columns, reader=self._look)
        self.notes, self.ranges = read.notes, scaled_from(read.pixel_ranges)
        for note in self.notes:
            if note.code == BINARY:
                raise DataError(str(note))  # no image in it is blank for sure

    def _look(self, path: Any, wanted: Wanted) -> Content:
        content = joined_sample([*sampled(self._files, self._groups, wanted)], self.path)
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
        content = self._files.images(group, [rows], wanted._replace(pixel_range=self._kind.pixel_range))
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
    path: str, shape: tuple[int, int], preprocessing: Preprocessing, columns: dict[str, Any]
) -> ParquetImages | StreamImages:
    """Open what `streamed` returns; arguments as those of `images_to_predict`, those about columns in a mapping."""
    if os.path.isdir(path):
        if said := [name for name, value in columns.items() if value]:
            expected, found = "files", f"{path}, a stream, which says it itself"
            where = f"--{said[0].replace('_', '-')}"
            raise UsageError("has no effect", where=where, expected=expected, found=found)
        return StreamImages(path, shape)
    return ParquetImages(path, shape, preprocessing, columns)
