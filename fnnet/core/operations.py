"""The definition of every operation of the network, in plain NumPy. Rows are samples.

Each function returns new arrays, changes none of its arguments and checks none of them. The equations hold for float32,
float64 and, so that a derivative can be checked by a complex step, for complex128.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.erf import normal_cdf
from fnnet.core.params import Array

LEAKY_SLOPE: Final = 0.01
FAR: Final = 1000.0
"""Beyond this a smooth activation is its limit in every dtype: exp(-FAR) is 0."""

ZERO: Final = np.zeros((), np.float32)
"""0 as an array without axes, which does not change the dtype of a result: converting Python's 0 takes 0.3 us."""
_sum, _max = np.add.reduce, np.maximum.reduce
"""What an array's methods `sum` and `max` call; called directly, each takes 0.6 us less."""


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
    return dx, x.T @ dz, _sum(dz, axis=0)


def relu(z: Array) -> Array:
    """a = max(z, 0), element by element. NaN stays NaN."""
    a: Array = np.maximum(z, ZERO)
    return a


def relu_backward(da: Array, z: Array) -> Array:
    """dz = da where z > 0, else 0; the derivative at 0 is 0 by convention.

    Shapes   da and z alike (n, units).
    """
    return np.where(z > ZERO, da, np.zeros((), da.dtype))


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
    return np.maximum(z, -FAR) * normal_cdf(z)


def gelu_backward(da: Array, z: Array) -> Array:
    """dz = da (P(z) + z p(z)), p the normal density."""
    near = np.clip(z, -FAR, FAR)
    density = np.exp(-near * near / 2) / math.sqrt(2 * math.pi)
    dz: Array = da * (normal_cdf(z) + near * density)
    return dz


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
    """a = z: layers without an activation are one affine map."""
    return z.copy()


def linear_backward(da: Array, z: Array) -> Array:
    """dz = da."""
    return da.copy()


def mish(z: Array) -> Array:
    """a = z tanh(log(1 + exp(z))). Misra, arXiv:1908.08681."""
    return np.maximum(z, -FAR) * _mish(z)[0]


def mish_backward(da: Array, z: Array) -> Array:
    """dz = da (t + z (1 - t**2) sigmoid(z)) with t = tanh(log(1 + exp(z)))."""
    t, rest = _mish(z)
    dz: Array = da * (t + np.clip(z, -FAR, FAR) * rest)
    return dz


def _mish(z: Array) -> tuple[Array, Array]:
    """Return t and (1 - t**2) sigmoid(z) as ratios of polynomials in e = exp(-|z|), in which nothing cancels."""
    positive = z.real > 0
    e = np.exp(np.where(positive, -z, z))
    below = np.where(positive, 1 + 2 * e + 2 * e * e, 2 + 2 * e + e * e)
    t = np.where(positive, 1 + 2 * e, e * (2 + e)) / below
    return t, 4 * (1 + e) * np.where(positive, e * e, e) / (below * below)


def softmax(logits: Array) -> Array:
    """Each row's exp(logits) divided by its sum; the row's maximum is subtracted first, so that exp cannot overflow.

    Shapes   logits (n, classes), n and classes at least 1.
    Returns  probs (n, classes), rows summing to 1.
    """
    e = np.exp(logits - _max(logits, axis=1, keepdims=True))
    probs: Array = e / _sum(e, axis=1, keepdims=True)
    return probs


