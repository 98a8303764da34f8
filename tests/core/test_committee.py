"""A joined network's logits are the mean of its members' logits; networks that cannot be joined are refused."""

import numpy as np
import pytest

import fnnet
from fnnet.core import committee
from fnnet.core.operations import Activation
from fnnet.core.params import Layer, Params, layer_sizes, weights_sha256
from fnnet.core.state import Committee, networks_of
from fnnet.names import ACTIVATIONS
from tests.tools import tolerance

STEEPEST = 1.2
"""At least the largest slope of an activation (gelu's 1.13)."""
WIDTHS = ((), (5,), (4, 6), (3, 5, 2))
SOFTPLUS = Activation(lambda z: np.logaddexp(z, 0).astype(z.dtype), lambda da, z: da / (1 + np.exp(-z)))


def members(count, hidden, dtype=np.float64):
    """Networks whose hidden layers differ in width, and whose biases are not 0."""
    sizes = [(6, *(width + number % 3 for width in hidden), 4) for number in range(count)]
    return [fnnet.init(each, number, scheme="notebook", dtype=dtype) for number, each in enumerate(sizes)]


def assert_mean(joined, networks, x, activation):
    """The rules of `affine` and of activations, carried through the layers that follow."""
    eps, inside = np.finfo(x.dtype).eps, fnnet.forward(joined, x, activation=activation)
    error = np.zeros(x.shape)
    for number, (a, (W, b)) in enumerate(zip(inside.a, joined, strict=True)):
        terms = len(W) + 1 + (len(networks) if number == len(joined) - 1 else 0)
        error = error @ np.abs(W) + terms * eps * (np.abs(a) @ np.abs(W) + np.abs(b))
        if number < len(joined) - 1:
            error = STEEPEST * error + 4 * eps * (1 + np.abs(inside.a[number + 1]))
    wanted = np.mean([fnnet.scores(each, x, activation=activation) for each in networks], axis=0, dtype=np.float64)
    found = fnnet.scores(joined, x, activation=activation)
    assert found.dtype == x.dtype
    assert (np.abs(found - wanted) <= error).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", WIDTHS)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, SOFTPLUS], ids=[*ACTIVATIONS, "softplus"])
def test_logits_are_the_mean(activation, hidden, dtype):
    x = np.random.default_rng(0).normal(size=(9, 6)).astype(dtype)
    for count in range(1, 8):
        networks = members(count, hidden, dtype)
        joined = fnnet.join(networks)
        widths = np.sum([layer_sizes(each)[1:-1] for each in networks], axis=0)
        assert layer_sizes(joined) == (6, *widths, 4)
        assert_mean(joined, networks, x, activation)


@pytest.mark.parametrize("hidden", WIDTHS)
def test_planted_errors_are_seen(hidden):
    networks, x = members(3, hidden), np.random.default_rng(0).normal(size=(9, 6))
    *first, (W, b) = fnnet.join(networks)
    wrong = [(*first, Layer(W * 3, b)), (*first, Layer(W, b * 3))]
    if len(first) > 1:
        full = np.where(first[1].W == 0, 1e-6, first[1].W)
        wrong.append((first[0], Layer(full, first[1].b), *first[2:], Layer(W, b)))
    for layers in wrong:
        with pytest.raises(AssertionError):
            assert_mean(Params(layers), networks, x, "sigmoid")


@pytest.mark.parametrize("hidden", WIDTHS)
def test_one_network_comes_back_to_the_bit(hidden):
    (alone,) = members(1, hidden)
    alone = Params(tuple(Layer(W, np.where(np.arange(len(b)) == 0, -0.0, b)) for W, b in alone))
    for ours, theirs in zip(fnnet.join([alone]), alone, strict=True):
        tolerance.assert_bitwise(ours.W, theirs.W)
        tolerance.assert_bitwise(ours.b, theirs.b)
        assert not ours.W.flags.writeable
        assert not ours.b.flags.writeable


def test_huge_biases_have_a_mean():
    huge = Params((Layer(np.zeros((2, 2)), np.full(2, 1e308)),))
    assert (fnnet.join([huge] * 4)[0].b == 1e308).all()


