"""Trace one step of training: the functions of `fnnet.core` in their order, each result kept, each gradient compared.

What is computed is what `fnnet.forward`, `backward` and an optimizer's `update` compute, bit for bit: the same
functions with the same arguments. Central differences take float64 copies of the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.apps.trace import equations
from fnnet.apps.trace.equations import NEW, NEW_LOSS, NEW_PROBS, Equation, a_of, z_of
from fnnet.apps.trace.steps import Difference, Operand, Step, Trace
from fnnet.core import operations as ops
from fnnet.core.check_network import OF_MEMBERS, as_input, check_finite_input, check_network
from fnnet.core.check_trees import check_finite_grads
from fnnet.core.checks import calm, check_amount, check_label_smoothing, check_labels
from fnnet.core.differences import differentiate, fitting_step
from fnnet.core.network import BYTES, forward
from fnnet.core.operations import ACTIVATIONS, Activation
from fnnet.core.optimizers import Optimizer, trees_of
from fnnet.core.params import Array, Layer, Params, each, freeze, freeze_params, layer_sizes
from fnnet.core.public_optimizers import SGD, check_optimizer, unchecked
from fnnet.core.state import Committee, Model
from fnnet.errors import ArgumentTypeError, DivergedError
from fnnet.training.steps import overflowing_layer

STEP: Final = 1e-3
"""Of the differences, for numbers up to LARGE; as much larger for larger ones."""
LARGE: Final = 1e6
WORK: Final = 8 * 10**7
"""Multiplications of one loss for each element of an array, at most: all weights of a 784-10-10 network, whose
differences take a second. Of an array for which they are more, a part is taken that costs a quarter of this."""
FEWEST: Final = 16
"""Elements of an array whose differences are taken, however large the network is."""
OWN: Final = "activation"
"""The name of an activation of the user's own."""


class _Problem(NamedTuple):
    """A network and its images, without checks."""

    params: Params
    x: Array
    labels: Array
    formula: Activation
    smoothing: float

    def loss(self, logits: Array) -> float:
        """Return the mean loss of the images."""
        return ops.cross_entropy(logits, self.labels, None, self.smoothing)

    def loss_from(self, layer: int, z: Array) -> float:
        """Return the mean loss if layer `layer`, counted from 1, puts out `z`, before its activation."""
        for W, b in self.params.layers[layer:]:
            z = ops.affine(self.formula.value(z), W, b)
        return self.loss(z)

    def loss_with(self, layer: int, given: Mapping[str, Array], letter: str, array: Array) -> float:
        """Return the mean loss with another array in place of the layer's x, W or b, which are `given`."""
        return self.loss_from(layer, ops.affine(**{**given, letter: array}))


@calm
def trace(
    params: Params | Model,
    x: Any,
    labels: Any,
    *,
    learning_rate: float = 0.05,
    optimizer: Optimizer = SGD,
    label_smoothing: float = 0.0,
    activation: str | Activation | None = None,
    differences: bool = True,
) -> Trace:
    """Return one step of training on `x` (n, inputs) and `labels` (n,), every equation with its numbers.

    params            or a Model, whose activation is used.
    learning_rate     0 or more.
    optimizer         at its first step: its moments are 0 before.
    label_smoothing, activation   as in `fnnet.loss`.
    differences       False to take no central differences.
    Raises   UsageError for arguments that do not fit, ArgumentTypeError for a Committee; DivergedError for a loss that
             is not finite before the step or after it.

    The arrays of the result are read-only.

    >>> import fnnet, numpy as np
    >>> from fnnet.apps.trace import trace
    >>> found = trace(fnnet.init((4, 3, 2)), np.ones((1, 4)), [1], learning_rate=0.1)
    >>> [step.name for step in found.steps][:6]
    ['x', 'z1', 'a1', 'logits', 'probs', 'loss']
    >>> found.step("dW1").equation, found.step("dW1").shape, found.step("dW1").difference.verdict
    ('dW1 = x.T @ dz1', (4, 3), 'right')
    """
    checked, kind = check_network(params, activation)
    if isinstance(checked, Committee):
        found = f"a committee of {len(checked.members)}"
        raise ArgumentTypeError("a trace is of one network", expected="Params or a Model", found=found, fix=OF_MEMBERS)
    network = freeze_params(each(np.ndarray.view, checked))
    floats = as_input(x, network)
    labels = check_labels(labels, (len(floats), network.layers[-1].b.size))
    smoothing, rate = check_label_smoothing(label_smoothing), check_amount("learning_rate", learning_rate)
    plain = unchecked(check_optimizer(optimizer))
    name, formula = (kind, ACTIVATIONS[kind]) if isinstance(kind, str) else (OWN, kind)
    problem = _Problem(network, floats, labels, formula, smoothing)
    with np.errstate(all="ignore"):  # what is not finite is an error
        values = _gradients(problem)
        if not math.isfinite(values["loss"]):
            check_finite_input(x, network)
            raise _diverged(values)
        grads = _tree(values, len(network.layers))
        check_finite_grads(grads)
        updated, state = plain.update(network, grads, plain.init(network), rate)
        values |= _updated(problem, plain, updated, state)
    if not math.isfinite(values[NEW_LOSS]):
        raise _diverged(values)
    values |= {**_given(x, problem), **plain.figures, "learning_rate": rate}
    with np.errstate(all="ignore"):
        compared = _differences(problem) if differences else {}
    lines = equations.equations(len(network.layers), name, "bytes" in values, len(floats), plain.name, plain.figures)
    steps = tuple([_step(line, values, compared) for line in lines])
    return Trace(
        steps, network, grads, updated, values["loss"], values[NEW_LOSS], tuple(labels.tolist()),
        *_meaning(params, network), name, optimizer, rate, smoothing,
    )  # fmt: skip


