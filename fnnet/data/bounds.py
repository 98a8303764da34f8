"""How much a file may ask for before it is believed: what is built to explode is refused before memory is taken."""

from __future__ import annotations

import os
from typing import Final

from fnnet.errors import DataError

FREE: Final = 64 * 2**20
"""Bytes that any file may unpack to: the 60,000 images of MNIST are 47 million, even if all of them are empty."""
RATIO: Final = 100
"""Beyond FREE, bytes in memory for each byte on disk. EMNIST's 547 MB come from a fifth of that."""


def check_expansion(needed: int, packed: int, where: str | os.PathLike[str], place: str) -> None:
    """DataError if `packed` bytes of a file are to fill `needed` bytes of memory, more than FREE and RATIO to one."""
    if needed > FREE and needed > RATIO * packed:
        raise DataError(
            "unpacks to far more than it is",
            where=where,
            place=place,
            expected=f"at most {FREE:,} bytes or {RATIO} for each of its {packed:,}",
            found=f"{needed:,} bytes",
            fix="get the file anew from where it was made",
        )


def bytes_on_disk(descriptor: int) -> int:
    """The bytes that an open file takes on disk, at most its length: holes take none."""
    status = os.fstat(descriptor)
    blocks = getattr(status, "st_blocks", 0)  # some file systems do not count them
    return min(status.st_size, blocks * 512) if blocks else status.st_size
