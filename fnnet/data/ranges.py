"""The ranges that pixels are stored in: one for all images of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content
from fnnet.errors import DataError
from fnnet.files.disk import refuse

WHOLE: Final = "0 to 255"
UNIT: Final = "0 to 1"
SIGNED: Final = "-1 to 1"
INSIDE: Final = "-1 to 1, without -1"
"""Numbers that others of their set, or a model, show to be from -1 to 1."""
PAPER: Final = "0 to 1, with 0 common"
"""Numbers from 0 to 1 that are so for sure: from -1 to 1, 0 is half grey, and images have something darker."""
SCALED: Final = (UNIT, SIGNED)
"""The ranges that are scaled to bytes."""
LEVELS: Final = "levels of less than a byte"
"""Truth values, and pixels of 1, 2 or 4 bits: what is the largest is 255."""
BYTES: Final = "bytes"
"""Pixels as they are in the file, where others of its set were scaled."""
ZERO: Final = "0"
"""Numbers that are all 0: white of -1 to 1 is 1, and black of the other ranges is 0."""
STORE_BYTES: Final = "store bytes from 0 to 255"
TO_BYTES: Final = "((x + 1) * 127.5).round().astype(np.uint8)"
COMMON: Final = 0.1
"""A fraction of the pixels that paper has, and half grey, if it is the darkest, has not."""
HALF: Final = 128
"""The byte of 0 in numbers from -1 to 1."""
REACHED: Final = f"{UNIT}, or {SIGNED} with -1 among them"
FROM_SIGNED: Final = f"if they are from {SIGNED}, store {TO_BYTES}"
UNREACHED: Final = f"undo what shifted them; {FROM_SIGNED}"
"""What to do with numbers from -1 to 1 of which none is -1: they may be noise below 0, too."""
CLIP: Final = "rounding has moved them: store x.clip(0, 1)"
CLIP_SIGNED: Final = "rounding has moved them: store x.clip(-1, 1)"
ROUND: Final = "round them: store x.clip(0, 255).round()"
STANDARDISED: Final = "they look standardised: store x * deviation + mean, as bytes from 0 to 255"
ALIKE: Final = "scale all images alike"
ALMOST: Final = 1e-3
"""By which part of their range numbers may miss it by rounding; from -1 to 1, 255 levels are further apart."""
LARGE: Final = 64
"""Standardised numbers are smaller; the largest of those from 0 to 255 are not, unless the images are dim."""


def remedy(least: float, most: float) -> str:
    """Return what to do with numbers, not all of them whole, that are in no range as they are; "" if it is not clear.

    >>> remedy(-1e-9, 1) == CLIP, remedy(0.5, 255.00002) == ROUND, remedy(-0.42, 2.8) == STANDARDISED
    (True, True, True)
    """
    if least >= -ALMOST and most <= 1 + ALMOST:
        return CLIP
    if least > -1 and most <= 1:
        return UNREACHED
    if -1 - 2 * ALMOST <= least < -0.9 and most <= 1 + 2 * ALMOST and (least < -1 or most > 1):
        return CLIP_SIGNED
    if least >= -255 * ALMOST and LARGE <= most <= 255 * (1 + ALMOST):
        return ROUND
    return STANDARDISED if least < 0 and most < LARGE and (least < -1 or most > 1) else ""


def scaling(found: str) -> str:
    """Return the text that says that pixels of a range are scaled."""
    return f"pixels from {found} are scaled to {WHOLE}"


def scaled_notes(ranges: Iterable[str], place: str) -> list[Note]:
    """Return a note for each of the ranges that is scaled."""
    return [Note("unit-pixels", f"{place}: {scaling(each)}") for each in scaled_from(ranges)]


def scaled_from(ranges: Iterable[str]) -> tuple[str, ...]:
    """Return which of SCALED these ranges, as `Content` has them, are; those that are not scaled are left out."""
    found = dict.fromkeys({INSIDE: SIGNED, PAPER: UNIT}.get(each, each) for each in ranges)
    return tuple(each for each in found if each in SCALED)


def all_scaled(ranges: Sequence[str]) -> bool:
    """Return True if pixels of these ranges, as `Content` has them, are from 0 to 255 whatever their file's were."""
    return bool(ranges) and {WHOLE, BYTES}.isdisjoint(ranges)


