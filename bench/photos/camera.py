"""The camera: light and shadow, blur and noise, and the file that it writes."""

from __future__ import annotations

import io
from typing import Final, NamedTuple

import numpy as np

from bench.photos import ranges
from bench.photos.draws import Draws
from bench.photos.papers import axes, turn_of
from bench.photos.pens import boxed
from fnnet.core.params import Array

LEVELS: Final = 256
"""Parts of a level of a byte in which a picture is blurred, in integers."""
ORIENTATION: Final = 0x0112
"""EXIF's tag."""
STORED: Final = {1: 0, 3: 2, 6: 1, 8: 3}
"""Orientation -> quarters of a turn, against the clock, from the upright picture to what is stored."""


class Shot(NamedTuple):
    """A picture as a camera takes it.

    pixels        uint8 (height, width, 3), upright.
    orientation   in its file, as EXIF numbers them.
    quality       of its JPEG.
    """

    pixels: Array
    orientation: int
    quality: int

    def file(self) -> bytes:
        """Return the JPEG. Its bytes, unlike the pixels, are those of this Pillow."""
        from PIL import Image

        stored = Image.fromarray(np.ascontiguousarray(np.rot90(self.pixels, STORED[self.orientation])))
        exif = Image.Exif()
        if self.orientation != 1:
            exif[ORIENTATION] = self.orientation
        file = io.BytesIO()
        stored.save(file, "JPEG", quality=self.quality, exif=exif)
        return file.getvalue()


def light(draws: Draws, shape: tuple[int, int], tags: frozenset[str]) -> Array:
    """Return the light on each pixel, 0 to 1."""
    height, width = shape
    y, x = axes(shape)
    down, across = y / height, x / width
    lost = draws.within(ranges.VIGNETTE) * 2 * (down * down + across * across)
    if "gradient" in tags:
        c, s = turn_of(360 * draws.share())
        slope = (down * s + across * c) / (abs(c) + abs(s)) + 0.5
        lost = 1 - (1 - lost) * (1 - draws.within(ranges.GRADIENT) * slope)
    found: Array = draws.within(ranges.EXPOSURE) * (1 - lost)
    if "shadow" in tags:
        found = found * (1 - (1 - draws.within(ranges.SHADOW)) * shadow(draws, shape))
    return found


def shadow(draws: Draws, shape: tuple[int, int]) -> Array:
    """Return 1 in a shadow with a hard edge, 0 outside."""
    y, x = axes(shape)
    edge = draws.within(ranges.EDGE)
    turn, at = 360 * draws.share(), draws.within(ranges.SHADOW_AT) * min(shape)
    c, s = turn_of(turn)
    inside = np.clip((x * c + y * s - at) / edge + 0.5, 0.0, 1.0)
    if draws.chance(ranges.WEDGES):
        c, s = turn_of(turn + 60 + 60 * draws.share())
        at = draws.within(ranges.SHADOW_AT) * min(shape)
        inside = np.minimum(inside, np.clip((x * c + y * s - at) / edge + 0.5, 0.0, 1.0))
    return inside


def taken(draws: Draws, sheet: Array, unit: float, tags: frozenset[str]) -> Shot:
    """Return the photo of a sheet, reflectances (3, height, width), on which a digit has `unit` pixels."""
    shape = (sheet.shape[1], sheet.shape[2])
    lit = light(draws, shape, tags)
    radius = max(1, int(unit * draws.within(ranges.BLUR) + 0.5)) if "blur" in tags else 0
    swing = draws.within(ranges.STRONG_NOISE if "noise" in tags else ranges.NOISE)
    pixels = np.empty((*shape, 3), np.uint8)
    for channel in range(3):
        seen = np.floor(np.clip(sheet[channel] * lit, 0.0, 1.0) * 255 * LEVELS + 0.5).astype(np.int64)
        for _ in range(2 if radius else 0):
            seen = boxed(seen, radius) // (2 * radius + 1) ** 2
        # Four bytes' sum has a standard deviation of 147.8: nearly that of a bell.
        grain = sum(draws.noise(*shape) for _ in range(4)) - 510
        level = np.floor(seen / LEVELS + grain * (swing / 147.8) + 0.5)
        pixels[:, :, channel] = np.clip(level, 0.0, 255.0).astype(np.uint8)
    orientation = draws.one_of(ranges.TURNS) if "rotated" in tags else 1
    quality = int(draws.within(ranges.LOW_QUALITY if "jpeg" in tags else ranges.QUALITY))
    return Shot(pixels, orientation, quality)
