"""Images for validation and to test on: those in a file or folder of their own, in arrays, or held out."""

from __future__ import annotations

import os
import re
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from fnnet import data
from fnnet.core.check_network import check_examples
from fnnet.core.checks import as_array, check_labels
from fnnet.core.params import Array
from fnnet.core.state import Examples
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.arguments import check_path
from fnnet.data.dataset import placed
from fnnet.data.holdout import NONE, hold_out, note_of
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.data.preprocess import AUTOMATIC, Reading
from fnnet.data.sets import load_alike
from fnnet.errors import DataError, UsageError, counted

OF_TRAINING: Final = ("numbered-classes", "numbers-as-names", "transposed", "transpose-name")
"""Notes with the remedy, behind a semicolon, of an option that says how the data for training is read."""
OF_A_MODEL: Final = {
    "those that the model was trained on": "those of training",
    "that of the model": "as for training", "as what the model was trained on": "as the data for training",
}  # fmt: skip
"""Words of notes that are for images given to a model -> those for images beside the data for training."""
NO_TEST: Final = "none"
"""In place of a path of images to test on."""
D = TypeVar("D", bound="Dataset | StreamedDataset")


class Part(NamedTuple):
    """What images beside those for training are for, in messages.

    field   the argument that names them.
    noun    of one of them.
    """

    field: str
    noun: str


DEV: Final = Part("dev_data", "validation image")
TEST: Final = Part("test_data", "test image")


def load_dev_set(
    path: str | os.PathLike[str],
    dataset: Dataset | StreamedDataset,
    notify: Notify = lambda notice: None,
    reading: Reading = AUTOMATIC,
) -> Examples:
    """Load the images at `path` for validation while training on `dataset`.

    Labels that are numbers are places of the classes if those for training are (`dataset.numbered`), else their names.
    notify   called with each note about them.
    reading  what the user says about the data for training, which holds for these images where it has a meaning: they
             are read as those of training, but the columns of a table, say, are not those of an archive.
    Raises   as `data.load`; UsageError for images of another shape or other classes.
    """
    found = load_beside(path, dataset, DEV, notify, reading)
    if found.test is not None:
        text = f"{os.fsdecode(path)}: its test part is not used: validation takes its training images"
        notify(Note("not-used", text))
    # Of a stream, all files would be read for it.
    if isinstance(dataset, Dataset) and _among(found.train.x, dataset.train.x) == len(found.train.labels):
        text = "validation takes the very images trained on, which does not show how well others are recognised"
        notify(Note("dev-in-train", f"{os.fsdecode(path)}: {text}"))
    return found.train


def load_test_set(
    path: str | os.PathLike[str],
    dataset: Dataset | StreamedDataset,
    notify: Notify = lambda notice: None,
    reading: Reading = AUTOMATIC,
) -> Examples:
    """Load the images at `path` to test on what is trained on `dataset`: the test set there, or else all.

    Arguments and errors are those of `load_dev_set`; UsageError for the very images that are trained on. Some that are
    among these are noted.
    """
    found = load_beside(path, dataset, TEST, notify, reading)
    if found.test is not None:
        notify(Note("not-used", f"{os.fsdecode(path)}: only its test images are used, to test on"))
    test = found.test or found.train
    _check_apart(test, dataset, os.fsdecode(path), notify)
    return test


def _check_apart(test: Examples, dataset: Dataset | StreamedDataset, name: str, notify: Notify) -> None:
    """Raise UsageError for the very images that are trained on; some that are among these are noted, after `name`."""
    count = _among(test.x, dataset.train.x) if isinstance(dataset, Dataset) else 0
    if count == len(test.labels):
        expected, given = "images that are not trained on", f"{counted(count, 'image')} that are"
        fix = "leave it out: a share of the data is then held out"
        raise UsageError("tests on what is trained on", where=TEST.field, expected=expected, found=given, fix=fix)
    if count:
        text = f"{count:,} of {counted(len(test.labels), 'image')} to test on are trained on, too: the test flatters"
        notify(Note("test-in-train", f"{name}: {text}"))


