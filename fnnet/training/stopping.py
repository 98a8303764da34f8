"""Early stopping: pure functions of the dev losses reported so far, first report first.

For a figure that is to grow, such as accuracy, pass its negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fnnet.core.checks import check_count, check_numbers


def best_epoch(losses: Sequence[float]) -> int | None:
    """Return the index of the smallest loss, the earliest of equal ones, NaN ignored; None if there is none."""
    losses = check_numbers("losses", losses)
    known = [index for index, loss in enumerate(losses) if not math.isnan(loss)]
    return min(known, key=lambda index: losses[index], default=None)


def is_over(losses: Sequence[float], patience: int) -> bool:
    """True if `patience` or more reports have come since the best, or in all if none was a number.

    As in Keras; scikit-learn stops one epoch later, and asks for an improvement by its tol.

    Raises   UsageError unless patience >= 1.
    """
    patience, best = check_count("patience", patience, 1), best_epoch(losses)
    return len(losses) - (0 if best is None else best + 1) >= patience
