"""Blocks of training, and the deformation of images beside them, NumPy beside Numba."""

from functools import partial

import numpy as np
import pytest

import fnnet
from bench.comparison import TRAINING, describe, found_equal
from bench.workloads import random_images
from fnnet.core.state import Examples
from fnnet.training.recipes import DEFORMATION
from tests.tools.tolerance import assert_loss, assert_trained

IMAGES = 2048
OPTIMIZERS = {"SGD": fnnet.SGD, "Adam": fnnet.adam(epsilon=1e-3)}
WORKLOADS = [
    ((784, 10, 10), 64, False, "SGD"),
    ((784, 10, 10), 64, True, "SGD"),
    ((784, 128, 10), 128, False, "SGD"),
    ((784, 128, 10), 128, False, "Adam"),
    ((784, 128, 10), 128, True, "SGD"),
    ((784, 300, 100, 10), 50, False, "SGD"),
    ((784, 800, 10), 128, False, "SGD"),
    ((784, 10, 10), None, False, "SGD"),
]
DEFORM = (TRAINING, "deform the images", "28 x 28")


def row_of(sizes, batch_size, dense, optimizer):
    shape = f"{'-'.join(map(str, sizes))}, {f'batch {batch_size}' if batch_size else 'full batch'}"
    return TRAINING, f"{optimizer}{', dense' * dense}", shape


@pytest.mark.parametrize(("sizes", "batch_size", "dense", "optimizer"), WORKLOADS, ids=str)
def bench_block(sizes, batch_size, dense, optimizer, kernels, benchmark):
    describe(benchmark, *row_of(sizes, batch_size, dense, optimizer))
    examples, chosen = Examples(*random_images(IMAGES, dense)), OPTIMIZERS[optimizer]
    params = fnnet.init(sizes)
    start = fnnet.TrainState(params, chosen.init(params), 0, 0)
    rows = None if batch_size is None else np.random.default_rng(0).permutation(IMAGES)
    block = partial(fnnet.train_block, start, examples, rows, batch_size or IMAGES, 0.01, optimizer=chosen)

    (found, found_loss, _), (wanted, wanted_loss, _) = block(kernels=kernels), block()
    assert_loss(found_loss / IMAGES, wanted_loss / IMAGES, 10, IMAGES)
    assert_trained(found.params, wanted.params, wanted.step)
    found_equal(benchmark)
    benchmark(block, kernels=kernels)


def bench_deform(kernels, benchmark):
    describe(benchmark, *DEFORM)
    deform = partial(
        fnnet.deform, random_images(IMAGES)[0], (28, 28), fnnet.Deformation(**DEFORMATION), seed=0, epoch=1
    )
    np.testing.assert_array_equal(deform(kernels=kernels), deform())
    found_equal(benchmark)
    benchmark(deform, kernels=kernels)
