"""How pictures are turned: EXIF's orientation."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

TURNED: Final = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF's orientation -> quarter turns to the left, and whether the columns are then exchanged."""
ORIENTATION: Final = 274
SHORT, LONG = 3, 4
"""TIFF's types of whole numbers."""
MAX_EXIF: Final = 2**16
"""Bytes of EXIF, which JPEG limits to that."""
LEAST: Final = 14
"""Bytes of a header, the number of entries, and a part of the first."""
ENTRY: Final = 12


def orientation_in(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8; 1 if there is none, or if it is damaged.

    >>> orientation_in(b"MM\\0*\\0\\0\\0\\x08\\0\\1\\1\\x12\\0\\3\\0\\0\\0\\1\\0\\6\\0\\0")
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    little = exif.startswith(b"II*\0")
    if not (little or exif.startswith(b"MM\0*")) or len(exif) < LEAST:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], "little" if little else "big")

    start = number(4, 4)
    for at in range(start + 2, min(start + 2 + ENTRY * number(start, 2), len(exif) - ENTRY + 1), ENTRY):
        kind = number(at + 2, 2)
        if number(at, 2) == ORIENTATION and kind in (SHORT, LONG) and number(at + 4, 4) == 1:
            found = number(at + 8, 2 if kind == SHORT else 4)
            return found if found in TURNED else 1
    return 1


def turned(pixels: Array, orientation: int) -> Array:
    """Return pixels (rows, columns, ...) as EXIF's orientation says they are seen."""
    quarters, mirrored = TURNED.get(orientation, (0, False))
    pixels = np.rot90(pixels, quarters)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def is_on_its_side(orientation: int) -> bool:
    """Return True if rows are seen as columns."""
    return TURNED.get(orientation, (0, False))[0] % 2 == 1
