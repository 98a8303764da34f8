"""Photos of pages: 3 to 12 digits in lines."""

from __future__ import annotations

from bench.photos import ranges
from bench.photos.draws import Draws
from bench.photos.papers import turn_of
from bench.photos.pens import pen, strokes
from bench.photos.scene import Picture, difficulties, photo, put
from bench.photos.source import Source
from fnnet.core.params import Array

MOST: int = ranges.ON_PAGE[1]


def page(source: Source, number: int) -> Picture:
    """Return the photo of this page: its digits are no other page's."""
    draws = Draws(source.seed, ranges.PAGES, number)
    tags = difficulties(draws) - {"off-centre"}
    count = draws.whole(*ranges.ON_PAGE)
    first = ranges.FIRST[ranges.PAGES] + number * MOST
    digits = [source.digit(first + i) for i in range(count)]
    unit, ink = draws.within(ranges.PAGE_DIGIT), pen(draws, tags)
    inks = [strokes(image, draws, tags) for image, _ in digits]
    lengths = [unit * draws.within(ranges.VARIED) for _ in digits]
    centres, shape = laid(draws, inks, lengths, unit)
    placed = [
        put(each, length, draws.within(ranges.TILT), centre, shape)
        for each, length, centre in zip(inks, lengths, centres, strict=True)
    ]
    shot = photo(draws, shape, placed, unit, ink, tags)
    boxes = tuple(each.box() for each in placed)
    return Picture(shot, tuple(label for _, label in digits), boxes, tuple(sorted(tags)) or ("plain",))


def laid(
    draws: Draws, inks: list[Array], lengths: list[float], unit: float
) -> tuple[list[tuple[float, float]], tuple[int, int]]:
    """Return the centre of each digit, line by line, and the height and width of the page."""
    border, leading, per_line = draws.within(ranges.BORDER), draws.within(ranges.LEADING), draws.whole(*ranges.PER_LINE)
    places, widest = [], 0.0
    for at, (ink, length) in enumerate(zip(inks, lengths, strict=True)):
        line, place = divmod(at, per_line)
        if place == 0:
            x = unit * border
        width = length * ink.shape[1] / max(ink.shape)
        y = unit * (border + 0.6 + line * (1.2 + leading) + draws.within(ranges.JITTER))
        places.append((y, x + width / 2))
        x += width + unit * draws.within(ranges.GAP)
        widest = max(widest, x)
    line = (len(inks) - 1) // per_line
    height = unit * (2 * border + 1.2 + line * (1.2 + leading))
    # The page is turned about its middle; its border grows with what that moves.
    c, s = turn_of(draws.within(ranges.PAGE_TILT))
    width = widest + unit * border
    more_y, more_x = abs(s) * width / 2, abs(s) * height / 2
    shape = (int(height + 2 * more_y), int(width + 2 * more_x))
    turned = []
    for y, x in places:
        down, across = y - height / 2, x - width / 2
        turned.append((shape[0] / 2 + down * c + across * s, shape[1] / 2 + across * c - down * s))
    return turned, shape
