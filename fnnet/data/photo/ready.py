"""Small pictures that are nearly as MNIST has them: flat ground and grey ink, which is kept and not thresholded."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.boxed import bounds, fitted, placed, resized
from fnnet.data.photo.digit import centre, evidence_of, steps_of, stroke_width
from fnnet.data.photo.light import otsu
from fnnet.data.photo.parts import parts_of
from fnnet.data.photo.polarity import dark_by_border
from fnnet.data.photo.reduced import reduced
from fnnet.data.photo.results import BOX, Choices, Figures, Prepared

LARGEST: Final = 56
"""Pixels of the longer side of a picture that may be ready, at most."""
GROUND: Final = 32
"""Half of the border of ready ink on black is at most this,"""
UNEVEN: Final = 16
"""and three quarters of it at most so much more than that."""
NOISE: Final = 8
"""What differs from a ground that is not black by at most this is not ink."""


def ready(image: Array, choices: Choices) -> Prepared | None:
    """Return a small picture prepared, its grey ink kept; None unless its ground is flat, and black or white.

    image   uint8 (height, width) or (height, width, 3).
    """
    if max(image.shape[:2]) > LARGEST:
        return None
    grey = reduced(image, 1)
    dark = dark_by_border(grey) if choices.dark is None else choices.dark
    picture = 255 - grey if dark else grey
    border = np.sort(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
    ground = int(border[len(border) // 2])
    if ground > GROUND or int(border[len(border) * 3 // 4]) > ground + UNEVEN:
        return None
    least = (ground + NOISE if ground else 0) if choices.threshold is None else choices.threshold
    ink = np.where(picture > least, picture, 0).astype(np.uint8)
    top, left, height, width = bounds(ink)
    box = ink[top : top + height, left : left + width]
    if height and max(height, width) != BOX:
        box = resized(box, fitted(height, width))
    image = placed(box)
    mask = ink > otsu(ink)
    scale = BOX / max(height, width, 1)
    figures = Figures(
        dark=dark,
        doubted=False,
        ready=True,
        factor=1,
        lines=(0, 0),
        threshold=least,
        box=(top, left, height, width),
        scale=scale,
        stroke=stroke_width(mask) * scale,
        thickened=0,
        centre=centre(image),
    )
    flat = np.full_like(grey, 255 - ground if dark else ground)
    evidence = evidence_of(ink, mask, len(parts_of(mask).areas), 0)
    return Prepared(image, figures, evidence, steps_of((grey, flat, picture, ink, ink, box)))