def ranges_in_table(x: Array, read_as: str, where: AnyPath) -> tuple[str, ...]:
    """Return the range of the pixels of a table, as `Content` has it.

    x         as bytes. Whole numbers are ambiguous only if they are no more than 1.
    read_as   the one of SCALED that they were scaled from; "" for whole numbers.
    Raises    DataError as `check_marks` does.
    """
    if read_as == SIGNED:
        check_marks(x, where, lambda at: f"image {at[0] + 1}")
        return (reached(SIGNED, x, is_paper(x, HALF - 1, HALF)),)
    if read_as:
        return (reached(UNIT, x, is_paper(x, 0, 0)),)
    return (WHOLE,) if 0 < x.max() <= 1 else ()


def reached(found: str, x: Array, paper: bool) -> str:
    """Return the range of numbers that were read in the range `found` as the bytes x.

    paper   as `is_paper` has it.
    """
    if paper and found in SCALED:
        return PAPER
    return INSIDE if found == SIGNED and x.min() else found


def is_paper(x: Array, least: float, most: float) -> bool:
    """Return True if the smallest pixels are from `least` to `most`, which stand for 0, are common, and not alone."""
    if not (least <= x.min() <= most < x.max()):
        return False
    return bool(np.count_nonzero(x <= most) >= COMMON * x.size)


def check_marks(x: Array, where: AnyPath, place: Callable[[tuple[int, ...]], str]) -> None:
    """Raise DataError if -1 marks something among numbers from 0 to 1: no other is below 0, and 0 is common.

    x       numbers read as from -1 to 1, as bytes.
    place   the index of a pixel -> the place in words.
    """
    if x.min() or ((x - np.uint8(1)) < HALF - 1).any() or np.count_nonzero(x == HALF) < COMMON * x.size:
        return
    at = tuple(map(int, np.unravel_index(x.argmin(), x.shape)))
    expected = f"numbers from {UNIT}, or from {SIGNED} with some between -1 and 0"
    fix = f"replace -1 if it marks something; {FROM_SIGNED}"
    refuse("-1 is the only number below 0", where, place(at), expected, "-1, where 0 is common", fix)


def in_one_range(read: Callable[[str], Content], where: AnyPath, signed: bool = False) -> Content:
    """Return what `read` returns, read again in one range if parts of it were read in several.

    An image from -1 to 1 with no number below 0 looks like one from 0 to 1, unless 0 is common; one from 0 to 255 of 0
    and 1 alone, too.
    read     takes the range that all numbers are of; "" if each part shows its own.
    signed   True if a model, or the training set, has numbers from -1 to 1.
    Raises   DataError if there is no range that all are of, or it may be either.
    """
    try:
        content = read("")
    except DataError as error:
        if error.fix not in (UNREACHED, CLIP):
            raise
        try:
            content = read(SIGNED)  # others may show it
        except DataError as other:
            raise (error if error.fix == CLIP else other) from None
        if not signed and SIGNED not in _ranges(content):
            raise error from None
    found = _ranges(content)
    if _differ(found):
        content = read(SIGNED if SIGNED in found else WHOLE)
        found = _ranges(content)
    if _differ(found):
        expected, seen = "one range for all images of the set", " and ".join(sorted(found))
        refuse("pixels of several ranges", where, "the images", expected, seen, STORE_BYTES)
    if signed and not found.isdisjoint((UNIT, PAPER)):
        problem, seen = "the range of the pixels is not clear", f"numbers from {UNIT}"
        expected = f"numbers from {SIGNED}, some below 0, as those of training, or bytes"
        refuse(problem, where, "the images", expected, seen, STORE_BYTES)
    return content


def differs(where: AnyPath) -> DataError:
    """Return the error of a file from 0 to 1 beside others, for the same model, from -1 to 1."""
    expected = f"the range of the other files, {SIGNED}, with numbers below 0"
    found = f"numbers from {UNIT}, which may be of either"
    return DataError("pixels of several ranges", where=where, expected=expected, found=found, fix=STORE_BYTES)


def _ranges(content: Content) -> set[str]:
    return {*content.pixel_ranges, *(content.test.pixel_ranges if content.test else ())} - {LEVELS, BYTES}


def _differ(found: set[str]) -> bool:
    signed = found & {SIGNED, INSIDE}
    if signed:
        return found != signed
    return len({UNIT if each == PAPER else each for each in found} - {ZERO}) > 1
