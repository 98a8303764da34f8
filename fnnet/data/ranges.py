"""The ranges that pixels are stored in: one for all images of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fnnet.core.params import Array
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content
from fnnet.files.disk import refuse

WHOLE: Final = "0 to 255"
UNIT: Final = "0 to 1"
SIGNED: Final = "-1 to 1"
SCALED: Final = (UNIT, SIGNED)
"""The ranges that are scaled to bytes."""
ZERO: Final = "0"
"""Numbers that are all 0: white of -1 to 1 is 1, and black of the other ranges is 0."""
TO_BYTES: Final = "((x + 1) * 127.5).round().astype(np.uint8)"
REACHED: Final = f"{UNIT}, or {SIGNED} with -1 among them"
UNREACHED: Final = f"if they are from {SIGNED}, store {TO_BYTES}"
"""What to do with numbers from -1 to 1 of which none is -1: they may be noise below 0, too."""


def scaling(found: str) -> str:
    """Return the text that says that pixels of a range are scaled."""
    return f"pixels from {found} are scaled to {WHOLE}"


def scaled_notes(ranges: Iterable[str], place: str) -> list[Note]:
    """Return a note for each of the ranges that is scaled."""
    return [Note("unit-pixels", f"{place}: {scaling(found)}") for found in ranges if found in SCALED]


def ranges_in_table(x: Array, notes: Sequence[Note]) -> tuple[str, ...]:
    """Return the range of the pixels of a table, as `Content` has it.

    x   as bytes. Whole numbers are ambiguous only if they are no more than 1.
    """
    noted = [each for each in SCALED if any(scaling(each) in note for note in notes)]
    return tuple(noted) or ((WHOLE,) if 0 < x.max() <= 1 else ())


def in_one_range(read: Callable[[str], Content], where: AnyPath) -> Content:
    """Return what `read` returns, read again in one range if parts of it were read in several.

    An image from -1 to 1 with no number below 0 looks like one from 0 to 1; one from 0 to 255 of 0 and 1 alone, too.
    read   takes the range that all numbers are of; "" if each part shows its own.
    Raises   DataError if there is no range that all are of.
    """
    content = read("")
    found = _ranges(content)
    if not _differ(found):
        return content
    content = read(SIGNED if SIGNED in found else WHOLE)
    found = _ranges(content)
    if _differ(found):  # tables show the range of each file themselves
        expected, seen = "one range for all images of the set", " and ".join(sorted(found))
        refuse("pixels of several ranges", where, "the images", expected, seen, "store bytes from 0 to 255")
    return content


def _ranges(content: Content) -> set[str]:
    return {*content.pixel_ranges, *(content.test.pixel_ranges if content.test else ())}


def _differ(found: set[str]) -> bool:
    return len(found if SIGNED in found else found - {ZERO}) > 1
