"""The parts of a mask: pixels that touch one another, corners too."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array

WEAK: Final = 70
"""Percent of the threshold that ink beside stronger ink has at least."""
STRONG: Final = 3
"""A part has at least one pixel of 3 above the threshold."""


class Parts(NamedTuple):
    """Parts of a mask, in the order of their first pixels, row by row.

    labels   of each pixel, int32: 0 for the ground, 1 for the first part, and so on.
    areas    int64 (parts,): their pixels.
    outlines   int64 (parts,): edges of pixels between a part and what it is not.
    boxes    int64 (parts, 4): top, left, and behind their ends bottom, right.
    """

    labels: Array
    areas: Array
    outlines: Array
    boxes: Array


def parts_of(mask: Array) -> Parts:
    """Return the parts of a mask, bool (height, width).

    >>> parts_of(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool)).labels
    array([[1, 0, 1],
           [0, 1, 0],
           [0, 0, 0],
           [2, 0, 0]], dtype=int32)
    """
    rows, starts, ends = _runs(mask)
    names = _joined(len(rows), *_touching(rows, starts, ends, mask.shape[1] + 2))
    first, number = np.unique(names, return_inverse=True)  # the first run of each part is its name
    count = len(first)
    lengths = ends - starts
    labels: Array = np.zeros(mask.size, np.int32)
    places = np.repeat(rows * mask.shape[1] + starts - (lengths.cumsum() - lengths), lengths)
    labels[places + np.arange(len(places))] = np.repeat(number + 1, lengths)
    boxes = np.empty((count, 4), np.int64)
    boxes[:, :2], boxes[:, 2:] = max(mask.shape), 0
    for column, values in ((0, rows), (1, starts)):
        np.minimum.at(boxes[:, column], number, values)
    for column, values in ((2, rows + 1), (3, ends)):
        np.maximum.at(boxes[:, column], number, values)
    areas = np.bincount(number, lengths, minlength=count).astype(np.int64)
    labels = labels.reshape(mask.shape)
    return Parts(labels, areas, outlines_of(labels, count), boxes)


def _runs(mask: Array) -> tuple[Array, Array, Array]:
    """Return the row, the start and the end of each run of pixels within a row."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges > 0)
    return rows, starts, np.nonzero(edges < 0)[1]


def _touching(rows: Array, starts: Array, ends: Array, width: int) -> tuple[Array, Array]:
    """Return the pairs of runs of two rows, one below the other, that touch."""
    above = (rows - 1) * width
    first = np.searchsorted(rows * width + ends, above + starts)
    last = np.searchsorted(rows * width + starts, above + ends, side="right")
    count = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), count)
    upper = np.arange(len(lower)) - np.repeat(count.cumsum() - count - first, count)
    return upper, lower


def _joined(count: int, a: Array, b: Array) -> Array:
    """Return for each of `count` runs the first run that it hangs together with through the pairs a, b."""
    names = np.arange(count)
    while True:
        least = np.minimum(names[a], names[b])
        if np.array_equal(least, names[a]) and np.array_equal(least, names[b]):
            return names
        np.minimum.at(names, names[a], least)
        np.minimum.at(names, names[b], least)
        while not np.array_equal(names, names[names]):
            names = names[names]


def weak_parts(ink: Array, threshold: int) -> Parts:
    """Return the parts of ink above WEAK percent of the threshold of which a third is above all of it.

    Strokes that fade stay in one piece, and stains do not become parts.
    """
    found = parts_of(ink > threshold * WEAK // 100)
    strong = np.bincount(found.labels.ravel(), (ink > threshold).ravel(), minlength=len(found.areas) + 1)[1:]
    kept = strong * STRONG >= found.areas
    numbers = np.zeros(len(kept) + 1, np.int32)
    numbers[1:] = kept.cumsum() * kept
    return Parts(numbers[found.labels], found.areas[kept], found.outlines[kept], found.boxes[kept])


def outlines_of(labels: Array, count: int) -> Array:
    """Return how many edges of pixels are between each of `count` parts and what it is not."""
    x = np.pad(labels, 1)
    sides = []
    for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1])):
        off = a != b
        sides += [a[off], b[off]]
    return np.bincount(np.concatenate(sides), minlength=count + 1)[1:]
