"""Folders as data sets: class folders of PNG images, or the IDX files of a training and a test set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.checks import check_classes
from fnnet.core.params import Array
from fnnet.data.idx import looks_like_idx, read_idx
from fnnet.data.png import read_png
from fnnet.files.disk import list_folder, read_head, refuse

TEST_NAME: Final = re.compile(r"(?:^|[^a-z])(?:t10k|test)(?:[^a-z]|$)", re.IGNORECASE)


IDX_NAME: Final = re.compile(r"ubyte|idx[13]", re.IGNORECASE)
OTHERS: Final = frozenset({".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm"})
"""Images that would be missed, were they passed over like other files."""


class Part(NamedTuple):
    """Labelled images as a file has them.

    x          uint8 (n, height x width).
    labels     integers (n,).
    shape      (height, width).
    labels_at  the file that the labels come from, for messages.
    """

    x: Array
    labels: Array
    shape: tuple[int, int]
    labels_at: str


def idx_files(folder: Path) -> list[Path]:
    """The files of `folder` that hold IDX data, raw or compressed, or are named as if they did."""
    return [path for path in list_folder(folder) if _is_idx(path)]


def _is_idx(path: Path) -> bool:
    return path.is_file() and (IDX_NAME.search(path.name) is not None or looks_like_idx(read_head(path, 4)))


def read_idx_folder(folder: Path) -> tuple[Part, Part | None]:
    """Training and test set of a folder of IDX files; names with `t10k` or `test` are the test set's."""
    parts: dict[bool, dict[int, tuple[Path, Array]]] = {False: {}, True: {}}
    for path in idx_files(folder):
        array, is_test = read_idx(path), TEST_NAME.search(path.name) is not None
        before = parts[is_test].setdefault(1 if array.ndim == 1 else 3, (path, array))
        if before[1] is not array and not np.array_equal(before[1], array):
            expected = "one file of images and one of labels for training, and for test"
            found = f"{before[0].name} and {path.name}"
            refuse("more files than expected", folder, path.name, expected, found, "move what does not belong away")
    return _pair(parts[False], folder, "training"), _pair(parts[True], folder, "test") if parts[True] else None


def pair_idx(images_path: Path) -> Part:
    """An IDX file of images with the file of labels that lies beside it (`images` -> `labels`, `idx3` -> `idx1`)."""
    images = read_idx(images_path)
    if images.ndim != 3:
        found = f"rank {images.ndim}"
        refuse("not images", images_path, "byte 3", "images, rank 3", found, "name the file of images")
    beside = labels_beside(images_path)
    if not beside:
        stem = _labels_name(images_path)
        expected, fix = f"{stem} or {stem}.gz beside it", "put the labels there"
        refuse("no labels", images_path, "the folder", expected, "neither", fix)
    return _part(images_path, images, beside[0], read_idx(beside[0]))


def _labels_name(images_path: Path) -> str:
    return images_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")


def labels_beside(images_path: Path) -> list[Path]:
    """The files that may hold the labels of an IDX file of images, by their names."""
    stem = _labels_name(images_path)
    each = (images_path.with_name(name) for name in (stem, stem + ".gz"))
    return [path for path in each if path != images_path and path.is_file()]


def is_data_of(folder: Path, file: Path) -> bool:
    """Whether `file` is one of those that make the folder a data set: IDX in it, or a PNG in a folder below."""
    if file.parent == folder:
        return file.name == "mnist.npz" or _is_idx(file)
    return folder in file.parents and file.suffix.lower() == ".png"


def _pair(files: dict[int, tuple[Path, Array]], folder: Path, part: str) -> Part:
    if set(files) != {1, 3}:
        found = ", ".join(path.name for path, _ in files.values()) or "none"
        expected = "a file of images and a file of labels"
        refuse(f"{part} set incomplete", folder, "the folder", expected, found, "fetch the files that are missing")
    return _part(*files[3], *files[1])


def _part(images_path: Path, images: Array, labels_path: Path, labels: Array) -> Part:
    if images.ndim != 3 or labels.ndim != 1:
        found = f"ranks {images.ndim} and {labels.ndim}"
        fix = "store images as (n, height, width) and labels as (n,)"
        refuse("not images and labels", images_path, "byte 3", "ranks 3 and 1", found, fix)
    if len(images) != len(labels):
        expected = f"{len(labels):,} images, as many as labels in {labels_path.name}"
        fix = "take both files from the same set"
        refuse("counts differ", images_path, "byte 4", expected, f"{len(images):,}", fix)
    return Part(images.reshape(len(images), -1), labels, (images.shape[1], images.shape[2]), str(labels_path))


def read_class_folders(folder: Path) -> tuple[Part, Part | None, tuple[str, ...]]:
    """Training set, test set (where there are folders `train` and `test`) and the class names."""
    train, test = (folder / "train", folder / "test") if (folder / "train").is_dir() else (folder, None)
    classes = _class_names(train)
    if len(classes) < 2:
        expected = "IDX files, or one folder of PNG images for each class"
        fix = "see --data in 'fnnet train --help'"
        refuse("no data set", folder, "the folder", expected, f"{len(classes)} class folders", fix)
    first = _read_classes(train, classes, None)
    if test is None or not test.is_dir():
        return first, None, classes
    if _class_names(test) != classes:
        expected, found = ", ".join(classes), ", ".join(_class_names(test)) or "none"
        refuse("classes of test and train differ", test, "the folder", expected, found, "make their folders the same")
    return first, _read_classes(test, classes, first.shape), classes


def _class_names(folder: Path) -> tuple[str, ...]:
    """The names of the sub-folders; numbers in order of value, other names in order of text."""
    names = [path.name for path in list_folder(folder) if path.is_dir() and not path.name.startswith(".")]
    names.sort(key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return check_classes(names)


def _read_classes(folder: Path, classes: tuple[str, ...], shape: tuple[int, int] | None) -> Part:
    images: list[Array] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        there = list_folder(folder / name)
        files = [path for path in there if path.suffix.lower() == ".png"]
        other = next((path for path in there if path.suffix.lower() in OTHERS), None)
        if other:
            refuse(
                "an image of another kind", other, "the name", "PNG files", other.suffix, "save it as PNG or remove it"
            )
        if not files:
            refuse("class without images", folder / name, "the folder", "PNG files", "none", "add some or remove it")
        for path in files:
            image = read_png(path, shape)
            shape = (image.shape[0], image.shape[1])
            images.append(image.reshape(-1))
            labels.append(number)
    assert shape is not None
    return Part(np.stack(images), np.array(labels), shape, str(folder))
