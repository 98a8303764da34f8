"""Data sets by name or path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fnnet.core.state import Preprocessing
from fnnet.data import mnist
from fnnet.data.arguments import Said, check_effect, check_flag, check_path, check_said, check_unread
from fnnet.data.dataset import BOTH, DIGITS, PLAIN, Dataset, dataset_of
from fnnet.data.digits import SOURCE, TEST_IMAGES, load_digits
from fnnet.data.mnist import Notify
from fnnet.data.origin import Origin
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.reader import SEE, Content
from fnnet.errors import ArgumentTypeError, DataError, FnnetError, UsageError
from fnnet.files.disk import refuse
from fnnet.names import DATA_SETS


def load(
    choice: str = "auto",
    data_dir: str | None = None,
    *,
    classes: Sequence[str] | None = None,
    flat: tuple[int, int] | None = None,
    reading: Reading = AUTOMATIC,
    preprocessing: Preprocessing | None = None,
    by_name: bool = False,
    notify: Notify = lambda notice: None,
) -> Dataset:
    """Load the data set `choice`: "auto", "mnist", "digits", or the path of a file, of a folder of IDX files or of
    class folders.

    classes  the names of labels 0, 1... in a file of numbers; class folders have names of their own, and so have some
             files. None for ten, called by their labels.
    flat     (height, width) to give to images stored as rows of that many pixels; by default they are squares. With a
             `preprocessing` that scales pictures, their size. No others are read: the command line's --image-size.
    reading  what the user says about the images.
    preprocessing   that of the model or the data set that the images are for, which `reading` must not contradict; None
             to find it from `reading` and the training images.
    by_name  True if `classes` are those of a model or of another data set: labels in a file of numbers are then their
             names where these are numbers (which is noted if they could be places, too), and else their places, which
             is noted. The columns of one-hot labels are always places.
    notify   called with one line for each download, each place that was skipped and each of the data set's notes.
    Raises   DataError or StorageError naming file and place; UsageError for an argument that is out of range, has no
             effect or does not fit the data, naming its option of the command line where this has one.

    >>> from fnnet.data import load
    >>> digits = load("digits")
    >>> digits.train.x.shape, digits.test.x.shape, digits.image_shape
    ((1437, 784), (360, 784), (28, 28))
    """
    said = check_said(classes, flat, reading, preprocessing)
    found = _load(choice, data_dir, said, check_flag("by_name", by_name), notify)
    check_effect(found, said.flat, None if by_name or classes is None else said.classes, said.reading.first_label)
    return found


def load_alike(
    choice: str,
    data_dir: str | None,
    *,
    classes: Sequence[str],
    flat: tuple[int, int],
    reading: Reading,
    preprocessing: Preprocessing,
    by_name: bool,
    notify: Notify,
) -> Dataset:
    """Load a data set that is to be like another or fit a model; arguments as `load`.

    Its images may be of another size than `flat` and other classes than `classes`: the caller compares them.
    """
    return _load(choice, data_dir, check_said(classes, flat, reading, preprocessing), by_name, notify)


def _load(choice: str, data_dir: str | None, said: Said, by_name: bool, notify: Notify) -> Dataset:
    check_path(choice, "no data set", "a name or a path", "name one file or folder that holds all images")
    if data_dir is not None and not isinstance(data_dir, (str, os.PathLike)):
        raise ArgumentTypeError("data_dir is not a folder", expected="a path or None", found=repr(data_dir))
    check_data_dir(choice, data_dir)
    known = said.preprocessing or PLAIN
    known = PLAIN if known.scaling else known  # whose columns images do not fit, which the caller compares
    if choice in DATA_SETS:
        check_unread(said.reading, str(choice))
    if choice == "digits":
        return _digits(known, notify)
    if choice in ("auto", "mnist"):
        return _mnist(data_dir, choice == "mnist", known, notify) or _digits(known, notify)
    from fnnet.data.from_path import from_path

    path = Path(choice)
    check_choice(path, "--data", SEE)
    return from_path(path, said, notify, by_name)._replace(origin=Origin(str(path), said.reading))


def check_data_dir(choice: str | Path, data_dir: str | None) -> None:
    """Raise UsageError if the folder of MNIST is given for another data set."""
    if data_dir and choice not in ("auto", "mnist"):
        expected, found = "--data auto or mnist", f"--data {os.fspath(choice)}"
        raise UsageError("has no effect", where="--data-dir", expected=expected, found=found)


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
