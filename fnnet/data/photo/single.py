"""A picture of one digit, prepared as MNIST's makers prepared theirs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.digit import digit
from fnnet.data.photo.parts import Parts
from fnnet.data.photo.ready import ready
from fnnet.data.photo.reduced import reduced
from fnnet.data.photo.results import CHOICES, Choices, Prepared
from fnnet.data.photo.sheet import sheet_of, ways_of
from fnnet.data.photo.source import picture_of

LONGEST: Final = 512
"""Pixels of the longer side of a picture after it was reduced, at most."""
DOUBT: Final = 2
"""The border is believed, against the local contrast, if what it leads to has this many times the contrast."""
CLEAR: Final = 2.5
"""Ink of less contrast is doubted in any case."""
EDGED: Final = 8
"""The contrast of ink that leaves the picture broadly, as a shadow does, counts for 1/8."""
NEAR: Final = 4
"""A piece belongs to the digit if it is within 1/4 of its longer side,"""
PALE: Final = 8, 5
"""has 5/8 of the depth of the largest piece on average: the corner of a shadow has less,"""
SPECK: Final = 100
"""and 1/100 of its pixels."""
EDGE: Final = 8
"""A piece at the edge of the picture counts for 1/8: it is a shadow, or something else that is only half seen."""


def prepare(image: Any, choices: Choices = CHOICES) -> Prepared:
    """Return a picture of a digit as an image like MNIST's, with every step and figure that led to it.

    The picture is reduced, its light made even; whether the ink is dark or light is found from the local contrast;
    ruled lines are taken out; the ink is boxed to 20x20 by area, and its centre of mass put at 14. A small picture that
    is nearly as MNIST has it keeps its grey ink.

    image     an array of bytes, (height, width) or (height, width, 3) with red, green and blue; or a path, or an image
              of Pillow.
    choices   what is decided by the caller; by default nothing is.
    Raises   ArgumentTypeError for another type or dtype, DataError for another shape, or a file that is not a picture.

    >>> import numpy as np
    >>> from fnnet.data import photo
    >>> paper = np.full((300, 200), 220, np.uint8)
    >>> paper[60:240, 90:110] = 40
    >>> one = photo.prepare(paper)
    >>> one.image.shape, one.figures.dark, one.figures.box
    ((28, 28), True, (59, 89, 182, 22))
    """
    picture = picture_of(image)
    if (found := ready(picture, choices)) is not None:
        return found
    factor = -(-max(picture.shape[:2]) // LONGEST)
    grey = reduced(picture, factor)
    first, *others = ways_of(grey, choices)
    best, credit = _one_way(grey, factor, first, bool(others), choices)
    if not others and choices.dark is None and credit < CLEAR:
        others = [not first]
    for dark in others:
        other, its = _one_way(grey, factor, dark, True, choices)
        if its > DOUBT * credit:
            best = other
    return best


def _one_way(grey: Array, factor: int, dark: bool, doubted: bool, choices: Choices) -> tuple[Prepared, float]:
    """Return the digit of a picture with dark, or light, ink, and how credible it is: by its contrast, less if it
    leaves the picture broadly.
    """
    sheet = sheet_of(grey, factor, dark, doubted, choices)
    numbers = chosen(sheet.parts, sheet.ink)
    found = digit(sheet, numbers, choices)
    return found, found.evidence.contrast / (EDGED if leaving(sheet.parts)[numbers].any() else 1)


def leaving(parts: Parts) -> Array:
    """Return True for the parts that leave the picture broadly; the end of a stroke may touch its edge."""
    x = parts.labels
    contact = np.bincount(np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]]), minlength=len(parts.areas) + 1)[1:]
    sides = parts.boxes[:, 2:] - parts.boxes[:, :2]
    broad: Array = contact * 3 > sides.min(axis=1)
    return broad


def chosen(parts: Parts, ink: Array) -> Array:
    """Return the numbers of the parts that are the digit, int64: the largest, and those near it, and near these.

    ink   the depths, uint8 (height, width).
    """
    if not len(parts.areas):
        return np.zeros(0, np.int64)
    top, left, bottom, right = parts.boxes.T
    edge = leaving(parts)
    main = int((parts.areas * np.where(edge, 1, EDGE)).argmax())
    sums = np.bincount(parts.labels.ravel(), ink.ravel(), minlength=len(edge) + 1)[1:].astype(np.int64)
    deep = sums * PALE[0] * parts.areas[main] >= sums[main] * PALE[1] * parts.areas
    others = deep & (parts.areas * SPECK >= parts.areas[main]) & (~edge | edge[main])
    kept = np.arange(len(edge)) == main
    while True:
        first, last = parts.boxes[kept, :2].min(axis=0), parts.boxes[kept, 2:].max(axis=0)
        down, across = np.maximum(top - last[0], first[0] - bottom), np.maximum(left - last[1], first[1] - right)
        near = kept | (others & (np.maximum(down, across) * NEAR <= (last - first).max()))
        if np.array_equal(near, kept):
            return np.flatnonzero(kept)
        kept = near
