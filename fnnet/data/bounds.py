"""Limits on what a file may unpack to: a decompression bomb is refused before memory is allocated."""

from __future__ import annotations

import os
from typing import Final

from fnnet.files.disk import refuse

FREE: Final = 64 * 2**20
"""Bytes that any file may unpack to: the 60,000 images of MNIST take 47 million, even if all of them are empty."""
RATIO: Final = 100
"""Above FREE, bytes in memory for each byte on disk. The 547 MB of EMNIST are stored in a fifth of that."""


def check_expansion(needed: int, packed: int, where: str | os.PathLike[str], place: str) -> None:
    """Raise DataError if `packed` bytes on disk would fill `needed` bytes of memory, above both FREE and RATIO."""
    if needed > FREE and needed > RATIO * packed:
        expected = f"at most {FREE:,} bytes or {RATIO} for each of its {packed:,}"
        fix = "fetch the file again from its source"
        refuse("expands to far more than its size on disk", where, place, expected, f"{needed:,} bytes", fix)


def bytes_on_disk(descriptor: int) -> int:
    """Return the bytes that an open file takes on disk, at most its length: holes take none."""
    status = os.fstat(descriptor)
    blocks = getattr(status, "st_blocks", 0)  # some file systems do not count them
    return min(status.st_size, blocks * 512) if blocks else status.st_size
