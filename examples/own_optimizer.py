"""An optimizer of your own is a pair of pure functions: python examples/own_optimizer.py.

Signum moves each weight by the sign of its momentum (Bernstein et al., arXiv:1802.04434).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import fnnet
from fnnet.core.rng import order
from fnnet.data import load

EPOCHS, BATCH_SIZE, LEARNING_RATE, SEED = 20, 32, 0.0005, 0


def each(function: Callable[..., Any], *trees: fnnet.Params) -> fnnet.Params:
    """Apply `function` to the arrays at the same place in each network, gradient or state."""
    return fnnet.Params(tuple(fnnet.Layer(*map(function, *layers)) for layers in zip(*trees, strict=True)))


def signum(beta: float = 0.9) -> fnnet.Optimizer:
    """v = beta v + (1 - beta) g, W = W - rate sign(v)."""

    def init(params: fnnet.Params) -> fnnet.Params:
        return each(np.zeros_like, params)

    def update(
        params: fnnet.Params, grads: fnnet.Params, velocity: fnnet.Params, learning_rate: float
    ) -> tuple[fnnet.Params, fnnet.Params]:
        velocity = each(lambda v, g: beta * v + (1 - beta) * g, velocity, grads)
        return each(lambda W, v: W - learning_rate * np.sign(v), params, velocity), velocity

    return fnnet.Optimizer(init, update)


data, optimizer = load("digits"), signum()
assert data.test
params = fnnet.init((784, 30, 10), SEED)
state = fnnet.TrainState(params, optimizer.init(params), step=0, seed=SEED)

for epoch in range(EPOCHS):
    rows = order(SEED, "shuffle", len(data.train.x), epoch=epoch)
    state, loss_sum, _ = fnnet.train_block(state, data.train, rows, BATCH_SIZE, LEARNING_RATE, optimizer=optimizer)
    print(f"epoch {epoch + 1:2}: loss {loss_sum / len(rows):.4f}")

predicted = fnnet.predict(state.params, data.test.x)
print(f"test accuracy: {(predicted == data.test.labels).mean():.2%}")
