"""The digits of a page, from left to right, line by line."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.digit import digit
from fnnet.data.photo.parts import Parts
from fnnet.data.photo.reduced import reduced
from fnnet.data.photo.results import CHOICES, Choices, Found
from fnnet.data.photo.sheet import sheet_of, ways_of
from fnnet.data.photo.source import picture_of

LONGEST: Final = 1024
"""Pixels of the longer side of a page after it was reduced, at most."""
WHOLE: Final = 2
"""A piece of at least 1/2 of the usual length is a digit;"""
BIT: Final = 8
"""one of at least 1/8 is a piece of the nearest digit"""
NEAR: Final = 4
"""within 1/4 of the usual length."""


def find(image: Any, choices: Choices = CHOICES) -> tuple[Found, ...]:
    """Return the digits of a page in the order in which they are read: from left to right, line by line.

    Arguments and errors are those of `prepare`. What reaches the edge of the picture is left out.

    >>> import numpy as np
    >>> from fnnet.data import photo
    >>> paper = np.full((200, 300), 220, np.uint8)
    >>> paper[60:140, 90:100] = paper[70:150, 190:200] = 40
    >>> [each.box for each in photo.find(paper)]
    [(59, 89, 82, 12), (69, 189, 82, 12)]
    """
    picture = picture_of(image)
    factor = -(-max(picture.shape[:2]) // LONGEST)
    grey = reduced(picture, factor)
    dark, *others = ways_of(grey, choices)
    sheet = sheet_of(grey, factor, dark, bool(others), choices)
    groups = groups_of(sheet.parts, sheet.ink.shape)
    boxes = [_around(sheet.parts.boxes[group]) for group in groups]
    found = []
    for number, line in enumerate(lines_of(boxes)):
        for at in line:
            prepared = digit(sheet, groups[at], choices)
            found.append(Found(prepared.figures.box, number, prepared))
    return tuple(found)


def _around(boxes: Array) -> tuple[int, int, int, int]:
    """Return the box around boxes: top, left, bottom, right."""
    (top, left), (bottom, right) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return int(top), int(left), int(bottom), int(right)


def groups_of(parts: Parts, shape: tuple[int, ...]) -> list[Array]:
    """Return the numbers of the parts of each digit."""
    top, left, bottom, right = parts.boxes.T
    inside = (top > 0) & (left > 0) & (bottom < shape[0]) & (right < shape[1])
    if not inside.any():
        return []
    longer = np.maximum(bottom - top, right - left)
    # Half of the ink is in parts that are at least as long as is usual.
    order = np.flatnonzero(inside)[np.argsort(-longer[inside], kind="stable")]
    areas = parts.areas[order].cumsum()
    usual = int(longer[order][np.searchsorted(areas, areas[-1] // 2)])
    whole = inside & (longer * WHOLE >= usual)
    owners = {int(number): [int(number)] for number in np.flatnonzero(whole)}
    for bit in np.flatnonzero(inside & ~whole & (longer * BIT >= usual)):
        down = np.maximum(np.maximum(top - bottom[bit], top[bit] - bottom), 0)
        across = np.maximum(np.maximum(left - right[bit], left[bit] - right), 0)
        gap = np.where(whole, np.maximum(down, across), max(shape))
        owner = int(gap.argmin())
        if gap[owner] * NEAR <= usual:
            owners[owner].append(int(bit))
    return [np.array(sorted(each)) for each in owners.values()]


def lines_of(boxes: list[tuple[int, int, int, int]]) -> list[list[int]]:
    """Return the numbers of boxes (top, left, bottom, right) line by line, each line from left to right.

    >>> lines_of([(0, 50, 10, 60), (30, 0, 40, 10), (2, 0, 12, 10)])
    [[2, 0], [1]]
    """
    lines: list[list[int]] = []
    for at in sorted(range(len(boxes)), key=lambda i: boxes[i][0] + boxes[i][2]):
        top, _, bottom, _ = boxes[at]
        for line in lines:
            middle = sorted(boxes[i][0] + boxes[i][2] for i in line)[len(line) // 2]
            if 2 * top <= middle <= 2 * bottom:
                line.append(at)
                break
        else:
            lines.append([at])
    return [sorted(line, key=lambda i: boxes[i][1] + boxes[i][3]) for line in lines]