def with_test_set(
    dataset: D,
    test_data: str | os.PathLike[str] | Examples | None = None,
    notify: Notify = lambda notice: None,
    reading: Reading = AUTOMATIC,
) -> D:
    """Return a data set with images to test on, none of which is trained on.

    test_data   path of these, or the images, in place of the data set's own; "none" for no test, and all images to
                train on; None for its own, and where it has none, for a share of its training images by class
                (`data.holdout`), but not of a stream. What is done is noted.
    notify, reading   as in `load_dev_set`.
    """
    given: Any = dataset  # of either kind
    found: D = dataset
    if isinstance(test_data, Examples):
        _check_apart(test_data, dataset, TEST.field, notify)
        found = _with(given, test_data)
    elif test_data == NO_TEST:
        found = _with(given, None)
    elif test_data is not None:
        test = load_test_set(test_data, dataset, notify, reading)
        found = _with(given, test)._replace(origin=given.origin._replace(test=os.fsdecode(test_data)))
    elif dataset.test is None and isinstance(dataset, Dataset):
        given = hold_out(dataset)
        notify(note_of(given))
        found = given
    elif dataset.test is None:
        notify(Note(NONE, f"{dataset.source}: no test set, and of a stream none is held out; --test-data names one"))
    return found


def _with(dataset: Any, test: Examples | None) -> Any:
    """Return a data set with other images to test on, of which no files are known."""
    if isinstance(dataset, Dataset):
        dataset = dataset._replace(files=(dataset.files[0], ()))
    return dataset._replace(test=test)


def load_beside(
    path: str | os.PathLike[str],
    dataset: Dataset | StreamedDataset,
    part: Part,
    notify: Notify,
    reading: Reading,
) -> Dataset:
    """Load the data set at `path` as images like those of another one, for a part beside its training images.

    dataset   that other one, of which the images are not looked at.
    reading   as in `load_dev_set`.
    """
    words = {"labelled image": part.noun} | OF_A_MODEL

    def tell(note: str) -> None:
        """Pass a note on, without a remedy by options that are for the other data set."""
        code, text = getattr(note, "code", ""), str(note)
        for word, here in words.items():
            text = text.replace(word, here)
        notify(Note(code, text.partition("; ")[0] if code in OF_TRAINING else text) if code else note)

    check_path(path, part.field, "a path", "name one file or folder that holds all images")
    order = None if reading.transpose else reading.transpose  # True is in the preprocessing, and not for pictures
    reading = reading._replace(pixel_max=None, ink="auto", transpose=order, size=None)
    try:
        found = _loaded(path, dataset, reading, tell)
        found = data.with_classes(found, dataset.classes, notify)
    except DataError as error:
        # Its remedies are those of the other data set.
        where, fix = (part.field, "") if error.where == "--data" else (error.where, error.fix)
        fix = "label its images as those of training" if error.problem.startswith("label ") else fix
        raise error.at(where, fix=re.sub("--data(?= )", f"`{part.field}`", fix)) from None
    if found.image_shape != dataset.image_shape or found.classes != dataset.classes:
        kinds = [
            f"{each.image_shape} pixels, {counted(len(each.classes), 'class', 'classes')} ({_shown(each.classes)})"
            for each in (dataset, found)
        ]
        place = os.fsdecode(path)
        raise UsageError("images differ", where=part.field, place=place, expected=kinds[0], found=kinds[1])
    return found


def _loaded(
    path: str | os.PathLike[str], dataset: Dataset | StreamedDataset, reading: Reading, notify: Notify
) -> Dataset:
    """Load images as those of a data set are read, without the options that have no meaning for their file."""
    try:
        found = load_alike(
            os.fsdecode(path), None, classes=dataset.classes, flat=dataset.image_shape, reading=reading,
            preprocessing=dataset.preprocessing, by_name=not dataset.numbered, notify=notify,
        )  # fmt: skip
    except UsageError as error:
        field = error.where.removeprefix("--").replace("-", "_")
        if error.problem != "has no effect" or field not in Reading._fields:
            raise
        return _loaded(path, dataset, reading._replace(**{field: getattr(AUTOMATIC, field)}), notify)
    for note in placed(found.classes, found.source, reading.first_label) if dataset.numbered and found.numbered else ():
        notify(note)
    return found


def _among(x: Array, others: Array) -> int:
    """Return how many images of x (n, pixels) are among the `others`, by hashes of 64 bits."""
    hashes, known = (np.fromiter((hash(row.tobytes()) for row in each), np.int64, len(each)) for each in (x, others))
    return int(np.isin(hashes, known).sum())


def _shown(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")


def check_dev_set(given: Any, pixels: int, classes: int) -> Examples:
    """Return dev images (n, `pixels`) with labels in [0, `classes`), else UsageError."""
    examples = check_examples(given)
    shape = as_array("images", examples.x, "fiub", "numbers").shape
    if len(shape) != 2 or shape[1] != pixels:
        raise UsageError("images differ", where="dev_set", expected=f"shape (n, {pixels})", found=shape)
    try:
        check_labels(examples.labels, (shape[0], classes))
    except UsageError as error:
        raise error.at("dev_set") from None
    return examples
