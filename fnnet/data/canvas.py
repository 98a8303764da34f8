"""The grey of one picture, put down in pieces, with its opacity and its colours: what readers of pictures return."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data import grey as greys
from fnnet.data.grey import DOUBTFUL, INKED, POINTS, Tones, on_ground, one_colour, opacity_notes, points, shades_of
from fnnet.data.reader import Content
from fnnet.data.turn import turned

Where = tuple[slice, slice]
WHOLE: Final[Where] = (slice(None), slice(None))


class Canvas:
    """The grey of one image, whose pixels are put down in pieces, and what else is known of it.

    colours   at POINTS x POINTS places, uint8 (rows, columns, 3), if they are wanted and the image has any.
    """

    def __init__(self, shape: tuple[int, int], wanted: bool = False) -> None:
        self.shape, self.wanted = shape, wanted
        self.grey = np.empty(shape, np.uint8)
        self.colours: Array | None = None
        self._alpha: Array | None = None
        self._shades = self.grey[:0]
        self._low, self._high, self._tones = -np.inf, np.inf, Tones(1)

    def put(self, where: Where, grey: Array, colours: Array | None = None, alpha: Array | None = None) -> None:
        """Put down some pixels: their grey, their colours (rows, columns, channels) and, if it may differ, opacity."""
        self.grey[where] = grey
        if colours is None:
            return
        if alpha is not None and (grey.shape != self.shape or alpha.min() < 255):
            if self._alpha is None:
                self._alpha, self._shades = np.empty(self.shape, np.uint8), np.empty(self.shape, np.uint8)
            self._alpha[where], self._shades[where] = alpha, shades_of(colours)
            low, high = one_colour(colours.reshape(1, alpha.size, -1), alpha.reshape(1, -1))
            self._low, self._high = np.maximum(self._low, low[0]), np.minimum(self._high, high[0])
            self._tones.add(colours.reshape(1, alpha.size, -1), alpha.reshape(1, -1))
        if self.wanted and (colours.shape[2] == 3 or alpha is not None):
            if self.colours is None:
                self.colours = np.zeros((POINTS, POINTS, 3), np.uint8)
            rows, columns = (
                [(k, there.index(at)) for k, at in enumerate(points(size)) if at in there]
                for size, there in zip(self.shape, map(_range, where, self.shape), strict=True)
            )
            into, out = (np.ix_([row[i] for row in rows], [column[i] for column in columns]) for i in (0, 1))
            seen = colours[out] if alpha is None else colours[out] * (alpha[out][..., None] / np.float32(255))
            self.colours[into] = seen

    def content(self, shape_at: str, orientation: int = 1) -> Content:
        """Return the image as a reader returns it, turned as EXIF says.

        shape_at   as in `Content`.
        """
        kind, image = 0, self.grey
        if self._alpha is not None:
            same = np.array([np.all(self._low <= self._high)])
            least, most = (np.array([found]) for found in (self._alpha.min(), self._alpha.max()))
            edged = greys.is_edged(self._alpha.reshape(1, -1), self.shape)
            [kind], [cut_out] = (each.tolist() for each in self._tones.kinds(same, least, most, edged, image.size))
            if kind == INKED:
                image = most[0] - self._alpha if cut_out else self._alpha
            if kind == DOUBTFUL and (whole := on_ground(image, self._shades, self._alpha)) is not None:
                kind, image = 0, whole
            elif kind == 0 and 2 * int(least[0]) < most[0]:
                grey, shades, alpha = (each.reshape(1, -1) for each in (image, self._shades, self._alpha))
                found, [kind] = greys.on_paper(grey, shades, alpha, self.shape)
                image = found.reshape(self.shape)
        image = freeze(turned(image, orientation))
        colours = None if self.colours is None else turned(self.colours, orientation)
        ink = np.array([kind], np.uint8) if kind else None
        return Content(
            image.reshape(1, -1), None, image.shape, shape_at=shape_at, colours=colours, ink=ink,
            notes=tuple(opacity_notes(ink)),
        )  # fmt: skip


def _range(where: slice, size: int) -> range:
    return range(size)[where]
