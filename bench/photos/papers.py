"""Papers: their colour, their texture, and the lines that are printed on them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bench.photos import ranges
from bench.photos.draws import Draws
from bench.photos.pens import Ink
from fnnet.core.params import Array

RED: Final = (0.85, 0.35, 0.38)
"""Of a margin's line."""
EXACT: Final = 2.0**20
"""Cosines are cut to this, so that no machine's last bit shows."""


def turn_of(degrees: float) -> tuple[float, float]:
    """Return the cosine and the sine of an angle, the same on every machine."""
    angle = math.radians(degrees)
    return math.floor(math.cos(angle) * EXACT) / EXACT, math.floor(math.sin(angle) * EXACT) / EXACT


def axes(shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return rows (height, 1) and columns (1, width) of pixels' centres, from the middle of the picture."""
    height, width = shape
    return np.arange(height)[:, None] - (height - 1) / 2, np.arange(width)[None, :] - (width - 1) / 2


def cloud(draws: Draws, shape: tuple[int, int], down: int, across: int) -> Array:
    """Return noise whose cells have so many pixels, -1 to 1: random values, straight between them."""
    height, width = shape
    values = draws.noise(height // down + 2, width // across + 2) / 127.5 - 1.0
    row, column = np.arange(height), np.arange(width)
    y, x = row // down, column // across
    dy, dx = ((row % down) / float(down))[:, None], ((column % across) / float(across))[None, :]
    upper = values[y][:, x] * (1 - dx) + values[y][:, x + 1] * dx
    lower = values[y + 1][:, x] * (1 - dx) + values[y + 1][:, x + 1] * dx
    found: Array = upper * (1 - dy) + lower * dy
    return found


def paper(draws: Draws, shape: tuple[int, int], unit: float, ink: Ink, tags: frozenset[str], clear: float) -> Array:
    """Return the reflectance of a paper, float64 (3, height, width).

    unit    pixels of a digit's longer side.
    clear   columns to either side of the middle that a margin's line must leave free.
    """
    grey = draws.within(ranges.BOARD if "light ink" in tags else ranges.WHITE)
    rgb = draws.one_of(ranges.TINTS) if "tinted" in tags else (grey, grey, grey)
    texture = np.ones(shape)
    for cell in ranges.CELLS:
        swing = draws.within(ranges.COARSE if "texture" in tags else ranges.FINE)
        texture += swing * cloud(draws, shape, cell, cell) / len(ranges.CELLS) * (2 if "texture" in tags else 1)
    sheet = np.stack([texture * each for each in rgb])
    if "ruled" in tags or "squared" in tags:
        dark = ink.rgb if "dark lines" in tags else None
        printed(draws, sheet, unit, dark or pale(draws, rgb), "squared" in tags, clear)
    return sheet


def pale(draws: Draws, rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the colour of pale lines on paper of a colour: grey or bluish."""
    share = draws.within(ranges.PALE)
    red, green, blue = (each * share for each in rgb)
    return (red, green, blue * 0.6 + 0.4) if draws.chance(0.5) else (red, green, blue)


def printed(
    draws: Draws, sheet: Array, unit: float, colour: tuple[float, float, float], squared: bool, clear: float
) -> None:
    """Print lines of a colour on a sheet, in place."""
    distance = unit * draws.within(ranges.SQUARED if squared else ranges.RULED)
    width = max(1.0, unit * draws.within(ranges.LINE))
    c, s = turn_of(draws.within(ranges.PAPER_TILT))
    y, x = axes((sheet.shape[1], sheet.shape[2]))
    for across in (False, True) if squared else (False,):
        along = (x * c + y * s if across else y * c - x * s) / distance + draws.share()
        lines = np.clip(width / 2 + 0.5 - np.abs(along - np.floor(along) - 0.5) * distance, 0.0, 1.0)
        drawn(sheet, lines, colour)
    if not squared and draws.chance(ranges.MARGIN):
        at = -clear - unit * (0.15 + 0.3 * draws.share())
        drawn(sheet, np.clip(width / 2 + 0.5 - np.abs(x * c + y * s - at), 0.0, 1.0), RED)


def drawn(sheet: Array, ink: Array, colour: tuple[float, float, float]) -> None:
    """Lay ink of a colour on a sheet, in place."""
    for channel, each in enumerate(colour):
        sheet[channel] += (each - sheet[channel]) * ink
