"""Class folders of pictures as data sets; see `idx_folder` for folders of IDX files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data import formats
from fnnet.data.grey import opacity_notes
from fnnet.data.idx_folder import is_idx
from fnnet.data.layout import Layout, class_folder, data_files, find_layout, named_file
from fnnet.data.listed import find_listed, find_table, is_table
from fnnet.data.listing import entries, shown
from fnnet.data.many import colour_notes_of, read_pictures
from fnnet.data.notes import Note
from fnnet.data.preprocess import spread
from fnnet.data.ranges import in_one_range, scaled_notes
from fnnet.data.reader import Content, check_columns
from fnnet.errors import FnnetError
from fnnet.files.disk import refuse


class How(NamedTuple):
    """How pictures are read; fields as arguments of `read_pictures`.

    training   True if they are trained on: some are then looked at.
    """

    shape: tuple[int, int] | None
    resize: bool
    fix: str
    training: bool = True
    pixel_range: str = ""


def read_class_folders(
    folder: Path,
    size: tuple[int, int] | None = None,
    fix: str = "",
    signed: bool = False,
    label_column: str | None = None,
) -> tuple[Content, tuple[str, ...]]:
    """Return the training set, with the test set if there is one, and the class names; see `find_layout`, and
    `find_listed` for pictures whose classes a table names.

    size   (height, width) that pictures of any size are scaled to; None if all must have that of the first.
    fix    what to do with pictures of several sizes.
    signed   as `in_one_range` takes it.
    label_column   as `find_listed` takes it.
    """
    listed = find_listed(folder, label_column)
    how = How(size, size is not None, fix)
    if listed:
        content = in_one_range(
            lambda found: _read_files(listed.files, listed.labels, str(listed.table), how._replace(pixel_range=found)),
            folder, signed,
        )  # fmt: skip
        return content._replace(notes=(*listed.notes, *content.notes)), listed.classes
    check_columns(label_column, False, f"the folder {folder}")
    layout = find_layout(folder)
    return in_one_range(partial(_read_layout, layout, how), folder, signed), layout.classes


def _read_layout(layout: Layout, how: How, pixel_range: str) -> Content:
    how = how._replace(pixel_range=pixel_range)
    content = _read_classes(layout.train, layout.classes, how)
    content = content._replace(notes=(*layout.notes, *content.notes))
    if layout.test is None:
        return content
    test = _read_classes(layout.test, layout.classes, how._replace(shape=content.image_shape, training=False))
    return content._replace(test=test)


def _read_classes(folder: Path, classes: tuple[str, ...], how: How) -> Content:
    readable, names = formats.picture_suffixes(), formats.picture_names()
    pictures: list[Path] = []
    labels: list[int] = []
    unused: list[str] = []
    deeper: list[str] = []
    for number, name in enumerate(classes):
        inside = class_folder(folder, name)
        if inside is None:
            continue  # noted where the folders were found
        there = entries(inside)
        files = [path for path in there if path.suffix.lower() in readable]
        other = next((path for path in there if path.suffix.lower() in formats.UNREADABLE - readable), None)
        if other:
            fix = f"save it as {names} or remove it"
            refuse("an image of another kind", other, "the name", f"{names} files", other.suffix, fix)
        for path in there:
            if path.suffix.lower() not in readable:
                (deeper if path.is_dir() else unused).append(f"{name}/{path.name}")
        if not files:
            data = data_files(there)
            fix, found = "add some or remove the folder", shown([path.name for path in there]) if there else "none"
            fix = f"{named_file(data)}, or {fix}" if data else fix
            refuse("class without images", inside, "the folder", f"{names} files", found, fix)
        pictures += files
        labels += [number] * len(files)
    notes = [Note("not-used", f"{folder}: not used: folders in class folders: {shown(deeper)}")] if deeper else []
    if unused:
        notes.append(Note("not-used", f"{folder}: not used: {shown(unused)}, no files with the name of a picture"))
    content = _read_files(pictures, np.array(labels), str(folder), how)
    return content._replace(notes=(*notes, *content.notes))


def _read_files(pictures: Sequence[Path], labels: Array, where: str, how: How) -> Content:
    """Return pictures with their labels.

    where   the folder or the table that gives the labels.
    """
    looked_at = spread(np.arange(len(pictures))) if how.training else np.arange(0)
    at = frozenset(looked_at.tolist())
    read = read_pictures(pictures, how.shape, at, resize=how.resize, fix=how.fix, pixel_range=how.pixel_range)
    notes = [*opacity_notes(read.ink), *colour_notes_of(read, looked_at, labels, where)]
    notes += scaled_notes(read.pixel_ranges, where)
    return Content(
        read.x, labels, read.shape, labels_at=where, lossy=read.lossy, notes=tuple(notes), ink=read.ink,
        pixel_ranges=read.pixel_ranges,
    )  # fmt: skip


def is_data_of(folder: Path, file: Path) -> bool:
    """Return True if `file` is part of the folder's data set: IDX files in it, a table of pictures with these, or
    pictures in the folders below."""
    if file.parent == folder:
        return file.name == "mnist.npz" or is_idx(file) or _is_listed(folder, file)
    return folder in file.parents and file.suffix.lower() in formats.picture_suffixes()


def _is_listed(folder: Path, file: Path) -> bool:
    table = None
    if is_table(file) or file.suffix.lower() in formats.picture_suffixes():
        with suppress(FnnetError):  # the reader raises it
            table = find_table(folder)
    return table is not None and (file == table.path or file in table.named.values())
