"""What was measured of a model on images, as words and as JSON values."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from fnnet.core.judging import Mistake, Tally, calibration, wilson
from fnnet.core.metrics import ClassFigures, per_class
from fnnet.core.params import Array

FileOf = Callable[[int], str | None]
"""Returns the file of an image by its number; None where images have no files of their own."""


def interval_text(correct: int, images: int) -> str:
    """Return the 95% confidence interval of a share; "" of no images.

    >>> interval_text(9753, 10000), interval_text(0, 0)
    ('97.21% to 97.82%', '')
    """
    if not images:
        return ""
    low, high = wilson(correct, images)
    return f"{low:.2%} to {high:.2%}"


def figures_text(matrix: Array, number: int, row: ClassFigures) -> tuple[str, str, str]:
    """Return recall, precision and F1 of a class, "" for a share of nothing.

    >>> import numpy as np
    >>> matrix = np.array([[3, 1], [0, 0]])
    >>> figures_text(matrix, 1, per_class(matrix)[1])
    ('', '0.00%', '')
    """
    return (
        f"{row.recall:.2%}" if row.images else "",
        f"{row.precision:.2%}" if matrix[:, number].any() else "",
        f"{row.f1:.2%}" if row.images else "",
    )


def classes_json(matrix: Array, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of each class; `recall_interval` is None of a class without images."""
    return [
        {"class": name, **row._asdict(), "recall_interval": wilson(int(correct), row.images) if row.images else None}
        for name, row, correct in zip(classes, per_class(matrix), matrix.diagonal(), strict=True)
    ]


def mistakes_json(tally: Tally, classes: Sequence[str], file_of: FileOf) -> list[dict[str, Any]]:
    """Return the worst mistakes, the worst first."""
    return [
        {
            "index": each.row,
            "file": file_of(each.row),
            "label": classes[each.label],
            "predicted": classes[each.predicted],
            "probability": each.probability,
            "label_probability": each.label_probability,
            "loss": each.loss,
        }
        for each in tally.mistakes
    ]


def calibration_json(tally: Tally) -> dict[str, Any]:
    """Return the calibration; what a bin without images has is NaN."""
    found = calibration(tally)
    return {"expected_calibration_error": found.error, "bins": [each._asdict() for each in found.bins]}


def mistake_name(mistake: Mistake, file_of: FileOf, folder: str) -> str:
    """Return what an image is called: its file, from the folder of the data on, or its number.

    >>> from fnnet.core.judging import Mistake
    >>> mistake = Mistake(7, 0, 1, 0.9, 0.1, 2.3, None)
    >>> mistake_name(mistake, lambda index: "shapes/test/a/3.png", "shapes"), mistake_name(mistake, lambda _: None, "")
    ('test/a/3.png', '7')
    """
    file = file_of(mistake.row)
    if file is None:
        return f"{mistake.row:,}"
    return file.removeprefix(os.path.join(folder, "")) if folder else file


def probability_text(p: float) -> str:
    """Return a probability as a percentage, a small one with two digits.

    >>> probability_text(0.1234), probability_text(3.21e-8), probability_text(0.0)
    ('12.34%', '3.2e-08', '0')
    """
    return f"{p:.2%}" if p >= 1e-4 else f"{p:.2g}"


def bin_name(low: float, high: float) -> str:
    """Return a bin of confidence in words.

    >>> bin_name(0.9, 1.0)
    '90 to 100%'
    """
    return f"{100 * low:.0f} to {100 * high:.0f}%"
