"""Scores in whole numbers of eight bits, defined once: code that is compiled for any machine equals it in all bits.

A weight is a whole number from -64 to 64 times the scale of its unit. An input of a layer is a code from 0 to 255, less
the zero point of its row, times the scale of its row. Sums of products of the two are whole numbers, exact in any
order. Scales come from the numbers at hand: no images are needed to prepare a network, and no row depends on others.

Every step rounds once, to the nearest, of two equally near to the even one:

    weights   scale = max |W| / 64 of the unit, and W / scale to a whole number; in float32
    bytes     are codes: scale 1/255 in float32, zero point 0
    floats    of a row x from low <= 0 to high >= 0:  scale = high / 255 - low / 255,  zero = -low / scale  and
              code = x / scale  to whole numbers; then code + zero, at most 255; in float32
    layers    z = sum * (scale of the row * scale of the unit) + b, the factor in float32, z in float64, then to float32

A scale below the least normal float32 is 1 instead. In float64 the product of a sum and a factor is exact, so that z
has the same bits with and without instructions that multiply and add at once. 64 is the largest weight for which
2 * 255 * 64 fits into 16 bits: processors that add pairs of products in 16 bits never saturate.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.network import BYTES
from fnnet.core.operations import LEAKY_SLOPE, Activation
from fnnet.core.params import Array, Params, array_tuple, freeze
from fnnet.errors import UsageError

LARGEST_WEIGHT: Final = 64
LARGEST_CODE: Final = 255
MOST_INPUTS: Final = 2**15
"""Inputs of a layer: a sum of 255 * 64 for each is below 2**29, and its product with a float32 exact in float64."""
LEAST: Final = np.finfo(np.float32).tiny
BYTE: Final = np.float32(1) / np.float32(255)
"""The scale of bytes."""
SLOPES: Final[Mapping[str, float]] = MappingProxyType({"relu": 0.0, "leaky_relu": LEAKY_SLOPE, "linear": 1.0})
"""The activations that have the same bits on every machine, as their slopes below 0."""
MOST: Final = 3e38
"""No value may become larger, so that none overflows."""
WIDER: Final = 1.01
"""A row of codes stands for numbers this much larger than those it was made from, at most."""


@array_tuple
class QuantisedLayer(NamedTuple):
    """One affine map: `W` int8 (inputs, outputs), `scale` and `b` float32 (outputs,)."""

    W: Array
    scale: Array
    b: Array


@array_tuple
class Quantised(NamedTuple):
    """An int8 network.

    slope   of the activation below 0.
    limit   the largest magnitude of inputs for which no value overflows.
    """

    layers: tuple[QuantisedLayer, ...]
    slope: float
    limit: float


def quantise(params: Params, activation: str | Activation = "relu") -> Quantised:
    """Return a network with weights of eight bits; float64 is rounded to float32 first.

    Raises   UsageError for an activation that is not in SLOPES, a layer of more than MOST_INPUTS inputs, and weights
             that are not finite, or so large that values may overflow for inputs up to 1.
    """
    name = activation if isinstance(activation, str) else "an Activation of your own"
    if name not in SLOPES and len(params.layers) > 1:
        raise UsageError("activation has no int8 form", expected=" or ".join(SLOPES), found=name)
    layers = []
    for number, layer in enumerate(params.layers, 1):
        place = f"layer {number}"
        if (inputs := len(layer.W)) > MOST_INPUTS:
            expected, found = f"at most {MOST_INPUTS:,}", f"{inputs:,}"
            raise UsageError("too many inputs for int8", place=place, expected=expected, found=found)
        with np.errstate(over="ignore"):
            W, b = layer.W.astype(np.float32), layer.b.astype(np.float32)
        for array, given in ((W, layer.W), (b, layer.b)):
            if (wrong := ~np.isfinite(array)).any():
                found = given[wrong][0]
                raise UsageError("parameters have no int8 form", place=place, expected="finite float32", found=found)
        scale = np.abs(W).max(axis=0) / np.float32(LARGEST_WEIGHT)
        scale = np.where(scale < LEAST, np.float32(1), scale)
        layers.append(QuantisedLayer(freeze(np.rint(W / scale).astype(np.int8)), freeze(scale), freeze(b)))
    limit = _limit(layers)
    if limit < 1:
        expected, found = "values below 3e38 for inputs up to 1", f"for inputs up to {limit:.3g}"
        raise UsageError("weights are too large for int8", expected=expected, found=found)
    return Quantised(tuple(layers), SLOPES.get(name, 0.0), float(np.float32(limit)))


def _limit(layers: list[QuantisedLayer]) -> float:
    """Return the largest magnitude of inputs for which all values stay below MOST."""
    limit = MOST
    for W, scale, b in reversed(layers):
        gain = WIDER * float((np.abs(W.astype(np.float64)).sum(axis=0) * scale).max())
        room = limit - float(np.abs(b).max())
        limit = min(MOST, room / gain if gain > 1e-300 else MOST) if room > 0 else 0.0
    return limit


def codes(x: Array) -> tuple[Array, Array, Array]:
    """Return the codes of rows of float32 (n, units), uint8, and the scale and the zero point of each, float32 (n,)."""
    zero, largest = np.float32(0), np.float32(LARGEST_CODE)
    low, high = np.minimum(x.min(axis=1), zero), np.maximum(x.max(axis=1), zero)
    scale = high / largest - low / largest
    scale = np.where(scale < LEAST, np.float32(1), scale)
    zeros = np.rint(-low / scale)
    whole = np.rint(x / scale[:, None]) + zeros[:, None]
    return np.clip(whole, zero, largest).astype(np.uint8), scale, zeros


def scores(quantised: Quantised, x: Array) -> Array:
    """Return the logits of each row of x (n, inputs), float32 (n, classes): bytes as codes, floats by their own codes.

    Floats are finite, and at most `quantised.limit` in magnitude.
    """
    slope, (first, *rest) = np.float32(quantised.slope), quantised.layers
    with np.errstate(under="ignore", over="ignore"):
        if x.dtype == BYTES:
            z = _layer(first, x, np.full(len(x), BYTE), np.zeros(len(x), np.float32))
        else:
            z = _layer(first, *codes(x.astype(np.float32)))
        for layer in rest:
            z = _layer(layer, *codes(np.where(z > 0, z, slope * z)))
    return z


def _layer(layer: QuantisedLayer, code: Array, scale: Array, zero: Array) -> Array:
    """Return z of a layer, float32 (n, units), for rows of codes with their scales and zero points."""
    sums = (code.astype(np.float64) - zero[:, None]) @ layer.W.astype(np.float64)
    z: Array = (sums * (scale[:, None] * layer.scale) + layer.b).astype(np.float32)
    return z
