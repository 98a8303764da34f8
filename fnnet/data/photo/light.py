"""The ground of a picture without its ink, and how deep the ink is below it: even light."""

from __future__ import annotations

import numpy as np

from fnnet.core.params import Array


def closed(picture: Array, reach: int) -> Array:
    """Return a picture whose dark spots narrower than 2 `reach` + 1 pixels are filled: the closing by a square window.

    Of the lightest pixel of each window the darkest of all windows that hold a pixel. Edges of wide shadows stay where
    they are. Windows end at the edge of the picture.

    >>> closed(np.uint8([[9, 9, 1, 9, 5, 5, 5, 5]]), 1)
    array([[9, 9, 9, 9, 5, 5, 5, 5]], dtype=uint8)
    """
    picture = widened(picture, reach)
    for axis in (0, 1):
        picture = _slid(picture, reach, axis, np.minimum, 255)
    return picture


def widened(picture: Array, reach: int) -> Array:
    """Return the largest pixel within `reach` rows and columns of each."""
    for axis in (0, 1):
        picture = _slid(picture, reach, axis, np.maximum, 0)
    return picture


def _slid(picture: Array, reach: int, axis: int, fold: np.ufunc, outside: int) -> Array:
    """Return the largest, or the smallest, of 2 `reach` + 1 pixels around each along an axis, by doubling."""
    edge = [(0, 0), (0, 0)]
    edge[axis] = (reach, reach)
    x = np.pad(picture, edge, constant_values=outside)
    rows = np.moveaxis(x, axis, 0)
    width, done = 2 * reach + 1, 1
    while done < width:
        step = min(done, width - done)
        rows = fold(rows[: len(rows) - step], rows[step:])
        done += step
    return np.moveaxis(rows, 0, axis)


def smoothed(picture: Array) -> Array:
    """Return the weighted mean of 3x3 pixels, 1 2 1 each way, rounded; at the edge the picture goes on as it ends."""
    x = np.pad(picture, 1, mode="edge").astype(np.uint16)
    x = x[:-2] + 2 * x[1:-1] + x[2:]
    x = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    return ((x + 8) // 16).astype(np.uint8)


def depth(picture: Array, ground: Array) -> Array:
    """Return how much darker than its ground each pixel is, of 255 parts of the ground, rounded down."""
    low = np.minimum(picture, ground).astype(np.uint16)
    return ((ground - low) * np.uint16(255) // np.maximum(ground, 1)).astype(np.uint8)


def otsu(picture: Array) -> int:
    """Return the threshold above which the pixels differ most from the others: Otsu's, 10.1109/TSMC.1979.4310076."""
    counts = np.bincount(picture.ravel(), minlength=256)
    levels = np.arange(256)
    n, total = counts.cumsum(), (counts * levels).cumsum()
    # n0 n1 (m1 - m0)^2 in whole numbers would exceed 64 bits: one division each, in this order.
    n0, n1 = n.astype(np.float64), (n[-1] - n).astype(np.float64)
    apart = total * n1 - (total[-1] - total) * n0
    between = np.divide(apart, n0 * n1, out=np.zeros(256), where=n0 * n1 > 0) ** 2 * n0 * n1
    return int(between.argmax())
