"""Optimizers: pairs of pure functions, `init` and `update`, over the parameters of a network.

Each `update` takes params, grads, the optimizer's state and a learning rate, and returns new params and a new state.
These functions check nothing; those of `fnnet` check their arguments once and call them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.operations import OPERATIONS, Operations
from fnnet.core.params import Array, Layer, Params, each, zeros
from fnnet.core.state import Moments

Update = Callable[[Params, Params, Any, float], tuple[Params, Any]]


class Optimizer(NamedTuple):
    """How parameters move along gradients.

    init      params -> optimizer state.
    update    (params, grads, optimizer state, learning_rate) -> (params, optimizer state).
    name      of the update rule; one that compiled code does not have runs step by step in NumPy.
    figures   the numbers that it was made with, by name.
    trees     number of trees (Params) in its state; None if that is not known.
    """

    init: Callable[[Params], Any]
    update: Update
    name: str = ""
    figures: Mapping[str, Any] = MappingProxyType({})
    trees: int | None = None

    def __repr__(self) -> str:
        return f"Optimizer({', '.join([self.name or 'own', *map('{0[0]}={0[1]}'.format, self.figures.items())])})"

    def __hash__(self) -> int:
        return hash((self.init, self.update, self.name))

    def __deepcopy__(self, memo: Any) -> Optimizer:
        return self


def update(params: Params, grads: Params, learning_rate: float, operations: Operations = OPERATIONS) -> Params:
    """The step of gradient descent: W := W - learning_rate dW and b := b - learning_rate db."""
    step, layers = operations.update, zip(params.layers, grads.layers, strict=True)
    moved = [Layer(step(W, dW, learning_rate), step(b, db, learning_rate)) for (W, b), (dW, db) in layers]
    return Params(tuple(moved))


def sgd(weight_decay: float = 0.0, decoupled: bool = False) -> Optimizer:
    """Plain gradient descent, W := W - rate g. Robbins and Monro 1951, doi:10.1214/aoms/1177729586.

    weight_decay   coupled, as in all optimizers here: g + weight_decay W takes the place of g; `decoupled`: W is
                   multiplied by 1 - rate weight_decay instead (Loshchilov and Hutter, arXiv:1711.05101).
    """

    def step(params: Params, grads: Params, state: Any, rate: float) -> tuple[Params, Any]:
        params, grads = _decay(params, grads, rate, weight_decay, decoupled)
        return update(params, grads, rate), state

    return _optimizer("sgd", step, 0, weight_decay=weight_decay, decoupled=decoupled)


def momentum(
    beta: float = 0.9, nesterov: bool = False, weight_decay: float = 0.0, decoupled: bool = False
) -> Optimizer:
    """Gradient descent with momentum: v := beta v + g, then W := W - rate v.

    With `nesterov` W := W - rate (g + beta v).

    Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al., ICML 2013, for Nesterov's in this form.
    """

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        params, grads = _decay(params, grads, rate, weight_decay, decoupled)
        v = each(lambda v, g: _times(beta, v) + g, state.trees[0], grads)
        along = each(lambda v, g: g + _times(beta, v), v, grads) if nesterov else v
        return update(params, along, rate), Moments(state.steps + 1, (v,))

    name = "nesterov" if nesterov else "momentum"
    return _optimizer(name, step, 1, beta=beta, weight_decay=weight_decay, decoupled=decoupled)


def rmsprop(beta: float = 0.99, epsilon: float = 1e-8, weight_decay: float = 0.0, decoupled: bool = False) -> Optimizer:
    """RMSProp: s := beta s + (1 - beta) g g, then W := W - rate g / (sqrt(s) + epsilon). Tieleman and Hinton 2012."""

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        params, grads = _decay(params, grads, rate, weight_decay, decoupled)
        s = each(lambda s, g: _times(beta, s) + _times(1 - beta, g * g), state.trees[0], grads)
        along = each(lambda g, s: g / (np.sqrt(s) + s.dtype.type(epsilon)), grads, s)
        return update(params, along, rate), Moments(state.steps + 1, (s,))

    return _optimizer("rmsprop", step, 1, beta=beta, epsilon=epsilon, weight_decay=weight_decay, decoupled=decoupled)


def adam(
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Optimizer:
    """Adam, Kingma and Ba 2015, arXiv:1412.6980.

    m := beta_1 m + (1 - beta_1) g and s := beta_2 s + (1 - beta_2) g g, both corrected for their start at 0 by
    1 - beta^t after t steps; W := W - rate m / (sqrt(s) + epsilon).
    """

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        params, grads = _decay(params, grads, rate, weight_decay, decoupled)
        t = state.steps + 1
        m = each(lambda m, g: _times(beta_1, m) + _times(1 - beta_1, g), state.trees[0], grads)
        s = each(lambda s, g: _times(beta_2, s) + _times(1 - beta_2, g * g), state.trees[1], grads)
        size, root = rate / (1 - _power(beta_1, t)), 1 / np.sqrt(1 - _power(beta_2, t))

        def move(W: Array, m: Array, s: Array) -> Array:
            moved: Array = W - _times(size, m) / (_times(root, np.sqrt(s)) + s.dtype.type(epsilon))
            return moved

        return each(move, params, m, s), Moments(t, (m, s))

    figures = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return _optimizer("adam", step, 2, **figures, weight_decay=weight_decay, decoupled=decoupled)


def adamw(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.01) -> Optimizer:
    """Adam with decoupled weight decay, Loshchilov and Hutter, arXiv:1711.05101."""
    return adam(beta_1, beta_2, epsilon, weight_decay, decoupled=True)


def lion(beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float = 0.0, decoupled: bool = True) -> Optimizer:
    """Lion: W := W - rate sign(beta_1 m + (1 - beta_1) g), then m := beta_2 m + (1 - beta_2) g.

    Chen et al. 2023, arXiv:2302.06675; its weight decay is decoupled.
    """

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        params, grads = _decay(params, grads, rate, weight_decay, decoupled)
        along = each(lambda m, g: np.sign(_times(beta_1, m) + _times(1 - beta_1, g)), state.trees[0], grads)
        m = each(lambda m, g: _times(beta_2, m) + _times(1 - beta_2, g), state.trees[0], grads)
        return update(params, along, rate), Moments(state.steps + 1, (m,))

    return _optimizer("lion", step, 1, beta_1=beta_1, beta_2=beta_2, weight_decay=weight_decay, decoupled=decoupled)


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """`optimizer` on gradients that are scaled down to `norm` where theirs, over all weights and biases, is larger.

    Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063. If it is clipped already, the smaller norm applies.
    """

    def step(params: Params, grads: Params, state: Any, rate: float) -> tuple[Params, Any]:
        found = global_norm(grads)
        if found > norm:
            grads = each(lambda g: _times(norm / found, g), grads)
        return optimizer.update(params, grads, state, rate)

    least = min(norm, optimizer.figures.get("clip_norm", norm))
    return optimizer._replace(update=step, figures=MappingProxyType({**optimizer.figures, "clip_norm": least}))


def averaged(optimizer: Optimizer, decay: float) -> Optimizer:
    """`optimizer` that also keeps the exponential moving average of the parameters after each step.

    It is corrected for its start: after t steps, step s has the weight (1 - decay) decay^(t - s) / (1 - decay^t). The
    average is the last tree of the state.
    """

    stateless = optimizer.name == "sgd" and optimizer.trees == 0  # known without a call of its `init` in each step

    def init(params: Params) -> Moments:
        return Moments(0, (*trees_of(optimizer.init(params)), zeros(params)))

    def step(params: Params, grads: Params, state: Moments, rate: float) -> tuple[Params, Moments]:
        *trees, average = state.trees
        counts = trees or (not stateless and isinstance(optimizer.init(params), Moments))
        params, inner = optimizer.update(params, grads, Moments(state.steps, tuple(trees)) if counts else (), rate)
        share = float((1 - decay) / (1 - _power(decay, state.steps + 1)))
        average = each(lambda e, W: e + _times(share, W - e), average, params)
        return params, Moments(state.steps + 1, (*trees_of(inner), average))

    trees = None if optimizer.trees is None else optimizer.trees + 1
    return Optimizer(init, step, optimizer.name, MappingProxyType({**optimizer.figures, "ema": decay}), trees)


def averages(optimizer: Optimizer) -> bool:
    """True if the last tree of the optimizer's state is the average of the parameters."""
    return "ema" in optimizer.figures


