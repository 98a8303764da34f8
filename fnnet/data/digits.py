"""The bundled data set: 1,797 real handwritten digits in MNIST's convention.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI machine learning repository,
doi:10.24432/C50P49, licensed under CC BY 4.0: 8x8 pixels, 0 to 16. tests/tools/pack_digits.py made digits.zlib of them.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.files.disk import read_bytes, refuse

SOURCE: Final = "E. Alpaydin and C. Kaynak, UCI, CC BY 4.0"
"""Their licence asks for their names wherever the digits are shown."""
TEST_IMAGES: Final = 360
"""The last 360 images are the test set."""
FILE: Final = Path(__file__).with_name("digits.zlib")
SHA256: Final = "ad94db93d5494a94e31550c62d45103447d80fb3dac978bc977c50411ba47ba7"


def load_digits() -> tuple[Array, Array]:
    """Return pixels, uint8 (1797, 784), and labels, uint8 (1797,).

    As in MNIST, each digit is scaled to 20x20 and placed in 28x28 with its centre of mass, counted in pixels from 0,
    nearest 14.0: that of every training image of MNIST is in 13.48 to 14.50, and in their mean 14.0. Pillow resamples
    bytes in integers, so the pixels are the same on every machine.
    Raises   DataError if the file of the package is damaged, StorageError if it is missing.

    >>> from fnnet.data.digits import load_digits
    >>> x, labels = load_digits()
    >>> x.shape, x.dtype, labels[:5].tolist()
    ((1797, 784), dtype('uint8'), [0, 1, 2, 3, 4])
    """
    from PIL import Image

    table = _read()
    small = np.rint(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    x = np.zeros((len(small), 28, 28), np.uint8)
    for image, source in zip(x, small, strict=True):
        digit = np.asarray(Image.fromarray(source).resize((20, 20), Image.Resampling.BICUBIC))
        top, left = (_offset(digit.sum(axis=axis, dtype=np.int64)) for axis in (1, 0))
        image[top : top + 20, left : left + 20] = digit
    return freeze(x.reshape(-1, 784)), freeze(table[:, 64].copy())


def _read() -> Array:
    """Return uint8 (1797, 65): a digit's 64 pixels and its label in a row."""
    content = read_bytes(FILE, empty=True)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        refuse("not the bundled digits", FILE, "content", f"sha256 {SHA256}", digest, "install fnnet again")
    return np.frombuffer(zlib.decompress(content), np.uint8).reshape(65, -1).T


def _offset(mass: Array) -> int:
    """Return where 20 lines of ink start among 28 for their centre of mass to be nearest the middle."""
    centre = float(mass @ np.arange(20)) / max(int(mass.sum()), 1)
    return min(max(round(14.0 - centre), 0), 8)
