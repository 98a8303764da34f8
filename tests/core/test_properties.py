"""What holds for all numbers, tried on many."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import fnnet
from fnnet.core import schedules
from fnnet.core.params import Layer, Params
from fnnet.core.table import NUMPY
from tests.tools import cases
from tests.tools.tolerance import assert_bitwise, assert_loss, assert_probs, assert_stepped

quick = settings(max_examples=40, deadline=None, derandomize=True)
tables = st.sampled_from(["numpy", "numba"])
SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)


def matrices(limit, dtype=np.float64):
    return arrays(dtype, SHAPES, elements=st.floats(-limit, limit, width=32))


def table(name, numba_kernels):
    return NUMPY if name == "numpy" else numba_kernels


@quick
@given(matrices(1e4), st.floats(-1e4, 1e4), tables)
def test_f72_softmax_sums_to_1_and_does_not_see_a_shift(numba_kernels, logits, shift, name):
    kernels, classes = table(name, numba_kernels), logits.shape[1]
    probs = kernels.softmax(logits)
    assert (probs >= 0).all()
    assert_probs(probs.sum(axis=1), np.ones(len(probs)), classes)
    rounded = logits + shift - shift  # what the shift leaves of the scores
    assert_probs(kernels.softmax(rounded + shift), kernels.softmax(rounded), 2**20 * classes)


@quick
@given(matrices(1e4), st.integers(0, 2**32), st.floats(0, 0.9), tables)
def test_f73_f74_cross_entropy_is_not_negative_and_knows_no_order(numba_kernels, logits, seed, smoothing, name):
    kernels, (n, classes) = table(name, numba_kernels), logits.shape
    draw = np.random.default_rng(seed)
    labels, order = draw.integers(0, classes, n), draw.permutation(n)
    loss, dlogits = cases.loss_and_dlogits(kernels, logits, labels, None, smoothing)
    assert loss >= -(2**-50)
    other, turned = cases.loss_and_dlogits(kernels, logits[order], labels[order], None, smoothing)
    assert_loss(other, loss, classes, n, np.float64)
    assert_probs(turned, dlogits[order], classes)
    # The gradient of a row sums to 0: probabilities and targets both sum to 1.
    assert_probs(1 + dlogits.sum(axis=1), np.ones(n), classes)


@quick
@given(matrices(3, np.float32), st.integers(0, 1000), st.integers(1, 20))
def test_f81_a_row_alone_has_the_bits_that_it_has_in_the_batch(numba_kernels, x, seed, hidden):
    params = fnnet.init((x.shape[1], hidden, 3), seed)
    together = fnnet.scores(params, x, kernels=numba_kernels)
    for number, row in enumerate(x):
        assert_bitwise(fnnet.scores(params, row[None], kernels=numba_kernels)[0], together[number])
        assert_bitwise(fnnet.forward(params, row[None], kernels=numba_kernels).logits[0],
                       fnnet.forward(params, x, kernels=numba_kernels).logits[number])  # fmt: skip


@quick
@given(matrices(1e3), st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 2**32), tables)
def test_f80_update_is_linear(numba_kernels, W, one, other, seed, name):
    kernels = table(name, numba_kernels)
    dW = np.random.default_rng(seed).standard_normal(W.shape)
    twice = kernels.update(kernels.update(W, dW, one), dW, other)
    assert_stepped(twice, kernels.update(W, dW, one + other), 1)
    np.testing.assert_array_equal(kernels.update(W, dW, 0.0), W)


@quick
@given(
    st.sampled_from(sorted(schedules.OPTIONS)), st.floats(1e-300, 1e300), st.integers(1, 2**62),
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9),
)  # fmt: skip
def test_f78_f80_rates_are_finite_and_never_above_the_highest(name, rate, total, at):
    with np.errstate(all="raise"):
        rates = schedules.make(name, rate, total)(np.array(at))
    assert np.isfinite(rates).all()
    assert (rates >= 0).all()
    assert (rates <= rate * (1 + 1e-12)).all()


@quick
@given(matrices(2.0**100, np.float32), st.integers(0, 1000), tables)
def test_f71_f80_large_numbers_give_the_same_everywhere(numba_kernels, x, seed, name):
    """No warning, and no other error than ours."""
    params = Params(tuple(Layer(W * np.float32(1e6), b) for W, b in fnnet.init((x.shape[1], 4, 3), seed).layers))
    kernels = table(name, numba_kernels)
    assert fnnet.forward(params, x, kernels=kernels).logits.shape == (len(x), 3)
    try:
        answers = fnnet.predict(params, x, kernels=kernels)
    except fnnet.FnnetError as error:
        assert "scores are not numbers" in str(error)
    else:
        assert ((answers >= 0) & (answers < 3)).all()
