"""libsvm's (svmlight's) text: a line is an image, its label and those pixels that are not 0, with their numbers.

`5 153:3 154:18 155:18`; `#` begins a comment. Numbers of pixels begin at 1, says LIBSVM's README; scikit-learn begins
at 0 by default and writes no word about it. How many pixels an image has is nowhere stated.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from io import BufferedReader
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.bounds import bytes_on_disk
from fnnet.data.csv_lines import blocks
from fnnet.data.dataset import places_by_number
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.ranges import ranges_in_table
from fnnet.data.reader import BINARY, Content, Format, Wanted, size
from fnnet.data.sparse import Pairs, dense, parse_pairs
from fnnet.data.unpacked import is_packed, packed_head, unpacked
from fnnet.data.width import width_of
from fnnet.files.disk import refuse

FIRST_LINE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t]*+(?:#[^\n\r]*+|[-+.\w]{0,60}+)[ \t]*+[\r\n])*+"
    rb"[ \t]*+(?:[-+.,\w]{1,60}[ \t]+)?(?:qid|[0-9]{1,9}):[-+.0-9]"
)
"""How such text begins: comments and images without ink, then the first pixel."""
TOLD: Final = re.compile(rb"^#.*\b(?:(zero)|one)-based", re.MULTILINE)
"""What scikit-learn writes in a comment, if it writes one."""
PIECE: Final = 2**18
LEAST: Final = 64
"""Pixels of an image, unless its size is given: fewer numbers are measurements as often."""
MANY: Final = 20
"""Images that show their width."""
SIZE: Final = "say --image-size HxW"
THAT_SIZE: Final = "give images of that size"
OTHER: Final = f"{THAT_SIZE}, or say theirs: --image-size HxW"


def looks_like_libsvm(head: bytes) -> bool:
    """Return True if these first bytes of a text are those of libsvm's."""
    return FIRST_LINE.match(head) is not None and not BINARY.search(head)


