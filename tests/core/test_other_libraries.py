"""Where a name means other mathematics elsewhere: every difference that a docstring states, in a few lines of NumPy.

`theirs` compute what PyTorch 2.13, Keras 3.15, scikit-learn 1.9 and optax 0.2.8 compute; none of them is imported.
"""

import math
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import pytest

import fnnet
from fnnet.core import schedules
from fnnet.core.operations import cross_entropy, softmax
from fnnet.core.params import Layer, Params
from fnnet.core.state import Examples
from fnnet.training import class_weights, lbfgs, stopping

START, BIAS = np.array([1.0, -2.0, 0.5]), np.array([False, False, True])
"""Two weights and a bias."""
GRADS = np.random.default_rng(0).standard_normal((6, 3)) / (1 + np.arange(6.0))[:, None]
STEADY, FALLING = np.full(6, 0.1), 0.1 / (1 + np.arange(6))


def tree(vector):
    return Params((Layer(vector[:2, None].copy(), vector[2:].copy()),))


def flat(params):
    return np.concatenate([array.ravel() for layer in params.layers for array in layer])


def ours(optimizer, grads=GRADS, rates=FALLING):
    """The parameters after each step."""
    params, state, path = tree(START), optimizer.init(tree(START)), []
    for g, rate in zip(grads, rates, strict=True):
        params, state = optimizer.update(params, tree(g), state, float(rate))
        path.append(flat(params))
    return np.array(path)


def theirs(step, grads=GRADS, rates=FALLING):
    """The parameters after each step of `step(w, g, rate, t, memory)`, which returns w and its memory, 0 at first."""
    w, memory, path = START, 0.0, []
    for t, (g, rate) in enumerate(zip(grads, rates, strict=True), 1):
        w, memory = step(w, g, rate, t, memory)
        path.append(w)
    return np.array(path)


def assert_equal(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def assert_differ(one, other, least):
    """By at least `least`, and not by much more: it is this difference and no other."""
    assert least < np.abs(np.subtract(one, other)).max() < 4 * least


# Momentum: v = 0.9 v + g and w - rate v, or v = 0.9 v - rate g and w + v.


def rate_outside(nesterov):
    def step(w, g, rate, t, v):
        v = 0.9 * v + g
        return w - rate * (g + 0.9 * v if nesterov else v), v

    return step


def rate_inside(nesterov):
    def step(w, g, rate, t, v):
        v = 0.9 * v - rate * g
        return w + (0.9 * v - rate * g if nesterov else v), v

    return step


def check_momentum():
    for nesterov in (False, True):
        optimizer = fnnet.momentum(nesterov=nesterov)
        assert_equal(ours(optimizer), theirs(rate_outside(nesterov)))
        assert_equal(ours(optimizer, rates=STEADY), theirs(rate_inside(nesterov), rates=STEADY))
        assert_differ(ours(optimizer), theirs(rate_inside(nesterov)), 0.05)


# RMSProp and Adam: where epsilon is added.


def rms(beta, epsilon, inside):
    def step(w, g, rate, t, s):
        s = beta * s + (1 - beta) * g * g
        return w - rate * g / (np.sqrt(s + epsilon) if inside else np.sqrt(s) + epsilon), s

    return step


def check_rmsprop():
    assert_equal(ours(fnnet.rmsprop()), theirs(rms(0.99, 1e-8, inside=False)))
    for keras_or_optax in (1e-7, 1e-8):
        assert_differ(ours(fnnet.rmsprop()), theirs(rms(0.9, keras_or_optax, inside=True)), 0.4)
    small = 1e-4 * GRADS  # their squares are of the size of epsilon
    same_beta = ours(fnnet.rmsprop(0.9, 1e-8), small), theirs(rms(0.9, 1e-8, inside=True), small)
    assert_differ(*same_beta, 0.2)


def adams(epsilon, corrected, decay=0.0):
    def step(w, g, rate, t, memory):
        m, s = memory or (0, 0)
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w = w - rate * decay * w
        if corrected:
            return w - rate * m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + epsilon), (m, s)
        return w - rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(s) + epsilon), (m, s)

    return step


