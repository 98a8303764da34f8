"""Colour as grey: luma, and transparency over black, in whole numbers."""

from __future__ import annotations

import numpy as np

from fnnet.core.params import Array


def weighed(rgb: Array) -> Array:
    """Return 2**16 times the luma of ITU-R 601, with the weights of Pillow and libjpeg."""
    r, g, b = (rgb[..., i].astype(np.uint32) for i in range(3))
    return r * 19595 + g * 38470 + b * 7471


def over_black(weighed: Array, alpha: Array | int) -> Array:
    """Lay 2**16 times grey, uint32, with opacity 0 to 255 over black, rounded to bytes."""
    return ((weighed * alpha + 255 * 2**15) // (255 * 2**16)).astype(np.uint8)
