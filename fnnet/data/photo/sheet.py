"""A picture as a sheet of ink: light made even, lines taken out, the pieces of ink found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.light import closed, depth, otsu, smoothed
from fnnet.data.photo.lines import without_lines
from fnnet.data.photo.parts import Parts, parts_of
from fnnet.data.photo.polarity import dark_by_border, dark_by_contrast
from fnnet.data.photo.reduced import reduced
from fnnet.data.photo.results import Choices

WINDOW = 4
"""The ground is the lightest of windows of 1/4 of the picture: strokes are narrower than that, shadows wider."""


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


def sheets(image: Array, longest: int, choices: Choices) -> tuple[Sheet, ...]:
    """Return the sheet of a picture, uint8 (height, width) or (height, width, 3), reduced to at most `longest` pixels
    a side; both, the likelier first, where border and local contrast disagree on whether the ink is dark."""
    factor = -(-max(image.shape[:2]) // longest)
    grey = reduced(image, factor)
    ways = [choices.dark] if choices.dark is not None else [dark_by_contrast(grey), dark_by_border(grey)]
    ways = list(dict.fromkeys(ways))
    return tuple(_sheet(grey, factor, dark, len(ways) > 1, choices) for dark in ways)


def _sheet(grey: Array, factor: int, dark: bool, doubted: bool, choices: Choices) -> Sheet:
    picture = smoothed(grey if dark else 255 - grey)
    reach = max(2, max(grey.shape) // (2 * WINDOW))
    ground = closed(picture, reach) if choices.light else np.full_like(picture, picture.max())
    deep = depth(picture, ground)
    ink, lines = without_lines(deep) if choices.lines else (deep, (0, 0))
    threshold = otsu(ink) if choices.threshold is None else choices.threshold
    light = ground if dark else 255 - ground
    return Sheet(grey, factor, dark, doubted, light, deep, ink, lines, threshold, parts_of(ink > threshold))
