"""Cross-validation: the images for training cut into folds, each of which is held out once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fnnet.core import rng
from fnnet.core.checks import check_count
from fnnet.core.params import Array, freeze
from fnnet.core.state import Examples
from fnnet.errors import UsageError


def fold_numbers(labels: Array, folds: int, seed: int = 0) -> Array:
    """Return the fold of each image, int64 (n,) in [0, `folds`), drawn by the seed.

    Folds differ by at most one image, in all and of each class.

    labels   classes of the images, (n,) int.
    Raises   UsageError unless there are 2 to n folds.

    >>> import numpy as np
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1])
    >>> found = fold_numbers(labels, 2)
    >>> np.bincount(found).tolist(), np.bincount(found[labels == 0]).tolist()
    ([4, 3], [2, 2])
    """
    n = len(labels)
    folds = check_count("folds", folds, 2)
    if folds > n:
        raise UsageError("more folds than images", where="folds", expected=f"2 to {n}", found=folds)
    order = rng.order(seed, "split", n)
    numbers = np.empty(n, np.int64)
    # Dealt out class after class.
    numbers[order[np.argsort(labels[order], kind="stable")]] = np.arange(n) % folds
    return freeze(numbers)


def cut(examples: Examples, folds: int, seed: int = 0) -> Iterator[tuple[Examples, Examples]]:
    """Yield, for each fold, the images to train on and those held out, in their order.

    >>> from fnnet import data
    >>> [(len(train.labels), len(held.labels)) for train, held in cut(data.load("digits").train, 4)]
    [(1077, 360), (1078, 359), (1078, 359), (1078, 359)]
    """
    numbers = fold_numbers(examples.labels, folds, seed)

    def part(rows: Any) -> Examples:
        return Examples(freeze(examples.x[rows]), freeze(examples.labels[rows]))

    for number in range(folds):
        yield part(numbers != number), part(numbers == number)
