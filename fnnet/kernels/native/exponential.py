"""exp on vectors, and what is made of it: sums of exponentials, the softmax and its gradient."""

from __future__ import annotations

import math
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fnnet.kernels.native.vector import I32, I64, Loop, Vectors, pointer

LN2_ERROR: Final = 2.3190468138462996e-17


def _lanes_below(vector: Vectors, count: Any) -> Any:
    """A mask of the first `count` lanes."""
    kind = ir.VectorType(I64, vector.lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    one = vector.builder.insert_element(undefined, count, I32(0))
    every = vector.builder.shuffle_vector(
        one, undefined, ir.Constant(ir.VectorType(I32, vector.lanes), [0] * vector.lanes)
    )
    return vector.builder.icmp_signed("<", ir.Constant(kind, list(range(vector.lanes))), every)


@intrinsic
def max_vector(typing, z, at, count):  # type: ignore[no-untyped-def]
    """The largest of the `count` elements from z[at] on, at most a vector; NaN is passed over."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = Vectors(context, builder, signature.args[0])
        found = vector.load(pointer(context, builder, signature.args[0], args[0]), args[1])
        found = builder.select(_lanes_below(vector, args[2]), found, vector.constant(-math.inf))
        return vector.call(f"llvm.vector.reduce.fmax.{vector.name}", vector.scalar, [found])

    return z.dtype(z, types.intp, types.intp), emit


def exp(vector: Vectors, x: Any) -> Any:
    """exp(x) for x of at most 0; NaN stays NaN.

    exp(x) = 2**n exp(r) with n the whole number nearest to x / ln 2, and the Taylor series for |r| <= ln 2 / 2. What is
    smaller than about the least normal number becomes 0.
    """
    tiny, r, power = _reduced(vector, x)
    series = _taylor(vector, r, 0)
    return vector.builder.select(tiny, vector.constant(0.0), vector.builder.fmul(series, power))


def expm1(vector: Vectors, x: Any) -> Any:
    """exp(x) - 1 for x of at most 0, exact near 0 too: 2**n (exp(r) - 1) + (2**n - 1)."""
    tiny, r, power = _reduced(vector, x)
    one = vector.constant(1.0)
    above = vector.builder.fmul(_taylor(vector, r, 1), r)
    less = vector.fma(power, above, vector.builder.fsub(power, one))
    return vector.builder.select(tiny, vector.constant(-1.0), less)


def _taylor(vector: Vectors, r: Any, start: int) -> Any:
    """The sum of r**k / (k + start)! over k."""
    terms = 14 if vector.bytes == 8 else 8
    series = vector.constant(1 / math.factorial(terms - 1))
    for k in reversed(range(start, terms - 1)):
        series = vector.fma(series, r, vector.constant(1 / math.factorial(k)))
    return series


def _reduced(vector: Vectors, x: Any) -> tuple[Any, Any, Any]:
    """Whether exp(x) is 0; r and 2**n with exp(x) = 2**n exp(r) and |r| <= ln 2 / 2."""
    builder, double = vector.builder, vector.bytes == 8
    least, bits, mantissa = (-708.0, 64, 52) if double else (-87.0, 32, 23)
    wholes = ir.VectorType(ir.IntType(bits), vector.lanes)
    floor = vector.constant(least)
    tiny = builder.fcmp_ordered("<", x, floor)
    x = builder.select(tiny, floor, x)
    turns = builder.fmul(x, vector.constant(1 / math.log(2)))
    n = vector.call(f"llvm.nearbyint.{vector.name}", vector.type, [turns])
    # ln 2 in two parts, the first short enough that n times it is exact; LN2_ERROR is what float64 lacks of ln 2.
    kept = 32 if double else 9
    first = math.ldexp(math.floor(math.ldexp(math.log(2), kept)), -kept)
    second = math.log(2) - first + LN2_ERROR
    r = vector.fma(n, vector.constant(-first), x)
    r = vector.fma(n, vector.constant(-second), r)
    exponent = vector.call(f"llvm.fptosi.sat.v{vector.lanes}i{bits}.{vector.name}", wholes, [n])
    bias = ir.Constant(wholes, [2 ** (bits - mantissa - 2) - 1] * vector.lanes)
    power = builder.shl(builder.add(exponent, bias), ir.Constant(wholes, [mantissa] * vector.lanes))
    return tiny, r, builder.bitcast(power, vector.type)


@intrinsic
def exp_vector(typing, z, at, shift, count):  # type: ignore[no-untyped-def]
    """z[at:at + count] = exp(z[at:at + count] - shift), for differences of at most 0, and 0 up to the vector's end;
    returns their sum."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = Vectors(context, builder, signature.args[0])
        data = pointer(context, builder, signature.args[0], args[0])
        powers = exp(vector, builder.fsub(vector.load(data, args[1]), vector.splat(args[2])))
        result = builder.select(_lanes_below(vector, args[3]), powers, vector.constant(0.0))
        vector.store(result, data, args[1])
        kind = ir.FunctionType(vector.scalar, [vector.scalar, vector.type])
        add_up = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.{vector.name}")
        return builder.call(add_up, [vector.scalar(0.0), result], fastmath=("reassoc",))

    return z.dtype(z, types.intp, z.dtype, types.intp), emit


@intrinsic
def softmax_columns(typing, t, at, classes, labels, shares, even, hot, figures, place):  # type: ignore[no-untyped-def]
    """The softmax, its gradient and its figures for a vector of samples, which lie side by side in t: element [c, i] of
    the logits is t[at + c lanes + i], and becomes (softmax - target) shares[i], where the target is `even` and for the
    label `hot` more.

    labels[i] is sample i's class as a float. Into figures from `place` on, a vector each: the sum of
    exp(logits - their maximum), the maximum, the first class that has it, and the sum of logits - their maximum.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, classes, _, _, even, hot, _, place = args
        t, labels, shares, figures = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 4, 7))
        vector = Vectors(context, builder, signature.args[0])
        zero, one = vector.constant(0.0), vector.constant(1.0)

        def row(loop: Loop) -> Any:
            return builder.add(at, builder.mul(loop.index, I64(vector.lanes)))

        loop = Loop(builder, I64(0), classes, [vector.constant(-math.inf), zero, zero])
        top, best, number = loop.values
        z = vector.load(t, row(loop))
        higher = builder.fcmp_ordered(">", z, top)
        top, best = builder.select(higher, z, top), builder.select(higher, number, best)
        loop.close([top, best, builder.fadd(number, one)])
        loop = Loop(builder, I64(0), classes, [zero, zero])
        below = builder.fsub(vector.load(t, row(loop)), top)
        powers = exp(vector, below)
        vector.store(powers, t, row(loop))
        total, depth = (builder.fadd(*pair) for pair in zip(loop.values, (powers, below), strict=True))
        loop.close([total, depth])
        inverse, label, share = builder.fdiv(one, total), vector.load(labels, I64(0)), vector.load(shares, I64(0))
        cold, peak = vector.splat(even), vector.splat(builder.fadd(even, hot))
        loop = Loop(builder, I64(0), classes, [zero])
        probs = builder.fmul(vector.load(t, row(loop)), inverse)
        target = builder.select(builder.fcmp_ordered("==", label, loop.values[0]), peak, cold)
        vector.store(builder.fmul(builder.fsub(probs, target), share), t, row(loop))
        loop.close([builder.fadd(loop.values[0], one)])
        for n, figure in enumerate((total, top, best, depth)):
            vector.store(figure, figures, builder.add(place, I64(n * vector.lanes)))
        return context.get_dummy_value()

    n = types.intp
    return types.void(t, n, n, labels, shares, t.dtype, t.dtype, figures, n), emit
