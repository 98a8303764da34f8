"""Sparse rows of inputs: only the nonzero inputs, and their product with the first layer's W.

`sparse` is (starts, indices, codes, values) of `kernels.pixels.Pixels`: a row's values are bytes in codes, or floats in
values if there are no codes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.layout import (
    B_AT,
    BLOCK,
    BUCKETS,
    IN,
    LINE,
    PAD,
    PANEL,
    PART_AT,
    W_AT,
    Z_AT,
)
from fnnet.kernels.machine import machine
from fnnet.kernels.native import compiled
from fnnet.kernels.native.packing import RUN, compress_run, expand_run, load_word, prefetch
from fnnet.kernels.native.products import VECTOR_BYTES, sparse_dot, sparse_dots

AHEAD: Final = 8
"""Rows between prefetching where a row lies and reading it."""
SPAN_BYTES: Final = 4096 * VECTOR_BYTES
"""Bytes of W that a pass over the rows keeps in the second-level cache. Twice as many, with vectors of 32 bytes and a
cache of 512 KiB, took 1.07 of the time of 784-800-10 and 1.02 of 784-128-10."""


@compiled
def count_nonzero(x, first, last, inputs, counts):
    """Store in counts[i] the number of nonzero inputs of row i."""
    for i in range(first, last):
        row = x[i * inputs : (i + 1) * inputs]
        total = 0
        for k in range(inputs):
            total += row[k] != 0
        counts[i] = total


@compiled
def _compress_one_by_one(x, at, first, indices, values, n):
    """`compress_run` for machines without the instruction."""
    for half in range(0, RUN, 8):
        some = np.uint64(0)
        for j in range(0, 8, 8 // x.itemsize):
            some |= load_word(x, at + half + j)
        if some != 0:
            # Written without a branch, and kept only if not zero.
            for j in range(half, half + 8):
                value = x[at + j]
                indices[n], values[n] = first + j, value
                n += value != 0
    return n


_run = compress_run if machine().compress else _compress_one_by_one


@compiled
def compress(x, first, last, inputs, starts, indices, values):
    """Store each row's nonzero inputs, numbers and values, from starts[i (blocks + 1)] on, and its blocks' starts.

    A row needs SLACK elements more than it has nonzero inputs.
    """
    blocks = -(-inputs // BLOCK)
    for i in range(first, last):
        n = np.int64(starts[i * (blocks + 1)])
        for block in range(blocks):
            starts[i * (blocks + 1) + block] = n
            k = block * BLOCK
            end = min(k + BLOCK, inputs)
            while k + RUN <= end:
                n = _run(x, i * inputs + k, k, indices, values, n)
                k += RUN
            while k < end:
                value = x[i * inputs + k]
                indices[n], values[n] = k, value
                n += value != 0
                k += 1
        starts[i * (blocks + 1) + blocks] = n


@compiled
def expand(sparse, start, end, out, at):
    """Store the values of a sparse row's part, which are bytes, as floats from out[at] on."""
    codes = sparse[2]
    for n in range(0, end - start, RUN):
        expand_run(codes, start + n, out, at + n)


@compiled
def part(ids, r, starts, blocks, block, stop):
    """Return where the values of blocks block to stop of sparse row ids[r] start and end."""
    at = ids[r] * (blocks + 1)
    return np.int64(starts[at + block]), np.int64(starts[at + stop])


@compiled
def fetch_part(ids, r, starts, blocks, block, stop):
    """Prefetch what `part` reads."""
    at = ids[r] * (blocks + 1)
    prefetch(starts, at + block)
    prefetch(starts, at + stop)


