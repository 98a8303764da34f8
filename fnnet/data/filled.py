"""Fill memory with the bytes of a file, by several threads where it is large: one copies 5 GB a second."""

from __future__ import annotations

import itertools
import os
from functools import partial
from io import BufferedReader
from typing import Final

from fnnet.limits import available_threads
from fnnet.threads import run_each

SHARE: Final = 2**23
"""Bytes that are worth a thread."""
MOST: Final = 4
"""More threads than this do not copy faster."""


def fill(file: BufferedReader, payload: memoryview) -> int:
    """Read a file from its start into `payload`; return how many bytes there were, at most as many as it has.

    Past the buffer: another program may have written since it was filled.
    Raises   OSError as reading does.
    """
    worth = min(MOST, len(payload) // SHARE) if hasattr(os, "preadv") else 1
    threads = min(worth, available_threads()) if worth > 1 else 1  # files of the system say how many: 0.4 ms
    cuts = [len(payload) * number // threads for number in range(threads + 1)]
    parts = list(itertools.pairwise(cuts))
    ends = run_each([partial(_fill_part, file, payload, *part) for part in parts], threads)
    return next((end for end, (_, last) in zip(ends, parts, strict=True) if end < last), len(payload))


def _fill_part(file: BufferedReader, payload: memoryview, first: int, last: int) -> int:
    """Read bytes of a file to where they belong; return where they end, before `last` if the file does."""
    while first < last and (count := _read_at(file, payload, first, last)):
        first += count
    return first


def _read_at(file: BufferedReader, payload: memoryview, first: int, last: int) -> int:
    """Read bytes of a file to where they belong, past its buffer; return how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [payload[first:last]], first)
    file.raw.seek(first, os.SEEK_SET)
    return file.raw.readinto(payload[first:last]) or 0
