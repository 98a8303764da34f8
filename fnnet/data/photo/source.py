"""What a user gives for a picture, as an array of grey bytes, or of red, green and blue."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fnnet.core.checks import shown
from fnnet.core.params import Array
from fnnet.data.pictures import FAILURES
from fnnet.data.turn import ORIENTATION, turned
from fnnet.errors import ArgumentTypeError, DataError, FnnetError
from fnnet.files.disk import read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS: Final = 2**26
"""Pixels of a picture: a phone's have up to 50 million."""
MOST_BYTES: Final = 2**28
"""Bytes of its file."""
DEEP: Final = 257
"""Samples of 16 bits for one of 8."""


def picture_of(image: Any) -> Array:
    """Return a picture as bytes, (height, width) or (height, width, 3): an array as it is; a file, or an image of
    Pillow, turned as EXIF says, and on white where it is transparent.

    Raises   ArgumentTypeError for another type or dtype, DataError for another shape, a damaged file or too many
             pixels, StorageError for a file that cannot be read.
    """
    if isinstance(image, np.ndarray):
        return _checked(image)
    if isinstance(image, (str, os.PathLike)):
        return _opened(read_bytes(image, MOST_BYTES), image)
    if hasattr(image, "getexif") and hasattr(image, "convert"):
        return _pixels(image)
    expected = "an array of uint8, a path or an image of Pillow"
    raise ArgumentTypeError("image", expected=expected, found=shown(image))


def _checked(image: Array) -> Array:
    if image.dtype != np.uint8:
        raise ArgumentTypeError("image", expected="an array of uint8", found=image.dtype)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or 0 in image.shape:
        expected = "(height, width) or (height, width, 3), at least 1x1"
        raise DataError("image", expected=expected, found=image.shape)
    return image


def _opened(content: bytes, path: str | os.PathLike[str]) -> Array:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of text beside the picture, and of its size, which is checked here
        try:
            with Image.open(io.BytesIO(content)) as image:
                return _pixels(image)
        except FnnetError as error:
            raise error.at(path) from None
        except Image.DecompressionBombError:
            raise _too_large("more").at(path) from None
        except FAILURES as error:
            found = str(error).partition("\n")[0][:80] or type(error).__name__
            expected = "a picture that Pillow reads"
            raise DataError("no picture", where=path, expected=expected, found=found, fix="save it as PNG") from None


def _too_large(found: str) -> DataError:
    return DataError("picture too large", expected=f"at most {MOST_PIXELS:,} pixels", found=found, fix="scale it down")


def _pixels(image: Image) -> Array:
    """Return the pixels of an image of Pillow."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(f"{image.width}x{image.height}")
    image.load()
    # Read after the pixels: TIFF's are turned when they are loaded, and the tag is then gone.
    orientation = image.getexif().get(ORIENTATION, 1)
    if image.mode.startswith("I"):
        pixels = (np.asarray(image).astype(np.int64).clip(0, 2**16 - 1) // DEEP).astype(np.uint8)
    elif image.mode in ("L", "1"):
        pixels = np.asarray(image.convert("L"))
    elif "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        pixels = _over_white(np.asarray(image.convert("RGBA")))
    else:
        pixels = np.asarray(image.convert("RGB"))
    return turned(pixels, orientation if isinstance(orientation, int) else 1)


def _over_white(pixels: Array) -> Array:
    """Return red, green and blue of pixels with opacity, laid over white."""
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
