"""Row groups of Parquet files, read in a child that stays; the files are hashed when they are opened, and are the same
as long as they are read.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple

from fnnet.data.arrow import READER
from fnnet.data.child import Child, kept
from fnnet.data.opened import AGAIN, Opened
from fnnet.data.reader import DECODED, GROUPS, IMAGES, LABELS, Content, Wanted
from fnnet.data.stream_files import stamp_of
from fnnet.errors import FnnetError
from fnnet.files.disk import refuse

CHANGED: Final = "written since it was opened"
BUFFER: Final = 2**20
CHUNK: Final = 2**24
"""Bytes of images that are read at a time."""


class Group(NamedTuple):
    """A row group.

    file     the number of its file.
    number   of the group in the file, from 0.
    size     its rows.
    """

    file: int
    number: int
    size: int


class Files:
    """Parquet files that are pieces of one set.

    It can be pickled: each process reads by a child of its own.

    paths     of the files.
    digests   the SHA-256 of each, once `open` was called.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths, self.digests = tuple(paths), [""] * len(paths)
        self._stamps: list[tuple[int, ...]] = [()] * len(paths)
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock, self._children = threading.RLock(), list[Child]()
        weakref.finalize(self, _close, self._children)

    def __getstate__(self) -> dict[str, Any]:
        """Return what other processes need."""
        return {name: value for name, value in vars(self).items() if name not in ("_process", "_lock", "_children")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be as before, with a child of its own."""
        vars(self).update(state)
        self._begin()

    def groups(self, number: int) -> list[Group]:
        """Return the row groups of a file that have rows."""
        sizes = self._read(number, Wanted(True, only=GROUPS)).labels
        assert sizes is not None
        return [Group(number, group, size) for group, size in enumerate(sizes.tolist()) if size]

    def labels(self, groups: Sequence[Group], wanted: Wanted) -> Content:
        """Return the labels in row groups of one file, in their order, as a content of images without pixels."""
        numbers = tuple(group.number for group in groups)
        return self._read(groups[0].file, wanted._replace(only=LABELS, groups=numbers))

    def decode(self, group: Group, wanted: Wanted) -> None:
        """Decode the labels of a row group, whatever they are; raise DataError, naming it, unless they are whole."""
        try:
            self._read(group.file, wanted._replace(only=DECODED, groups=(group.number,)))
        except FnnetError as error:
            raise self.named(error, group) from None

    def images(self, group: Group, rows: Sequence[tuple[int, int]], wanted: Wanted) -> Content:
        """Return the images in rows of a row group, as `Wanted.rows` has them; the content's labels mean nothing.

        Raises   DataError naming file and row group.
        """
        one = wanted._replace(only=IMAGES, images_alone=True, groups=(group.number,), rows=tuple(rows))
        try:
            return self._read(group.file, one)
        except FnnetError as error:
            raise self.named(error, group) from None

    def named(self, error: FnnetError, group: Group) -> FnnetError:
        """Return the same error at a row group."""
        path = str(self.paths[group.file])
        inside = error.where.removeprefix(path).removeprefix(": ")  # a picture in a cell has its place for a name
        places = (f"row group {group.number + 1}", inside, error.place.removeprefix("the file"))
        parts: dict[str, Any] = {"expected": error.expected, "found": error.found, "fix": error.fix}
        return type(error)(error.problem, where=path, place=", ".join(filter(None, places)), **parts)

    def _read(self, number: int, wanted: Wanted) -> Content:
        path = self.paths[number]
        if self._process != os.getpid():  # it forked, perhaps while a thread had the lock
            self._begin()
        with self._lock, kept(self._children), Opened(path) as file:
            self._check(number, file)
            return READER(file, path, wanted)

    def _check(self, number: int, file: BufferedReader) -> None:
        """Raise DataError if a file has been written since it was opened, with other bytes."""
        stamp = stamp_of(os.fstat(file.fileno()))
        if self._stamps[number] == stamp:
            return
        found, known = digest_of_file(file), self.digests[number]
        file.seek(0)
        if known and found != known:
            path, expected = self.paths[number], f"SHA-256 {known[:12]}..., as when it was opened"
            refuse(CHANGED, path, "its bytes", expected, f"{found[:12]}...", AGAIN)
        self.digests[number], self._stamps[number] = found, stamp


def digest_of_file(file: BufferedReader) -> str:
    """Return the SHA-256 of the rest of a file."""
    digest, buffer = hashlib.sha256(), bytearray(BUFFER)
    while count := file.readinto(buffer):
        digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()


def _close(children: list[Child]) -> None:
    for child in children:
        child.close()


def steps(size: int, pixels: int) -> list[tuple[int, int]]:
    """Return the rows that are read at a time, of `size` rows: each first, and that behind the last."""
    most = max(1, CHUNK // max(1, pixels))
    return [(first, min(first + most, size)) for first in range(0, size, most)]


def digest_of(files: Files, groups: Sequence[Group], *more: bytes) -> str:
    """Return a digest of row groups of files, which changes if any byte of these files does."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(f"{files.digests[group.file]},{group.number},{group.size};".encode())
    for each in more:
        digest.update(each)
    return digest.hexdigest()
