"""Image files as rows of bytes: 0 the background, 255 the ink."""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from fnnet.data.files import open_regular
from fnnet.errors import DataError
from fnnet.params import Array, freeze

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"


def read_png(path: str | os.PathLike[str], shape: tuple[int, int] | None = None) -> Array:
    """The grey image in a PNG file, read-only uint8 (height, width).

    Colour becomes luma (ITU-R 601), transparency is laid over black, 16 bits are scaled to 8.
    shape    (height, width) that the image must have, or None for any up to 4096 x 4096.
    Raises   DataError for another size, a damaged file or one that is no PNG.
    """
    from PIL import Image

    with open(open_regular(path), "rb") as file:
        try:
            with Image.open(file, formats=("PNG",)) as image:
                _check_size(image.size, shape, path)
                return freeze(_grey(image))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError("not a readable PNG image", where=path, expected="PNG", found=str(error)) from None


def _check_size(size: tuple[int, int], shape: tuple[int, int] | None, path: str | os.PathLike[str]) -> None:
    width, height = size
    if shape is not None and (height, width) != shape:
        expected, found = f"{shape[1]}x{shape[0]} pixels", f"{width}x{height}"
        fix = "scale the image to that size, light ink on black"
        raise DataError("image size does not fit", where=path, expected=expected, found=found, fix=fix)
    if width * height > 4096 * 4096:
        found = f"{width}x{height}"
        raise DataError("image too large", where=path, expected="at most 4096x4096 pixels", found=found)


def _grey(image: object) -> Array:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        return ((deep * 255 + 32767) // 65535).astype(np.uint8)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over)
    return np.array(image.convert("L"), dtype=np.uint8)
