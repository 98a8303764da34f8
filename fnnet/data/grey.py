"""Colour as grey: luma, and transparency over black, in whole numbers; the opacity alone where it is the image."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

STRIP: Final = 2**18
"""Pixels that are converted at a time."""
POINTS: Final = 16
"""Rows and columns of an image at which its colours are looked at."""
Where = tuple[slice, slice]
WHOLE: Final[Where] = (slice(None), slice(None))


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


def ink_of(grey: Array, colours: Array, alpha: Array) -> Array:
    """Return images, uint8 (n, pixels), as their opacity where it alone makes the image, else as `grey`.

    Black ink on a transparent ground is black all over without its opacity, and so is white ink white.
    """
    low, high = one_colour(colours, alpha)
    inked = (low <= high).all(axis=1) & (alpha.min(axis=1) < alpha.max(axis=1))
    return np.where(inked[:, None], alpha, grey)


class Canvas:
    """The grey of one image, whose pixels are put down in pieces, and what else is known of it.

    colours   at POINTS x POINTS places, uint8 (rows, columns, 3), if they are wanted and the image has any.
    """

    def __init__(self, shape: tuple[int, int], wanted: bool = False) -> None:
        self.shape, self.wanted = shape, wanted
        self.grey = np.empty(shape, np.uint8)
        self.colours: Array | None = None
        self._alpha: Array | None = None
        self._low, self._high = -np.inf, np.inf

    def put(self, where: Where, grey: Array, colours: Array | None = None, alpha: Array | None = None) -> None:
        """Put down some pixels: their grey, their colours (rows, columns, channels) and, if it may differ, opacity."""
        self.grey[where] = grey
        if colours is None:
            return
        if alpha is not None and (grey.shape != self.shape or alpha.min() < 255):
            if self._alpha is None:
                self._alpha = np.empty(self.shape, np.uint8)
            self._alpha[where] = alpha
            low, high = one_colour(colours.reshape(1, alpha.size, -1), alpha.reshape(1, -1))
            self._low, self._high = np.maximum(self._low, low[0]), np.minimum(self._high, high[0])
        if self.wanted and colours.shape[2] == 3:
            if self.colours is None:
                self.colours = np.zeros((POINTS, POINTS, 3), np.uint8)
            rows, columns = (
                [(k, there.index(at)) for k, at in enumerate(points(size)) if at in there]
                for size, there in zip(self.shape, map(_range, where, self.shape), strict=True)
            )
            into, out = (np.ix_([row[i] for row in rows], [column[i] for column in columns]) for i in (0, 1))
            seen = colours[out] if alpha is None else colours[out] * (alpha[out][..., None] / np.float32(255))
            self.colours[into] = seen

    def image(self) -> tuple[Array, bool]:
        """Return the image, uint8 (height, width), and whether it is the opacity of ink."""
        alpha = self._alpha
        if alpha is None or not np.all(self._low <= self._high) or alpha.min() == alpha.max():
            return self.grey, False
        return alpha, True


def _range(where: slice, size: int) -> range:
    return range(size)[where]


def points(size: int) -> list[int]:
    """Return the rows, or the columns, of an image of `size` that is looked at."""
    return [(2 * k + 1) * size // (2 * POINTS) for k in range(POINTS)]


def colours_at(x: Array) -> Array:
    """Return the colours of images, uint8 (n, height, width, 3 or 4), as `Canvas` has them, (n, POINTS, POINTS, 3)."""
    found = x[:, points(x.shape[1])][:, :, points(x.shape[2])]
    seen = found[..., :3] if x.shape[3] == 3 else found[..., :3] * (found[..., 3:] / np.float32(255))
    return seen.astype(np.uint8)
