"""Streams in folders that `fnnet data expand` writes: see `stream_index` for what lies there.

Names and sizes of all files are checked when a folder is opened, and their bytes as they are read: see `stream_files`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples
from fnnet.data.arguments import check_flag, check_path
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.npy import read_header
from fnnet.data.opened import Opened
from fnnet.data.origin import Origin
from fnnet.data.stream import Stream, StreamedDataset
from fnnet.data.stream_files import DAMAGED, Stored
from fnnet.data.stream_index import AGAIN, PIECE, File, Index, Shard, is_stream, read_index
from fnnet.errors import DataError, FnnetError, counted
from fnnet.files.disk import refuse

LABELS: Final = ("|u1", "<u2", "<u4")
SHOWN: Final = 5
"""Names of files in a note."""


def open_stream(
    path: str | os.PathLike[str], *, skip_damaged: bool = False, notify: Notify = lambda notice: None
) -> StreamedDataset:
    """Open the folder of a stream, as `fnnet data expand` writes it, for training.

    skip_damaged   True to read all files now, and to leave those of training out that are damaged or not there: what is
                   left is as a stream that never had them.
    notify         called with a note of what is left out.
    Raises   DataError or StorageError naming the file; without `skip_damaged`, for files whose sizes are as they should
             be, not before they are read.

    >>> from fnnet import data
    >>> from fnnet.data.expand import expand
    >>> expand(data.load("digits"), "digits-3", 3).shards
    1
    >>> data.open_stream("digits-3")
    StreamedDataset(digits-3, 4,311 train, 360 test images of 28x28, 10 classes)
    """
    skip_damaged = check_flag("skip_damaged", skip_damaged)
    folder = Path(os.fsdecode(check_path(path, "no folder", "the path of a folder", "name one folder")))
    if not is_stream(folder):
        expected, fix = "the folder of a stream", "make one: fnnet data expand"
        refuse("not a stream", folder, "index.json", expected, "another file or none", fix)
    index = read_index(folder)
    train, notes = _train(folder, index, skip_damaged)
    dev, test = (_loaded(folder, index, part) for part in ("dev", "test"))
    for note in notes:
        notify(note)
    about = (index.classes, index.image_shape, index.preprocessing, tuple(notes), index.numbered, Origin(str(folder)))
    return StreamedDataset(folder.resolve().name, str(path), train, dev, test, *about)


def _train(folder: Path, index: Index, skip_damaged: bool) -> tuple[Shards, list[Note]]:
    shards, pixels, classes = index.parts["train"], _pixels(index), len(index.classes)
    if not skip_damaged:
        return Shards(folder, shards, pixels, classes), []
    kept, stored, errors = [], [], {}
    for shard in shards:
        try:
            alone = Shards(folder, [shard], pixels, classes)
            alone.check()
            kept.append(shard)
            stored += alone.stored
        except FnnetError as error:
            errors[shard.images.name] = error
    if not kept:
        raise next(iter(errors.values()))
    left_out = tuple(errors)
    found = Shards(folder, kept, pixels, classes, left_out)
    found.stored = stored  # which know that they are whole
    if not left_out:
        return found, []
    names = ", ".join(left_out[:SHOWN]) + (", ..." if len(left_out) > SHOWN else "")
    images = counted(sum(shard.size for shard in shards if shard.images.name in errors), "image")
    text = f"{counted(len(errors), 'damaged file')} left out, {images}: {names} ({next(iter(errors.values()))})"
    return found, [Note("left-out", f"{folder}: {text}")]


def _loaded(folder: Path, index: Index, part: str) -> Examples | None:
    """Return the images of a part other than that of training; None if there is none."""
    if part not in index.parts:
        return None
    (shard,) = index.parts[part]
    try:
        (found,) = Shards(folder, [shard], _pixels(index), len(index.classes)).batches(shard.size)
    except DataError as error:
        raise error.at(error.where, fix=AGAIN) from None
    return Examples(freeze(found.x), freeze(found.labels))


def _pixels(index: Index) -> int:
    return index.image_shape[0] * index.image_shape[1]


class Shards(Stream):
    """Shards in a folder, whose sizes are as the index says.

    classes   how many there are.
    stored    the files of each shard, of images and of labels.
    """

    def __init__(
        self, folder: Path, shards: Sequence[Shard], pixels: int, classes: int, left_out: tuple[str, ...] = ()
    ) -> None:
        self._folder, self._classes, self.pixels, self.left_out = folder, classes, pixels, left_out
        self.sizes = tuple(shard.size for shard in shards)
        self.names = tuple(shard.images.name for shard in shards)
        self.counts = tuple(map(sum, zip(*(shard.counts for shard in shards), strict=True)))
        digest = hashlib.sha256(f"{pixels}".encode())
        for shard in shards:
            digest.update(f",{shard.size},{shard.images.sha256},{shard.labels.sha256}".encode())
        self.fingerprint = digest.hexdigest()
        self.stored = [
            (
                self._check(shard.images, (shard.size, pixels), ("|u1",)),
                self._check(shard.labels, (shard.size,), LABELS),
            )
            for shard in shards
        ]

    def _check(self, file: File, shape: tuple[int, ...], kinds: Sequence[str]) -> Stored:
        """Return a file, which its header and its size must agree with."""
        path = self._folder / file.name
        with Opened(path) as opened:
            size = os.fstat(opened.fileno()).st_size
            header = read_header(opened, size, path, path.stem, "NPY", DAMAGED)
        if header.shape != shape or header.dtype.str not in kinds or (header.fortran and len(shape) > 1):
            order = ", in Fortran's order" if header.fortran else ""
            expected, found = f"{shape} of {' or '.join(kinds)}", f"{header.shape} of {header.dtype.str}{order}"
            refuse("differs from the index", path, "the header", expected, found, DAMAGED)
        pieces = len(file.crc32) // 8
        if pieces != -(-size // PIECE):
            expected = f"as many as in the index: {pieces}"
            refuse("differs from the index", path, f"pieces of {PIECE:,} bytes", expected, -(-size // PIECE), DAMAGED)
        return Stored(path, file, header.start, header.dtype, size)

    def check(self) -> None:
        """Read all files, and raise DataError for one that is damaged."""
        for stored in self.stored:
            for each in stored:
                each.check()

    def read(self, piece: int, first: int, stop: int, x: Array, labels: Array) -> None:
        """Do as `Stream.read`."""
        images, numbers = self.stored[piece]
        images.read(first * self.pixels, x.reshape(-1))
        stored = np.empty(stop - first, numbers.dtype)
        numbers.read(first, stored)
        if len(stored) and stored.max() >= self._classes:
            at = int((stored >= self._classes).argmax())
            expected = f"0 to {self._classes - 1}"
            refuse("label out of range", numbers.path, f"image {first + at + 1}", expected, int(stored[at]), DAMAGED)
        labels[:] = stored
