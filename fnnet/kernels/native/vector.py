"""Vector code that plain Numba loops do not become: register tiles, rows of a sparse product, exp, transposition.

Each maker returns an intrinsic that emits LLVM instructions on vectors as wide as the machine's registers. Arrays are
flat; `at` counts elements. No check is made here: the callers' layouts hold every access inside its array.
"""

from __future__ import annotations

import math
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fnnet.kernels.machine import machine
from fnnet.kernels.native.exponential import exp

I32: Final = ir.IntType(32)
I64: Final = ir.IntType(64)


class Vectors:
    """Vector types of an array's elements, and the instructions on them."""

    def __init__(self, context: Any, builder: Any, array_type: Any) -> None:
        self.builder = builder
        self.scalar = context.get_data_type(array_type.dtype)
        self.bytes = array_type.dtype.bitwidth // 8
        self.lanes = machine().vector_bytes // self.bytes
        self.type = ir.VectorType(self.scalar, self.lanes)
        self.name = f"v{self.lanes}f{self.bytes * 8}"

    def constant(self, number: float) -> Any:
        """Return a vector of equal numbers."""
        return ir.Constant(self.type, [number] * self.lanes)

    def load(self, pointer: Any, at: Any) -> Any:
        """Return the vector at element `at`."""
        place = self.builder.gep(pointer, [at])
        found = self.builder.load(self.builder.bitcast(place, self.type.as_pointer()))
        found.align = self.bytes
        return found

    def store(self, vector: Any, pointer: Any, at: Any) -> None:
        """Store a vector at element `at`."""
        place = self.builder.gep(pointer, [at])
        self.builder.store(vector, self.builder.bitcast(place, self.type.as_pointer())).align = self.bytes

    def splat(self, scalar: Any) -> Any:
        """Return a vector whose elements are all `scalar`."""
        undefined = ir.Constant(self.type, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, I32(0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        )

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c, rounded once where the machine can."""
        if not machine().fma:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self.call(f"llvm.fma.{self.name}", self.type, [a, b, c])

    def call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """Emit a call of an LLVM intrinsic."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)


class VectorLoop:
    """A counted loop with values carried from turn to turn; the body runs at least once."""

    def __init__(self, builder: Any, first: Any, end: Any, carried: list[Any]) -> None:
        self.builder, self.end = builder, end
        before = builder.block
        self.body = builder.append_basic_block("loop")
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.index = builder.phi(I64)
        self.index.add_incoming(first, before)
        self.values = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, before)
            self.values.append(phi)

    def close(self, values: list[Any]) -> None:
        """End the body; `values` are carried to the next turn, and available after the last."""
        builder = self.builder
        after = builder.add(self.index, I64(1))
        latch = builder.block
        self.index.add_incoming(after, latch)
        for phi, value in zip(self.values, values, strict=True):
            phi.add_incoming(value, latch)
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", after, self.end), self.body, done)
        builder.position_at_end(done)


def pointer(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Return where an array's elements start."""
    return context.make_array(array_type)(context, builder, array).data


def opaque(builder: Any, pointer: Any) -> Any:
    """Return the same pointer, but hide from the optimiser how it came about."""
    return builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], side_effect=False)


