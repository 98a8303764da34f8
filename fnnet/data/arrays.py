"""Arrays as files hold them -> images and labels."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.reader import AnyPath
from fnnet.files.disk import refuse
from fnnet.limits import MAX_CLASSES

MAX_LABEL: Final = MAX_CLASSES - 1
"""--classes takes at most a million classes."""
BYTES: Final = "store bytes from 0 to 255"
WHOLE: Final = "store whole numbers from 0"


def as_images(
    x: Array, where: AnyPath, name: str, flat: tuple[int, int] | None = None
) -> tuple[Array, tuple[int, int]]:
    """Return `x` as uint8 rows (n, pixels), and the (height, width) of an image.

    x        (n, height, width), (n, height, width, 1) or (n, pixels), of any integer dtype, from 0 to 255.
    flat     the height and width to give to rows of that many pixels.
    Raises   DataError for another shape or a value out of range.
    """
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim not in (2, 3) or 0 in x.shape:
        expected = "at least 1 image, shape (n, height, width) or (n, pixels)"
        refuse("no images", where, name, expected, f"shape {x.shape}", "store one image per row")
    shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else image_shape(x.shape[1], flat)
    _check_range(x, 255, where, name)
    return np.ascontiguousarray(x, np.uint8).reshape(len(x), -1), shape


def as_labels(values: Array, n: int, where: AnyPath, name: str) -> Array:
    """Return the labels of n images, integers (n,) or (n, 1), as int64 (n,); DataError for anything else."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n,):
        one_hot = values.ndim == 2 and len(values) == n
        fix = "turn one-hot rows into labels by argmax(axis=1)" if one_hot else "store one label for each image"
        problem = "counts differ" if values.ndim == 1 else "no labels"
        refuse(problem, where, name, f"shape ({n},), one label per image", f"shape {values.shape}", fix)
    _check_range(values, MAX_LABEL, where, name)
    return values.astype(np.int64)


def _check_range(values: Array, most: int, where: AnyPath, name: str) -> None:
    """Compare the smallest and the largest value, which takes no memory."""
    if values.min() < 0 or values.max() > most:
        at = values.argmin() if values.min() < 0 else values.argmax()
        index = tuple(map(int, np.unravel_index(at, values.shape)))
        place, fix = f"{name}[{', '.join(map(str, index))}]", BYTES if most == 255 else WHOLE
        refuse("value out of range", where, place, f"0 to {most}", values[index], fix)


def image_shape(pixels: int, flat: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of an image: `flat` if it has as many pixels, else a square, else one row."""
    if flat is not None and flat[0] * flat[1] == pixels:
        return flat
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)