def test_what_does_not_fit_is_named():
    first = fnnet.init((6, 5, 4))
    spoilt = Params((first[0], Layer(np.full((5, 4), np.inf, np.float32), first[1].b)))
    for other, told in (
        (fnnet.init((6, 4)), "layers is not that of networks.0.; expected 2, found 1"),
        (fnnet.init((7, 5, 4)), "inputs .* expected 6, found 7"),
        (fnnet.init((6, 5, 3)), "outputs .* expected 4, found 3"),
        (fnnet.init((6, 5, 4), dtype=np.float64), "dtype .* expected float32, found float64"),
        (spoilt, "layer 2: W is not finite"),
        ("a", "not a network"),
    ):
        with pytest.raises(fnnet.FnnetError, match=r"^networks\[1\]: .*" + told):
            fnnet.join([first, other])
    for wrong, told in (([], "empty"), (first, r"join\(\[params\]\)"), (7, "not a sequence")):
        with pytest.raises(fnnet.FnnetError, match=told):
            fnnet.join(wrong)


def test_a_network_too_large_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr("fnnet.core.check_network.MAX_PARAMETERS", 50)
    monkeypatch.setattr(committee, "_diagonal", None)
    with pytest.raises(fnnet.FnnetError, match="network too large"):
        fnnet.join(members(4, (4, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", WIDTHS)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, SOFTPLUS], ids=[*ACTIVATIONS, "softplus"])
def test_members_held_apart_predict_as_joined(activation, hidden, dtype, numba_kernels):
    """By NumPy and by compiled kernels, rows one by one and together; bytes as floats."""
    floats = np.random.default_rng(0).normal(size=(9, 6)).astype(dtype)
    pixels, labels = np.arange(54, dtype=np.uint8).reshape(9, 6), np.arange(9) % 4
    networks = members(3, hidden, dtype)
    apart, joined = Committee(tuple(networks)), fnnet.join(networks)
    given = {"activation": activation}
    own = [{}] if dtype == np.float64 or not isinstance(activation, str) else [{}, {"kernels": numba_kernels}]
    for x in (floats, pixels):
        near = {"rtol": 1e-3 * (dtype == np.float32) + 1e-11, "atol": 1e-4 * (dtype == np.float32) + 1e-11}
        for more in own:
            found = fnnet.scores(apart, x, **given, **more)
            assert found.dtype == dtype
            assert not found.flags.writeable
            np.testing.assert_allclose(found, fnnet.scores(joined, x, **given), **near)
            each = [fnnet.scores(network, x, **given, **more) for network in networks]
            tolerance.assert_bitwise(found, (each[0] / dtype(3) + each[1] / dtype(3)) + each[2] / dtype(3))
            classes = found.argmax(axis=1)
            assert (fnnet.predict(apart, x, **given, **more) == classes).all()
            classify = fnnet.predictor(apart, **given, **more)
            assert (classify(x) == classes).all()
            if more:
                assert [*classify(x[3:4]), *classify(x[4:5])] == [*classes[3:5]]
            weights, share = np.arange(9.0), 0.1
            for options in ({}, {"weights": weights, "label_smoothing": share}):
                wanted = fnnet.loss(joined, x, labels, **given, **options)
                assert fnnet.loss(apart, x, labels, **given, **options, **more) == pytest.approx(wanted, rel=1e-4)


def test_a_model_of_members_predicts_with_its_activation():
    networks, x = members(3, (4, 6)), np.random.default_rng(0).normal(size=(9, 6))
    shape = {"classes": tuple("abcd"), "image_shape": (2, 3)}
    apart, joined = (fnnet.Model(each, "tanh", **shape) for each in (Committee(tuple(networks)), fnnet.join(networks)))
    np.testing.assert_allclose(fnnet.scores(apart, x), fnnet.scores(joined, x), rtol=1e-11)
    assert repr(joined) == "Model(6-15-21-4, float64, 529 parameters, tanh, 4 classes)"
    assert repr(apart).startswith("Model(Committee(members=(Params(6-4-6-4, float64")
    assert repr(apart).endswith(")), tanh, 4 classes)")
    with pytest.raises(fnnet.FnnetError, match="activation is not the model's"):
        fnnet.predict(apart, x, activation="relu")


def test_int8_averages_the_members_in_int8(numba_kernels):
    networks = members(3, (5, 4), np.float32)
    x = np.random.default_rng(0).integers(0, 256, (9, 6), np.uint8)
    each = [fnnet.scores(network, x, precision="int8") for network in networks]
    wanted = (each[0] / np.float32(3) + each[1] / np.float32(3)) + each[2] / np.float32(3)
    for kernels in (fnnet.load_kernels("numpy"), numba_kernels):
        given = {"precision": "int8", "kernels": kernels}
        tolerance.assert_bitwise(fnnet.scores(Committee(tuple(networks)), x, **given), wanted)
        assert (fnnet.predictor(Committee(tuple(networks)), **given)(x) == wanted.argmax(axis=1)).all()
    with pytest.raises(fnnet.FnnetError, match="has no int8 form"):
        fnnet.predictor(Committee(tuple(networks)), activation="tanh", precision="int8")


def test_a_predictor_keeps_the_members_as_they_were():
    W = np.ones((2, 2))
    committee = Committee((Params((Layer(W, np.array([0.0, 1.0])),)),))
    classify = fnnet.predictor(committee)
    W[:, 0] = 5
    assert classify(np.ones((1, 2))).tolist() == [1]
    assert fnnet.predict(committee, np.ones((1, 2))).tolist() == [0]


def test_a_huge_sum_of_logits_has_a_mean():
    huge = Params((Layer(np.zeros((2, 2)), np.array([1e308, 0.0])),))
    assert fnnet.scores(Committee((huge,) * 4), np.zeros((1, 2))).tolist() == [[1e308, 0.0]]


def test_a_committee_that_does_not_fit_is_named(numba_kernels):
    first = fnnet.init((6, 5, 4))
    for made, told in (
        (Committee((first, fnnet.init((6, 4)))), r"^members\[1\]: number of layers is not that of members\[0\]"),
        (Committee((first, fnnet.init((6, 5, 4), dtype=np.float64))), r"^members\[1\]: dtype is not that of members"),
        (Committee((first, "a")), r"^members\[1\]: params is not a network"),
        (Committee(()), "members is empty"),
        (Committee(first), "members of the committee are not a sequence.*found Params"),
    ):
        with pytest.raises(fnnet.FnnetError, match=told):
            fnnet.scores(made, np.zeros((1, 6)))
        with pytest.raises(fnnet.FnnetError, match=told):
            fnnet.predictor(made)
    committee = Committee((first, first))
    x = np.zeros((2, 6), np.float32)
    x[1, 3] = np.nan
    for kernels in (fnnet.load_kernels("numpy"), numba_kernels):
        for call in (fnnet.scores, fnnet.predict, lambda made, x, **given: fnnet.predictor(made, **given)(x)):
            with pytest.raises(fnnet.FnnetError, match="row 1, column 3: x is not finite"):
                call(committee, x, kernels=kernels)
            with pytest.raises(fnnet.FnnetError, match=r"expected shape \(n, 6\)"):
                call(committee, x[:, :5], kernels=kernels)


def test_what_trains_takes_no_committee():
    params = fnnet.init((6, 5, 4))
    committee, x = Committee((params,) * 2), np.zeros((2, 6))
    for call in (
        lambda: fnnet.update(committee, params, 0.1),
        lambda: fnnet.forward(committee, x),
        lambda: fnnet.backward(committee, fnnet.forward(params, x), [0, 1]),
        lambda: fnnet.join([params, committee]),
    ):
        with pytest.raises(fnnet.FnnetError, match=r"not a network; .* one of its members, or fnnet.join\(committee"):
            call()


def test_what_is_larger_than_the_limit_is_held_apart(monkeypatch):
    networks = members(3, (4, 6), np.float32)
    joined = committee.assemble(networks)
    assert joined == fnnet.join(networks)
    size = 4 * sum(array.size for layer in joined for array in layer)
    monkeypatch.setattr(committee, "MOST_JOINED_BYTES", size)
    assert committee.assemble(networks) == joined
    monkeypatch.setattr(committee, "MOST_JOINED_BYTES", size - 1)
    apart = committee.assemble(networks)
    assert apart == Committee(tuple(networks))
    assert weights_sha256(*networks_of(joined)) == weights_sha256(joined) != weights_sha256(*networks_of(apart))
    spoilt = Params((*networks[0][:2], Layer(networks[0][2].W * np.float32(np.nan), networks[0][2].b)))
    with pytest.raises(fnnet.FnnetError, match=r"^networks\[1\]: layer 3: W is not finite"):
        committee.assemble([networks[0], spoilt])
    # A hundred networks of the widest kind are never joined first.
    monkeypatch.setattr(committee, "join", None)
    assert isinstance(committee.assemble(networks), Committee)
