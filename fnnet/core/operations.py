"""The definition: every operation of the network in plain NumPy. Rows are samples.

Each function returns new arrays and changes none of its arguments. The equations hold for float32, float64 and, so
that a derivative can be checked by a complex step, for complex128.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fnnet.core.params import Array

LEAKY_SLOPE: Final = 0.01
FAR: Final = 1000.0
"""Beyond this a smooth activation is its limit in every dtype: exp(-FAR) is 0."""


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


def leaky_relu(z: Array) -> Array:
    """a = z where z > 0, else LEAKY_SLOPE z. Maas, Hannun and Ng, ICML workshop 2013."""
    return np.where(z > 0, z, z.dtype.type(LEAKY_SLOPE) * z)


def leaky_relu_backward(da: Array, z: Array) -> Array:
    """dz = da where z > 0, else LEAKY_SLOPE da, at 0 too."""
    return np.where(z > 0, da, z.dtype.type(LEAKY_SLOPE) * da)


def elu(z: Array) -> Array:
    """a = z where z > 0, else exp(z) - 1. Clevert, Unterthiner and Hochreiter, arXiv:1511.07289."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def elu_backward(da: Array, z: Array) -> Array:
    """dz = da where z > 0, else da exp(z)."""
    dz: Array = da * np.exp(np.minimum(z, 0))
    return dz


def gelu(z: Array) -> Array:
    """a = z P(z), P the normal distribution function. Hendrycks and Gimpel, arXiv:1606.08415, exact."""
    return np.maximum(z, -FAR) * _normal(z)


def gelu_backward(da: Array, z: Array) -> Array:
    """dz = da (P(z) + z p(z)), p the normal density."""
    near = np.clip(z, -FAR, FAR)
    density = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
    dz: Array = da * (_normal(z) + near * density)
    return dz


def _normal(z: Array) -> Array:
    from scipy.special import ndtr  # imported here: 0.2 s, and only GELU needs it

    share: Array = ndtr(z)
    return share


def silu(z: Array) -> Array:
    """a = z sigmoid(z). Elfwing, Uchibe and Doya, arXiv:1702.03118."""
    return np.maximum(z, -FAR) * sigmoid(z)


def silu_backward(da: Array, z: Array) -> Array:
    """dz = da s (1 + z (1 - s)) with s = sigmoid(z)."""
    dz: Array = da * (sigmoid(z) * (1 + np.clip(z, -FAR, FAR) * sigmoid(-z)))
    return dz


def tanh(z: Array) -> Array:
    """a = tanh(z)."""
    a: Array = np.tanh(z)
    return a


def tanh_backward(da: Array, z: Array) -> Array:
    """dz = da (1 - tanh(z)**2), written as 4 sigmoid(2z) sigmoid(-2z), where nothing cancels."""
    twice = 2 * np.clip(z, -FAR, FAR)
    dz: Array = da * (4 * sigmoid(twice) * sigmoid(-twice))
    return dz


def sigmoid(z: Array) -> Array:
    """a = 1 / (1 + exp(-z)), by the one of exp(z) and exp(-z) that cannot overflow."""
    positive = z.real > 0
    e = np.exp(np.where(positive, -z, z))
    a: Array = np.where(positive, np.ones((), e.dtype), e) / (1 + e)
    return a


def sigmoid_backward(da: Array, z: Array) -> Array:
    """dz = da s (1 - s) with s = sigmoid(z); 1 - s is sigmoid(-z)."""
    dz: Array = da * (sigmoid(z) * sigmoid(-z))
    return dz


def linear(z: Array) -> Array:
    """a = z: the network is then one affine function of its input."""
    return z.copy()


def linear_backward(da: Array, z: Array) -> Array:
    """dz = da."""
    return da.copy()


def mish(z: Array) -> Array:
    """a = z tanh(log(1 + exp(z))). Misra, arXiv:1908.08681."""
    t, _ = _mish_factor(z)
    a: Array = np.maximum(z, -FAR) * t
    return a


def mish_backward(da: Array, z: Array) -> Array:
    """dz = da (t + z t') with t = tanh(log(1 + exp(z)))."""
    t, slope = _mish_factor(z)
    dz: Array = da * (t + np.clip(z, -FAR, FAR) * slope)
    return dz


def _mish_factor(z: Array) -> tuple[Array, Array]:
    """t = tanh(log(1 + exp(z))) and its derivative, by e = exp(-|z|), so that nothing overflows or cancels."""
    positive = z.real > 0
    e = np.exp(np.where(positive, -z, z))
    power = np.where(positive, e * e, e)
    above = np.where(positive, 1 + 2 * e, e * e + 2 * e)
    below = above + 2 * np.where(positive, power, np.ones((), e.dtype))
    t: Array = above / below
    slope: Array = 4 * power * (1 + e) / (below * below)
    return t, slope


def softmax(logits: Array) -> Array:
    """Each row's exp(logits) divided by its sum; the row's maximum is subtracted first, so that exp cannot overflow.

    Shapes   logits (n, classes), n and classes at least 1.
    Returns  probs (n, classes), rows summing to 1.
    """
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs: Array = e / e.sum(axis=1, keepdims=True)
    return probs


def cross_entropy(
    logits: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """Mean cross-entropy of a batch and its gradient at the logits, through log-sum-exp.

    The target is (1 - s) onehot + s / classes for label smoothing s (Szegedy et al., arXiv:1512.00567); the mean is
    weighted. Where all weights are 0, so are loss and gradient.

    Shapes   logits (n, classes) float; labels (n,) int in [0, classes), weights (n,) float, both checked by network.
    Returns  loss: float, nats, summed in float64. dlogits (n, classes) = weight (probs - target) / sum of the weights.
    Stable   each row's maximum is subtracted before exp; no logarithm of a probability that underflowed.
    """
    n, classes = logits.shape
    rows, real = np.arange(n), logits.dtype.type
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    hot, even = real(1 - label_smoothing), real(label_smoothing / classes)
    losses = np.log(total[:, 0]) - hot * shifted[rows, labels]
    dlogits = e / total
    if label_smoothing:
        losses -= even * shifted.sum(axis=1)
        dlogits -= even
    dlogits[rows, labels] -= hot
    double = np.result_type(losses, np.float64)
    if weights is None:
        dlogits /= n
        return losses.sum(dtype=double).item() / n, dlogits
    whole = weights.sum(dtype=np.float64).item() or 1.0
    shares = weights.astype(np.float64) / whole
    dlogits *= shares.astype(logits.real.dtype)[:, None]
    return (losses.astype(double) * shares).sum().item(), dlogits


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    """value - learning_rate gradient, the step of gradient descent, for one array of any shape."""
    stepped: Array = value - value.dtype.type(learning_rate) * gradient
    return stepped
