"""A picture of one digit, prepared as MNIST's makers prepared theirs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.digit import digit
from fnnet.data.photo.parts import Parts
from fnnet.data.photo.ready import ready
from fnnet.data.photo.results import CHOICES, Choices, Prepared
from fnnet.data.photo.sheet import Sheet, sheets
from fnnet.data.photo.source import picture_of

LONGEST: Final = 512
"""Pixels of the longer side of a picture after it was reduced, at most."""
DOUBT: Final = 2
"""The border is believed, against the local contrast, if what it leads to has this many times the contrast."""
NEAR: Final = 4
"""A piece belongs to the digit if it is within 1/4 of its longer side,"""
SPECK: Final = 100
"""and has 1/100 of the pixels of the largest piece."""
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
    ways = sheets(picture, LONGEST, choices)
    all_found = [digit(sheet, chosen(sheet.parts, sheet.ink.shape), choices) for sheet in ways]
    first, last = all_found[0], all_found[-1]
    return last if score(last, ways[-1]) > DOUBT * score(first, ways[0]) else first


def score(prepared: Prepared, sheet: Sheet) -> float:
    """Return the contrast of a digit, half of it if the digit reaches the edge of the picture."""
    top, left, height, width = (each // sheet.factor for each in prepared.figures.box)
    inside = top > 0 and left > 0 and top + height < sheet.ink.shape[0] and left + width < sheet.ink.shape[1]
    return prepared.evidence.contrast if inside else prepared.evidence.contrast / 2


def chosen(parts: Parts, shape: tuple[int, ...]) -> Array:
    """Return the numbers of the parts that are the digit, int64: the largest, and those near it, and near these."""
    if not len(parts.areas):
        return np.zeros(0, np.int64)
    top, left, bottom, right = parts.boxes.T
    edge = (top == 0) | (left == 0) | (bottom == shape[0]) | (right == shape[1])
    main = int((parts.areas * np.where(edge, 1, EDGE)).argmax())
    kept, others = np.arange(len(edge)) == main, (parts.areas * SPECK >= parts.areas[main]) & (~edge | edge[main])
    while True:
        first, last = parts.boxes[kept, :2].min(axis=0), parts.boxes[kept, 2:].max(axis=0)
        down, across = np.maximum(top - last[0], first[0] - bottom), np.maximum(left - last[1], first[1] - right)
        near = kept | (others & (np.maximum(down, across) * NEAR <= (last - first).max()))
        if np.array_equal(near, kept):
            return np.flatnonzero(kept)
        kept = near
