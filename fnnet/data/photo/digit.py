"""A digit of a sheet as an image like MNIST's, with all figures and steps."""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.photo.boxed import bounds, centre_of_mass, fitted, placed, resized
from fnnet.data.photo.light import widened
from fnnet.data.photo.results import BOX, CENTRE, Choices, Evidence, Figures, Prepared, Step
from fnnet.data.photo.sheet import OUTLINE, Sheet

THIN: Final = 1.3
"""Strokes narrower than this, in pixels of the box of 20, are thickened..."""
THICK: Final = 2.0
"""... to this."""


def digit(sheet: Sheet, numbers: Array, choices: Choices) -> Prepared:
    """Return the digit that consists of the parts `numbers` of a sheet, int64 (parts,), prepared."""
    kept = np.zeros(len(sheet.parts.areas) + 1, bool)
    kept[numbers + 1] = True
    own = kept[sheet.parts.labels]
    ink = soft(sheet.ink, own, sheet.threshold)
    top, left, height, width = bounds(ink)
    stroke = stroke_width(own) * BOX / max(height, width, 1)
    grown, grow = ink, 0
    if choices.thicken and 0 < stroke < THIN:
        grow = int((THICK - stroke) / 2 * max(height, width) / BOX + 0.5)
        grown = widened(np.pad(ink, grow), grow)
        top, left, height, width = bounds(grown)
    crop = grown[top : top + height, left : left + width]
    box = resized(crop, fitted(height, width)) if height else crop
    image = placed(box)
    place = (top - grow, left - grow, height, width) if height else (0, 0, 0, 0)
    pictures = (sheet.grey, sheet.ground, sheet.depth, sheet.ink, ink, box)
    figures = Figures(
        dark=sheet.dark,
        doubted=sheet.doubted,
        ready=False,
        factor=sheet.factor,
        lines=sheet.lines,
        threshold=sheet.threshold,
        box=tuple(each * sheet.factor for each in place),  # type: ignore[arg-type]
        scale=BOX / (max(height, width, 1) * sheet.factor),
        stroke=stroke,
        thickened=grow,
        centre=centre(image),
    )
    evidence = evidence_of(sheet.ink, own, len(numbers), len(sheet.parts.areas) - len(numbers))
    return Prepared(image, figures, evidence, steps_of(pictures))


NAMES: Final = ("grey", "light", "depth", "lines", "ink", "box")
"""The steps in their order."""


def steps_of(pictures: tuple[Array, ...]) -> tuple[Step, ...]:
    """Return the pictures with the names of the steps."""
    return tuple(Step(name, picture) for name, picture in zip(NAMES, pictures, strict=True))


def soft(depth: Array, mask: Array, threshold: int) -> Array:
    """Return the ink of a mask and one pixel around it, uint8: 0 at half of the threshold, 255 from its median on."""
    if not mask.any():
        return np.zeros_like(depth)
    counts = np.bincount(depth[mask], minlength=256).cumsum()
    level, low = int(np.searchsorted(counts, counts[-1] // 2 + 1)), threshold // 2
    levels = np.clip((np.arange(256) - low) * 255 // max(1, level - low), 0, 255).astype(np.uint8)
    ink: Array = np.where(widened(mask.astype(np.uint8), 1) > 0, levels[depth], 0).astype(np.uint8)
    return ink


def stroke_width(mask: Array) -> float:
    """Return about how wide strokes are, in pixels: twice their area divided by the length of their outline.

    >>> round(stroke_width(np.eye(100, dtype=bool)), 2)
    0.64
    """
    rows, columns = (np.diff(np.pad(mask, 1).astype(np.int8), axis=axis) for axis in (0, 1))
    outline = int(np.count_nonzero(rows)) + int(np.count_nonzero(columns))
    return 2 * int(mask.sum()) / (OUTLINE * outline) if outline else 0.0


def centre(image: Array) -> tuple[float, float]:
    """Return the row and the column of the centre of mass; those of the middle without ink."""
    mass, down, across = centre_of_mass(image)
    return (down / mass, across / mass) if mass else (float(CENTRE), float(CENTRE))


def evidence_of(depth: Array, mask: Array, parts: int, left_out: int) -> Evidence:
    """Return what speaks for ink in a mask: depth is that of the whole picture."""
    share = int(mask.sum()) / mask.size
    if share in (0.0, 1.0):
        return Evidence(0.0, share, parts, left_out)
    (ink, inks), (ground, grounds) = (_mean_and_deviation(depth, each) for each in (mask, ~mask))
    return Evidence((ink - ground) / (1 + inks + grounds), share, parts, left_out)


def _mean_and_deviation(depth: Array, mask: Array) -> tuple[float, float]:
    values = depth[mask].astype(np.int64)
    n, total, squares = len(values), int(values.sum()), int((values * values).sum())
    return total / n, sqrt(n * squares - total * total) / n
