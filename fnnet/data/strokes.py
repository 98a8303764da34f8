"""Dark strokes on a lighter ground, or light ones on a darker: judged inside images, against what is around each pixel.

Paper may lie in a shadow, a lamp may light one side, a scanner may leave a black border: the edge of such an image says
nothing. Strokes are thin: what they are made of differs more from the mean around it, and is less, than the ground.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.paper import NOISE, dark_on_light, dark_on_paper, edges, means, medians

SMALLEST: Final = 8
"""Rows and columns of the smallest image that is judged."""
LARGEST: Final = 64
"""Rows and columns of the largest; larger ones are shrunk."""
AROUND: Final = 4
"""The neighbourhood of a pixel reaches this part of an image to each side."""
MARGIN: Final = 8
"""This part of an image at each side is its edge."""
CONTRAST: Final = 32
"""Strokes differ by more from what is around them."""
SKEW: Final = 0.3
"""The skewness of the differences is at least this where one kind is sure. The least of MNIST's 70,000 images is 0.12,
and 99.98% are above 0.3; of 5,000 images of noise of their size all are within 0.26, of 8 x 8 pixels 76%."""
BLACK: Final = 32
"""A border is nowhere lighter."""
GREY: Final = 64
"""Paper inside a border is lighter, for the most part."""
PIECE: Final = 2**20
"""Pixels that are judged at a time."""
BY_EDGES: Final = 0.95
BY_STROKES: Final = 0.9
"""The fraction of images whose ink must be known before any of it counts. Of noise, textures and filled shapes the
strokes of at most 66% are known, of digits those of 95% at least; the edges of textures are seldom white or black."""


def strokes(x: Array, shape: tuple[int, int]) -> Array:
    """Return what the strokes in each image are: 1 lighter than their ground, -1 darker, 0 not known, int8 (n,).

    x       uint8 (n, height x width).
    shape   (height, width).

    >>> bar = np.zeros((16, 16), np.uint8)
    >>> bar[3:13, 8] = 200
    >>> strokes(np.stack([bar.ravel(), 255 - bar.ravel()]), (16, 16)).tolist()
    [1, -1]
    """
    found = np.zeros(len(x), np.int8)
    if min(shape) < SMALLEST:
        return found
    step = max(1, PIECE // (shape[0] * shape[1]))
    for start in range(0, len(x), step):
        found[start : start + step] = _strokes(x[start : start + step].reshape(-1, *shape))
    return found


def dark_strokes(x: Array, shape: tuple[int, int], least: float = 0.0) -> Array:
    """Return True for each image whose strokes are darker than their ground, and that is not dark itself, bool (n,).

    least   if fewer images than this part of them are not dark themselves, none is looked at.
    """
    found = np.zeros(len(x), bool)
    rows = np.flatnonzero(means(x) >= GREY)  # which costs next to nothing, and settles MNIST
    if len(rows) >= least * len(x):
        found[rows] = strokes(x[rows], shape) < 0
    return found


def looks_dark(x: Array, shape: tuple[int, int]) -> Array:
    """Return True for each image that looks like dark ink on light paper, bool (n,): by its strokes or, where
    they do not show it, by its edge.
    """
    found = dark_on_light(x, shape)
    rows = np.flatnonzero(found)
    found[rows] = strokes(x[rows], shape) <= 0
    return found | dark_strokes(x, shape)


def inks(x: Array, shape: tuple[int, int], few: Array) -> Array:
    """Return the ink of images as `strokes` does; all 0 unless nearly all images show their ink.

    They show it by their strokes; else by edges that are white or black, on which shapes may be filled.
    few   some of them, whose strokes are looked at; what is returned is of these, or of all.
    """
    found = strokes(few, shape)
    if (found != 0).mean() >= BY_STROKES:
        return found
    dark, on_paper = dark_on_paper(x, shape)
    paper = medians(edges(x, shape))
    white, black = dark & (paper >= 255 - NOISE), on_paper & ~dark & (paper <= NOISE)
    if (white | black).mean() < BY_EDGES:
        return np.zeros(len(x), np.int8)
    return black.astype(np.int8) - white.astype(np.int8)


def in_border(x: Array, shape: tuple[int, int]) -> Array:
    """Return what the strokes are in images that have a black border around lighter paper, or a white one around darker
    paper, as `strokes` does; 0 for all others."""
    if min(shape) < SMALLEST:
        return np.zeros(len(x), np.int8)
    images = _shrunk(x.reshape(-1, *shape))
    return _in_border(images, np.zeros(len(x), np.int8))


def _strokes(images: Array) -> Array:
    images = _shrunk(images)
    return _in_border(images, _sides(images))


def _in_border(images: Array, found: Array) -> Array:
    """Put into `found` what the strokes are in images with a border."""
    for inverted in (False, True):
        for row, inside in _framed(255 - images if inverted else images):
            side = _sides(inside[None])[0] if min(inside.shape) >= SMALLEST else 0
            found[row] = -side if inverted else side
    return found


def _shrunk(images: Array) -> Array:
    """Return images of at most LARGEST rows and columns: means of blocks."""
    _, height, width = images.shape
    down, across = -(-height // LARGEST), -(-width // LARGEST)
    if down == across == 1:
        return images
    rows, columns = height // down, width // across
    blocks = images[:, : rows * down, : columns * across].reshape(len(images), rows, down, columns, across)
    means: Array = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means.astype(np.uint8)


def _sides(images: Array) -> Array:
    """Return the sign of the third moment of the differences of pixels from the means around them, where it is sure."""
    _, height, width = images.shape
    values = images.astype(np.float32)
    # Two products of large matrices, each along the last axis: those of many small ones take ten times as long.
    along = (values.reshape(-1, width) @ _means(width).T).reshape(images.shape)
    turned = np.ascontiguousarray(along.transpose(0, 2, 1)).reshape(-1, height)
    around = (turned @ _means(height).T).reshape(-1, width, height).transpose(0, 2, 1)
    down, across = height // MARGIN, width // MARGIN
    inside = slice(None), slice(down, height - down), slice(across, width - across)
    off = (values[inside] - around[inside]).reshape(len(images), -1)
    squares = off * off
    spread = squares.mean(axis=1)
    skew = (squares * off).mean(axis=1) / np.maximum(spread, 1) ** 1.5
    sure = (np.maximum(off.max(axis=1), -off.min(axis=1)) > CONTRAST) & (np.abs(skew) > SKEW)
    found: Array = (np.sign(skew) * sure).astype(np.int8)
    return found


@lru_cache(maxsize=16)
def _means(size: int) -> Array:
    """Return the matrix that takes the means around each of `size` pixels in a line, float32 (size, size)."""
    reach, at = max(2, round(size / AROUND)), np.arange(size)
    near = (np.abs(at[:, None] - at) <= reach).astype(np.float32)
    return freeze(near / near.sum(axis=1, keepdims=True))


def _framed(images: Array) -> list[tuple[int, Array]]:
    """Return the rows of images that have a black border around lighter paper, and what is inside."""
    light, each = images > BLACK, np.arange(len(images))
    down, across = np.any(light, axis=2), np.any(light, axis=1)
    top, left = down.argmax(axis=1), across.argmax(axis=1)
    bottom, right = (
        there.shape[1] - 1 - there[:, ::-1].argmax(axis=1) for there in (down, across)
    )  # the first and the last lines that are not black; all black images have no paper
    last = images.shape[1] - 1, images.shape[2] - 1
    framed, paper = np.zeros(len(images), bool), np.ones(len(images), bool)
    for border, line in (
        (top > 0, images[each, top]),
        (bottom < last[0], images[each, bottom]),
        (left > 0, images[each, :, left]),
        (right < last[1], images[each, :, right]),
    ):
        framed |= border
        paper &= ~border | (2 * (line > GREY).sum(axis=1) > line.shape[1])
    rows = np.flatnonzero(framed & paper).tolist()
    return [(row, images[row, top[row] : bottom[row] + 1, left[row] : right[row] + 1]) for row in rows]
