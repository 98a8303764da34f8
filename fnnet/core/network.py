"""The network as its equations: forward, loss, backward, predict.

`x` is (n, inputs) in the dtype of the parameters. These functions check nothing; those of `fnnet` check their arguments
once and call them. Complex numbers pass through, which gives exact derivatives (`gradcheck`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.operations import OPERATIONS, Activation, Operations
from fnnet.core.params import Array, Layer, Params, array_tuple

BYTES: Final = np.dtype(np.uint8)
LARGEST: Final = np.array(255, np.float32)
"""The largest byte. Converting Python's 255 takes 0.3 us."""


@array_tuple
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
    activation: str | Activation = "relu"
    masks: tuple[Array, ...] | None = None

    @property
    def logits(self) -> Array:
        """The final scores, (n, classes)."""
        return self.z[-1]


def as_floats(x: Array, dtype: DTypeLike) -> Array:
    """Return `x` as floats of `dtype`: bytes are divided by 255, floats are taken as they are."""
    if x.dtype != BYTES:
        with np.errstate(over="ignore"):
            return np.asarray(x, dtype)
    floats = x.astype(dtype)
    floats /= LARGEST
    return floats


def forward(
    params: Params,
    x: Array,
    activation: str | Activation = "relu",
    masks: tuple[Array, ...] | None = None,
    operations: Operations = OPERATIONS,
) -> Activations:
    """Z = A W + b through every layer, the activation between them, softmax at the end."""
    formula = operations.activations[activation] if isinstance(activation, str) else activation
    affine, value, softmax = operations.affine, formula.value, operations.softmax
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
    """Return the gradient of the mean cross-entropy at every W and b, as Params."""
    dlogits = operations.cross_entropy_backward(activations.probs, labels, weights, label_smoothing)
    return backpropagate(params, activations, dlogits, operations)


def backpropagate(
    params: Params, activations: Activations, dlogits: Array, operations: Operations = OPERATIONS
) -> Params:
    """Return the gradient at every W and b of a loss whose gradient at the logits is `dlogits` (n, classes).

    It is computed from the last layer back.
    """
    a, z, _, activation, masks = activations
    formula = operations.activations[activation] if isinstance(activation, str) else activation
    dz, grads = dlogits, []
    for number in reversed(range(len(params.layers))):
        da, dW, db = operations.affine_backward(dz, a[number], params.layers[number].W, need_dx=number > 0)
        grads.append(Layer(dW, db))
        if da is not None:
            dz = formula.backward(da if masks is None else da * masks[number - 1], z[number - 1])
    return Params(tuple(reversed(grads)))


def input_gradient(
    params: Params, activations: Activations, dlogits: Array, operations: Operations = OPERATIONS
) -> Array:
    """Return dX = dZ W^T of the first layer, the gradient at the inputs, (n, inputs)."""
    dz, W = _dz(params, activations, dlogits, operations)[0], params.layers[0].W
    return operations.affine(dz, W.T, np.zeros(len(W), W.dtype))


def sample_gradients(
    params: Params, activations: Activations, dlogits: Array, operations: Operations = OPERATIONS
) -> Params:
    """Return the terms of `backpropagate`'s sums over the samples: dW = x dz^T, (n, inputs, outputs), and db = dz."""
    each = zip(activations.a, _dz(params, activations, dlogits, operations), strict=True)
    return Params(tuple([Layer(x[:, :, None] * dz[:, None, :], dz.copy()) for x, dz in each]))


def _dz(params: Params, activations: Activations, dlogits: Array, operations: Operations) -> list[Array]:
    """Return the gradient at each layer's Z, (n, units), first layer first."""
    _, z, _, activation, masks = activations
    formula = operations.activations[activation] if isinstance(activation, str) else activation
    dz = [dlogits]
    for number in reversed(range(1, len(params.layers))):
        W = params.layers[number].W
        da = operations.affine(dz[0], W.T, np.zeros(len(W), W.dtype))
        dz.insert(0, formula.backward(da if masks is None else da * masks[number - 1], z[number - 1]))
    return dz


def scores(
    params: Params, x: Array, activation: str | Activation = "relu", operations: Operations = OPERATIONS
) -> Array:
    """Return the logits (n, classes): the forward pass without what `backward` takes."""
    formula = operations.activations[activation] if isinstance(activation, str) else activation
    z = operations.affine(x, *params.layers[0])
    for W, b in params.layers[1:]:
        z = operations.affine(formula.value(z), W, b)
    return z


def loss(
    params: Params,
    x: Array,
    labels: Array,
    activation: str | Activation = "relu",
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    operations: Operations = OPERATIONS,
) -> float:
    """Return the mean cross-entropy in nats."""
    return operations.cross_entropy(scores(params, x, activation, operations), labels, weights, label_smoothing)


def predict(
    params: Params, x: Array, activation: str | Activation = "relu", operations: Operations = OPERATIONS
) -> Array:
    """Return the class with the highest score of each row, int64 (n,); of equal ones the lowest."""
    best: Array = scores(params, x, activation, operations).argmax(axis=1)
    return best
