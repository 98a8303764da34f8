"""A joined network's logits are the mean of its members' logits; networks that cannot be joined are refused."""

import numpy as np
import pytest

import fnnet
from fnnet.core import committee
from fnnet.core.operations import Activation
from fnnet.core.params import Layer, Params, layer_sizes
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
