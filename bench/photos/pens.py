"""Strokes: how a digit's grey image becomes ink of a pen, on a grid of 8 points for each pixel of MNIST."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from bench.photos import ranges
from bench.photos.draws import Draws
from fnnet.core.params import Array

FINE: Final = 8
"""Points of the grid for a pixel of MNIST."""
LENGTH: Final = 20 * FINE
"""Points of a digit's longer side."""


class Ink(NamedTuple):
    """Reflectances of red, green and blue of a pen, and by how much its ink is thinner in places."""

    rgb: tuple[float, float, float]
    pressure: float


def pen(draws: Draws, tags: frozenset[str]) -> Ink:
    """Return the ink of a picture with these difficulties."""
    pressure = draws.within(ranges.PRESSURE)
    if "coloured" in tags:
        low, high = ranges.COLOURS[draws.one_of(list(ranges.COLOURS))]
        red, green, blue = (draws.within(ranges.Range(*ends, "")) for ends in zip(low, high, strict=True))
        return Ink((red, green, blue), pressure)
    if "light ink" in tags:
        grey = draws.within(ranges.CHALK)
    else:
        grey = draws.within(ranges.PENCIL if draws.chance(ranges.PENCILS) else ranges.BLACK)
    return Ink((grey, grey, grey), pressure)


def smooth(x: Array) -> Array:
    """Return a digit, bytes (28, 28), on the fine grid, float64 0 to 1: its pixels spread by boxes, thrice."""
    grid = np.repeat(np.repeat(np.pad(x.astype(np.int64), 2), FINE, 0), FINE, 1)
    for _ in range(3):
        grid = boxed(grid, FINE // 2 - 1)
    return grid / float(255 * (FINE - 1) ** 6)


def boxed(x: Array, radius: int) -> Array:
    """Return the sums of squares of 2 radius + 1 points, int64."""
    for axis in (0, 1):
        width = [(radius + 1, radius) if each == axis else (0, 0) for each in (0, 1)]
        sums = np.pad(x, width, mode="edge").cumsum(axis=axis)
        count = x.shape[axis]
        x = sums.take(range(2 * radius + 1, 2 * radius + 1 + count), axis) - sums.take(range(count), axis)
    return x


def strokes(x: Array, draws: Draws, tags: frozenset[str]) -> Array:
    """Return the ink of a digit, float64 0 to 1 on the fine grid, cut to its box."""
    field = smooth(x)
    mask = field > ranges.LEVEL * min(float(field.max()), 1.0)
    if "thin" in tags:
        return cut(near(skeleton(mask), LENGTH * draws.within(ranges.THIN) / 2))
    if "thick" in tags:
        return cut(near(mask, LENGTH * draws.within(ranges.THICK)))
    return cut(near(mask, 0.5))


def near(mask: Array, radius: float) -> Array:
    """Return 1 where a point of the mask is within a radius, falling to 0 within one point of the grid."""
    reach = math.ceil(radius + 0.5)
    padded = np.pad(mask, reach)
    height, width = padded.shape
    around = np.pad(padded, reach)
    distance = np.full(padded.shape, float(reach + 1))
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            far = math.sqrt(down * down + across * across)
            if far < radius + 0.5:
                part = around[reach + down : reach + down + height, reach + across : reach + across + width]
                distance = np.where(part & (distance > far), far, distance)
    return np.clip(radius + 0.5 - distance, 0.0, 1.0)


def skeleton(mask: Array) -> Array:
    """Return the middle lines of a mask (Zhang and Suen, 1984, doi:10.1145/357994.358023)."""
    x = np.pad(mask, 1).astype(np.int8)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            inner = x[1:-1, 1:-1]
            n, e, s, w = x[:-2, 1:-1], x[1:-1, 2:], x[2:, 1:-1], x[1:-1, :-2]
            ring = [n, x[:-2, 2:], e, x[2:, 2:], s, x[2:, :-2], w, x[:-2, :-2]]
            count = sum(each.astype(np.int64) for each in ring)
            turns = sum(((a == 0) & (b == 1)).astype(np.int64) for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
            open_sides = (n * e * s == 0) & (e * s * w == 0) if first else (n * e * w == 0) & (n * s * w == 0)
            gone = (inner == 1) & (count >= 2) & (count <= 6) & (turns == 1) & open_sides
            if gone.any():
                changed = True
                x[1:-1, 1:-1][gone] = 0
    found: Array = x[1:-1, 1:-1] == 1
    return found


def cut(ink: Array) -> Array:
    """Return ink without the empty rows and columns around it."""
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
