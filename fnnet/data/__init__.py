"""Data sets by name or path, checked whole, images left as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnnet import images, rng
from fnnet.data import mnist
from fnnet.data.digits import TEST_IMAGES, load_digits
from fnnet.data.files import read_head
from fnnet.data.folder import Part, idx_files, pair_idx, read_class_folders, read_idx_folder
from fnnet.data.idx import looks_like_idx, read_idx
from fnnet.data.npz import as_bytes, as_images, image_shape, read_npz
from fnnet.data.table import read_csv
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, UsageError
from fnnet.network import Examples
from fnnet.params import Array

ZIP_MAGIC = b"PK\x03\x04"
DIGITS = tuple("0123456789")


class Dataset(NamedTuple):
    """Labelled images: x uint8 (n, height x width), labels int64 (n,)."""

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
    classes: int | None = None,
    notify: Callable[[str], None] = lambda notice: None,
) -> Dataset:
    """The data set `choice`: "auto", "mnist", "digits", or a path to IDX, CSV or NPZ files or to class folders.

    classes  how many classes the labels of a path may name; 10 unless said, or one for each class folder.
    notify   is told, a line at a time, of downloads and of places that were passed over.
    Raises   DataError or StorageError naming file and place.
    """
    if choice == "digits":
        return _digits()
    if choice in ("auto", "mnist"):
        found = _mnist(data_dir, required=choice == "mnist", notify=notify)
        return found or _digits()
    return _from_path(Path(choice), classes)


def _mnist(data_dir: str | None, required: bool, notify: Callable[[str], None]) -> Dataset | None:
    found = mnist.find(data_dir, notify)
    if found is None:
        folder = Path(data_dir) if data_dir else mnist.cache_folder()
        try:
            if not required and os.environ.get("FNNET_OFFLINE", "0") in ("", "0") and not mnist.reachable():
                raise mnist.UnreachableError("no mirror of MNIST answers", fix="")
            mnist.download(folder, notify)
        except FnnetError as error:
            if required:
                raise
            notify(f"MNIST is not on this machine and cannot be downloaded ({error}); taking the bundled digits")
            return None
        found = mnist.find(str(folder), notify)
        if found is None:
            raise DataError("download vanished", where=folder)
    payloads, place = found
    train, test = mnist.parts(payloads)
    return _dataset("mnist", place, train, test, DIGITS)


def _digits() -> Dataset:
    x, labels = load_digits()
    train = (x[:-TEST_IMAGES], labels[:-TEST_IMAGES], (28, 28))
    return _dataset("digits", "scikit-learn", train, (x[-TEST_IMAGES:], labels[-TEST_IMAGES:], (28, 28)), DIGITS)


def _from_path(path: Path, classes: int | None) -> Dataset:
    if not path.exists():
        expected = "auto, mnist, digits or a path that exists"
        raise DataError("no such data set", where="--data", expected=expected, found=repr(str(path)))
    names = tuple(str(number) for number in range(10 if classes is None else classes))
    test: Part | None = None
    if path.is_dir():
        if idx_files(path):
            train, test = read_idx_folder(path)
        else:
            train, test, names = read_class_folders(path)
            if classes not in (None, len(names)):
                raise UsageError("classes differ", where="--classes", expected=len(names), found=classes)
    else:
        train, test = _from_file(path)
    return _dataset(path.name or str(path), str(path), train, test, names)


def _from_file(path: Path) -> tuple[Part, Part | None]:
    head = read_head(path)
    if looks_like_idx(head):
        return pair_idx(path), None
    if head.startswith(ZIP_MAGIC):
        arrays = read_npz(path, ("x_train", "y_train"), ("x_test", "y_test"))
        train = _npz_part(arrays, "train", path)
        return train, _npz_part(arrays, "test", path) if "x_test" in arrays and "y_test" in arrays else None
    if head.startswith(images.PNG_MAGIC):
        raise DataError("one image is no data set", where=path, expected="a folder with a folder for each class")
    pixels, labels = read_csv(path)
    if labels is None:
        expected = "a column named label, or the label first"
        raise DataError("no labels", where=path, place="line 1", expected=expected, fix="use it with predict")
    return (pixels, labels, image_shape(pixels.shape[1])), None


def _npz_part(arrays: dict[str, Array], part: str, path: Path) -> Part:
    x, shape = as_images(arrays[f"x_{part}"], path, f"x_{part}")
    labels = arrays[f"y_{part}"]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (len(x),):
        expected, found = f"shape ({len(x)},), one label an image", f"shape {labels.shape}"
        raise DataError("counts differ", where=path, place=f"y_{part}", expected=expected, found=found)
    return x, as_bytes(labels, path, f"y_{part}"), shape


def _dataset(name: str, source: str, train: Part, test: Part | None, classes: tuple[str, ...]) -> Dataset:
    if test is not None and test[2] != train[2]:
        raise DataError("image sizes differ", where=source, expected=f"test images {train[2]}", found=test[2])
    checked = [_examples(part, source, len(classes), which) for part, which in ((train, "training"), (test, "test"))]
    assert checked[0] is not None
    return Dataset(name, source, checked[0], checked[1], classes, train[2])


def _examples(part: Part | None, source: str, classes: int, which: str) -> Examples | None:
    if part is None:
        return None
    x, labels, _ = part
    if labels.max() >= classes:
        index = int((labels >= classes).argmax())
        raise DataError(
            "label out of range",
            where=source,
            place=f"{which} image {index}",
            expected=f"0 to {classes - 1}",
            found=int(labels[index]),
            fix="correct it, or say --classes",
        )
    return Examples(x, labels.astype(np.int64))


def split(examples: Examples, dev: int, seed: int, limit: int | None = None) -> tuple[Examples, Examples | None]:
    """Training and dev images: `dev` of them cut out by the seed, at most `limit` of the others kept.

    Raises   UsageError unless at least one image remains for training.
    """
    n = len(examples.labels)
    if isinstance(dev, bool) or not isinstance(dev, (int, np.integer)):
        raise ArgumentTypeError("dev is not an integer", expected="an integer >= 0", found=repr(dev))
    if not 0 <= dev < n:
        raise UsageError("dev images out of range", where="--dev", expected=f"0 to {n - 1}", found=dev)
    if dev == 0 and (limit is None or limit >= n):
        return examples, None
    order = rng.order(seed, "split", n)
    kept = np.sort(order[dev:][:limit])
    cut = np.sort(order[:dev])
    train = Examples(examples.x[kept], examples.labels[kept])
    return train, Examples(examples.x[cut], examples.labels[cut]) if dev else None


def read_images(path: str | os.PathLike[str], shape: tuple[int, int]) -> Array:
    """The images in a file to predict, uint8 (n, height x width): PNG, IDX, CSV (a label column is left out) or NPZ.

    Raises   DataError for a file that cannot be read, or images that are not `shape` (height, width).
    """
    head = read_head(path)
    if head.startswith(images.PNG_MAGIC):
        return images.read_png(path, shape).reshape(1, -1)
    if looks_like_idx(head):
        array: Any = read_idx(path)
        if array.ndim == 1:
            raise DataError("these are labels", where=path, place="byte 3", expected="images, rank 3", found="rank 1")
        x, found = array.reshape(len(array), -1), array.shape[1:]
    elif head.startswith(ZIP_MAGIC):
        x, found = as_images(read_npz(path, ("x_test",))["x_test"], path, "x_test")
    else:
        x, _ = read_csv(path)
        found = image_shape(x.shape[1])
    if tuple(found) != shape and x.shape[1] != shape[0] * shape[1]:
        expected = f"{shape[0]}x{shape[1]}, as the model was trained"
        raise DataError(
            "image size does not fit the model", where=path, expected=expected, found="x".join(map(str, found))
        )
    return np.asarray(x)