def check_adam():
    assert_equal(ours(fnnet.adam()), theirs(adams(1e-8, corrected=True)))
    tiny = 1e-8 * GRADS
    for epsilon, usual in ((1e-7, 6e-6), (1e-8, 5e-7)):  # Keras's and scikit-learn's
        assert np.abs(ours(fnnet.adam()) - theirs(adams(epsilon, corrected=False))).max() < 10 * usual
        assert_differ(ours(fnnet.adam(), tiny), theirs(adams(epsilon, corrected=False), tiny), 0.05)


# Weight decay: of weights and biases, within the gradient or beside it.


def coupled(decay, mask=1.0):
    def step(w, g, rate, t, v):
        return rate_outside(False)(w, g + decay * mask * w, rate, t, v)

    return step


def beside(decay):
    def step(w, g, rate, t, v):
        moved, v = rate_outside(False)(w, g, rate, t, v)
        return moved - rate * decay * w, v

    return step


def check_weight_decay_on_biases():
    found = ours(fnnet.momentum(weight_decay=0.5))
    assert_equal(found, theirs(coupled(0.5)))
    rows, alpha = 4, 2.0  # scikit-learn's alpha / rows is on weights only
    weights_only = theirs(coupled(alpha / rows, mask=~BIAS))
    assert_equal(found[:, ~BIAS], weights_only[:, ~BIAS])
    assert_differ(found[:, BIAS], weights_only[:, BIAS], 0.1)


def check_decoupled():
    assert_equal(ours(fnnet.momentum(weight_decay=0.5, decoupled=True)), theirs(beside(0.5)))
    assert_differ(ours(fnnet.momentum(weight_decay=0.5)), theirs(beside(0.5)), 0.1)


def check_adam_s_weight_decay():
    assert_equal(ours(fnnet.adam(weight_decay=0.1, decoupled=True)), theirs(adams(1e-8, True, decay=0.1)))
    assert_differ(ours(fnnet.adam(weight_decay=0.1)), theirs(adams(1e-8, True, decay=0.1)), 0.01)


def check_adamw():
    assert_equal(ours(fnnet.adamw()), theirs(adams(1e-8, True, decay=0.01)))
    for default, least in ((0.004, 0.001), (0.0001, 0.002)):
        assert_equal(ours(fnnet.adamw(weight_decay=default)), theirs(adams(1e-8, True, decay=default)))
        assert_differ(ours(fnnet.adamw()), theirs(adams(1e-8, True, decay=default)), least)


def check_lbfgs():
    """At the minimum the gradient is -l2 times the parameters: of the biases too, which in scikit-learn have none."""
    draw = np.random.default_rng(1)
    examples = Examples(draw.standard_normal((40, 3)), np.arange(40) % 5 // 2)
    found, _ = lbfgs.minimise(fnnet.init((3, 3), dtype=np.float64), examples, iterations=300, l2=0.1)
    (W, b), grads = found.layers[0], fnnet.backward(found, fnnet.forward(found, examples.x), examples.labels)
    dW, db = grads.layers[0]
    np.testing.assert_allclose(dW, -0.1 * W, atol=1e-6)
    np.testing.assert_allclose(db, -0.1 * b, atol=1e-6)
    assert np.abs(db).max() > 1e-3


# Clipping and averages.


def scaled(most, added):
    def step(w, g, rate, t, memory):
        return w - rate * g * min(1.0, most / (math.sqrt(float(g @ g)) + added)), memory

    return step


def check_clipping():
    clipped, small = fnnet.clipped(fnnet.sgd(), 1e-4), GRADS * 5e-4 / np.linalg.norm(GRADS, axis=1)[:, None]
    found, wanted = ours(clipped, small) - START, theirs(scaled(1e-4, 0.0), small) - START
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert ours(clipped, small)[0] - START == pytest.approx(
        (theirs(scaled(1e-4, 1e-6), small)[0] - START) * 1.002, rel=1e-6
    )


def check_averages():
    """Parameters 2, 3, 4 at a decay of 0.9."""
    optimizer, grads = fnnet.averaged(fnnet.sgd(), 0.9), np.full((3, 3), -1.0)
    params, state, found = tree(np.ones(3)), optimizer.init(tree(np.ones(3))), []
    for g in grads:
        params, state = optimizer.update(params, tree(g), state, 1.0)
        found.append(flat(state.trees[-1])[0])
    debiased = [sum(0.1 * 0.9 ** (t - s) * (s + 1) for s in range(1, t + 1)) / (1 - 0.9**t) for t in (1, 2, 3)]
    assert_equal(found, debiased)
    from_a_copy = list(accumulate([2.0, 3.0, 4.0], lambda average, w: 0.9 * average + 0.1 * w))
    np.testing.assert_allclose(from_a_copy, [2, 2.1, 2.29])
    assert_differ(found, from_a_copy, 0.5)


# The loss.

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0], [1.0, 1.5, 0.0], [-1.0, 0.0, 3.0]])
LABELS, OF_CLASS = np.array([0, 2, 1, 2]), np.array([1.0, 2.0, 5.0])
LOSSES = -np.log(softmax(LOGITS))


