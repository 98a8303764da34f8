"""One step of training, as in the equations: forward, backward, update."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnnet.core import dropout, network, rng, shards
from fnnet.core.check_network import as_input, check_activation, check_finite_input, check_params
from fnnet.core.checks import (
    MOST,
    calm,
    check_amount,
    check_count,
    check_label_smoothing,
    check_labels,
    check_weights,
)
from fnnet.core.operations import Operations
from fnnet.core.optimizers import Optimizer, trees_of
from fnnet.core.params import Array, Params, each, freeze_params, layer_sizes, zeros
from fnnet.core.public_optimizers import SGD, check_optimizer, check_state, unchecked
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import PLAIN, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, DivergedError
from fnnet.limits import MOST_SHARDS


def start(params: Params, seed: int, *, optimizer: Optimizer = SGD) -> TrainState:
    """Return the state before the first step."""
    params = freeze_params(each(np.ndarray.view, check_params(params)))
    return TrainState(params, check_optimizer(optimizer).init(params), 0, rng.check_seed(seed))


@calm
def train_step(
    state: TrainState,
    x: Any,
    labels: Any,
    learning_rate: float,
    *,
    weights: Any = None,
    objective: Objective = PLAIN,
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> tuple[TrainState, float, int]:
    """Make a training step on one batch, `x` (n, inputs) and `labels` (n,): forward, backward, update.

    weights   of the samples (n,); None for equal ones.
    Returns   the next state, the batch's mean loss and its number of correct predictions before the step.
    Raises    DivergedError for a loss, or weights after the step, that are not finite; it names the step and the layer.
              UsageError for arguments that do not fit, a learning rate below 0 or the state of another optimizer, and
              for an `x` that is not finite.

    >>> import fnnet, numpy as np
    >>> state = fnnet.TrainState(fnnet.init((4, 3, 2)), (), step=0, seed=0)
    >>> state, loss, correct = fnnet.train_step(state, np.zeros((8, 4)), np.zeros(8, int), 0.1)
    >>> state.step, round(loss, 4), correct
    (1, 0.6931, 8)
    """
    state = check_work(state, objective, optimizer)
    check_kernels(kernels)
    learning_rate, floats = check_amount("learning_rate", learning_rate), as_input(x, state.params)
    labels = check_labels(labels, (len(floats), state.params.layers[-1].b.size))
    weights = None if weights is None else check_weights(weights, len(floats))
    if not isinstance(objective.activation, str):
        objective = objective._replace(activation=check_activation(objective.activation))
    plain = unchecked(optimizer)
    moments = check_state(plain, state.params, state.optimizer_state)
    if moments is not state.optimizer_state:
        state = state._replace(optimizer_state=moments)
    work = (labels, learning_rate, weights, objective, plain, kernels.operations)
    try:
        with np.errstate(all="ignore"):  # what is not finite is an error, as in blocks
            made, mean_loss, correct = step(state, floats, *work)
    except DivergedError:
        check_finite_input(x, state.params)
        raise
    return freeze_state(made), mean_loss, correct


def step(
    state: TrainState,
    x: Array,
    labels: Array,
    learning_rate: float,
    weights: Array | None,
    objective: Objective,
    optimizer: Optimizer,
    operations: Operations,
    ranks: Ranks = ALONE,
) -> tuple[TrainState, float, int]:
    """Make a training step on one batch `x` of floats: `train_step` without checks of its arguments.

    ranks   processes that share the shards of the batch.
    """
    masks = _masks(state, len(x), objective)
    if objective.shards == 1:
        grads, mean_loss, correct = _gradient(state, x, labels, weights, objective, masks, operations)
    else:
        grads, mean_loss, correct = _sharded(state, x, labels, weights, objective, masks, operations, ranks)
    params, optimizer_state = optimizer.update(state.params, grads, state.optimizer_state, learning_rate)
    made = TrainState(params, optimizer_state, state.step + 1, state.seed, state.scheme)
    check_finite_weights(made)
    return made, mean_loss, correct


def _gradient(
    state: TrainState, x: Array, labels: Array, weights: Array | None, objective: Objective,
    masks: tuple[Array, ...] | None, operations: Operations, share: float = 1.0,
) -> tuple[Params, float, int]:  # fmt: skip
    """Return the gradient of the mean loss times `share`, that mean loss, and the number of correct predictions."""
    params, activation, smoothing = state.params, objective.activation, objective.label_smoothing
    activations = network.forward(params, x, activation, masks, operations)
    logits = activations.z[-1]
    mean_loss = operations.cross_entropy(logits, labels, weights, smoothing)
    if not math.isfinite(mean_loss):
        raise diverged(state.step + 1, overflowing_layer(activations.z), mean_loss)
    dlogits = operations.cross_entropy_backward(activations.probs, labels, weights, smoothing)
    if share != 1:
        dlogits = dlogits * dlogits.dtype.type(share)
    grads = network.backpropagate(params, activations, dlogits, operations)
    return grads, mean_loss, int(np.count_nonzero(logits.argmax(axis=1) == labels))


def _sharded(
    state: TrainState, x: Array, labels: Array, weights: Array | None, objective: Objective,
    masks: tuple[Array, ...] | None, operations: Operations, ranks: Ranks,
) -> tuple[Params, float, int]:  # fmt: skip
    """Return what `_gradient` does, the gradient as the sum over the shards of the batch, which ranks share."""
    parts, marks, failed = [], [], None
    begin, end = ranks.own(objective.shards)
    for first, last in shards.cuts(len(x), objective.shards)[begin:end]:
        if first == last:
            parts.append(zeros(state.params))
            continue
        rows, share = slice(first, last), shards.share_of(weights, len(x), first, last)
        own = None if masks is None else tuple(mask[rows] for mask in masks)
        given = None if weights is None else weights[rows]
        try:
            grads, loss, right = _gradient(state, x[rows], labels[rows], given, objective, own, operations, share)
        except DivergedError as error:
            failed = error
            break
        parts.append(grads)
        marks.append((share * loss, right))
    mean_loss, correct = 0.0, 0
    for found, raised in ranks.gather((marks, failed)):
        if raised:
            raise raised
        for loss, right in found:
            mean_loss, correct = mean_loss + loss, correct + right
    if ranks.size == 1:
        return shards.tree_sum(parts, objective.message_bits), mean_loss, correct
    return shards.total(parts, objective.shards, ranks, objective.message_bits), mean_loss, correct


def _masks(state: TrainState, n: int, objective: Objective) -> tuple[Array, ...] | None:
    if not objective.dropout:
        return None
    widths, dtype = layer_sizes(state.params)[1:-1], state.params.layers[0].W.dtype
    return dropout.masks(state.seed, state.step, widths, n, objective.dropout, dtype=dtype)


def freeze_state(state: TrainState) -> TrainState:
    """Make every array of `state`, which the caller has just made, read-only and return it."""
    for tree in (state.params, *trees_of(state.optimizer_state)):
        freeze_params(tree)
    return state


def check_work(state: Any, objective: Any, optimizer: Any) -> TrainState:
    """Return a state with plain arrays; raise UsageError unless these are a state, an objective and an optimizer."""
    if not isinstance(state, TrainState):
        raise ArgumentTypeError("not of type TrainState", expected="TrainState", found=type(state).__name__)
    if not isinstance(objective, Objective):
        raise ArgumentTypeError("not of type Objective", expected="Objective", found=type(objective).__name__)
    checked: TrainState = state
    seed, number = state.seed, state.step
    if not (type(seed) is type(number) is int and 0 <= seed < 2**64 and 0 <= number <= MOST):
        checked = state._replace(seed=rng.check_seed(seed), step=check_count("step", number, 0))
    check_optimizer(optimizer)
    params = check_params(checked.params)
    if objective is not PLAIN:
        check_activation(objective.activation)
        dropout.dropped(objective.dropout, len(params.layers) - 1)
        check_label_smoothing(objective.label_smoothing)
        check_count("shards", objective.shards, 1, MOST_SHARDS)
        shards.check_message_bits(objective.message_bits, objective.shards, params.layers[0].W.dtype)
    return checked if params is checked.params else checked._replace(params=params)


def diverged(step: int | str, layer: int | None = None, found: object = None) -> DivergedError:
    """Return the error for numbers that are no longer finite."""
    place = f"step {step}" if isinstance(step, int) else step
    expected = "finite weights" if found is None else "a finite loss"
    place += f", layer {layer}" if layer else ""
    fix = "use a smaller learning rate or weight decay, or clip the gradient's norm"
    return DivergedError("training diverged", place=place, expected=expected, found=found, fix=fix)


def overflowing_layer(z: tuple[Array, ...]) -> int:
    """Return the first layer, counted from 1, whose outputs are not finite; the last if all are."""
    return next((number for number, output in enumerate(z, 1) if not np.isfinite(output).all()), len(z))


def check_finite_weights(state: TrainState) -> None:
    """Raise DivergedError, naming the layer, unless every weight of `state` is finite."""
    for number, (W, b) in enumerate(state.params.layers, 1):
        # The sum of squares is quicker and makes no array of booleans; it may overflow even if all weights are finite.
        finite = math.isfinite(np.vdot(W, W)) and math.isfinite(np.vdot(b, b))
        if not (finite or (np.isfinite(W).all() and np.isfinite(b).all())):
            raise diverged(state.step, number)
