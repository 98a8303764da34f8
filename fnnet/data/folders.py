"""Class folders of pictures as data sets; see `idx_folder` for folders of IDX files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data import formats
from fnnet.data.grey import opacity_notes
from fnnet.data.idx_folder import is_idx
from fnnet.data.layout import Layout, class_folder, data_files, find_layout, named_file, pictures
from fnnet.data.listed import Listed, find_listed, find_table, is_table
from fnnet.data.listed_over import find_listed_over, find_table_over
from fnnet.data.listed_parts import find_listed_parts
from fnnet.data.listing import entries, shown
from fnnet.data.many import colour_notes_of, read_pictures
from fnnet.data.notes import Note
from fnnet.data.parquet_folder import files_of, is_parquet
from fnnet.data.preprocess import spread
from fnnet.data.ranges import in_one_range, scaled_notes
from fnnet.data.reader import Content, check_columns
from fnnet.data.stream_index import is_stream
from fnnet.errors import DataError, FnnetError
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
    `find_listed`, `find_listed_parts` and `find_listed_over` for pictures whose classes a table names.

    size   (height, width) that pictures of any size are scaled to; None if all must have that of the first.
    fix    what to do with pictures of several sizes.
    signed   as `in_one_range` takes it.
    label_column   as `find_listed` takes it.
    """
    how = How(size, size is not None, fix)
    listed = find_listed(folder, label_column)
    found = (listed, None) if listed else find_listed_parts(folder, label_column)
    if found is None:
        try:
            layout = find_layout(folder)
        except DataError:
            check_columns(label_column, False, f"the folder {folder}")
            raise
        over = find_listed_over(folder, layout, label_column)
        if over is None:
            check_columns(label_column, False, f"the folder {folder}")
            return in_one_range(partial(_read_layout, layout, how), folder, signed), layout.classes
        found = over, None
    return in_one_range(partial(_read_listed, *found, how), folder, signed), found[0].classes


def _read_listed(train: Listed, test: Listed | None, how: How, pixel_range: str) -> Content:
    how = how._replace(pixel_range=pixel_range)
    content = _read_files(train.files, train.labels, str(train.table), how)
    content = content._replace(notes=(*train.notes, *content.notes))
    if test is None:
        return content
    how = how._replace(shape=content.image_shape, training=False)
    tested = _read_files(test.files, test.labels, str(test.table), how)
    return content._replace(test=tested._replace(notes=(*test.notes, *tested.notes)))


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
    found: list[Path] = []
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
            _refuse_class(inside, there)
        found += files
        labels += [number] * len(files)
    notes = [Note("not-used", f"{folder}: not used: folders in class folders: {shown(deeper)}")] if deeper else []
    if unused:
        notes.append(Note("not-used", f"{folder}: not used: {shown(unused)}, no files with the name of a picture"))
    content = _read_files(found, np.array(labels), str(folder), how)
    return content._replace(notes=(*notes, *content.notes))


def _refuse_class(folder: Path, there: Sequence[Path]) -> NoReturn:
    """Raise DataError for a class folder without pictures: they may lie in the folders in it."""
    expected = f"{formats.picture_names()} files"
    holding = [path for path in there if path.is_dir() and _holds_pictures(path)]
    if holding:
        found = f"folders of pictures: {shown([path.name for path in holding])}"
        fix = (
            f"put all pictures of a class into its folder itself; if the folders in it are the classes, --data {folder}"
        )
        refuse("class without images", folder, "the folder", expected, found, fix)
    found, data = shown([path.name for path in there]) if there else "none", data_files(there)
    fix = "add some or remove the folder"
    fix = f"{named_file(data)}, or {fix}" if data else fix
    refuse("class without images", folder, "the folder", expected, found, fix)


def _holds_pictures(folder: Path) -> bool:
    """Return True if pictures lie in a folder, or in one in it."""
    there = entries(folder)
    return bool(pictures(there)) or any(pictures(entries(path)) for path in there if path.is_dir())


def _read_files(paths: Sequence[Path], labels: Array, where: str, how: How) -> Content:
    """Return pictures with their labels.

    where   the folder or the table that gives the labels.
    """
    looked_at = spread(np.arange(len(paths))) if how.training else np.arange(0)
    at = frozenset(looked_at.tolist())
    read = read_pictures(paths, how.shape, at, resize=how.resize, fix=how.fix, pixel_range=how.pixel_range)
    notes = [*opacity_notes(read.ink), *colour_notes_of(read, looked_at, labels, where)]
    notes += scaled_notes(read.pixel_ranges, where)
    return Content(
        read.x, labels, read.shape, labels_at=where, lossy=read.lossy, notes=tuple(notes), ink=read.ink,
        pixel_ranges=read.pixel_ranges, files=tuple(map(str, paths)),
    )  # fmt: skip


def is_data_of(folder: Path, file: Path) -> bool:
    """Return True if `file` is part of the folder's data set: IDX files in it, a table of pictures with these, or
    pictures in the folders below, and tables of them; of a stream, any file in it; of Parquet, all such files."""
    if is_stream(folder):
        return file.parent == folder
    if is_parquet(folder):
        return file in files_of(folder)
    if file.parent == folder:
        return file.name == "mnist.npz" or is_idx(file) or _is_listed(folder, file)
    if folder not in file.parents:
        return False
    return file.suffix.lower() in formats.picture_suffixes() or (is_table(file) and _is_listed(file.parent, file))


def _is_listed(folder: Path, file: Path) -> bool:
    table = None
    if is_table(file) or file.suffix.lower() in formats.picture_suffixes():
        with suppress(FnnetError):  # the reader raises it
            table = find_table(folder) or find_table_over(folder, find_layout(folder))
    return table is not None and (file == table.path or file in table.names.named.values())
