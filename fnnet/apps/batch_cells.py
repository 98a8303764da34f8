"""Images in the cells of a column of a batch: arrays, lists or bytes of pixels, and packed pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fnnet.apps.batch_images import BATCH, SAY_RANGE, Reading, as_bytes, fits, in_groups, read
from fnnet.core.params import Array
from fnnet.core.state import Model
from fnnet.data.ranges import BYTES, INSIDE, LEVELS, PAPER, SIGNED, UNIT, WHOLE, ZERO
from fnnet.data.reader import Content, Wanted, size
from fnnet.files.disk import refuse

CELLS: Final = (bytes, bytearray, memoryview, dict, list, tuple, np.ndarray)
"""What a cell that holds an image may be."""
STARTS: Final = 16
"""Bytes that show a format of pictures."""
PICTURES: Final = (0, 0)
"""Stands for the axes of pictures, whose size their cells do not show."""
AS_SAID: Final[Mapping[Any, tuple[str, ...]]] = {
    None: (), (0, 1): (UNIT, PAPER, ZERO), (-1, 1): (SIGNED, INSIDE, PAPER), (0, 255): (WHOLE,),
}  # fmt: skip
"""What the caller says -> the ranges in which pictures of floats may be read."""


def axes_of(cells: Sequence[Any] | Array) -> tuple[int, ...]:
    """Return the axes of the first cell that may be an image; () if there is none."""
    cell = next((each for each in cells if isinstance(each, CELLS)), None)
    if cell is None:
        return ()
    if isinstance(cell, dict):
        return PICTURES if "bytes" in cell else ()
    content = _content(cell)
    if content is not None:
        return PICTURES if _packs_picture(content[:STARTS]) else (len(content),)
    found = _array(cell)
    return found.shape if found.dtype.kind in "iuf" and found.size else ()


def of_cells(cells: Sequence[Any], column: str, reading: Reading, model: Model) -> Array:
    """Return the images in the cells of a column, arrays or lists of pixels or their bytes, as the network takes them.

    Raises   DataError, ArgumentTypeError with the row of a cell that holds no image of the model's size, or a picture,
             or numbers out of range or of an unknown one.
    """
    packed = next(pictures_in(cells, model), None)
    if packed is not None:
        _refuse_cell(packed, column, "a picture, or bytes of another number", model)
    images: list[Array] = []
    for row, cell in enumerate(cells):
        content = _content(cell)
        image = _array(cell) if content is None else np.frombuffer(content, np.uint8)
        if not fits(image.shape, reading, model):
            whole = image.ndim and not isinstance(cell, np.ma.MaskedArray)
            _refuse_cell(row, column, f"shape {image.shape}" if whole else type(cell).__name__, model)
        images.append(image.reshape(-1))

    def part(rows: list[int]) -> Array:
        stacked = np.stack([images[row] for row in rows])
        where = f"row {rows[0]}, column {column!r}"
        return as_bytes(stacked, reading, where, lambda row, n: f"row {rows[row]}, column {column!r}, pixel {n}")

    shape = len(images), math.prod(model.image_shape)
    return read(in_groups((image.dtype for image in images), shape, 0, part), reading, model)


def _refuse_cell(row: int, column: str, found: str, model: Model) -> None:
    place, expected = f"row {row}, column {column!r}", f"{size(model.image_shape)} as an array, a list or bytes"
    fix = "scale the images to that size; pictures are read in pandas batches"
    refuse("no image of the model's size", BATCH, place, expected, found, fix)


def pictures_in(cells: Sequence[Any], model: Model) -> Iterator[int]:
    """Yield the rows whose cells pack pictures: not as many bytes as pixels, or bytes that begin as a picture does.

    A picture may take as many bytes as its pixels. Of pixels at random one image in 65,000 begins as a picture, BMP; it
    is refused then.
    """
    pixels, known = math.prod(model.image_shape), dict[bytes, bool]()
    for row, cell in enumerate(cells):
        content = _content(cell)
        if content is None:
            if isinstance(cell, dict):
                yield row
            continue
        start = content[:STARTS]
        if start not in known:  # most have the same, of the paper
            known[start] = _packs_picture(start)
        if known[start] or len(content) != pixels:
            yield row


def as_plain_bytes(cells: Sequence[Any]) -> list[Any]:
    """Return cells with bytes for what are bytes of another kind, as drivers of databases give them."""
    contents = map(_content, cells)
    return [cell if content is None else content for cell, content in zip(cells, contents, strict=True)]


def _packs_picture(start: bytes) -> bool:
    """Return True for the first bytes of a picture."""
    from fnnet.data.formats import picture_formats

    return any(each.recognise(start, BATCH) for each in picture_formats())


def _content(cell: Any) -> bytes | None:
    """Return the bytes that a cell is; None for others."""
    if isinstance(cell, bytes):
        return cell
    plain = isinstance(cell, bytearray) or (isinstance(cell, memoryview) and (cell.format, cell.ndim) == ("B", 1))
    return bytes(cell) if plain else None


def _array(cell: Any) -> Array:
    """Return the numbers in a cell as an array, of arrays in an array too; of size 0 where it is ragged or masked."""
    if isinstance(cell, np.ma.MaskedArray):
        return np.empty((0, 0))
    try:
        found = np.asarray(cell)
        return np.array(found.tolist()) if found.dtype == object and found.ndim else found
    except ValueError:
        return np.empty((0, 0))


def of_pictures(frame: Any, column: str, reading: Reading, model: Model) -> Array:
    """Return the pictures in the column of a frame of one as the network takes them.

    Pictures of floats are of the range that the caller says: one without dark pixels shows another than others do. All
    other pictures have the range of their format.
    """
    from fnnet.data.frames import read_frame
    from fnnet.data.from_path import images_to_predict

    # From 0 to 1 is what each of these shows by itself.
    given = "" if reading.pixel_range in (None, (0, 1)) else AS_SAID[reading.pixel_range][0]

    def read_as_said(some: Any, wanted: Wanted) -> Content:
        wanted = wanted._replace(pixel_range=given)
        content = read_frame(some, wanted)
        if _not_said(content, reading):
            rows = (row for row in range(len(some)) if _not_said(read_frame(some.iloc[[row]], wanted), reading))
            _refuse_floats(f"row {next(rows)}, column {column!r}", _not_said(content, reading), reading)
        kinds = {each if each in (BYTES, LEVELS) else AS_SAID[reading.pixel_range][0] for each in content.pixel_ranges}
        if len(kinds) > 1 and BYTES in kinds and model.preprocessing.pixel_max < 255:
            problem, place = "pictures of several depths", f"column {column!r}"
            expected, found = f"pixels from 0 to {model.preprocessing.pixel_max}, or others", "both"
            refuse(problem, BATCH, place, expected, found, "save all pictures with 8 bits a pixel")
        return content._replace(pixel_ranges=tuple(sorted(kinds)))

    known = model.preprocessing._replace(signed=False)  # it would only put the range in doubt
    return images_to_predict(frame, model.image_shape, known, transpose=reading.transpose, reader=read_as_said).x


def _not_said(content: Content, reading: Reading) -> list[str]:
    """Return the ranges that pictures were read in though the caller does not say so."""
    return sorted({*content.pixel_ranges} - {BYTES, LEVELS, *AS_SAID[reading.pixel_range]})


def _refuse_floats(place: str, found: list[str], reading: Reading) -> None:
    said = reading.pixel_range
    problem = "pixel out of range" if said else "floats of an unknown range, which a batch may not show"
    expected = f"floats from {said[0]} to {said[1]}" if said else "pictures of integers"
    fix = f"store all pictures alike, and say pixel_range={SAY_RANGE} for those of floats"
    refuse(problem, BATCH, place, expected, f"a picture of floats, {' and '.join(found)}", fix)
