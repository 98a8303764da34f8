"""Image files as rows of bytes: 0 the background, 255 the ink."""

from __future__ import annotations

import os
import warnings
from typing import Any, Final

import numpy as np

from fnnet.errors import DataError
from fnnet.files import open_regular, read_head, show_bytes
from fnnet.params import Array, freeze

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS: Final = 2**24


def read_png(path: str | os.PathLike[str], shape: tuple[int, int] | None = None) -> Array:
    """The grey image in a PNG file, read-only uint8 (height, width).

    Colour becomes luma (ITU-R 601), transparency is laid over black, 16 bits are scaled to 8.
    shape    (height, width) that the image must have, or None for any of up to 16 million pixels.
    Raises   DataError for another size, a damaged file or one that is no PNG.
    """
    from PIL import Image

    head = read_head(path, 16)
    if not head.startswith(PNG_MAGIC):
        raise DataError("not a PNG image", where=path, place="byte 0", expected="PNG", found=show_bytes(head))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with open(open_regular(path), "rb") as file:
                with Image.open(file, formats=("PNG",)) as image:
                    _check_size(image.size, shape, path)
                    image.verify()  # the checksum of every chunk, which decoding does not look at
                file.seek(0)
                with Image.open(file, formats=("PNG",)) as image:
                    return freeze(_grey(image))
        except DataError:
            raise
        except (
            OSError,
            SyntaxError,
            ValueError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ) as error:
            raise DataError("damaged PNG image", where=path, found=str(error), fix="save it again") from None


def _check_size(size: tuple[int, int], shape: tuple[int, int] | None, path: str | os.PathLike[str]) -> None:
    width, height = size
    if shape is not None and (height, width) != shape:
        expected, found = f"{shape[1]}x{shape[0]} pixels", f"{width}x{height}"
        fix = "scale the image to that size, light ink on black"
        raise DataError("image size does not fit", where=path, expected=expected, found=found, fix=fix)
    if width * height > MAX_PIXELS:
        found = f"{width}x{height}"
        raise DataError("image too large", where=path, expected=f"at most {MAX_PIXELS:,} pixels", found=found)


def _grey(image: Any) -> Array:
    from PIL import Image

    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        return ((deep * 255 + 32767) // 65535).astype(np.uint8)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over)
    return np.array(image.convert("L"), dtype=np.uint8)
