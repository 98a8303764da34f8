"""Data for a model: read as those that it was trained on, and of its classes and its size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fnnet.cli.common import Notices, load_data, open_stream
from fnnet.errors import DataError, ModelError

if TYPE_CHECKING:
    from fnnet.core.state import Model
    from fnnet.data import Dataset, StreamedDataset


def load_fitting(
    options: dict[str, Any], model: Model, model_path: str, notify: Notices, streamed: bool = False
) -> Dataset | StreamedDataset:
    """Return the data set that --data names, read as the model's own was, with the model's classes.

    streamed   whether it is read piece by piece.
    Raises     ModelError if its images or classes are not those of the model.
    """
    from fnnet import data

    load = open_stream if streamed else load_data
    try:
        dataset: Dataset | StreamedDataset = data.with_classes(load(options, notify, model), model.classes, notify)
    except DataError as error:  # the number of the classes is the model's
        raise error.at(error.where, fix=re.sub("--classes or |, or set --classes$", "", error.fix)) from None
    _check_fit(model, dataset, model_path)
    return dataset


def _check_fit(model: Model, dataset: Dataset | StreamedDataset, model_path: str) -> None:
    from fnnet.apps.given import size_of
    from fnnet.data.order import exchange

    if model.image_shape != dataset.image_shape or model.classes != dataset.classes:
        expected, found = (f"{size_of(each)} and classes {', '.join(each.classes[:12])}" for each in (model, dataset))

        exchanged = model.classes == dataset.classes and model.image_shape == dataset.image_shape[::-1]
        fix = exchange(dataset.preprocessing.transpose) if exchanged else "use data like that it was trained on"
        raise ModelError(f"does not fit {dataset.name}", where=model_path, expected=expected, found=found, fix=fix)
