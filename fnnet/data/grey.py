"""Colour as grey, in whole numbers: luma; transparency over black, or over the light paper that a picture shows around
it; the opacity alone where it is the image."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.notes import Note
from fnnet.data.paper import NOISE, SMALLEST, edges

STRIP: Final = 2**18
"""Pixels that are converted at a time."""
POINTS: Final = 16
"""Rows and columns of an image at which its colours are looked at."""
INKED, DOUBTFUL = 1, 2
"""Kinds of images with transparency."""
SHADES: Final = 32
"""Ink is of one kind if the standard deviation of its luma is at most this: a gradient from 0 to 110, say."""
COVERED: Final = 0.5
"""Ink covers at most this of an image; an object that was cut out, with colours of its own, may cover more."""
MOST_COVERED: Final = 0.75
"""What covers more than this has no ground: it is one, if the edge is of it, with the ink cut out."""
EDGE: Final = 0.75
"""The fraction of the edge, and the corners, that such a ground covers."""
DARK: Final = 64
"""Colours below this are hardly seen over black..."""
LOST: Final = 0.02
"""... and are lost where they are more than this of what is not transparent."""
LIGHT: Final = 128
"""Paper from here on is light."""


def weighed(rgb: Array) -> Array:
    """Return 2**16 times the luma of ITU-R 601, with the weights of Pillow and libjpeg."""
    r, g, b = (rgb[..., i].astype(np.uint32) for i in range(3))
    return r * 19595 + g * 38470 + b * 7471


def over_black(weighed: Array, alpha: Array | int) -> Array:
    """Lay 2**16 times grey, uint32, with opacity 0 to 255 over black, rounded to bytes."""
    return ((weighed * alpha + 255 * 2**15) // (255 * 2**16)).astype(np.uint8)


def one_colour(colours: Array, alpha: Array) -> tuple[Array, Array]:
    """Return for each image the bounds between which a colour lies that all of its pixels have: lowest, highest.

    There is one if no lowest bound is above its highest. A program that stores colours multiplied by their opacity
    rounds them: a colour counts as the same if, laid over black, it differs by at most one of 255 levels.

    colours  (n, pixels, channels), 0 to 255.
    alpha    opacity, uint8 (n, pixels); a pixel without any has no colour.
    """
    rows = np.arange(len(alpha))
    densest = alpha.argmax(axis=1)
    colour = colours[rows, densest].astype(np.float32)
    slack = 255 / np.maximum(alpha[rows, densest], 0.5).astype(np.float32)[:, None]
    low, high = colour - slack, colour + slack
    # Most images are settled by whole numbers: what differs by more from the densest pixel has no colour in common.
    off = np.abs(colours.astype(np.int16) - colour[:, None].astype(np.int16)) * alpha[..., None].astype(np.int32)
    most = off.reshape(len(off), -1).max(axis=1)
    low[most > 4 * 255] = np.inf
    for row in np.flatnonzero((most > 0) & (most <= 4 * 255)):
        seen = alpha[row] > 0
        each, slacks = colours[row, seen], (255 / alpha[row, seen].astype(np.float32))[:, None]
        low[row], high[row] = (each - slacks).max(axis=0), (each + slacks).min(axis=0)
    return low, high


class Tones:
    """Sums over the pixels of images, weighed by their opacity: how light colours are, and how much that varies."""

    def __init__(self, n: int) -> None:
        self.weight, self.light, self.squares, self.dark = (np.zeros(n) for _ in range(4))

    def add(self, colours: Array, alpha: Array) -> None:
        """Add pixels: (n, pixels, channels), uint8 (n, pixels)."""
        luma = (weighed(colours) >> 16 if colours.shape[2] == 3 else colours[..., 0]).astype(np.float64)
        weights = alpha.astype(np.float64)
        self.weight += weights.sum(axis=1)
        weighted = weights * luma
        self.light += weighted.sum(axis=1)
        self.squares += np.einsum("np,np->n", weighted, luma)
        self.dark += (weights * (luma < DARK)).sum(axis=1)

    def kinds(self, same: Array, least: Array, most: Array, edged: Array, pixels: int) -> tuple[Array, Array]:
        """Return INKED for images whose opacity is ink, DOUBTFUL for those whose colours may be it, else 0, uint8 (n,),
        and whether their ink, or what may be it, is what is transparent.

        same          whether all pixels of an image have one colour.
        least, most   the opacities of each.
        edged         as `is_edged` has it.
        pixels        of an image.
        """
        weight = np.maximum(self.weight, 1)
        mean = self.light / weight
        varied = np.sqrt(np.maximum(self.squares / weight - mean**2, 0)) > SHADES
        covered = self.weight / (np.maximum(most, 1) * float(pixels))
        differs = least < most
        cut_out = edged & (covered > MOST_COVERED) & (2 * least.astype(np.int64) < most)
        inked = differs & (same | (~varied & ((covered <= COVERED) | cut_out)))
        doubtful = differs & ~inked & (cut_out | ((self.dark > LOST * weight) & (covered <= MOST_COVERED)))
        return (inked * INKED + doubtful * DOUBTFUL).astype(np.uint8), cut_out


def is_seen(alpha: Array) -> Array:
    """Return True for pixels at least half as opaque as the most opaque one of their image, bool (n, pixels)."""
    most = alpha.max(axis=1)
    found: Array = alpha >= (most // 2 + most % 2)[:, None]
    return found


def is_edged(alpha: Array, shape: tuple[int, int]) -> Array:
    """Return True for images whose edge and corners are of the opaque pixels, bool (n,).

    alpha   opacity, uint8 (n, pixels).
    shape   (height, width).
    """
    if min(shape) < SMALLEST:
        return np.zeros(len(alpha), bool)
    opaque = is_seen(alpha)
    corners = opaque[:, [0, shape[1] - 1, -shape[1], -1]].all(axis=1)
    found: Array = corners & (edges(opaque, shape).mean(axis=1) >= EDGE)
    return found


def ink_of(grey: Array, colours: Array, alpha: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return images, uint8 (n, pixels), as their opacity where it makes the image, else as `grey`, and their kinds.

    Black ink on a transparent ground is black all over without its opacity, and so is white ink white. Where the ink is
    transparent and the ground is not, what is not opaque is the image.
    """
    low, high = one_colour(colours, alpha)
    tones = Tones(len(alpha))
    tones.add(colours, alpha)
    least, most = alpha.min(axis=1), alpha.max(axis=1)
    same = np.asarray((low <= high).all(axis=1))
    kinds, cut_out = tones.kinds(same, least, most, is_edged(alpha, shape), alpha.shape[1])
    found = np.where((kinds == INKED)[:, None], np.where(cut_out[:, None], most[:, None] - alpha, alpha), grey)
    rows, doubtful = np.flatnonzero((kinds == 0) & (2 * least.astype(np.int64) < most)), kinds == DOUBTFUL
    found[rows], kinds[rows] = on_paper(found[rows], shades_of(colours[rows]), alpha[rows], shape)
    for row in np.flatnonzero(doubtful):
        if (whole := on_ground(grey[row], shades_of(colours[row]), alpha[row])) is not None:
            found[row], kinds[row] = whole, 0
    return found, kinds


