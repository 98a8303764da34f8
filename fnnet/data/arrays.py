"""Arrays as files hold them -> images and labels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Final, Literal, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.colour import colour_notes
from fnnet.data.grey import colours_at, ink_of, opacity_notes, over_black, weighed
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.preprocess import spread
from fnnet.data.ranges import (
    ALIKE,
    ALMOST,
    CLIP_SIGNED,
    LEVELS,
    REACHED,
    SIGNED,
    UNIT,
    WHOLE,
    ZERO,
    check_marks,
    is_paper,
    reached,
    remedy,
    scaled_notes,
)  # fmt: skip
from fnnet.data.reader import Content
from fnnet.files.disk import refuse
from fnnet.limits import MAX_CLASSES

MAX_LABEL: Final = MAX_CLASSES - 1
"""--classes takes at most a million classes."""
BYTES: Final = "store bytes from 0 to 255"
WHOLE_LABELS: Final = "store whole numbers from 0"
OTHERS: Final = "as others of the set show"
COLOURS: Final = (1, 3, 4)
"""Channels of an image: grey, RGB, RGB and alpha."""
PIECE: Final = 2**20
"""Numbers that are converted at a time."""
ENOUGH: Final = 64
"""As many pixels are an image for sure, not measurements."""
ONE_PICTURE, GREYS = 0.95, 0.3
"""Planes are the colours of one picture if all are as alike, by the size of their correlation; images in grey if none
are more alike than that."""


def as_content(
    x: Array, labels: Array | None, where: AnyPath, name: str, flat: tuple[int, int] | None,
    labels_at: str = "", labels_name: str = "", pixel_range: str = "", sure: bool = False,
) -> Content:  # fmt: skip
    """Return images, with their labels if there are any, as a reader returns them; see `as_images`, `as_labels`.

    pixel_range, sure   as `Wanted` has it.
    """
    if labels is not None and labels.ndim:
        _check_axis(x, len(labels), where, name)
    x, notes = rows_of_pixels(x, name, flat)
    notes += one_row(x.shape[1] if x.ndim == 2 else 0, name, flat)
    stored, found = _as_stored(x, where, name, flat, notes, pixel_range, sure)
    ranges = (found,) if found else ()
    pixels, shape, ink = _in_rows(stored, flat)
    if labels is None:
        notes += opacity_notes(ink)
        return Content(pixels, None, shape, shape_at=name, notes=tuple(notes), ink=ink, pixel_ranges=ranges)
    notes += opacity_notes(ink)
    known = as_labels(labels, len(pixels), labels_at or where, labels_name, notes)
    if stored.ndim == 4 and stored.shape[3] > 1:
        rows, place = spread(np.arange(len(pixels))), f"{os.fsdecode(where)}: {name}"
        notes += colour_notes(
            pixels[rows], shape, colours_at(stored[rows]), known[rows], place, None if ink is None else ink[rows]
        )
    place = labels_at or f"{os.fsdecode(where)}: {labels_name}"
    content = Content(
        pixels, known, shape, labels_at=place, shape_at=name, notes=tuple(notes), ink=ink, pixel_ranges=ranges
    )
    return content._replace(one_hot=labels.shape[1] if labels.ndim == 2 and labels.shape[1] > 1 else 0)


def _check_axis(x: Array, n: int, where: AnyPath, name: str) -> None:
    """Raise DataError for images that lie along the last axis, as the number of labels shows."""
    if x.ndim in (2, 3) and n == x.shape[-1] and x.shape.count(n) == 1:
        refuse_last(x, where, name, f"{n:,} images along the first axis, as many as labels")


def refuse_last(
    x: Array, where: AnyPath, name: str, expected: str = "images along the first axis", shown: str = ""
) -> NoReturn:
    """Raise DataError for images along the last axis.

    shown   what shows it, beside the shape.
    """
    problem, fix = "the images lie along the last axis", "store np.moveaxis(x, -1, 0)"
    refuse(problem, where, name, expected, f"shape {x.shape}{shown}", fix)


def rows_of_pixels(x: Array, name: str, flat: tuple[int, int] | None) -> tuple[Array, list[Note]]:
    """Return images of one row or column as rows of pixels if these have the size `flat`, or make a square, with a note
    of that; any others as they are.

    >>> x, (note,) = rows_of_pixels(np.zeros((2, 784, 1)), "x", None)
    >>> print(x.shape, note)
    (2, 784) x: images of shape (784, 1) are taken as rows of pixels, 28x28; --image-size 784x1 says otherwise
    """
    sizes, pixels = x.shape[1:], math.prod(x.shape[1:])
    if len(sizes) not in (2, 3) or max(sizes) != pixels or pixels < ENOUGH or flat == sizes:
        return x, []
    given, shape = flat is not None and math.prod(flat) == pixels, image_shape(pixels)
    if not given and 1 in shape:
        return x, []
    line = f"{pixels}x1" if sizes[0] == pixels else f"1x{pixels}"
    text = f"{name}: images of shape {sizes} are taken as rows of pixels, {shape[0]}x{shape[1]}"
    notes = [] if given else [Note("rows-of-pixels", f"{text}; --image-size {line} says otherwise")]
    return x.reshape(len(x), pixels), notes


def one_row(pixels: int, name: str, flat: tuple[int, int] | None) -> Iterator[Note]:
    """Yield a note if rows of pixels, whose size is not given, are many and no square: those of colours may be."""
    if pixels >= ENOUGH and flat is None and image_shape(pixels)[0] == 1:
        text = f"{name}: {pixels:,} pixels do not make a square: an image is taken as one row of them"
        yield Note("one-row", f"{text}; --image-size HxW says otherwise")


def as_images(
    x: Array, where: AnyPath, name: str, flat: tuple[int, int] | None, notes: list[Note]
) -> tuple[Array, tuple[int, int]]:
    """Return `x` as uint8 rows (n, pixels), and the (height, width) of an image.

    x        (n, height, width), with 1, 3 or 4 channels last or first, or (n, pixels): integers or whole floats from 0
             to 255, floats from 0 to 1 or from -1 to 1, truth values. Colour becomes luma (ITU-R 601).
    flat     the height and width to give to rows of that many pixels.
    notes    takes what the user should know.
    Raises   DataError for another shape or a value out of range.
    """
    return _in_rows(_as_stored(x, where, name, flat, notes)[0], flat)[:2]


def one_image(x: Array, shape: tuple[int, int] | None, where: AnyPath, name: str) -> Array:
    """Return a single image of a model's `shape` as images, (1, ...); any other array as it is.

    Raises   DataError for an array that may be one image in colours or several in grey, and for images along the last
             axis.

    >>> one_image(np.zeros((28, 28, 1)), (28, 28), "a", "x").shape, one_image(np.zeros(784), (28, 28), "a", "x").shape
    ((1, 28, 28, 1), (1, 784))
    """
    if shape is None:
        return x
    pixels = math.prod(shape)
    planes = planes_along(x.shape, shape)
    if planes:
        found = in_colours_or_grey(x, where, name, last=planes == "last")
        if planes == "last" and found.ndim == 3:
            _refuse_planes(x, where, name)
        return found
    columns = x.ndim == 2 and len(x) == pixels
    planes_last = x.ndim == 3 and x.shape[:2] == shape != x.shape[1:] and x.shape[2] not in COLOURS
    if (columns or planes_last) and x.shape[-1] != pixels:
        refuse_last(x, where, name)
    grey, coloured = x.shape == shape, x.ndim == 3 and x.shape[:2] == shape and x.shape[2] in COLOURS
    # Arrays of that many columns, or of as many channels as columns, may be several images.
    alone = (grey and x.shape[1] != pixels) or (coloured and x.shape[1:] != shape)
    return x[None] if alone or x.shape == (pixels,) else x


def planes_along(stored: tuple[int, ...], shape: tuple[int, int]) -> Literal["first", "last", ""]:
    """Return along which axis of an array planes of `shape` lie that may be colours; "" along none, or if they are so
    small that they tell nothing.
    """
    if len(stored) != 3 or math.prod(shape) < ENOUGH:
        return ""
    first, last = (
        count in COLOURS[1:] and plane == shape for count, plane in ((stored[0], stored[1:]), (stored[2], stored[:2]))
    )
    return "first" if first and not last else "last" if last and not first else ""


def in_colours_or_grey(x: Array, where: AnyPath, name: str, *, last: bool) -> Array:
    """Return 3 or 4 planes as one image in colours (1, height, width, planes), or as images in grey, by their likeness.

    Of 4,000 pieces of photos the colours of each are more alike than GREYS, some only as much as three digits: those
    are alike by 0.79 at most, of 5,000 triples.
    last     True if the planes lie along the last axis.
    Raises   DataError if they may be either.
    """
    planes = np.moveaxis(x, -1, 0) if last else x
    rows = planes.reshape(len(planes), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.sqrt((rows**2).sum(axis=1))
    if np.isfinite(lengths).all() and lengths[:3].all():
        alike = np.abs(rows @ rows.T) / np.maximum(np.outer(lengths, lengths), 1e-300)
        if alike[:3, :3].min() >= ONE_PICTURE:
            return np.moveaxis(planes, 0, -1)[None]
        if lengths.all() and alike[~np.eye(len(alike), dtype=bool)].max() <= GREYS:
            return planes
    return _refuse_planes(x, where, name)


def _refuse_planes(x: Array, where: AnyPath, name: str) -> NoReturn:
    problem, expected = "one picture in colours, or several in grey", "the axis of the images and that of the colours"
    fix = "store one picture in colours as (1, height, width, 3), pictures in grey as (n, height, width, 1)"
    refuse(problem, where, name, expected, f"shape {x.shape}", fix)


def _as_stored(
    x: Array, where: AnyPath, name: str, flat: tuple[int, int] | None, notes: list[Note], pixel_range: str = "",
    sure: bool = False,
) -> tuple[Array, str]:  # fmt: skip
    """Return images as bytes in their shape, channels last, and the range that floats were of."""
    if x.ndim == 4 and x.shape[1] in COLOURS and not _channels_last(x.shape, where, name, flat):
        x = np.moveaxis(x, 1, 3)
    colours = x.ndim == 4 and x.shape[3] in COLOURS
    if (x.ndim not in (2, 3) and not colours) or 0 in x.shape:
        expected = "at least 1 image, shape (n, height, width) or (n, pixels)"
        refuse("no images", where, name, expected, f"shape {x.shape}", "store one image per row")
    return _as_bytes(x, where, name, notes, pixel_range, sure)


def _channels_last(stored: tuple[int, ...], where: AnyPath, name: str, flat: tuple[int, int] | None) -> bool:
    """Return True if the channels of images, which may be those of the second axis, are those of the last.

    stored   the shape of the array.
    Raises   DataError if they may be either, and the size of an image does not show which.
    """
    if stored[3] not in COLOURS:
        return False
    first, last = stored[2:] == flat, stored[1:3] == flat
    if first == last:
        expected = "channels along the second or along the last axis"
        fix = "store grey images as (n, height, width), colours as bytes of grey"
        fix = f"say --image-size HxW, or {fix}" if flat is None and stored[2:] != stored[1:3] else fix
        refuse("the axis of the channels is not clear", where, name, expected, f"shape {stored}", fix)
    return last


def _in_rows(x: Array, flat: tuple[int, int] | None) -> tuple[Array, tuple[int, int], Array | None]:
    """Return images as grey rows, the (height, width) of one, and their kinds, as `Content` has them."""
    shape = image_shape(x.shape[1], flat) if x.ndim == 2 else (x.shape[1], x.shape[2])
    grey, kinds = _as_grey(x) if x.ndim == 4 else (x, None)
    return np.ascontiguousarray(grey).reshape(len(x), -1), shape, kinds


def _as_grey(x: Array) -> tuple[Array, Array | None]:
    """Return the grey of bytes (n, height, width, channels), as rows, and the kinds of the images."""
    flat = x.reshape(len(x), -1, x.shape[3])
    if x.shape[3] == 1:
        return flat[..., 0], None
    found, kinds = np.empty(flat.shape[:2], np.uint8), np.zeros(len(x), np.uint8)
    for part in _pieces(len(x), x[0].size):
        colours, alpha = flat[part][..., :3], flat[part][..., 3:].squeeze(-1) if x.shape[3] == 4 else None
        grey = over_black(weighed(colours), 255 if alpha is None else alpha)
        found[part], kinds[part] = (grey, 0) if alpha is None else ink_of(grey, colours, alpha, x.shape[1:3])
    return found, kinds if kinds.any() else None


def _as_bytes(x: Array, where: AnyPath, name: str, notes: list[Note], given: str, sure: bool) -> tuple[Array, str]:
    """Return numbers as bytes, and their range: of floats the one `given`, or what they show; "" for integers.

    sure   as `Wanted` has it.
    """
    if x.dtype == bool:
        return x.astype(np.uint8) * np.uint8(255), LEVELS
    if x.dtype.kind in "iu":
        _check_range(x, 255, where, name)
        return x.astype(np.uint8, copy=False), ""
    kind = _range_of(x, given, where, name)
    unit, lowest = kind != WHOLE, -1 if kind == SIGNED else 0
    notes += scaled_notes([kind], name)
    found = np.empty(x.shape, np.uint8)
    for part in _pieces(len(x), x[0].size):
        values = x[part].astype(np.float64)
        values = (values - lowest) * (255 / (1 - lowest)) if unit else values
        whole = np.rint(values)
        if not unit and (whole != values).any():
            at = tuple(map(int, np.argwhere(whole != values)[0]))
            place = f"{name}[{', '.join(map(str, (at[0] + part.start, *at[1:])))}]"
            expected = f"whole numbers from {WHOLE}, {OTHERS if given else f'or from {UNIT}'}"
            fix = BYTES if given else remedy(0, float(x.max())) or "divide them by the largest that there can be"
            fix = ALIKE if _are_mixed(x) else fix
            refuse("pixel is not a whole number", where, place, expected, x[part][at], fix)
        found[part] = whole
    if sure:
        return found, kind
    if kind == SIGNED:
        check_marks(found, where, lambda at: f"{name}{list(at)}")
    return found, reached(kind, found, unit and is_paper(x, -ALMOST, ALMOST))


def _are_mixed(x: Array) -> bool:
    """Return True for floats up to 255 if some images are fractions from 0 to 1: rounding would erase these."""
    rows = x.reshape(len(x), -1)
    unit = (rows.max(axis=1) <= 1) & ((rows > 0) & (rows < 1)).any(axis=1)
    return bool(unit.any() and not unit.all())


def _range_of(x: Array, given: str, where: AnyPath, name: str) -> str:
    """Return the range of floats: the one `given`, or what they show. DataError if they are not in it."""
    if given == SIGNED or (not given and x.min() == -1 and 0 < x.max() <= 1):
        _check_range(x, 1, where, name, least=-1)
        return SIGNED
    _check_range(x, 1 if given == UNIT else 255, where, name)
    return given or (WHOLE if x.max() > 1 else UNIT if x.any() else ZERO)


def _pieces(count: int, size: int) -> Iterator[slice]:
    """Yield the rows that are converted at a time."""
    step = max(1, PIECE // max(1, size))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def as_labels(values: Array, n: int, where: AnyPath, name: str, notes: list[Note], most: int = MAX_LABEL) -> Array:
    """Return the labels of n images as int64 (n,); DataError for anything else.

    values   whole numbers (n,) or (n, 1), or rows (n, classes) with a single 1 at the class.
    notes    takes what the user should know.
    most     the largest label.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and len(values) == n and n and is_one_hot(values):
        notes.append(Note("one-hot", f"{name}: rows with a single 1 are read as the class where it is"))
        classes: Array = values.argmax(axis=1).astype(np.int64)
        return classes
    if values.shape != (n,):
        problem = "counts differ" if values.ndim == 1 else "no labels"
        fix = "store one label for each image, or rows with a single 1"
        refuse(problem, where, name, f"shape ({n},), one label per image", f"shape {values.shape}", fix)
    _check_range(values, most, where, name)
    labels: Array = values.astype(np.int64)
    if values.dtype.kind == "f" and (labels != values).any():
        at = int((labels != values).argmax())
        refuse("label is not a whole number", where, f"{name}[{at}]", "0, 1, 2...", values[at], WHOLE_LABELS)
    return labels


