"""Photos without a digit."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from bench.photos import ranges
from bench.photos.camera import taken
from bench.photos.draws import Draws
from bench.photos.papers import cloud, turn_of
from bench.photos.pens import FINE, LENGTH, cut, near, pen, smooth
from bench.photos.scene import Picture, Placed, difficulties, middle, photo, put, size_of
from bench.photos.source import Source
from fnnet.core.params import Array

KINDS: Final = tuple(ranges.KINDS)
TOUCHING: Final = 3 * FINE * FINE
"""Points of the grid that both digits of a grown pair cover, at least."""
PLENTY: Final = 40 * FINE
"""Side of the grid on which lines and scribbles are drawn."""


def kind_of(number: int) -> str:
    """Return the kind of a picture: the kinds follow each other in blocks, again after 500.

    >>> kind_of(0), kind_of(149), kind_of(150), kind_of(500)
    ('letter', 'letter', 'lines', 'letter')
    """
    number %= ranges.COUNTS[ranges.NONDIGITS]
    for kind, count in ranges.KINDS.items():
        if number < count:
            return kind
        number -= count
    raise AssertionError("KINDS has as many as COUNTS")


def nondigit(source: Source, number: int) -> Picture:
    """Return the photo of this number, without a digit."""
    draws = Draws(source.seed, ranges.NONDIGITS, number)
    kind, tags, shape = kind_of(number), difficulties(draws), size_of(draws)
    ink = pen(draws, tags)
    length = min(shape) * draws.within(ranges.DIGIT)
    if kind == "texture":
        return Picture(taken(draws, wild(draws, shape), length, tags), (), (), (kind,))
    placed: list[Placed] = []
    if kind != "empty":
        centre = middle(draws, shape, length, tags)
        placed = [put(shape_of(kind, draws, source, number), length, draws.within(ranges.TILT), centre, shape)]
    return Picture(photo(draws, shape, placed, length, ink, tags), (), (), (kind, *sorted(tags)))


def shape_of(kind: str, draws: Draws, source: Source, number: int) -> Array:
    """Return what is drawn, 0 to 1 on a fine grid."""
    if kind == "letter":
        tune = source.seed == ranges.TUNE_SEED
        return letter(draws.one_of(ranges.LETTERS), draws.one_of(ranges.TUNE_FONTS if tune else ranges.TEST_FONTS))
    if kind == "grown pair":
        first = ranges.FIRST[ranges.NONDIGITS] + 2 * number
        return pair(source.digit(first)[0], source.digit(first + 1)[0])
    radius = LENGTH * draws.within(ranges.SCRIBBLE_WIDTH) / 2
    return cut(near(lines(draws) if kind == "lines" else scribble(draws), radius))


def letter(which: str, font: str) -> Array:
    """Return a printed letter. Its pixels, unlike all others, are those of this Pillow's FreeType."""
    from PIL import Image, ImageDraw, ImageFont

    if font:
        import matplotlib

        loaded = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")), LENGTH)
    else:
        loaded = ImageFont.load_default(LENGTH)  # type: ignore[assignment]
    image = Image.new("L", (3 * LENGTH, 3 * LENGTH))
    ImageDraw.Draw(image).text((LENGTH, LENGTH), which, fill=255, font=loaded)
    return cut(np.asarray(image) / 255.0)


def pair(left: Array, right: Array) -> Array:
    """Return two digits moved together until they touch."""
    first, second = (smooth(each) > ranges.LEVEL for each in (left, right))
    height, width = first.shape
    for apart in range(width, 0, -2):
        both = first[:, apart:] & second[:, : width - apart]
        if int(both.sum()) >= TOUCHING:
            break
    joined = np.zeros((height, width + apart), bool)
    joined[:, :width] |= first
    joined[:, apart:] |= second
    return cut(near(joined, 0.5))


def path(points: list[tuple[float, float]]) -> Array:
    """Return a mask with the straight lines between points, each (row, column) of the grid."""
    mask = np.zeros((PLENTY, PLENTY), bool)
    for (y, x), (to_y, to_x) in pairwise(points):
        steps = int(2 * max(abs(to_y - y), abs(to_x - x))) + 1
        share = np.arange(steps + 1) / float(steps)
        rows = np.floor(y + (to_y - y) * share + 0.5).astype(np.int64)
        columns = np.floor(x + (to_x - x) * share + 0.5).astype(np.int64)
        mask[np.clip(rows, 0, PLENTY - 1), np.clip(columns, 0, PLENTY - 1)] = True
    return mask


def lines(draws: Draws) -> Array:
    """Return straight strokes that are no digit: a dash, =, three dashes, a cross, an angle, a star, a grid, two rules.

    A single upright stroke is missing: it is a 1.
    """
    half, middle = LENGTH / 2, PLENTY / 2
    apart = half * (0.5 + 0.4 * draws.share())
    dash, up = [(0.0, -half), (0.0, half)], [(-half, 0.0), (half, 0.0)]

    def moved(points: list[tuple[float, float]], down: float, across: float) -> list[tuple[float, float]]:
        return [(y + down, x + across) for y, x in points]

    cross = [[(-half, -half), (half, half)], [(-half, half), (half, -half)]]
    drawings = (
        [dash],
        [moved(dash, apart / 2, 0), moved(dash, -apart / 2, 0)],
        [moved(dash, apart, 0), dash, moved(dash, -apart, 0)],
        [dash, up],
        cross,
        [[(half, -half), (-half, 0.0), (half, half)]],
        [dash, up, *cross],
        [moved(dash, -apart / 2, 0), moved(dash, apart / 2, 0), moved(up, 0, -apart / 2), moved(up, 0, apart / 2)],
        [moved(up, 0, -apart), moved(up, 0, apart)],
    )
    mask = np.zeros((PLENTY, PLENTY), bool)
    for stroke in draws.one_of(drawings):
        shaken = [(y + 6 * draws.share() - 3, x + 6 * draws.share() - 3) for y, x in stroke]
        mask |= path(moved(shaken, middle, middle))
    return mask


def scribble(draws: Draws) -> Array:
    """Return a line that wanders: a pen whose direction changes by chance, drawn back to the middle."""
    points, (y, x), (down, across) = [], (0.0, 0.0), (0.0, 0.0)
    for _ in range(draws.whole(30, 80)):
        c, s = turn_of(360 * draws.share())
        down, across = 0.8 * down + 10 * s - 0.03 * y, 0.8 * across + 10 * c - 0.03 * x
        y, x = y + down, x + across
        points.append((y + PLENTY / 2, x + PLENTY / 2))
    return path(points)


def wild(draws: Draws, shape: tuple[int, int]) -> Array:
    """Return a surface that is no paper: cloth, wood, stone; reflectances (3, height, width)."""
    down, across = draws.whole(2, 40), draws.whole(2, 40)
    swing = draws.within(ranges.WILD)
    grain = swing * cloud(draws, shape, down, across) + swing / 2 * cloud(draws, shape, 3, 3)
    found: Array = np.stack([(0.35 + 0.5 * draws.share()) * (1 + grain) for _ in range(3)])
    return found
