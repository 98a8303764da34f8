"""Arrays with as many images as an image has rows or columns: the images lie along the first axis, or are refused."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import ENOUGH, refuse_last
from fnnet.data.opened import AnyPath
from fnnet.files.disk import refuse

CLEAR: Final = 1.5
"""By how much images must differ more than the columns beside one another in an image. Of MNIST, 28 images in a line
differ 1.8 to 3.4 times as much; 28 of one digit at least 0.7 times."""


def check_first_axis(x: Array, n: int | None, flat: tuple[int, int] | None, where: AnyPath, name: str) -> None:
    """Raise DataError for images (n, height, width) that may be (height, width, n), by their shape and their pixels.

    n      the number of images if labels say it.
    flat   the (height, width) of an image if it is known.
    """
    if x.ndim != 3 or len(x) < 2 or not len(x) == x.shape[2] == (len(x) if n is None else n):
        return
    told = flat is not None and (x.shape[1:] == flat) != (x.shape[:2] == flat)
    if told or math.prod(x.shape[1:]) < ENOUGH or x.dtype.kind not in "biuf":
        return
    first, last = _difference(x, 0), _difference(x, 2)
    if first >= CLEAR * last > 0:
        return
    if last >= CLEAR * first > 0:
        refuse_last(x, where, name, shown=", which changes most from one to the next along the last axis")
    if x.min() != x.max():
        expected, fix = (
            "images along the first axis or the last, as shape or pixels show",
            "store (n, height, width, 1)",
        )
        refuse("the axis of the images is not clear", where, name, expected, f"shape {x.shape}", fix)


def _difference(x: Array, axis: int) -> float:
    """Return how much numbers differ from the next along an axis."""
    return float(np.abs(np.diff(x.astype(np.float64), axis=axis)).mean())
