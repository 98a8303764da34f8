"""Ruled and squared lines, as pale or as dark as the ink: they run straight through the picture, and are thin.

How long they are is judged along paths through the depth, in strips of columns; each line is then followed column by
column, and taken out where it is as thin as elsewhere: what crosses it stays.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array

STRIP: Final = 16
"""Columns that are summed together."""
STEEPEST: Final = 0.16
"""Rows a column: 9 degrees."""
CAP: Final = 24
"""Depth above both sides that counts in full."""
COVERED: Final = 60
"""Percent of its path that a line covers at least,"""
ENDS: Final = 50
"""and of the first and the last quarter of it."""
LONG: Final = 50
"""Percent of the columns that a path has in the picture, at least."""
SPACE: Final = 64
"""A line is thinner than 1/64 of the picture's longer side."""


class Line(NamedTuple):
    """A line from left to right: its row in the first column, in 1/65536, and rows a column, likewise."""

    start: int
    slope: int


def without_lines(depth: Array) -> tuple[Array, tuple[int, int]]:
    """Return the depth without the lines of paper, and how many there were from left to right and from top to bottom.

    depth   uint8 (height, width), as `light.depth` has it.
    """
    counts = []
    for turned in (False, True):
        picture = np.ascontiguousarray(depth.T) if turned else depth
        found = lines_of(picture)
        for line in found:
            picture = without(picture, line)
        depth = np.ascontiguousarray(picture.T) if turned else picture
        counts.append(len(found))
        if not turned:
            first = found
    if counts[1]:
        for line in first:
            depth = without(depth, line)
    return depth, (counts[0], counts[1])


def reach_of(depth: Array) -> int:
    """Return how far from a line's middle there is no line any more."""
    return max(2, int(max(depth.shape)) // SPACE)


def thin(depth: Array) -> Array:
    """Return how much deeper each pixel is than those `reach` above and below, at most CAP, uint8; 0 at the edge."""
    out = np.zeros_like(depth)
    for reach in (3, reach_of(depth)):
        if len(depth) > 2 * reach:
            middle = depth[reach:-reach].astype(np.int16)
            over = (middle - np.maximum(depth[: -2 * reach], depth[2 * reach :])).clip(0, CAP)
            out[reach:-reach] = np.maximum(out[reach:-reach], over)
    return out


def lines_of(depth: Array) -> list[Line]:
    """Return the lines from left to right, the clearest first."""
    height, width = depth.shape
    strips = width // STRIP
    if strips < 4:
        return []
    deep = thin(depth)
    deep = np.maximum(deep, np.maximum(np.pad(deep, ((1, 0), (0, 0)))[:-1], np.pad(deep, ((0, 1), (0, 0)))[1:]))
    sums = deep[:, : strips * STRIP].reshape(height, strips, STRIP).sum(axis=2, dtype=np.int64)
    most = int(STEEPEST * width)
    edge = most + 1
    x = np.zeros((height + 2 * edge, strips), np.int64)
    x[edge : edge + height] = sums
    inside = np.zeros(height + 2 * edge, np.int64)
    inside[edge : edge + height] = 1
    best: tuple[int, int, Array] | None = None
    for rise in range(-most, most + 1):
        shifts = (rise * (2 * np.arange(strips) + 1 - strips)) // (2 * strips)
        rows = np.arange(edge, edge + height)[:, None] + shifts
        values = x[rows, np.arange(strips)]
        seen = inside[rows]
        covered, long = values.sum(axis=1), seen.sum(axis=1)
        good = (long * 100 >= LONG * strips) & (covered * 100 >= COVERED * CAP * STRIP * long)
        if not good.any():
            continue
        first = np.argmax(seen > 0, axis=1)
        places = np.arange(strips) - first[:, None]
        part = np.maximum(long // 4, 1)
        for at, stop in ((np.zeros_like(part), part), (long - part, long)):
            end = (places >= at[:, None]) & (places < stop[:, None])
            good &= (values * end).sum(axis=1) * 100 >= ENDS * CAP * STRIP * (stop - at)
        score = int((covered * good).sum())
        if best is None or score > best[0]:
            best = score, rise, covered * 1000 // np.maximum(long, 1) * good
    if best is None:
        return []
    _, rise, covered = best
    reach, found = reach_of(depth), []
    slope = rise * 65536 // width
    while covered.any():
        row = int(covered.argmax())
        found.append(Line(row * 65536 - slope * (width // 2), slope))
        covered[max(0, row - reach) : row + reach + 1] = 0
    return found


def without(depth: Array, line: Line) -> Array:
    """Return the depth without a line: where it is as thin as elsewhere, what is above and below it takes its place."""
    height, width = depth.shape
    reach = reach_of(depth)
    high = 2 * reach + 4
    columns = np.arange(width)
    middle = (line.start + line.slope * columns + 32768) // 65536
    padded = np.pad(depth, ((high, high), (0, 0)))
    inside = (middle >= -1) & (middle <= height)
    rows = np.clip(middle, 0, height - 1) + np.arange(2 * high + 1)[:, None]
    band = padded[rows, columns]
    # The middle is where the line is deepest, within two rows.
    near = band[high - 2 : high + 3]
    at = near.argmax(axis=0) + high - 2
    deepest = band[at, columns]
    level = int(np.sort(deepest[inside])[int(inside.sum()) // 4])  # ink may cover half of it
    if not level:
        return depth
    above = band > level // 2
    places = np.arange(2 * high + 1)[:, None]
    top = np.where(~above & (places < at), places, -1).max(axis=0)
    bottom = np.where(~above & (places > at), places, 2 * high + 1).min(axis=0)
    runs = np.where(deepest > level // 2, bottom - top - 1, 0)
    usual = int(np.sort(runs[inside])[int(inside.sum()) // 4])
    if usual > reach:
        return depth
    drawn = inside & (runs <= usual + 1 + usual // 2) & (deepest <= level + max(24, level // 2))
    spread = usual // 2 + 1
    upper = _widest(band[np.maximum(top - 1, 0), columns], spread)
    lower = _widest(band[np.minimum(bottom + 1, 2 * high), columns], spread)
    put = np.minimum(upper, lower)
    taken = drawn & (places >= top) & (places <= bottom)
    band = np.where(taken, np.minimum(band, put), band)
    padded = padded.copy()
    padded[rows, columns] = band
    return padded[high : high + height]


def _widest(values: Array, reach: int) -> Array:
    """Return the largest of the values within `reach` columns."""
    padded = np.pad(values, reach)
    widest: Array = np.max([padded[i : i + len(values)] for i in range(2 * reach + 1)], axis=0)
    return widest
