"""Integers of any length and fractions next to the bounds of a range: an error of ours, or the number as it counts."""

from fractions import Fraction

import numpy as np
import pytest

import fnnet
from fnnet.core.checks import check_label_smoothing, check_share
from fnnet.errors import UsageError

HUGE = 10**5000
PARAMS = fnnet.init((4, 3, 2), 1)
X = np.ones((1, 4), np.float32)
TAKERS = {
    "a size": lambda given: fnnet.init((4, given), 1),
    "one size": lambda given: fnnet.init((given,), 1),
    "sizes": lambda given: fnnet.init(given, 1),
    "seed": lambda given: fnnet.init((4, 3), given),
    "scheme": lambda given: fnnet.init((4, 3), 1, scheme=given),
    "dtype": lambda given: fnnet.init((4, 3), 1, dtype=given),
    "threads": lambda given: fnnet.load_kernels("numba", threads=given),
    "name of kernels": fnnet.load_kernels,
    "activation": lambda given: fnnet.forward(PARAMS, X, activation=given),
    "kernels": lambda given: fnnet.forward(PARAMS, X, kernels=given),
    "clipped": lambda given: fnnet.clipped(fnnet.sgd(), given),
    "step": lambda given: fnnet.check_gradient(lambda x: x.sum(), np.ones(2), np.ones(2), step=given),
}


@pytest.mark.parametrize("given", [HUGE, -HUGE, [HUGE], (HUGE, [-HUGE]), {HUGE}, Fraction(1, HUGE)], ids="abcdef")
@pytest.mark.parametrize("name", TAKERS)
def test_huge_integers_are_refused_in_a_short_line(name, given):
    with pytest.raises(UsageError) as caught:
        TAKERS[name](given)
    assert len(str(caught.value)) < 400


ROUNDED = {
    "momentum": lambda: fnnet.momentum(Fraction(10**20 - 1, 10**20)),
    "label smoothing": lambda: check_label_smoothing(Fraction(10**20 - 1, 10**20)),
    "clipped": lambda: fnnet.clipped(fnnet.sgd(), Fraction(1, 10**400)),
    "step": lambda: TAKERS["step"](Fraction(1, 10**400)),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_fractions_that_are_out_of_range_as_floats_are_refused(name):
    with pytest.raises(UsageError, match="out of range"):
        ROUNDED[name]()


def test_fractions_in_range_are_taken():
    assert check_share("momentum", Fraction(9, 10)) == 0.9


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array, lambda count: np.array([count])])
def test_threads_are_a_count_like_others(kind):
    assert fnnet.load_kernels("numpy", threads=kind(1)).name == "numpy"
    assert fnnet.kernels.check_threads(kind(3)) == 3
