"""A loss of your own needs its gradient at the logits, no more: python examples/own_loss.py.

The mean squared error of the probabilities (Brier 1950) takes the place of cross-entropy, and softplus that
of ReLU.
"""

from typing import Any

import numpy as np

import fnnet
from fnnet.core.params import Array
from fnnet.core.rng import order
from fnnet.data import load

SIZES, EPOCHS, BATCH_SIZE, LEARNING_RATE, SEED = (784, 30, 10), 30, 32, 0.3, 0

softplus = fnnet.Activation(lambda z: np.logaddexp(0, z), lambda da, z: da / (1 + np.exp(-z)))


def brier(probs: Array, labels: Array) -> float:
    """L = mean of the sum of (P - Y)^2 over the classes."""
    return float(((probs - np.eye(10)[labels]) ** 2).sum() / len(labels))


def brier_backward(probs: Array, labels: Array) -> Array:
    """dZ = P (dP - sum of P dP over the classes), with dP = 2 (P - Y) / n."""
    dprobs = 2 * (probs - np.eye(10)[labels]) / len(labels)
    dlogits: Array = probs * (dprobs - (probs * dprobs).sum(axis=1, keepdims=True))
    return dlogits


def gradient(params: fnnet.Params, x: Any, labels: Array) -> fnnet.Params:
    activations = fnnet.forward(params, x, activation=softplus)
    return fnnet.backpropagate(params, activations, brier_backward(activations.probs, labels))


data = load("digits")
(x, labels), test = data.train, data.test
assert test

# The gradient agrees with difference quotients of the loss.
small, few, their = fnnet.init((9, 4, 10), SEED, dtype="float64"), x[:4, 400:409] / 255, labels[:4]
checks = fnnet.check_gradient(
    lambda params: brier(fnnet.forward(params, few, activation=softplus).probs, their),
    small,
    gradient(small, few, their),
)
print("gradient right:", checks.passed)

params = fnnet.init(SIZES, SEED)
for epoch in range(EPOCHS):
    shuffled = order(SEED, "shuffle", len(x), epoch=epoch)
    for start in range(0, len(x), BATCH_SIZE):
        batch = shuffled[start : start + BATCH_SIZE]
        params = fnnet.update(params, gradient(params, x[batch], labels[batch]), LEARNING_RATE)

predicted = fnnet.predict(params, test.x, activation=softplus)
print(f"test accuracy: {(predicted == test.labels).mean():.2%}")