def public_loss(weights=None, smoothing=0.0):
    """The loss of a network whose scores are its inputs."""
    params = Params((Layer(np.eye(3), np.zeros(3)),))
    found = fnnet.loss(params, LOGITS, LABELS, weights=weights, label_smoothing=smoothing)
    assert found == cross_entropy(LOGITS, LABELS, weights, smoothing)
    return found


def check_weighted_mean():
    weights, picked = OF_CLASS[LABELS], LOSSES[np.arange(4), LABELS]
    assert_equal(public_loss(weights), weights @ picked / weights.sum())  # PyTorch, Keras's mean_with_sample_weight
    assert_differ(public_loss(weights), weights @ picked / 4, 2)  # Keras's default


def check_no_weight():
    assert public_loss(np.zeros(4)) == 0
    with np.errstate(invalid="ignore"):
        assert math.isnan(np.float64(0) / np.zeros(4).sum())  # PyTorch


def check_smoothing():
    spread = 0.9 * LOSSES[np.arange(4), LABELS] + 0.1 * LOSSES.mean(axis=1)
    assert_equal(public_loss(smoothing=0.1), spread.mean())
    weights = OF_CLASS[LABELS]
    assert_equal(public_loss(weights, 0.1), weights @ spread / weights.sum())
    by_class = 0.9 * weights @ LOSSES[np.arange(4), LABELS] + 0.1 * (LOSSES * OF_CLASS).mean(axis=1).sum()
    assert_differ(public_loss(weights, 0.1), by_class / weights.sum(), 0.02)  # PyTorch


def check_balanced():
    labels = np.array([0, 0, 0, 1])
    present = 4 / (2 * np.array([3, 3, 3, 1]))  # scikit-learn
    assert_equal(class_weights.class_weights("balanced", labels, 2), present)
    assert_equal(class_weights.class_weights("balanced", labels, 4), present / 2)


# The start.


def check_init():
    inputs, outputs = 300, 200
    bounds = {name: np.abs(fnnet.init((inputs, outputs), scheme=name).layers[0].W).max() for name in ("he", "glorot")}
    assert bounds["he"] == pytest.approx(math.sqrt(6 / inputs), rel=1e-3)
    assert bounds["glorot"] == pytest.approx(math.sqrt(6 / (inputs + outputs)), rel=1e-3)
    W, b = fnnet.init((inputs, outputs), scheme="he").layers[0]
    linear = 1 / (3 * inputs)  # PyTorch: uniform within 1 / sqrt(inputs)
    assert W.var() / linear == pytest.approx(6, rel=0.05)
    assert not b.any()


# Schedules and stopping.


def check_cosine():
    at = np.arange(15)
    periodic = 0.5 * (1 + np.cos(np.pi * at / 10))  # PyTorch
    found = schedules.cosine(1.0, 10)(at)
    assert_equal(found[:11], periodic[:11])
    assert not found[10:].any()
    assert_differ(found, periodic, 0.2)


def cycle(steps, top, last):
    """From 1/25 up to 1 at step `top`, down to 4e-6 at step `last`, which a further step goes beyond."""

    def ease(start, end, share):
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    up, down = (lambda s: ease(1 / 25, 1, s / top)), (lambda s: ease(1, 4e-6, (s - top) / (last - top)))
    return [up(s) if s <= top else down(s) for s in range(steps)]


def check_one_cycle():
    found = schedules.one_cycle(1.0, 10)(np.arange(12))
    assert_equal(found[:10], cycle(10, 2, 9))
    assert_equal(found[10:], found[9])
    assert cycle(11, 2, 9)[10] == pytest.approx(0.0495, rel=1e-2)  # PyTorch
    assert_differ(found[:10], cycle(11, 3, 10)[:10], 0.2)  # optax


