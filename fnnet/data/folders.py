"""Folders as data sets: class folders of pictures, or the IDX files of a training and a test set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.checks import check_classes
from fnnet.core.params import Array
from fnnet.data import formats
from fnnet.data.idx import is_labels, looks_like_idx, pair, read_idx
from fnnet.data.many import read_pictures
from fnnet.data.reader import SEE, Content
from fnnet.errors import counted
from fnnet.files.disk import list_folder, read_head, refuse

TEST_NAME: Final = re.compile(r"(?:^|[^a-z])(?:t10k|test)(?:[^a-z]|$)", re.IGNORECASE)
IDX_NAME: Final = re.compile(r"ubyte|idx[123]", re.IGNORECASE)


def idx_files(folder: Path) -> list[Path]:
    """Return the files of `folder` that hold IDX data, raw or compressed, or whose names say that they do."""
    return [path for path in list_folder(folder) if _is_idx(path)]


def _is_idx(path: Path) -> bool:
    return path.is_file() and (IDX_NAME.search(path.name) is not None or looks_like_idx(read_head(path, 4)))


def read_idx_folder(folder: Path) -> Content:
    """Read the training and test set of a folder of IDX files; names with `t10k` or `test` are the test set's."""
    parts: dict[bool, dict[int, tuple[Path, Array]]] = {False: {}, True: {}}
    for path in idx_files(folder):
        array, is_test = read_idx(path), TEST_NAME.search(path.name) is not None
        before = parts[is_test].setdefault(1 if is_labels(array) else 3, (path, array))
        if before[1] is not array and not np.array_equal(before[1], array):
            expected = "one file of images and one of labels for training, and for test"
            found = f"{before[0].name} and {path.name}"
            refuse("more files than expected", folder, path.name, expected, found, "remove the files of other sets")
    test = _pair(parts[True], folder, "test") if parts[True] else None
    return _pair(parts[False], folder, "training")._replace(test=test)


def _pair(files: dict[int, tuple[Path, Array]], folder: Path, part: str) -> Content:
    if set(files) != {1, 3}:
        found = ", ".join(path.name for path, _ in files.values()) or "none"
        expected = "a file of images and a file of labels"
        refuse(f"{part} set incomplete", folder, "the folder", expected, found, "fetch the files that are missing")
    return pair(*files[3], *files[1])


def read_class_folders(folder: Path) -> tuple[Content, tuple[str, ...]]:
    """Return training set and test set (if there are folders `train` and `test`), and the class names."""
    train, test = (folder / "train", folder / "test") if (folder / "train").is_dir() else (folder, None)
    classes = _class_names(train)
    if len(classes) < 2:
        expected = f"IDX files, or one folder of {formats.picture_names()} images for each class"
        refuse("no data set", folder, "the folder", expected, counted(len(classes), "class folder"), SEE)
    content = _read_classes(train, classes, None)
    if test is None or not test.is_dir():
        return content, classes
    if _class_names(test) != classes:
        expected, found = ", ".join(classes), ", ".join(_class_names(test)) or "none"
        refuse("classes of test and train differ", test, "the folder", expected, found, "give both the same folders")
    return content._replace(test=_read_classes(test, classes, content.image_shape)), classes


def _class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the sub-folders; numbers in order of value, other names in alphabetical order."""
    names = [path.name for path in list_folder(folder) if path.is_dir() and not path.name.startswith(".")]
    names.sort(key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return check_classes(names)


def _read_classes(folder: Path, classes: tuple[str, ...], shape: tuple[int, int] | None) -> Content:
    readable, names = formats.picture_suffixes(), formats.picture_names()
    pictures: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        there = list_folder(folder / name)
        files = [path for path in there if path.suffix.lower() in readable]
        other = next((path for path in there if path.suffix.lower() in formats.UNREADABLE - readable), None)
        if other:
            fix = f"save it as {names} or remove it"
            refuse("an image of another kind", other, "the name", f"{names} files", other.suffix, fix)
        if not files:
            fix = "add some or remove the folder"
            refuse("class without images", folder / name, "the folder", f"{names} files", "none", fix)
        pictures += files
        labels += [number] * len(files)
    x, shape, lossy = read_pictures(pictures, shape)
    return Content(x, np.array(labels), shape, labels_at=str(folder), lossy=lossy)


def is_data_of(folder: Path, file: Path) -> bool:
    """Return True if `file` is part of the folder's data set: IDX files in it, or pictures in the folders below."""
    if file.parent == folder:
        return file.name == "mnist.npz" or _is_idx(file)
    return folder in file.parents and file.suffix.lower() in formats.picture_suffixes()
