"""A picture as a sheet of ink: light made even, lines taken out, the pieces of ink found."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.light import closed, depth, otsu, smoothed
from fnnet.data.photo.lines import Line, without_lines, without_these
from fnnet.data.photo.parts import Parts, weak_parts
from fnnet.data.photo.polarity import dark_by_border, dark_by_contrast
from fnnet.data.photo.results import Choices

OUTLINE: Final = 0.7853981633974483
"""pi / 4: an outline along the edges of pixels is longer than the curve by its inverse, for all directions alike."""
WINDOW: Final = 4
"""The ground is the lightest of windows of 1/4 of the picture: strokes are narrower than that, shadows wider."""
STROKES: Final = 3.5
"""Once strokes are found, windows are 3.5 times as wide: the narrower they are, the less is left of the corners of
shadows."""
SLIM: Final = 3
"""A stroke is at most 3/10 as wide as it is long."""
WIDEST: Final = 5
"""5 tenths of the ink are in wider strokes than the usual one."""


class Sheet(NamedTuple):
    """What all digits of a picture have in common.

    grey        the picture, reduced, uint8 (height, width), like those below.
    factor      rows and columns of the picture that were averaged to one.
    dark        True if the ink is darker than the ground.
    doubted     True if border and local contrast disagreed on that.
    ground      the picture without ink.
    depth       how much darker, or lighter, than the ground the picture is.
    ink         that, without lines.
    lines       how many there were from left to right and from top to bottom.
    threshold   ink is deeper than this.
    parts       the pieces of ink.
    """

    grey: Array
    factor: int
    dark: bool
    doubted: bool
    ground: Array
    depth: Array
    ink: Array
    lines: tuple[int, int]
    threshold: int
    parts: Parts


def ways_of(grey: Array, choices: Choices) -> tuple[bool, ...]:
    """Return whether the ink is dark; both answers, the likelier first, where border and local contrast disagree."""
    if choices.dark is not None:
        return (choices.dark,)
    return tuple(dict.fromkeys((dark_by_contrast(grey), dark_by_border(grey))))


def sheet_of(grey: Array, factor: int, dark: bool, doubted: bool, choices: Choices) -> Sheet:
    """Return the sheet of a picture that is reduced, with dark or light ink.

    The ground is found by wide windows first, and again by windows as narrow as the strokes that these show.
    """
    picture = smoothed(grey if dark else 255 - grey)
    reach = max(2, max(grey.shape) // (2 * WINDOW))
    lines: tuple[list[Line], list[Line]] | None = None
    while True:
        ground = closed(picture, reach) if choices.light else np.full_like(picture, picture.max())
        deep = depth(picture, ground, True) if dark else depth(255 - picture, 255 - ground, False)
        if lines is None:
            ink, lines = without_lines(deep) if choices.lines else (deep, ([], []))
        else:
            ink = without_these(deep, lines)
        threshold = otsu(ink) if choices.threshold is None else choices.threshold
        parts = weak_parts(ink, threshold)
        narrower = int(usual_stroke(parts) * STROKES / 2) + 2
        if not choices.light or not len(parts.areas) or narrower * 3 > reach * 2:
            break
        reach = narrower
    light = ground if dark else 255 - ground
    return Sheet(grey, factor, dark, doubted, light, deep, ink, (len(lines[0]), len(lines[1])), threshold, parts)


def usual_stroke(parts: Parts) -> float:
    """Return about how wide, in pixels, the wider strokes of some parts are; 0 of none.

    Parts that are nearly as wide as long are not strokes; where others are missing, the longest side of one.
    """
    if not len(parts.areas):
        return 0.0
    widths = 2 * parts.areas / (OUTLINE * np.maximum(parts.outlines, 1))
    longer = np.maximum(parts.boxes[:, 2] - parts.boxes[:, 0], parts.boxes[:, 3] - parts.boxes[:, 1])
    slim = widths * 10 <= longer * SLIM
    if not slim.any():
        return float(longer.max())
    areas = np.where(slim, parts.areas, 0)
    order = np.argsort(-widths, kind="stable")
    at = int(np.searchsorted(areas[order].cumsum(), areas.sum() * WIDEST // 10))
    return float(widths[order][min(at, len(order) - 1)])
