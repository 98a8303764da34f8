"""The data that a model was trained on, for a command that is given no others; and what says that others were."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet.cli.said import check_unsaid
from fnnet.core.params import Array
from fnnet.core.state import Examples, Model, unit_of
from fnnet.data.corrections import corrected
from fnnet.data.dataset import Dataset
from fnnet.data.notes import Note
from fnnet.data.origin import find_again, reading_in
from fnnet.data.preprocess import Reading
from fnnet.data.sets import check_data_dir
from fnnet.data.stream import StreamedDataset
from fnnet.data.stream_index import is_stream
from fnnet.errors import DataError, counted
from fnnet.names import DATA_SETS
from fnnet.training.dev_set import TEST, load_beside

NAME_IT: Final = "name it with --data"
PUT_BACK: Final = "put it back, or name other data with --data"
OWN: Final = "the model's own data, which are read as for training"


def about_test(model: Model) -> Mapping[str, Any]:
    """Return what a model says of the images that it was tested on; empty if it says nothing."""
    test = model.training.get("test")
    return test if isinstance(test, Mapping) else {}


def _about_data(model: Model) -> Mapping[str, Any]:
    data = model.training.get("data")
    return data if isinstance(data, Mapping) else {}


def with_own_data(options: Mapping[str, Any], model: Model, file: str) -> dict[str, Any]:
    """Return the options of a command with the data that a model was trained on as --data.

    "auto" for a model that says nothing of its data.
    file     of the model.
    Raises   UsageError for an option that says how other data are read; DataError for data that are not known, or gone.
    """
    name, kept = model.training.get("dataset"), _about_data(model)
    path = kept.get("path")
    if not isinstance(path, str):
        if name is not None and name not in DATA_SETS:
            expected, found = "the path of its data", f"the name {name!r} alone"
            raise DataError("does not say where its data are", where=file, expected=expected, found=found, fix=NAME_IT)
        return {**options, "data_choice": "auto" if name is None else name}
    check_unsaid(options, OWN)
    place = _again(path, file)
    if os.path.isdir(place) and is_stream(Path(place)):
        return {**options, "data_choice": place}
    numbered = {"class_names": model.classes} if kept.get("numbered") is True else {}
    return {**options, "data_choice": place, **reading_in(kept), **numbered}


def _again(path: str, file: str, problem: str = "its data have gone", fix: str = NAME_IT) -> str:
    place = find_again(path, file)
    if place is None:
        expected, found = f"{path}, as it was called for training", "no such file or folder"
        raise DataError(problem, where=file, expected=expected, found=found, fix=fix)
    return place


def corrected_as(model: Model, dataset: Dataset | StreamedDataset, file: str) -> Dataset | StreamedDataset:
    """Return a model's own data with the corrections of labels that it was trained with, if any.

    Where the data have images to test on, they are returned as they are: the corrections are of those for training.
    """
    path = _about_data(model).get("corrections")
    if not (isinstance(path, str) and isinstance(dataset, Dataset) and dataset.test is None):
        return dataset
    return corrected(dataset, _again(path, file, "the table of its corrections has gone", PUT_BACK))


def own_test_set(options: Mapping[str, Any], model: Model, file: str, notify: Callable[[str], None]) -> Dataset | None:
    """Return the data set in a file of images to test on that a model was given for it; None if it was given none.

    Errors are those of `with_own_data`.
    """
    path, kept = about_test(model).get("path"), _about_data(model)
    if not isinstance(path, str):
        return None
    check_unsaid(options, OWN)
    place = path if path in DATA_SETS else _again(path, file)
    check_data_dir(place, options["data_dir"])
    images = Examples(*_no_images(model))
    about = (model.classes, model.image_shape, model.preprocessing, (), kept.get("numbered") is True)
    return load_beside(place, Dataset("", "", images, None, *about), TEST, notify, Reading(**reading_in(kept)))


def _no_images(model: Model) -> tuple[Array, Array]:
    height, width = model.image_shape
    return np.zeros((0, height * width), np.uint8), np.zeros(0, np.int64)


def note_of_others(
    model: Model, dataset: Dataset | StreamedDataset, images: int, digest: str, own: bool
) -> Note | None:
    """Return the note that the images evaluated are not those that a model was tested on; None if they are.

    images   how many there are.
    digest   of them, as `Fingerprint` has it.
    own      whether they are to be the model's own.
    """
    about, test = model.training, about_test(model)
    name = about.get("dataset")
    if not isinstance(name, str):
        return None
    unit = unit_of(model.preprocessing)
    count = counted(images, unit)
    if own and not test and dataset.test is None and "test" in about:
        return Note("trained-on", f"{dataset.name}: the model was tested on no images: these {count} trained it")
    known = test.get("sha256")
    if digest == known if isinstance(known, str) else dataset.name == name:
        return None
    was = f"{name}, {counted(test['images'], unit)}" if type(test.get("images")) is int else name
    changed = "the data have changed: " if own else ""
    text = f"{changed}these {count} are not those that the model was tested on ({was})"
    return Note("other-data", text)
