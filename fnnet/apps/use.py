"""A model in use: the classes of images and their probabilities, and how good it is on labelled ones."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnnet.core import metrics, public
from fnnet.core.checks import check_count
from fnnet.core.frames import is_frame, is_series
from fnnet.core.judging import Calibration, Mistake, Tally, calibration, tally, wilson
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params, freeze
from fnnet.core.public import CHUNK, scores
from fnnet.core.state import Committee, Model
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.data.notes import warned
from fnnet.data.scaling import raw_notes
from fnnet.errors import ArgumentTypeError


def predict(
    params: Params | Committee | Model,
    x: Any,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Array:
    """Return the most probable class of each row of `x`, the lowest of equally probable ones: its name, text (n,), by a
    Model; its number, int64 (n,), by Params or a Committee, which have no names. Compare names with
    `np.array(model.classes)[labels]`: NumPy finds names and numbers unequal, without an error.

    params       a Model, Params or a Committee.
    x            (n, inputs), for a Model also (n, height, width): floats, or uint8, which is divided by 255; a frame.
                 For a Model also the path of a file of images, or a list of paths, read as those that it was trained
                 on: what looks unlike them is warned of, as by `data.read_images`. For a Model of a table, a file or a
                 frame of such rows, which are standardised as those that it was trained on; arrays are not: they are
                 what the network takes, as `data.read_images(frame, ...)` gives it.
    activation   of the hidden layers of Params and a Committee, by default relu; a Model has its own.
    precision    "float" or "int8": see `scores`.
    Raises   UsageError for images that do not fit the network, a row that has a NaN among its scores, or whose highest
             score is infinite, and for another activation than the model's. DataError, StorageError for a file.

    >>> import fnnet, numpy as np
    >>> params = fnnet.init((4, 3, 2))
    >>> fnnet.predict(params, np.zeros((3, 4))).tolist()
    [0, 0, 0]
    >>> model = fnnet.Model(params, classes=("even", "odd"), image_shape=(2, 2))
    >>> fnnet.predict(model, np.zeros((3, 2, 2))).tolist()
    ['even', 'even', 'even']
    """
    return public.predict(params, _rows(params, x), activation=activation, precision=precision, kernels=kernels)


def probabilities(
    params: Params | Committee | Model,
    x: Any,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Array:
    """Return the probabilities of the classes for each row of `x`, read-only (n, classes): the softmax of its scores.

    Arguments and errors are those of `predict`. The columns are in the order of `model.classes`.

    >>> import fnnet, numpy as np
    >>> fnnet.probabilities(fnnet.init((4, 3, 2)), np.zeros((3, 4))).tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    logits = scores(params, _rows(params, x), activation=activation, precision=precision, kernels=kernels)
    public.best_classes(logits)  # refuses scores that are not numbers, as `predict` does
    return freeze(kernels.softmax(logits))


class Evaluated(NamedTuple):
    """How good a model is on labelled images.

    loss       mean cross-entropy, nats.
    accuracy   fraction of correct predictions, 0 to 1.
    confusion  int64 (classes, classes): entry [i, j] counts the images of class i predicted as j.
    classes    their names.
    tally      of the confidences and the worst mistakes.
    """

    loss: float
    accuracy: float
    confusion: Array
    classes: tuple[str, ...]
    tally: Tally

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.confusion.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% confidence interval of the accuracy, by Wilson's score."""
        return wilson(int(self.confusion.trace()), self.images)

    @property
    def calibration(self) -> Calibration:
        """How far probabilities agree with shares of correct predictions, and the expected calibration error."""
        return calibration(self.tally)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The worst mistakes, of the largest loss first; as many as `evaluate` was to keep."""
        return self.tally.mistakes

    @property
    def per_class(self) -> dict[str, metrics.ClassFigures]:
        """The images of each class, and precision, recall and F1, by its name."""
        return dict(zip(self.classes, metrics.per_class(self.confusion), strict=True))


def evaluate(
    model: Model,
    data: Any,
    *,
    precision: str = "float",
    worst: int = 10,
    kernels: Kernels = NUMPY,
    notify: Callable[[str], None] = lambda notice: None,
) -> Evaluated:
    """Measure a model on labelled images: those of the test set, or all where the data have none.

    Of the data that the model was trained on, where `fit` or `fnnet train` held out a share to test on, they are that
    share, known again by its SHA-256. Without a path in `data` it is pure.

    data       as `fit` takes it; files and frames are read as those that the model was trained on. A pair (x, labels)
               is measured as it is; its labels are names of classes, or their places unless the names are numbers.
    precision  "float" or "int8": see `scores`.
    worst      the worst mistakes that are kept, with their images.
    notify     called with each note about the data, such as `print`.
    Raises   UsageError at `data` for what does not fit the model; DataError, StorageError for files.

    >>> import fnnet
    >>> model, _ = fnnet.fit("digits", hidden=(16,), epochs=3, learning_rate=0.1)
    >>> found = fnnet.evaluate(model, "digits")
    >>> found.images, found.accuracy == model.training["test_accuracy"], found.per_class["7"].recall > 0.5
    (360, True, True)
    >>> low, high = found.interval
    >>> low < found.accuracy < high, len(found.mistakes), found.calibration.error < 0.2
    (True, 10, True)
    """
    if not isinstance(model, Model):
        raise ArgumentTypeError("not a model", where="model", expected="a Model", found=type(model).__name__)
    check_kernels(kernels)
    from fnnet.apps.given import labelled_for
    from fnnet.data.stream import Stream

    examples = labelled_for(model, data, notify)
    options: dict[str, Any] = {"precision": precision, "kernels": kernels}
    worst = check_count("worst", worst, 0)
    if isinstance(examples, Stream):
        total = metrics.evaluate_in(model, examples.batches(CHUNK), len(model.classes), worst=worst, **options)
        return Evaluated(total.loss, total.accuracy, freeze(total.confusion), model.classes, total.tally)
    logits = scores(model, examples.x, **options)
    found = metrics.evaluation_of(logits, examples.labels, kernels=kernels)
    matrix = metrics.confusion(found.predicted, examples.labels, len(model.classes))
    judged = tally(examples.x, examples.labels, logits, most=worst)
    return Evaluated(found.loss, found.accuracy, freeze(matrix), model.classes, judged)


def _rows(network: Params | Committee | Model, given: Any) -> Any:
    """Return what is given, as rows where a model says how: images in files, and those of its height and width."""
    if not isinstance(network, Model):
        return given
    if isinstance(given, (str, os.PathLike)):
        return _read(network, [given])
    if isinstance(given, (list, tuple)) and given and all(isinstance(each, (str, os.PathLike)) for each in given):
        return _read(network, given)
    if network.preprocessing.scaling and is_series(given):
        fix = "give one row as a frame: series.to_frame().T, or frame.iloc[[0]]"
        raise ArgumentTypeError("not rows of a table", where="x", expected="a frame", found="a series", fix=fix)
    if network.preprocessing.scaling and is_frame(given):
        return _read(network, [given])
    for note in raw_notes(given, network.preprocessing):
        warned(note)
    if isinstance(given, np.ndarray) and given.ndim == 3 and given.shape[1:] == network.image_shape:
        return given.reshape(len(given), math.prod(network.image_shape))
    return given


def _read(model: Model, paths: Sequence[Any]) -> Array:
    from fnnet.data.child import kept
    from fnnet.data.from_path import read_images

    with kept():
        return np.concatenate([read_images(path, model.image_shape, model.preprocessing) for path in paths])