def _recognise(head: bytes, path: AnyPath) -> bool:
    inside = packed_head(head) if is_packed(head) else head
    return inside is not None and looks_like_libsvm(inside)


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the file once, in pieces."""
    parts: list[Pairs] = []
    told: int | None = None
    with unpacked(file, path) as source:
        for line, block in blocks(source, path, PIECE):
            for found in TOLD.finditer(block) if b"#" in block else ():
                told = 0 if found[1] else 1
            parts.append(parse_pairs(block, line, path))
    first, last, notes = _numbering(parts, told, path, wanted)
    every = all((part.counts == last - first + 1).all() for part in parts)
    shape = wanted.shape or _square(last - first + 1, every, path)
    _check_fits(shape, first, last, every, path, THAT_SIZE if wanted.known else OTHER)
    x, more, read_as = dense(parts, first, math.prod(shape), path, bytes_on_disk(file.fileno()), wanted.pixel_range)
    _check_width(x, shape, last - first + 1, path, wanted)
    labels, classes, of_labels = _labels(parts, path, wanted.names)
    at = os.fsdecode(path)
    all_notes, ranges = (*notes, *more, *of_labels), ranges_in_table(x, read_as, path)
    return Content(
        x, labels, shape, labels_at=at, shape_at=f"index {last}", notes=all_notes, pixel_ranges=ranges,
        classes=classes, named=bool(classes),
    )  # fmt: skip


FORMAT: Final = Format("libsvm", _recognise, _read, numbered=True)


def _numbering(parts: Sequence[Pairs], told: int | None, path: AnyPath, wanted: Wanted) -> tuple[int, int, list[Note]]:
    """Return the number of the first pixel, the largest number of one that is there, and a note that says the first."""
    numbers = [part.numbers for part in parts if len(part.numbers)] or [np.ones(1, np.int32)]
    least, last = min(int(each.min()) for each in numbers), max(int(each.max()) for each in numbers)
    if wanted.first_index is not None:
        if least < wanted.first_index:
            expected = "pixels that begin at 1, as --first-index says"
            refuse("a pixel before the first", path, f"index {least}", expected, least, "say --first-index 0")
        return wanted.first_index, last, []
    at = os.fsdecode(path)
    if least == 0:
        return 0, last, [Note("first-index", f"{at}: pixels are numbered from 0, as there is one with this number")]
    if told is not None:
        return told, last, [Note("first-index", f"{at}: pixels are numbered from {told}, as a comment in it says")]
    why = "as the format has it; if they begin at 0, say --first-index 0"
    if last == (math.prod(wanted.shape) if wanted.shape else math.isqrt(last) ** 2):
        why = "as the largest number shows"
    return 1, last, [Note("first-index", f"{at}: pixels are numbered from 1, {why}")]


def _square(pixels: int, every: bool, path: AnyPath) -> tuple[int, int]:
    """Return the smallest square shape that holds these pixels; if `every` line has all of them, it has no more."""
    side = math.isqrt(pixels - 1) + 1
    if pixels < LEAST or (every and side * side != pixels):
        expected = f"a square number of pixels, at least {LEAST}, or --image-size"
        fix = f"write a table as CSV; if each line is an image, {SIZE}"
        refuse("a table, or images too small to tell", path, "the largest index", expected, f"{pixels:,}", fix)
    return side, side


def _check_fits(shape: tuple[int, int], first: int, last: int, every: bool, path: AnyPath, fix: str) -> None:
    pixels = math.prod(shape)
    if last - first >= pixels or (every and last - first + 1 != pixels):
        expected = f"{first} to {first + pixels - 1}, for images of {size(shape)}"
        found = f"{first} to {last} in every line" if every else f"{last}"
        refuse("image size does not fit: numbers of pixels", path, f"index {last}", expected, found, fix)


def _check_width(x: Array, shape: tuple[int, int], pixels: int, path: AnyPath, wanted: Wanted) -> None:
    """Raise DataError if rows of another width than that of `shape` are more like those below them.

    Of any 20 images of MNIST the rows of 28 are; a largest number of 729 or less would make them 27 wide.
    A given shape is doubted only where the last row of many images is blank.
    """
    given = wanted.shape is not None
    if pixels == x.shape[1] or (given and (len(x) < MANY or pixels > x.shape[1] - shape[1])):
        return
    width = width_of(x, shape[1])
    if width == shape[1] or (given and not width):
        return
    place, found = f"index {pixels}", f"rows that look {width} wide" if width else "blank images"
    if given:
        refuse("image size does not fit", path, place, size(shape), found, THAT_SIZE if wanted.known else OTHER)
    expected = "rows of one width in a square image"
    refuse("the size of an image is not certain", path, place, expected, f"{found}, not {shape[1]}", SIZE)


def _labels(parts: Sequence[Pairs], path: AnyPath, names: tuple[str, ...]) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return the labels, the classes if labels below 0 are the names of some, and a note if they are not.

    names   as `Wanted` has them: those that are numbers name the labels, in whatever order.
    """
    labels = np.concatenate([part.labels for part in parts]).astype(np.int64)
    if labels.min() >= 0:
        return labels, (), []
    places = places_by_number(names)
    if -1 in places:
        unknown = [label for label in labels.tolist() if label not in places]
        if unknown:
            row, expected = labels.tolist().index(unknown[0]), f"{' or '.join(names[:12])}, as the classes are called"
            refuse("label of no class", path, f"image {row + 1}", expected, unknown[0], "correct it")
        return np.array([places[label] for label in labels.tolist()]), names, []
    if not np.isin(labels, (-1, 1)).all():
        other = labels[~np.isin(labels, (-1, 1))][0]
        expected, found = "labels from 0, or -1 and 1 alone", f"-1 and {other}"
        refuse("label below 0", path, "a label of -1", expected, found, "number them from 0")
    text = f"{os.fsdecode(path)}: the labels -1 and 1 are read as 0 and 1"
    return (labels + 1) // 2, (), [Note("signed-labels", text)]
