"""The ink of a digit as MNIST's makers placed it: its box reduced to 20 pixels, its centre of mass at 14."""

from __future__ import annotations

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.results import BOX, CENTRE, SIDE


def bounds(ink: Array) -> tuple[int, int, int, int]:
    """Return the box of all that is not 0: top, left, height, width; zeros if there is no ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left


def fitted(height: int, width: int, side: int = BOX) -> tuple[int, int]:
    """Return height and width scaled so that the longer is `side`, rounded, at least 1.

    >>> fitted(50, 26)
    (20, 10)
    """
    longer = max(height, width)
    down, across = (max(1, (2 * side * size + longer) // (2 * longer)) for size in (height, width))
    return down, across


def resized(picture: Array, shape: tuple[int, int]) -> Array:
    """Return a picture in another size: each pixel is the mean of what it covers, by area, rounded. Whole numbers only.

    >>> resized(np.uint8([[0, 90, 240]]), (1, 2))
    array([[ 30, 190]], dtype=uint8)
    """
    height, width = picture.shape
    sums = _shares(shape[0], height) @ picture.astype(np.int64) @ _shares(shape[1], width).T
    means: Array = (sums + height * width // 2) // (height * width)
    return means.astype(np.uint8)


def _shares(count: int, size: int) -> Array:
    """Return how much of each of `size` pixels each of `count` pixels covers, in parts of 1 / count, (count, size)."""
    start, begin = np.arange(count)[:, None] * size, np.arange(size) * count
    shares: Array = np.maximum(np.minimum(start + size, begin + count) - np.maximum(start, begin), 0)
    return shares


def centre_of_mass(ink: Array) -> tuple[int, int, int]:
    """Return the sum of all ink, and that of its rows and of its columns, each times its ink."""
    down, across = ink.sum(axis=1, dtype=np.int64), ink.sum(axis=0, dtype=np.int64)
    return int(down.sum()), int((down * np.arange(len(down))).sum()), int((across * np.arange(len(across))).sum())


def placed(box: Array) -> Array:
    """Return an image, uint8 (28, 28), with the box (at most 28x28) where its centre of mass is at 14, rounded; whole
    in any case."""
    mass, *moments = centre_of_mass(box)
    image = np.zeros((SIDE, SIDE), np.uint8)
    if mass:
        top, left = (
            min(max((2 * (CENTRE * mass - moment) + mass) // (2 * mass), 0), SIDE - size)
            for moment, size in zip(moments, box.shape, strict=True)
        )
        image[top : top + box.shape[0], left : left + box.shape[1]] = box
    return image
