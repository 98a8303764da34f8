"""What users give as data: a name, a path, a frame, arrays, or a data set that is one already."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet import data
from fnnet.core.frames import is_frame
from fnnet.core.state import Examples, Model
from fnnet.data import Dataset, StreamedDataset
from fnnet.data.holdout import hold_out_again
from fnnet.data.in_arrays import examples_of
from fnnet.data.notes import warned
from fnnet.data.reader import SEE
from fnnet.data.scaling import raw_notes
from fnnet.data.stream import Stream
from fnnet.data.stream_index import is_stream, is_streamed
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError, counted
from fnnet.names import DATA_SETS, names_of_labels

Notify = Callable[[str], None]
EXPECTED: Final = "a name, a path, a Dataset, a frame, or a pair (x, labels)"
SHOWN: Final = 12
"""Names of classes in a message."""


def dataset_of(
    given: Any, notify: Notify, model: Model | None = None, window: int | None = None
) -> Dataset | StreamedDataset:
    """Return a data set by its name or path, of a frame or of arrays (x, labels); one that is given, as it is.

    model    that the data are for: files and frames are read as those that it was trained on.
    window   of images, where Parquet is to be read piece by piece.
    Raises   as `data.load`, `data.from_frame` and `data.from_arrays`, at `data`.
    """
    if isinstance(given, (Dataset, StreamedDataset)):
        return given
    known: dict[str, Any] = {}
    if model is not None:
        known = {"classes": model.classes, "flat": model.image_shape, "preprocessing": model.preprocessing}
    with at_data():
        if isinstance(given, (str, os.PathLike)):
            return _from_disk(os.fsdecode(given), notify, known, window)
        if is_frame(given):
            return data.from_frame(given, **known, notify=notify)
        if isinstance(given, tuple) and len(given) == 2:
            return _from_arrays(given, model)
    raise ArgumentTypeError("not a data set", where="data", expected=EXPECTED, found=type(given).__name__)


@contextlib.contextmanager
def at_data() -> Iterator[None]:
    """Name arguments in place of the options of the command line that readers name, in errors."""
    from fnnet.data.frames import naming_arguments

    try:
        with naming_arguments():
            yield
    except FnnetError as error:
        fix = "" if error.fix == SEE else error.fix
        raise (error.at("data", fix=fix) if error.where in ("", "--data") else error) from None


def _from_disk(path: str, notify: Notify, known: dict[str, Any], window: int | None) -> Dataset | StreamedDataset:
    from fnnet.data.preprocess import AUTOMATIC
    from fnnet.data.sets import load_alike

    if path not in DATA_SETS and is_streamed(Path(path), window=window is not None):
        if is_stream(Path(path)):
            return data.open_stream(path, notify=notify)
        return data.open_parquet(path, **known, by_name=bool(known), notify=notify)
    if not known:
        return data.load(path, notify=notify)
    return load_alike(path, None, **known, reading=AUTOMATIC, by_name=True, notify=notify)


def _from_arrays(given: tuple[Any, Any], model: Model | None) -> Dataset:
    """Return a data set of arrays; labels of Examples are places of classes, those of the model if there is one."""
    if not isinstance(given, Examples):
        dataset = data.from_arrays(*given)
    else:
        count = len(model.classes) if model else 1 + int(np.max(given.labels, initial=0))
        dataset = data.from_arrays(*given, classes=names_of_labels(0, count))
        dataset = dataset._replace(classes=model.classes) if model else dataset
    if model is None or dataset.train.x.shape[1] != math.prod(model.image_shape):
        return dataset
    # Arrays are as the network takes them, however files are read for it.
    return dataset._replace(image_shape=model.image_shape, preprocessing=model.preprocessing)


def examples_for(given: tuple[Any, Any], like: Dataset | StreamedDataset | Model, where: str) -> Examples:
    """Return arrays (x, labels) as examples of the classes of a data set or a model; labels of Examples are places.

    where    names the argument in errors.
    """
    names = names_of_labels(0, len(like.classes)) if isinstance(given, Examples) else like.classes
    return examples_of(tuple(given), names, like.image_shape, where)


def size_of(of: Dataset | StreamedDataset | Model) -> str:
    """Return the size of an image, or the number of columns of a table, in words."""
    height, width = of.image_shape
    return counted(width, "column") if of.preprocessing.scaling else f"{height}x{width} pixels"


def labelled_for(model: Model, given: Any, notify: Notify) -> Examples | Stream:
    """Return the images that a model is measured on: the test set of what is given, the share of it that was held out
    to test the model on, or all.

    given    as `dataset_of` takes it; a pair is taken as it is, and its labels are those of the model's classes.
    Raises   as `dataset_of`, and UsageError at `data` for what does not fit the model.
    """
    if isinstance(given, tuple) and len(given) == 2:
        examples = examples_for(given, model, "data")
        for note in raw_notes(examples.x, model.preprocessing):
            warned(note)
        return examples
    dataset = dataset_of(given, notify, model)
    with at_data():
        dataset = data.with_classes(dataset, model.classes, notify)
    if dataset.image_shape != model.image_shape or dataset.classes != model.classes:
        expected, found = (
            f"{size_of(each)}, {counted(len(each.classes), 'class', 'classes')}: "
            f"{', '.join(each.classes[:SHOWN])}{', ...' if len(each.classes) > SHOWN else ''}"
            for each in (model, dataset)
        )
        raise UsageError("does not fit the model", where="data", expected=expected, found=found)
    test = model.training.get("test")
    dataset = hold_out_again(dataset, test if isinstance(test, Mapping) else {})
    return dataset.test or dataset.train
