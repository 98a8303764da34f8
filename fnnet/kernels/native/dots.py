"""Vector code on bytes: tiles of sums of products, and rows of numbers that become codes: `core.int8` defines both."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fnnet.kernels.machine import machine
from fnnet.kernels.native.vector import I32, I64, VectorLoop, pointer

I8, I16, FLOAT, DOUBLE = ir.IntType(8), ir.IntType(16), ir.FloatType(), ir.DoubleType()
LANES: Final = machine().vector_bytes // 4
WORDS, FLOATS, DOUBLES = ir.VectorType(I32, LANES), ir.VectorType(FLOAT, LANES), ir.VectorType(DOUBLE, LANES)
BYTES, SHORTS = ir.VectorType(I8, 4 * LANES), ir.VectorType(I16, 2 * LANES)
LEAST: Final = 2.0**-126
"""The least normal float32."""
MAGIC: Final = 1.5 * 2**23
"""Added to a float32 below 2**22 in magnitude, it rounds to a whole number, half to even; the low bits then hold it."""
MAGIC_BITS: Final = 0x4B400000

MADDUBS: Final = {16: ("ssse3.pmadd.ub.sw.128", "sse2.pmadd.wd"), 32: ("avx2.pmadd.ub.sw", "avx2.pmadd.wd"),
    64: ("avx512.pmaddubs.w.512", "avx512.pmaddw.d.512")}  # fmt: skip


def _all(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count)


def _splat(builder: Any, scalar: Any) -> Any:
    kind = ir.VectorType(scalar.type, LANES)
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, scalar, I32(0))
    return builder.shuffle_vector(one, undefined, _all(ir.VectorType(I32, LANES), 0))


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [each.type for each in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _load(builder: Any, data: Any, at: Any, kind: Any, align: int) -> Any:
    """Return the vector that starts at element `at`."""
    found = builder.load(builder.bitcast(builder.gep(data, [at]), kind.as_pointer()))
    found.align = align
    return found


def _store(builder: Any, vector: Any, data: Any, at: Any, align: int) -> None:
    builder.store(vector, builder.bitcast(builder.gep(data, [at]), vector.type.as_pointer())).align = align


class _Dot:
    """The sum of four products of a word's unsigned bytes with a word's signed ones, in each lane."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def weights(self, words: Any) -> list[Any]:
        """Return weights as `add` takes them: done once for all rows."""
        if machine().dot:
            return [words]
        shorts, eight = self.builder.bitcast(words, SHORTS), _all(SHORTS, 8)
        return [self.builder.ashr(self.builder.shl(shorts, eight), eight), self.builder.ashr(shorts, eight)]

    def codes(self, words: Any) -> list[Any]:
        """Return codes as `add` takes them: done once for all columns."""
        if machine().dot:
            return [words]
        shorts = self.builder.bitcast(words, SHORTS)
        return [self.builder.and_(shorts, _all(SHORTS, 255)), self.builder.lshr(shorts, _all(SHORTS, 8))]

    def add(self, sums: Any, codes: list[Any], weights: list[Any]) -> Any:
        """Return sums + the products."""
        builder, width = self.builder, machine().vector_bytes
        if machine().dot == "vnni":
            return _call(builder, f"llvm.x86.avx512.vpdpbusd.{width * 8}", WORDS, [sums, *codes, *weights])
        if machine().dot == "maddubs":
            both = [builder.bitcast(words[0], BYTES) for words in (codes, weights)]
            pairs, fours = (f"llvm.x86.{name}" for name in MADDUBS[width])
            found = _call(builder, pairs, SHORTS, both)
            return builder.add(sums, _call(builder, fours, WORDS, [found, _all(SHORTS, 1)]))
        # A sum of two products fits into 16 bits. Of its halves the lower is shifted up and down to extend its sign.
        two = builder.bitcast(
            builder.add(*(builder.mul(code, weight) for code, weight in zip(codes, weights, strict=True))), WORDS
        )
        half = _all(WORDS, 16)
        low, high = builder.ashr(builder.shl(two, half), half), builder.ashr(two, half)
        return builder.add(sums, builder.add(low, high))


