"""Data sets by name or path, verified as a whole, images kept as bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fnnet.core import rng
from fnnet.core.checks import check_classes
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import formats, mnist, preprocess
from fnnet.data.digits import SOURCE, TEST_IMAGES, load_digits
from fnnet.data.folders import idx_files, read_class_folders, read_idx_folder
from fnnet.data.idx import GZIP_MAGIC
from fnnet.data.mnist import Notify
from fnnet.data.preprocess import Note, Reading, other_ink
from fnnet.data.reader import SEE, AnyPath, Content, Wanted, size
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError, counted
from fnnet.files.disk import read_head, refuse

DIGITS = tuple("0123456789")
PLAIN = Preprocessing()
AUTOMATIC = Reading()
BOTH: tuple[str, ...] = ("training", "test")


class Dataset(NamedTuple):
    """Labelled images: x uint8 (n, height x width), labels int64 (n,), all read-only.

    preprocessing   how the pixels in the files became those in x.
    notes           what the user should know about the data; each a line with a code.
    """

    name: str
    source: str
    train: Examples
    test: Examples | None
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    preprocessing: Preprocessing = PLAIN
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        (height, width), test = self.image_shape, len(self.test.labels) if self.test else 0
        counts = f"{len(self.train.labels):,} train, {test:,} test images"
        return f"Dataset({self.name}, {counts} of {height}x{width}, {len(self.classes)} classes)"


def load(
    choice: str = "auto",
    data_dir: str | None = None,
    *,
    classes: Sequence[str] = DIGITS,
    flat: tuple[int, int] | None = None,
    reading: Reading = AUTOMATIC,
    preprocessing: Preprocessing | None = None,
    notify: Notify = lambda notice: None,
) -> Dataset:
    """Load the data set `choice`: "auto", "mnist", "digits", or the path of a file, of a folder of IDX files or of
    class folders.

    classes  the names of labels 0, 1... in a file of numbers; class folders have names of their own.
    flat     (height, width) to give to images stored as rows of that many pixels; by default they are squares.
    reading  what the user says about the images.
    preprocessing   that of the model or the data set that the images are for; None to find it from `reading` and the
             training images.
    notify   called with one line for each download, each place that was skipped and each of the data set's notes.
    Raises   DataError or StorageError naming file and place.

    >>> from fnnet.data import load
    >>> digits = load("digits")
    >>> digits.train.x.shape, digits.test.x.shape, digits.image_shape
    ((1437, 784), (360, 784), (28, 28))
    """
    if not isinstance(choice, (str, os.PathLike)):
        raise ArgumentTypeError("no data set", expected="a name or a path", found=repr(choice))
    known = preprocessing or PLAIN
    if choice == "digits":
        return _digits(known, notify)
    if choice in ("auto", "mnist"):
        return _mnist(data_dir, choice == "mnist", known, notify) or _digits(known, notify)
    return _from_path(Path(choice), check_classes(classes), flat, reading, preprocessing, notify)


def _mnist(data_dir: str | None, required: bool, known: Preprocessing, notify: Notify) -> Dataset | None:
    found = mnist.find(data_dir, notify)
    if found is None:
        folder = Path(data_dir) if data_dir else mnist.cache_folder()
        try:
            mirrors = None if required or mnist.offline() else mnist.reachable()
            if mirrors == ():
                raise mnist.UnreachableError("no mirror of MNIST can be reached")
            mnist.download(folder, notify, mirrors)
        except FnnetError as error:
            if required:
                raise
            notify(f"MNIST is not on this machine and cannot be downloaded ({error}); using the bundled digits")
            return None
        found = mnist.find(str(folder), notify)
        if found is None:
            refuse("download vanished", folder, "the folder", "the files just downloaded", "not all", "try again")
    payloads, place = found
    return _dataset(
        "mnist", place, mnist.content(payloads), DIGITS, known, notify, compared=() if known == PLAIN else BOTH
    )


def _digits(known: Preprocessing, notify: Notify) -> Dataset:
    x, labels = load_digits()
    train, test = (
        Content(x[rows], labels[rows], (28, 28), labels_at="digits")
        for rows in (slice(-TEST_IMAGES), slice(-TEST_IMAGES, None))
    )
    return _dataset(
        "digits",
        SOURCE,
        train._replace(test=test),
        DIGITS,
        known,
        notify,
        compared=() if known == PLAIN else BOTH,
    )


def _from_path(
    path: Path,
    classes: tuple[str, ...],
    flat: tuple[int, int] | None,
    reading: Reading,
    known: Preprocessing | None,
    notify: Notify,
) -> Dataset:
    if not os.path.exists(path):
        expected = "auto, mnist, digits or a path that exists"
        refuse("no such data set", "--data", "", expected, repr(str(path)), SEE)
    found = idx_files(path) if path.is_dir() else [path]
    notes = [note for each in found for note in _packing(each)]
    if not path.is_dir():
        transposed = known.transpose if known else reading.transpose
        content = formats.read(path, Wanted(labelled=True, shape=flat and flat[::-1] if transposed else flat))
    elif found:
        content = read_idx_folder(path)
    else:
        content, classes = read_class_folders(path)
    compared = BOTH if known else BOTH[1:]
    if known is None:
        known, more = preprocess.measure(reading, content.x, content.image_shape)
        notes += [*more, *_transposed(path, reading)]
    return _dataset(path.resolve().name, str(path), content, classes, known, notify, notes, compared)


def _packing(path: Path) -> Iterator[Note]:
    packed = read_head(path, 2) == GZIP_MAGIC
    if packed != (path.suffix.lower() == ".gz"):
        text = f"{path} is {'' if packed else 'not '}gzip, whatever its name says; read as what it is"
        yield Note("gzip-name", text)


def _transposed(path: Path, reading: Reading) -> Iterator[Note]:
    if "emnist" in path.resolve().name.lower() and not reading.transpose:
        text = f"{path}: EMNIST's own files store images column by column; look with 'data show', or say --transpose"
        yield Note("transpose-name", text)


def _swapped(source: str, train: Examples, test: Examples | None) -> Iterator[Note]:
    if test is not None and len(test.labels) > len(train.labels):
        name = mnist.known(test.labels)
        counts = f"{counted(len(test.labels), 'image')}, the training set {len(train.labels):,}"
        known = f", its labels are those of {name}" if name else ""
        yield Note("swapped", f"{source}: the test set has {counts}{known}; are the files swapped?")


def _dataset(
    name: str,
    source: str,
    train: Content,
    classes: tuple[str, ...],
    preprocessing: Preprocessing,
    notify: Notify,
    notes: Sequence[Note] = (),
    compared: Sequence[str] = BOTH,
) -> Dataset:
    """Return the data set of what files hold, with its images as networks take them.

    compared   the parts whose ink is compared with that of `preprocessing`.
    """
    test, stored = train.test, train.image_shape
    if test is not None and test.image_shape != stored:
        expected, found = f"test images {stored} like those of training", f"{test.image_shape}"
        refuse("image sizes differ", source, "test set", expected, found, "take both from the same set")
    shape = stored[::-1] if preprocessing.transpose else stored
    examples = _examples(train, source, len(classes), preprocessing, shape)
    tested = test and _examples(test, source, len(classes), preprocessing, shape)
    told = [*notes, *_swapped(source, examples, tested)]
    parts = {"training": examples, "test": tested}
    told += [note for part in compared if (each := parts[part]) for note in other_ink(each.x, shape, part)]
    for note in told:
        notify(note)
    return Dataset(name, source, examples, tested, classes, shape, preprocessing, tuple(told))


def _examples(
    content: Content, source: str, classes: int, preprocessing: Preprocessing, shape: tuple[int, int]
) -> Examples:
    if content.labels is None:
        refuse("no labels", source, "the file", "a label for each image", "images alone", "use it with predict")
    outside = content.labels >= classes
    if outside.any():
        at = int(outside.argmax())
        place, expected, fix = f"image {at + 1}", f"0 to {classes - 1}", "correct it, or set --classes"
        refuse("label out of range", content.labels_at, place, expected, int(content.labels[at]), fix)
    x = preprocess.apply(preprocessing, content.x, shape, source)
    return Examples(freeze(x.view()), freeze(content.labels.astype(np.int64)))


def split(examples: Examples, dev: int, seed: int, limit: int | None = None) -> tuple[Examples, Examples | None]:
    """Return training and dev images: `dev` of them chosen by the seed, and at most `limit` of the others.

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


def read_images(path: AnyPath, shape: tuple[int, int], preprocessing: Preprocessing = PLAIN) -> Array:
    """Return the images in a file to predict, uint8 (n, height x width); a file of any format in the table.

    Labels are left out; of an NPZ archive, the images are `x_test`.
    Raises   DataError for a file that cannot be read, images that do not have `shape` (height, width), or a pixel above
             the largest.
    """
    stored = shape[::-1] if preprocessing.transpose else shape
    content = formats.read(path, Wanted(labelled=False, shape=stored))
    if content.image_shape != stored:
        problem, expected = "image size does not fit the model", f"{size(stored)}, as the model was trained"
        fix = "scale the images to that size, or train a model for theirs"
        refuse(problem, path, content.shape_at, expected, size(content.image_shape), fix)
    return preprocess.apply(preprocessing, content.x, shape, path)
