"""Of what kind the images in Parquet files are: found by a few of them, and asked of all others as they are read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fnnet.core.state import Preprocessing
from fnnet.data import preprocess
from fnnet.data.grey import INKED
from fnnet.data.opened import AnyPath
from fnnet.data.parquet_files import Files, Group
from fnnet.data.ranges import BYTES, INSIDE, SIGNED, UNIT, WHOLE, all_scaled, scaled_from
from fnnet.data.reader import MEMORY, OTHER, Content, Wanted, joined_ink, size
from fnnet.errors import DataError, FnnetError
from fnnet.files.disk import refuse


class Kind(NamedTuple):
    """What all images of a stream have in common.

    shape    (height, width), as they are stored.
    by_row   as in `Content`.
    ranges   those of `ranges` that make a difference.
    inked    True if all images are the opacity of ink, False if none is, None if some are.
    lossy    as in `Content`.
    scaled   True if pixels are from 0 to 255 whatever the file's were.
    """

    shape: tuple[int, int]
    by_row: bool
    ranges: frozenset[str]
    inked: bool | None
    lossy: bool
    scaled: bool

    @property
    def pixel_range(self) -> str:
        """The range to read other images in, as `Wanted` has it: they might look as if they were of another."""
        return next((each for each in (SIGNED, UNIT) if each in self.ranges), WHOLE)


def kind_of(content: Content) -> Kind:
    """Return of what kind images are."""
    ranges = content.pixel_ranges
    made = {*scaled_from(ranges), *({*ranges} & {WHOLE})}
    kinds = np.zeros(1, bool) if content.ink is None else content.ink == INKED
    inked = bool(kinds.all()) if kinds.all() == kinds.any() else None
    return Kind(content.image_shape, content.by_row, frozenset(made), inked, content.lossy, all_scaled(ranges))


def check_ranges(found: Kind, known: Kind, preprocessing: Preprocessing, path: Path, place: str) -> None:
    """Raise DataError for images whose pixels are of another range than those that were looked at."""
    same = found.ranges == known.ranges if SIGNED in known.ranges else found.ranges <= {*known.ranges, WHOLE}
    same = same and (UNIT not in known.ranges or WHOLE not in found.ranges)
    sure = preprocessing.pixel_max == 255 or found.scaled == known.scaled
    for expected, seen, alike in (
        (_named(known.ranges), _named(found.ranges), same),
        ("pixels of one range", "bits beside bytes", sure),
    ):
        if not alike:
            refuse(OTHER, path, place, expected, seen, MEMORY)


def check_kind(found: Kind, known: Kind, preprocessing: Preprocessing, path: Path, place: str) -> None:
    """Raise DataError for images that are of another kind than those that were looked at.

    known   whose `inked` is None if any ink may be the opacity.
    """
    check_ranges(found, known, preprocessing, path, place)
    for expected, seen, alike in (
        (size(known.shape), size(found.shape), found.shape == known.shape and found.by_row == known.by_row),
        (_ink(known.inked), _ink(found.inked), known.inked in (found.inked, None)),
        ("no JPEG, as others", "JPEG or the like", known.lossy or not found.lossy),
    ):
        if not alike:
            refuse(OTHER, path, place, expected, seen, MEMORY)


def _named(ranges: frozenset[str]) -> str:
    return f"pixels from {' and '.join(sorted(ranges)) or WHOLE}"


def _ink(inked: bool | None) -> str:
    return {True: "ink as opacity", False: "no ink as opacity", None: "some with ink as opacity"}[inked]


class _Rows(NamedTuple):
    """Rows of a row group, as `Wanted.rows` has them."""

    group: Group
    spans: list[tuple[int, int]]


def sampled(files: Files, groups: Sequence[Group], wanted: Wanted) -> dict[int, Content]:
    """Return the images by which the reader of whole files finds how pixels are read: number of a file -> of that."""
    starts = [0, *itertools.accumulate(group.size for group in groups)]
    rows = preprocess.spread(np.arange(starts[-1]))
    numbers = np.searchsorted(starts, rows, "right") - 1
    of: dict[int, list[_Rows]] = {}
    for at in dict.fromkeys(numbers.tolist()):
        spans = [(row - starts[at], row - starts[at] + 1) for row in rows[numbers == at].tolist()]
        of.setdefault(groups[at].file, []).append(_Rows(groups[at], spans))
    return {file: joined_sample(_of_file(files, each, wanted), files.paths[file]) for file, each in of.items()}


def _of_file(files: Files, places: Sequence[_Rows], wanted: Wanted) -> list[Content]:
    """Return images of one file. What is a range for all numbers of a table, or of lists, some do not show: blank
    images from -1 to 1 are -1 alone, and numbers from 0 to 1 may be 0 and 1.
    """
    found: list[Content | DataError] = []
    for each in places:
        try:
            found.append(_images(files, each, wanted))
        except DataError as error:
            found.append(error)
    shown = {name for each in found if isinstance(each, Content) for name in each.pixel_ranges}
    known = next((each for each in (SIGNED, UNIT) if each in scaled_from(shown)), "")
    contents: list[Content] = []
    for place, content in zip(places, found, strict=True):
        read = content
        if known and (isinstance(read, DataError) or known not in scaled_from(read.pixel_ranges)):
            read = _images(files, place, wanted._replace(pixel_range=known, sure=True))
            if read.pixel_ranges == (SIGNED,) and SIGNED not in shown:
                read = read._replace(pixel_ranges=(INSIDE,))  # without -1 it may be something else
        if isinstance(read, DataError):
            raise read
        contents.append(read)
    return contents


def _images(files: Files, place: _Rows, wanted: Wanted) -> Content:
    try:
        return files.images(*place, wanted)
    except FnnetError:
        for span in place.spans:  # to name the one
            files.images(place.group, [span], wanted)
        raise


def joined_sample(parts: Sequence[Content], path: AnyPath) -> Content:
    """Return images of several row groups as one content; DataError unless they have one size."""
    first = parts[0]
    ranges = tuple(dict.fromkeys(found for each in parts for found in each.pixel_ranges or (BYTES,)))
    odd = next((each for each in parts if each.image_shape != first.image_shape), None)
    if odd is not None:
        expected, fix = size(first.image_shape), "scale them alike, or say --size"
        refuse("images differ in size", path, "the images looked at", expected, size(odd.image_shape), fix)
    return first._replace(
        x=np.concatenate([each.x for each in parts]), labels=None, lossy=any(each.lossy for each in parts),
        ink=joined_ink([(each.ink, len(each.x)) for each in parts]),
        pixel_ranges=() if ranges == (BYTES,) else ranges,
        notes=tuple(dict.fromkeys(note for each in parts for note in each.notes)),
    )  # fmt: skip
