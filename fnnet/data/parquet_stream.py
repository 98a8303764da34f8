"""Parquet as a stream: row groups are read as they are trained on, as the reader of whole files reads them.

When a stream is opened, all labels are read, and of the images those few by which the whole reader, too, finds how
pixels are read. Images that then turn out to be of another kind than those are refused, never read otherwise.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.core.state import Preprocessing
from fnnet.data import preprocess
from fnnet.data.arguments import check_effect, check_flag, check_path, check_said
from fnnet.data.arrow import FORMATS, PARQUET, READER, joined_files, part_named, with_parts_beside
from fnnet.data.from_path import from_path
from fnnet.data.grey import INKED
from fnnet.data.listing import entries, shown
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.parquet_files import Files, Group, digest_of, steps
from fnnet.data.pieces import pieces_of
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.ranges import BYTES, SIGNED, UNIT, WHOLE, all_scaled, scaled_from
from fnnet.data.reader import Content, Wanted, joined_ink, read_as, size
from fnnet.data.stream import Stream, StreamedDataset
from fnnet.errors import DataError, FnnetError, UsageError, counted
from fnnet.files.disk import read_head, refuse

SUFFIXES: Final = (".parquet", ".pq")
LARGE: Final = 2**25
"""Bytes of Parquet files that are evaluated and predicted piece by piece; smaller ones are read at once."""
SHOWN: Final = 5
"""Row groups in a note."""
MEMORY: Final = "read it in memory, or write it as a stream: fnnet data expand --times 1"
OTHER: Final = "images of another kind than those looked at first"
SKIP: Final = "or leave damaged row groups out: --skip-damaged"


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
        return SIGNED if SIGNED in self.ranges else "" if UNIT in self.ranges else WHOLE


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
    """Raise DataError for images that are of another kind than those that were looked at."""
    check_ranges(found, known, preprocessing, path, place)
    for expected, seen, alike in (
        (size(known.shape), size(found.shape), found.shape == known.shape and found.by_row == known.by_row),
        (_ink(known.inked), _ink(found.inked), found.inked == known.inked),
        ("no JPEG, as others", "JPEG or the like", known.lossy or not found.lossy),
    ):
        if not alike:
            refuse(OTHER, path, place, expected, seen, MEMORY)


def _named(ranges: frozenset[str]) -> str:
    return f"pixels from {' and '.join(sorted(ranges)) or WHOLE}"


def _ink(inked: bool | None) -> str:
    return {True: "ink as opacity", False: "no ink as opacity", None: "some with ink as opacity"}[inked]


class Survey:
    """What is found of a set of Parquet files when a stream of them is opened: the function `read` of `from_path`.

    skip   whether damaged row groups are left out.
    """

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self.files = Files([])
        self.groups: list[Group] = []
        self.left_out: dict[str, tuple[int, FnnetError]] = {}
        self.wanted, self.kind = Wanted(True), Kind((0, 0), False, frozenset(), False, False, False)

    def __call__(self, path: Path, wanted: Wanted) -> Content:
        """Return labels of all images and, of the images, a sample."""
        return read_as((FORMATS[0]._replace(read=self._read),), path, wanted)

    def _read(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        if not self.groups:
            self.files = Files(pieces_of(Path(os.fsdecode(path))))
            self.groups = [*self._found(wanted)]
        content = self._labels(wanted)
        sample = joined_sample([*sampled(self.files, self.groups, wanted)], path)
        content = sample._replace(
            labels=content.labels, labels_at=content.labels_at, classes=content.classes, named=content.named,
            one_part=content.one_part, notes=tuple(dict.fromkeys((*content.notes, *sample.notes))),
        )  # fmt: skip
        self.wanted, self.kind = wanted, kind_of(content)
        return with_parts_beside(READER, content, path, len(self.files.paths), wanted)

    def _found(self, wanted: Wanted) -> Iterator[Group]:
        """Yield the row groups that are read."""
        for number, path in enumerate(self.files.paths):
            try:
                groups = self.files.groups(number)
            except FnnetError as error:
                self._leave_out(path.name, 0, error)
                continue
            for group in groups:
                try:
                    if self._skip:
                        self._try(group, wanted)
                except FnnetError as error:
                    self._leave_out(f"{path.name} row group {group.number + 1}", group.size, error)
                else:
                    yield group

    def _try(self, group: Group, wanted: Wanted) -> None:
        """Read a row group; FnnetError unless it can be read in some range: which it is, all groups show."""
        self.files.labels([group], wanted)
        errors: list[FnnetError] = []
        for given in ("", SIGNED, WHOLE):
            try:
                for first, stop in steps(group.size, math.prod(wanted.shape or (32, 32))):
                    self.files.images(group, [(first, stop)], wanted._replace(pixel_range=given))
            except FnnetError as error:
                errors.append(error)
            else:
                return
        raise errors[0]

    def _leave_out(self, name: str, images: int, error: FnnetError) -> None:
        if not self._skip:
            raise error
        self.left_out[name] = (images, error)

    def _labels(self, wanted: Wanted) -> Content:
        of = [[*groups] for _, groups in itertools.groupby(self.groups, lambda group: group.file)]
        if not of and self.left_out:
            raise next(iter(self.left_out.values()))[1]
        if not of:
            refuse("empty dataset", self.files.paths[0], "the row groups", "at least 1 row", "0 rows", "add rows")
        contents = []
        for groups in of:
            try:
                contents.append(self.files.labels(groups, wanted))
            except FnnetError as error:
                wrong = [found for group in groups if (found := self._error_in(group, wanted))]
                raise wrong[0] if 0 < len(wrong) < len(groups) else error from None
        return joined_files(contents, [self.files.paths[groups[0].file] for groups in of])

    def _error_in(self, group: Group, wanted: Wanted) -> FnnetError | None:
        try:
            self.files.labels([group], wanted)
        except FnnetError as error:
            return self.files.named(error, group)
        return None


def sampled(files: Files, groups: Sequence[Group], wanted: Wanted) -> Iterator[Content]:
    """Yield the images by which the reader of whole files finds how pixels are read."""
    starts = [0, *itertools.accumulate(group.size for group in groups)]
    rows = preprocess.spread(np.arange(starts[-1]))
    numbers = np.searchsorted(starts, rows, "right") - 1
    for at in dict.fromkeys(numbers.tolist()):
        spans = [(row - starts[at], row - starts[at] + 1) for row in rows[numbers == at].tolist()]
        try:
            yield files.images(groups[at], spans, wanted)
        except FnnetError:
            for span in spans:  # to name the one
                files.images(groups[at], [span], wanted)
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


class RowGroups(Stream):
    """The row groups of Parquet files, of which a survey was made.

    labels   of all images, in as few bytes as they need.
    """

    def __init__(self, survey: Survey, preprocessing: Preprocessing, shape: tuple[int, int], labels: Array, n: int):
        self._files, self._groups, self._kind = survey.files, survey.groups, survey.kind
        self._wanted = survey.wanted._replace(pixel_range=survey.kind.pixel_range)
        self._preprocessing, self._shape, self.pixels = preprocessing, shape, shape[0] * shape[1]
        self._labels = freeze(labels.astype(np.min_scalar_type(max(n - 1, 0))))
        self.sizes = tuple(group.size for group in self._groups)
        self.names = tuple(self._files.paths[group.file].name for group in self._groups)
        self._starts = [0, *itertools.accumulate(self.sizes)]
        self.counts = tuple(np.bincount(labels, minlength=n).tolist())
        self.left_out = tuple(survey.left_out)
        self.fingerprint = digest_of(
            self._files, self._groups, f"{shape}{preprocessing}".encode(), self._labels.tobytes()
        )

    def read(self, piece: int, first: int, stop: int, x: Array, labels: Array) -> None:
        """Do as `Stream.read`."""
        for start, end in steps(stop - first, self.pixels):
            x[start:end] = self._images(self._groups[piece], first + start, first + end)
        at = self._starts[piece]
        labels[:] = self._labels[at + first : at + stop]

    def _images(self, group: Group, first: int, stop: int) -> Array:
        path = self._files.paths[group.file]
        try:
            content = self._files.images(group, [(first, stop)], self._wanted)
        except DataError as error:
            raise error.at(error.where, fix=f"{error.fix}; {SKIP}" if error.fix else SKIP) from None
        place = f"row group {group.number + 1}, rows {first + 1} to {stop}"
        check_kind(kind_of(content), self._kind, self._preprocessing, path, place)
        given: dict[str, Any] = {"scaled": self._kind.scaled}
        where = f"{path}: {place}"
        return preprocess.apply(self._preprocessing, content.x, self._shape, where, content.ink, **given)


def open_parquet(
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    flat: tuple[int, int] | None = None,
    reading: Reading = AUTOMATIC,
    preprocessing: Preprocessing | None = None,
    by_name: bool = False,
    skip_damaged: bool = False,
    notify: Notify = lambda notice: None,
) -> StreamedDataset:
    """Open a Parquet file, or a folder of such files, for training that reads row group by row group.

    The images are those that `load` reads, and so are their labels, their test set and what is noted, except for notes
    on more images than are looked at here. Labels are kept in memory, in as few bytes as they need.

    path           of a file, which may be one of several pieces; or of a folder of them.
    skip_damaged   True to read all row groups now, and to leave those out that cannot be read.
    classes, flat, reading, preprocessing, by_name, notify   as in `load`.
    Raises   as `load`, and DataError for images that are of several kinds, when the first of another one is read.

    >>> import pyarrow
    >>> from pyarrow.parquet import write_table
    >>> from fnnet import data
    >>> x, labels = data.load("digits").train
    >>> write_table(pyarrow.table({"image": [*x], "label": labels}), "digits.parquet", row_group_size=500)
    >>> data.open_parquet("digits.parquet")
    StreamedDataset(digits.parquet, 1,437 train images of 28x28, 10 classes)
    """
    skip_damaged = check_flag("skip_damaged", skip_damaged)
    given = Path(os.fsdecode(check_path(path, "no data set", "a path", "name one file or folder")))
    said = check_said(classes, flat, reading, preprocessing)
    if said.reading.pixel_max == "auto" and preprocessing is None:
        problem, expected = "would read all images", "a number for a stream"
        raise UsageError(problem, where="--pixel-max", expected=expected, found="auto", fix="say --pixel-max N")
    here = parquet_in(given) if given.is_dir() else given
    survey = Survey(skip_damaged)
    found = from_path(here, said, notify, by_name, survey)
    if preprocessing is None:  # what a model does not fit, its caller tells
        check_effect(found, said.flat, None if by_name or classes is None else said.classes, said.reading.first_label)
    if survey.kind.inked is None:
        expected, seen = "ink as opacity in all images, or in none", "some of both"
        refuse("images of several kinds", given, "the images looked at", expected, seen, MEMORY)
    shape, n = found.image_shape, len(found.classes)
    survey.kind = survey.kind._replace(lossy=survey.kind.lossy or preprocessing is not None)
    train = RowGroups(survey, found.preprocessing, shape, found.train.labels, n)
    notes = found.notes
    if survey.left_out:
        notes = (*notes, _left_out_note(given, survey))
        notify(notes[-1])
    about = (found.classes, shape, found.preprocessing, notes, found.numbered)
    name, source = (given.resolve().name, str(given)) if given.is_dir() else (found.name, found.source)
    return StreamedDataset(name, source, train, None, found.test, *about)


def _left_out_note(path: Path, survey: Survey) -> Note:
    names = shown([*survey.left_out])
    images, first = sum(count for count, _ in survey.left_out.values()), next(iter(survey.left_out.values()))[1]
    what = counted(len(survey.left_out), "damaged row group")
    return Note("left-out", f"{path}: {what} left out, {counted(images, 'image')}: {names} ({first})")


def is_parquet(path: Path) -> bool:
    """Return True for a Parquet file, and for a folder that has some, by their names."""
    if path.is_dir():
        with suppress(FnnetError):
            return bool(_there(path))
        return False
    return path.is_file() and read_head(path, len(PARQUET)) == PARQUET


def is_large(path: Path) -> bool:
    """Return True for Parquet of `LARGE` bytes and more."""
    if not is_parquet(path):
        return False
    with suppress(FnnetError, OSError):
        return sum(map(os.path.getsize, _there(path) if path.is_dir() else pieces_of(path))) >= LARGE
    return False


def _there(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder, or in its folder of training."""
    inside = entries(folder)
    found = [each for each in inside if each.suffix in SUFFIXES]
    for each in inside if not found else ():
        if each.is_dir() and "train" in part_named(each):
            found = [file for file in entries(each) if file.suffix in SUFFIXES]
    return found


def parquet_in(folder: Path) -> Path:
    """Return the first of the files of training in a folder.

    Raises   DataError unless they are the pieces of one set.
    """
    there = _there(folder)
    trained = [each for each in there if "train" in part_named(each)]
    found = trained or [each for each in there if not {"test", "val"} & {*part_named(each)}]
    if not found:
        expected, names = "files of one training set", shown([each.name for each in there])
        refuse("no Parquet files of training", folder, "the folder", expected, names, "name the file of training")
    others = [each for each in found if each not in pieces_of(found[0])]
    if others:
        expected, seen = "the pieces of one training set", f"{found[0].name} and {others[0].name}"
        refuse("several sets", folder, "the folder", expected, seen, "name one file")
    return found[0]
