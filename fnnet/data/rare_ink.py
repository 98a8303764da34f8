"""The few images of a set that are inverted for sure: dark ink on white paper among light ink on black."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.paper import GREY, NOISE, SMALLEST, edges, means

LOOKED_AT: Final = 2000
"""Images that are looked at: 0.2 ms where they are of 28x28 pixels and no corner is white."""
MOST_PIXELS: Final = 2**26
"""Pixels of the images that are looked at: of large ones fewer are."""
FEWEST: Final = 100
"""Images that are looked at, however large they are."""
USUAL: Final = 0.9
"""The fraction of a set whose edges are black for the most part, at least: of other sets nothing is sure."""
RARE: Final = 0.005
"""The fraction of inverted images from which they are noted: a set with one in a hundred is noted for sure. Of MNIST's
70,000 images and of the bundled digits none looks inverted as it is (0%), and every one does once it is; of digits of
7x7 pixels 99%."""
MIDDLE: Final = 128
"""The mean of an image is lighter."""
EDGE: Final = 0.75
"""The part of an edge that is white, at least: ink, or a garment, may reach it."""


def inverted(x: Array, shape: tuple[int, int], rows: Array, table: Array | None = None) -> int:
    """Return how many images of a set are sure to be dark ink on white, among light ink on black.

    Their corners are white and so is the edge for the most part, their mean is light, and there is ink. Photos, noise
    and shapes that fill the image have no such edge, or lie in a set whose edges are not black.
    x       the images, uint8 (n, height x width).
    rows    of those that are looked at.
    table   the byte that each byte of x stands for; None if x is as a network takes it.
    """
    if min(shape) < SMALLEST or not len(rows):
        return 0
    as_taken = (lambda some: some) if table is None else table.__getitem__
    pixels, width = x.shape[1], shape[1]
    found = np.ones(len(rows), bool)
    for corner in 0, width - 1, pixels - width, pixels - 1:  # the first one settles MNIST
        left = np.flatnonzero(found)
        found[left] = as_taken(x[rows[left], corner]) >= 255 - NOISE
    if not found.any():
        return 0
    x = x[rows]
    edge = as_taken(edges(x, shape))
    found &= (edge >= 255 - NOISE).sum(axis=1) >= EDGE * edge.shape[1]
    if (2 * (edge <= NOISE).sum(axis=1) > edge.shape[1]).mean() < USUAL:
        return 0
    few = as_taken(x[found])
    return int(((means(few) > MIDDLE) & (few.min(axis=1) <= GREY)).sum())


def most_looked_at(pixels: int) -> int:
    """Return how many images are looked at; `pixels` are those of one."""
    return min(LOOKED_AT, max(FEWEST, MOST_PIXELS // pixels))


def is_noted(count: int, of: int) -> bool:
    """Return True if `count` inverted images of those looked at are worth a note."""
    return count > 0 and count >= RARE * of
