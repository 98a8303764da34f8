"""Optimizers: pairs of pure functions, `init` and `update`, over a network's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels import NUMPY, Kernels
from fnnet.params import Layer, Params, freeze


class Optimizer(NamedTuple):
    """How parameters move along gradients.

    init    params -> optimizer state, a tuple.
    update  (params, grads, optimizer state, learning_rate, kernels) -> (params, optimizer state).
    """

    init: Callable[[Params], Any]
    update: Callable[[Params, Params, Any, float, Kernels], tuple[Params, Any]]


def update(params: Params, grads: Params, learning_rate: float, *, kernels: Kernels = NUMPY) -> Params:
    """The step of gradient descent, W = W - learning_rate dW and b = b - learning_rate db, as new parameters.

    Raises   UsageError where grads are not shaped like params, or the rate is not finite.
    """
    if not math.isfinite(learning_rate):
        raise UsageError("learning_rate is not finite", expected="a number", found=learning_rate)
    if [(W.shape, b.shape) for W, b in params.layers] != [(W.shape, b.shape) for W, b in grads.layers]:
        raise UsageError(
            "grads do not fit params",
            expected=[layer.W.shape for layer in params.layers],
            found=[layer.W.shape for layer in grads.layers],
        )
    return Params(
        tuple(
            Layer(freeze(kernels.update(W, dW, learning_rate)), freeze(kernels.update(b, db, learning_rate)))
            for (W, b), (dW, db) in zip(params.layers, grads.layers, strict=True)
        )
    )


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
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float)):
        raise ArgumentTypeError("learning_rate is not a number", expected="a number > 0", found=repr(learning_rate))
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise UsageError("learning_rate out of range", expected="a finite number > 0", found=learning_rate)
    return float(learning_rate)
