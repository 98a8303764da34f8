"""Pictures scaled to one size: each pixel of the result is the mean of the area that it covers, in whole numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.paper import edges, medians

STRIP: Final = 2048
"""Rows and columns that are weighed at a time."""


def fitted(x: Array, shape: tuple[int, int]) -> Array:
    """Return an image, uint8 (height, width), scaled to `shape` and rounded.

    It keeps its aspect ratio: it is as large as fits, in the middle, on the median of its edge.

    >>> fitted(np.array([[0, 100], [100, 200]], np.uint8), (1, 3)).tolist()
    [[100, 100, 100]]
    """
    (rows, columns), (height, width) = x.shape, shape
    if (rows, columns) == shape:
        return x
    tall = height * columns <= width * rows  # it fills the height
    sides = (height, _nearest(columns * height, rows)) if tall else (_nearest(rows * width, columns), width)
    inner = max(1, sides[0]), max(1, sides[1])
    paper = int(medians(edges(x.reshape(1, -1), x.shape))[0])
    found = np.full(shape, paper, np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    found[top : top + inner[0], left : left + inner[1]] = area_means(x, inner)
    return found


def area_means(x: Array, shape: tuple[int, int]) -> Array:
    """Return an image, uint8 (height, width), stretched or shrunk to `shape`: means of areas, rounded half up.

    >>> area_means(np.array([[0, 90, 90]], np.uint8), (1, 2)).tolist()
    [[30, 90]]
    """
    (rows, columns), (height, width) = x.shape, shape
    # Whole numbers below 2**53 as floats: sums are exact in any order, and so the same on every processor.
    tall = np.zeros((height, columns))
    for start in range(0, rows, STRIP):
        tall += _overlaps(rows, height, start) @ x[start : start + STRIP].astype(np.float64)
    sums = np.zeros(shape)
    for start in range(0, columns, STRIP):
        sums += tall[:, start : start + STRIP] @ _overlaps(columns, width, start).T
    area = rows * columns
    found: Array = (sums.astype(np.int64) * 2 + area) // (2 * area)
    return found.astype(np.uint8)


@lru_cache(maxsize=16)
def _overlaps(pixels: int, parts: int, start: int) -> Array:
    """Return by how much each of equal parts of a line of pixels overlaps the STRIP of pixels from `start` on.

    Float64 (parts, pixels of the strip), in units of a pixel / parts: a part is `pixels` of them.
    """
    part = np.arange(parts)[:, None] * pixels
    pixel = np.arange(start, min(start + STRIP, pixels)) * parts
    overlap = np.minimum(part + pixels, pixel + parts) - np.maximum(part, pixel)
    return freeze(np.maximum(overlap, 0).astype(np.float64))


def _nearest(over: int, under: int) -> int:
    """Return the quotient rounded half up."""
    return (2 * over + under) // (2 * under)
