"""Data sets by name or path, checked whole, images left as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnnet.core import rng
from fnnet.core.checks import check_classes
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples
from fnnet.data import mnist, png
from fnnet.data.digits import TEST_IMAGES, load_digits
from fnnet.data.folders import Part, idx_files, pair_idx, read_class_folders, read_idx_folder
from fnnet.data.idx import GZIP_MAGIC, looks_like_idx, read_idx
from fnnet.data.kaggle_csv import read_csv
from fnnet.data.npz import as_images, as_labels, image_shape, read_npz
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, UsageError
from fnnet.files.disk import read_head

ZIP_MAGIC = b"PK\x03\x04"
DIGITS = tuple("0123456789")
SEE = "see --data in 'fnnet train --help'"
Notify = Callable[[str], None]


class Dataset(NamedTuple):
    """Labelled images: x uint8 (n, height x width), labels int64 (n,), all read-only."""

    name: str
    source: str
    train: Examples
    test: Examples | None
    classes: tuple[str, ...]
    image_shape: tuple[int, int]


def load(
    choice: str = "auto",
    data_dir: str | None = None,
    *,
    classes: Sequence[str] = DIGITS,
    flat: tuple[int, int] | None = None,
    notify: Notify = lambda notice: None,
) -> Dataset:
    """The data set `choice`: "auto", "mnist", "digits", or a path to IDX, CSV or NPZ files or to class folders.

    classes  the names of labels 0, 1... in a file of numbers; class folders bring their own.
    flat     (height, width) of images that a file has as rows of that many pixels; a square unless said.
    notify   is told, a line at a time, of downloads and of places that were passed over.
    Raises   DataError or StorageError naming file and place.
    """
    if not isinstance(choice, (str, os.PathLike)):
        raise ArgumentTypeError("no data set", expected="a name or a path", found=repr(choice))
    if choice == "digits":
        return _digits()
    if choice in ("auto", "mnist"):
        return _mnist(data_dir, required=choice == "mnist", notify=notify) or _digits()
    return _from_path(Path(choice), check_classes(classes), flat, notify)


def _mnist(data_dir: str | None, required: bool, notify: Notify) -> Dataset | None:
    found = mnist.find(data_dir, notify)
    if found is None:
        folder = Path(data_dir) if data_dir else mnist.cache_folder()
        try:
            mirrors = None if required or mnist.offline() else mnist.reachable()
            if mirrors == ():
                raise mnist.UnreachableError("no mirror of MNIST answers")
            mnist.download(folder, notify, mirrors)
        except FnnetError as error:
            if required:
                raise
            notify(f"MNIST is not on this machine and cannot be downloaded ({error}); taking the bundled digits")
            return None
        found = mnist.find(str(folder), notify)
        if found is None:
            expected, lacking = "the files just downloaded", "not all of them"
            raise DataError(
                "download vanished", where=folder, place="the folder", expected=expected, found=lacking, fix="try again"
            )
    payloads, place = found
    train, test = mnist.parts(payloads)
    return _dataset("mnist", place, train, test, DIGITS)


def _digits() -> Dataset:
    x, labels = load_digits()
    train, test = (
        Part(x[rows], labels[rows], (28, 28), "digits") for rows in (slice(-TEST_IMAGES), slice(-TEST_IMAGES, None))
    )
    return _dataset("digits", "scikit-learn", train, test, DIGITS)


def _from_path(path: Path, classes: tuple[str, ...], flat: tuple[int, int] | None, notify: Notify) -> Dataset:
    if not os.path.exists(path):
        expected = "auto, mnist, digits or a path that exists"
        raise DataError("no such data set", where="--data", expected=expected, found=repr(str(path)), fix=SEE)
    found = idx_files(path) if path.is_dir() else [path]
    for each in found:
        _tell_packing(each, notify)
    if not path.is_dir():
        train, test = _from_file(path, flat)
    elif found:
        train, test = read_idx_folder(path)
    else:
        train, test, classes = read_class_folders(path)
    if test is not None and len(test.labels) > len(train.labels):
        notify(_swapped(path, train, test))
    return _dataset(path.resolve().name, str(path), train, test, classes)


def _tell_packing(path: Path, notify: Notify) -> None:
    packed = read_head(path, 2) == GZIP_MAGIC
    if packed != (path.suffix.lower() == ".gz"):
        notify(f"{path} is {'gzip' if packed else 'no gzip'}, whatever its name says; read as what it is")


def _swapped(path: Path, train: Part, test: Part) -> str:
    name = mnist.known(test.labels)
    proof = f", its labels are those of {name}" if name else ""
    counts = f"{len(test.labels):,} images, the training set {len(train.labels):,}"
    return f"{path}: the test set has {counts}{proof}; are the files swapped?"


def _from_file(path: Path, flat: tuple[int, int] | None) -> tuple[Part, Part | None]:
    head = read_head(path)
    if looks_like_idx(head):
        return pair_idx(path), None
    if head.startswith(ZIP_MAGIC):
        arrays = read_npz(path, ("x_train", "y_train"), ("x_test", "y_test"))
        if ("x_test" in arrays) != ("y_test" in arrays):
            expected, found = "both x_test and y_test, or neither", ", ".join(arrays)
            fix = "add what is missing"
            raise DataError(
                "test set incomplete", where=path, place="the directory", expected=expected, found=found, fix=fix
            )
        train = _npz_part(arrays, "train", path, flat)
        return train, _npz_part(arrays, "test", path, flat) if "x_test" in arrays else None
    if head.startswith(png.PNG_MAGIC):
        expected = "a folder with a folder for each class"
        raise DataError(
            "one image is no data set", where=path, place="byte 0", expected=expected, found="a PNG image", fix=SEE
        )
    pixels, labels = read_csv(path)
    if labels is None:
        expected = "a column named label, or the label first"
        found = f"{pixels.shape[1]} pixels"
        fix = "use it with predict"
        raise DataError("no labels", where=path, place="line 1", expected=expected, found=found, fix=fix)
    return Part(pixels, labels, image_shape(pixels.shape[1], flat), str(path)), None


def _npz_part(arrays: dict[str, Array], part: str, path: Path, flat: tuple[int, int] | None) -> Part:
    x, shape = as_images(arrays[f"x_{part}"], path, f"x_{part}", flat)
    labels = as_labels(arrays[f"y_{part}"], len(x), path, f"y_{part}")
    return Part(x, labels, shape, f"{path}: y_{part}")


def _dataset(name: str, source: str, train: Part, test: Part | None, classes: tuple[str, ...]) -> Dataset:
    if test is not None and test.shape != train.shape:
        expected, found = f"test images {train.shape} like those of training", f"{test.shape}"
        fix = "take both from the same set"
        raise DataError("image sizes differ", where=source, place="test set", expected=expected, found=found, fix=fix)
    tested = None if test is None else _examples(test, len(classes))
    return Dataset(name, source, _examples(train, len(classes)), tested, classes, train.shape)


def _examples(part: Part, classes: int) -> Examples:
    outside = part.labels >= classes
    if outside.any():
        at = int(outside.argmax())
        raise DataError(
            "label out of range",
            where=part.labels_at,
            place=f"image {at + 1}",
            expected=f"0 to {classes - 1}",
            found=int(part.labels[at]),
            fix="correct it, or say --classes",
        )
    return Examples(freeze(part.x.view()), freeze(part.labels.astype(np.int64)))


def split(examples: Examples, dev: int, seed: int, limit: int | None = None) -> tuple[Examples, Examples | None]:
    """Training and dev images: `dev` of them cut out by the seed, at most `limit` of the others kept.

    Raises   UsageError unless at least one image remains for training.
    """
    n = len(examples.labels)
    if isinstance(dev, bool) or not isinstance(dev, (int, np.integer)):
        raise ArgumentTypeError("dev is not an integer", expected="an integer >= 0", found=repr(dev))
    if not 0 <= dev < n:
        raise UsageError("dev images out of range", where="dev", expected=f"0 to {n - 1}", found=dev)
    if dev == 0 and (limit is None or limit >= n):
        return examples, None
    order = rng.order(seed, "split", n)
    train, cut = (
        Examples(freeze(examples.x[rows]), freeze(examples.labels[rows]))
        for rows in (np.sort(order[dev:][:limit]), np.sort(order[:dev]))
    )
    return train, cut if dev else None


def read_images(path: str | os.PathLike[str], shape: tuple[int, int]) -> Array:
    """The images in a file to predict, uint8 (n, height x width): PNG, IDX, CSV (a label column is left out) or NPZ.

    Raises   DataError for a file that cannot be read, or images that are not `shape` (height, width).
    """
    head = read_head(path)
    if head.startswith(png.PNG_MAGIC):
        return png.read_png(path, shape).reshape(1, -1)
    if looks_like_idx(head):
        array: Any = read_idx(path)
        if array.ndim == 1:
            fix = "name the file of images"
            raise DataError(
                "these are labels", where=path, place="byte 3", expected="images, rank 3", found="rank 1", fix=fix
            )
        place = "byte 8"
        x, found = array.reshape(len(array), -1), array.shape[1:]
    elif head.startswith(ZIP_MAGIC):
        place = "x_test"
        x, found = as_images(read_npz(path, ("x_test",))["x_test"], path, "x_test", shape)
    else:
        x, _ = read_csv(path)
        place = "line 1"
        found = image_shape(x.shape[1], shape)
    if tuple(found) != shape:
        expected = f"{shape[0]}x{shape[1]} (height x width), as the model was trained"
        size = "x".join(map(str, found))
        fix = "scale the images to that size, or train a model for theirs"
        raise DataError(
            "image size does not fit the model", where=path, place=place, expected=expected, found=size, fix=fix
        )
    return np.asarray(x)
