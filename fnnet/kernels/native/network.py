"""A network's rows forward and backward, over flat arrays laid out as `kernels.layout` describes."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.core.dropout import PARTS, UNITS
from fnnet.core.rng import PURPOSES
from fnnet.kernels.layout import (
    ACTIVATION,
    B_AT,
    BLOCK,
    CUT,
    DROP,
    DZ_AT,
    IN,
    LINE,
    OUT,
    PAD,
    PANEL,
    PANEL_VECTORS,
    PART_AT,
    RELU,
    SLOPE_AT,
    SMOOTH,
    W_AT,
    WT_AT,
    X_AT,
    X_LINE,
    Z_AT,
)
from fnnet.kernels.native import compiled
from fnnet.kernels.native.activation import activate
from fnnet.kernels.native.philox import philox
from fnnet.kernels.native.products import ONE, VECTOR_BYTES, ZERO, product
from fnnet.kernels.native.sparse import sparse_whole
from fnnet.kernels.native.vector import softmax_columns, transpose

DROPOUT: Final = np.uint64(PURPOSES["dropout"])
BITS: Final = PARTS.bit_length() - 1
PIECES: Final = 64 // BITS
"""Bits of a piece of a 64-bit word that decides on one unit, and the pieces in a word."""
NOTHING_DRAWN: Final = (ZERO, ZERO, ZERO)
"""For `rest_forward` without dropout."""


@compiled
def gather(x, scale, ids, first, rows, inputs, out, out_at, line):
    """Store out = x[ids] / scale, row by row."""
    for r in range(rows):
        row = x[ids[first + r] * inputs : (ids[first + r] + 1) * inputs]
        place = out[out_at + r * line : out_at + r * line + inputs]
        for k in range(inputs):
            place[k] = place.dtype.type(row[k]) / scale


@compiled
def gather_rows(shape, x_bytes, x_floats, ids, first, rows, work, row):
    """Store rows of x, floats if there are any, else bytes, as the input of the first layer."""
    place, line = shape[X_AT] + row * shape[X_LINE], shape[X_LINE]
    if x_floats.size:
        gather(x_floats, work.dtype.type(1), ids, first, rows, shape[IN], work, place, line)
    else:
        gather(x_bytes, work.dtype.type(255), ids, first, rows, shape[IN], work, place, line)


@compiled
def add_parts(shape, work, row, rows):
    """Add the sums over the inputs from CUT on to those over the inputs before it, in z."""
    if shape[CUT] == shape[IN]:
        return
    size = rows * shape[LINE]
    z = work[shape[Z_AT] + row * shape[LINE] : shape[Z_AT] + row * shape[LINE] + size]
    y = work[shape[PART_AT] + row * shape[LINE] : shape[PART_AT] + row * shape[LINE] + size]
    for i in range(size):
        z[i] += y[i]


@compiled
def dense_layer(shape, p, work, row, rows, block, stop, left, right, zeros):
    """Compute columns left to right of the first layer's z from the inputs in blocks block to stop: `sparse_layer`."""
    k, pad, inputs = block * BLOCK, shape[PAD], shape[IN]
    x, z = shape[X_AT] + row * shape[X_LINE] + k, (shape[PART_AT] if block else shape[Z_AT]) + row * shape[LINE] + left
    start, at, step = p, shape[B_AT] + left, ZERO
    if block:
        # A layer in two parts is a single panel.
        start, at, step = zeros, ZERO, pad
    product(
        rows, right - left, min(stop * BLOCK, inputs) - k, work, x, shape[X_LINE], ONE,
        p, shape[W_AT] + left * inputs + k * pad, step, shape[PANEL], inputs, start, at, ZERO, work, z, shape[LINE],
    )  # fmt: skip


