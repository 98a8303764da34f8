"""Samples of more than 8 bits: scaled to bytes; refused where they were stored without scaling."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.opened import AnyPath
from fnnet.files.disk import refuse

SHARE: Final = 16
"""Samples of 8 bits in 12, or of 8 to 12 in 16, are no larger than this part of the largest; scaled to bytes, all but
16 of their levels would be lost."""
PLACE: Final = "the pixels"
DEEP: Final = 2**16 - 1


def check_depth(largest: int, most: int, path: AnyPath) -> None:
    """Raise DataError for an image whose largest sample shows that it was stored without scaling, or is nearly black.

    most   the largest that a sample may be.
    """
    if most > 255 and 0 < largest <= max(255, most // SHARE):
        expected, fix = f"samples up to {most:,}, or an image that is blank", "save it with 8 bits, or scaled"
        refuse("samples of more than 8 bits, nearly black", path, PLACE, expected, f"at most {largest:,}", fix)


def as_bytes(values: Array, most: int, path: AnyPath, light: bool = False) -> Array:
    """Return samples from 0 to `most` as bytes; DataError as `check_depth` raises it.

    light   True if 0 is white.
    """
    check_depth(int(values.max()), most, path)
    values = most - np.minimum(values, most) if light else values
    return ((values.astype(np.uint64) * 255 + most // 2) // most).astype(np.uint8)


class Largest:
    """The largest sample of 16 bits of an image that is read a strip at a time; opacity counts unless it is full."""

    def __init__(self) -> None:
        self.colour, self.alpha, self.clear = 0, 0, False

    def add(self, colours: Array, alpha: Array | None = None) -> None:
        """Take the samples of some pixels."""
        self.colour = max(self.colour, int(colours.max()))
        if alpha is not None:
            self.alpha = max(self.alpha, int(alpha.max()))
            self.clear = self.clear or bool(alpha.min() < DEEP)

    def check(self, path: AnyPath) -> None:
        """Raise DataError as `check_depth` does."""
        check_depth(max(self.colour, self.alpha) if self.clear else self.colour, DEEP, path)
