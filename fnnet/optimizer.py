"""The form of an optimizer: a pair of pure functions over a network's parameters, and its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fnnet.arrays import calm
from fnnet.checks import check_amount, check_count
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels import NUMPY, Kernels, check_kernels
from fnnet.kernels.layout import MOMENTS, RULES
from fnnet.params import Array, Layer, Params, freeze

Coefficients = Callable[[Any, Array], Array]


class Rule(NamedTuple):
    """An optimizer as numbers, for compiled code: the name of its update and its constants.

    coefficients   (learning rates (n,) or one for all, steps (n,)) -> float64 (n, CONSTANTS): what the update takes at
                   those steps, which are counted from 1 over the optimizer's life; columns as in `kernels.layout`.
    clips          whether the gradient's norm has a limit.
    """

    name: str
    coefficients: Coefficients
    clips: bool = False

    @property
    def moments(self) -> int:
        """How many trees it remembers."""
        return MOMENTS[RULES.index(self.name)]


class Optimizer(NamedTuple):
    """How parameters move along gradients.

    init      params -> optimizer state, a tuple.
    update    (params, grads, optimizer state, learning_rate, kernels) -> (params, optimizer state).
    rule      the same for the compiled block trainer; None for an optimizer that it does not know, which then goes step
              by step.
    averages  whether the last tree of its state is the average of the parameters.
    """

    init: Callable[[Params], Any]
    update: Callable[[Params, Params, Any, float, Kernels], tuple[Params, Any]]
    rule: Rule | None = None
    averages: bool = False


def check_like(params: Any, other: Any, name: str) -> None:
    """UsageError unless `other`, called `name`, is shaped and typed like params."""
    for each in (params, other):
        if not isinstance(each, Params) or not isinstance(each.layers, (tuple, list)):
            raise ArgumentTypeError("not a network", expected="Params", found=type(each).__name__)
    alike = len(params.layers) == len(other.layers) and all(map(_are_alike, params.layers, other.layers))
    if not alike:
        expected, found = ([_described(layer) for layer in each.layers] for each in (params, other))
        raise UsageError(f"{name} do not fit params", expected=expected, found=found)


def _are_alike(one: Any, other: Any) -> bool:
    # Of every step, so that it may take no more than a microsecond. Arrays may be JAX's.
    if not (isinstance(one, Layer) and isinstance(other, Layer)):
        return False
    (W, b), (other_W, other_b) = one, other
    try:
        alike = (
            W.shape == other_W.shape
            and b.shape == other_b.shape
            and W.dtype == b.dtype == other_W.dtype == other_b.dtype
        )
        return alike and (
            type(W) is type(b) is type(other_W) is type(other_b) is np.ndarray or all(map(_is_whole, (*one, *other)))
        )
    except AttributeError:
        return False


def _is_whole(array: Any) -> bool:
    return type(array) is np.ndarray or not isinstance(array, np.ma.MaskedArray)


def _described(layer: Any) -> str:
    """What a layer is, in a message."""
    if not isinstance(layer, Layer):
        return type(layer).__name__
    return ", ".join(
        f"{each.shape} {each.dtype}" if hasattr(each, "dtype") and _is_whole(each) else type(each).__name__
        for each in layer
    )


def map_trees(function: Callable[..., Array], *trees: Params) -> Params:
    """`function` of the arrays at the same place of each tree, as a tree of read-only arrays."""
    layers = zip(*(tree.layers for tree in trees), strict=True)
    return Params(tuple(Layer(*(freeze(function(*each)) for each in zip(*parts, strict=True))) for parts in layers))


def zeros(params: Params) -> Params:
    """What is shaped like the parameters, of zeros."""
    return map_trees(np.zeros_like, params)


class Moments(NamedTuple):
    """The state of an optimizer that remembers.

    steps   updates made so far.
    trees   what is remembered, each shaped like the parameters: (velocity,), RMSProp's (square,), Adam's (mean,
            square); behind them the average of the parameters, where the optimizer keeps one.
    """

    steps: int
    trees: tuple[Params, ...]


def check_optimizer(optimizer: Any) -> Optimizer:
    """`optimizer` if it is one, else ArgumentTypeError."""
    if not (isinstance(optimizer, Optimizer) and callable(optimizer.init) and callable(optimizer.update)):
        raise ArgumentTypeError("optimizer", expected="one, as fnnet.momentum()", found=repr(optimizer))
    return optimizer


def trees_of(state: Any) -> tuple[Params, ...] | None:
    """What a state remembers, nothing where it is (); None for a state of another kind."""
    if isinstance(state, Moments):
        return state.trees
    return () if isinstance(state, tuple) and not state else None


def check_state(optimizer: Optimizer, params: Params, state: Any) -> None:
    """UsageError unless `state` can be that of `optimizer` for `params`; one without a rule looks for itself."""
    if optimizer.rule is None:
        return
    wanted, trees = optimizer.rule.moments + optimizer.averages, trees_of(state)
    if trees is None or len(trees) != wanted:
        expected = f"{wanted} trees, as {optimizer.rule.name} remembers{' with an average' * optimizer.averages}"
        found = type(state).__name__ if trees is None else f"{len(trees)} trees"
        fix = "begin with fnnet.steps.start(params, seed, optimizer=...), or its init(params)"
        raise UsageError("optimizer state is not of this optimizer", expected=expected, found=found, fix=fix)
    if isinstance(state, Moments):
        check_count("optimizer state's steps", state.steps, 0)
    for tree in trees:
        check_like(params, tree, "moments")


def made_of(name: str, coefficients: Coefficients, step: Callable[..., tuple[Params, Any]]) -> Optimizer:
    """The optimizer of a rule that `step` says in NumPy; its update looks at what it is given first."""
    rule = Rule(name, calm(coefficients))

    def init(params: Params) -> Any:
        check_like(params, params, "params")
        return Moments(0, tuple(zeros(params) for _ in range(rule.moments))) if rule.moments else ()

    @calm
    def checked(
        params: Params, grads: Params, state: Any, learning_rate: float, kernels: Kernels = NUMPY
    ) -> tuple[Params, Any]:
        check_kernels(kernels)
        check_like(params, grads, "grads")
        check_state(made, params, state)
        return step(params, grads, state, check_amount("learning_rate", learning_rate), kernels)

    made = Optimizer(init, checked, rule)
    return made