@compiled
def affine(shape, p, work, row, rows, zeros):
    """Compute z = x W + b for `rows` rows of the workspace from `row` on; in two parts where the layer has a CUT."""
    cut, blocks = -(-shape[CUT] // BLOCK), -(-shape[IN] // BLOCK)
    dense_layer(shape, p, work, row, rows, ZERO, cut, ZERO, shape[PAD], zeros)
    if cut < blocks:
        dense_layer(shape, p, work, row, rows, cut, blocks, ZERO, shape[PAD], zeros)
        add_parts(shape, work, row, rows)


@compiled
def first_rows(layer, p, buffers, x, ids, first, row, rows, sparse, order):
    """Compute the first layer's z for work rows from `row` on, which are ids[first] and on.

    The sparse rows are used if there are any, else x, bytes and floats.
    """
    work, zeros, floats = buffers
    x_bytes, x_floats = x
    if sparse[0].size:
        sparse_whole(layer, p, work, row, rows, ids, first, sparse, order, floats)
        add_parts(layer, work, row, rows)
    else:
        gather_rows(layer, x_bytes, x_floats, ids, first, rows, work, row)
        affine(layer, p, work, row, rows, zeros)


@compiled
def relu_rows(shape, work, row, rows):
    """Replace z by a = max(z, 0)."""
    line = shape[LINE]
    a = work[shape[Z_AT] + row * line : shape[Z_AT] + (row + rows) * line]
    zero = a.dtype.type(0)
    for i in range(a.size):
        a[i] = zero if a[i] <= zero else a[i]  # noqa: FURB136


@compiled
def relu_backward_rows(shape, work, row, rows):
    """Replace da by dz = da where a > 0, else 0."""
    line = shape[LINE]
    a = work[shape[Z_AT] + row * line : shape[Z_AT] + (row + rows) * line]
    d = work[shape[DZ_AT] + row * line : shape[DZ_AT] + (row + rows) * line]
    zero = a.dtype.type(0)
    for i in range(a.size):
        # Loaded before the choice: a load that depends on it would be a branch.
        value = d[i]
        d[i] = value if a[i] > zero else zero


@compiled
def drop_rows(shape, number, work, row, rows, drawn):
    """Multiply activations and slopes of hidden layer `number` with the dropout masks of their rows.

    `core.dropout` defines the masks; `drawn` is (seed, step, place of row 0 in the batch).
    """
    seed, step, first = drawn
    layer = shape[number]
    line, blocks, low = layer[LINE], -(-layer[OUT] // UNITS), np.uint64(layer[DROP])
    kept = work.dtype.type(PARTS) / work.dtype.type(PARTS - layer[DROP])
    zero = work.dtype.type(0)
    for r in range(row, row + rows):
        a = work[layer[Z_AT] + r * line : layer[Z_AT] + (r + 1) * line]
        slope = work[layer[SLOPE_AT] + r * line : layer[SLOPE_AT] + (r + 1) * line]
        for block in range(blocks):
            words = philox(
                np.uint64((first + r) * blocks + block), np.uint64(step), np.uint64(number), np.uint64(seed), DROPOUT
            )
            for j in range(block * UNITS, min((block + 1) * UNITS, layer[OUT])):
                piece = (words[j % UNITS // PIECES] >> np.uint64(j % PIECES * BITS)) & np.uint64(PARTS - 1)
                factor = kept if piece >= low else zero
                a[j] *= factor
                slope[j] *= factor


@compiled
def activate_rows(shape, number, work, row, rows, drawn):
    """Replace z of hidden layer `number` by its activation, and store its slope for `slope_rows`."""
    layer = shape[number]
    if layer[SLOPE_AT] == layer[DZ_AT] and layer[ACTIVATION] == RELU:
        relu_rows(layer, work, row, rows)
        return
    line = layer[LINE]
    lanes = VECTOR_BYTES // work.itemsize
    activate(
        layer[ACTIVATION], work, layer[Z_AT] + row * line, work, layer[SLOPE_AT] + row * line, rows * line // lanes
    )
    if layer[DROP]:
        drop_rows(shape, number, work, row, rows, drawn)


@compiled
def slope_rows(shape, work, row, rows):
    """Replace da by dz = da times the activation's slope."""
    if shape[SLOPE_AT] == shape[DZ_AT]:
        relu_backward_rows(shape, work, row, rows)
        return
    line = shape[LINE]
    slope = work[shape[SLOPE_AT] + row * line : shape[SLOPE_AT] + (row + rows) * line]
    d = work[shape[DZ_AT] + row * line : shape[DZ_AT] + (row + rows) * line]
    for i in range(d.size):
        d[i] *= slope[i]


@compiled
def rest_forward(shape, p, work, row, rows, zeros, drawn):
    """Go from the first layer's z to the logits."""
    for number in range(1, len(shape)):
        activate_rows(shape, number - 1, work, row, rows, drawn)
        affine(shape[number], p, work, row, rows, zeros)


@compiled
def softmax_backward(shape, work, row, rows, constants, ids, first, known, out, log, floats):
    """Replace the logits by dlogits = (softmax - target) share; return True if every loss is finite.

    known   labels of samples and shares of ids.
    log     for row r: totals[out + r], the sum of exp(logits - their maximum); shifted[out + r], the target's part of
            the loss; right[out + r], 1 if the label's logit is the maximum.

    Samples are turned so that they lie side by side, a vector of them at a time: row by row, sums and maxima across a
    vector took a fifth of the time of 784-10-10.
    """
    labels, shares = known
    totals, shifted, right = log
    line, classes, pad = shape[LINE], shape[OUT], shape[PAD]
    lanes = VECTOR_BYTES // work.itemsize
    smooth, finite = constants[SMOOTH], True
    even, hot = smooth / work.dtype.type(classes), work.dtype.type(1) - smooth
    square = floats[: pad * lanes]
    label = floats[pad * lanes : (pad + 1) * lanes]
    share = floats[(pad + 1) * lanes : (pad + 2) * lanes]
    scores = floats[(pad + 2) * lanes : (pad + 3) * lanes]
    figures = floats[(pad + 3) * lanes : (pad + 7) * lanes]
    for block in range(0, rows, lanes):
        at = shape[DZ_AT] + (row + block) * line
        some = min(lanes, rows - block)
        for i in range(lanes):
            place = first + block + min(i, some - 1)
            label[i], share[i] = labels[ids[place]], shares[place]
        turn_rows(work, at, line, some, pad, square)
        for i in range(some):
            scores[i] = square[np.int64(label[i]) * lanes + i]
        softmax_columns(square, 0, classes, label, share, even, hot, figures, 0)
        for i in range(classes * lanes, pad * lanes):
            square[i] = 0
        turn_back(square, work, at, line, some, pad)
        for i in range(some):
            total, top = figures[i], figures[lanes + i]
            part = hot * (scores[i] - top)
            if smooth:
                part += even * figures[3 * lanes + i]
            totals[out + block + i], shifted[out + block + i] = total, part
            right[out + block + i] = figures[2 * lanes + i] == label[i]
            loss = total - part
            finite = finite and loss - loss == 0
    return finite


@compiled
def turn_rows(source, at, line, rows, pad, square):
    """Store square[c, i] = source[i, c] for a vector of rows; those beyond `rows` keep their values."""
    lanes = VECTOR_BYTES // source.itemsize
    for c in range(0, pad, lanes):
        if rows == lanes:
            transpose(source, at + c, line, square, c * lanes, lanes)
        else:
            for i in range(rows):
                for j in range(lanes):
                    square[(c + j) * lanes + i] = source[at + i * line + c + j]


@compiled
def turn_back(square, out, at, line, rows, pad):
    """Store out[i, c] = square[c, i] for the first `rows` of a vector of rows."""
    lanes = VECTOR_BYTES // out.itemsize
    for c in range(0, pad, lanes):
        if rows == lanes:
            transpose(square, c * lanes, lanes, out, at + c, line)
        else:
            for i in range(rows):
                for j in range(lanes):
                    out[at + i * line + c + j] = square[(c + j) * lanes + i]


@compiled
def rest_backward(shape, p, work, row, rows, zeros):
    """Go from dlogits to the first layer's dz, with the weights before they move."""
    lanes = VECTOR_BYTES // p.itemsize
    for number in range(len(shape) - 1, 0, -1):
        layer, before = shape[number], shape[number - 1]
        product(
            rows, before[PAD], layer[OUT], work, layer[DZ_AT] + row * layer[LINE], layer[LINE], ONE, p, layer[WT_AT],
            ZERO, PANEL_VECTORS * lanes, layer[OUT], zeros, ZERO, ZERO, work, before[DZ_AT] + row * before[LINE],
            before[LINE],
        )  # fmt: skip
        slope_rows(before, work, row, rows)
