"""The block trainer and inference on MNIST-like bytes and on dense floats, NumPy beside compiled; equality first."""

import numpy as np
import pytest

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY
from fnnet.training import steps
from tests.tools.tolerance import assert_loss, assert_trained


def images(n, kind):
    """Random bytes of which 81% are zero, or random floats, and random labels."""
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 10, n)
    if kind == "dense":
        return Examples(rng.random((n, 784), dtype=np.float32), labels)
    x = rng.integers(0, 256, (n, 784)).astype(np.uint8)
    x[rng.random(x.shape) < 0.81] = 0
    return Examples(x, labels)


@pytest.mark.parametrize("count", [1, 10_000])
@pytest.mark.parametrize("hidden", [10, 128])
@pytest.mark.parametrize("kind", ["bytes", "dense"])
def bench_predict(kind, count, hidden, kernels, benchmark):
    benchmark.group = f"predict {count} images ({kind}), 784-{hidden}-10"
    params, (x, labels) = fnnet.init((784, hidden, 10)), images(count, kind)
    found, wanted = (NUMPY.cross_entropy(fnnet.scores(params, x, kernels=each), labels) for each in (kernels, NUMPY))
    assert_loss(found, wanted, 10, count)
    benchmark(fnnet.predictor(params, kernels=kernels), x)


WORKS = [
    ((784, 10, 10), 64, "bytes", "sgd"),
    ((784, 10, 10), 64, "dense", "sgd"),
    ((784, 128, 10), 128, "bytes", "sgd"),
    ((784, 128, 10), 128, "bytes", "nesterov"),
    ((784, 128, 10), 128, "bytes", "adam"),
    ((784, 128, 10), 128, "dense", "sgd"),
    ((784, 300, 100, 10), 50, "bytes", "sgd"),
    ((784, 10, 10), None, "bytes", "sgd"),
]
OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "nesterov": optimizers.momentum(nesterov=True),
    "adam": optimizers.adam(epsilon=1e-3),
}


@pytest.mark.parametrize(("sizes", "batch_size", "kind", "optimizer"), WORKS, ids=str)
def bench_block(sizes, batch_size, kind, optimizer, kernels, benchmark):
    n = 1600
    shape = "-".join(map(str, sizes))
    benchmark.group = f"{n} images ({kind}) of training, {shape}, {optimizer}, batch {batch_size or 'full'}"
    examples, chosen = images(n, kind), OPTIMIZERS[optimizer]
    start = steps.start(fnnet.init(sizes), 0, optimizer=chosen)
    rows = None if batch_size is None else np.random.default_rng(0).permutation(n)

    def block(kernels):
        return fnnet.train_block(start, examples, rows, batch_size or n, 0.01, optimizer=chosen, kernels=kernels)

    (found, found_loss, _), (wanted, wanted_loss, _) = block(kernels), block(NUMPY)
    assert_loss(found_loss / n, wanted_loss / n, 10, n)
    assert_trained(found.params, wanted.params, wanted.step)
    benchmark.pedantic(block, args=(kernels,), rounds=5, warmup_rounds=1)