def evaluation_params(params: Params, state: Any, optimizer: Optimizer) -> Params:
    """Return the parameters to evaluate: their average if the optimizer keeps one and made a step, else `params`."""
    average: Params = state.trees[-1] if averages(optimizer) and state.steps else params
    return average


def global_norm(grads: Params) -> float:
    """Return the Euclidean norm of all gradients together, summed in float64."""
    arrays = (each for layer in grads.layers for each in layer)
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def trees_of(state: Any) -> tuple[Params, ...]:
    """Return the trees of an optimizer state; () has none."""
    return state.trees if isinstance(state, Moments) else ()


def _optimizer(name: str, step: Update, trees: int, **figures: Any) -> Optimizer:
    def init(params: Params) -> Any:
        return Moments(0, tuple(zeros(params) for _ in range(trees))) if trees else ()

    return Optimizer(init, step, name, MappingProxyType(figures), trees)


def _decay(params: Params, grads: Params, rate: float, weight_decay: float, decoupled: bool) -> tuple[Params, Params]:
    """Return params and grads: params shrunk by decoupled weight decay, or grads with that of coupled decay added."""
    if not weight_decay:
        return params, grads
    if decoupled:
        return each(partial(_times, 1 - rate * weight_decay), params), grads
    return params, each(lambda g, W: g + _times(weight_decay, W), grads, params)


def _times(number: float, array: Array) -> Array:
    """Return the product in the dtype of the array."""
    product: Array = array.dtype.type(number) * array
    return product


def _power(base: float, exponent: int) -> Any:
    """Return the power by NumPy, as in compiled training; its last bit may differ from that of Python's."""
    return (base ** np.array([exponent + 0.0]))[0]


OPTIMIZERS: Final[Mapping[str, Callable[..., Optimizer]]] = MappingProxyType(
    {
        "sgd": sgd,
        "momentum": momentum,
        "nesterov": partial(momentum, nesterov=True),
        "rmsprop": rmsprop,
        "adam": adam,
        "adamw": adamw,
        "lion": lion,
    }
)
"""Each optimizer that moves batch by batch, by its name in options and files."""
