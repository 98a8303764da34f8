"""What is known of predictions beside their number: the interval of a share, calibration, the worst mistakes.

A tally is made of some images and merged with those of others, so that no more of them need be in memory.

>>> import numpy as np
>>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
>>> found = tally(np.zeros((3, 4)), np.array([0, 1, 1]), logits, most=5)
>>> [(each.row, each.predicted, round(each.probability, 3)) for each in found.mistakes]
[(1, 0, 0.8)]
>>> [(each.images, round(each.confidence, 3), each.accuracy) for each in calibration(found).bins if each.images]
[(1, 0.7, 1.0), (1, 0.8, 0.0), (1, 0.9, 1.0)]
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.checks import check_count
from fnnet.core.params import Array, freeze
from fnnet.errors import UsageError

BINS: Final = 10
"""Bins of confidence, each as wide as the others and closed on the right; 1 is in the last."""
NORMAL_QUANTILE: Final = 1.959963984540054
"""Of 0.975: 95% of a normal distribution lie within this many standard deviations of its mean."""
ROWS: Final = 2**14
"""Rows whose probabilities are in memory at a time."""


class Mistake(NamedTuple):
    """An image whose predicted class is not its label.

    row          its number, from 0.
    label, predicted   numbers of classes.
    probability, label_probability   of the predicted class, and of that of the label.
    loss         the cross-entropy of the label, nats: the larger, the worse.
    image        its row (inputs,).
    """

    row: int
    label: int
    predicted: int
    probability: float
    label_probability: float
    loss: float
    image: Array


class Tally(NamedTuple):
    """What is counted of some images.

    bins       float64 (3, BINS): the images in each bin of confidence, the sum of their confidences, the correct ones.
    mistakes   the worst, those of the largest loss first.
    """

    bins: Array
    mistakes: tuple[Mistake, ...]


class Bin(NamedTuple):
    """The images whose confidence, the probability of the predicted class, is above `low` and at most `high`.

    confidence, accuracy   their means; NaN without images.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


class Calibration(NamedTuple):
    """How far probabilities agree with shares: of images predicted at 0.8, 0.8 should be correct.

    error   the expected calibration error: the mean of |accuracy - confidence| over the bins, each weighted by its
            images (Naeini et al. 2015, Guo et al. 2017).
    """

    error: float
    bins: tuple[Bin, ...]


EMPTY: Final = Tally(freeze(np.zeros((3, BINS))), ())


def wilson(correct: int, images: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share, `correct` of `images`, by Wilson's score (1927).

    It stays within 0 and 1, and has a width where all or none are correct.
    Raises   UsageError unless 0 <= correct <= images and there is an image.

    >>> [round(end, 5) for end in wilson(9990, 10000)], wilson(10, 10)[1]
    ([0.99816, 0.99946], 1.0)
    """
    images = check_count("images", images, 1)
    correct = check_count("correct", correct, 0, images)
    z2 = NORMAL_QUANTILE**2
    share, scale = correct / images, 1 / (1 + z2 / images)
    middle = scale * (share + z2 / (2 * images))
    half = scale * NORMAL_QUANTILE * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    low = 0.0 if correct == 0 else middle - half
    return low, 1.0 if correct == images else middle + half


def tally(x: Array, labels: Array, logits: Array, *, first: int = 0, most: int = 0) -> Tally:
    """Return the tally of images.

    x        (n, inputs): rows are kept of mistakes alone.
    labels   classes (n,).
    logits   (n, classes).
    first    the number of the first image.
    most     mistakes to keep.
    """
    found = EMPTY
    for at in range(0, len(labels), ROWS):
        rows = slice(at, at + ROWS)
        found = merged(found, _tally(x[rows], labels[rows], logits[rows], first + at, most), most)
    return found


def merged(one: Tally, other: Tally, most: int) -> Tally:
    """Return the tally of the images of two; `most` mistakes are kept."""
    mistakes = sorted(one.mistakes + other.mistakes, key=lambda each: (-each.loss, each.row))
    return Tally(freeze(one.bins + other.bins), tuple(mistakes[:most]))


def _tally(x: Array, labels: Array, logits: Array, first: int, most: int) -> Tally:
    rows, predicted = np.arange(len(labels)), logits.argmax(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1)
        losses = np.log(total) - shifted[rows, labels]
    confidence, correct = 1 / total, predicted == labels
    edges = np.arange(1, BINS + 1) / BINS
    at = np.minimum(np.searchsorted(edges, confidence), BINS - 1)
    weights = (None, confidence, correct.astype(np.float64))
    bins = np.stack([np.bincount(at, each, BINS).astype(np.float64) for each in weights])
    wrong = rows[~correct]
    worst = wrong[np.lexsort((wrong, -losses[wrong]))][:most].tolist()
    mistakes = [
        Mistake(
            first + row, int(labels[row]), int(predicted[row]), float(confidence[row]), math.exp(-losses[row]),
            float(losses[row]), freeze(x[row].copy()),
        )
        for row in worst
    ]  # fmt: skip
    return Tally(freeze(bins), tuple(mistakes))


def calibration(found: Tally) -> Calibration:
    """Return the calibration of the images of a tally.

    Raises   UsageError for a tally of none.
    """
    counts, confidences, correct = found.bins
    images = counts.sum()
    if not images:
        raise UsageError("no images", expected="a tally of at least one", found="none")
    error = float(abs(correct - confidences).sum() / images)
    bins = []
    for number, (count, confidence, right) in enumerate(zip(counts, confidences, correct, strict=True)):
        means = (float(confidence / count), float(right / count)) if count else (math.nan, math.nan)
        bins.append(Bin(number / BINS, (number + 1) / BINS, int(count), *means))
    return Calibration(error, tuple(bins))
