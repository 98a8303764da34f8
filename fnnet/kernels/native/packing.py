"""Vector code that packs rows of inputs: nonzero inputs side by side, bytes converted to floats."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fnnet.kernels.machine import machine
from fnnet.kernels.native.vector import I32, I64, pointer

RUN: Final = 16
"""Inputs that are compressed or expanded at once."""


@intrinsic
def compress_run(typing, x, at, first, indices, values, n):
    """Append the nonzero elements of x[at:at + RUN] to values[n:], and first + their places to indices[n:].

    Return where the next goes; up to RUN elements from there on are overwritten. For machines that can `compress`.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, first, _, _, n = args
        x, indices, values = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 4))
        kind = signature.args[0].dtype
        width = min(RUN, machine().vector_bytes * 8 // kind.bitwidth)
        for part in range(0, RUN, width):
            element, short = context.get_data_type(kind), ir.IntType(16)
            vector, shorts = ir.VectorType(element, width), ir.VectorType(short, width)
            place = builder.bitcast(builder.gep(x, [builder.add(at, I64(part))]), vector.as_pointer())
            run = builder.load(place)
            run.align = kind.bitwidth // 8
            if isinstance(kind, types.Integer):
                kept, name = builder.icmp_unsigned("!=", run, ir.Constant(vector, [0] * width)), f"v{width}i8"
            else:
                zeros = ir.Constant(vector, [0.0] * width)
                kept, name = builder.fcmp_unordered("!=", run, zeros), f"v{width}f{kind.bitwidth}"
            start = builder.insert_element(ir.Constant(shorts, ir.Undefined), builder.trunc(first, short), I32(0))
            spread = ir.Constant(ir.VectorType(I32, width), [0] * width)
            start = builder.shuffle_vector(start, ir.Constant(shorts, ir.Undefined), spread)
            numbers = builder.add(start, ir.Constant(shorts, list(range(part, part + width))))
            for data, to, what in ((numbers, indices, f"v{width}i16"), (run, values, name)):
                blank = ir.Constant(data.type, [0] * width)
                function = ir.FunctionType(data.type, [data.type, data.type, kept.type])
                compress = cgutils.get_or_insert_function(
                    builder.module, function, f"llvm.x86.avx512.mask.compress.{what}"
                )
                together = builder.call(compress, [data, blank, kept])
                builder.store(together, builder.bitcast(builder.gep(to, [n]), data.type.as_pointer())).align = 1
            bits = ir.IntType(width)
            count = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(bits, [bits]), f"llvm.ctpop.i{width}"
            )
            n = builder.add(n, builder.zext(builder.call(count, [builder.bitcast(kept, bits)]), I64))
        return n

    return types.intp(x, types.intp, types.intp, indices, values, types.intp), emit


@intrinsic
def expand_run(typing, codes, at, out, out_at):
    """Store out[out_at:out_at + RUN] = codes[at:at + RUN] / 255, rounded as a division is."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        codes, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 2))
        scalar = context.get_data_type(signature.args[2].dtype)
        kind, source = ir.VectorType(scalar, RUN), ir.VectorType(ir.IntType(8), RUN)
        run = builder.load(builder.bitcast(builder.gep(codes, [args[1]]), source.as_pointer()))
        run.align = 1
        x, most = builder.uitofp(run, kind), ir.Constant(kind, [255.0] * RUN)
        if machine().fma:
            # A product with the reciprocal, and a step that makes it exact: a division takes four times as long.
            name = f"llvm.fma.v{RUN}f{signature.args[2].dtype.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
            inverse = ir.Constant(kind, [1 / 255] * RUN)
            near = builder.fmul(x, inverse)
            rest = builder.call(fma, [near, ir.Constant(kind, [-255.0] * RUN), x])
            result = builder.call(fma, [rest, inverse, near])
        else:
            result = builder.fdiv(x, most)
        place = builder.bitcast(builder.gep(out, [args[3]]), kind.as_pointer())
        builder.store(result, place).align = signature.args[2].dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(codes, types.intp, out, types.intp), emit


@intrinsic
def load_word(typing, data, at):
    """Return the eight bytes from data[at] on, as one number."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(pointer(context, builder, signature.args[0], args[0]), [args[1]])
        word = builder.load(builder.bitcast(place, I64.as_pointer()))
        word.align = 1
        return word

    return types.uint64(data, types.intp), emit


@intrinsic
def prefetch(typing, array, at):
    """Prefetch array[at] into the first-level cache."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(builder.gep(pointer(context, builder, signature.args[0], args[0]), [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit
