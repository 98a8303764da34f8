"""The ground of a picture without its ink, and how deep the ink is below it: even light."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

DIM: Final = 64
"""Light ink is compared with itself and this much more: what is next to black has a depth like its own lightness."""


def closed(picture: Array, reach: int) -> Array:
    """Return a picture whose dark spots narrower than 2 `reach` + 1 pixels are filled: closings by windows.

    Of the lightest pixel of each window the darkest of all windows that hold a pixel. Edges of wide shadows stay where
    they are; windows that stand on a side and on a corner reach into the corners of shadows. Outside
    the picture goes on as its edge: so do shadows that end there.

    >>> closed(np.uint8([[9, 9, 1, 9, 5, 5, 5, 5]]), 1)
    array([[9, 9, 9, 9, 5, 5, 5, 5]], dtype=uint8)
    """
    upright = _closed(picture, ((1, 0), (0, 1)), reach)
    return np.minimum(upright, _closed(picture, ((1, 1), (1, -1)), max(1, reach * 5 // 7)))


def _closed(picture: Array, ways: tuple[tuple[int, int], ...], reach: int) -> Array:
    edges = [2 * reach * sum(abs(way[axis]) for way in ways) for axis in (0, 1)]
    picture = np.pad(picture, [(edge, edge) for edge in edges], mode="edge")
    for fold in (np.maximum, np.minimum):
        for way in ways:
            picture = _slid(picture, reach, way, fold)
    return picture


def widened(picture: Array, reach: int) -> Array:
    """Return the largest pixel within `reach` rows and columns of each."""
    for way in ((1, 0), (0, 1)):
        edge = [(reach * step, reach * step) for step in way]
        picture = _slid(np.pad(picture, edge), reach, way, np.maximum)
    return picture


def _slid(picture: Array, reach: int, way: tuple[int, int], fold: np.ufunc) -> Array:
    """Return the largest, or the smallest, of 2 `reach` + 1 pixels one way, by doubling, where all are in the picture.

    way   rows and columns from one to the next: (1, 0), (0, 1), (1, 1) or (1, -1).
    """
    width, done = 2 * reach + 1, 1
    while done < width:
        step = min(done, width - done)
        rows, columns = picture.shape[0] - step * way[0], picture.shape[1] - step * abs(way[1])
        first, second = (step, 0) if way[1] < 0 else (0, step * way[1])
        picture = fold(picture[:rows, first : first + columns], picture[step * way[0] :, second : second + columns])
        done += step
    return picture


def smoothed(picture: Array) -> Array:
    """Return the weighted mean of 3x3 pixels, 1 2 1 each way, rounded; at the edge the picture goes on as it ends."""
    x = np.pad(picture, 1, mode="edge").astype(np.uint16)
    x = x[:-2] + 2 * x[1:-1] + x[2:]
    x = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    return ((x + 8) // 16).astype(np.uint8)


def depth(picture: Array, ground: Array, dark: bool) -> Array:
    """Return how far the ink is from its ground, uint8, rounded down: of dark ink in 255 parts of the ground, as in a
    shadow both are darker by as much; of light ink in 255 parts of itself and DIM.
    """
    if dark:
        low = np.minimum(picture, ground).astype(np.uint16)
        return ((ground - low) * np.uint16(255) // np.maximum(ground, 1)).astype(np.uint8)
    high = np.maximum(picture, ground).astype(np.uint16)
    return ((high - ground) * np.uint16(255) // (high + np.uint16(DIM))).astype(np.uint8)


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
