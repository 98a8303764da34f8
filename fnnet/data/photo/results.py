"""What the preparation of a picture returns, and what may be decided for it."""

from __future__ import annotations

from typing import Final, NamedTuple

from fnnet.core.params import Array

SIDE: Final = 28
"""Rows and columns of a prepared image."""
BOX: Final = 20
"""The longer side of the ink's box in it."""
CENTRE: Final = 14
"""Row and column of its centre of mass."""


class Choices(NamedTuple):
    """What the caller of the preparation decides; None for what it finds out.

    dark        True for ink that is darker than its ground, False for lighter ink.
    light       False to leave uneven light as it is.
    lines       False to leave ruled lines in.
    threshold   a pixel is ink if its depth is above this, 0 to 255.
    thicken     False to leave thin strokes as they are.
    """

    dark: bool | None = None
    light: bool = True
    lines: bool = True
    threshold: int | None = None
    thicken: bool = True


CHOICES: Final = Choices()
"""All is found out."""


class Figures(NamedTuple):
    """What was found in a picture.

    dark        True if its ink is darker than its ground.
    doubted     True if the border and the local contrast disagreed on that, and both were prepared and compared.
    ready       True if the picture was nearly as MNIST has it: its grey ink was kept, and not thresholded.
    factor      rows and columns that were averaged to one at first.
    lines       ruled lines that were removed: those from left to right, and those from top to bottom.
    threshold   depths above this are ink.
    box         of the ink in the picture itself: top, left, height, width; (0, 0, 0, 0) if there is no ink.
    scale       pixels of the prepared image for one of the picture.
    stroke      the width of strokes in the prepared image, before they were thickened.
    thickened   pixels by which strokes grew on each side, in the reduced picture.
    centre      row and column of the centre of mass of the prepared image.
    """

    dark: bool
    doubted: bool
    ready: bool
    factor: int
    lines: tuple[int, int]
    threshold: int
    box: tuple[int, int, int, int]
    scale: float
    stroke: float
    thickened: int
    centre: tuple[float, float]


class Evidence(NamedTuple):
    """What speaks for a digit.

    contrast   (mean depth of the ink - that of the ground) / (1 + the sum of both standard deviations).
    share      of the picture that is ink.
    parts      pieces of ink that the digit consists of.
    left_out   other pieces: specks, and ink that is far away or runs out of the picture.
    """

    contrast: float
    share: float
    parts: int
    left_out: int


class Step(NamedTuple):
    """A step of the preparation: its name, and the picture after it, uint8 (height, width)."""

    name: str
    picture: Array


class Prepared(NamedTuple):
    """A picture as MNIST has its images.

    image      uint8 (28, 28): 0 the ground, 255 the ink.
    figures    what was found.
    evidence   what speaks for a digit.
    steps      the picture after each step: "grey"; "light", the ground alone; "depth", how far the ink is from it;
               "lines", without ruled lines; "ink", that of the digit alone; "box", what is centred in the image.
    """

    image: Array
    figures: Figures
    evidence: Evidence
    steps: tuple[Step, ...]


class Found(NamedTuple):
    """A digit of a page.

    box        top, left, height and width in the picture.
    line       0 for those of the first line, and so on.
    prepared   the digit, prepared.
    """

    box: tuple[int, int, int, int]
    line: int
    prepared: Prepared
