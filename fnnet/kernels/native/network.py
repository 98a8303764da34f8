"""A network's rows forward, over flat arrays laid out as `kernels.layout` describes."""

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
    PART_AT,
    RELU,
    SLOPE_AT,
    W_AT,
    X_AT,
    X_LINE,
    Z_AT,
)
from fnnet.kernels.native import compiled
from fnnet.kernels.native.philox import philox
from fnnet.kernels.native.pieces import activate, product, sparse_layer
from fnnet.kernels.native.products import ONE, VECTOR_BYTES, ZERO

DROPOUT: Final = np.uint64(PURPOSES["dropout"])
BITS: Final = PARTS.bit_length() - 1
PIECES: Final = 64 // BITS
"""Bits of a piece of a 64-bit word that decides on one unit, and the pieces in a word."""


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
def dense_layer(shape, p, x, x_at, x_line, work, row, rows, block, stop, left, right, zeros):
    """Compute columns left to right of z from the inputs in blocks block to stop, as `sparse_layer` does.

    The inputs are rows of x from x_at on, `x_line` apart.
    """
    k, pad, inputs = block * BLOCK, shape[PAD], shape[IN]
    z = (shape[PART_AT] if block else shape[Z_AT]) + row * shape[LINE] + left
    start, at, step = p, shape[B_AT] + left, ZERO
    if block:
        # A layer in two parts is a single panel.
        start, at, step = zeros, ZERO, pad
    product(
        rows, right - left, min(stop * BLOCK, inputs) - k, x, x_at + k, x_line, ONE,
        p, shape[W_AT] + left * inputs + k * pad, step, shape[PANEL], inputs, start, at, ZERO, work, z, shape[LINE],
    )  # fmt: skip


@compiled
def affine_of(shape, p, x, x_at, x_line, work, row, rows, zeros):
    """Compute z = x W + b for rows of x from x_at on, `x_line` apart; in two parts where the layer has a CUT."""
    cut, blocks = -(-shape[CUT] // BLOCK), -(-shape[IN] // BLOCK)
    dense_layer(shape, p, x, x_at, x_line, work, row, rows, ZERO, cut, ZERO, shape[PAD], zeros)
    if cut < blocks:
        dense_layer(shape, p, x, x_at, x_line, work, row, rows, cut, blocks, ZERO, shape[PAD], zeros)
        add_parts(shape, work, row, rows)


@compiled
def affine(shape, p, work, row, rows, zeros):
    """Compute z = x W + b for `rows` rows of the workspace from `row` on."""
    affine_of(shape, p, work, shape[X_AT] + row * shape[X_LINE], shape[X_LINE], work, row, rows, zeros)


@compiled
def first_rows(
    layer, p, work, zeros, floats, x_bytes, x_floats, ids, first, row, rows, starts, indices, codes, values, order
):  # fmt: skip
    """Compute the first layer's z for work rows from `row` on, which are ids[first] and on.

    The sparse rows are used if there are any, else x, bytes and floats.
    """
    if starts.size:
        cut, blocks = -(-layer[CUT] // BLOCK), -(-layer[IN] // BLOCK)
        sparse_layer(
            layer, p, work, row, rows, ids, first, starts, indices, codes, values, ZERO, cut, ZERO, layer[PAD], order,
            floats,
        )  # fmt: skip
        if cut < blocks:
            sparse_layer(
                layer, p, work, row, rows, ids, first, starts, indices, codes, values, cut, blocks, ZERO, layer[PAD],
                order, floats,
            )  # fmt: skip
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
def activate_rows(layer, work, row, rows):
    """Replace a hidden layer's z by its activation, and store its slope for `slope_rows`."""
    if layer[SLOPE_AT] == layer[DZ_AT] and layer[ACTIVATION] == RELU:
        relu_rows(layer, work, row, rows)
        return
    line = layer[LINE]
    lanes = VECTOR_BYTES // work.itemsize
    activate(
        layer[ACTIVATION], work, layer[Z_AT] + row * line, work, layer[SLOPE_AT] + row * line, rows * line // lanes
    )


@compiled
def rest_forward(whole, shape, p, work, row, rows, zeros, seed, first_step, first_row):
    """Go from the first layer's z to the logits of one network, with the dropout masks of `drawn`: see `drop_rows`.

    whole   the first layer of all networks side by side, whose activation is computed here for all; for none, it is
            empty: the activation is there.
    """
    drawn = seed, first_step, first_row
    for number in range(1, len(shape)):
        before = shape[number - 1]
        if number > 1:
            activate_rows(before, work, row, rows)
        elif whole.size:
            activate_rows(whole, work, row, rows)
        if before[DROP]:
            drop_rows(shape, number - 1, work, row, rows, drawn)
        affine(shape[number], p, work, row, rows, zeros)