def on_paper(grey: Array, shades: Array, alpha: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return images laid over black, uint8 (n, pixels), with their light paper where they are transparent, and kinds.

    Where nothing is drawn there is paper: black corners of a white page that was turned would be ink. An image is on
    light paper if the pixels at its edge, and beside what is transparent, are mostly of one light shade, and others are
    darker; paper that nothing is lighter than may be of any shade. Where more than a page leaves out is transparent, it
    may be an object that was cut out: DOUBTFUL, and black.

    grey     with some pixels less than half as opaque as others of their image.
    shades   the luma of each pixel without its opacity.
    """
    most, seen = alpha.max(axis=1), is_seen(alpha).reshape(-1, *shape)  # 16 MiB each of the largest picture
    inner = np.zeros_like(seen)
    across = seen[:, :-2] & seen[:, 1:-1] & seen[:, 2:]
    inner[:, 1:-1, 1:-1] = across[:, :, :-2] & across[:, :, 1:-1] & across[:, :, 2:]
    del across
    np.greater(seen, inner, out=inner)
    rim = _histograms(shades, inner.reshape(shades.shape))
    del inner
    below, count = rim.cumsum(axis=1), np.maximum(rim.sum(axis=1), 1)
    paper = (2 * below >= count[:, None]).argmax(axis=1)
    off = np.abs(np.arange(256) - paper[:, None])
    flat = 2 * (rim * (off <= NOISE)).sum(axis=1) >= count
    there, step = _histograms(shades, seen.reshape(shades.shape)) > 0, np.arange(256) - paper[:, None]
    darker, lighter = (there & (step < -NOISE)).any(axis=1), (there & (step > NOISE)).any(axis=1)
    light = flat & darker & ((paper >= LIGHT) | ~lighter)
    covers = alpha.sum(axis=1, dtype=np.int64) > MOST_COVERED * alpha.shape[1] * most.astype(np.float64)
    found = grey.copy()
    for row in np.flatnonzero(light & covers):
        for at in range(0, grey.shape[1], STRIP):
            place = slice(at, at + STRIP)
            clear = (255 - alpha[row, place]) * np.uint16(paper[row])
            found[row, place] = np.minimum(grey[row, place] + (clear + 127) // 255, 255)
    return found, (light & ~covers) * np.uint8(DOUBTFUL)


def _histograms(x: Array, where: Array) -> Array:
    """Return how many of the bytes of each row, where True, have each value, int64 (n, 256)."""
    found = np.zeros((len(x), 256), np.int64)
    for row in range(len(x)):
        for at in range(0, x.shape[1], STRIP):
            place = slice(at, at + STRIP)
            found[row] += np.bincount(x[row, place][where[row, place]], minlength=256)
    return found


def shades_of(colours: Array) -> Array:
    """Return the luma of pixels (..., channels), whose colours are from 0 to 255, as bytes (...)."""
    return over_black(weighed(colours), 255) if colours.shape[-1] == 3 else np.rint(colours[..., 0]).astype(np.uint8)


def on_ground(grey: Array, shades: Array, alpha: Array) -> Array | None:
    """Return an image on the ground that its file gives it, where one colour stands for transparent, else None.

    Ink that was drawn on white, whose white was then made transparent, shades into white: so does it in the colours.
    A ground that is dark is as good as black, and so is one whose colour the ink has, too: only its opacity tells them.
    grey     the image laid over black.
    shades   the luma of each pixel, also of what is transparent.
    alpha    opacity.
    """
    clear = alpha == 0
    ground = int(shades[clear].max(initial=0))
    keyed = ground >= DARK and clear.mean() >= 1 - COVERED
    keyed = keyed and not ((shades == ground) ^ clear).any() and not ((alpha < 255) ^ clear).any()
    return np.where(clear, np.uint8(ground), grey) if keyed else None


def opacity_notes(kinds: Array | None) -> list[Note]:
    """Return a note if some images, of these kinds, may be meant by their opacity or by their colours."""
    count = 0 if kinds is None else int((kinds == DOUBTFUL).sum())
    if kinds is None or not count:
        return []
    which = f"{count:,} of {len(kinds):,} images have" if len(kinds) > 1 else "there are"
    text = f"{which} light and dark colours beside transparent places: all is read laid over black, where dark ink"
    fix = "lay it over a ground that shows it, and save it without transparency"
    return [Note("opacity", f"{text} and transparent ink are lost; {fix}")]


def points(size: int) -> list[int]:
    """Return the rows, or the columns, of an image of `size` that is looked at."""
    return [(2 * k + 1) * size // (2 * POINTS) for k in range(POINTS)]


def colours_at(x: Array) -> Array:
    """Return the colours of images, uint8 (n, height, width, 3 or 4), as `Canvas` has them, (n, POINTS, POINTS, 3)."""
    found = x[:, points(x.shape[1])][:, :, points(x.shape[2])]
    seen = found[..., :3] if x.shape[3] == 3 else found[..., :3] * (found[..., 3:] / np.float32(255))
    return seen.astype(np.uint8)
