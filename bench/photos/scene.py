"""What singles, pages and non-digits share: their difficulties, and ink that is put on paper."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.photos import ranges
from bench.photos.camera import Shot, taken
from bench.photos.draws import Draws
from bench.photos.papers import cloud, drawn, paper, turn_of
from bench.photos.pens import Ink
from fnnet.core.params import Array


class Picture(NamedTuple):
    """A made photo: what was taken, what is on it, and its difficulties.

    labels   of its digits in the order in which they are read; of none: ().
    boxes    of their ink: top, left, height and width in the upright picture.
    tags     names of its difficulties; a picture without a digit has its kind among them.
    """

    shot: Shot
    labels: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    tags: tuple[str, ...]


class Placed(NamedTuple):
    """Ink on a picture: its pixels, 0 to 1, and the row and column of their first."""

    ink: Array
    top: int
    left: int

    def box(self) -> tuple[int, int, int, int]:
        """Return the box of what is ink by more than a half."""
        rows = np.flatnonzero(self.ink.max(axis=1) > 0.5)
        columns = np.flatnonzero(self.ink.max(axis=0) > 0.5)
        top, left = int(rows[0]), int(columns[0])
        return self.top + top, self.left + left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1


def difficulties(draws: Draws) -> frozenset[str]:
    """Return the names of a picture's difficulties, drawn by their shares."""
    plain = draws.chance(ranges.PLAIN)
    found = {name for name, share in ranges.SHARES.items() if draws.chance(share)}
    first = draws.chance(0.5)
    for one, other in (("ruled", "squared"), ("thin", "thick")):
        if one in found and other in found:
            found.discard(other if first else one)
    if "light ink" in found:
        found -= {"ruled", "squared", "coloured", "tinted"}
    dark = draws.chance(ranges.DARK_LINES)
    if dark and found & {"ruled", "squared"}:
        found.add("dark lines")
    return frozenset() if plain else frozenset(found)


def size_of(draws: Draws) -> tuple[int, int]:
    """Return height and width of a single photo: half of them stand, half lie."""
    share = draws.share()
    short = int(ranges.SHORT.low + (ranges.SHORT.high - ranges.SHORT.low) * share * share)
    long = int(short * draws.one_of(ranges.ASPECTS))
    return (long, short) if draws.chance(0.5) else (short, long)


def put(ink: Array, length: float, degrees: float, centre: tuple[float, float], shape: tuple[int, int]) -> Placed:
    """Return ink of a fine grid with its longer side scaled to `length` pixels, turned, at a place of the picture.

    Each pixel is the mean of 2x2 points of the grid's straight interpolation, a quarter of a pixel from its centre.
    """
    scale = max(ink.shape) / length
    reach = math.hypot(*ink.shape) / scale / 2 + 2
    top, left = (max(0, math.floor(each - reach)) for each in centre)
    bottom, right = (min(side, math.ceil(each + reach)) for each, side in zip(centre, shape, strict=True))
    padded = np.pad(ink, 1)
    c, s = turn_of(degrees)
    total = np.zeros((bottom - top, right - left))
    for down in (-0.25, 0.25):
        for across in (-0.25, 0.25):
            y = (np.arange(top, bottom) + down - centre[0])[:, None] * scale
            x = (np.arange(left, right) + across - centre[1])[None, :] * scale
            total += sampled(padded, y * c - x * s + padded.shape[0] / 2, x * c + y * s + padded.shape[1] / 2)
    return Placed(total / 4, top, left)


def sampled(grid: Array, y: Array, x: Array) -> Array:
    """Return a grid's values at these rows and columns, straight between its points, 0 outside."""
    y, x = np.clip(y, 0.0, grid.shape[0] - 1.001), np.clip(x, 0.0, grid.shape[1] - 1.001)
    row, column = y.astype(np.int64), x.astype(np.int64)
    dy, dx = y - row, x - column
    upper = grid[row, column] * (1 - dx) + grid[row, column + 1] * dx
    lower = grid[row + 1, column] * (1 - dx) + grid[row + 1, column + 1] * dx
    found: Array = upper * (1 - dy) + lower * dy
    return found


def middle(draws: Draws, shape: tuple[int, int], length: float, tags: frozenset[str]) -> tuple[float, float]:
    """Return row and column of the centre of a digit of this length."""
    found = []
    for side in shape:
        room = side / 2 - length * 0.6 - 4
        if "off-centre" in tags:
            share = draws.within(ranges.OFF) * (1 if draws.chance(0.5) else -1)
        else:
            share = draws.within(ranges.CENTRED)
        found.append((side - 1) / 2 + share * max(room, 0.0))
    return found[0], found[1]


def photo(
    draws: Draws, shape: tuple[int, int], placed: list[Placed], unit: float, ink: Ink, tags: frozenset[str]
) -> Shot:
    """Return the photo of placed ink on paper; `unit` is the pixels of a digit's longer side."""
    half = (shape[1] - 1) / 2
    clear = max((half - each.left for each in placed), default=0.0)
    sheet = paper(draws, shape, unit, ink, tags, clear)
    whole = np.zeros(shape)
    for each in placed:
        height, width = each.ink.shape
        part = whole[each.top : each.top + height, each.left : each.left + width]
        np.maximum(part, each.ink, out=part)
    cell = max(3, int(unit / 6))
    whole *= 1 - ink.pressure * (0.5 + 0.5 * cloud(draws, shape, cell, cell))
    drawn(sheet, whole, ink.rgb)
    return taken(draws, sheet, unit, tags)
