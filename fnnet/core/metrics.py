"""Metrics of a classifier: loss, accuracy, confusion matrix, figures per class, dead units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import judging
from fnnet.core.check_network import check_input, check_params
from fnnet.core.checks import as_array, calm, check_count, check_labels
from fnnet.core.judging import Tally
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params, freeze
from fnnet.core.public import CHUNK, forward, scores
from fnnet.core.state import Committee, Model
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import UsageError

MOST_CLASSES: Final = 2**14
FEW: Final = 256
"""Rows of the first batch, which is enough to see most units active; each further one doubles the rows read so far."""


class Evaluation(NamedTuple):
    """The predictions for a set of labelled images.

    loss       mean cross-entropy, nats.
    accuracy   fraction of correct predictions, 0 to 1.
    predicted  the most probable class of each image, int64 (n,).
    """

    loss: float
    accuracy: float
    predicted: Array


class ClassFigures(NamedTuple):
    """One class: the images with its label, and precision, recall and F1 (0 where undefined)."""

    images: int
    precision: float
    recall: float
    f1: float


def evaluate(
    params: Params | Committee | Model,
    x: Array,
    labels: Array,
    *,
    activation: str | Activation | None = None,
    precision: str = "float",
    kernels: Kernels = NUMPY,
) -> Evaluation:
    """Return loss, accuracy and predictions over `x` (n, inputs), `labels` (n,).

    params, activation, precision   as in `scores`.

    Raises   UsageError without rows, or as `forward` does.
    """
    logits = scores(params, x, activation=activation, precision=precision, kernels=kernels)
    return evaluation_of(logits, labels, kernels=kernels)


def evaluation_of(logits: Array, labels: Array, *, kernels: Kernels = NUMPY) -> Evaluation:
    """Return what `evaluate` does, of the logits (n, classes) of images, as `scores` returns them."""
    labels = check_labels(labels, logits.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = kernels.operations.cross_entropy(logits, labels)
    predicted = freeze(logits.argmax(axis=1))
    return Evaluation(loss, accuracy(predicted, labels), predicted)


class Totals(NamedTuple):
    """What is known of labelled images of which some are in memory at a time; fields as those of `Evaluation`.

    confusion   as `confusion` returns it.
    tally       as `judging.tally` returns it.
    """

    loss: float
    accuracy: float
    confusion: Array
    tally: Tally


def evaluate_in(
    params: Params | Committee | Model,
    batches: Iterable[tuple[Array, Array]],
    classes: int,
    *,
    worst: int = 0,
    kernels: Kernels = NUMPY,
    **options: Any,
) -> Totals:
    """Return what `evaluate` finds of images and labels that come in batches, at least one.

    classes   how many there are.
    worst     the worst mistakes that are kept, with their images.
    options   as those of `evaluate`.
    """
    matrix, total, tally, first = np.zeros((classes, classes), np.int64), 0.0, judging.EMPTY, 0
    for x, labels in batches:
        logits = scores(params, x, kernels=kernels, **options)
        found = evaluation_of(logits, labels, kernels=kernels)
        matrix += confusion(found.predicted, labels, classes)
        total += found.loss * len(labels)
        tally = judging.merged(tally, judging.tally(x, labels, logits, first=first, most=worst), worst)
        first += len(labels)
    images = int(matrix.sum())
    if not images:
        raise UsageError("no images", expected="at least one batch", found="none")
    return Totals(total / images, int(matrix.trace()) / images, matrix, tally)


def accuracy(predicted: Array, labels: Array) -> float:
    """Return the fraction of `predicted` (n,) equal to `labels` (n,), 0 to 1.

    Raises   UsageError unless both are integers of the same shape, with at least one element.
    """
    predicted, labels = (_vector(*each) for each in (("predicted classes", predicted), ("labels", labels)))
    if predicted.shape != labels.shape or not len(labels):
        expected = f"as many as labels, {len(labels)}, and at least 1"
        raise UsageError("predicted classes", expected=expected, found=len(predicted))
    return int(np.count_nonzero(predicted == labels)) / len(labels)


def confusion(predicted: Array, labels: Array, classes: int) -> Array:
    """Return the confusion matrix, int64 (classes, classes): entry [i, j] counts the images of class i predicted as j.

    Raises   UsageError unless both are integers from 0 to classes - 1, of the same shape (n,).
    """
    classes = check_count("classes", classes, 1, MOST_CLASSES)
    labels = _vector("labels", labels)
    predicted, labels = (check_labels(each, (len(labels), classes)) for each in (predicted, labels))
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(matrix: Array) -> tuple[ClassFigures, ...]:
    """Return precision, recall and F1 of each class, from a confusion matrix of (classes, classes) integers >= 0."""
    matrix = as_array("confusion matrix", matrix, "iu", "integers")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or (matrix.size and matrix.min() < 0):
        raise UsageError("confusion matrix", expected="shape (classes, classes), counts", found=f"shape {matrix.shape}")
    figures = []
    for correct, images, predicted in zip(matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True):
        precision, recall = correct / max(predicted, 1), correct / max(images, 1)
        f1 = 2 * correct / max(images + predicted, 1)
        figures.append(ClassFigures(int(images), float(precision), float(recall), float(f1)))
    return tuple(figures)


def _vector(name: str, given: Any) -> Array:
    vector = as_array(f"{name} are not integers", given, "iu", "an integer dtype, shape (n,)")
    if vector.ndim != 1:
        raise UsageError(name, expected="shape (n,)", found=vector.shape)
    return vector


@calm
def dead_units(
    params: Params, x: Any, *, activation: str | Activation = "relu", kernels: Kernels = NUMPY
) -> tuple[tuple[int, int], ...]:
    """Return (dead, units) of each hidden layer: dead units output 0 for every row of `x` (n, inputs) and cannot learn.

    Rows are read only until every unit has been active. Raises as `forward` does.
    """
    params = check_params(params)
    return dead_units_in(params, _growing(check_input(x, params)), activation=activation, kernels=kernels)


@calm
def dead_units_in(
    params: Params, batches: Iterable[Any], *, activation: str | Activation = "relu", kernels: Kernels = NUMPY
) -> tuple[tuple[int, int], ...]:
    """Return what `dead_units` does, of rows that come in batches, no more of which are read than needed."""
    params = check_params(params)
    dead = [np.ones(layer.b.size, bool) for layer in params.layers[:-1]]
    if dead:
        for x in batches:
            rows = forward(params, x, activation=activation, kernels=kernels)
            dead = [each & ~rows.a[number].any(axis=0) for number, each in enumerate(dead, 1)]
            if not any(each.any() for each in dead):
                break
    return tuple((int(each.sum()), each.size) for each in dead)


def _growing(x: Array) -> Iterator[Array]:
    """Yield the rows of `x`, a few at first and then more at a time."""
    first, last = 0, FEW
    while first < len(x):
        yield x[first:last]
        first, last = last, last + min(last, CHUNK)
