"""Parquet as a stream: row groups are read as they are trained on, as the reader of whole files reads them.

When a stream is opened, all labels are read, and of the images those few by which the whole reader, too, finds how
pixels are read. Images that then turn out to be of another kind than those are refused, never read otherwise.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.core.state import Preprocessing
from fnnet.data import preprocess
from fnnet.data.arguments import check_effect, check_flag, check_path, check_said
from fnnet.data.arrow import FORMATS, READER, joined_files, with_parts_beside
from fnnet.data.from_path import from_path
from fnnet.data.listing import shown
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.origin import Origin
from fnnet.data.parquet_files import Files, Group, digest_of, steps
from fnnet.data.parquet_folder import parquet_in
from fnnet.data.parquet_kind import Kind, check_kind, joined_sample, kind_of, sampled
from fnnet.data.pieces import pieces_of
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.ranges import SIGNED, WHOLE
from fnnet.data.reader import MEMORY, SEVERAL, TABLE, Content, Wanted, only_at_once, read_as
from fnnet.data.stream import Stream, StreamedDataset
from fnnet.errors import DataError, FnnetError, UsageError, counted
from fnnet.files.disk import refuse

SKIP: Final = "or leave damaged row groups out: --skip-damaged"


class Survey:
    """What is found of a set of Parquet files when a stream of them is opened: the function `read` of `from_path`.

    skip   whether damaged row groups are left out.
    """

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self.files = Files([])
        self.groups: list[Group] = []
        self.left_out: dict[str, tuple[int | None, FnnetError]] = {}
        self.wanted, self.kind = Wanted(True), Kind((0, 0), False, frozenset(), False, False, False)
        self.ranges: dict[int, str] = {}

    def __call__(self, path: Path, wanted: Wanted) -> Content:
        """Return labels of all images and, of the images, a sample."""
        return read_as((FORMATS[0]._replace(read=self._read),), path, wanted)

    def _read(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        if not self.groups:
            self.files = Files(pieces_of(Path(os.fsdecode(path))))
            self.groups = [*self._found(wanted)]
        content = self._labels(wanted)
        samples = sampled(self.files, self.groups, wanted)
        sample = joined_sample([*samples.values()], path)
        content = sample._replace(
            labels=content.labels, labels_at=content.labels_at, classes=content.classes, named=content.named,
            one_part=content.one_part, notes=tuple(dict.fromkeys((*content.notes, *sample.notes))),
        )  # fmt: skip
        self.wanted, self.kind = wanted, kind_of(content)
        self.ranges = {file: kind_of(each).pixel_range for file, each in samples.items()}
        return with_parts_beside(READER, content, path, len(self.files.paths), wanted)

    def _found(self, wanted: Wanted) -> Iterator[Group]:
        """Yield the row groups that are read."""
        for number, path in enumerate(self.files.paths):
            try:
                groups = self.files.groups(number)
            except FnnetError as error:
                self._leave_out(path.name, None, error)
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
        """Read a row group; FnnetError unless it can be read in some range: which it is, all groups show.

        Which labels there may be all groups show, too: here, these are decoded alone.
        """
        self.files.decode(group, wanted)
        errors: list[FnnetError] = []
        for given in ("", SIGNED, WHOLE):
            known = wanted._replace(pixel_range=given, sure=given == SIGNED)
            try:
                pixels = math.prod(self.files.images(group, [(0, 1)], known).image_shape)
                for first, stop in steps(group.size - 1, pixels):
                    self.files.images(group, [(first + 1, stop + 1)], known)
            except FnnetError as error:
                errors.append(error)
            else:
                return
        raise errors[0]

    def _leave_out(self, name: str, images: int | None, error: FnnetError) -> None:
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


class RowGroups(Stream):
    """The row groups of Parquet files, of which a survey was made.

    labels   of all images, in as few bytes as they need.
    """

    def __init__(self, survey: Survey, preprocessing: Preprocessing, shape: tuple[int, int], labels: Array, n: int):
        self._files, self._groups, self._kind = survey.files, survey.groups, survey.kind
        self._wanted, self._ranges = survey.wanted, survey.ranges
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
        path, known = self._files.paths[group.file], self._ranges.get(group.file, self._kind.pixel_range)
        try:
            wanted = self._wanted._replace(pixel_range=known, sure=True)
            content = self._files.images(group, [(first, stop)], wanted)
        except DataError as error:
            if only_at_once(error):
                raise
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
    if said.reading.table or (preprocessing is not None and preprocessing.scaling is not None):
        expected, fix = "images, which are read piece by piece", "leave --window out: a table is read at once"
        refuse(TABLE, given, "the rows", expected, "a table, which fits in memory", fix)
    here = parquet_in(given) if given.is_dir() else given
    survey = Survey(skip_damaged)
    found = from_path(here, said, notify, by_name, survey)
    if preprocessing is None:  # what a model does not fit, its caller tells
        check_effect(found, said.flat, None if by_name or classes is None else said.classes, said.reading.first_label)
    if preprocessing is not None:  # it is applied to each image as that is
        survey.kind = survey.kind._replace(lossy=True, inked=None)
    elif survey.kind.inked is None:
        expected, seen = "ink as opacity in all images, or in none", "some of both"
        refuse(SEVERAL, given, "the images looked at", expected, seen, MEMORY)
    shape, n = found.image_shape, len(found.classes)
    train = RowGroups(survey, found.preprocessing, shape, found.train.labels, n)
    notes = found.notes
    if survey.left_out:
        notes = (*notes, _left_out_note(given, survey))
        notify(notes[-1])
    about = (found.classes, shape, found.preprocessing, notes, found.numbered, Origin(str(given), said.reading))
    name, source = (given.resolve().name, str(given)) if given.is_dir() else (found.name, found.source)
    return StreamedDataset(name, source, train, None, found.test, *about)


def _left_out_note(path: Path, survey: Survey) -> Note:
    counts = [count for count, _ in survey.left_out.values()]
    groups, first = [count for count in counts if count is not None], next(iter(survey.left_out.values()))[1]
    files = len(counts) - len(groups)  # how many images they had is not known
    found = [counted(files, "damaged file")] if files else []
    found += [counted(len(groups), "damaged row group")] if groups else []
    images = "" if files else f", {counted(sum(groups), 'image')}"
    return Note("left-out", f"{path}: {' and '.join(found)} left out{images}: {shown([*survey.left_out])} ({first})")
