"""The gradient at the input shows which pixels a prediction depends on: python examples/input_gradient.py.

A step along its sign, invisible in print, changes predictions (Goodfellow, Shlens and Szegedy, arXiv:1412.6572).
"""

import numpy as np

import fnnet
from fnnet.core.params import Array
from fnnet.core.rng import order
from fnnet.core.state import Examples
from fnnet.data import load

STEP, SEED = 0.1, 0


def loss_gradient(params: fnnet.Params, x: Array, labels: Array) -> Array:
    """Return dL/dX of the summed cross-entropy, whose gradient at the logits is P - Y."""
    activations = fnnet.forward(params, x)
    return fnnet.input_gradient(params, activations, activations.probs - np.eye(10)[labels])


data = load("digits")
assert data.test
state = fnnet.TrainState(fnnet.init((784, 30, 10), SEED), (), step=0, seed=SEED)
for epoch in range(20):
    rows = order(SEED, "shuffle", len(data.train.x), epoch=epoch)
    state, _, _ = fnnet.train_block(state, Examples(*data.train), rows, 32, 0.1)

x, labels = data.test.x / 255, data.test.labels
slope = loss_gradient(state.params, x, labels)

print("pixels of the first test image, darker where its loss depends on them more:")
strength = abs(slope[0]).reshape(28, 28)
for row in strength[::2] / strength.max():
    print("".join(" .:-=+*#%@"[int(9 * value)] * 2 for value in row).rstrip())

attacked = np.clip(x + STEP * np.sign(slope), 0, 1)
print(f"accuracy after the step: {(fnnet.predict(state.params, attacked) == labels).mean():.2%}")
print(f"test accuracy: {(fnnet.predict(state.params, x) == labels).mean():.2%}")
