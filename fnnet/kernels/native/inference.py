"""Scores of many rows, or of one."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.layout import (
    B_AT,
    BLOCK,
    CUT,
    DZ_AT,
    FEW,
    IN,
    LINE,
    OUT,
    PAD,
    PANEL,
    PANEL_VECTORS,
    PART_AT,
    SLACK,
    TICKET,
    W_AT,
    Z_AT,
)
from fnnet.kernels.native import compiled
from fnnet.kernels.native.network import activate_rows, add_parts, affine, affine_of, first_rows, rest_forward
from fnnet.kernels.native.packing import RUN, expand_run
from fnnet.kernels.native.pieces import compress, compress_floats
from fnnet.kernels.native.products import ONE, VECTOR_BYTES, ZERO, sparse_dot
from fnnet.kernels.native.sparse import widest
from fnnet.kernels.native.team import fetch_add, piece
from fnnet.kernels.native.vector import make_panels_dot, make_sparse_dot

PANELS: Final = 4
"""Panels that one row goes through at once: their chains of multiply-adds run side by side."""
SKIPPED: Final = 64
"""The fewest inputs of a layer that are searched for zeros, where there is one row."""
SAMPLED: Final = 16
"""Of SAMPLED rows one is searched for zeros first: searching and copying all floats took half the time."""
_pair_4, _pair_2, _pair_1 = (make_sparse_dot(2, vectors) for vectors in (4, 2, 1))
_panels_dot = make_panels_dot(PANELS, PANEL_VECTORS)


@compiled
def one_layer(layer, p, work, row, values, indices, count):
    """Compute z of one row of a layer behind the first from its nonzero inputs.

    Half of them are 0 after a ReLU, and their weights need not be read; a tile would compute four rows.
    """
    inputs, pad, panel = layer[IN], layer[PAD], layer[PANEL]
    lanes = VECTOR_BYTES // p.itemsize
    z_at = layer[Z_AT] + row * layer[LINE]
    for j in range(pad):
        work[z_at + j] = p[layer[B_AT] + j]
    left = 0
    while left + PANELS * panel <= pad:
        _panels_dot(values, indices, count, p, layer[W_AT] + left * inputs, panel, inputs * panel, work, z_at + left)
        left += PANELS * panel
    while left < pad:
        width = min(panel, pad - left)
        at = layer[W_AT] + left * inputs
        sparse_dot(values, ZERO, indices, ZERO, count, p, at, width, work, z_at + left, width // lanes)
        left += width


@compiled
def columns_dot(values, indices, begin, middle, end, p, w_at, width, work, z_at, part_at, vectors):
    """Add the inputs from begin to middle times w to z at some columns, those from middle to end to the other part.

    The two chains of multiply-adds of a narrow layer run side by side.
    """
    n = min(middle - begin, end - middle)
    if n and vectors == 4:
        _pair_4(values, (begin, middle), indices, (begin, middle), n, p, w_at, width, work, (z_at, part_at))
    elif n and vectors == 2:
        _pair_2(values, (begin, middle), indices, (begin, middle), n, p, w_at, width, work, (z_at, part_at))
    elif n and vectors == 1:
        _pair_1(values, (begin, middle), indices, (begin, middle), n, p, w_at, width, work, (z_at, part_at))
    else:
        n = 0
    sparse_dot(values, begin + n, indices, begin + n, middle - begin - n, p, w_at, width, work, z_at, vectors)
    sparse_dot(values, middle + n, indices, middle + n, end - middle - n, p, w_at, width, work, part_at, vectors)


@compiled
def one_first(layer, p, work, row, starts, at, indices, values):
    """Compute z of one row of the first layer, as `first_rows` does, from the nonzero inputs that starts[at] begins."""
    inputs, pad, panel = layer[IN], layer[PAD], layer[PANEL]
    lanes = VECTOR_BYTES // p.itemsize
    z_at, part_at = layer[Z_AT] + row * layer[LINE], layer[PART_AT] + row * layer[LINE]
    for j in range(pad):
        work[z_at + j] = p[layer[B_AT] + j]
    begin, end = np.int64(starts[at]), np.int64(starts[at - (-inputs // BLOCK)])
    middle = np.int64(starts[at - (-layer[CUT] // BLOCK)])
    if layer[CUT] < inputs:
        for j in range(pad):
            work[part_at + j] = 0
    left = 0
    while left < pad:
        start, width, vectors = widest(left, pad, panel, pad, lanes)
        columns_dot(
            values, indices, begin, middle, end, p, layer[W_AT] + start * inputs + left - start, width, work,
            z_at + left, part_at + left, vectors,
        )  # fmt: skip
        left += vectors * lanes
    add_parts(layer, work, row, ONE)


@compiled
def few_forward(shape, p, work, rows, zeros, starts, indices, values):
    """Go from fewer than FEW sparse rows to the logits; the sparse rows are overwritten."""
    inputs = shape[0, IN]
    for r in range(rows):
        one_first(shape[0], p, work, r, starts, r * (-(-inputs // BLOCK) + 1), indices, values)
    for number in range(1, len(shape)):
        before, layer = shape[number - 1], shape[number]
        activate_rows(before, work, ZERO, rows)
        inputs = layer[IN]
        if inputs < SKIPPED or inputs + SLACK > indices.size:
            affine(layer, p, work, ZERO, rows, zeros)
            continue
        for r in range(rows):
            a = before[Z_AT] + r * before[LINE]
            starts[0] = 0
            compress_floats(work[a : a + inputs], ZERO, ONE, inputs, starts, indices, values)
            one_layer(layer, p, work, r, values, indices, np.int64(starts[-(-inputs // BLOCK)]))


@compiled
def is_dense(x, rows, inputs, dense_from):
    """True if every SAMPLED-th of these rows has on average `dense_from` nonzero inputs. It decides on speed alone."""
    filled, least = 0, dense_from * -(-rows // SAMPLED)
    for r in range(0, rows if least else 0, SAMPLED):
        row = x[r * inputs : (r + 1) * inputs]
        for k in range(inputs):
            filled += row[k] != 0
    return filled >= least


@compiled
def scores(
    rank, threads, counters, shape, parameters, work_all, zeros, x_bytes, x_floats, n, unit_rows, dense_from, ids,
    order_all, floats_all, starts_all, indices_all, codes_all, values_all, logits, best,
):  # fmt: skip
    """Store logits (n, classes) and the class of the highest of each row, the first of equals; -1 where one is NaN.

    Threads take units of `unit_rows` rows; x is x_floats if there are any, else x_bytes / 255. ids counts from 0 to
    unit_rows. dense_from has the nonzero inputs from which rows of bytes and of floats are not searched for zeros.
    """
    inputs, classes = shape[0, IN], shape[len(shape) - 1, OUT]
    last = shape[len(shape) - 1]
    blocks = -(-inputs // BLOCK)
    size = piece(work_all, threads)
    work = work_all[rank * size : (rank + 1) * size]
    size = piece(indices_all, threads)
    indices = indices_all[rank * size : (rank + 1) * size]
    codes, values = codes_all[rank * size : (rank + 1) * size], values_all[rank * size : (rank + 1) * size]
    size = piece(floats_all, threads)
    floats = floats_all[rank * size : (rank + 1) * size]
    size = piece(starts_all, threads)
    starts = starts_all[rank * size : (rank + 1) * size]
    size = piece(order_all, threads)
    order = order_all[rank * size : (rank + 1) * size]
    no_codes = codes[:0]
    as_floats = x_floats.size > 0
    unit = 0
    while True:
        if threads > 1:  # one alone needs no tickets, nor counters that start from 0
            unit = fetch_add(counters, TICKET, 1)
        first = unit * unit_rows
        if first >= n:
            return
        rows = min(unit_rows, n - first)
        some_bytes = x_bytes[first * inputs : (first + rows) * inputs]
        some_floats = x_floats[first * inputs : (first + rows) * inputs]
        # Below FEW rows a tile would mostly compute the last of them again.
        few = indices.size > 0 and rows < FEW
        if indices.size == 0:
            dense = True
        elif as_floats:
            dense = not few and is_dense(some_floats, rows, inputs, dense_from[1])
        else:
            dense = not few and is_dense(some_bytes, rows, inputs, dense_from[0])
        if dense and as_floats:
            affine_of(shape[0], parameters, some_floats, ZERO, inputs, work, ZERO, rows, zeros)
        else:
            if not dense:
                for r in range(rows):
                    starts[r * (blocks + 1)] = r * (inputs + SLACK)
                if as_floats:
                    compress_floats(some_floats, 0, rows, inputs, starts, indices, values)
                else:
                    compress(some_bytes, 0, rows, inputs, starts, indices, codes)
            if few and not as_floats:
                for r in range(rows):
                    end = np.int64(starts[r * (blocks + 1) + blocks])
                    for at in range(np.int64(starts[r * (blocks + 1)]), end, RUN):
                        expand_run(codes, at, values, at)
            elif not few:
                first_rows(
                    shape[0], parameters, work, zeros, floats, some_bytes, some_floats, ids, ZERO, ZERO, rows,
                    starts[:0] if dense else starts, indices, no_codes if as_floats or dense else codes, values, order,
                )  # fmt: skip
        if few:
            few_forward(shape, parameters, work, rows, zeros, starts, indices, values)
        else:
            rest_forward(shape[0], shape, parameters, work, ZERO, rows, zeros, ZERO, ZERO, ZERO)
        for r in range(rows):
            z = work[last[DZ_AT] + r * last[LINE] : last[DZ_AT] + r * last[LINE] + classes]
            place = logits[(first + r) * classes : (first + r + 1) * classes]
            top = 0
            number = True
            for j in range(classes):
                place[j] = z[j]
                number = number and z[j] == z[j]
                if z[j] > z[top]:
                    top = j
            number = number and z[top] - z[top] == 0  # infinity is not a prediction
            best[first + r] = top if number else -1
        unit += 1
