"""The hidden activations: a = f(z) and the slope f'(z) in one pass, on whole vectors.

All of them use exp of numbers that are at most 0, so nothing overflows. NaN stays NaN; infinity gives the limits.
To add one, write its formula, put it into FORMULAS, and its name at the end of `names.ACTIVATIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fnnet.core.erf import CENTRE, powers
from fnnet.core.operations import FAR, LEAKY_SLOPE
from fnnet.kernels.native import compiled
from fnnet.kernels.native.dispatch import emit_switch
from fnnet.kernels.native.exponential import exp, exp_and_expm1
from fnnet.kernels.native.vector import I64, VectorLoop, Vectors, pointer
from fnnet.names import ACTIVATIONS

ERFC_TERMS: Final = {4: 12, 8: 24}
"""Bytes of a float -> terms of SCALED_ERFC: those left out sum to 5e-9 and 1.1e-16.

Measured against mpmath, GELU is off by at most 0.6 eps (1 + |a|), its slope by 0.9 eps (1 + |slope|); the other
activations and slopes by 0.9, mish by 1.2."""

Emitted = tuple[Any, Any]
Formula = Callable[[Vectors, Any], Emitted]


def _magnitude(vector: Vectors, z: Any) -> Any:
    return vector.call(f"llvm.fabs.{vector.name}", vector.type, [z])


def _positive(vector: Vectors, z: Any) -> Any:
    return vector.builder.fcmp_ordered(">", z, vector.constant(0.0))


def _bounded(vector: Vectors, z: Any) -> tuple[Any, Any]:
    """Return z raised to at least -FAR, and that lowered to at most FAR: 0 times either is 0 rather than NaN."""
    builder, far = vector.builder, vector.constant(FAR)
    low = builder.select(builder.fcmp_ordered("<", z, vector.constant(-FAR)), vector.constant(-FAR), z)
    return low, builder.select(builder.fcmp_ordered(">", low, far), far, low)


def _relu(vector: Vectors, z: Any) -> Emitted:
    zero = vector.constant(0.0)
    # NaN fails the comparison and is passed on.
    a = vector.builder.select(vector.builder.fcmp_ordered("<=", z, zero), zero, z)
    return a, vector.builder.select(_positive(vector, z), vector.constant(1.0), zero)


def _leaky_relu(vector: Vectors, z: Any) -> Emitted:
    slope = vector.builder.select(_positive(vector, z), vector.constant(1.0), vector.constant(LEAKY_SLOPE))
    return vector.builder.fmul(z, slope), slope


def _elu(vector: Vectors, z: Any) -> Emitted:
    builder, positive = vector.builder, _positive(vector, z)
    slope, below = exp_and_expm1(vector, builder.select(positive, vector.constant(0.0), z))
    return builder.select(positive, z, below), slope


def _gelu(vector: Vectors, z: Any) -> Emitted:
    """Return z P(z) and P(z) + z p(z), for the normal distribution P and its density p."""
    builder, constant = vector.builder, vector.constant
    low, z = _bounded(vector, z)
    density = exp(vector, builder.fmul(builder.fmul(z, constant(-0.5)), z))
    x = builder.fmul(_magnitude(vector, z), constant(math.sqrt(0.5)))
    middle = constant(CENTRE)
    t = builder.fdiv(builder.fsub(x, middle), builder.fadd(x, middle))
    *lower, highest = powers(ERFC_TERMS[vector.bytes])
    series = constant(highest)
    for coefficient in reversed(lower):
        series = vector.fma(series, t, constant(coefficient))
    scaled = builder.fdiv(series, vector.fma(x, constant(2.0), constant(1.0)))
    tail = builder.fmul(builder.fmul(density, constant(0.5)), scaled)
    share = builder.select(_positive(vector, z), builder.fsub(constant(1.0), tail), tail)
    slope = vector.fma(builder.fmul(z, density), constant(1 / math.sqrt(2 * math.pi)), share)
    return builder.fmul(low, share), slope


def _logistic(vector: Vectors, z: Any) -> tuple[Any, Any]:
    """Return sigmoid(z) and sigmoid(-z), each without cancellation."""
    builder, one = vector.builder, vector.constant(1.0)
    e = exp(vector, builder.fneg(_magnitude(vector, z)))
    large = builder.fdiv(one, builder.fadd(one, e))
    small, positive = builder.fmul(e, large), _positive(vector, z)
    return builder.select(positive, large, small), builder.select(positive, small, large)


def _sigmoid(vector: Vectors, z: Any) -> Emitted:
    share, rest = _logistic(vector, z)
    return share, vector.builder.fmul(share, rest)


def _silu(vector: Vectors, z: Any) -> Emitted:
    low, z = _bounded(vector, z)
    share, rest = _logistic(vector, z)
    # s (1 + z (1 - s)): the sum cancels only where the slope is 0.
    return vector.builder.fmul(low, share), vector.fma(vector.builder.fmul(z, share), rest, share)


def _tanh(vector: Vectors, z: Any) -> Emitted:
    """Return (1 - e) / (1 + e) with the sign of z, and 4 e / (1 + e)**2, for e = exp(-2 |z|): nothing cancels."""
    builder = vector.builder
    e, less = exp_and_expm1(vector, builder.fmul(_magnitude(vector, z), vector.constant(-2.0)))
    inverse = builder.fdiv(vector.constant(1.0), builder.fadd(vector.constant(1.0), e))
    size, half = builder.fmul(builder.fneg(less), inverse), builder.fmul(vector.constant(2.0), inverse)
    a = vector.call(f"llvm.copysign.{vector.name}", vector.type, [size, z])
    return a, builder.fmul(builder.fmul(e, half), half)


def _linear(vector: Vectors, z: Any) -> Emitted:
    return z, vector.constant(1.0)


def _mish(vector: Vectors, z: Any) -> Emitted:
    """Return z t and t + z t' with t = tanh(log(1 + exp(z))), as quotients of polynomials in e = exp(-|z|).

    t is n / d with n = 1 + 2 e and d = n + 2 e**2 for z > 0, else n = e**2 + 2 e and d = n + 2; t' is 4 e**2 (1 + e) /
    d**2 for z > 0, else 4 e (1 + e) / d**2. All terms are positive.
    """
    builder, constant, positive = vector.builder, vector.constant, _positive(vector, z)
    low, z = _bounded(vector, z)
    e = exp(vector, builder.fneg(_magnitude(vector, z)))
    power = builder.select(positive, builder.fmul(e, e), e)
    twice = builder.fmul(constant(2.0), e)
    above = builder.select(positive, builder.fadd(constant(1.0), twice), vector.fma(e, e, twice))
    rest = builder.select(positive, builder.fmul(constant(2.0), power), constant(2.0))
    inverse = builder.fdiv(constant(1.0), builder.fadd(above, rest))
    t, slope = builder.fmul(above, inverse), builder.fmul(builder.fmul(constant(4.0), power), inverse)
    slope = builder.fmul(slope, builder.fmul(builder.fadd(constant(1.0), e), inverse))
    # The sum cancels only where the slope of mish is 0.
    return builder.fmul(low, t), vector.fma(z, slope, t)


FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType(
    {
        "relu": _relu,
        "leaky_relu": _leaky_relu,
        "elu": _elu,
        "gelu": _gelu,
        "silu": _silu,
        "tanh": _tanh,
        "sigmoid": _sigmoid,
        "linear": _linear,
        "mish": _mish,
    }
)
"""Each activation of `names.ACTIVATIONS`, whose numbers are the positions there."""


def _unknown(vector: Vectors, z: Any) -> Emitted:
    """Return NaN for a number that no activation has: the loss is then not finite, and training stops."""
    return vector.constant(math.nan), vector.constant(math.nan)


@intrinsic
def _activate(typing, number, z, z_at, slope, slope_at, vectors):
    """Replace `vectors` whole vectors of z from z_at on by activation `number`; its slope goes to slope_at and on."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, _, z_at, _, slope_at, vectors = args
        data, out = (pointer(context, builder, signature.args[i], args[i]) for i in (1, 3))
        vector = Vectors(context, builder, signature.args[1])

        def emit_loop(formula: Formula) -> None:
            loop = VectorLoop(builder, I64(0), vectors, [])
            step = builder.mul(loop.index, ir.Constant(I64, vector.lanes))
            place = builder.add(z_at, step)
            a, derivative = formula(vector, vector.load(data, place))
            vector.store(a, data, place)
            vector.store(derivative, out, builder.add(slope_at, step))
            loop.close([])

        with builder.if_then(builder.icmp_signed("<", I64(0), vectors)):
            loops = [partial(emit_loop, FORMULAS[name]) for name in ACTIVATIONS]
            emit_switch(builder, number, loops, partial(emit_loop, _unknown))
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, z, n, slope, n, n), emit


@compiled
def activate(number, z, z_at, slope, slope_at, vectors):
    """Replace `vectors` whole vectors of z by activation `number` of `names.ACTIVATIONS`, and store its slopes."""
    _activate(number, z, z_at, slope, slope_at, vectors)
