"""Prediction of one image and of many, on bytes like MNIST's and on dense floats, NumPy beside Numba."""

import numpy as np
import pytest
from scipy.special import logsumexp

import fnnet
from bench.comparison import PREDICTION, describe, found_equal
from bench.workloads import random_images
from tests.tools.tolerance import assert_loss

WORKLOADS = [(1, 10, False), (1, 128, False), (10_000, 10, False), (10_000, 128, False), (10_000, 128, True)]
CLEAR = 1e-3
"""Classes whose scores differ by less may change places by rounding."""


def row_of(count, hidden, dense):
    return PREDICTION, f"{count:,} image{'s' * (count > 1)}{', dense' * dense}", f"784-{hidden}-10"


@pytest.mark.parametrize(("count", "hidden", "dense"), WORKLOADS, ids=str)
def bench_predict(count, hidden, dense, kernels, benchmark):
    describe(benchmark, *row_of(count, hidden, dense))
    params, (x, labels) = fnnet.init((784, hidden, 10)), random_images(count, dense)
    predict = fnnet.predictor(params, kernels=kernels)
    found, wanted = fnnet.scores(params, x, kernels=kernels), fnnet.scores(params, x)
    assert_loss(mean_loss(found, labels), mean_loss(wanted, labels), 10, count)
    second, first = np.sort(wanted, axis=1)[:, -2:].T
    clear = first - second > CLEAR
    assert (predict(x) == wanted.argmax(axis=1))[clear].all()
    found_equal(benchmark)
    benchmark(predict, x)


def mean_loss(scores, labels):
    return np.mean(logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels])
