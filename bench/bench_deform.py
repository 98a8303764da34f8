"""Deformation of images, equality first, beside the epoch that it is part of."""

from functools import partial

import numpy as np

import fnnet
from bench.bench_network import images
from fnnet.core.deform import Deformation
from fnnet.core.table import NUMPY
from fnnet.training import recipes, steps

IMAGES = 2048
DEFORMATION = Deformation(**recipes.DEFORMATION)


def bench_deform(kernels, benchmark):
    benchmark.group = f"deform {IMAGES} images"
    x = images(IMAGES, "bytes").x

    deform = partial(fnnet.deform, x, (28, 28), DEFORMATION, seed=0, epoch=1, kernels=kernels)
    np.testing.assert_array_equal(deform(), deform(kernels=NUMPY))
    benchmark.pedantic(deform, rounds=5, warmup_rounds=1)


def bench_epoch_beside(kernels, benchmark):
    """What the deformation is measured against: as many images through an epoch of 784-800-10."""
    benchmark.group = f"deform {IMAGES} images"
    examples, rows = images(IMAGES, "bytes"), np.random.default_rng(0).permutation(IMAGES)
    start = steps.start(fnnet.init((784, 800, 10)), 0)
    benchmark.pedantic(
        steps.train_block,
        args=(start, examples, rows, 128, 0.05),
        kwargs={"kernels": kernels},
        rounds=5,
        warmup_rounds=1,
    )
