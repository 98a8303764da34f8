"""TIFF images of one frame as grey bytes: 0 the background, 255 the ink; unpacked by Pillow in a child.

What Pillow does not convert, or only in part, is converted here: more than 8 bits are scaled, and "min is white" is
inverted at any depth. Pillow itself turns a TIFF image as its tags say. `tiff_strips` has what it does not unpack.
"""

from __future__ import annotations

import io
import warnings
from io import BufferedReader
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data import pictures, tiff_strips
from fnnet.data.arrays import as_content
from fnnet.data.canvas import WHOLE, Canvas
from fnnet.data.child import Reader
from fnnet.data.depth import DEEP, PLACE, as_bytes
from fnnet.data.opened import AnyPath
from fnnet.data.ranges import LEVELS, scaled_notes
from fnnet.data.reader import Content, Format, Wanted
from fnnet.data.tiff_strips import BITS, COMPRESSION, KIND, PHOTOMETRIC, SAMPLES
from fnnet.data.turn import ORIENTATION, is_on_its_side
from fnnet.files.disk import refuse

if TYPE_CHECKING:
    from PIL.Image import Image

STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LOSSY: Final = frozenset({6, 7, 50001})
"""JPEG, old and new, and WebP, which some builds of Pillow unpack: it refuses JPEG 2000, JPEG XL and JPEG XR."""
NATIVE: Final = {
    "I;16S": "I;16NS", "I;16BS": "I;16NS", "I;32S": "I;32NS", "I;32BS": "I;32NS", "F;32F": "F;32NF", "F;32BF": "F;32NF",
}  # fmt: skip
"""Modes that Pillow expects of the file -> those of what libtiff unpacks, which is in the machine's order of bytes."""


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
            return _in_strips(content, path, wanted)
        except Image.DecompressionBombError:
            pictures.refuse_size(path, "more")
        with image:
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            tags = {tag: tags.get(tag) for tag in (KIND, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES)}
            pictures.check(image, False, wanted, path, "TIFF")
            _check_kind(tags[KIND], path)
            image.tile = [_as_libtiff_unpacks(each) for each in image.tile]
            image.load()
            grey, ranges = _special(image, tags, path, wanted.pixel_range)
            canvas = pictures.canvas_of(image.convert("LA") if image.mode == "La" else image, wanted.colours, grey)
    if image.mode in ("1", "L") and max(tags[BITS] or (1,)) < 8:
        ranges = (LEVELS,)
    return _noting(canvas.content("the header"), ranges)._replace(lossy=tags[COMPRESSION] in LOSSY)


def _as_libtiff_unpacks(tile: Any) -> Any:
    """Return a part of an image that Pillow is to unpack, with the order of bytes that libtiff gives it."""
    if tile.codec_name != "libtiff":
        return tile
    mode, *more = tile.args
    return tile._replace(args=(NATIVE.get(mode, mode), *more))


def _noting(content: Content, ranges: tuple[str, ...]) -> Content:
    """Return a content with the range that floats were of, and a note if it was scaled."""
    return content._replace(notes=(*content.notes, *scaled_notes(ranges, "TIFF of floats")), pixel_ranges=ranges)


def _check_kind(kind: Any, path: AnyPath) -> None:
    if isinstance(kind, int) and kind & 1:
        fix = "develop the photo, and save it as PNG"
        refuse("a raw photo", path, "the tags", "an image", "a reduced copy of one", fix)


def _in_strips(content: bytes, path: AnyPath, wanted: Wanted) -> Content:
    """Return what a file holds whose samples Pillow does not unpack; DataError for kinds that nothing does."""
    try:
        tags = tiff_strips.tags_of(content)
        dtype, found = tiff_strips.dtype_of(tags), tiff_strips.described(tags)
    except pictures.FAILURES:
        dtype, found = "", "damaged tags"
    found = "a BigTIFF of big-endian numbers" if content.startswith(STARTS[3]) else found
    if not dtype:
        expected = "grey of 1, 2, 4, 8, 12, 16, 32 or 64 bits, a palette, RGB, RGBA or CMYK"
        fix = f"store float32, or {pictures.SAVE}" if "float" in found else pictures.SAVE
        refuse("unknown or damaged kind of TIFF", path, "the tags", expected, found, fix)
    orientation = tags.get(ORIENTATION, 1)
    size = (tags[tiff_strips.WIDTH], tags[tiff_strips.HEIGHT])
    pictures.check_size(size, is_on_its_side(orientation), wanted, path)
    if tags.next:
        pictures.refuse_several(path, "TIFF")
    _check_kind(tags.get(KIND), path)
    values = tiff_strips.samples(content, tags, dtype, path)
    grey, ranges = _as_grey(values, tags[PHOTOMETRIC] == 0, path, wanted.pixel_range)
    canvas = Canvas(grey.shape)
    canvas.put(WHOLE, grey)
    return _noting(canvas.content("the header", orientation), ranges)


def _as_grey(values: Array, light: bool, path: AnyPath, pixel_range: str) -> tuple[Array, tuple[str, ...]]:
    """Return samples (height, width) as grey bytes, and the range that floats were of.

    Those of 16 bits from 0 are scaled; others are from 0 to 255, or floats, as in arrays.
    """
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return as_bytes(values.astype(np.uint32), DEEP, path, light), ()
    found = as_content(values[None], None, path, PLACE, values.shape, pixel_range=pixel_range)
    grey = found.x.reshape(found.image_shape)
    return 255 - grey if light else grey, found.pixel_ranges


def _special(
    image: Image, tags: dict[int, Any], path: AnyPath, pixel_range: str
) -> tuple[Array | None, tuple[str, ...]]:
    """Return the pixels as grey bytes (height, width) where Pillow's conversion would lose some, None elsewhere; and
    the range that floats were of.
    """
    light = tags[PHOTOMETRIC] == 0
    bits = max(tags[BITS] or (1,))
    if image.mode.startswith("I;16"):
        return as_bytes(np.asarray(image).astype(np.uint32), 2**bits - 1, path, light), ()
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        unsigned = image.mode == "I" and bits == 32 and tags[SAMPLES] in (None, (1,))
        return _as_grey(values.view(np.uint32) if unsigned else values, light, path, pixel_range)  # Pillow's has a sign
    if image.mode == "L" and 2 in (tags[SAMPLES] or ()):
        refuse("signed samples", path, "the tags", "unsigned samples", "signed ones of 8 bits", pictures.SAVE)
    return None, ()


FORMAT: Final = Format(
    "TIFF",
    lambda head, path: head.startswith(STARTS),
    Reader("TIFF", __name__),
    picture=True,
    suffixes=(".tif", ".tiff"),
)
