"""Matrix products and operations element by element, over flat arrays."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.layout import FEW
from fnnet.kernels.machine import machine
from fnnet.kernels.native import compiled
from fnnet.kernels.native.vector import exp_vector, make_sparse_dot, make_sparse_outer, make_tile, max_vector

VECTOR_BYTES: Final = machine().vector_bytes
ROWS: Final = machine().rows
DEPTH: Final = 256
"""Terms summed at a time: DEPTH rows of a panel are 32 KiB."""

ZERO: Final = np.int64(0)
ONE: Final = np.int64(1)
"""Arguments of `product` that are constant. For each Python integer in their place it would be compiled again."""

_tile_2 = make_tile(ROWS, 2, together=3)
_tile_1 = make_tile(ROWS, 1, together=3)
_few_2 = make_tile(FEW, 2)
_few_1 = make_tile(FEW, 1)
_dot_8, _dot_4, _dot_2, _dot_1 = (make_sparse_dot(1, vectors) for vectors in (8, 4, 2, 1))
_dots_4, _dots_2, _dots_1 = (make_sparse_dot(4, vectors) for vectors in (4, 2, 1))
_outer_8, _outer_4, _outer_2, _outer_1 = (make_sparse_outer(vectors) for vectors in (8, 4, 2, 1))


@compiled
def product(
    m, n, k, a, a_at, a_row, a_step, b, b_at, b_step, b_panel, b_rows, init, init_at, init_row, out, out_at, out_row
):
    """Store out[i, j] = init[i, j] + sum over t of a[i, t] b[t, j] for i < m, j < n, t < k, t ascending.

    Each element is one chain of multiply-adds, whatever tile it falls into. The rows of b are `b_step` apart; or, where
    b_step is 0, b lies in panels of `b_panel` columns, each panel row by row for all `b_rows` rows, the last panel
    perhaps narrower. n and b_panel are multiples of a vector.
    """
    lanes = VECTOR_BYTES // a.itemsize
    j = 0
    while j < n:
        left = 0 if b_step else j // b_panel * b_panel
        width = n if b_step else min(b_panel, n - left)
        step = b_step or width
        at = b_at + left * b_rows + j - left
        two = j + 2 * lanes <= left + width
        first = 0
        while first < k:
            # A piece of the panel that stays in the first-level cache, under all rows of a.
            depth = min(DEPTH, k - first)
            a_from, b_from, to = a_at + first * a_step, at + first * step, out_at + j
            start, start_at, start_row = init, init_at + j, init_row
            if first:
                start, start_at, start_row = out, to, out_row
            _column(
                m, depth, two, a, a_from, a_row, a_step, b, b_from, step, start, start_at, start_row, out, to, out_row
            )
            first += depth
        j += 2 * lanes if two else lanes


@compiled
def _column(m, k, two, a, a_at, a_row, a_step, b, b_at, step, init, init_at, init_row, out, out_at, out_row):
    """As `product`, for the columns of one tile."""
    i = 0
    while i < m:
        few = m - i < ROWS
        if two and few:
            _few_2(k, i, m - 1, a, a_at, a_row, a_step, b, b_at, step, init, init_at, init_row, out, out_at, out_row)
        elif two:
            _tile_2(k, i, m - 1, a, a_at, a_row, a_step, b, b_at, step, init, init_at, init_row, out, out_at, out_row)
        elif few:
            _few_1(k, i, m - 1, a, a_at, a_row, a_step, b, b_at, step, init, init_at, init_row, out, out_at, out_row)
        else:
            _tile_1(k, i, m - 1, a, a_at, a_row, a_step, b, b_at, step, init, init_at, init_row, out, out_at, out_row)
        i += FEW if few else ROWS


@compiled
def sparse_dot(values, at, indices, start, count, w, w_at, w_row, out, out_at, vectors):
    """Add to out[j] the sum over n < count of values[at + n] w[indices[start + n], j], n ascending.

    vectors   8, 4, 2 or 1: how many vectors of columns.
    """
    if vectors == 8:
        _dot_8(values, (at,), indices, (start,), count, w, w_at, w_row, out, (out_at,))
    elif vectors == 4:
        _dot_4(values, (at,), indices, (start,), count, w, w_at, w_row, out, (out_at,))
    elif vectors == 2:
        _dot_2(values, (at,), indices, (start,), count, w, w_at, w_row, out, (out_at,))
    else:
        _dot_1(values, (at,), indices, (start,), count, w, w_at, w_row, out, (out_at,))


@compiled
def sparse_dots(values, ats, indices, starts, count, w, w_at, w_row, out, outs, vectors):
    """As `sparse_dot`, for four rows of out at once, `count` values of each, and 4, 2 or 1 vectors."""
    if vectors == 4:
        _dots_4(values, ats, indices, starts, count, w, w_at, w_row, out, outs)
    elif vectors == 2:
        _dots_2(values, ats, indices, starts, count, w, w_at, w_row, out, outs)
    else:
        _dots_1(values, ats, indices, starts, count, w, w_at, w_row, out, outs)


@compiled
def sparse_outer(values, at, indices, start, count, d, d_at, g, g_at, g_row, vectors):
    """Add values[at + n] d[j] to g[indices[start + n], j] for n < count and `vectors` vectors of columns, at most 8."""
    lanes = VECTOR_BYTES // g.itemsize
    if vectors == 8:
        _outer_8(values, at, indices, start, count, d, d_at, g, g_at, g_row)
        return
    if vectors & 4:
        _outer_4(values, at, indices, start, count, d, d_at, g, g_at, g_row)
        d_at, g_at = d_at + 4 * lanes, g_at + 4 * lanes
    if vectors & 2:
        _outer_2(values, at, indices, start, count, d, d_at, g, g_at, g_row)
        d_at, g_at = d_at + 2 * lanes, g_at + 2 * lanes
    if vectors & 1:
        _outer_1(values, at, indices, start, count, d, d_at, g, g_at, g_row)


@compiled
def row_max(row, classes):
    """Return the largest of row[:classes]. The row ends on a vector."""
    lanes = VECTOR_BYTES // row.itemsize
    top = max_vector(row, 0, min(lanes, classes))
    for j in range(lanes, classes, lanes):
        some = max_vector(row, j, min(lanes, classes - j))
        top = max(top, some)
    return top


@compiled
def exp_row(row, classes, top):
    """Replace row[:classes] by exp(row[:classes] - top), with 0 behind; return the sum. The row ends on a vector."""
    lanes = VECTOR_BYTES // row.itemsize
    total = row.dtype.type(0)
    for j in range(0, classes, lanes):
        total += exp_vector(row, j, top, min(lanes, classes - j))
    return total
