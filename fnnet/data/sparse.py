"""Tables whose lines hold some of the pixels, each with its number: text -> numbers, many lines at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import MAX_LABEL
from fnnet.data.bounds import check_expansion
from fnnet.data.csv_lines import MAX_LINE, check_line
from fnnet.data.csv_numbers import LONGEST, NUMBER, scaled
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.ranges import ALIKE, CLIP, REACHED, SIGNED, UNIT, UNREACHED, WHOLE, remedy, scaling
from fnnet.files.disk import refuse

MOST_PIXELS: Final = 2**20
"""The largest index: an image of 1,024 x 1,024 has as many pixels."""
BLANK, COLON, NEWLINE = b" :\n"
NUMBERS: Final = re.compile(rb"[-+.0-9eE: \n]*")
PAIR: Final = re.compile(r"([0-9]{1,7}):(.*)", re.DOTALL)
FIX: Final = "correct the line"


class Pairs(NamedTuple):
    """What some of the lines hold.

    labels   the labels, float64 (n,): whole numbers from -1.
    counts   how many pairs each line has, (n,).
    numbers  that of each pixel in these, int32, ascending in a line.
    values   its value, float32: whole numbers from 0 to 255, or numbers from -1 to 1.
    odd      the place and the value of the first fraction or negative number; empty if there is none.
    """

    labels: Array
    counts: Array
    numbers: Array
    values: Array
    odd: tuple[str, ...] = ()


def parse_pairs(block: bytes, line: int, path: AnyPath) -> Pairs:
    """Return the numbers of whole lines `label index:value index:value...`: many at a time if they are plain.

    line   the number of the first of them.
    Raises   DataError with line and field for anything else.
    """
    plain = re.sub(rb"\n\n+", b"\n", block.replace(b" \n", b"\n")).lstrip(b"\n")
    found = _parse_plain(plain) if plain and NUMBERS.fullmatch(plain) else None
    if found is None:
        return _parse_lines(block, line, path)
    odd = _is_odd(found.values)
    if not odd.any():
        return found
    at = int(odd.argmax())
    row = int(np.searchsorted(found.counts.cumsum(), at, side="right"))
    numbers = [number for number, content in enumerate(block.split(b"\n")[:-1], line) if content.strip()]
    return found._replace(odd=_odd(numbers[row], found.numbers[at], found.values[at]))


def _odd(line: int, index: int, value: float) -> tuple[str, str]:
    return f"line {line}, index {index}", f"{value:g}"


def _is_odd(values: Array) -> Array:
    return np.asarray((values != np.floor(values)) | (values < 0))


def _parse_plain(plain: bytes) -> Pairs | None:
    """Return the numbers of lines of plain numbers; None if there may be one that `_parse_lines` refuses."""
    codes = np.frombuffer(plain, np.uint8)
    ends = np.flatnonzero((codes == BLANK) | (codes == COLON) | (codes == NEWLINE))
    after = codes[ends]
    before = np.concatenate([np.array([NEWLINE], np.uint8), after[:-1]])
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    # A blank is before an index and a colon behind it, and nowhere else.
    if ((before == BLANK) != (after == COLON)).any() or not (starts < ends).all():
        return None
    lines = np.flatnonzero(after == NEWLINE)
    if np.diff(ends[lines], prepend=-1).max() > MAX_LINE:
        return None
    found = _numbers(plain, codes, starts, ends)
    if found is None:
        return None
    values, whole = found
    index, labels, pixels = before == BLANK, before == NEWLINE, before == COLON
    if not (whole[index].all() and _are_right(values[labels], values[pixels])):
        return None
    counts = np.diff(np.cumsum(index)[lines], prepend=0)
    numbers = values[index].astype(np.int32)
    ascending = np.diff(numbers, prepend=-1) > 0
    ascending[(np.cumsum(counts) - counts)[counts > 0]] = True
    if not ascending.all() or numbers.max(initial=0) > MOST_PIXELS:
        return None
    return Pairs(values[labels], counts, numbers, values[pixels].astype(np.float32))


def _numbers(plain: bytes, codes: Array, starts: Array, ends: Array) -> tuple[Array, Array] | None:
    """Return the number from each start to each end, float64, and where it is at most 7 digits; None for other text."""
    digits = codes - np.uint8(ord("0"))  # other characters become 10 or more
    others = np.concatenate([np.zeros(1, np.int32), np.cumsum(digits > 9, dtype=np.int32)])
    lengths = ends - starts
    whole = (others[ends] == others[starts]) & (lengths <= 7)
    values = digits[ends - 1].astype(np.float64)
    for count in range(2, int(lengths[whole].max(initial=0)) + 1):
        at = np.flatnonzero(whole & (lengths >= count))
        values[at] += digits[ends[at] - count] * 10.0 ** (count - 1)
    rest = np.flatnonzero(~whole)
    if len(rest) and lengths[rest].max() > LONGEST:
        return None
    try:
        spans = zip(starts[rest].tolist(), ends[rest].tolist(), strict=True)
        values[rest] = [float(plain[start:end]) for start, end in spans]
    except ValueError:
        return None
    return values, whole


def _are_right(labels: Array, values: Array) -> bool:
    """Return True if labels and pixels can have these values, which may be infinite."""
    fits = (values >= -1) & (values <= 255) & ((values == np.floor(values)) | (values < 1))
    right = (labels >= -1) & (labels <= MAX_LABEL) & (labels == np.floor(labels))
    return bool(fits.all() and right.all())


def _parse_lines(block: bytes, line: int, path: AnyPath) -> Pairs:
    """Return the numbers of lines with comments, tabs and the like; DataError for anything else."""
    labels: list[float] = []
    counts: list[int] = []
    pairs: list[tuple[int, float]] = []
    odd: tuple[str, ...] = ()
    for number, content in enumerate(block.split(b"\n")[:-1], line):
        check_line(content, number, path)
        fields = content.partition(b"#")[0].decode("utf-8", "replace").split()
        if not fields:
            continue
        labels.append(_label(fields[0], number, path))
        before = -1
        for place, field in enumerate(fields[1:], 2):
            before, value = _pair(field, before, f"line {number}, field {place}", path)
            pairs.append((before, value))
            if not odd and (value < 0 or not value.is_integer()):
                odd = _odd(number, before, value)
        counts.append(len(fields) - 1)
    index, values = zip(*pairs, strict=True) if pairs else ((), ())
    of = np.array(labels, np.float64), np.array(counts, np.int64)
    return Pairs(*of, np.array(index, np.int32), np.array(values, np.float32), odd)


def _label(field: str, line: int, path: AnyPath) -> float:
    value = float(field) if len(field) <= LONGEST and NUMBER.fullmatch(field) else -2.0
    if not (-1 <= value <= MAX_LABEL and value.is_integer()):
        expected = f"a whole number from 0 to {MAX_LABEL}, or -1 beside 1"
        refuse("not a label", path, f"line {line}, field 1", expected, repr(field[:40]), FIX)
    return value


def _pair(field: str, before: int, place: str, path: AnyPath) -> tuple[int, float]:
    """Return index and value of a pixel; DataError unless the index is above `before`."""
    found = PAIR.fullmatch(field)
    if not found or int(found[1]) > MOST_PIXELS:
        problem = "a query of a ranking, not of images" if field.startswith("qid:") else "not index:value"
        expected = f"a pixel's number up to {MOST_PIXELS:,}, a colon, its value"
        refuse(problem, path, place, expected, repr(field[:40]), FIX)
    index, text = int(found[1]), found[2]
    if index <= before:
        refuse("numbers of pixels do not ascend", path, place, f"more than {before}", index, "sort the line, each once")
    value = float(text) if len(text) <= LONGEST and NUMBER.fullmatch(text) else -2.0
    if not (-1 <= value <= 255 and (value.is_integer() or value < 1)):
        expected = "a whole number from 0 to 255, or one from -1 to 1"
        refuse("not a pixel", path, place, expected, repr(text[:40]), FIX)
    return index, value


def dense(
    parts: Sequence[Pairs], first: int, pixels: int, path: AnyPath, packed: int, given: str
) -> tuple[Array, list[Note], str]:
    """Return the images, uint8 (n, pixels), with a note if their pixels are fractions, and the range that they were
    scaled from, "" for whole numbers; pixels left out are 0.

    first    the number of the first pixel.
    packed   the bytes of the file on disk, which bound what it may expand to.
    given    the range of fractions, as `Wanted` has it.
    Raises   DataError for numbers that are neither whole nor all from 0 to 1 nor all from -1 to 1.
    """
    count = sum(len(part.labels) for part in parts)
    check_expansion(count * pixels, packed, path, f"index {first + pixels - 1}")
    read_as, notes = _range(parts, path, given)
    lowest = -1 if read_as == SIGNED else 0
    x = np.full((count, pixels), 0 if lowest == 0 else 128, np.uint8)
    row = 0
    for part in parts:
        rows = np.repeat(np.arange(row, row + len(part.labels)), part.counts)
        values = scaled((part.values - lowest) / (1 - lowest)) if read_as else part.values.astype(np.uint8)
        x[rows, part.numbers - first] = values
        row += len(part.labels)
    return x, notes, read_as


def _range(parts: Sequence[Pairs], path: AnyPath, given: str) -> tuple[str, list[Note]]:
    """Return the range that pixels are scaled from, and the note that says so; "" and none for whole numbers."""
    odd = next((part.odd for part in parts if part.odd), None)
    if odd is None:
        return "", []
    least = min(float(part.values.min(initial=0)) for part in parts)
    most = max(float(part.values.max(initial=0)) for part in parts)
    if most > 1 or (least < 0 and given != SIGNED and not (least == -1 and most > 0)):
        expected = "whole numbers from 0 to 255, or all of them from 0 to 1 or from -1 to 1"
        found = f"{odd[1]}, and others from {least:g} to {most:g}"
        fix = remedy(least, most)
        expected = f"{WHOLE}, {REACHED}" if fix in (UNREACHED, CLIP) else expected
        fix = fix or ALIKE
        refuse("pixels of no known range", path, odd[0], expected, found, fix)
    if least < 0 or given == SIGNED:
        return SIGNED, [Note("unit-pixels", f"{scaling(SIGNED)}, and those left out are 0: half grey")]
    return UNIT, [Note("unit-pixels", scaling(UNIT))]
