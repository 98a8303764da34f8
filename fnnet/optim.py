"""Optimizers: pairs of pure functions, `init` and `update`, over a network's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.params import Array, Layer, Params, freeze


class Optimizer(NamedTuple):
    """How parameters move along gradients.

    init    params -> optimizer state, a tuple.
    update  (params, grads, optimizer state, learning_rate, kernels) -> (params, optimizer state).
    """

    init: Callable[[Params], Any]
    update: Callable[[Params, Params, Any, float, Kernels], tuple[Params, Any]]


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


def _no_state(params: Params) -> tuple[()]:
    return ()


def _sgd_update(
    params: Params, grads: Params, state: Any, learning_rate: float, kernels: Kernels
) -> tuple[Params, Any]:
    return update(params, grads, learning_rate, kernels=kernels), state


SGD: Final = Optimizer(_no_state, _sgd_update)
"""Plain gradient descent. Robbins and Monro 1951, doi:10.1214/aoms/1177729586."""


def check_learning_rate(learning_rate: Any) -> float:
    """`learning_rate` as a finite float above 0, else UsageError."""
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float, np.number)):
        raise ArgumentTypeError("learning_rate is not a number", expected="a number > 0", found=repr(learning_rate))
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise UsageError("learning_rate out of range", expected="a finite number > 0", found=learning_rate)
    return float(learning_rate)
