"""Ruled and squared lines, as pale or as dark as the ink: they run straight through the picture, and are thin.

How much of a path is thin and deep is summed over strips of columns, for all rows and slopes; a path that is covered
enough, at both of its ends too, is a line. It is taken out with what lies above and below it in its place: ink that
crosses a line stays.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array

STRIP: Final = 16
"""Columns that are summed together."""
QUARTERS: Final = 4
"""Parts of a path that are judged by themselves."""
STEEPEST: Final = 6
"""A line rises by at most 1/6 of the columns: 9 degrees,"""
STEP: Final = 2
"""tried every 2 rows,"""
ALIKE: Final = 3
"""and lines of a picture differ by at most 3 of these steps."""
CAP: Final = 24
"""Depth above both sides that counts in full."""
REACHES: Final = (3, 5, 9)
"""Rows to both sides that a pixel is compared with."""
COVERED: Final = 50
"""Percent of a path, and of its ends, that a line covers at least."""
FAMILY: Final = 3
"""If there are 3 lines, others of which WEAK percent are covered, and one end, are lines as well."""
WEAK: Final = 35
APART: Final = 4
"""Rows between two lines, at least."""
THICKEST: Final = 9
"""Rows of a line, at most; of pictures of more than 360 pixels 1/40."""
DARKER: Final = 24
"""Ink that is so much deeper than a line, or half as deep again, stays on it."""

SLOPES: Final = (-2, -1, 0, 1, 2)
"""Half columns a row: the directions in which ink crosses a line."""


class Line(NamedTuple):
    """A line from left to right.

    row     in the middle column.
    rise    rows from the first column to the last.
    """

    row: int
    rise: int


def without_lines(depth: Array) -> tuple[Array, tuple[list[Line], list[Line]]]:
    """Return the depth without the lines of paper, and these, from left to right and from top to bottom.

    depth   uint8 (height, width), as `light.depth` has it.
    """
    found = []
    for turned in (False, True):
        picture = np.ascontiguousarray(depth.T) if turned else depth
        found.append(lines_of(picture))
        for line in found[-1]:
            picture = without(picture, line)
        depth = np.ascontiguousarray(picture.T) if turned else picture
    return depth, (found[0], found[1])


def without_these(depth: Array, lines: tuple[list[Line], list[Line]]) -> Array:
    """Return the depth without these lines, from left to right and from top to bottom."""
    for turned in (False, True):
        picture = np.ascontiguousarray(depth.T) if turned else depth
        for line in lines[turned]:
            picture = without(picture, line)
        depth = np.ascontiguousarray(picture.T) if turned else picture
    return depth


def thin(depth: Array) -> Array:
    """Return how much deeper a pixel is, or one beside it, than those some rows above and below, at most CAP."""
    out = np.zeros_like(depth)
    for reach in REACHES:
        if len(depth) > 2 * reach:
            sides = np.maximum(depth[: -2 * reach], depth[2 * reach :])
            middle = depth[reach:-reach]
            over = np.minimum(middle - np.minimum(middle, sides), CAP)
            out[reach:-reach] = np.maximum(out[reach:-reach], over)
    padded = np.pad(out, ((1, 1), (0, 0)))
    found: Array = np.maximum(out, np.maximum(padded[:-2], padded[2:]))
    return found


def lines_of(depth: Array) -> list[Line]:
    """Return the lines from left to right, the most covered first."""
    height, width = depth.shape
    strips = width // STRIP
    if strips < QUARTERS:
        return []
    most = width // STEEPEST // STEP
    rises = STEP * np.arange(-most, most + 1)
    sums = thin(depth)[:, : strips * STRIP].reshape(height, strips, STRIP).sum(axis=2, dtype=np.int32)
    covered, seen = _along(sums, rises, width)
    full = CAP * STRIP
    # The quarter at each end; that beside it where the path leaves the picture earlier.
    half = max(1, strips // QUARTERS // 2)
    long = 2 * seen.sum(axis=1) >= strips
    share = covered.sum(axis=1) * 100 // (full * np.maximum(seen.sum(axis=1), 1)) * long
    ends = []
    for end, beside in ((0, 1), (QUARTERS - 1, QUARTERS - 2)):
        last = np.where(seen[:, end] >= half, end, beside)[:, None]
        ink, count = (np.take_along_axis(each, last, axis=1)[:, 0] for each in (covered, seen))
        ends.append(ink * 100 >= COVERED * full * count)
    total = share * (share >= COVERED) * ends[0] * ends[1]
    main = int(total.sum(axis=1).argmax())
    first = max(0, main - ALIKE)
    near = total[first : main + ALIKE + 1]
    if len(_peaks(near.max(axis=0))) >= FAMILY:
        part = slice(first, main + ALIKE + 1)
        near = (share * (share >= WEAK) * (ends[0] | ends[1]))[part]
    # Of slopes that cover as much, that which is most like the others.
    unlike = np.abs(np.arange(len(near)) + first - main)[:, None]
    near = np.where(near > 0, near * (ALIKE + 1) - unlike, 0)
    which, best = near.argmax(axis=0), near.max(axis=0)
    return [Line(row, int(rises[first + which[row]])) for row in _peaks(best)]


def _peaks(values: Array) -> list[int]:
    """Return the places of the largest values, at least APART from one another, the largest first; of equal ones that
    lie together, the middle."""
    values, found = values.copy(), []
    while values.any():
        first = last = int(values.argmax())
        while last + 1 < len(values) and values[last + 1] == values[first]:
            last += 1
        found.append((first + last) // 2)
        values[max(0, first - APART + 1) : last + APART] = 0
    return found


def _along(sums: Array, rises: Array, width: int) -> tuple[Array, Array]:
    """Return for each rise, quarter and middle row the sum of a path's strips, and how many are in the picture."""
    height, strips = sums.shape
    edge = int(rises.max()) + 1
    x = np.zeros((2, strips, height + 2 * edge), np.int32)
    x[0, :, edge : edge + height], x[1, :, edge : edge + height] = sums.T, 1
    out = np.zeros((2, len(rises), QUARTERS, height), np.int32)
    for number, rise in enumerate(rises.tolist()):
        for strip in range(strips):
            shift = edge + rows_of(rise, STRIP * strip + STRIP // 2, width)
            out[:, number, strip * QUARTERS // strips] += x[:, strip, shift : shift + height]
    return out[0], out[1]


def rows_of(rise: int, column: Any, width: int) -> Any:
    """Return how many rows a path is below its middle at a column."""
    return (rise * (2 * column + 1 - width) + width) // (2 * width)


def without(depth: Array, line: Line) -> Array:
    """Return the depth without a line: what is above and below it takes its place, unless ink on it is deeper."""
    height, width = depth.shape
    thickest = max(THICKEST, max(height, width) // 40)
    high = thickest + 3
    columns = np.arange(width)
    middle = line.row + rows_of(line.rise, columns, width)
    inside = (middle >= 0) & (middle < height)
    columns, middle = columns[inside], middle[inside]
    padded = np.pad(depth, ((high, high), (0, 0)))
    rows = middle + np.arange(2 * high + 1)[:, None]
    band = padded[rows, columns]
    level = int(np.sort(band[high - 1 : high + 2].max(axis=0))[len(columns) // 2])
    profile = np.minimum(band, level).sum(axis=1, dtype=np.int64)
    deep = 2 * profile > profile[high] + profile.min()
    top, bottom = high, high
    while top > 1 and deep[top - 1]:
        top -= 1
    while bottom < 2 * high - 1 and deep[bottom + 1]:
        bottom += 1
    if bottom - top >= thickest:
        return depth
    taken = band[top - 1 : bottom + 2]
    beside = _crossing(band[top - 2], band[bottom + 2], len(taken))
    put = np.where(taken > level + max(DARKER, level // 2), taken, np.minimum(taken, beside))
    padded[rows[top - 1 : bottom + 2], columns] = put
    return padded[high : high + height]


def _crossing(above: Array, below: Array, count: int) -> Array:
    """Return `count` rows between the row above and that below: what is on both sides of a pixel goes on straight."""
    rows = np.arange(1, count + 1)[:, None]
    columns, edge = np.arange(len(above)), count + 1
    above, below = np.pad(above, edge), np.pad(below, edge)
    out = np.zeros((count, len(columns)), np.uint8)
    for slope in SLOPES:
        up, down = slope * rows // 2, slope * (count + 1 - rows) // 2
        out = np.maximum(out, np.minimum(above[columns - up + edge], below[columns + down + edge]))
    return out
