"""Photos of one digit each."""

from __future__ import annotations

from bench.photos import ranges
from bench.photos.draws import Draws
from bench.photos.pens import pen, strokes
from bench.photos.scene import Picture, difficulties, middle, photo, put, size_of
from bench.photos.source import Source


def single(source: Source, number: int, which: int = ranges.SINGLES) -> Picture:
    """Return the photo of this number of a set: each has a digit of its own."""
    draws = Draws(source.seed, which, number)
    tags, shape = difficulties(draws), size_of(draws)
    image, label = source.digit(ranges.FIRST[which] + number)
    ink = pen(draws, tags)
    length = min(shape) * draws.within(ranges.DIGIT)
    centre = middle(draws, shape, length, tags)
    placed = put(strokes(image, draws, tags), length, draws.within(ranges.TILT), centre, shape)
    shot = photo(draws, shape, [placed], length, ink, tags)
    return Picture(shot, (label,), (placed.box(),), tuple(sorted(tags)) or ("plain",))
