"""Optimizers: pairs of pure functions, `init` and `update`, over a network's parameters."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.checks import as_array, calm, check_amount, check_count, check_finite, check_share
from fnnet.core.params import Array, Layer, Params, freeze
from fnnet.core.state import Moments
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.kernels.layout import (
    BLEND,
    CLIP,
    CONSTANTS,
    DECAY,
    FIRST,
    FIRST_REST,
    KEEP,
    LEAST,
    RATE,
    ROOT,
    RULES,
    SECOND,
    SECOND_REST,
    STEP,
)

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
        return RULES[self.name]


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


@calm
def update(params: Params, grads: Params, learning_rate: float, *, kernels: Kernels = NUMPY) -> Params:
    """The step of gradient descent, W = W - learning_rate dW and b = b - learning_rate db, as new parameters.

    Raises   UsageError where grads are not shaped and typed like params, or the rate is no finite number.
    """
    learning_rate = check_finite("learning_rate", learning_rate)
    check_kernels(kernels)
    check_like(params, grads, "grads")

    def step(value: Array, gradient: Array) -> Array:
        return freeze(kernels.update(value, gradient, learning_rate))

    # A rate beyond the weights' numbers makes infinity of them, which needs no warning: training tells it.
    beyond = abs(learning_rate) > float(np.finfo(params.layers[0].W.dtype).max)
    with np.errstate(over="ignore", invalid="ignore") if beyond else contextlib.nullcontext():
        layers = zip(params.layers, grads.layers, strict=True)
        return Params(tuple(Layer(step(W, dW), step(b, db)) for (W, b), (dW, db) in layers))


def _scaled(scalar: float, array: Array) -> Array:
    scaled: Array = array.dtype.type(scalar) * array
    return scaled


def _constants(learning_rates: Any, steps: Array, weight_decay: float, decoupled: bool) -> Array:
    """The columns that every rule has."""
    table = np.zeros((len(steps), CONSTANTS))
    table[:, RATE] = learning_rates
    table[:, KEEP] = 1 - table[:, RATE] * weight_decay if decoupled else 1
    table[:, DECAY] = 0 if decoupled else weight_decay
    return table


def _at(coefficients: Coefficients, learning_rate: float, state: Any) -> Array:
    """What the update of the next step takes."""
    steps = state.steps if isinstance(state, Moments) else 0
    row: Array = coefficients(learning_rate, np.array([steps + 1.0]))[0]
    return row


def _decayed(grads: Params, params: Params, row: Array) -> Params:
    """The gradient with that of weight decay inside the loss."""
    return map_trees(lambda g, W: g + _scaled(row[DECAY], W), grads, params) if row[DECAY] else grads


def _moved(params: Params, along: Params, row: Array, kernels: Kernels) -> Params:
    """The parameters, shrunk by decoupled weight decay, less the learning rate times `along`."""
    kept = map_trees(lambda W: _scaled(row[KEEP], W), params) if row[KEEP] != 1 else params
    return update(kept, along, float(row[RATE]), kernels=kernels)


def sgd(*, weight_decay: float = 0.0, decoupled: bool = False) -> Optimizer:
    """Plain gradient descent, W = W - rate g. Robbins and Monro 1951, doi:10.1214/aoms/1177729586.

    weight_decay   coupled, as in all optimizers here: g + weight_decay W takes the place of g; `decoupled`: W is
                   multiplied by 1 - rate weight_decay instead (Loshchilov and Hutter, arXiv:1711.05101).
    Raises   UsageError unless weight_decay is finite and not negative.
    """
    weight_decay = check_amount("weight_decay", weight_decay)

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        return _constants(learning_rates, steps, weight_decay, decoupled)

    def step(params: Params, grads: Params, state: Any, learning_rate: float, kernels: Kernels) -> tuple[Params, Any]:
        if not weight_decay:  # its constants are then 1 and 0, and take longer to look up than the step
            return update(params, grads, learning_rate, kernels=kernels), state
        row = _at(coefficients, learning_rate, state)
        return _moved(params, _decayed(grads, params, row), row, kernels), state

    return made_of("sgd", coefficients, step)


SGD: Final = sgd()
"""Plain gradient descent without weight decay."""


def momentum(
    beta: float = 0.9, *, nesterov: bool = False, weight_decay: float = 0.0, decoupled: bool = False
) -> Optimizer:
    """Gradient descent with momentum: v = beta v + g, then W = W - rate v; with `nesterov` W = W - rate (g + beta v).

    Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al., ICML 2013, for Nesterov's in this form.
    Raises   UsageError unless 0 <= beta < 1; weight_decay as in `sgd`.
    """
    beta, weight_decay = check_share("momentum", beta), check_amount("weight_decay", weight_decay)

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        table = _constants(learning_rates, steps, weight_decay, decoupled)
        table[:, FIRST] = beta
        return table

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        row = _at(coefficients, learning_rate, state)
        grads = _decayed(grads, params, row)
        velocity = map_trees(lambda v, g: _scaled(beta, v) + g, state.trees[0], grads)
        along = map_trees(lambda v, g: g + _scaled(beta, v), velocity, grads) if nesterov else velocity
        return _moved(params, along, row, kernels), Moments(state.steps + 1, (velocity,))

    return made_of("nesterov" if nesterov else "momentum", coefficients, step)


def rmsprop(
    beta: float = 0.99, epsilon: float = 1e-8, *, weight_decay: float = 0.0, decoupled: bool = False
) -> Optimizer:
    """RMSProp, Tieleman and Hinton 2012.

    square = beta square + (1 - beta) g g, W = W - rate g / (sqrt(square) + epsilon).
    Raises   UsageError unless 0 <= beta < 1 and epsilon > 0; weight_decay as in `sgd`.
    """
    beta, weight_decay = check_share("beta", beta), check_amount("weight_decay", weight_decay)
    epsilon = check_amount("epsilon", epsilon, above=True)

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        table = _constants(learning_rates, steps, weight_decay, decoupled)
        table[:, SECOND], table[:, SECOND_REST], table[:, LEAST] = beta, 1 - beta, epsilon
        return table

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        row = _at(coefficients, learning_rate, state)
        grads = _decayed(grads, params, row)
        square = map_trees(lambda s, g: _scaled(beta, s) + _scaled(1 - beta, g * g), state.trees[0], grads)
        along = map_trees(lambda g, s: g / (np.sqrt(s) + s.dtype.type(epsilon)), grads, square)
        return _moved(params, along, row, kernels), Moments(state.steps + 1, (square,))

    return made_of("rmsprop", coefficients, step)


def adam(
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Optimizer:
    """Adam, Kingma and Ba 2015, arXiv:1412.6980.

    mean = beta_1 mean + (1 - beta_1) g, square = beta_2 square + (1 - beta_2) g g, both corrected for their start at 0;
    W = W - rate mean / (sqrt(square) + epsilon).
    Raises   UsageError unless 0 <= beta < 1 and epsilon > 0; weight_decay as in `sgd`.
    """
    beta_1, beta_2 = check_share("beta_1", beta_1), check_share("beta_2", beta_2)
    epsilon, weight_decay = check_amount("epsilon", epsilon, above=True), check_amount("weight_decay", weight_decay)

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        table = _constants(learning_rates, steps, weight_decay, decoupled)
        table[:, [FIRST, FIRST_REST, SECOND, SECOND_REST]] = beta_1, 1 - beta_1, beta_2, 1 - beta_2
        table[:, STEP] = table[:, RATE] / (1 - beta_1**steps)
        table[:, ROOT] = 1 / np.sqrt(1 - beta_2**steps)
        table[:, LEAST] = epsilon
        return table

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        row = _at(coefficients, learning_rate, state)
        grads = _decayed(grads, params, row)
        first, rest, second, other = row[[FIRST, FIRST_REST, SECOND, SECOND_REST]]
        mean = map_trees(lambda m, g: _scaled(first, m) + _scaled(rest, g), state.trees[0], grads)
        square = map_trees(lambda s, g: _scaled(second, s) + _scaled(other, g * g), state.trees[1], grads)

        def move(W: Array, m: Array, s: Array) -> Array:
            root = _scaled(row[ROOT], np.sqrt(s)) + W.dtype.type(epsilon)
            moved: Array = _scaled(row[KEEP], W) - _scaled(row[STEP], m) / root
            return moved

        return map_trees(move, params, mean, square), Moments(state.steps + 1, (mean, square))

    return made_of("adam", coefficients, step)


def adamw(
    beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, *, weight_decay: float = 0.01
) -> Optimizer:
    """Adam with decoupled weight decay, Loshchilov and Hutter, arXiv:1711.05101."""
    return adam(beta_1, beta_2, epsilon, weight_decay=weight_decay, decoupled=True)


def lion(beta_1: float = 0.9, beta_2: float = 0.99, *, weight_decay: float = 0.0, decoupled: bool = False) -> Optimizer:
    """Lion, Chen et al. 2023, arXiv:2302.06675.

    W = W - rate sign(beta_1 m + (1 - beta_1) g), then m = beta_2 m + (1 - beta_2) g.
    Raises   UsageError unless 0 <= beta < 1; weight_decay as in `sgd`.
    """
    beta_1, beta_2 = check_share("beta_1", beta_1), check_share("beta_2", beta_2)
    weight_decay = check_amount("weight_decay", weight_decay)

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        table = _constants(learning_rates, steps, weight_decay, decoupled)
        table[:, [FIRST, FIRST_REST, SECOND, SECOND_REST]] = beta_1, 1 - beta_1, beta_2, 1 - beta_2
        return table

    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        row = _at(coefficients, learning_rate, state)
        grads = _decayed(grads, params, row)
        mean = state.trees[0]
        along = map_trees(lambda m, g: np.sign(_scaled(beta_1, m) + _scaled(1 - beta_1, g)), mean, grads)
        mean = map_trees(lambda m, g: _scaled(beta_2, m) + _scaled(1 - beta_2, g), mean, grads)
        return _moved(params, along, row, kernels), Moments(state.steps + 1, (mean,))

    return made_of("lion", coefficients, step)


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """`optimizer` on gradients that are scaled down to `norm` where theirs, over all weights and biases, is larger.

    Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063.
    Raises   UsageError unless norm is finite and above 0.
    """
    norm, optimizer = check_amount("clip_norm", norm, above=True), check_optimizer(optimizer)

    @calm
    def step(params: Params, grads: Params, state: Any, learning_rate: float, kernels: Kernels) -> tuple[Params, Any]:
        check_like(params, grads, "grads")
        found = global_norm(grads)
        if found > norm:
            grads = map_trees(lambda g: _scaled(norm / found, g), grads)
        return optimizer.update(params, grads, state, learning_rate, kernels)

    # One that is clipped already keeps the smaller norm.
    rule = _with_column(
        optimizer.rule, CLIP, lambda steps, before: np.where(before > 0, np.minimum(before, norm), norm)
    )
    return optimizer._replace(update=step, rule=rule and rule._replace(clips=True))


@calm
def global_norm(grads: Params) -> float:
    """The Euclidean norm of all gradients together, summed in float64."""
    check_like(grads, grads, "grads")
    arrays = (as_array("gradient", each, "f", "floats") for layer in grads.layers for each in layer)
    squares = sum(float(np.square(each, dtype=np.float64).sum()) for each in arrays)
    return math.sqrt(squares)


def averaged(optimizer: Optimizer, decay: float) -> Optimizer:
    """`optimizer` that also keeps the exponential moving average of the parameters after each step, corrected for its
    start: after t steps step s has the weight (1 - decay) decay^(t - s) / (1 - decay^t).

    Raises   UsageError unless 0 <= decay < 1, and for an optimizer that keeps an average already, or whose state is
             neither () nor Moments.
    """
    decay, optimizer = check_share("ema", decay), check_optimizer(optimizer)
    if optimizer.averages:
        raise UsageError("optimizer to average", expected="one that keeps no average", found="one that does")

    @calm
    def blend(steps: Array) -> Array:
        return (1 - decay) / (1 - decay**steps)

    def init(params: Params) -> Moments:
        return Moments(0, (*_trees(optimizer.init(params)), zeros(params)))

    @calm
    def step(
        params: Params, grads: Params, state: Moments, learning_rate: float, kernels: Kernels
    ) -> tuple[Params, Moments]:
        check_state(made, params, state)
        *trees, average = state.trees
        given = Moments(state.steps, tuple(trees)) if trees else ()
        params, inner = optimizer.update(params, grads, given, learning_rate, kernels)
        share = float(blend(np.array(state.steps + 1.0)))
        average = map_trees(lambda e, W: e + _scaled(share, W - e), average, params)
        return params, Moments(state.steps + 1, (*_trees(inner), average))

    made = Optimizer(init, step, _with_column(optimizer.rule, BLEND, lambda steps, _: blend(steps)), averages=True)
    return made


def _trees(state: Any) -> tuple[Params, ...]:
    """What a state remembers, that an average can be put behind."""
    trees = trees_of(state)
    if trees is None:
        raise UsageError("optimizer to average", expected="a state () or Moments", found=type(state).__name__)
    return trees


def answering(params: Params, state: Any, optimizer: Optimizer) -> Params:
    """The parameters to answer with: their average where the optimizer keeps one and has made a step, else `params`."""
    average: Params = state.trees[-1] if optimizer.averages and state.steps else params
    return average


def _with_column(rule: Rule | None, column: int, value: Callable[[Array, Array], Any]) -> Rule | None:
    """`rule` with a column that is `value` of the steps and of what it was."""
    if rule is None:
        return None

    def coefficients(learning_rates: Any, steps: Array) -> Array:
        table = rule.coefficients(learning_rates, steps)
        table[:, column] = value(steps, table[:, column])
        return table

    return rule._replace(coefficients=coefficients)


def make(
    name: str, *, momentum_beta: float = 0.9, weight_decay: float = 0.0, clip_norm: float = 0.0, ema: float = 0.0
) -> Optimizer:
    """The optimizer `name` with these figures; 0 is without.

    weight_decay   coupled for all but adamw.
    """
    nesterov = name == "nesterov"
    makers: dict[str, Callable[..., Optimizer]] = {
        "sgd": sgd,
        "momentum": partial(momentum, momentum_beta, nesterov=nesterov),
        "nesterov": partial(momentum, momentum_beta, nesterov=nesterov),
        "rmsprop": rmsprop,
        "adam": adam,
        "adamw": adamw,
    }
    if not isinstance(name, str) or name not in makers:
        raise UsageError("unknown optimizer", expected=" or ".join(makers), found=repr(name))
    made = makers[name](weight_decay=weight_decay)
    if clip_norm:
        made = clipped(made, clip_norm)
    return averaged(made, ema) if ema else made
