"""Fill an array with the bytes of a file, by several threads where it is large: one copies 5 GB a second."""

from __future__ import annotations

import os
import threading
from io import BufferedReader
from typing import Final

from fnnet.core.params import Array
from fnnet.limits import available_threads

SHARE: Final = 2**23
"""Bytes that are worth a thread."""
MOST: Final = 4
"""More threads than this do not copy faster."""


def fill(file: BufferedReader, payload: Array) -> int:
    """Read a file from its start into `payload`, uint8 (n,); return how many bytes there were, at most n.

    Past the buffer: another program may have written since it was filled.
    Raises   OSError as reading does.
    """
    threads = min(MOST, available_threads(), len(payload) // SHARE) if hasattr(os, "preadv") else 1
    cuts = [len(payload) * number // max(1, threads) for number in range(max(1, threads) + 1)]
    ends, failures = cuts[:-1], list[BaseException]()

    def read(number: int) -> None:
        try:
            while ends[number] < cuts[number + 1]:
                count = os.preadv(file.fileno(), [payload.data[ends[number] : cuts[number + 1]]], ends[number])
                if not count:
                    return
                ends[number] += count
        except BaseException as error:
            failures.append(error)

    others = [threading.Thread(target=read, args=(number,)) for number in range(1, len(ends))]
    started = []
    try:
        for each in others:
            each.start()
            started.append(each)
    except RuntimeError:  # no more threads: this one reads their parts
        pass
    _read_alone(file, payload, cuts[0], cuts[1], ends)
    for each in started:
        each.join()
    for number in range(len(started) + 1, len(ends)):
        read(number)
    if failures:
        raise failures[0]
    return next((end for end, cut in zip(ends, cuts[1:], strict=True) if end < cut), len(payload))


def _read_alone(file: BufferedReader, payload: Array, first: int, last: int, ends: list[int]) -> None:
    file.raw.seek(first, os.SEEK_SET)
    while ends[0] < last and (count := file.raw.readinto(payload.data[ends[0] : last])):
        ends[0] += count