def make_tile(rows: int, vectors: int, together: int = 1) -> Any:
    """Return an intrinsic for a register tile of `rows` x `vectors`:

    out[i, j] = init[i, j] + sum over t < k of a[i, t] b[t, j], t ascending, for i = first, first + 1, ... and the
    columns of `vectors` vectors. Rows beyond `last` are computed and stored as row `last` once more, so that one tile
    serves any number of rows; but not where `together` is more than 1, the number of rows that share a pointer. Element
    [i, t] of a lies at a_at + i a_row + t a_step, and so on; rows of b are b_step apart, their columns contiguous.
    k >= 1.
    """

    @intrinsic
    def tile(
        typing, k, first, last, a, a_at, a_row, a_step, b, b_at, b_step, init, init_at, init_row, out, out_at, out_row
    ):
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            k, first, last, _, a_at, a_row, a_step, _, b_at, b_step, _, init_at, init_row, _, out_at, out_row = args
            a, b, init, out = (pointer(context, builder, signature.args[i], args[i]) for i in (3, 7, 10, 13))
            vector = Vectors(context, builder, signature.args[3])
            numbers = [builder.add(first, I64(r)) for r in range(rows)]
            if together == 1:
                numbers = [builder.select(builder.icmp_signed("<", i, last), i, last) for i in numbers]

            def place(at: Any, row: Any, i: Any, v: int = 0) -> Any:
                return builder.add(builder.add(at, builder.mul(i, row)), I64(v * vector.lanes))

            a_rows = [builder.gep(a, [place(a_at, a_row, i)]) for i in numbers[::together]]
            sums = [vector.load(init, place(init_at, init_row, i, v)) for i in numbers for v in range(vectors)]
            loop = VectorLoop(builder, I64(0), k, [*sums, *a_rows, builder.gep(b, [b_at])])
            # Opaque, or the optimiser would keep a pointer for each row: 12 of them, moved from register to register
            # at each turn, cost a sixth of the time.
            *heads, b_row = (opaque(builder, each) for each in loop.values[len(sums) :])
            columns = [vector.load(b_row, I64(v * vector.lanes)) for v in range(vectors)]
            new = []
            for r in range(rows):
                shift = builder.mul(a_row, I64(r % together))
                factor = vector.splat(builder.load(builder.gep(heads[r // together], [shift])))
                new += [vector.fma(factor, columns[v], loop.values[r * vectors + v]) for v in range(vectors)]
            loop.close([*new, *(builder.gep(each, [a_step]) for each in heads), builder.gep(b_row, [b_step])])
            for n, i in enumerate(numbers):
                for v in range(vectors):
                    vector.store(new[n * vectors + v], out, place(out_at, out_row, i, v))
            return context.get_dummy_value()

        n = types.intp
        return types.void(n, n, n, a, n, n, n, b, n, n, init, n, n, out, n, n), emit

    return tile


def make_sparse_dot(rows: int, vectors: int) -> Any:
    """Return an intrinsic that adds products of sparse rows to rows of out:

    out[i, j] += sum over n < count of values[start_i + n] w[indices[start_i + n], j], n ascending, for `rows` rows at
    once, whose chains of multiply-adds run side by side, and `vectors` vectors of columns. Row i of out starts at
    outs[i].
    """

    @intrinsic
    def sparse_dot(typing, values, value_starts, indices, starts, count, w, w_at, w_row, out, outs):
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _, value_starts, _, starts, count, _, w_at, w_row, _, outs = args
            values, indices, w, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 2, 5, 8))
            vector = Vectors(context, builder, signature.args[0])
            lists = [
                (builder.gep(values, [value]), builder.gep(indices, [index]))
                for value, index in zip(
                    cgutils.unpack_tuple(builder, value_starts), cgutils.unpack_tuple(builder, starts), strict=True
                )
            ]
            places = [
                builder.add(place, I64(v * vector.lanes))
                for place in cgutils.unpack_tuple(builder, outs)
                for v in range(vectors)
            ]
            with builder.if_then(builder.icmp_signed("<", I64(0), count)):
                loop = VectorLoop(builder, I64(0), count, [vector.load(out, place) for place in places])
                new = []
                for r, (value, index) in enumerate(lists):
                    number = builder.zext(builder.load(builder.gep(index, [loop.index])), I64)
                    factor = vector.splat(builder.load(builder.gep(value, [loop.index])))
                    row = builder.add(w_at, builder.mul(number, w_row))
                    for v in range(vectors):
                        weights = vector.load(w, builder.add(row, I64(v * vector.lanes)))
                        new.append(vector.fma(factor, weights, loop.values[r * vectors + v]))
                loop.close(new)
                for value, place in zip(new, places, strict=True):
                    vector.store(value, out, place)
            return context.get_dummy_value()

        n = types.intp
        several = types.UniTuple(n, rows)
        return types.void(values, several, indices, several, n, w, n, n, out, several), emit

    return sparse_dot


def make_panels_dot(panels: int, vectors: int) -> Any:
    """Return an intrinsic that adds the product of one sparse row and `panels` panels of w to a row of out:

    out[out_at + j] += sum over n < count of values[n] w[w_at + panel_at p + indices[n] w_row + c], n ascending, for j,
    column c of panel p, of which each has `vectors` vectors of columns.
    """

    @intrinsic
    def panels_dot(typing, values, indices, count, w, w_at, w_row, panel_at, out, out_at):
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _, _, count, _, w_at, w_row, panel_at, _, out_at = args
            values, indices, w, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 1, 3, 7))
            vector = Vectors(context, builder, signature.args[0])
            places = [builder.add(out_at, I64(number * vector.lanes)) for number in range(panels * vectors)]
            with builder.if_then(builder.icmp_signed("<", I64(0), count)):
                loop = VectorLoop(builder, I64(0), count, [vector.load(out, place) for place in places])
                number = builder.zext(builder.load(builder.gep(indices, [loop.index])), I64)
                factor = vector.splat(builder.load(builder.gep(values, [loop.index])))
                row, new = builder.add(w_at, builder.mul(number, w_row)), list[Any]()
                for panel in range(panels):
                    start = builder.add(row, builder.mul(panel_at, I64(panel)))
                    for v in range(vectors):
                        weights = vector.load(w, builder.add(start, I64(v * vector.lanes)))
                        new.append(vector.fma(factor, weights, loop.values[len(new)]))
                loop.close(new)
                for value, place in zip(new, places, strict=True):
                    vector.store(value, out, place)
            return context.get_dummy_value()

        n = types.intp
        return types.void(values, indices, n, w, n, n, n, out, n), emit

    return panels_dot


