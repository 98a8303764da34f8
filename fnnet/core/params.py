"""The parameters of a network: immutable tuples of arrays, and their initialisation.

These functions check nothing; `fnnet.init` checks its arguments and calls `init`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fnnet.core import rng

Array = NDArray[Any]


T = TypeVar("T", bound=tuple[Any, ...])


def read_only_copies(kind: type[T]) -> type[T]:
    """Class decorator of a NamedTuple of arrays: its pickles and deep copies have read-only arrays, as it has.

    NumPy gives every array that comes from a pickle or a deep copy back writable.
    """

    def reduce(self: T) -> tuple[Any, ...]:
        return _read_only, (kind, *self)

    kind.__reduce__ = reduce  # type: ignore[method-assign, assignment]
    kind.__copy__ = lambda self: self  # type: ignore[attr-defined]
    return kind


def _read_only(kind: Any, *fields: Any) -> Any:
    """Return a tuple of this kind, whose arrays, also those in tuples, a pickle has just made."""
    for field in fields:
        for array in field if isinstance(field, tuple) else (field,):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)
    return kind(*fields)


@read_only_copies
class Layer(NamedTuple):
    """One affine map: `W` (inputs, outputs) and `b` (outputs,), of one dtype."""

    W: Array
    b: Array


class Params(NamedTuple):
    """All weights and biases, first layer first. Also the form of a gradient. A JAX pytree."""

    layers: tuple[Layer, ...]


def he(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds for a weight variance of 2 / inputs, biases 0. He et al. 2015, arXiv:1502.01852."""
    return math.sqrt(6.0 / inputs), 0.0


def glorot(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds for a weight variance of 2 / (inputs + outputs), biases 0. Glorot and Bengio, AISTATS 2010."""
    return math.sqrt(6.0 / (inputs + outputs)), 0.0


def notebook(inputs: int, outputs: int) -> tuple[float, float]:
    """Return the bounds of the notebook that this network comes from: weights and biases in (-0.5, 0.5)."""
    return 0.5, 0.5


INITIALISERS: Final = MappingProxyType({"he": he, "glorot": glorot, "notebook": notebook})
"""Name -> (inputs, outputs) -> the bounds of the uniform weights and biases."""


def init(sizes: Sequence[int], seed: int = 0, scheme: str = "he", dtype: DTypeLike = np.float32) -> Params:
    """Draw initial parameters for layer sizes (inputs, hidden..., outputs).

    Uniform numbers need only exact float64 arithmetic, so the same seed gives the same bits on every machine; a normal
    distribution would need a logarithm, which differs between C libraries.
    """
    layers = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        count = inputs * outputs
        centred = 2.0 * rng.uniform(seed, "init", count + outputs, step=number) - 1.0
        weight_bound, bias_bound = INITIALISERS[scheme](inputs, outputs)
        W = (weight_bound * centred[:count]).astype(dtype).reshape(inputs, outputs)
        b = (bias_bound * centred[count:] + 0.0).astype(dtype)
        layers.append(Layer(W, b))
    return Params(tuple(layers))


def each(function: Callable[..., Array], *trees: Params) -> Params:
    """Apply `function` to the arrays at the same place of each tree, and return the results as a tree."""
    layers = zip(*map(attrgetter("layers"), trees), strict=True)
    return Params(tuple([Layer(*map(function, *parts)) for parts in layers]))


def zeros(params: Params) -> Params:
    """Return zeros shaped like the parameters."""
    return each(np.zeros_like, params)


def freeze(array: Array) -> Array:
    """Make `array`, which the caller has just made, read-only and return it."""
    array.setflags(write=False)
    return array


def freeze_params(params: Params) -> Params:
    """Make every array of `params` read-only in place, except arrays of other libraries."""
    for W, b in params.layers:
        if isinstance(W, np.ndarray) and isinstance(b, np.ndarray):
            W.setflags(write=False)
            b.setflags(write=False)
    return params


def layer_sizes(params: Params) -> tuple[int, ...]:
    """Return (inputs, hidden..., outputs) of a network."""
    return (params.layers[0].W.shape[0], *(layer.W.shape[1] for layer in params.layers))


def count_parameters(sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a network with these layer sizes."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def weights_sha256(params: Params) -> str:
    """Return the SHA-256 over every W and b in order, as little-endian C-contiguous bytes."""
    digest = hashlib.sha256()
    for layer in params.layers:
        for array in layer:
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
