"""The definition: every operation of the network in plain NumPy. Rows are samples.

Each function returns new arrays and changes none of its arguments. The equations hold for float32, float64 and, so
that a derivative can be checked by a complex step, for complex128.
"""

from __future__ import annotations

import numpy as np

from fnnet.params import Array


def affine(x: Array, W: Array, b: Array) -> Array:
    """z = x W + b.

    Shapes   x (n, inputs), W (inputs, outputs), b (outputs,), all of one dtype.
    Returns  z (n, outputs).
    """
    return x @ W + b


def affine_backward(dz: Array, x: Array, W: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
    """Gradients of z = x W + b: dx = dz W^T, dW = x^T dz, db = sum of dz over the samples, one number per unit.

    Shapes   dz (n, outputs), x (n, inputs), W (inputs, outputs). The 1/n of the mean is already in dz.
    Returns  dx (n, inputs), or None unless `need_dx` (nothing lies before the first layer); dW like W; db (outputs,).
    """
    dx = dz @ W.T if need_dx else None
    return dx, x.T @ dz, dz.sum(axis=0)


def relu(z: Array) -> Array:
    """a = max(z, 0), element by element. NaN stays NaN."""
    a: Array = np.maximum(z, 0)
    return a


def relu_backward(da: Array, z: Array) -> Array:
    """dz = da where z > 0, else 0; the derivative at 0 is 0 by convention.

    Shapes   da and z alike (n, units).
    """
    return np.where(z > 0, da, np.zeros((), da.dtype))


def softmax(logits: Array) -> Array:
    """Each row's exp(logits) divided by its sum; the row's maximum is subtracted first, so that exp cannot overflow.

    Shapes   logits (n, classes), n and classes at least 1.
    Returns  probs (n, classes), rows summing to 1.
    """
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs: Array = e / e.sum(axis=1, keepdims=True)
    return probs


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean cross-entropy of a batch and its gradient at the logits, through log-sum-exp.

    Shapes   logits (n, classes) float; labels (n,) int in [0, classes), checked by network.
    Returns  loss: float, nats, summed in float64. dlogits (n, classes) = (probs - onehot) / n.
    Stable   each row's maximum is subtracted before exp; no logarithm of a probability that underflowed.
    """
    n = len(labels)
    rows = np.arange(n)
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[rows, labels]
    dlogits = e / total
    dlogits[rows, labels] -= 1
    dlogits /= n
    return losses.sum(dtype=np.result_type(losses, np.float64)).item() / n, dlogits


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    """value - learning_rate gradient, the step of gradient descent, for one array of any shape."""
    stepped: Array = value - value.dtype.type(learning_rate) * gradient
    return stepped
