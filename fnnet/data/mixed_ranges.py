"""Images of one set that were stored in several ranges: half of them from 0 to 31, say, and half from 0 to 255.

The largest pixels of photos and of ink of any grey are spread evenly; those of images in two ranges leave a gap.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

MOST: Final = 127
"""The largest pixel of an image that may be of a smaller range."""
GAP: Final = 1.5
"""The largest pixels of the others are greater by this factor at least."""
FEWEST: Final = 10
"""Images of each range, at least. Of 3,000 sets of 20 to 1,000 digits in random greys, spread in six ways, one has such
a gap by chance..."""
SHARE: Final = 0.04
"""... and this part of all, at least."""
STRAY: Final = 200
"""One image in as many may be within the gap."""


def has_none(largest: Array) -> bool:
    """Return True if `gap_in` finds no gap among the largest pixels of images, which are these or larger, (n,)."""
    return int((largest <= MOST).sum()) < FEWEST


def gap_in(largest: Array, least: int = 0) -> tuple[int, int, int] | None:
    """Return how many images have a largest pixel below a gap, the greatest of these, and the greatest of all.

    largest   of each image, uint8 (n,).
    least     images with a largest pixel of at most this are blank, and not counted.

    >>> gap_in(np.repeat(np.uint8([31, 255]), 20)), gap_in(np.arange(255, dtype=np.uint8))
    ((20, 31, 255), None)
    """
    counts = np.bincount(largest, minlength=256)
    counts[: least + 1] = 0
    up_to, best, found = counts.cumsum(), GAP, None
    n = int(up_to[-1])
    for below in np.flatnonzero(counts[: MOST + 1]).tolist():
        above = int(np.searchsorted(up_to, up_to[below] + n // STRAY, side="right"))
        wide = above / below
        if above > 255 or wide < best:
            continue
        low = up_to[below] - up_to[int(below / wide)]
        high = up_to[min(255, int(above * wide))] - up_to[above - 1]
        if min(low, high) >= max(FEWEST, SHARE * n):
            best, found = wide, (int(up_to[below]), below, int(largest.max()))
    return found
