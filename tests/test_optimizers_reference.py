"""Every optimizer against optax's, step by step, in float64."""

import numpy as np
import pytest

import fnnet
from fnnet import optim
from fnnet.kernels import NUMPY
from fnnet.params import Layer, Params
from tests.tolerance import assert_trained

SIZES, STEPS = (5, 4, 3), 20

# Name, ours, and optax's as a function of (optax, learning rate). optax's trace is our velocity, v = beta v + g, and
# its nesterov is g + beta v too. It adds eps to the root after the correction for the start, as we do (eps_root is 0).
TABLE = [
    ("sgd", optim.SGD, lambda optax, rate: optax.sgd(rate)),
    ("momentum", optim.momentum(0.9), lambda optax, rate: optax.sgd(rate, momentum=0.9)),
    ("momentum-0", optim.momentum(0.0), lambda optax, rate: optax.sgd(rate)),
    ("nesterov", optim.momentum(0.8, nesterov=True), lambda optax, rate: optax.sgd(rate, momentum=0.8, nesterov=True)),
    ("adam", optim.adam(), lambda optax, rate: optax.adam(rate)),
    ("adam-eps", optim.adam(0.8, 0.95, 0.1), lambda optax, rate: optax.adam(rate, b1=0.8, b2=0.95, eps=0.1)),
    ("adamw", optim.adam(weight_decay=0.3), lambda optax, rate: optax.adamw(rate, weight_decay=0.3)),
]


@pytest.fixture
def optax():
    optax = pytest.importorskip("optax", reason="needs optax: pip install optax")
    import jax

    with jax.enable_x64(True), jax.disable_jit():
        yield optax


def random_grads(draw):
    """Gradients of very different sizes, some of them 0."""
    layers = []
    for W, b in fnnet.init(SIZES, 0, dtype=np.float64).layers:
        arrays = (draw.standard_normal(each.shape) * 10.0 ** draw.integers(-3, 2, each.shape) for each in (W, b))
        layers.append(Layer(*(each * (draw.random(each.shape) < 0.9) for each in arrays)))
    return Params(tuple(layers))


@pytest.mark.parametrize(("name", "ours", "theirs"), TABLE, ids=[row[0] for row in TABLE])
def test_every_step_is_optax_s(name, ours, theirs, optax):
    """The learning rate changes from step to step: what one step leaves must not hold the rate of that step."""
    draw = np.random.default_rng(len(name))
    params = wanted = fnnet.init(SIZES, 1, scheme="notebook", dtype=np.float64)
    rates = 0.1 / (1 + np.arange(STEPS))
    transform = theirs(optax, lambda count: rates[int(count)])
    state, their_state = ours.init(params), transform.init(wanted)
    for number in range(STEPS):
        grads = random_grads(draw)
        params, state = ours.update(params, grads, state, float(rates[number]), NUMPY)
        moves, their_state = transform.update(grads, their_state, wanted)
        wanted = optax.apply_updates(wanted, moves)
        assert all(each.dtype == np.float64 for layer in wanted.layers for each in layer)
        assert_trained(params, wanted, number + 1)
