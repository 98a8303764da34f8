"""The parameters of a network as one vector, and back."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fnnet.core.params import Array, Layer, Params, freeze_params


def flatten(params: Params, dtype: Any = None) -> Array:
    """Return every W and b in order, each row by row, as one vector; `dtype` None keeps that of the parameters."""
    vector: Array = np.concatenate([each.ravel() for layer in params.layers for each in layer], dtype=dtype)
    return vector


def unflatten(vector: Array, sizes: tuple[int, ...], dtype: Any = None) -> Params:
    """Return the parameters of layer `sizes` whose `flatten` is `vector`, as read-only copies of `dtype`."""
    layers, done, dtype = [], 0, vector.dtype if dtype is None else dtype
    for inputs, outputs in itertools.pairwise(sizes):
        W = vector[done : done + inputs * outputs].reshape(inputs, outputs)
        done += (inputs + 1) * outputs
        layers.append(Layer(W.astype(dtype), vector[done - outputs : done].astype(dtype)))
    return freeze_params(Params(tuple(layers)))
