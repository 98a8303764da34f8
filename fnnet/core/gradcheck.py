"""Gradient checking: every parameter's derivative against two independent derivatives of the loss.

Central differences use the five-point rule (error h**4): (L(-2h) - 8 L(-h) + 8 L(h) - L(2h)) / 12h.
The complex step takes Im L(w + ih) / h, which has no cancellation and is exact up to rounding (Squire and Trapp 1998,
doi:10.1137/S003614459631241X); it evaluates the NumPy definitions on complex numbers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import network, rng
from fnnet.core.check_network import as_input, check_activation, check_like, check_masks, check_params
from fnnet.core.checks import calm, check_label_smoothing, check_labels, check_weights
from fnnet.core.operations import ACTIVATIONS, OPERATIONS
from fnnet.core.params import Array, Layer, Params
from fnnet.core.public import init
from fnnet.core.table import NUMPY, Kernels, check_kernels

CENTRAL_LIMIT: Final = 1e-7
COMPLEX_LIMIT: Final = 1e-12
STEP: Final = 1e-3
COMPLEX_STEP: Final = 1e-100
FLOOR: Final = 1e-3
"""A relative error's denominator is at least this fraction of the largest derivative of the array."""
LEAST: Final = 1e-4
"""And at least this: rounding leaves 1e-12 of a loss of some nats in a central difference whose true value is 0."""


class Check(NamedTuple):
    """One array of the network: the largest relative errors over its parameters.

    checked        parameters compared with central differences.
    kinks          parameters not compared, because the step moved a unit across its activation's kink.
    central        largest relative error against central differences.
    complex_step   largest relative error against the complex step.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    central: float
    complex_step: float

    @property
    def passed(self) -> bool:
        """True if both errors are within their limits and at least one parameter was checked."""
        return self.checked > 0 and self.central <= CENTRAL_LIMIT and self.complex_step <= COMPLEX_LIMIT


class _Problem(NamedTuple):
    """Everything that the loss depends on except the parameters."""

    x: Array
    labels: Array
    activation: str
    masks: tuple[Array, ...] | None
    weights: Array | None
    label_smoothing: float


@calm
def check_gradients(
    params: Params,
    x: Any,
    labels: Array,
    *,
    activation: str = "relu",
    masks: tuple[Array, ...] | None = None,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
    grads: Params | None = None,
) -> tuple[Check, ...]:
    """Check `backward` (or the given `grads`) at float64 `params`, `x` (n, inputs), `labels` (n,).

    The loss is that of `forward` and `loss` with the same options. Both checks cover every parameter; each takes seven
    forward passes, five if the activation has no kink.

    Returns  one Check per array, in the order of the parameters.
    """
    params = check_params(params)
    x = as_input(x, params)
    labels, weights = check_labels(labels, (len(x), params.layers[-1].b.size)), check_weights(weights, len(x))
    check_activation(activation)
    check_kernels(kernels)
    masks, label_smoothing = check_masks(masks, len(x), params), check_label_smoothing(label_smoothing)
    if grads is None:
        activations = network.forward(params, x, activation, masks, kernels.operations)
        grads = network.backward(params, activations, labels, weights, label_smoothing, kernels.operations)
    else:
        grads = check_like(params, grads, "grads")[1]
    problem = _Problem(x, labels, activation, masks, weights, label_smoothing)
    return tuple(
        _check_array(params, grads, problem, number, name)
        for number in range(len(params.layers))
        for name in Layer._fields
    )


def _check_array(params: Params, grads: Params, problem: _Problem, number: int, name: str) -> Check:
    gradient = getattr(grads.layers[number], name)
    central, exact = np.full(gradient.shape, np.nan), np.empty(gradient.shape)
    pattern = _pattern(params, problem)
    for place in np.ndindex(gradient.shape):
        exact[place] = _loss(_moved(params, number, name, place, COMPLEX_STEP * 1j), problem).imag / COMPLEX_STEP
        moved = [_moved(params, number, name, place, steps * STEP) for steps in (-2, -1, 1, 2)]
        if all(_pattern(other, problem) == pattern for other in (moved[0], moved[-1])):
            a, b, c, d = (_loss(other, problem).real for other in moved)
            central[place] = (a - 8 * b + 8 * c - d) / (12 * STEP)
    smooth = ~np.isnan(central)
    return Check(
        f"layer {number + 1} {name}",
        gradient.shape,
        int(smooth.sum()),
        int((~smooth).sum()),
        _worst(gradient[smooth], central[smooth]),
        _worst(gradient, exact),
    )


def _worst(found: Array, wanted: Array) -> float:
    if not found.size:
        return 0.0
    scale = np.maximum(np.abs(wanted), max(LEAST, FLOOR * np.abs(wanted).max()))
    return float((np.abs(found - wanted) / scale).max())


def _moved(params: Params, number: int, name: str, place: tuple[int, ...], by: complex) -> Params:
    """Return `params` with one parameter moved."""
    layer = params.layers[number]
    array = getattr(layer, name).astype(np.result_type(by, np.float64))
    array[place] += by
    layers = list(params.layers)
    layers[number] = layer._replace(**{name: array})
    return Params(tuple(layers))


def _pattern(params: Params, problem: _Problem) -> bytes:
    """Return which hidden units are on; nothing where the activation has no kink."""
    if not ACTIVATIONS[problem.activation].kinked:
        return b""
    activations = network.forward(params, problem.x, problem.activation, problem.masks)
    return b"".join((z > 0).tobytes() for z in activations.z[:-1])


def _loss(params: Params, problem: _Problem) -> complex:
    """Return the loss at real or complex parameters, by the definitions alone."""
    logits = network.forward(params, problem.x, problem.activation, problem.masks).logits
    return OPERATIONS.cross_entropy(logits, problem.labels, problem.weights, problem.label_smoothing)


def example(sizes: tuple[int, ...], seed: int, images: int = 3) -> tuple[Params, Array, Array]:
    """Return a float64 network for a check, its biases random too, and a random batch."""
    params = init(sizes, seed, scheme="notebook" if max(sizes) < 50 else "he", dtype=np.float64)
    x = 2 * rng.uniform(seed, "check", images * sizes[0]).reshape(images, -1) - 1
    drawn = rng.uniform(seed, "check", images, step=1)
    return params, x, (drawn * sizes[-1]).astype(np.int64)


def example_weights(seed: int, images: int = 3) -> Array:
    """Return sample weights for the batch of `example`, (images,) in [0, 1)."""
    return rng.uniform(seed, "check", images, step=2)
