"""Fill memory with the bytes of a file, by several threads where it is large: one copies 5 GB a second."""

from __future__ import annotations

import contextlib
import os
import threading
from io import BufferedReader
from typing import Final

from fnnet.limits import available_threads

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
    ends, failures = cuts[:-1], list[BaseException]()

    def read(number: int) -> None:
        try:
            while ends[number] < cuts[number + 1]:
                count = _read_at(file, payload, ends[number], cuts[number + 1])
                if not count:
                    return
                ends[number] += count
        except BaseException as error:
            failures.append(error)

    started: list[threading.Thread] = []
    with contextlib.suppress(RuntimeError):  # no more threads: this one reads their parts
        for number in range(1, len(ends)):
            thread = threading.Thread(target=read, args=(number,))
            thread.start()
            started.append(thread)
    for number in (0, *range(len(started) + 1, len(ends))):
        read(number)
    for thread in started:
        thread.join()
    if failures:
        raise failures[0]
    return next((end for end, cut in zip(ends, cuts[1:], strict=True) if end < cut), len(payload))


def _read_at(file: BufferedReader, payload: memoryview, first: int, last: int) -> int:
    """Read bytes of a file to where they belong, past its buffer; return how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [payload[first:last]], first)
    file.raw.seek(first, os.SEEK_SET)
    return file.raw.readinto(payload[first:last]) or 0
