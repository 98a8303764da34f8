"""Folders as data sets: class folders of PNG images, or the IDX files of a training and a test set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fnnet.data.files import list_folder, read_head
from fnnet.data.idx import looks_like_idx, read_idx
from fnnet.errors import DataError
from fnnet.images import read_png
from fnnet.params import Array

Part = tuple[Array, Array, tuple[int, int]]
"""Pixels uint8 (n, height x width), labels uint8 (n,), (height, width)."""


def idx_files(folder: Path) -> list[Path]:
    """The files of `folder` that hold IDX data, raw or compressed, judged by content."""
    return [path for path in list_folder(folder) if path.is_file() and looks_like_idx(read_head(path, 4))]


def read_idx_folder(folder: Path) -> tuple[Part, Part | None]:
    """Training and test set of a folder of IDX files; names with `t10k` or `test` are the test set's."""
    parts: dict[bool, dict[int, tuple[Path, Array]]] = {False: {}, True: {}}
    for path in idx_files(folder):
        array, is_test = read_idx(path), "t10k" in path.name or "test" in path.name
        rank = 1 if array.ndim == 1 else 3
        if rank in parts[is_test]:
            expected = "one file of images and one of labels for training, and for test"
            found = f"{parts[is_test][rank][0].name} and {path.name}"
            raise DataError("more files than expected", where=folder, expected=expected, found=found)
        parts[is_test][rank] = path, array
    return _pair(parts[False], folder, "training"), _pair(parts[True], folder, "test") if parts[True] else None


def pair_idx(images_path: Path) -> Part:
    """An IDX file of images with the file of labels that lies beside it (`images` -> `labels`, `idx3` -> `idx1`)."""
    images = read_idx(images_path)
    if images.ndim != 3:
        expected = "images, rank 3"
        raise DataError("not images", where=images_path, place="byte 3", expected=expected, found=f"rank {images.ndim}")
    stem = images_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (stem, stem + ".gz"):
        labels_path = images_path.with_name(name)
        if labels_path != images_path and labels_path.is_file():
            return _part(images_path, images, labels_path, read_idx(labels_path))
    raise DataError("no labels", where=images_path, expected=f"{stem} or {stem}.gz beside it", found="neither")


def _pair(files: dict[int, tuple[Path, Array]], folder: Path, part: str) -> Part:
    if set(files) != {1, 3}:
        found = ", ".join(path.name for path, _ in files.values()) or "none"
        expected = "a file of images and a file of labels"
        raise DataError(f"{part} set incomplete", where=folder, expected=expected, found=found)
    return _part(*files[3], *files[1])


def _part(images_path: Path, images: Array, labels_path: Path, labels: Array) -> Part:
    if images.ndim != 3 or labels.ndim != 1:
        found = f"ranks {images.ndim} and {labels.ndim}"
        raise DataError("not images and labels", where=images_path, expected="ranks 3 and 1", found=found)
    if len(images) != len(labels):
        raise DataError(
            "counts differ",
            where=images_path,
            expected=f"{len(labels):,} images, as many as labels in {labels_path.name}",
            found=f"{len(images):,}",
        )
    return images.reshape(len(images), -1), labels, (images.shape[1], images.shape[2])


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders of `folder` that hold PNG files; numbers in order of value, other names in order of text."""
    inside = [path for path in list_folder(folder) if path.is_dir() and any(path.glob("*.[pP][nN][gG]"))]
    return sorted(inside, key=lambda path: (not path.name.isdecimal(), int(path.name) if path.name.isdecimal() else 0))


def read_class_folders(folder: Path) -> tuple[Part, Part | None, tuple[str, ...]]:
    """Training set, test set (where there are folders `train` and `test`) and the class names."""
    train, test = (folder / "train", folder / "test") if (folder / "train").is_dir() else (folder, None)
    classes = tuple(path.name for path in class_folders(train))
    if len(classes) < 2:
        expected = "IDX files, or one folder of PNG images for each class"
        fix = "see --data in 'fnnet train --help'"
        raise DataError("no data set", where=folder, expected=expected, found=f"{len(classes)} class folders", fix=fix)
    has_test = test is not None and test.is_dir()
    first = _read_classes(train, classes, None)
    return first, _read_classes(test, classes, first[2]) if test is not None and has_test else None, classes


def _read_classes(folder: Path, classes: Iterable[str], shape: tuple[int, int] | None) -> Part:
    images, labels = [], []
    for number, name in enumerate(classes):
        if not (folder / name).is_dir():
            raise DataError("class folder missing", where=folder, expected=name)
        for path in sorted((folder / name).glob("*.[pP][nN][gG]")):
            image = read_png(path, shape)
            shape = (image.shape[0], image.shape[1])
            images.append(image.reshape(-1))
            labels.append(number)
    if shape is None or not images:
        raise DataError("empty dataset", where=folder, expected="PNG images", found="none")
    return np.stack(images), np.array(labels, np.uint8), shape
