"""L-BFGS: the minimum that scikit-learn finds, and nothing changed on the way."""

import math

import numpy as np
import pytest

import fnnet
from fnnet import data, lbfgs, metrics
from fnnet.errors import DivergedError, UsageError
from fnnet.network import Examples
from fnnet.params import Layer, Params, weights_sha256
from tests.tolerance import assert_loss


def blobs(n=60, inputs=5, classes=3, dtype=np.float64):
    draw = np.random.default_rng(n)
    labels = draw.integers(0, classes, n)
    return Examples((draw.standard_normal((n, inputs)) + np.eye(classes, inputs)[labels]).astype(dtype), labels)


def objective(params, examples, l2):
    squares = sum(float((layer.W.astype(np.float64) ** 2).sum()) for layer in params.layers)
    return fnnet.loss(params, *examples) + l2 / 2 * squares


def test_the_minimum_is_scikit_learn_s(kernels):
    """Softmax regression on the bundled digits has one minimum. l2 is 1 / (C n): scikit-learn sums over the images."""
    from sklearn.linear_model import LogisticRegression

    x, labels = (part[:400] for part in data.load("digits").train)
    x, l2 = x[:, ::3] / 255, 0.1
    theirs = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-6, max_iter=1000).fit(x, labels)
    wanted = Params((Layer(theirs.coef_.T.copy(), theirs.intercept_),))
    start = fnnet.init((x.shape[1], 10), 0, dtype=np.float64)
    found, history = lbfgs.minimise(start, Examples(x, labels), iterations=500, l2=l2, kernels=kernels)
    assert history[-1] == pytest.approx(objective(found, (x, labels), l2), rel=1e-12)
    assert history[-1] == pytest.approx(objective(wanted, (x, labels), l2), abs=1e-6)
    assert history[-1] <= objective(wanted, (x, labels), l2) + 1e-9
    np.testing.assert_allclose(found.layers[0].W, wanted.layers[0].W, atol=1e-3)
    assert len(history) < 500


def test_a_hidden_layer_learns_and_every_iteration_goes_down():
    examples, told = blobs(), []
    start = fnnet.init((5, 8, 3), 0, dtype=np.float64)
    found, history = lbfgs.minimise(start, examples, iterations=40, on_iteration=lambda *each: told.append(each))
    assert told == list(enumerate(history, 1))
    assert len(history) == 40
    assert (np.diff(history) < 0).all()
    assert history[-1] < fnnet.loss(start, *examples) / 5
    assert metrics.evaluate(found, *examples).accuracy > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_in_and_the_given_dtype_out(dtype):
    draw = np.random.default_rng(1)
    x = draw.integers(0, 256, (50, 6), dtype=np.uint8)
    labels = (x[:, 0] > 127).astype(np.int64)
    start = fnnet.init((6, 2), 0, dtype=dtype)
    found, history = lbfgs.minimise(start, Examples(x, labels), iterations=30, l2=1e-3)
    for layer in found.layers:
        for each in layer:
            assert each.dtype == dtype
            assert not each.flags.writeable
    assert_loss(objective(found, (x, labels), 1e-3), history[-1], 2, 50, dtype)


def test_arguments_stay_and_the_same_arguments_give_the_same_bits():
    examples, start = blobs(), fnnet.init((5, 4, 3), 3)
    before = weights_sha256(start), examples.x.tobytes(), examples.labels.tobytes()
    hashes = {weights_sha256(lbfgs.minimise(start, examples, iterations=9)[0]) for _ in range(2)}
    assert len(hashes) == 1
    assert before == (weights_sha256(start), examples.x.tobytes(), examples.labels.tobytes())
    assert weights_sha256(start) not in hashes


def test_flat_and_back():
    params = fnnet.init((4, 3, 2), 5, scheme="notebook")
    flat = lbfgs.flatten(params)
    assert flat.shape == (3 * 5 + 2 * 4,)
    assert flat.dtype == np.float64
    assert flat[4 * 3 : 4 * 3 + 3].tolist() == params.layers[0].b.tolist()
    assert weights_sha256(lbfgs.unflatten(flat, (4, 3, 2), np.float32)) == weights_sha256(params)


def test_iterations_are_a_limit():
    assert len(lbfgs.minimise(fnnet.init((5, 4, 3), 3), blobs(), iterations=1)[1]) == 1


def test_a_loss_that_is_not_finite_ends_it():
    examples = blobs()
    examples.x[7, 2] = math.inf
    with pytest.raises(DivergedError, match=r"iteration 1: training diverged; expected a finite loss"):
        lbfgs.minimise(fnnet.init((5, 4, 3), 3), examples, iterations=5)
    start = fnnet.init((5, 4, 3), 3, dtype=np.float64)
    huge = Params(tuple(Layer(1e200 * W, b) for W, b in start.layers))
    with pytest.raises(DivergedError):
        lbfgs.minimise(huge, blobs(), iterations=5)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"iterations": 0}, "iterations out of range; expected an integer >= 1, found 0"),
        ({"iterations": 1.5}, "iterations is not an integer"),
        ({"l2": -1.0}, "l2 out of range; expected a finite number >= 0, found -1.0"),
        ({"l2": math.nan}, "l2 out of range"),
        ({"activation": "sign"}, "unknown activation"),
    ],
)
def test_bad_figures(options, fault):
    with pytest.raises(UsageError, match=fault):
        lbfgs.minimise(fnnet.init((5, 3), 0), blobs(), **{"iterations": 5, **options})


def test_labels_are_checked():
    examples = blobs()
    with pytest.raises(UsageError, match="0 to 1, found 2"):
        lbfgs.minimise(fnnet.init((5, 2), 0), examples, iterations=5)
