"""Deformation of images, byte for byte as `fnnet.core.deform` defines it: the same float operations in one order."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fnnet.core.rng import PURPOSES
from fnnet.kernels.machine import machine
from fnnet.kernels.native import compiled
from fnnet.kernels.native.philox import philox
from fnnet.kernels.native.vector import I32, I64, VectorLoop, Vectors, pointer

LANES: Final = machine().vector_bytes // 4
AUGMENT: Final = np.uint64(PURPOSES["augment"])
ELASTIC_BLOCK: Final = 2
"""The first block of words for the grid; those before it are for the affine map."""


def _combined(vector: Vectors, factors: Any, at: Any, count: Any, rows: Any, rows_at: Any, step: Any) -> Any:
    """Return the sum over k < count of factors[at + k] rows[rows_at + k step], rounded after each operation."""
    builder = vector.builder
    loop = VectorLoop(builder, I64(0), count, [vector.constant(0.0)])
    factor = vector.splat(builder.load(builder.gep(factors, [builder.add(at, loop.index)])))
    row = vector.load(rows, builder.add(rows_at, builder.mul(loop.index, step)))
    total = builder.fadd(loop.values[0], builder.fmul(factor, row))
    loop.close([total])
    return total


@intrinsic
def combine(typing, factors, at, count, rows, rows_at, step, out, out_at):
    """Store a vector at out[out_at]: the sum over k < count of factors[at + k] rows[rows_at + k step]."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, at, count, _, rows_at, step, _, out_at = args
        factors, rows, out = (pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 6))
        vector = Vectors(context, builder, signature.args[0])
        vector.store(_combined(vector, factors, at, count, rows, rows_at, step), out, out_at)
        return context.get_dummy_value()

    n = types.intp
    return types.void(factors, n, n, rows, n, n, out, n), emit


def _split(vector: Vectors, place: Any, most: Any) -> tuple[Any, Any]:
    """Return a place within [-1, most] as the whole number below it, plus 1, and the fraction above that."""
    builder, least = vector.builder, vector.constant(-1.0)
    place = builder.select(builder.fcmp_ordered("<", place, least), least, place)
    place = builder.select(builder.fcmp_ordered(">", place, most), most, place)
    below = vector.call(f"llvm.floor.{vector.name}", vector.type, [place])
    wholes = ir.VectorType(I32, vector.lanes)
    number = builder.add(builder.fptosi(below, wholes), ir.Constant(wholes, [1] * vector.lanes))
    return number, builder.fsub(place, below)