def _gradients(problem: _Problem) -> dict[str, Any]:
    """Return all values of the forward and the backward pass by name, those that are computed here read-only."""
    params, x, labels, formula, smoothing = problem
    depth = len(params.layers)
    values: dict[str, Any] = {"x": x}
    for layer, (W, b) in enumerate(params.layers, 1):
        if layer > 1:
            values[a_of(layer - 1)] = formula.value(values[z_of(layer - 1, depth)])
        values |= {f"W{layer}": W, f"b{layer}": b}
        values[z_of(layer, depth)] = ops.affine(values[a_of(layer - 1)], W, b)
    values["probs"] = ops.softmax(values["logits"])
    values["loss"] = problem.loss(values["logits"])
    dz = values["dlogits"] = ops.cross_entropy_backward(values["probs"], labels, None, smoothing)
    for layer in reversed(range(1, depth + 1)):
        a, W = a_of(layer - 1), values[f"W{layer}"]
        da, values[f"dW{layer}"], values[f"db{layer}"] = ops.affine_backward(dz, values[a], W, need_dx=layer > 1)
        if da is not None:
            z = z_of(layer - 1, depth)
            values[f"d{a}"] = da
            dz = values[f"d{z}"] = formula.backward(da, values[z])
    for value in values.values():
        if isinstance(value, np.ndarray):
            freeze(value)
    return values


def _tree(values: Mapping[str, Any], depth: int) -> Params:
    """Return the gradients at each layer's weights and biases as a tree."""
    return Params(tuple([Layer(values[f"dW{layer}"], values[f"db{layer}"]) for layer in range(1, depth + 1)]))


def _by_name(prefix: str, params: Params) -> dict[str, Array]:
    """Return the arrays of a tree by names with this prefix, read-only."""
    return {
        f"{prefix}{letter}{number}": freeze(array)
        for number, layer in enumerate(params.layers, 1)
        for letter, array in zip("Wb", layer, strict=True)
    }


def _updated(problem: _Problem, optimizer: Optimizer, updated: Params, state: Any) -> dict[str, Any]:
    """Return the values of the step itself by key: parameters and moments, and what the network then makes of x."""
    rule = equations.rule_of(optimizer.name, optimizer.figures)
    before, after = trees_of(optimizer.init(problem.params)), trees_of(state)
    values: dict[str, Any] = _by_name(NEW, updated)
    for letter, old, new in zip(rule.moments if rule else (), before, after, strict=False):
        values |= {**_by_name(letter, old), **_by_name(f"{NEW}{letter}", new)}
    activations = forward(updated, problem.x, problem.formula)
    return {**values, NEW_PROBS: freeze(activations.probs), NEW_LOSS: problem.loss(activations.logits)}


def _given(x: Any, problem: _Problem) -> dict[str, Any]:
    """Return the operands that no equation computes: the images, the targets of their labels, their number."""
    zeros = np.zeros((1, problem.params.layers[-1].b.size), problem.x.dtype)
    # The gradient at probabilities of 0 is -Y, that of one image at a time without a rounding.
    rows = [zeros - ops.cross_entropy_backward(zeros, each[None], None, problem.smoothing) for each in problem.labels]
    images = np.asarray(x)
    source = {"bytes": freeze(images.view())} if images.dtype == BYTES else {"numbers": problem.x}
    return {**source, "y": freeze(np.concatenate(rows)), "n": len(problem.x)}


