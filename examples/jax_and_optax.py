"""Parameters are JAX pytrees: train with JAX and optax, predict with fnnet: python examples/jax_and_optax.py.

Needs jax and optax: pip install jax optax.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped, unused-ignore]

import fnnet
from fnnet.core.rng import order
from fnnet.data import load

EPOCHS, BATCH_SIZE, SEED = 20, 32, 0


def loss(params: fnnet.Params, x: Any, labels: Any) -> Any:
    """Return the mean cross-entropy, written in JAX: fnnet's own functions cannot be traced."""
    a = x
    for layer in params[:-1]:
        a = jax.nn.relu(a @ layer.W + layer.b)
    logits = a @ params[-1].W + params[-1].b
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


data = load("digits")
assert data.test
x, labels = jnp.asarray(data.train.x / 255, "float32"), jnp.asarray(data.train.labels)
params = fnnet.init((784, 30, 10), SEED)
optimizer = optax.adam(0.003)
state = optimizer.init(params)


@jax.jit
def step(params: Any, state: Any, x: Any, labels: Any) -> Any:
    updates, state = optimizer.update(jax.grad(loss)(params, x, labels), state)
    return optax.apply_updates(params, updates), state


for epoch in range(EPOCHS):
    shuffled = order(SEED, "shuffle", len(x), epoch=epoch)
    for start in range(0, len(x), BATCH_SIZE):
        batch = shuffled[start : start + BATCH_SIZE]
        params, state = step(params, state, x[batch], labels[batch])

# What comes back from JAX is fnnet's Params again.
print(params)
print(f"loss by JAX {loss(params, x, labels):.4f}, by fnnet {fnnet.loss(params, x, labels):.4f}")
print(f"test accuracy: {(fnnet.predict(params, data.test.x) == data.test.labels).mean():.2%}")
