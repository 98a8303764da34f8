"""One step of training in float64 with every array that it computes, under the names that libraries share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import network
from fnnet.core import operations as ops
from fnnet.core.operations import ACTIVATIONS
from fnnet.core.optimizers import Optimizer, global_norm
from fnnet.core.params import Array, Layer, Params, each

EPSILON: Final = float(np.finfo(np.float64).eps)
AFFINE: Final = "affine"
ACTIVATION: Final = "activation"
LOSS: Final = "loss"
GRADIENT: Final = "gradient"
CLIPPING: Final = "clipping"
UPDATE: Final = "update"
"""Kinds of operations."""
Arrays = dict[str, Array]
"""What a step computes, by name; a library leaves out what it does not show.

z1, a1, ..., the last z the logits; probs, loss; dz, dW and db of each layer, from the last to the first, the gradients
of the mean loss; "clipped dW1" and so on; W1, b1, ... after the step."""


class Batch(NamedTuple):
    """What a step is made on.

    x          (n, inputs) float64.
    labels     (n,) int.
    rate       the learning rate.
    weights    of the rows (n,); None for equal ones.
    masks      of dropout, (n, units) for each hidden layer; None for none.
    """

    x: Array
    labels: Array
    rate: float
    weights: Array | None = None
    masks: tuple[Array, ...] | None = None


class Operation(NamedTuple):
    """An operation of a step, by the name of its result; layers are counted from 1."""

    name: str
    kind: str
    words: str


def operations(layers: int, activation: str, clips: bool) -> Iterator[Operation]:
    """Yield the operations of a step of a network with some layers, in the order in which they are computed."""
    for n in range(1, layers + 1):
        last = n == layers
        words = "logits z{0} = {1} @ W{0} + b{0}" if last else "pre-activation z{0} = {1} @ W{0} + b{0}"
        yield Operation(f"z{n}", AFFINE, words.format(n, f"a{n - 1}" if n > 1 else "x"))
        if not last:
            yield Operation(f"a{n}", ACTIVATION, f"activation a{n} = {activation}(z{n})")
    yield Operation("probs", LOSS, "softmax of the logits")
    yield Operation("loss", LOSS, "mean loss of the batch")
    for n in range(layers, 0, -1):
        kind, at = (LOSS, "the logits") if n == layers else (ACTIVATION, f"z{n}, through {activation}")
        yield Operation(f"dz{n}", kind, f"gradient dz{n} at {at}")
        for letter, of in (("dW", "weights"), ("db", "biases")):
            yield Operation(f"{letter}{n}", GRADIENT, f"gradient {letter}{n} at the {of} of layer {n}")
    for prefix, kind, words in (("clipped ", CLIPPING, "clipped gradient d{}{}"), ("", UPDATE, "update of {}{}")):
        for n in range(1, layers + 1) if clips or not prefix else ():
            for letter in "Wb":
                name = f"clipped d{letter}{n}" if prefix else f"{letter}{n}"
                yield Operation(name, kind, words.format(letter, n))


class Ours(NamedTuple):
    """fnnet's side between two steps: the parameters, float64, and the state of the optimizer."""

    params: Params
    state: Any


def step(
    at: Ours,
    batch: Batch,
    activation: str,
    optimizer: Optimizer,
    label_smoothing: float = 0.0,
    decay: float = 0.0,
    rounded: bool = False,
) -> tuple[Ours, Arrays]:
    """Make a step as `fnnet.train_step` does, bit for bit, and keep what it computes.

    optimizer   without checks.
    decay       weight decay that the other side has in its gradients: it is added to those shown, not to those used.
    rounded     as if derivatives of activations, which are at most about 1, were rounded by other formulas.
    """
    params = at.params
    found = network.forward(params, batch.x, activation, batch.masks)
    dz: Any = ops.cross_entropy_backward(found.probs, batch.labels, batch.weights, label_smoothing)
    grads, arrays = backpropagated(params, found, dz, rounded)
    loss = ops.cross_entropy(found.logits, batch.labels, batch.weights, label_smoothing)
    arrays |= {f"z{n}": z for n, z in enumerate(found.z, 1)} | {f"a{n}": a for n, a in enumerate(found.a[1:], 1)}
    arrays |= {"probs": found.probs, "loss": np.array(loss)}
    shown = each(lambda g, W: g + decay * W, grads, params) if decay else grads
    arrays |= named(shown, "d")
    if norm := optimizer.figures.get("clip_norm"):
        all_of = global_norm(grads)
        arrays |= named(each(lambda g: g * norm / all_of, grads) if all_of > norm else grads, "clipped d")
    moved, state = optimizer.update(params, grads, at.state, batch.rate)
    return Ours(moved, state), arrays | named(moved)


def backpropagated(
    params: Params, found: network.Activations, dlogits: Array, rounded: bool = False
) -> tuple[Params, Arrays]:
    """Return the gradient of each W and b, as `network.backpropagate` does, and that of each layer's z by name.

    rounded   as in `step`: 1 - tanh(z)^2, say, is wrong by an ulp of 1, however small it is.
    """
    formula, dz, grads, arrays = ACTIVATIONS[str(found.activation)], dlogits, list[Layer](), Arrays()
    for n in range(len(params.layers), 0, -1):
        arrays[f"dz{n}"] = dz
        da, dW, db = ops.affine_backward(dz, found.a[n - 1], params.layers[n - 1].W, need_dx=n > 1)
        grads.insert(0, Layer(dW, db))
        if da is not None:
            da = da if found.masks is None else da * found.masks[n - 2]
            dz = formula.backward(da, found.z[n - 2])
            dz = _rounded(dz, da) if rounded else dz
    return Params(tuple(grads)), arrays


def _rounded(dz: Array, da: Array) -> Array:
    """Return dz, where it is not 0, moved by an ulp of da: up in one row, down in the next."""
    moved = EPSILON * da
    moved[::2] *= -1
    rounded: Array = np.where(dz == 0, dz, dz + moved)
    return rounded


def named(params: Params, prefix: str = "") -> Arrays:
    """Return the arrays of a tree by their names, W1, b1, W2, ..., with a prefix.

    >>> import fnnet
    >>> {name: array.shape for name, array in named(fnnet.init((4, 2)), "d").items()}
    {'dW1': (4, 2), 'db1': (2,)}
    """
    layers = enumerate(params.layers, 1)
    return {f"{prefix}{letter}{n}": array for n, layer in layers for letter, array in zip("Wb", layer, strict=True)}