def epochs_without_a_better_one(losses):
    """After each epoch, how many have come since the best."""
    return [n - 1 - losses[:n].index(min(losses[:n])) for n in range(1, len(losses) + 1)]


def first(conditions):
    return 1 + list(conditions).index(True)


def check_plateau():
    losses, patience = [1.0, 0.5, *[0.6] * 6], 3
    found = first(schedules.plateau_scale(losses[:n], 0.5, patience) < 1 for n in range(1, 9))
    bad = epochs_without_a_better_one(losses)
    assert found == first(count > patience for count in bad)  # PyTorch
    assert found == 1 + first(count >= patience for count in bad)  # Keras and optax


def check_early_stopping():
    losses, patience = [1.0, 0.5, *[0.6] * 6], 3
    found = first(stopping.is_over(losses[:n], patience) for n in range(1, 9))
    bad = epochs_without_a_better_one(losses)
    assert found == first(count >= patience for count in bad)  # Keras
    assert found == first(count > patience for count in bad) - 1  # scikit-learn


class Difference(NamedTuple):
    """A function, words of its docstring, and the check of what they say."""

    function: Any
    words: str
    check: Any


TABLE = [
    Difference(
        fnnet.momentum, "the rate stands outside the velocity; inside it in Keras and scikit-learn", check_momentum
    ),
    Difference(
        fnnet.rmsprop, "epsilon is added to the root; Keras and optax add it to s, and their beta is 0.9", check_rmsprop
    ),
    Difference(fnnet.adam, "Keras and scikit-learn add it to the uncorrected one, which differs where", check_adam),
    Difference(fnnet.adam, "In Keras weight_decay is decoupled", check_adam_s_weight_decay),
    Difference(fnnet.adamw, "is PyTorch's; it is 0.004 in Keras and 0.0001 in optax", check_adamw),
    Difference(
        fnnet.sgd, "applies to biases too, as in PyTorch; scikit-learn's alpha does not", check_weight_decay_on_biases
    ),
    Difference(fnnet.sgd, "`decoupled`: W is multiplied by 1 - rate weight_decay instead", check_decoupled),
    Difference(lbfgs.minimise, "l2 shrinks biases too; scikit-learn's alpha leaves them out", check_lbfgs),
    Difference(fnnet.clipped, "PyTorch divides by the norm + 1e-6", check_clipping),
    Difference(
        fnnet.averaged, "As optax's ema with debias; averages of PyTorch and Keras start from a copy", check_averages
    ),
    Difference(
        fnnet.loss,
        "sum(weight loss) / sum(weight), 0 where all are 0. None for equal ones. Keras divides by n",
        check_weighted_mean,
    ),
    Difference(fnnet.loss, "PyTorch gives NaN where all are 0", check_no_weight),
    Difference(
        fnnet.loss, "in PyTorch the part of the target that is spread has the weight of each class", check_smoothing
    ),
    Difference(class_weights.class_weights, "it leaves classes without labels out of the count", check_balanced),
    Difference(fnnet.init, "PyTorch's Linear has the variance 1 / (3 inputs)", check_init),
    Difference(schedules.cosine, "beyond the last step PyTorch's rises again", check_cosine),
    Difference(schedules.one_cycle, "PyTorch allows one step more, with a rate that jumps. optax's", check_one_cycle),
    Difference(schedules.plateau_scale, "Keras and optax cut the rate one epoch earlier", check_plateau),
    Difference(stopping.is_over, "As in Keras; scikit-learn stops one epoch later", check_early_stopping),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.check.__name__.removeprefix("check_"))
def test_differences_that_docstrings_state(row):
    assert row.words in " ".join(row.function.__doc__.split())
    row.check()


def test_every_library_that_a_docstring_names_is_in_the_table():
    """A docstring that names a library states a difference or an equality, and both are checked."""
    stated = {row.function.__name__ for row in TABLE}
    for module in (fnnet.core.public, fnnet.core.public_optimizers, schedules, stopping, class_weights, lbfgs):
        for name, function in vars(module).items():
            words = getattr(function, "__doc__", None) or ""
            own = getattr(function, "__module__", "") == module.__name__ and callable(function)
            if own and any(library in words for library in ("PyTorch", "Keras", "scikit-learn", "optax")):
                assert name in stated, name
