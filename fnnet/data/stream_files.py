"""Files of a stream, of one array each, which are compared with the index piece by piece, as they are first read.

A check that reads a whole file before its first image costs another pass over it: with SHA-256 1.2 of the 2.5 seconds
of processors that an epoch of 1.2 million images takes at 784-10-10. CRC-32 finds every error within 32 neighbouring
bits, and misses one of 4 billion others; it does not guard against someone who means harm.
"""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np

from fnnet.core.params import Array
from fnnet.data.opened import Opened
from fnnet.data.stream_index import AGAIN, PIECE, File
from fnnet.errors import counted
from fnnet.files.disk import refuse

DAMAGED: Final = f"{AGAIN}; or leave damaged files out: --skip-damaged"


class Stored:
    """A file of one array, whose header and size are as the index says.

    dtype   of its numbers.
    """

    def __init__(self, path: Path, file: File, start: int, dtype: np.dtype[Any], size: int) -> None:
        """`start` is the byte that its numbers start at, `size` the number of its bytes."""
        self.path, self.dtype = path, dtype
        self._start, self._size, self._sums = start, size, bytes.fromhex(file.crc32)
        self._stamp: tuple[int, ...] = ()
        self._sure: set[int] = set()

    def read(self, first: int, into: Array) -> None:
        """Read numbers from number `first` on into an array (n,) of their dtype.

        Raises   DataError for a piece that is not as the index has it, or a file that was cut.
        """
        view = into.view(np.uint8).data
        start = at = self._start + first * self.dtype.itemsize
        with Opened(self.path) as file:
            self._look(file)
            while at < start + len(view):
                stop = min((at // PIECE + 1) * PIECE, start + len(view))
                self._piece(file, at, view[at - start : stop - start])
                at = stop

    def check(self) -> None:
        """Read all of the file, and raise DataError if it is damaged."""
        with Opened(self.path) as file:
            self._look(file)
            for at in range(0, self._size, PIECE):
                self._piece(file, at, memoryview(bytearray(min(PIECE, self._size - at))))

    def _look(self, file: BufferedReader) -> None:
        """Trust no piece of a file that was written since it was read."""
        stamp = stamp_of(os.fstat(file.fileno()))
        if stamp != self._stamp:
            self._stamp, self._sure = stamp, set()

    def _piece(self, file: BufferedReader, at: int, into: memoryview) -> None:
        """Read bytes of one piece, from byte `at` of the file on; all of it if its sum is still to be compared."""
        piece = at // PIECE
        first = piece * PIECE
        size = min(PIECE, self._size - first)
        if piece in self._sure:
            self._fill(file, at, into)
            return
        whole = into if len(into) == size else memoryview(bytearray(size))
        self._fill(file, first, whole)
        expected, found = self._sums[4 * piece : 4 * piece + 4].hex(), f"{crc32(whole):08x}"
        if found != expected:
            expected, place = f"CRC-32 {expected}, as the index has it", f"bytes {first:,} to {first + size - 1:,}"
            refuse("damaged file", self.path, place, expected, found, DAMAGED)
        self._sure.add(piece)
        if whole is not into:
            into[:] = whole[at - first : at - first + len(into)]

    def _fill(self, file: BufferedReader, at: int, view: memoryview) -> None:
        file.seek(at)
        filled = 0
        while filled < len(view) and (count := file.readinto(view[filled:])):
            filled += count
        if filled < len(view):
            expected, place = counted(len(view), "byte"), f"byte {file.tell()}"
            refuse("file too short", self.path, place, expected, f"{filled:,}", DAMAGED)


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells that a file was written."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