def _step(line: Equation, values: Mapping[str, Any], compared: Mapping[str, Difference]) -> Step:
    operands = tuple([Operand(key.removeprefix(NEW), values[key]) for key in line.operands])
    formula = equations.mathematics(line.formula or line.shown)
    result, difference = values[line.result], compared.get(line.result)
    return Step(line.name, line.part, line.shown, formula, line.function, operands, result, difference)


def _meaning(given: Params | Model, params: Params) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """Return the names of the classes and the shape of an image: those of a model, else numbers and a square."""
    if isinstance(given, Model):
        return given.classes, given.image_shape
    inputs, *_, classes = layer_sizes(params)
    side = math.isqrt(inputs)
    return tuple(map(str, range(classes))), (side, side) if side * side == inputs else None


def _diverged(values: Mapping[str, Any]) -> DivergedError:
    """Return the error for a loss that is not finite: that after the step, if there is one."""
    if NEW_LOSS in values:
        place, found, fix = "after the step", values[NEW_LOSS], "use a smaller learning rate"
    else:
        z = [value for name, value in values.items() if name == "logits" or (name[0] == "z" and name[1:].isdigit())]
        place, found = f"before the step, layer {overflowing_layer(tuple(z))}", values["loss"]
        fix = "scale the images, or use smaller weights"
    return DivergedError("the loss is not finite", place=place, expected="a finite loss", found=found, fix=fix)


def _differences(problem: _Problem) -> dict[str, Difference]:
    """Return the central differences of each gradient by its name, in float64."""
    params = each(lambda array: array.astype(np.float64), problem.params)
    exact = problem._replace(params=params, x=problem.x.astype(np.float64))
    values, depth = _gradients(exact), len(params.layers)
    found = {}
    for layer, (W, b) in enumerate(params.layers, 1):
        a, z = a_of(layer - 1), z_of(layer, depth)
        given = {"x": values[a], "W": W, "b": b}
        losses: dict[str, Callable[[Array], float]] = {z: partial(exact.loss_from, layer)}
        for letter, name in (("x", a), ("W", f"W{layer}"), ("b", f"b{layer}")):
            if name != "x":
                losses[name] = partial(exact.loss_with, layer, given, letter)
        work = len(exact.x) * sum(each.W.size for each in params.layers[layer - 1 :])
        for name, loss in losses.items():
            all_fit = work * values[name].size <= WORK
            most = None if all_fit else max(FEWEST, WORK // (4 * work))
            found[f"d{name}"] = difference(name, values[name], values[f"d{name}"], loss, most)
    return found


def difference(
    name: str, at: Array, gradient: Array, loss: Callable[[Array], float], most: int | None = None
) -> Difference:
    """Return the central differences of a loss beside its gradient.

    at         the point, float64; `loss` is called with arrays of its shape, and keeps none.
    gradient   in float64, shaped like `at`.
    most       elements whose difference is taken, those with the largest gradients; None for all.
    """
    gradients = gradient.ravel()
    places = np.arange(at.size)
    if most is not None and most < at.size:
        places = np.sort(np.argpartition(-abs(gradients), most - 1)[:most])
    moved = at.copy()
    flat, base = moved.reshape(-1), at.ravel()[places]

    def value(number: int, distance: float) -> float:
        place = places[number]
        flat[place] = base[number] + distance
        # Beside a nat, as in gradcheck: the terms of a small loss cancel, and its own size would hide their rounding.
        found = 1.0 + loss(moved)
        flat[place] = base[number]
        return found

    step = fitting_step(name, base, STEP * max(1.0, float(abs(base).max()) / LARGE))
    epsilon = float(np.finfo(np.float64).eps)
    slopes = differentiate(value, 1.0 + loss(moved), base, step, lambda: epsilon, gradients[places])
    errors = slopes.errors(gradients[places])
    spread, kinks = np.full(at.shape, np.nan), np.zeros(at.shape, bool)
    spread.flat[places], kinks.flat[places] = slopes.slopes * slopes.unit, slopes.kinks
    worst = float(errors[~np.isnan(errors)].max(initial=0.0))
    return Difference(freeze(spread), freeze(kinks), len(places), worst)
