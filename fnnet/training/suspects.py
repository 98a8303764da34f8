"""Labels that may be wrong: images whose label networks doubt that were trained on other images of the same data.

The images are cut into k folds; for each a network of the same recipe is trained on the others and gives the
probabilities of its images. A label is suspected where another class is at least as probable as it is on average for
the images of that class, and more probable than the label (confident learning: Northcutt, Jiang and Chuang 2021).

>>> import numpy as np
>>> from fnnet import data
>>> digits = data.load("digits")
>>> labels = digits.train.labels.copy()
>>> labels[7] = (labels[7] + 1) % 10
>>> spoilt = digits._replace(train=digits.train._replace(labels=labels))
>>> found = find_suspects(spoilt, "classic", {"hidden": (32,), "epochs": 8, "learning_rate": 0.2}, folds=3)
>>> 7 in found.rows[:20], found.suggested[found.rows == 7].tolist() == [int(digits.train.labels[7])]
(True, True)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fnnet.core.checks import check_count
from fnnet.core.params import Array, freeze
from fnnet.core.public import scores
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels
from fnnet.data import Dataset
from fnnet.data.corrections import DATA, digest_of_labels
from fnnet.errors import DivergedError, UsageError
from fnnet.training import folds as folding
from fnnet.training import session
from fnnet.training.many import train_apart
from fnnet.training.recipes import Recipe
from fnnet.training.session import OnBlock


class Suspects(NamedTuple):
    """What is found of images for training.

    probs       float64 (n, classes): of each image by the network that was not trained on it.
    rows        the numbers of the suspected images, int64 (m,), the most doubtful first.
    suggested   the class of each in place of its label, int64 (m,).
    accuracy    fraction of all images whose label is the most probable class.
    """

    probs: Array
    rows: Array
    suggested: Array
    accuracy: float


def find_suspects(
    dataset: Dataset,
    recipe: str | Recipe = "classic",
    settings: Mapping[str, Any] | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    class_weights: Any = None,
    kernels: Kernels = NUMPY,
    on_block: OnBlock = lambda progress: None,
    during: AbstractContextManager[Any] | None = None,
) -> Suspects:
    """Return the images for training whose label k-fold networks doubt.

    folds   of the images, drawn by class: as many networks are trained. The other arguments are those of `train_many`.
    Raises   UsageError for a stream, a committee, or fewer than two folds; DivergedError for a network that diverges.
    """
    given: Any = dataset
    if not isinstance(given, Dataset):
        fix = "give pictures, a table or arrays"
        raise UsageError(
            "reads all images at once", where="data", expected="images in memory", found="a stream", fix=fix
        )
    folds, train = check_count("folds", folds, 2), dataset.train
    numbers = folding.fold_numbers(train.labels, folds, seed)
    options = {"seed": seed, "class_weights": class_weights}
    makers = [
        partial(_job, dataset, numbers != fold, recipe, {} if settings is None else settings, options)
        for fold in range(folds)
    ]
    found = train_apart(makers, kernels=kernels, on_block=on_block, during=during)
    probs = np.zeros((len(train.labels), len(dataset.classes)))
    for fold, trained in enumerate(found.networks):
        if isinstance(trained, DivergedError):
            raise trained
        held = numbers == fold
        probs[held] = kernels.softmax(scores(trained.model, train.x[held], kernels=kernels))
    rows, suggested = doubted(probs, train.labels)
    accuracy = float((probs.argmax(axis=1) == train.labels).mean())
    return Suspects(freeze(probs), rows, suggested, accuracy)


def _job(
    dataset: Dataset, rows: Array, recipe: str | Recipe, settings: Mapping[str, Any], given: Mapping[str, Any]
) -> session.Job:
    """Return the job of training on some of the images, without a test."""
    part = Examples(freeze(dataset.train.x[rows]), freeze(dataset.train.labels[rows]))
    return session.prepare(dataset._replace(train=part, test=None, files=((), ())), recipe, settings, **given)


def doubted(probs: Array, labels: Array) -> tuple[Array, Array]:
    """Return the suspected images and the class suggested for each, the most doubtful first, int64 (m,).

    probs    (n, classes), by networks that have not seen the image.
    labels   classes (n,).

    >>> probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]])
    >>> rows, suggested = doubted(probs, np.array([0, 0, 1, 1]))
    >>> rows.tolist(), suggested.tolist()
    ([3], [0])
    """
    classes, everywhere = probs.shape[1], np.arange(len(labels))
    counts = np.bincount(labels, minlength=classes)
    own = probs[everywhere, labels]
    sums = np.bincount(labels, own, classes)
    usual = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    likely = np.where(probs >= usual, probs, -1.0)
    other = likely.argmax(axis=1)
    margin = likely[everywhere, other] - own
    rows = np.flatnonzero((other != labels) & (margin > 0))
    rows = rows[np.argsort(-margin[rows], kind="stable")]
    return freeze(rows), freeze(other[rows])


def rows_of_table(found: Suspects, dataset: Dataset, correction: str) -> Iterator[tuple[str, ...]]:
    """Yield the header and the rows of the table of suspects, which `data.corrections` reads.

    correction   of all: "suggested", or what stands in the column itself, such as "leave-out" or "".
    """
    yield ("file", "index", "label", "suggested", "probability", "label_probability", DATA, "correction")
    files, classes, digest = dataset.files[0], dataset.classes, digest_of_labels(dataset)
    for row, other in zip(found.rows.tolist(), found.suggested.tolist(), strict=True):
        label, likely = int(dataset.train.labels[row]), found.probs[row]
        name, suggested = files[row] if files else "", classes[other]
        says = suggested if correction == "suggested" else correction
        yield (name, str(row), classes[label], suggested, f"{likely[other]:.6f}", f"{likely[label]:.6f}", digest, says)