def make_tile(rows: int, vectors: int) -> Any:
    """Return an intrinsic for `rows` rows of codes and the units of `vectors` vectors:

    z[r, j] = float32(float64(sum) * float64(row_scales[r] * scales[j]) + biases[j]), where sum is the sum over the
    listed groups of codes[r] * weights[j], less zeros[r] * column_sums[j].

    Rows beyond `last` are computed as row `last` once more.
    """

    @intrinsic
    def tile(
        typing, count, lists, list_at, last, codes, code_at, code_line, weights, w_at, w_step, column_sums, scales,
        biases, column, row_scales, zeros, row, z, z_at, z_line,
    ):  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            places = [
                pointer(context, builder, kind, given) if isinstance(kind, types.Array) else given
                for kind, given in zip(signature.args, args, strict=True)
            ]
            count, lists, list_at, last, codes, code_at, code_line, weights, w_at, w_step, *rest = places
            numbers = [I64(0)]
            numbers += [builder.select(builder.icmp_signed("<", I64(r), last), I64(r), last) for r in range(1, rows)]
            heads = [builder.gep(codes, [builder.add(code_at, builder.mul(code_line, r))]) for r in numbers]
            listed, panel = builder.gep(lists, [list_at]), builder.gep(weights, [w_at])
            sums = _sums(builder, count, listed, heads, panel, w_step, vectors)
            _finish(builder, sums, numbers, vectors, rest)
            return context.get_dummy_value()

        n = types.intp
        return types.void(
            n, lists, n, n, codes, n, n, weights, n, n, column_sums, scales, biases, n, row_scales, zeros, n, z, n, n
        ), emit

    return tile


def _sums(builder: Any, count: Any, listed: Any, heads: list[Any], panel: Any, step: Any, vectors: int) -> list[Any]:
    """Emit the sums over the listed groups, for each row a vector after the other."""
    nothing, dot, before = _all(WORDS, 0), _Dot(builder), builder.block
    with builder.if_then(builder.icmp_signed("<", I64(0), count)):
        loop = VectorLoop(builder, I64(0), count, [nothing] * (len(heads) * vectors))
        group = builder.zext(builder.load(builder.gep(listed, [loop.index])), I64)
        at = builder.mul(group, step)
        places = [builder.add(at, I64(v * LANES * 4)) for v in range(vectors)]
        columns = [dot.weights(_load(builder, panel, place, WORDS, 1)) for place in places]
        new = []
        for r, head in enumerate(heads):
            words = dot.codes(_splat(builder, builder.load(builder.gep(head, [group]))))
            new += [dot.add(loop.values[r * vectors + v], words, columns[v]) for v in range(vectors)]
        loop.close(new)
        inside = builder.block
    found = []
    for value in new:
        found.append(builder.phi(WORDS))
        found[-1].add_incoming(nothing, before)
        found[-1].add_incoming(value, inside)
    return found


def _finish(builder: Any, sums: list[Any], numbers: list[Any], vectors: int, places: list[Any]) -> None:
    """Emit what makes numbers of sums, and stores them."""
    column_sums, scales, biases, column, row_scales, zeros, row, z, z_at, z_line = places
    for v in range(vectors):
        place = builder.add(column, I64(v * LANES))
        below = _load(builder, column_sums, place, WORDS, 4)
        scale, bias = _load(builder, scales, place, FLOATS, 4), _load(builder, biases, place, DOUBLES, 8)
        for r, number in enumerate(numbers):
            at = builder.add(row, number)
            zero = _splat(builder, builder.load(builder.gep(zeros, [at])))
            exact = builder.sub(sums[r * vectors + v], builder.mul(zero, below))
            factor = builder.fmul(scale, _splat(builder, builder.load(builder.gep(row_scales, [at]))))
            value = builder.fmul(builder.sitofp(exact, DOUBLES), builder.fpext(factor, DOUBLES))
            value = builder.fptrunc(builder.fadd(value, bias), FLOATS)
            _store(builder, value, z, builder.add(z_at, builder.add(builder.mul(z_line, number), I64(v * LANES))), 4)