def cross_entropy(logits: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0) -> float:
    """L = mean of -log P[label] in nats, through log-sum-exp, summed in float64.

    The target is (1 - s) onehot + s / classes for label smoothing s (Szegedy et al., arXiv:1512.00567); the mean is
    weighted, and 0 where all weights are 0.

    Shapes   logits (n, classes) float; labels (n,) int in [0, classes); weights (n,) float, not negative.
    Stable   each row's maximum is subtracted before exp; no logarithm of a probability that underflowed.
    """
    n, real = len(logits), logits.dtype.type
    shifted = logits - _max(logits, axis=1, keepdims=True)
    losses = np.log(_sum(np.exp(shifted), axis=1)) - real(1 - label_smoothing) * shifted[np.arange(n), labels]
    if label_smoothing:
        losses -= real(label_smoothing / logits.shape[1]) * _sum(shifted, axis=1)
    double = np.complex128 if losses.dtype.kind == "c" else np.float64
    if weights is None:
        loss: float = _sum(losses, dtype=double).item() / n
        return loss
    weighted: float = (losses.astype(double) * _shares(weights)).sum().item()
    return weighted


def cross_entropy_backward(
    probs: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> Array:
    """dZ = (P - Y) / n, the gradient of the mean cross-entropy at the logits.

    Y is the target: 1 at the label of each row, or 1 - s there and s / classes everywhere for label smoothing s. With
    weights, weight / sum of the weights takes the place of 1 / n.

    Shapes   probs (n, classes), the softmax of the logits; labels (n,), weights (n,) as in `cross_entropy`.
    Returns  dlogits (n, classes).
    """
    (n, classes), real = probs.shape, probs.dtype.type
    Y = np.zeros((n, classes), probs.dtype)
    Y[np.arange(n), labels] = real(1 - label_smoothing)
    if label_smoothing:
        probs = probs - real(label_smoothing / classes)
    if weights is None:
        dZ: Array = (probs - Y) / n
        return dZ
    weighted: Array = (probs - Y) * _shares(weights).astype(probs.real.dtype)[:, None]
    return weighted


def _shares(weights: Array) -> Array:
    """Return each sample's share in a weighted mean, float64 (n,); 0 where all weights are 0."""
    shares: Array = weights.astype(np.float64) / (weights.sum(dtype=np.float64).item() or 1.0)
    return shares


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    """W := W - learning_rate dW, the step of gradient descent, for one array of any shape."""
    stepped: Array = value - value.dtype.type(learning_rate) * gradient
    return stepped


class Activation(NamedTuple):
    """A hidden activation; `activation=` takes one of the user's own wherever it takes a name.

    value      z -> a, element by element; both (n, units).
    backward   (da, z) -> dz, da times the derivative at z.
    kinked     True if a derivative jumps at 0, (of ELU the second): a difference quotient across 0 means nothing.

    >>> import fnnet, numpy as np
    >>> square = fnnet.Activation(np.square, lambda da, z: da * 2 * z)
    >>> fnnet.forward(fnnet.init((4, 3, 2)), np.ones((5, 4)), activation=square).probs.shape
    (5, 2)
    """

    value: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]
    kinked: bool = False


class Operations(NamedTuple):
    """One implementation of every operation, with the arguments and the meaning of the functions of this module."""

    affine: Callable[..., Array]
    affine_backward: Callable[..., tuple[Array | None, Array, Array]]
    softmax: Callable[..., Array]
    cross_entropy: Callable[..., float]
    cross_entropy_backward: Callable[..., Array]
    update: Callable[..., Array]
    activations: Mapping[str, Activation]


ACTIVATIONS: Final[Mapping[str, Activation]] = MappingProxyType(
    {
        "relu": Activation(relu, relu_backward, kinked=True),
        "leaky_relu": Activation(leaky_relu, leaky_relu_backward, kinked=True),
        "elu": Activation(elu, elu_backward, kinked=True),
        "gelu": Activation(gelu, gelu_backward),
        "silu": Activation(silu, silu_backward),
        "tanh": Activation(tanh, tanh_backward),
        "sigmoid": Activation(sigmoid, sigmoid_backward),
        "linear": Activation(linear, linear_backward),
        "mish": Activation(mish, mish_backward),
    }
)

OPERATIONS: Final = Operations(
    affine, affine_backward, softmax, cross_entropy, cross_entropy_backward, update, ACTIVATIONS
)
"""The operations of this module, which define all others."""
