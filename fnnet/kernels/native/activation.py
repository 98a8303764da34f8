"""The hidden activations: a = f(z) and the slope f'(z) in one pass, on whole vectors.

All of them rest on exp of numbers that are at most 0, so nothing overflows. NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fnnet.kernels.layout import LEAKY_SLOPE
from fnnet.kernels.native import core
from fnnet.kernels.native.vector import I64, Loop, Vectors, exp, expm1, pointer
from fnnet.names import ACTIVATIONS

ERFC_MIDDLE: Final = 2.5
ERFC_LARGEST: Final = 30.0
"""From here on erfc is 0 in float64."""
ERFC_TERMS: Final = {4: 14, 8: 24}
ERFC: Final = (
    1.1771189339755783753,
    0.014212740827323320895,
    -0.10037710257743795481,
    0.048384221974957707197,
    -0.012607425531069104338,
    0.0016421555334706596115,
    0.000052927052289800506969,
    -0.000051060883784098266401,
    2.3714285585020030284e-6,
    1.583941090518258099e-6,
    -1.2483958211750847241e-7,
    -6.0456573213360395028e-8,
    4.0925941245210135431e-9,
    2.7374094237187244492e-9,
    -4.5886933716003755792e-11,
    -1.3187750369729464162e-10,
    -8.2680908061203317247e-12,
    5.9379251241790284971e-12,
    1.059635728854017464e-12,
    -1.9892259921437083533e-13,
    -8.4746531091109810777e-14,
    -2.5183343701669511184e-16,
    4.974971993791260569e-15,
    7.988345428788568445e-16,
)
"""Chebyshev coefficients of (1 + 2 x) exp(x x) erfc(x) over t = (x - ERFC_MIDDLE) / (x + ERFC_MIDDLE), x from 0 on:
its projection at 80 nodes, computed with 40 digits. The first one left out is 4e-8 for float32, 5e-17 for float64."""

Emitted = tuple[Any, Any]


def _magnitude(vector: Vectors, z: Any) -> Any:
    return vector.call(f"llvm.fabs.{vector.name}", vector.type, [z])


def _positive(vector: Vectors, z: Any) -> Any:
    return vector.builder.fcmp_ordered(">", z, vector.constant(0.0))


def _relu(vector: Vectors, z: Any) -> Emitted:
    zero = vector.constant(0.0)
    positive = _positive(vector, z)
    # Not more than 0, or not a number, which is passed on.
    a = vector.builder.select(vector.builder.fcmp_ordered("<=", z, zero), zero, z)
    return a, vector.builder.select(positive, vector.constant(1.0), zero)


def _leaky_relu(vector: Vectors, z: Any) -> Emitted:
    slope = vector.builder.select(_positive(vector, z), vector.constant(1.0), vector.constant(LEAKY_SLOPE))
    return vector.builder.fmul(z, slope), slope


def _elu(vector: Vectors, z: Any) -> Emitted:
    builder, one = vector.builder, vector.constant(1.0)
    positive = _positive(vector, z)
    below = expm1(vector, builder.select(positive, vector.constant(0.0), z))
    return builder.select(positive, z, below), builder.select(positive, one, builder.fadd(below, one))


def _gelu(vector: Vectors, z: Any) -> Emitted:
    """z P(z) and P(z) + z p(z), for the normal distribution P and its density p."""
    builder, constant = vector.builder, vector.constant
    density = exp(vector, builder.fmul(builder.fmul(z, constant(-0.5)), z))
    x = builder.fmul(_magnitude(vector, z), constant(math.sqrt(0.5)))
    x = builder.select(builder.fcmp_ordered(">", x, constant(ERFC_LARGEST)), constant(ERFC_LARGEST), x)
    middle = constant(ERFC_MIDDLE)
    t = builder.fdiv(builder.fsub(x, middle), builder.fadd(x, middle))
    twice, after, before = builder.fadd(t, t), constant(0.0), constant(0.0)
    for coefficient in reversed(ERFC[1 : ERFC_TERMS[vector.bytes]]):
        after, before = vector.fma(twice, after, builder.fsub(constant(coefficient), before)), after
    series = vector.fma(t, after, builder.fsub(constant(ERFC[0]), before))
    scaled = builder.fdiv(series, vector.fma(x, constant(2.0), constant(1.0)))
    tail = builder.fmul(builder.fmul(density, constant(0.5)), scaled)
    share = builder.select(_positive(vector, z), builder.fsub(constant(1.0), tail), tail)
    slope = vector.fma(builder.fmul(z, density), constant(1 / math.sqrt(2 * math.pi)), share)
    return builder.fmul(z, share), slope


def _logistic(vector: Vectors, z: Any) -> Emitted:
    """sigmoid(z) and sigmoid(-z), each without cancellation."""
    builder, one = vector.builder, vector.constant(1.0)
    e = exp(vector, builder.fneg(_magnitude(vector, z)))
    large = builder.fdiv(one, builder.fadd(one, e))
    small, positive = builder.fmul(e, large), _positive(vector, z)
    return builder.select(positive, large, small), builder.select(positive, small, large)


def _sigmoid(vector: Vectors, z: Any) -> Emitted:
    share, rest = _logistic(vector, z)
    return share, vector.builder.fmul(share, rest)


def _silu(vector: Vectors, z: Any) -> Emitted:
    share, rest = _logistic(vector, z)
    a = vector.builder.fmul(z, share)
    return a, vector.fma(a, rest, share)


def _tanh(vector: Vectors, z: Any) -> Emitted:
    builder, one, two = vector.builder, vector.constant(1.0), vector.constant(2.0)
    below = expm1(vector, builder.fmul(_magnitude(vector, z), vector.constant(-2.0)))
    size = builder.fdiv(builder.fneg(below), builder.fadd(below, two))
    a = builder.select(_positive(vector, z), size, builder.fneg(size))
    return a, builder.fmul(builder.fsub(one, size), builder.fadd(one, size))


def _make(formula: Callable[[Vectors, Any], Emitted]) -> Any:
    """For `vectors` whole vectors: z from z_at on becomes the activation, slope from slope_at on its derivative."""

    @intrinsic
    def pass_over(typing, z, z_at, slope, slope_at, vectors):  # type: ignore[no-untyped-def]
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _, z_at, _, slope_at, vectors = args
            data, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 2))
            vector = Vectors(context, builder, signature.args[0])
            with builder.if_then(builder.icmp_signed("<", I64(0), vectors)):
                loop = Loop(builder, I64(0), vectors, [])
                step = builder.mul(loop.index, ir.Constant(I64, vector.lanes))
                place = builder.add(z_at, step)
                a, derivative = formula(vector, vector.load(data, place))
                vector.store(a, data, place)
                vector.store(derivative, out, builder.add(slope_at, step))
                loop.close([])
            return context.get_dummy_value()

        n = types.intp
        return types.void(z, n, slope, n, n), emit

    return pass_over


relu_vectors, leaky_relu_vectors, elu_vectors, gelu_vectors, silu_vectors, tanh_vectors, sigmoid_vectors = (
    _make(formula) for formula in (_relu, _leaky_relu, _elu, _gelu, _silu, _tanh, _sigmoid)
)
RELU, LEAKY_RELU, ELU, GELU, SILU, TANH, SIGMOID = range(len(ACTIVATIONS))


@core
def activate(kind, z, z_at, slope, slope_at, vectors):  # type: ignore[no-untyped-def]
    """Activation number `kind` of layout.ACTIVATIONS over so many vectors: a where z lay, and the slopes."""
    if kind == RELU:
        relu_vectors(z, z_at, slope, slope_at, vectors)
    elif kind == LEAKY_RELU:
        leaky_relu_vectors(z, z_at, slope, slope_at, vectors)
    elif kind == ELU:
        elu_vectors(z, z_at, slope, slope_at, vectors)
    elif kind == GELU:
        gelu_vectors(z, z_at, slope, slope_at, vectors)
    elif kind == SILU:
        silu_vectors(z, z_at, slope, slope_at, vectors)
    elif kind == TANH:
        tanh_vectors(z, z_at, slope, slope_at, vectors)
    else:
        sigmoid_vectors(z, z_at, slope, slope_at, vectors)
