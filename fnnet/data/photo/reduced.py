"""A picture as grey bytes, reduced by a whole factor: blocks of pixels are averaged."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

LUMA: Final = (19595, 38470, 7471)
"""ITU-R 601 in parts of 2**16, as Pillow and libjpeg have it."""
WHOLE: Final = 2**16
STRIP: Final = 2**20
"""Values that are summed at a time."""


def reduced(image: Array, factor: int) -> Array:
    """Return the luma of blocks of `factor` x `factor` pixels, rounded, uint8; what is left of a block is left out.

    image   uint8 (height, width) or (height, width, 3), red, green and blue.

    >>> reduced(np.uint8([[0, 2, 9], [4, 8, 9]]), 2)
    array([[4]], dtype=uint8)
    """
    height, width = (max(1, size // factor) for size in image.shape[:2])
    down, across = (min(factor, size) for size in image.shape[:2])
    out = np.empty((height, width), np.uint8)
    rows = max(1, STRIP // (image[0].size * down))
    for top in range(0, height, rows):
        strip = image[top * down : (top + rows) * down][: (height - top) * down, : width * across]
        out[top : top + rows] = _averaged(strip, down, across)
    return out


def _averaged(strip: Array, down: int, across: int) -> Array:
    height, width = strip.shape[0] // down, strip.shape[1] // across
    sums = strip.reshape(height, down, -1).sum(axis=1, dtype=np.uint32)
    blocks = sums.reshape(height, width, across, -1).sum(axis=2, dtype=np.int64)
    weights = np.array(LUMA if blocks.shape[2] == 3 else (WHOLE,))
    count = WHOLE * down * across
    averages: Array = ((blocks * weights).sum(axis=2) + count // 2) // count
    return averages.astype(np.uint8)
