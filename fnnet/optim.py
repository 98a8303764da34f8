"""Optimizers: pairs of pure functions, `init` and `update`, over a network's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.params import Array, Layer, Params, freeze


class Rule(NamedTuple):
    """An optimizer as numbers, for compiled code: the name of its update and its constants.

    coefficients   (learning_rate, steps) -> float64 (len(steps), 9): what the update takes at steps 1, 2, ..., counted
                   over the optimizer's life: learning rate, beta_1, 1 - beta_1, beta_2, 1 - beta_2, factor of the
                   weights, Adam's step size, factor of the root of its second moment, epsilon.
    """

    name: str
    coefficients: Callable[[float, Array], Array]


class Optimizer(NamedTuple):
    """How parameters move along gradients.

    init    params -> optimizer state, a tuple.
    update  (params, grads, optimizer state, learning_rate, kernels) -> (params, optimizer state).
    rule    the same for the compiled block trainer; None for an optimizer that it does not know, which then goes step
            by step.
    """

    init: Callable[[Params], Any]
    update: Callable[[Params, Params, Any, float, Kernels], tuple[Params, Any]]
    rule: Rule | None = None


def update(params: Params, grads: Params, learning_rate: float, *, kernels: Kernels = NUMPY) -> Params:
    """The step of gradient descent, W = W - learning_rate dW and b = b - learning_rate db, as new parameters.

    Raises   UsageError where grads are not shaped and typed like params, or the rate is no finite number.
    """
    if not isinstance(learning_rate, (int, float, np.floating)) or not math.isfinite(learning_rate):
        raise UsageError("learning_rate is not finite", expected="a number", found=repr(learning_rate))
    for each in (params, grads):
        if not isinstance(each, Params):
            raise ArgumentTypeError("not a network", expected="Params", found=type(each).__name__)
    expected, found = ([f"{W.shape} {W.dtype}, {b.shape}" for W, b in each.layers] for each in (params, grads))
    if expected != found:
        raise UsageError("grads do not fit params", expected=expected, found=found)

    def step(value: Array, gradient: Array) -> Array:
        return freeze(kernels.update(np.asarray(value), np.asarray(gradient), learning_rate))

    layers = zip(params.layers, grads.layers, strict=True)
    return Params(tuple(Layer(step(W, dW), step(b, db)) for (W, b), (dW, db) in layers))


def _map(function: Callable[..., Array], *trees: Params) -> Params:
    """`function` of the arrays at the same place of each tree, as a tree of read-only arrays."""
    layers = zip(*(tree.layers for tree in trees), strict=True)
    return Params(tuple(Layer(*(freeze(function(*each)) for each in zip(*parts, strict=True))) for parts in layers))


def _zeros(params: Params) -> Params:
    return _map(np.zeros_like, params)


class Moments(NamedTuple):
    """The state of an optimizer that remembers gradients.

    steps   updates made so far.
    trees   what is remembered, each shaped like the parameters: (velocity,), or Adam's (mean, square).
    """

    steps: int
    trees: tuple[Params, ...]


def _scaled(scalar: float, array: Array) -> Array:
    scaled: Array = array.dtype.type(scalar) * array
    return scaled


def _plain(learning_rate: float, steps: Array) -> Array:
    table = np.zeros((len(steps), 9))
    table[:, 0] = learning_rate
    return table


def _sgd_update(
    params: Params, grads: Params, state: Any, learning_rate: float, kernels: Kernels
) -> tuple[Params, Any]:
    return update(params, grads, learning_rate, kernels=kernels), state


SGD: Final = Optimizer(lambda params: (), _sgd_update, Rule("sgd", _plain))
"""Plain gradient descent. Robbins and Monro 1951, doi:10.1214/aoms/1177729586."""


def momentum(beta: float = 0.9, *, nesterov: bool = False) -> Optimizer:
    """Gradient descent with momentum: v = beta v + g, then W = W - rate v; with `nesterov` W = W - rate (g + beta v).

    Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al., ICML 2013, for Nesterov's in this form.
    Raises   UsageError unless 0 <= beta < 1.
    """
    beta = _share("momentum", beta)

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        velocity = _map(lambda v, g: _scaled(beta, v) + g, state.trees[0], grads)
        along = _map(lambda v, g: g + _scaled(beta, v), velocity, grads) if nesterov else velocity
        moved = update(params, along, learning_rate, kernels=kernels)
        return moved, Moments(state.steps + 1, (velocity,))

    def coefficients(learning_rate: float, steps: Array) -> Array:
        table = _plain(learning_rate, steps)
        table[:, 1] = beta
        return table

    rule = Rule("nesterov" if nesterov else "momentum", coefficients)
    return Optimizer(lambda params: Moments(0, (_zeros(params),)), step, rule)


def adam(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, *, weight_decay: float = 0.0) -> Optimizer:
    """Adam, Kingma and Ba 2015, arXiv:1412.6980; with `weight_decay` AdamW, Loshchilov and Hutter, arXiv:1711.05101.

    mean = beta_1 mean + (1 - beta_1) g, square = beta_2 square + (1 - beta_2) g g, both corrected for their start at 0;
    W = (1 - rate weight_decay) W - rate mean / (sqrt(square) + epsilon).
    Raises   UsageError unless 0 <= beta < 1, epsilon > 0 and weight_decay >= 0.
    """
    beta_1, beta_2 = _share("beta_1", beta_1), _share("beta_2", beta_2)
    for name, value, fits in (("epsilon", epsilon, epsilon > 0), ("weight_decay", weight_decay, weight_decay >= 0)):
        if not (fits and math.isfinite(value)):
            raise UsageError(f"{name} out of range", expected="a finite number, not negative", found=value)

    def coefficients(learning_rate: float, steps: Array) -> Array:
        table = _plain(learning_rate, steps)
        table[:, 1:5] = beta_1, 1 - beta_1, beta_2, 1 - beta_2
        table[:, 5] = 1 - learning_rate * weight_decay
        table[:, 6] = learning_rate / (1 - beta_1**steps)
        table[:, 7] = 1 / np.sqrt(1 - beta_2**steps)
        table[:, 8] = epsilon
        return table

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        constants = coefficients(learning_rate, np.array([state.steps + 1.0]))[0]
        _, first, other_first, second, other_second, keep, rate, root, least = constants
        mean = _map(lambda m, g: _scaled(first, m) + _scaled(other_first, g), state.trees[0], grads)
        square = _map(lambda s, g: _scaled(second, s) + _scaled(other_second, g * g), state.trees[1], grads)

        def move(W: Array, m: Array, s: Array) -> Array:
            moved: Array = _scaled(keep, W) - _scaled(rate, m) / (_scaled(root, np.sqrt(s)) + W.dtype.type(least))
            return moved

        return _map(move, params, mean, square), Moments(state.steps + 1, (mean, square))

    return Optimizer(lambda params: Moments(0, (_zeros(params), _zeros(params))), step, Rule("adam", coefficients))


def _share(name: str, value: Any) -> float:
    """`value` as a float in [0, 1), else UsageError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ArgumentTypeError(f"{name} is not a number", expected="0 or more and less than 1", found=repr(value))
    if not 0 <= value < 1:
        raise UsageError(f"{name} out of range", expected="0 or more and less than 1", found=value)
    return float(value)


def check_learning_rate(learning_rate: Any) -> float:
    """`learning_rate` as a finite float above 0, else UsageError."""
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float, np.number)):
        raise ArgumentTypeError("learning_rate is not a number", expected="a number > 0", found=repr(learning_rate))
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise UsageError("learning_rate out of range", expected="a finite number > 0", found=learning_rate)
    return float(learning_rate)
