"""The network's state: immutable tuples of read-only arrays."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fnnet.core import rng
from fnnet.errors import ArgumentTypeError, UsageError

Array = NDArray[Any]

MAX_PARAMETERS: Final = 10**9
FLOATS: Final = (np.dtype(np.float32), np.dtype(np.float64))


class Layer(NamedTuple):
    """One affine map: `W` (inputs, outputs) and `b` (outputs,), of one dtype."""

    W: Array
    b: Array


class Params(NamedTuple):
    """All weights and biases, first layer first. Also the form of a gradient. A JAX pytree as it stands."""

    layers: tuple[Layer, ...]


def freeze(array: Array) -> Array:
    """`array` itself, made read-only. For arrays that the caller has just made."""
    array.flags.writeable = False
    return array


def copied(params: Params) -> Params:
    """`params` whose arrays nobody can write; those that are read-only already are the same."""
    return Params(
        tuple(Layer(*(freeze(a.copy()) if a.flags.writeable else a for a in layer)) for layer in params.layers)
    )


def freeze_params(params: Params) -> Params:
    """`params` with every array made read-only in place."""
    for layer in params.layers:
        freeze(layer.W)
        freeze(layer.b)
    return params


_NONE: Final[tuple[Any, Any]] = (None, None)


def check_params(params: Any) -> Params:
    """`params` if its layers fit one another and share float32 or float64, else UsageError naming the layer."""
    layers = getattr(params, "layers", None)
    if not isinstance(params, Params) or not isinstance(layers, (tuple, list)) or not layers:
        raise ArgumentTypeError("params is not a network", expected="Params with layers", found=type(params).__name__)
    before = None
    for number, layer in enumerate(layers, 1):
        # Of every step, three times: what fits may take no more than a microsecond.
        W, b = layer if type(layer) is Layer else _NONE
        plain = type(W) is type(b) is np.ndarray and W.dtype is b.dtype is layers[0].W.dtype in FLOATS
        if not (plain and W.ndim == 2 and b.shape == W.shape[1:] and before in (None, W.shape[0]) and W.size):
            _check_layer(layer, number, layers[0], before)
        before = layer.W.shape[1]
    return params


def _check_layer(layer: Any, number: int, first: Any, before: int | None) -> None:
    """UsageError unless the layer follows one of `before` units, and is of the dtype of the first."""
    place = f"layer {number}"
    if not (isinstance(layer, Layer) and all(map(_is_whole, layer))):
        raise ArgumentTypeError("no layer", place=place, expected="Layer of arrays", found=type(layer).__name__)
    W, b = layer
    if not W.dtype == b.dtype == first.W.dtype or W.dtype not in FLOATS:
        found = f"W {W.dtype}, b {b.dtype}"
        raise ArgumentTypeError("layer dtype", place=place, expected="one float dtype", found=found)
    if W.ndim != 2 or b.shape != W.shape[1:] or before not in (None, W.shape[0]) or not W.size:
        expected = f"W ({'inputs' if before is None else before}, outputs) and b (outputs,)"
        raise UsageError("layers do not fit", place=place, expected=expected, found=f"W {W.shape} and b {b.shape}")


def _is_whole(given: Any) -> bool:
    """Whether it is an array all of whose values are ones: a masked one's need not be."""
    return isinstance(given, np.ndarray) and not isinstance(given, np.ma.MaskedArray)


def layer_sizes(params: Params) -> tuple[int, ...]:
    """(inputs, hidden..., outputs) of a network."""
    return (params.layers[0].W.shape[0], *(layer.W.shape[1] for layer in params.layers))


def count_parameters(sizes: Sequence[int]) -> int:
    """Number of weights and biases of a network with these layer sizes."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def check_sizes(sizes: Any) -> tuple[int, ...]:
    """`sizes` as a tuple of at least two positive ints, else UsageError."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ArgumentTypeError("sizes is no sequence", expected="inputs, hidden sizes, outputs", found=repr(sizes))
    checked = []
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise ArgumentTypeError("layer size is not an integer", expected="integers >= 1", found=repr(size))
        if size < 1:
            raise UsageError("layer size out of range", expected="integers >= 1", found=size)
        checked.append(int(size))
    if len(checked) < 2:
        raise UsageError("too few layer sizes", expected="inputs, hidden sizes, outputs", found=list(sizes))
    if count_parameters(checked) > MAX_PARAMETERS:
        raise UsageError(
            "network too large",
            expected=f"at most {MAX_PARAMETERS:,} parameters",
            found=f"{count_parameters(checked):,}",
            fix="use smaller layers",
        )
    return tuple(checked)


def _he(inputs: int, outputs: int) -> tuple[float, float]:
    """He et al. 2015, arXiv:1502.01852: weight variance 2 / inputs. Biases 0."""
    return math.sqrt(6.0 / inputs), 0.0


def _glorot(inputs: int, outputs: int) -> tuple[float, float]:
    """Glorot and Bengio, AISTATS 2010: weight variance 2 / (inputs + outputs). Biases 0."""
    return math.sqrt(6.0 / (inputs + outputs)), 0.0


def _notebook(inputs: int, outputs: int) -> tuple[float, float]:
    """The notebook this network comes from: weights and biases alike uniform in (-0.5, 0.5)."""
    return 0.5, 0.5


INITIALISERS: Final = MappingProxyType({"he": _he, "glorot": _glorot, "notebook": _notebook})
"""Name -> (inputs, outputs) -> the bounds of the uniform weights and biases."""


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """`dtype` as float32 or float64, else ArgumentTypeError."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ArgumentTypeError("unsupported dtype", expected="float32 or float64", found=repr(dtype))
    return found


def init(sizes: Sequence[int], seed: int = 0, *, scheme: str = "he", dtype: DTypeLike = np.float32) -> Params:
    """Initial parameters for layer sizes (inputs, hidden..., outputs).

    Uniform numbers need only exact float64 arithmetic, so the same seed gives the same bits on every machine; a
    normal distribution would need a logarithm, which differs between C libraries.

    dtype    float32, or float64 for checks.
    Raises   UsageError for sizes, seed, scheme or dtype out of range.
    """
    sizes, seed, dtype = check_sizes(sizes), rng.check_seed(seed), check_dtype(dtype)
    if not isinstance(scheme, str) or scheme not in INITIALISERS:
        raise UsageError("unknown initialiser", expected=" or ".join(INITIALISERS), found=repr(scheme))
    layers = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        count = inputs * outputs
        centred = 2.0 * rng.uniform(seed, "init", count + outputs, step=number) - 1.0
        weight_bound, bias_bound = INITIALISERS[scheme](inputs, outputs)
        W = (weight_bound * centred[:count]).astype(dtype).reshape(inputs, outputs)
        b = (bias_bound * centred[count:] + 0.0).astype(dtype)
        layers.append(Layer(W, b))
    return freeze_params(Params(tuple(layers)))


def weights_sha256(params: Params) -> str:
    """SHA-256 over every W and b in order, as little-endian C-contiguous bytes."""
    digest = hashlib.sha256()
    for layer in params.layers:
        for array in layer:
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
