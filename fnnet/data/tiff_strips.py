"""TIFF's samples of kinds that Pillow does not unpack, floats of 16 and 64 bits among them, in plain strips."""

from __future__ import annotations

import io
import zlib
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.opened import AGAIN, AnyPath
from fnnet.files.disk import refuse

KIND, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL, STARTS = 254, 256, 257, 258, 259, 262, 266, 273
COUNT, ROWS, LENGTHS, PREDICTOR, TILES, SAMPLES = 277, 278, 279, 317, 324, 339
"""Tags: what the frame is of, its size, bits of a sample, packing, meaning of 0, order of bits, places of strips;
samples of a pixel, rows and bytes of a strip, what packing was prepared by, places of tiles, kind of numbers."""
DEFAULTS: Final = {BITS: (1,), COMPRESSION: 1, FILL: 1, COUNT: 1, ROWS: 2**32 - 1, PREDICTOR: 1, SAMPLES: (1,)}
NUMBERS: Final = {1: "whole numbers from 0", 2: "whole numbers with a sign", 3: "floats"}
DTYPES: Final = {
    (1, 16): "u2", (1, 32): "u4", (1, 64): "u8", (2, 16): "i2", (2, 32): "i4", (2, 64): "i8", (3, 16): "f2",
    (3, 64): "f8",
}  # fmt: skip
"""Kind and bits of a sample -> dtype. Pillow knows some, but not in both orders of bytes and both meanings of 0."""
PLAIN, DEFLATED = 1, (8, 32946)


def tags_of(content: bytes) -> Any:
    """Return the tags of the first frame of a file, as Pillow has them; its `next` is the place of another frame."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    file = io.BytesIO(content)
    tags = ImageFileDirectory_v2(file.read(16 if content[2] == 43 else 8))  # the header of BigTIFF is longer
    file.seek(tags.next)
    tags.load(file)
    return tags


def of(tags: Any, tag: int) -> Any:
    """Return the value of a tag."""
    return tags.get(tag, DEFAULTS.get(tag))


def dtype_of(tags: Any) -> str:
    """Return the dtype of samples that are read here, one a pixel; "" for others, and for tiles and predictors."""
    plain = of(tags, COUNT) == of(tags, FILL) == of(tags, PREDICTOR) == 1 and of(tags, PHOTOMETRIC) in (0, 1)
    plain = plain and of(tags, COMPRESSION) in (PLAIN, *DEFLATED)
    plain = plain and all(tag in tags for tag in (WIDTH, HEIGHT, STARTS, LENGTHS))
    found = DTYPES.get((*of(tags, SAMPLES), *of(tags, BITS)), "")
    order = "<" if tags.prefix == b"II" else ">"
    return order + found if plain and found else ""


def described(tags: Any) -> str:
    """Return which samples there are, as a phrase for messages."""
    if WIDTH not in tags:
        return "no size"
    kinds, bits = ({each for each in of(tags, tag) if isinstance(each, int)} for tag in (SAMPLES, BITS))
    found = " and ".join(NUMBERS.get(each, "another kind of samples") for each in sorted(kinds))
    text = f"{found} of {' and '.join(map(str, sorted(bits)))} bits"
    parts = ((COUNT, "{} a pixel"), (COMPRESSION, "packed in the way {}"), (PREDICTOR, "predictor {}"))
    said = [phrase.format(of(tags, tag)) for tag, phrase in parts if of(tags, tag) != 1]
    return ", ".join([text, *said, *(["in tiles"] if TILES in tags else [])])


def samples(content: bytes, tags: Any, dtype: str, path: AnyPath) -> Array:
    """Return the samples (height, width) of an image whose size has been checked.

    Raises   DataError for strips that are missing or too short; zlib.error for damaged ones.
    """
    width, height, rows = (of(tags, tag) for tag in (WIDTH, HEIGHT, ROWS))
    line = width * np.dtype(dtype).itemsize
    found, tops = np.empty((height, width), dtype), range(0, height, max(1, rows))
    strips = list(zip(tags[STARTS], tags[LENGTHS], strict=True))
    if len(strips) != len(tops):
        refuse("strips missing or left over", path, "the tags", f"{len(tops)} strips", len(strips), AGAIN)
    for top, (start, length) in zip(tops, strips, strict=True):
        wanted = line * min(rows, height - top)
        piece = content[start : start + min(length, wanted)]
        if of(tags, COMPRESSION) != PLAIN:
            piece = zlib.decompressobj().decompress(content[start : start + length], wanted)
        if len(piece) != wanted:
            refuse("TIFF cut short", path, f"row {top}", f"a strip of {wanted:,} bytes", f"{len(piece):,}", AGAIN)
        found[top : top + rows] = np.frombuffer(piece, dtype).reshape(-1, width)
    return found
