"""Is the first or the last column the labels? Judged by the values alone, where no name says it."""

from __future__ import annotations

from math import lgamma
from typing import Final, Literal

import numpy as np

from fnnet.core.params import Array
from fnnet.data.preprocess import spread

BESIDE: Final = 4
"""Columns beside the first and the last one that show how the pixels at that edge are distributed."""
UNSEEN: Final = 0.05
"""Added to the count of each value: the probability of one that was not seen."""
CERTAIN: Final = 15.0
"""The logarithm of the odds that decide, and for many rows `EACH` of them for each."""
EACH: Final = 0.5
LESS: Final = 3.0
"""How much less probable than the pixels beside it a pixel may be, as a logarithm."""
BLANK: Final = 0.8
"""The share of images whose corner has the usual value, if corners are blank."""
EVEN: Final = 0.25
"""The share of an even number of images that each class has at least, where pixels have as small values."""
ALIKE: Final = 0.3
"""The correlation with the pixel beside it that a pixel reaches, and labels rarely."""
LARGEST: Final = 9999
"""Larger values are not taken for labels unless the user says so."""


def label_column(
    first: Array, last: Array, pixels: Array, lowest: int | None = None
) -> Literal["first", "last"] | None:
    """Return which column is the labels; None if either may be.

    first, last   the values of the columns, (n,).
    pixels        what lies between them, uint8 (n, at least 1).
    lowest        0 or -1 if pixels in the file are from there to 1, which `pixels` has scaled to bytes; None if not.

    Two readings are compared: the first column is the labels and the last one a pixel, or the other way round. Labels
    are independent draws from few classes; a pixel is distributed as those beside it, or differs from the next one as
    these do from one another, or is mostly blank. The more probable reading is taken if it is certain, and if its
    labels can be labels: each class occurs, some more than once.
    """
    near_first, near_last = pixels[:, :BESIDE], pixels[:, ::-1][:, :BESIDE]
    rows = spread(np.arange(len(first)))
    one, other = (
        each if lowest is None else np.floor((each - lowest) / (1 - lowest) * 255 + 0.5) for each in (first, last)
    )
    if_first = _as_label(first[rows]) + _as_pixel(other[rows], near_last[rows])
    if_last = _as_label(last[rows]) + _as_pixel(one[rows], near_first[rows])
    odds = if_first - if_last if np.isfinite((if_first, if_last)).any() else 0.0
    enough = max(CERTAIN, EACH * len(rows))
    if odds >= enough and _may_be_label(first) and _may_be_pixel(other, rows, near_last):
        return "first" if _unlike(first, near_first, other, near_last, pixels) else None
    if odds <= -enough and _may_be_label(last) and _may_be_pixel(one, rows, near_first):
        return "last" if _unlike(last, near_last, one, near_first, pixels) else None
    return None


def _unlike(labels: Array, beside_labels: Array, corner: Array, beside_corner: Array, pixels: Array) -> bool:
    """Return True if the labels are unlike pixels and the corner is unlike labels.

    Where only one or two classes occur, the pixels of images with ink in the corners pass for labels of more classes.
    """
    values, counts = np.unique(corner, return_counts=True)
    usual = np.bincount(beside_corner.ravel()).argmax()
    blank = counts.max() >= BLANK * len(corner) and values[counts.argmax()] == usual
    if not blank and len(counts) <= len(np.unique(labels)):
        return False
    most, brightest = int(labels.max()), int(pixels.max())
    if not brightest // 4 < most <= brightest:
        return True
    # Pixels may have these values, but hardly each of them as often, and they are like the pixel beside them.
    each, next_to = np.bincount(labels.astype(np.int64))[int(labels.min()) :], beside_labels[:, 0].astype(np.float64)
    if most == brightest or each.min() < EVEN * len(labels) / len(each):
        return False
    return not np.ptp(next_to) or bool(abs(np.corrcoef(labels, next_to)[0, 1]) < ALIKE)


def _may_be_label(values: Array) -> bool:
    """Return True if the values may be labels: whole, of several classes, each of which occurs if there are many."""
    if (values != np.floor(values)).any() or values.max() > LARGEST or values.min() < 0:
        return False
    counts = np.bincount(values.astype(np.int64))
    least, classes = int(values.min()), int(np.count_nonzero(counts))
    if classes < 2 or classes == len(values) or least > 1:
        return False  # labels hardly ever are all alike, as a blank corner is, or all different, as numbers of rows are
    span = len(counts) - least
    return classes >= 0.9 * span or len(values) < 5 * len(counts)


def _may_be_pixel(values: Array, rows: Array, near: Array) -> bool:
    """Return True if the values may be pixels at the edge of images: all alike, or like those beside them."""
    if not _are_bytes(values):
        return False
    if (values == values[0]).all() or near.shape[1] < 2:
        return True
    usual = _as_pixel(near[rows, 0], near[rows, 1:])
    return _as_pixel(values[rows], near[rows]) >= usual - LESS * len(rows)


def _are_bytes(values: Array) -> bool:
    return bool((values == np.floor(values)).all() and values.min() >= 0 and values.max() <= 255)


def _as_label(values: Array) -> float:
    """Return the logarithm of the probability of the values as labels, whatever the shares of the classes."""
    if (values != np.floor(values)).any() or values.min() < 0:
        return -np.inf
    _, counts = np.unique(values, return_counts=True)
    classes = max(2, int(values.max()) + 1)
    return lgamma(classes) - lgamma(len(values) + classes) + sum(lgamma(count + 1) for count in counts.tolist())


def _as_pixel(values: Array, near: Array) -> float:
    """Return the logarithm of the probability of the values as pixels beside `near`, the nearest first."""
    if not _are_bytes(values):
        return -np.inf
    known, pixels = near.astype(np.int64), values.astype(np.int64)
    seen = np.bincount(known.ravel(), minlength=256) + UNSEEN
    steps = np.bincount((known[:, :-1] - known[:, 1:]).ravel() + 255, minlength=511) + UNSEEN
    probability = seen[pixels] / seen.sum() + steps[pixels - known[:, 0] + 255] / steps.sum()
    beside = float(np.log(probability / 2).sum())
    counts = np.bincount(pixels)
    blank = int(counts.argmax())
    # A corner is mostly blank, whatever is drawn beside it.
    return max(beside, _as_label(values)) if 2 * counts[blank] > len(pixels) and seen[blank] >= 1 else beside
