"""Streams in folders that `fnnet data expand` writes: see `stream_index` for what lies there.

Names and sizes of all files are checked when a folder is opened, and the SHA-256 of each before it is read for the
first time, and again if it has been written since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple

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
from fnnet.data.stream_index import AGAIN, File, Index, Shard, is_stream, read_index
from fnnet.errors import DataError, FnnetError, counted
from fnnet.files.disk import refuse

PIECE: Final = 2**20
LABELS: Final = ("|u1", "<u2", "<u4")
DAMAGED: Final = f"{AGAIN}; or leave damaged files out: --skip-damaged"
SHOWN: Final = 5
"""Names of files in a note."""


class _Stored(NamedTuple):
    """A file of one array: where its numbers start, and what they are."""

    file: File
    start: int
    dtype: np.dtype[Any]


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
    whole: list[Shards] = []
    kept, errors = [], {}
    for shard in shards:
        try:
            whole.append(Shards(folder, [shard], pixels, classes))
            whole[-1].check()
            kept.append(shard)
        except FnnetError as error:
            errors[shard.images.name] = error
    if not kept:
        raise next(iter(errors.values()))
    left_out = tuple(errors)
    found = Shards(folder, kept, pixels, classes, left_out)
    found.checked = {name: stamp for each in whole for name, stamp in each.checked.items()}
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
    checked   files whose bytes have been found to be those of the index, and what tells that they were written since.
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
        self._stored = [
            (
                self._check(shard.images, (shard.size, pixels), ("|u1",)),
                self._check(shard.labels, (shard.size,), LABELS),
            )
            for shard in shards
        ]
        self.checked: dict[str, tuple[int, ...]] = {}

    def _check(self, file: File, shape: tuple[int, ...], kinds: Sequence[str]) -> _Stored:
        """Return where the numbers of a file start, which its header and its size must agree with."""
        path = self._folder / file.name
        with Opened(path) as opened:
            size = os.fstat(opened.fileno()).st_size
            header = read_header(opened, size, path, path.stem, "NPY", DAMAGED)
        if header.shape != shape or header.dtype.str not in kinds or (header.fortran and len(shape) > 1):
            order = ", in Fortran's order" if header.fortran else ""
            expected, found = f"{shape} of {' or '.join(kinds)}", f"{header.shape} of {header.dtype.str}{order}"
            refuse("differs from the index", path, "the header", expected, found, DAMAGED)
        return _Stored(file, header.start, header.dtype)

    def check(self) -> None:
        """Read all files, and raise DataError for one that is damaged."""
        for stored in self._stored:
            for each in stored:
                self._with(each, lambda file: None)

    def read(self, piece: int, first: int, stop: int, x: Array, labels: Array) -> None:
        """Do as `Stream.read`."""
        images, numbers = self._stored[piece]
        self._fill(images, first * self.pixels, x.reshape(-1))
        stored = np.empty(stop - first, numbers.dtype)
        self._fill(numbers, first, stored)
        if len(stored) and stored.max() >= self._classes:
            at = int((stored >= self._classes).argmax())
            expected, path = f"0 to {self._classes - 1}", self._folder / numbers.file.name
            refuse("label out of range", path, f"image {first + at + 1}", expected, int(stored[at]), DAMAGED)
        labels[:] = stored

    def _fill(self, stored: _Stored, first: int, into: Array) -> None:
        """Read the numbers of a file from number `first` on."""

        def read(file: BufferedReader) -> None:
            file.seek(stored.start + first * stored.dtype.itemsize)
            view, filled = into.view(np.uint8).data, 0
            while filled < len(view) and (count := file.readinto(view[filled:])):
                filled += count
            if filled < len(view):
                path = self._folder / stored.file.name
                refuse(
                    "file too short", path, f"byte {file.tell()}", counted(len(view), "byte"), f"{filled:,}", DAMAGED
                )

        self._with(stored, read)

    def _with(self, stored: _Stored, work: Callable[[BufferedReader], None]) -> None:
        """Do `work` with a file, which is checked if it has not been yet, or was written since."""
        name, path = stored.file.name, self._folder / stored.file.name
        with Opened(path) as file:
            status = os.fstat(file.fileno())
            stamp = stamp_of(status)
            if self.checked.get(name) != stamp:
                found = digest_of_file(file)
                if found != stored.file.sha256:
                    expected = f"SHA-256 {stored.file.sha256[:12]}..., as the index has it"
                    refuse("damaged file", path, "its bytes", expected, f"{found[:12]}...", DAMAGED)
                self.checked[name] = stamp
            work(file)


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells that a file was written."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def digest_of_file(file: BufferedReader) -> str:
    """Return the SHA-256 of the rest of a file."""
    digest, buffer = hashlib.sha256(), bytearray(PIECE)
    while count := file.readinto(buffer):
        digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()
