"""The network as its equations: forward, loss, backward, predict.

`x` is (n, inputs) in the dtype of the parameters. These functions check nothing; those of `fnnet` check their arguments
once and call them. Complex numbers pass through, which gives exact derivatives (`gradcheck`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.operations import OPERATIONS, Operations
from fnnet.core.params import Array, Layer, Params, read_only_copies

BYTES: Final = np.dtype(np.uint8)
LARGEST: Final = np.array(255, np.float32)
"""The largest byte. Converting Python's 255 takes 0.3 us."""


@read_only_copies
class Activations(NamedTuple):
    """What `forward` returns and `backward` takes.

    a      each layer's input: (x as float, hidden activations...), each (n, units).
    z      each layer's output before its activation, each (n, units); the last are the logits.
    probs  softmax of the logits, (n, classes).
    activation, masks   as given to `forward`.
    """

    a: tuple[Array, ...]
    z: tuple[Array, ...]
    probs: Array
    activation: str = "relu"
    masks: tuple[Array, ...] | None = None

    @property
    def logits(self) -> Array:
        """The final scores, (n, classes)."""
        return self.z[-1]


def as_floats(x: Array, dtype: DTypeLike) -> Array:
    """Return `x` as floats of `dtype`: bytes are divided by 255, floats are taken as they are."""
    if x.dtype != BYTES:
        return np.asarray(x, dtype)
    floats = x.astype(dtype)
    floats /= LARGEST
    return floats


def forward(
    params: Params,
    x: Array,
    activation: str = "relu",
    masks: tuple[Array, ...] | None = None,
    operations: Operations = OPERATIONS,
) -> Activations:
    """Z = A W + b through every layer, the activation between them, softmax at the end."""
    affine, value, softmax = operations.affine, operations.activations[activation].value, operations.softmax
    a: tuple[Array, ...] = (x,)
    z: tuple[Array, ...] = ()
    for W, b in params.layers:
        if z:
            hidden = value(z[-1])
            a += (hidden if masks is None else hidden * masks[len(z) - 1],)
        z += (affine(a[-1], W, b),)
    return Activations(a, z, softmax(z[-1]), activation, masks)


def backward(
    params: Params,
    activations: Activations,
    labels: Array,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    operations: Operations = OPERATIONS,
) -> Params:
    """Return the gradient of the mean cross-entropy at every W and b, as Params; computed from the last layer back."""
    a, z, probs, activation, masks = activations
    dz = operations.cross_entropy_backward(probs, labels, weights, label_smoothing)
    grads = []
    for number in reversed(range(len(params.layers))):
        da, dW, db = operations.affine_backward(dz, a[number], params.layers[number].W, need_dx=number > 0)
        grads.append(Layer(dW, db))
        if da is not None:
            da = da if masks is None else da * masks[number - 1]
            dz = operations.activations[activation].backward(da, z[number - 1])
    return Params(tuple(reversed(grads)))


def scores(params: Params, x: Array, activation: str = "relu", operations: Operations = OPERATIONS) -> Array:
    """Return the logits (n, classes): the forward pass without what `backward` takes."""
    affine, value = operations.affine, operations.activations[activation].value
    z = affine(x, *params.layers[0])
    for W, b in params.layers[1:]:
        z = affine(value(z), W, b)
    return z


def loss(
    params: Params,
    x: Array,
    labels: Array,
    activation: str = "relu",
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    operations: Operations = OPERATIONS,
) -> float:
    """Return the mean cross-entropy in nats."""
    return operations.cross_entropy(scores(params, x, activation, operations), labels, weights, label_smoothing)


def predict(params: Params, x: Array, activation: str = "relu", operations: Operations = OPERATIONS) -> Array:
    """Return the class with the highest score of each row, int64 (n,); of equal ones the lowest."""
    best: Array = scores(params, x, activation, operations).argmax(axis=1)
    return best
