"""Early stopping: which report is the best, and when it is over."""

import math

import pytest

from fnnet.errors import UsageError
from fnnet.training.stopping import best_epoch, is_over

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([], None),
        ([NAN, NAN], None),
        ([3.0], 0),
        ([3.0, 2.0, 2.5], 1),
        ([3.0, 2.0, 1.0, 2.0, 1.0], 2),  # of equals the earliest
        ([NAN, 3.0, NAN, 2.0, NAN], 3),
        ([3.0, NAN], 0),
        ([INF, INF], 0),
        ([INF, 5.0], 1),
    ],
)
def test_best(losses, best):
    assert best_epoch(losses) == best


@pytest.mark.parametrize(
    ("losses", "over"),
    [
        ([], False),
        ([3.0], False),
        ([3.0, 3.1], False),
        ([3.0, 3.1, 3.2], True),
        ([3.0, 3.0, 3.0], True),  # as good is not better
        ([3.0, 3.1, 2.9], False),
        ([3.0, 3.1, 2.9, 3.0], False),
        ([3.0, 3.1, 2.9, 3.0, 3.0], True),
        ([3.0, NAN, NAN], True),
        ([NAN], False),
        ([NAN, NAN], True),
        ([NAN, 3.0, 3.1], False),
    ],
)
def test_two_reports_without_a_better_one_end_it(losses, over):
    assert is_over(losses, 2) is over


def test_losses_that_go_down_never_end_it():
    assert not any(is_over([1 / n for n in range(1, length)], 1) for length in range(1, 50))


@pytest.mark.parametrize("patience", [0, -1, 1.5, None])
def test_bad_patience(patience):
    with pytest.raises(UsageError, match="patience"):
        is_over([1.0], patience)
