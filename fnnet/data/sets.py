"""Data sets by name or path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fnnet.core.checks import check_classes
from fnnet.core.state import Preprocessing
from fnnet.data import mnist
from fnnet.data.dataset import BOTH, DIGITS, PLAIN, Dataset, dataset_of
from fnnet.data.digits import SOURCE, TEST_IMAGES, load_digits
from fnnet.data.mnist import Notify
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.reader import SEE, Content
from fnnet.errors import ArgumentTypeError, DataError, FnnetError
from fnnet.files.disk import refuse
from fnnet.names import DATA_SETS


def load(
    choice: str = "auto",
    data_dir: str | None = None,
    *,
    classes: Sequence[str] = DIGITS,
    flat: tuple[int, int] | None = None,
    reading: Reading = AUTOMATIC,
    preprocessing: Preprocessing | None = None,
    by_name: bool = False,
    notify: Notify = lambda notice: None,
) -> Dataset:
    """Load the data set `choice`: "auto", "mnist", "digits", or the path of a file, of a folder of IDX files or of
    class folders.

    classes  the names of labels 0, 1... in a file of numbers; class folders have names of their own, and so have some
             files.
    flat     (height, width) to give to images stored as rows of that many pixels; by default they are squares. With a
             `preprocessing` that scales pictures, their size.
    reading  what the user says about the images.
    preprocessing   that of the model or the data set that the images are for; None to find it from `reading` and the
             training images.
    by_name  True if `classes` are those of a model or of another data set: labels in a file of numbers are then their
             names where these are numbers (which is noted if they could be places, too), and else their places, which
             is noted. The columns of one-hot labels are always places.
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
    from fnnet.data.from_path import from_path

    path = Path(choice)
    check_choice(path, "--data", SEE)
    return from_path(path, check_classes(classes), flat, reading, preprocessing, notify, by_name)


def check_choice(choice: str | Path, where: str, fix: str = "") -> None:
    """Raise DataError about the option `where` unless `choice` names a data set or is a path that exists."""
    if choice not in DATA_SETS and not os.path.exists(choice):
        expected = f"{', '.join(DATA_SETS)} or a path that exists"
        raise DataError("no such data set", where=where, expected=expected, found=repr(str(choice)), fix=fix)


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
    return _verified("mnist", place, mnist.content(payloads), known, notify)


def _digits(known: Preprocessing, notify: Notify) -> Dataset:
    x, labels = load_digits()
    train, test = (
        Content(x[rows], labels[rows], (28, 28), labels_at="digits")
        for rows in (slice(-TEST_IMAGES), slice(-TEST_IMAGES, None))
    )
    return _verified("digits", SOURCE, train._replace(test=test), known, notify)


def _verified(name: str, source: str, content: Content, known: Preprocessing, notify: Notify) -> Dataset:
    """Return a data set whose images are known: they are looked at only for a model of other images, and upright."""
    known = known._replace(transpose=False)
    return dataset_of(name, source, content, DIGITS, known, notify, compared=() if known == PLAIN else BOTH)