@intrinsic
def encode_row(typing, z, at, vectors, slope, codes, code_at, row_scales, zeros, row):
    """Make codes of `vectors` vectors from z[at] on, which are multiplied by `slope` where not above 0.

    Store the row's scale and zero point.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, vectors, slope, _, code_at, _, _, row = args
        z, codes, row_scales, zeros = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 4, 6, 7))
        nothing, below = _all(FLOATS, 0.0), _splat(builder, slope)

        def values(loop: VectorLoop) -> Any:
            found = _load(builder, z, builder.add(at, builder.mul(loop.index, I64(LANES))), FLOATS, 4)
            above = builder.fcmp_ordered(">", found, nothing)
            return builder.select(above, found, builder.fmul(below, found))

        loop = VectorLoop(builder, I64(0), vectors, [nothing, nothing])
        low, high = loop.values
        found = values(loop)
        low = builder.select(builder.fcmp_ordered("<", found, low), found, low)
        high = builder.select(builder.fcmp_ordered(">", found, high), found, high)
        loop.close([low, high])
        name = f"v{LANES}f32"
        low = _call(builder, f"llvm.vector.reduce.fmin.{name}", FLOAT, [low])
        high = _call(builder, f"llvm.vector.reduce.fmax.{name}", FLOAT, [high])
        most, magic, bits = FLOAT(255.0), FLOAT(MAGIC), I32(MAGIC_BITS)
        scale = builder.fsub(builder.fdiv(high, most), builder.fdiv(low, most))
        scale = builder.select(builder.fcmp_ordered("<", scale, FLOAT(LEAST)), FLOAT(1.0), scale)
        ratio = builder.fdiv(builder.fsub(FLOAT(-0.0), low), scale)
        zero = builder.sub(builder.bitcast(builder.fadd(ratio, magic), I32), bits)
        builder.store(scale, builder.gep(row_scales, [row]))
        builder.store(zero, builder.gep(zeros, [row]))
        scales = _splat(builder, scale)
        shift = _splat(builder, builder.sub(zero, bits))
        loop = VectorLoop(builder, I64(0), vectors, [])
        whole = builder.bitcast(builder.fadd(builder.fdiv(values(loop), scales), _all(FLOATS, MAGIC)), WORDS)
        whole = builder.add(whole, shift)
        whole = builder.select(builder.icmp_signed("<", whole, _all(WORDS, 255)), whole, _all(WORDS, 255))
        whole = builder.select(builder.icmp_signed(">", whole, _all(WORDS, 0)), whole, _all(WORDS, 0))
        place = builder.bitcast(builder.gep(codes, [code_at]), I8.as_pointer())
        small = builder.trunc(whole, ir.VectorType(I8, LANES))
        _store(builder, small, place, builder.mul(loop.index, I64(LANES)), 1)
        loop.close([])
        return context.get_dummy_value()

    n = types.intp
    return types.void(z, n, n, types.float32, codes, n, row_scales, zeros, n), emit


@intrinsic
def copy_bytes(typing, x, at, count, codes, code_at, groups):
    """Copy `count` bytes from x[at] on into the `groups` words from codes[code_at] on, zeros behind them."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, count, _, code_at, groups = args
        x, codes = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3))
        builder.store(I32(0), builder.gep(codes, [builder.add(code_at, builder.sub(groups, I64(1)))]))
        place = builder.bitcast(builder.gep(codes, [code_at]), I8.as_pointer())
        cgutils.raw_memcpy(builder, place, builder.gep(x, [at]), count, 1)
        return context.get_dummy_value()

    n = types.intp
    return types.void(x, n, n, codes, n, n), emit
