"""How good the answers are: loss, accuracy, confusion, per-class figures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fnnet.errors import UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.network import check_labels, scores
from fnnet.params import Array, Params, freeze


class Evaluation(NamedTuple):
    """The answers to a set of labelled images.

    loss      mean cross-entropy, nats.
    accuracy  share of right answers, 0 to 1.
    answers   most probable class of each image, int64 (n,).
    """

    loss: float
    accuracy: float
    answers: Array


class ClassFigures(NamedTuple):
    """One class: how many images bear its label, and precision, recall and F1 (0 where undefined)."""

    images: int
    precision: float
    recall: float
    f1: float


def evaluate(
    params: Params, x: Array, labels: Array, *, activation: str = "relu", kernels: Kernels = NUMPY
) -> Evaluation:
    """Loss, accuracy and answers over `x` (n, inputs), `labels` (n,).

    Raises   UsageError for no rows, or as `forward` does.
    """
    labels = check_labels(labels, (len(x), params.layers[-1].W.shape[1]))
    if not len(x):
        raise UsageError("x is empty", expected="at least 1 row", found="0 rows")
    logits = scores(params, x, activation=activation, kernels=kernels)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = kernels.cross_entropy(logits, labels)[0]
    answer = freeze(logits.argmax(axis=1))
    return Evaluation(loss, accuracy(answer, labels), answer)


def accuracy(answers: Array, labels: Array) -> float:
    """Share of `answers` (n,) equal to `labels` (n,), 0 to 1."""
    return int(np.count_nonzero(answers == labels)) / len(labels)


def confusion(answers: Array, labels: Array, classes: int) -> Array:
    """int64 (classes, classes): entry [i, j] counts the images of class i answered as class j."""
    return np.bincount(labels.astype(np.int64) * classes + answers, minlength=classes**2).reshape(classes, classes)


def per_class(matrix: Array) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class from a confusion matrix."""
    figures = []
    for right, images, answered in zip(matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True):
        precision, recall = right / max(answered, 1), right / max(images, 1)
        f1 = 2 * right / max(images + answered, 1)
        figures.append(ClassFigures(int(images), float(precision), float(recall), float(f1)))
    return tuple(figures)
