"""Dark ink or light ink? By the border, and by the local contrast: ink differs much from what is around it, in few
pixels; the ground differs less, in many."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.light import otsu
from fnnet.data.photo.reduced import reduced

LONGEST: Final = 128
"""Pixels of the longer side of the picture whose local contrast is judged, at most."""
AROUND: Final = 6
"""What is around a pixel reaches 1/6 of the longer side each way."""
OFFSET: Final = 8
"""Added to grey before its logarithm is taken: that of black is finite."""
OCTAVE: Final = 512
"""Parts of the logarithm to base 2: ink in a shadow and in the light differ from the ground by as much."""
LOGARITHMS: Final = np.rint(np.log2(np.arange(256) + OFFSET) * OCTAVE).astype(np.int64)


def dark_by_border(grey: Array) -> bool:
    """Return True if the border is light, so that the ink is dark: more than half of it is above Otsu's threshold."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return 2 * int((edge > otsu(grey)).sum()) > len(edge)


def dark_by_contrast(grey: Array) -> bool:
    """Return True if the third moment of the local contrast is not positive, so that the ink is dark."""
    small = reduced(grey, -(-max(grey.shape) // LONGEST))
    x = LOGARITHMS[small]
    sums, count = around(x, max(1, max(x.shape) // AROUND))
    contrast = (x * count - sums) // count
    return int((contrast**3).sum()) <= 0


def around(x: Array, reach: int) -> tuple[Array, Array]:
    """Return the sum of the numbers within `reach` of each, both ways, and how many there are, within the picture."""
    count = np.ones((1, 1), np.int64)
    for axis in (0, 1):
        n = x.shape[axis]
        sums = np.insert(x.cumsum(axis=axis), 0, 0, axis=axis)
        low, high = np.maximum(np.arange(n) - reach, 0), np.minimum(np.arange(n) + reach + 1, n)
        x = sums.take(high, axis=axis) - sums.take(low, axis=axis)
        count = count * (high - low).reshape((n, 1) if axis == 0 else (1, n))
    return x, count
