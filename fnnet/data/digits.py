"""The bundled data set: 1,797 real handwritten digits in MNIST's convention.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI machine learning repository,
doi:10.24432/C50P49, through scikit-learn's `load_digits`: 8x8 pixels, 0 to 16.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze

TEST_IMAGES: Final = 360
"""The last 360 images are the test set."""


def load_digits() -> tuple[Array, Array]:
    """Return pixels, uint8 (1797, 784), and labels, uint8 (1797,).

    As in MNIST, each digit is scaled to 20x20 and placed in 28x28 with its centre of mass in the middle. Pillow
    resamples bytes in integers, so the pixels are the same on every machine.
    """
    from PIL import Image
    from sklearn.datasets import load_digits as load_8x8

    small, labels = load_8x8(return_X_y=True)
    small = np.rint(small.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    x = np.zeros((len(small), 28, 28), np.uint8)
    for image, source in zip(x, small, strict=True):
        digit = np.asarray(Image.fromarray(source).resize((20, 20), Image.Resampling.BICUBIC))
        top, left = (_offset(digit.sum(axis=axis, dtype=np.int64)) for axis in (1, 0))
        image[top : top + 20, left : left + 20] = digit
    return freeze(x.reshape(-1, 784)), freeze(labels.astype(np.uint8))


def _offset(mass: Array) -> int:
    """Return where 20 lines of ink start among 28 for their centre of mass to be nearest the middle."""
    centre = float(mass @ np.arange(20)) / max(int(mass.sum()), 1)
    return min(max(round(13.5 - centre), 0), 8)
