"""TIFF images of one frame as grey bytes: 0 the background, 255 the ink; unpacked by Pillow in a child.

What Pillow does not convert, or only in part, is converted here: more than 8 bits are scaled, and "min is white" is
inverted at any depth. Pillow itself turns a TIFF image as its tags say.
"""

from __future__ import annotations

import io
import warnings
from io import BufferedReader
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data import pictures
from fnnet.data.arrays import as_content
from fnnet.data.child import Reader
from fnnet.data.opened import AnyPath
from fnnet.data.ranges import scaled_notes
from fnnet.data.reader import Content, Format, Wanted
from fnnet.files.disk import refuse

if TYPE_CHECKING:
    from PIL.Image import Image

STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
KIND, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 254, 258, 259, 262, 339
"""Tags: what the frame is of, bits of a sample, packing, meaning of 0, kind of numbers."""
LOSSY: Final = frozenset({6, 7, 50001})
"""JPEG, old and new, and WebP, which some builds of Pillow unpack: it refuses JPEG 2000, JPEG XL and JPEG XR."""
DIM: Final = 255
"""Samples of more than 8 bits that are no larger were stored without scaling, or the image is black."""
PLACE: Final = "the pixels"


def read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read one image; to be called in a child.

    Raises   DataError for another size, several frames, a kind of samples that is not known; whatever Pillow raises for
             a damaged file.
    """
    from PIL import Image, UnidentifiedImageError

    content = file.read(pictures.MAX_FILE + 1)
    if len(content) > pictures.MAX_FILE:
        expected = f"at most {pictures.MAX_FILE:,} bytes"
        refuse("file too large", path, "the file", expected, "more", "scale the image down")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on tags
        try:
            image = Image.open(io.BytesIO(content), formats=("TIFF",))
        except UnidentifiedImageError:
            expected = "grey of 1 to 16 bits or 32, a palette, RGB, RGBA or CMYK"
            refuse("unknown or damaged kind of TIFF", path, "the tags", expected, "another kind", pictures.SAVE)
        except Image.DecompressionBombError:
            pictures.refuse_size(path, "more")
        with image:
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            tags = {tag: tags.get(tag) for tag in (KIND, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES)}
            pictures.check(image, False, wanted, path, "TIFF")
            if isinstance(tags[KIND], int) and tags[KIND] & 1:
                fix = "develop the photo, and save it as PNG"
                refuse("a raw photo", path, "the tags", "an image", "a reduced copy of one", fix)
            image.load()
            grey, ranges = _special(image, tags, path, wanted.pixel_range)
            canvas = pictures.canvas_of(image.convert("LA") if image.mode == "La" else image, wanted.colours, grey)
    found = canvas.content("the header")
    notes = (*found.notes, *scaled_notes(ranges, "TIFF of floats"))
    return found._replace(lossy=tags[COMPRESSION] in LOSSY, notes=notes, pixel_ranges=ranges)


def _special(
    image: Image, tags: dict[int, Any], path: AnyPath, pixel_range: str
) -> tuple[Array | None, tuple[str, ...]]:
    """Return the pixels as grey bytes (height, width) where Pillow's conversion would lose some, None elsewhere; and
    the range that floats were of.
    """
    light = tags[PHOTOMETRIC] == 0
    bits = max(tags[BITS] or (1,))
    if image.mode.startswith("I;16"):
        return _scaled(np.asarray(image).astype(np.uint32), 2**bits - 1, light, path), ()
    if image.mode in ("I", "F"):
        found = as_content(np.asarray(image)[None], None, path, PLACE, None, pixel_range=pixel_range)
        grey = found.x.reshape(found.image_shape)
        return 255 - grey if light else grey, found.pixel_ranges
    if image.mode == "L" and 2 in (tags[SAMPLES] or ()):
        refuse("signed samples", path, "the tags", "samples from 0", "numbers below 0 too", pictures.SAVE)
    return None, ()


def _scaled(values: Array, most: int, light: bool, path: AnyPath) -> Array:
    """Return samples from 0 to `most` as bytes."""
    if 0 < values.max() <= DIM < most:
        expected, fix = f"samples up to {most:,}, or an image that is blank", "save it with 8 bits, or scaled"
        refuse("samples of more than 8 bits, nearly black", path, PLACE, expected, f"at most {values.max()}", fix)
    values = most - np.minimum(values, most) if light else values
    return ((values.astype(np.uint64) * 255 + most // 2) // most).astype(np.uint8)


FORMAT: Final = Format(
    "TIFF",
    lambda head, path: head.startswith(STARTS),
    Reader("TIFF", __name__),
    picture=True,
    suffixes=(".tif", ".tiff"),
)
