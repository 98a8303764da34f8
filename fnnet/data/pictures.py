"""JPEG, WebP, BMP, GIF and netpbm images as grey bytes, through Pillow: 0 the background, 255 the ink.

Pillow unpacks; what its conversions to grey would lose, 16 bits for one, is converted here, as `png` does it.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.canvas import WHOLE, Canvas
from fnnet.data.depth import DEEP, as_bytes
from fnnet.data.grey import STRIP, over_black, weighed
from fnnet.data.opened import AnyPath
from fnnet.data.png import MAX_PIXELS, MAX_SIDE
from fnnet.data.ranges import LEVELS
from fnnet.data.reader import FIT, MISFIT, Content, Format, Wanted, looks_like_netpbm
from fnnet.data.turn import ORIENTATION, is_on_its_side
from fnnet.errors import FnnetError
from fnnet.files.disk import refuse

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE: Final = 2**26
"""Bytes of a file: four for each of the most pixels."""
SAVE: Final = "save it again as PNG"
PAGED: Final = ("netpbm", "TIFF")
"""Formats in which several images are pages, or one after another."""
PLAIN: Final = (b"1", b"2", b"3")
"""What is behind the P of netpbm images that are text."""
COMMENT: Final = re.compile(rb"#[^\n\r]*")
NEXT: Final = re.compile(rb"P[1-6]\s")
FAILURES: Final = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, AttributeError,
)  # fmt: skip
"""What Pillow raises for damaged files, besides warnings."""


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted, *, name: str, plugins: tuple[str, ...]) -> Content:
    """Read one image, turned as EXIF says; colour profiles are ignored.

    Raises   DataError for another size, an animation, a damaged or too large file.
    """
    from PIL import Image

    content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        refuse("file too large", path, "the file", f"at most {MAX_FILE:,} bytes", "more", "scale the image down")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on text beside the image
        try:
            with Image.open(io.BytesIO(content), formats=plugins) as image:
                orientation = _orientation(image)
                check(image, is_on_its_side(orientation), wanted, path, name)
                if name == "netpbm" and _goes_on(image, content):
                    refuse_several(path, name)
                scaled = name == "netpbm" and _is_scaled(image)
                deep = as_bytes(np.asarray(image), DEEP, path) if image.mode.startswith("I") else None  # netpbm's
                canvas = canvas_of(image, wanted.colours, deep)
                lossy = _is_lossy(name, content)
                scaled = scaled or image.mode == "1"
        except FnnetError:
            raise
        except Image.DecompressionBombError:
            refuse_size(path, "more")
        except FAILURES as error:
            found = str(error).partition("\n")[0][:80] or type(error).__name__
            refuse(f"damaged {name} image", path, "the file", "a whole image", found, SAVE)
    return canvas.content("the header", orientation)._replace(lossy=lossy, pixel_ranges=(LEVELS,) if scaled else ())


def _is_scaled(image: Any) -> bool:
    """Return True if a netpbm image that is not unpacked yet has a largest value below 255, which becomes 255."""
    args = image.tile[0].args
    return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] < 255


def _goes_on(image: Any, content: bytes) -> bool:
    """Return True if another netpbm image is behind the first, which is not unpacked yet."""
    _, _, start, args = image.tile[0]
    if content[1:2] in PLAIN:
        return NEXT.search(COMMENT.sub(b"", content[start:])) is not None
    bits = 1 if image.mode == "1" else 16 if image.mode == "I" or (isinstance(args, tuple) and args[-1] > 255) else 8
    end = start + image.height * -(-image.width * len(image.getbands()) * bits // 8)
    return looks_like_netpbm(content[end : end + 64].lstrip())


def refuse_size(path: AnyPath, found: str) -> NoReturn:
    """Raise DataError for too many pixels."""
    expected = f"at most {MAX_PIXELS:,} pixels, {MAX_SIDE:,} a side"
    refuse("image too large", path, "the header", expected, found, "scale it down")


def _orientation(image: Image) -> int:
    found = image.getexif().get(ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def check(image: Image, on_its_side: bool, wanted: Wanted, path: AnyPath, name: str) -> None:
    """Check size and number of images before anything is unpacked."""
    check_size(image.size, on_its_side, wanted, path)
    # A phone's JPEG may carry a second picture, made from the first.
    if image.format != "MPO" and (getattr(image, "is_animated", False) or getattr(image, "n_frames", 1) > 1):
        refuse_several(path, name)


def refuse_several(path: AnyPath, name: str) -> NoReturn:
    """Raise DataError for several images in a file of the format `name`."""
    problem, what = ("several images", "image") if name in PAGED else ("an animation", "frame")
    refuse(problem, path, "the header", "one image", f"{name} of several", f"save a single {what}")


def check_size(size: tuple[int, int], on_its_side: bool, wanted: Wanted, path: AnyPath) -> None:
    """Raise DataError for an image, (width, height), of another size than is wanted, or too large."""
    (width, height), place = size, "the header"
    shape = (width, height) if on_its_side else (height, width)
    if wanted.shape is not None and shape != wanted.shape:
        expected = f"{wanted.shape[1]}x{wanted.shape[0]} pixels"
        refuse(MISFIT, path, place, expected, f"{shape[1]}x{shape[0]}", FIT)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        refuse_size(path, f"{width}x{height}")


def canvas_of(image: Image, wanted: bool, grey: Array | None = None) -> Canvas:
    """Return the pixels as grey bytes (height, width), before they are turned; those of `grey`, if given."""
    canvas = Canvas((image.height, image.width), wanted)
    if grey is not None:
        canvas.put(WHOLE, grey)
        return canvas
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa")
    if image.mode == "1":
        canvas.put(WHOLE, np.asarray(image).astype(np.uint8) * np.uint8(255))
    elif image.mode == "L" and not transparent:
        canvas.put(WHOLE, np.asarray(image))
    else:
        pixels = np.asarray(image.convert("RGBA" if transparent else "RGB"))
        step = max(1, STRIP // image.width)
        for top in range(0, image.height, step):
            strip = pixels[top : top + step]
            alpha = strip[..., 3] if transparent else None
            grey = over_black(weighed(strip), 255 if alpha is None else alpha)
            canvas.put((slice(top, top + step), slice(None)), grey, strip[..., :3], alpha)
    return canvas


def _is_lossy(name: str, content: bytes) -> bool:
    """Return True if blank pixels may have become nearly blank."""
    return name == "JPEG" or (name == "WebP" and b"VP8 " in content[12:64])


def _format(name: str, starts: Callable[[bytes], bool], plugins: tuple[str, ...], *suffixes: str) -> Format:
    read: Any = partial(_read, name=name, plugins=plugins)
    return Format(name, lambda head, path: starts(head), read, picture=True, suffixes=suffixes)


FORMATS: Final = (
    _format("JPEG", lambda head: head.startswith(b"\xff\xd8\xff"), ("JPEG",), ".jpg", ".jpeg", ".jpe", ".jfif"),
    _format("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", ("WEBP",), ".webp"),
    _format("BMP", lambda head: head.startswith(b"BM"), ("BMP",), ".bmp", ".dib"),
    _format("GIF", lambda head: head.startswith((b"GIF87a", b"GIF89a")), ("GIF",), ".gif"),
    _format("netpbm", looks_like_netpbm, ("PPM",), ".pgm", ".pbm", ".ppm", ".pnm"),
)
"""The formats of pictures that Pillow unpacks."""
