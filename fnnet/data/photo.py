"""Judge photos: does an image look like dark ink on light paper?"""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array

GREY: Final = 64
"""An edge below this is black with noise."""


def dark_on_light(x: Array, shape: tuple[int, int]) -> Array:
    """Return True for each image that looks like dark ink on light paper, bool (n,): the median of its edge is grey or
    lighter, and no darker than the mean of the image.

    x        uint8 (n, height x width).
    shape    (height, width).
    """
    images = x.reshape(-1, *shape)
    edge = np.median(
        np.concatenate([images[:, [0, -1]].reshape(len(x), -1), images[:, :, [0, -1]].reshape(len(x), -1)], 1), 1
    )
    light: Array = (edge >= GREY) & (edge >= x.mean(axis=1))
    return light
