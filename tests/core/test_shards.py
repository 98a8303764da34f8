"""Shards of a batch: where they are cut, in which order their gradients are summed, and what a step makes of them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnnet
from fnnet.core import shards
from fnnet.core.params import Layer, Params, weights_sha256
from fnnet.core.state import Examples, Objective
from fnnet.errors import UsageError
from tests.kernels.test_block import data


def leaf(value):
    return Params((Layer(np.array([[value]], np.float32), np.array([value], np.float32)),))


def summed(values):
    return shards.tree_sum([leaf(value) for value in values]).layers[0].W.item()


@given(st.integers(1, 300), st.integers(1, 40))
def test_every_row_is_in_one_shard_and_they_are_about_equal(n, count):
    cuts = shards.cuts(n, count)
    assert [row for first, last in cuts for row in range(first, last)] == list(range(n))
    assert len(cuts) == count
    lengths = [last - first for first, last in cuts]
    assert max(lengths) - min(lengths) <= 1


def test_neighbours_are_summed_first():
    """2^24 + 1 is 2^24 in float32: the order shows."""
    large = 2.0**24
    assert summed([large, 1, 1, 1]) == large + 2
    assert summed([large, 1, 1]) == large
    assert summed([1, 1, 1, 1, large]) == large + 4
    assert summed([1, 1, large, 1]) == large + 2
    assert summed([large, 1, 1, 1, 1, 1, 1, 1]) == large + 6  # from left to right it would be 2^24
    assert summed([5]) == 5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_a_step_moves_by_the_tree_of_its_shards_gradients(count, weighted):
    x, labels = data(25, 20, 4, zeros=0.5, as_bytes=False, dtype=np.float64)
    weights = np.arange(25) % 3 / 2 if weighted else None
    params = fnnet.init((20, 6, 4), 1, dtype=np.float64)
    state = fnnet.TrainState(params, (), step=0, seed=0)
    made, loss, correct = fnnet.train_step(
        state, x, labels, 0.1, weights=weights, objective=Objective("tanh", shards=count)
    )
    whole, expected, hits = fnnet.train_step(state, x, labels, 0.1, weights=weights, objective=Objective("tanh"))
    assert loss == pytest.approx(expected, rel=1e-12)
    assert correct == hits
    for sharded, plain in zip(made.params.layers, whole.params.layers, strict=True):
        np.testing.assert_allclose(sharded.W, plain.W, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(sharded.b, plain.b, rtol=1e-12, atol=1e-14)


def test_shards_whose_weights_are_all_0_are_0():
    x, labels = data(10, 5, 3, zeros=0.5, as_bytes=False, dtype=np.float64)
    weights = np.where(np.arange(10) < 5, 0.0, 1.0)
    state = fnnet.TrainState(fnnet.init((5, 3), 1, dtype=np.float64), (), step=0, seed=0)
    made, loss, _ = fnnet.train_step(state, x, labels, 0.1, weights=weights, objective=Objective(shards=2))
    half, expected, _ = fnnet.train_step(state, x[5:], labels[5:], 0.1)
    assert loss == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(made.params[0].W, half.params[0].W, rtol=1e-12)
    same, nothing, _ = fnnet.train_step(state, x, labels, 0.1, weights=0 * weights, objective=Objective(shards=2))
    assert nothing == 0
    assert weights_sha256(same.params) == weights_sha256(state.params)


@pytest.mark.parametrize("count", [0, -1, 5000])
def test_counts_out_of_range_are_refused(count):
    state = fnnet.TrainState(fnnet.init((5, 3)), (), step=0, seed=0)
    with pytest.raises(UsageError, match="shards out of range"):
        fnnet.train_step(state, np.zeros((4, 5)), np.zeros(4, int), 0.1, objective=Objective(shards=count))


@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_the_command_keeps_them_in_the_run(jit, run, tmp_path):
    common = ("--data", "digits", "--json", jit, "--shards", 4)
    document = run("train", *common, "--epochs", 2, "--run-dir", "a").json
    plain = run("train", *common[:-2], "--epochs", 2).json
    assert document["weights_sha256"] != plain["weights_sha256"]
    assert document["test_accuracy"] == pytest.approx(plain["test_accuracy"], abs=0.05)
    run("train", *common, "--epochs", 1, "--run-dir", "b")
    again = run("train", *common, "--epochs", 2, "--run-dir", "b", "--resume").json
    assert again["weights_sha256"] == document["weights_sha256"]
    run("train", *common[:-1], 5, "--epochs", 2, "--run-dir", "b", "--resume").failed(2, "--shards differs")
    assert fnnet.load_model(tmp_path / document["model"]).training["plan"]["shards"] == 4
    assert "shards" not in fnnet.load_model(run("train", *common[:-2], "--epochs", 0).json["model"]).training["plan"]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_messages_of_16_bits_have_the_nearest_number_and_of_two_the_even_one(values):
    values = np.array(values, np.float32)
    found = shards.rounded(values, 16)
    below = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    for value, nearest, lower in zip(values.tolist(), found, below, strict=True):
        if not np.isfinite(value):
            assert nearest == value
            continue
        words = [int(lower.view(np.uint32)), int(lower.view(np.uint32)) + 2**16]
        low, high = (Fraction(number) for number in _apart(words))
        middle = (low + high) / 2
        upper = abs(Fraction(value)) > abs(middle) or (Fraction(value) == middle and words[0] >> 16 & 1)
        assert int(nearest.view(np.uint32)) == words[bool(upper)]
    assert shards.rounded(values) is values


def _apart(words):
    """The numbers with these bits; what is behind the largest is as far from it as that from the one before."""
    for word in words:
        mantissa, exponent = word & 0x7FFFFF, word >> 23 & 0xFF
        size = Fraction(mantissa + (2**23 if exponent else 0)) * Fraction(2) ** (max(exponent, 1) - 150)
        yield -size if word >> 31 else size


def test_what_is_not_a_number_stays_that():
    words = np.array([0x7FFFFFFF, 0x7F800001, 0xFFFFFFFF, 0x7FC00000, 0x7F800000, 0xFF800000], np.uint32)
    found = shards.rounded(words.view(np.float32), 16)
    assert np.isnan(found).tolist() == [True] * 4 + [False] * 2
    assert np.isinf(found).tolist() == [False] * 4 + [True] * 2


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize(("sizes", "n", "count"), [((40, 7), 50, 3), ((784, 128, 10), 96, 8), ((784, 10, 10), 5, 8)])
def test_gradients_and_their_sums_are_rounded(sizes, n, count, kernels):
    """A step from weights of 0 with a rate of 1 shows the sum: the lower half of each number is 0."""
    x, labels = data(n, sizes[0], sizes[-1], zeros=0.5, as_bytes=True, dtype=np.float32)
    params = fnnet.init(sizes, 1)
    start = Params(tuple(Layer(np.zeros_like(W), np.zeros_like(b)) for W, b in params.layers))
    made = {}
    for bits in (16, 32):
        state = fnnet.TrainState(start, (), step=0, seed=0)
        objective = Objective(shards=count, message_bits=bits)
        examples = Examples(x, labels)
        kinds = fnnet.load_kernels(kernels, threads=1)
        state, _, _ = fnnet.train_block(state, examples, None, 1, 1.0, objective=objective, kernels=kinds)
        made[bits] = state.params.layers[-1].b
    half = made[16].view(np.uint32) & 0xFFFF
    assert not half.any()
    assert (made[32].view(np.uint32) & 0xFFFF).any()
    np.testing.assert_allclose(made[16], made[32], rtol=count * 2**-8, atol=2**-9)


@pytest.mark.parametrize(
    ("given", "dtype", "problem"),
    [
        ({"shards": 2, "message_bits": 8}, np.float32, "message_bits out of range; expected 16 or 32, found 8"),
        ({"shards": 2, "message_bits": True}, np.float32, "message_bits out of range"),
        (
            {"message_bits": 16},
            np.float32,
            "messages of 16 bits are between shards; expected 2 shards",
        ),
        ({"shards": 2, "message_bits": 16}, np.float64, "messages of 16 bits are of float32"),
    ],
)
def test_messages_that_are_not_sent_are_refused(given, dtype, problem):
    state = fnnet.TrainState(fnnet.init((5, 3), dtype=dtype), (), step=0, seed=0)
    with pytest.raises(UsageError, match=problem):
        fnnet.train_step(state, np.zeros((4, 5)), np.zeros(4, int), 0.1, objective=Objective(**given))
