"""Whole operations of the network on MNIST-like bytes, NumPy beside Numba; equality first, then time."""

import numpy as np
import pytest

import fnnet
from fnnet import train
from fnnet.kernels import NUMPY
from fnnet.network import Examples
from tests.tolerance import assert_loss


def bytes_like_mnist(n):
    """Random bytes of which 81% are zero, and random labels."""
    rng = np.random.default_rng(n)
    x = rng.integers(0, 256, (n, 784)).astype(np.uint8)
    x[rng.random(x.shape) < 0.81] = 0
    return Examples(x, rng.integers(0, 10, n))


@pytest.mark.parametrize("images", [1, 10_000])
@pytest.mark.parametrize("hidden", [10, 128])
def bench_predict(images, hidden, kernels, benchmark):
    benchmark.group = f"predict {images} images, 784-{hidden}-10"
    params, (x, labels) = fnnet.init((784, hidden, 10)), bytes_like_mnist(images)
    assert_loss(fnnet.loss(params, x, labels, kernels=kernels), fnnet.loss(params, x, labels), 10, images)
    benchmark(fnnet.predict, params, x, kernels=kernels)


@pytest.mark.parametrize(
    ("hidden", "images", "batch_size"), [(10, 6400, 64), (128, 6400, 128), (10, 4100, None)], ids=str
)
def bench_epoch(hidden, images, batch_size, kernels, benchmark):
    benchmark.group = f"epoch of {images} images, 784-{hidden}-10, batch {batch_size or 'full'}"
    examples, plan = bytes_like_mnist(images), train.Plan(1, batch_size, 0.1)
    start = train.start(fnnet.init((784, hidden, 10)), 0)

    def epoch(kernels):
        return next(train.epochs(start, examples, plan, kernels=kernels))[1]

    assert_loss(epoch(kernels).train_loss, epoch(NUMPY).train_loss, 10, images)
    benchmark.pedantic(epoch, args=(kernels,), rounds=5, warmup_rounds=1)