def make_sparse_outer(vectors: int) -> Any:
    """Return an intrinsic: g[indices[start + n], j] += values[value_start + n] d[j], n < count, `vectors` vectors."""

    @intrinsic
    def sparse_outer(typing, values, value_start, indices, start, count, d, d_at, g, g_at, g_row):
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _, value_start, _, start, count, _, d_at, _, g_at, g_row = args
            values, indices, d, g = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 2, 5, 7))
            value, number = builder.gep(values, [value_start]), builder.gep(indices, [start])
            vector = Vectors(context, builder, signature.args[0])
            with builder.if_then(builder.icmp_signed("<", I64(0), count)):
                columns = [vector.load(d, builder.add(d_at, I64(v * vector.lanes))) for v in range(vectors)]
                loop = VectorLoop(builder, I64(0), count, [])
                index = builder.zext(builder.load(builder.gep(number, [loop.index])), I64)
                factor = vector.splat(builder.load(builder.gep(value, [loop.index])))
                row = builder.add(g_at, builder.mul(index, g_row))
                for v in range(vectors):
                    place = builder.add(row, I64(v * vector.lanes))
                    vector.store(vector.fma(factor, columns[v], vector.load(g, place)), g, place)
                loop.close([])
            return context.get_dummy_value()

        n = types.intp
        return types.void(values, n, indices, n, n, d, n, g, n, n), emit

    return sparse_outer


