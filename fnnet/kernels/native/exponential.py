"""exp on whole vectors, for numbers of at most 0, as LLVM code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir

if TYPE_CHECKING:
    from fnnet.kernels.native.vector import Vectors

LN2_ERROR: Final = 2.3190468138462996e-17


def exp(vector: Vectors, x: Any) -> Any:
    """Return exp(x) for x of at most 0; NaN stays NaN.

    exp(x) = 2**n exp(r) with n the whole number nearest to x / ln 2, and the Taylor series for |r| <= ln 2 / 2. Results
    below about the least normal number become 0.
    """
    tiny, r, power = _reduced(vector, x)
    powers = vector.builder.fmul(_taylor(vector, r, 0), power)
    return vector.builder.select(tiny, vector.constant(0.0), powers)


def exp_and_expm1(vector: Vectors, x: Any) -> tuple[Any, Any]:
    """Return exp(x), and exp(x) - 1 without cancellation near 0: 2**n (exp(r) - 1) + (2**n - 1)."""
    builder, one = vector.builder, vector.constant(1.0)
    tiny, r, power = _reduced(vector, x)
    above = builder.fmul(_taylor(vector, r, 1), r)
    whole, less = vector.fma(power, above, power), vector.fma(power, above, builder.fsub(power, one))
    return builder.select(tiny, vector.constant(0.0), whole), builder.select(tiny, vector.constant(-1.0), less)


def _taylor(vector: Vectors, r: Any, start: int) -> Any:
    """Return the sum of r**k / (k + start)! over k."""
    terms = 14 if vector.bytes == 8 else 8
    series = vector.constant(1 / math.factorial(terms - 1))
    for k in reversed(range(start, terms - 1)):
        series = vector.fma(series, r, vector.constant(1 / math.factorial(k)))
    return series


def _reduced(vector: Vectors, x: Any) -> tuple[Any, Any, Any]:
    """Return True where exp(x) is 0; r and 2**n with exp(x) = 2**n exp(r) and |r| <= ln 2 / 2."""
    builder, double = vector.builder, vector.bytes == 8
    least, bits, mantissa = (-708.0, 64, 52) if double else (-87.0, 32, 23)
    wholes = ir.VectorType(ir.IntType(bits), vector.lanes)
    floor = vector.constant(least)
    tiny = builder.fcmp_ordered("<", x, floor)
    x = builder.select(tiny, floor, x)
    # Added to a number whose last bit counts ones, a float is rounded to the nearest whole, which then stands in the
    # sum's last bits. LLVM's conversion to integers goes lane by lane: exp then took three times as long.
    magic = vector.constant(1.5 * 2.0**mantissa)
    sums = builder.fadd(builder.fmul(x, vector.constant(1 / math.log(2))), magic)
    n = builder.fsub(sums, magic)
    # ln 2 in two parts, the first short enough that n times it is exact; LN2_ERROR is what float64 lacks of ln 2.
    kept = 32 if double else 9
    first = math.ldexp(math.floor(math.ldexp(math.log(2), kept)), -kept)
    second = math.log(2) - first + LN2_ERROR
    r = vector.fma(n, vector.constant(-first), x)
    r = vector.fma(n, vector.constant(-second), r)
    bias = ir.Constant(wholes, [2 ** (bits - mantissa - 2) - 1] * vector.lanes)
    power = builder.shl(
        builder.add(builder.bitcast(sums, wholes), bias), ir.Constant(wholes, [mantissa] * vector.lanes)
    )
    return tiny, r, builder.bitcast(power, vector.type)