@intrinsic
def sample(typing, quads, width, height, matrix, row, x, grid, by, by_at, knots, line, out, out_at):
    """Store a vector of deformed pixels from column x on, as bytes at out[out_at].

    quads    (height + 2, width + 2): the four bytes between which interpolation takes place.
    matrix   m00, m10, and row what row y adds to x and y.
    grid     the columns' sums of x and behind them of y, `knots` rows of `line` elements; by from by_at on has the
             factors of these rows.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, width, height, _, _, x, _, _, by_at, knots, line, _, out_at = args
        quads, matrix, row, grid, by, out = (
            pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 4, 6, 7, 11)
        )
        vector = Vectors(context, builder, signature.args[3])
        lanes, real = vector.lanes, vector.scalar
        wholes = ir.VectorType(I32, lanes)
        iota = ir.Constant(vector.type, [float(i) for i in range(lanes)])
        column = builder.fadd(vector.splat(builder.sitofp(x, real)), iota)
        found = []
        for n, size in enumerate((width, height)):
            start = builder.add(x, builder.mul(builder.mul(knots, line), I64(n)))
            bent = _combined(vector, by, by_at, knots, grid, start, line)
            slope, shift = (vector.splat(builder.load(builder.gep(each, [I64(n)]))) for each in (matrix, row))
            place = builder.fadd(builder.fadd(builder.fmul(slope, column), shift), bent)
            found.append(_split(vector, place, vector.splat(builder.sitofp(size, real))))
        (i, right), (j, down) = found
        wide = builder.trunc(builder.add(width, I64(2)), I32)
        undefined = ir.Constant(wholes, ir.Undefined)
        every = builder.insert_element(undefined, wide, I32(0))
        every = builder.shuffle_vector(every, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))
        index = builder.add(builder.mul(j, every), i)
        four = undefined
        for lane in range(lanes):
            place = builder.zext(builder.extract_element(index, I32(lane)), I64)
            four = builder.insert_element(four, builder.load(builder.gep(quads, [place])), I32(lane))

        def corner(n: int) -> Any:
            byte = builder.lshr(four, ir.Constant(wholes, [8 * n] * lanes))
            return builder.uitofp(builder.and_(byte, ir.Constant(wholes, [255] * lanes)), vector.type)

        def between(a: Any, b: Any, share: Any) -> Any:
            return builder.fadd(a, builder.fmul(share, builder.fsub(b, a)))

        upper, lower = between(corner(0), corner(1), right), between(corner(2), corner(3), right)
        # Nothing is below 0, so that cutting off is rounding down.
        value = builder.fadd(between(upper, lower, down), vector.constant(0.5))
        kind = ir.VectorType(ir.IntType(8), lanes)
        bytes_out = builder.trunc(builder.fptosi(value, wholes), kind)
        store = builder.store(bytes_out, builder.bitcast(builder.gep(out, [out_at]), kind.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    n = types.intp
    return types.void(quads, n, n, matrix, row, n, grid, by, n, n, n, out, n), emit


@compiled
def fill_quads(x, at, height, width, quads):
    """Store the four bytes around each place between pixels, from the upper left corner outward; 0 outside."""
    wide = width + 2
    for i in range(wide):
        quads[i] = 0
        quads[(height + 1) * wide + i] = 0
    for j in range(height):
        line = quads[(j + 1) * wide : (j + 2) * wide]
        row = x[at + j * width : at + (j + 1) * width]
        line[0] = np.uint32(row[0]) << np.uint32(8)
        for i in range(width - 1):
            line[i + 1] = np.uint32(row[i]) | np.uint32(row[i + 1]) << np.uint32(8)
        line[width] = row[width - 1]
        line[width + 1] = 0
    for j in range(height + 1):
        upper = quads[j * wide : (j + 1) * wide]
        lower = quads[(j + 1) * wide : (j + 2) * wide]
        for i in range(wide):
            upper[i] |= lower[i] << np.uint32(16)


@compiled
def signed_unit(word):
    """Return a word as a number in [-1, 1)."""
    return np.float64(word >> np.uint64(11)) * 2.0**-52 - 1.0


@compiled
def affine_map(words, more, limits, height, width, matrix, offsets):
    """Store the map from a deformed pixel to its source: m00, m10, m01, m11 in matrix, the offsets of x and y."""
    shift_x, shift_y = limits[0] * signed_unit(words[0]), limits[0] * signed_unit(words[1])
    t = limits[1] * signed_unit(words[2])
    across, along = 1.0 + limits[2] * signed_unit(words[3]), 1.0 + limits[2] * signed_unit(more[0])
    shear = limits[3] * signed_unit(more[1])
    cos, sin = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
    m00, m01 = (cos + shear * sin) / across, (sin - shear * cos) / across
    m10, m11 = -sin / along, cos / along
    x, y = (width - 1) / 2.0, (height - 1) / 2.0
    matrix[0], matrix[1], matrix[2], matrix[3] = m00, m10, m01, m11
    offsets[0] = x - (m00 * (x + shift_x) + m01 * (y + shift_y))
    offsets[1] = y - (m10 * (x + shift_x) + m11 * (y + shift_y))


@compiled
def draw_grid(seed, epoch, sample_number, count, grid):
    """Draw numbers for `count` knots, those of x and behind them of y: sums of two 16-bit pieces minus their mean."""
    piece = np.uint64(0xFFFF)
    for block in range(-(-count // 4)):
        words = philox(np.uint64(ELASTIC_BLOCK + block), sample_number, epoch, seed, AUGMENT)
        for i in range(min(4, count - 4 * block)):
            word, at = words[i], 4 * block + i
            grid[at] = np.int64((word & piece) + (word >> np.uint64(16) & piece)) - 65535
            grid[count + at] = np.int64((word >> np.uint64(32) & piece) + (word >> np.uint64(48))) - 65535


@compiled
def deform(
    x, first, last, height, width, samples, seed, epoch, limits, by, bx, knots_y, knots_x, floats, quads, spare, out
):
    """Deform images `first` to `last`.

    limits   shift, tangent of half the rotation, scale, shear, and 1 if there is a grid.
    by, bx   its B-splines, (height, knots_y) and (knots_x, line).
    """
    line = bx.size // knots_x
    knots = knots_y * knots_x
    grid, at = floats[: 2 * knots], 2 * knots
    sums, at = floats[at : at + 2 * knots_y * line], at + 2 * knots_y * line
    matrix, offsets, row = floats[at : at + 4], floats[at + 4 : at + 6], floats[at + 6 : at + 8]
    size = height * width
    for n in range(first, last):
        number, key = np.uint64(samples[n]), np.uint64(seed)
        words = philox(np.uint64(0), number, np.uint64(epoch), key, AUGMENT)
        more = philox(np.uint64(1), number, np.uint64(epoch), key, AUGMENT)
        affine_map(words, more, limits, height, width, matrix, offsets)
        if limits[4] > 0:
            draw_grid(key, np.uint64(epoch), number, knots, grid)
        for r in range(2 * knots_y):
            for left in range(0, line, LANES):
                combine(grid, r * knots_x, knots_x, bx, left, line, sums, r * line + left)
        fill_quads(x, n * size, height, width, quads)
        for y in range(height):
            row[0] = matrix[2] * np.float32(y) + offsets[0]
            row[1] = matrix[3] * np.float32(y) + offsets[1]
            at = n * size + y * width
            # The next row overwrites the excess of a row's last vector; behind the image it is cut off, for another
            # thread's images begin there.
            inside = y * width + line <= size
            for left in range(0, width, LANES):
                sample(
                    quads, width, height, matrix, row, left, sums, by, y * knots_y, knots_y, line,
                    out if inside else spare, at + left if inside else left,
                )  # fmt: skip
            if not inside:
                for i in range(width):
                    out[at + i] = spare[i]
