"""Every optimizer against optax's, step by step, in float64."""

import numpy as np
import pytest

import fnnet
from fnnet.core import public_optimizers as optimizers
from fnnet.core.optimizers import evaluation_params
from fnnet.core.params import Layer, Params
from tests.tools.tolerance import assert_trained

SIZES, STEPS = (5, 4, 3), 20

# Name, ours, and optax's as a function of (optax, learning rate). optax's trace is our velocity, v = beta v + g, and
# its nesterov is g + beta v too. It adds eps to the root after the correction for the start, as we do (eps_root is 0).
TABLE = [
    ("sgd", optimizers.SGD, lambda optax, rate: optax.sgd(rate)),
    ("momentum", optimizers.momentum(0.9), lambda optax, rate: optax.sgd(rate, momentum=0.9)),
    ("momentum-0", optimizers.momentum(0.0), lambda optax, rate: optax.sgd(rate)),
    (
        "nesterov",
        optimizers.momentum(0.8, nesterov=True),
        lambda optax, rate: optax.sgd(rate, momentum=0.8, nesterov=True),
    ),
    ("adam", optimizers.adam(), lambda optax, rate: optax.adam(rate)),
    ("adam-eps", optimizers.adam(0.8, 0.95, 0.1), lambda optax, rate: optax.adam(rate, b1=0.8, b2=0.95, eps=0.1)),
    ("adamw", optimizers.adamw(weight_decay=0.3), lambda optax, rate: optax.adamw(rate, weight_decay=0.3)),
    (
        "rmsprop",
        optimizers.rmsprop(0.9, 1e-3),
        lambda optax, rate: optax.rmsprop(rate, 0.9, eps=1e-3, eps_in_sqrt=False),
    ),
    ("lion", optimizers.lion(), lambda optax, rate: optax.lion(rate, weight_decay=0)),
    (
        "lion-decoupled",
        optimizers.lion(0.8, 0.95, weight_decay=0.1, decoupled=True),
        lambda optax, rate: optax.lion(rate, b1=0.8, b2=0.95, weight_decay=0.1),
    ),
    ("sgd-decay", optimizers.sgd(weight_decay=0.1), lambda optax, rate: coupled(optax, 0.1, optax.sgd(rate))),
    (
        "momentum-decay",
        optimizers.momentum(weight_decay=0.1),
        lambda optax, rate: coupled(optax, 0.1, optax.sgd(rate, momentum=0.9)),
    ),
    ("adam-decay", optimizers.adam(weight_decay=0.1), lambda optax, rate: coupled(optax, 0.1, optax.adam(rate))),
    (
        "rmsprop-decay",
        optimizers.rmsprop(weight_decay=0.1),
        lambda optax, rate: coupled(optax, 0.1, optax.rmsprop(rate, 0.99, eps=1e-8, eps_in_sqrt=False)),
    ),
    (
        "momentum-decoupled",
        optimizers.momentum(weight_decay=0.1, decoupled=True),
        lambda optax, rate: optax.chain(
            optax.trace(0.9), optax.add_decayed_weights(0.1), optax.scale_by_learning_rate(rate)
        ),
    ),
    (
        "clipped",
        optimizers.clipped(optimizers.momentum(), 3.0),
        lambda optax, rate: optax.chain(optax.clip_by_global_norm(3.0), optax.sgd(rate, momentum=0.9)),
    ),
    ("clipped-high", optimizers.clipped(optimizers.SGD, 1e6), lambda optax, rate: optax.sgd(rate)),
    ("averaged", optimizers.averaged(optimizers.adam(), 0.8), lambda optax, rate: optax.adam(rate)),
]


def coupled(optax, decay, transform):
    """optax's form of weight decay within the gradient."""
    return optax.chain(optax.add_decayed_weights(decay), transform)


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
        params, state = ours.update(params, grads, state, float(rates[number]))
        moves, their_state = transform.update(grads, their_state, wanted)
        wanted = optax.apply_updates(wanted, moves)
        assert all(each.dtype == np.float64 for layer in wanted.layers for each in layer)
        assert_trained(params, wanted, number + 1)


def test_the_average_is_optax_s(optax):
    """Corrected for its start, as optax's ema with debias."""
    draw, ours, average = (
        np.random.default_rng(0),
        optimizers.averaged(optimizers.SGD, 0.8),
        optax.ema(0.8, debias=True),
    )
    params = fnnet.init(SIZES, 1, dtype=np.float64)
    state, their_state = ours.init(params), average.init(params)
    assert evaluation_params(params, state, ours) is params, "no step, no average"
    for number in range(STEPS):
        params, state = ours.update(params, random_grads(draw), state, 0.05)
        wanted, their_state = average.update(params, their_state)
        assert_trained(evaluation_params(params, state, ours), wanted, number + 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.momentum(1.0), "momentum out of range; expected 0 or more and less than 1, found 1.0"),
        (lambda: optimizers.sgd(weight_decay=-1), "weight_decay out of range; expected a finite number >= 0"),
        (lambda: optimizers.clipped(optimizers.SGD, 0), "clip_norm out of range; expected a finite number > 0"),
        (lambda: optimizers.averaged(optimizers.SGD, 1.0), "ema out of range; expected 0 or more and less than 1"),
        (lambda: optimizers.rmsprop(epsilon=0), "epsilon out of range; expected a finite number > 0"),
        (lambda: optimizers.make("no_such_rule"), "unknown optimizer; expected sgd or momentum or nesterov"),
        (lambda: optimizers.adam("0.9"), "beta_1 is not a number"),
    ],
)
def test_bad_figures(make, message):
    with pytest.raises(fnnet.FnnetError, match=message):
        make()