def is_one_hot(values: Array) -> bool:
    """Return True for rows with a single 1."""
    ones = values == 1
    return bool((ones | (values == 0)).all() and (ones.sum(axis=1) == 1).all())


def _check_range(values: Array, most: int, where: AnyPath, name: str, least: int = 0) -> None:
    """Compare the smallest and the largest value, which takes no memory; NaN is neither."""
    with np.errstate(over="ignore"):  # 16-bit floats take no such `most`
        if values.min() >= least and values.max() <= most:
            return
        wrong = ~((values >= least) & (values <= most)) if values.dtype.kind == "f" else None
    at = wrong.argmax() if wrong is not None else values.argmin() if values.min() < 0 else values.argmax()
    index = tuple(map(int, np.unravel_index(at, values.shape)))
    place, fix = f"{name}[{', '.join(map(str, index))}]", WHOLE_LABELS if most == MAX_LABEL else BYTES
    expected = f"{least} to {most}"
    found = remedy(float(values.min()), float(values.max())) if wrong is not None and most != MAX_LABEL else ""
    if least:
        expected, fix = f"{expected}, {OTHERS}", CLIP_SIGNED if found == CLIP_SIGNED else fix
    elif found:
        expected, fix = f"{WHOLE}, {REACHED}", found
    refuse("value out of range", where, place, expected, values[index], fix)


def image_shape(pixels: int, flat: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of an image: `flat` if it has as many pixels, else a square, else one row."""
    if flat is not None and flat[0] * flat[1] == pixels:
        return flat
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)