@compiled
def fetch(sparse, start, end):
    """Prefetch a sparse row: rows come in random order, and waiting for each took a third of 784-10-10."""
    _, indices, codes, values = sparse
    for n in range(start, end, 64 // indices.itemsize):
        prefetch(indices, n)
    if codes.size:
        for n in range(start, end, 64):
            prefetch(codes, n)
    else:
        for n in range(start, end, 64 // values.itemsize):
            prefetch(values, n)


@compiled
def sort_rows(rows, ids, first, sparse, blocks, block, stop, order):
    """Store in order[:rows] the rows by their number of values in blocks block to stop, to a sixty-fourth of the most.

    Rows of about the same length are then taken four at a time, and little is left over. `order` has 2 rows + BUCKETS +
    1 elements.
    """
    starts = sparse[0]
    longest = 0
    lengths, places = order[rows : 2 * rows], order[2 * rows : 2 * rows + BUCKETS + 1]
    for r in range(rows):
        if r + AHEAD < rows:
            fetch_part(ids, first + r + AHEAD, starts, blocks, block, stop)
        begin, end = part(ids, first + r, starts, blocks, block, stop)
        lengths[r] = end - begin
        longest = max(longest, lengths[r])
    shift = 0
    while longest >> shift >= BUCKETS:
        shift += 1
    for i in range(BUCKETS + 1):
        places[i] = 0
    for r in range(rows):
        places[(lengths[r] >> shift) + 1] += 1
    for i in range(BUCKETS):
        places[i + 1] += places[i]
    for r in range(rows):
        bucket = lengths[r] >> shift
        order[places[bucket]] = r
        places[bucket] += 1


@compiled
def sparse_rows(rows, ids, first, sparse, blocks, block, stop, w, w_at, width, z, z_at, line, vectors, order, floats):
    """Add the inputs in blocks block to stop times w to rows of z at some columns.

    Narrow rows are taken four at a time: the multiply-adds of one wait for one another.
    """
    starts, indices, codes, values = sparse
    expanded = codes.size > 0
    reals = floats if expanded else values
    quarter = floats.size // 4
    r = 0
    while vectors < 8 and r + 4 <= rows:
        r0, r1, r2, r3 = order[r], order[r + 1], order[r + 2], order[r + 3]
        a0, b0 = part(ids, first + r0, starts, blocks, block, stop)
        a1, b1 = part(ids, first + r1, starts, blocks, block, stop)
        a2, b2 = part(ids, first + r2, starts, blocks, block, stop)
        a3, b3 = part(ids, first + r3, starts, blocks, block, stop)
        for later in range(r + 4, min(r + 8, rows)):
            a, b = part(ids, first + order[later], starts, blocks, block, stop)
            fetch(sparse, a, b)
        v0, v1, v2, v3 = a0, a1, a2, a3
        if expanded:
            v0, v1, v2, v3 = 0, quarter, 2 * quarter, 3 * quarter
            expand(sparse, a0, b0, floats, v0)
            expand(sparse, a1, b1, floats, v1)
            expand(sparse, a2, b2, floats, v2)
            expand(sparse, a3, b3, floats, v3)
        z0, z1, z2, z3 = z_at + r0 * line, z_at + r1 * line, z_at + r2 * line, z_at + r3 * line
        n = min(b0 - a0, b1 - a1, b2 - a2, b3 - a3)
        sparse_dots(reals, (v0, v1, v2, v3), indices, (a0, a1, a2, a3), n, w, w_at, width, z, (z0, z1, z2, z3), vectors)
        sparse_dot(reals, v0 + n, indices, a0 + n, b0 - a0 - n, w, w_at, width, z, z0, vectors)
        sparse_dot(reals, v1 + n, indices, a1 + n, b1 - a1 - n, w, w_at, width, z, z1, vectors)
        sparse_dot(reals, v2 + n, indices, a2 + n, b2 - a2 - n, w, w_at, width, z, z2, vectors)
        sparse_dot(reals, v3 + n, indices, a3 + n, b3 - a3 - n, w, w_at, width, z, z3, vectors)
        r += 4
    while r < rows:
        r0 = order[r]
        a0, b0 = part(ids, first + r0, starts, blocks, block, stop)
        if r + 2 < rows:
            a, b = part(ids, first + order[r + 2], starts, blocks, block, stop)
            fetch(sparse, a, b)
        v0 = a0
        if expanded:
            v0 = 0
            expand(sparse, a0, b0, floats, 0)
        sparse_dot(reals, v0, indices, a0, b0 - a0, w, w_at, width, z, z_at + r0 * line, vectors)
        r += 1


@compiled
def widest(left, right, panel, pad, lanes):
    """Return where the panel of column `left` starts, its width, and the vectors from `left` on: 8, 4, 2 or 1."""
    start = left // panel * panel
    width = min(panel, pad - start)
    vectors = 8
    while left + vectors * lanes > min(start + width, right):
        vectors //= 2
    return start, width, vectors


@compiled
def sparse_layer(
    shape, p, work, row, rows, ids, first, starts, indices, codes, values, block, stop, left, right, order, floats
):  # fmt: skip
    """Compute columns left to right of the first layer's z from the inputs in blocks block to stop of sparse rows.

    Work rows from `row` on are the sparse rows ids[first] and on. Blocks before CUT start from b, later ones from 0.

    order, floats   buffers for `sort_rows`, and for four rows of inputs.
    """
    sparse = starts, indices, codes, values
    inputs, pad, panel, line = shape[IN], shape[PAD], shape[PANEL], shape[LINE]
    lanes = VECTOR_BYTES // p.itemsize
    base = (shape[PART_AT] if block else shape[Z_AT]) + row * line
    bias = p[shape[B_AT] + left : shape[B_AT] + right]
    for r in range(rows):
        z = work[base + r * line + left : base + r * line + right]
        for j in range(right - left):
            z[j] = 0 if block else bias[j]
    sort_rows(rows, ids, first, sparse, -(-inputs // BLOCK), block, stop, order)
    while left < right:
        start, width, vectors = widest(left, right, panel, pad, lanes)
        span = SPAN_BYTES // (BLOCK * vectors * lanes * p.itemsize)
        at_w, at_z = shape[W_AT] + start * inputs + left - start, base + left
        for from_block in range(block, stop, span):
            to_block = min(from_block + span, stop)
            sparse_rows(
                rows, ids, first, sparse, -(-inputs // BLOCK), from_block, to_block, p, at_w, width, work, at_z, line,
                vectors, order, floats,
            )  # fmt: skip
        left += vectors * lanes