def _lanes_below(vector: Vectors, count: Any) -> Any:
    """Return a mask of the first `count` lanes."""
    kind = ir.VectorType(I64, vector.lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    one = vector.builder.insert_element(undefined, count, I32(0))
    every = vector.builder.shuffle_vector(
        one, undefined, ir.Constant(ir.VectorType(I32, vector.lanes), [0] * vector.lanes)
    )
    return vector.builder.icmp_signed("<", ir.Constant(kind, list(range(vector.lanes))), every)


@intrinsic
def max_vector(typing, z, at, count):
    """Return the largest of the `count` elements from z[at] on, at most a vector; NaN is ignored."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = Vectors(context, builder, signature.args[0])
        found = vector.load(pointer(context, builder, signature.args[0], args[0]), args[1])
        found = builder.select(_lanes_below(vector, args[2]), found, vector.constant(-math.inf))
        return vector.call(f"llvm.vector.reduce.fmax.{vector.name}", vector.scalar, [found])

    return z.dtype(z, types.intp, types.intp), emit


@intrinsic
def exp_vector(typing, z, at, shift, count):
    """Replace z[at:at + count] by exp(z[at:at + count] - shift), with 0 up to the vector's end, and return the sum.

    The differences are at most 0.
    """

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
def softmax_columns(typing, t, at, classes, labels, shares, even, hot, figures, place):
    """Compute the gradient of softmax and cross-entropy for a vector of samples, which lie side by side in t.

    Element [c, i] of the logits is t[at + c lanes + i], and becomes (softmax - target) shares[i], where the target is
    `even`, plus `hot` for the label.

    labels[i] is sample i's class as a float. Into figures from `place` on, a vector each: the sum of
    exp(logits - their maximum), the maximum, the first class that has it, and the sum of logits - their maximum.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, classes, _, _, even, hot, _, place = args
        t, labels, shares, figures = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 4, 7))
        vector = Vectors(context, builder, signature.args[0])
        zero, one = vector.constant(0.0), vector.constant(1.0)

        def row(loop: VectorLoop) -> Any:
            return builder.add(at, builder.mul(loop.index, I64(vector.lanes)))

        loop = VectorLoop(builder, I64(0), classes, [vector.constant(-math.inf), zero, zero])
        top, best, number = loop.values
        z = vector.load(t, row(loop))
        higher = builder.fcmp_ordered(">", z, top)
        top, best = builder.select(higher, z, top), builder.select(higher, number, best)
        loop.close([top, best, builder.fadd(number, one)])
        loop = VectorLoop(builder, I64(0), classes, [zero, zero])
        below = builder.fsub(vector.load(t, row(loop)), top)
        powers = exp(vector, below)
        vector.store(powers, t, row(loop))
        total, depth = (builder.fadd(*pair) for pair in zip(loop.values, (powers, below), strict=True))
        loop.close([total, depth])
        inverse, label, share = builder.fdiv(one, total), vector.load(labels, I64(0)), vector.load(shares, I64(0))
        cold, peak = vector.splat(even), vector.splat(builder.fadd(even, hot))
        loop = VectorLoop(builder, I64(0), classes, [zero])
        probs = builder.fmul(vector.load(t, row(loop)), inverse)
        target = builder.select(builder.fcmp_ordered("==", label, loop.values[0]), peak, cold)
        vector.store(builder.fmul(builder.fsub(probs, target), share), t, row(loop))
        loop.close([builder.fadd(loop.values[0], one)])
        for n, figure in enumerate((total, top, best, depth)):
            vector.store(figure, figures, builder.add(place, I64(n * vector.lanes)))
        return context.get_dummy_value()

    n = types.intp
    return types.void(t, n, n, labels, shares, t.dtype, t.dtype, figures, n), emit


@intrinsic
def transpose(typing, source, at, row, out, out_at, out_row):
    """Store out[j, i] = source[i, j] for one square of lanes x lanes, by perfect shuffles of its rows."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, row, _, out_at, out_row = args
        vector = Vectors(context, builder, signature.args[0])
        data, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3))
        lanes = vector.lanes
        rows = [vector.load(data, builder.add(at, builder.mul(row, I64(i)))) for i in range(lanes)]
        mask = ir.VectorType(I32, lanes)
        halves = [
            ir.Constant(mask, [base + i // 2 + lanes * (i % 2) for i in range(lanes)]) for base in (0, lanes // 2)
        ]
        for _ in range(lanes.bit_length() - 1):
            pairs = [(rows[i], rows[i + lanes // 2]) for i in range(lanes // 2)]
            rows = [builder.shuffle_vector(upper, lower, half) for upper, lower in pairs for half in halves]
        for i, vector_row in enumerate(rows):
            vector.store(vector_row, out, builder.add(out_at, builder.mul(out_row, I64(i))))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, out, n, n), emit


@intrinsic
def square_root(typing, x):
    """Return the square root of a number by an instruction: NumPy's and math's would call the C library."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        name = f"llvm.sqrt.f{signature.args[0].bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, args)

    return x(x), emit
