"""Steps whose gradient is summed as a whole first: over shards, and to be scaled to the largest norm it may have.

The gradient lies in g as the weights lie in p. Each column's squares are summed over its rows in their order, and then
the columns in theirs: the same bits however the columns are shared out.
"""

from __future__ import annotations

import numpy as np

from fnnet.kernels.layout import B_AT, CLIP, IN, PAD, PANEL, PANEL_VECTORS, W_AT
from fnnet.kernels.native import compiled
from fnnet.kernels.native.gradient import place_of, turn
from fnnet.kernels.native.move import move
from fnnet.kernels.native.products import VECTOR_BYTES
from fnnet.kernels.native.vector import square_root


@compiled
def square_columns(rank, threads, shape, g, norms):
    """Store in norms[c] the sum of the squares of the gradients of column c of W and b, for this thread's panels."""
    base = 0
    for number in range(len(shape)):
        layer = shape[number]
        panels = -(-layer[PAD] // layer[PANEL])
        for n in range(rank, panels, threads):
            start = n * layer[PANEL]
            width = min(layer[PANEL], layer[PAD] - start)
            sums = norms[base + start : base + start + width]
            bias = g[layer[B_AT] + start : layer[B_AT] + start + width]
            for j in range(width):
                sums[j] = np.float64(bias[j]) * np.float64(bias[j])
            at = layer[W_AT] + start * layer[IN]
            for k in range(layer[IN]):
                row = g[at + k * width : at + (k + 1) * width]
                for j in range(width):
                    sums[j] += np.float64(row[j]) * np.float64(row[j])
        base += layer[PAD]


@compiled
def scale_of(norms, constants):
    """Return the factor of the gradient: 1 where its norm is at most constants[CLIP]."""
    total = np.float64(0)
    for j in range(norms.size):
        total += norms[j]
    norm, most = square_root(total), np.float64(constants[CLIP])
    return constants.dtype.type(most / norm if norm > most else np.float64(1))


@compiled
def add_shards(rank, threads, gradient, shards, rows):
    """Sum the gradients of the shards of `rows` rows into the first, this thread's part of each: see `core.shards`.

    Those of shards without rows are 0.
    """
    each = gradient.size // shards
    begin, end = each * rank // threads, each * (rank + 1) // threads
    for shard in range(shards):
        if rows * shard // shards == rows * (shard + 1) // shards:
            gradient[shard * each + begin : shard * each + end] = 0
    apart = 1
    while apart < shards:
        for shard in range(0, shards - apart, 2 * apart):
            left = gradient[shard * each + begin : shard * each + end]
            right = gradient[(shard + apart) * each + begin : (shard + apart) * each + end]
            for i in range(end - begin):
                left[i] += right[i]
        apart *= 2


@compiled
def move_first(rank, threads, layer, params, rule, constants, scale):
    """Move this thread's part of the first W."""
    lines = layer[IN] * layer[PAD] * params[0].itemsize // VECTOR_BYTES
    lanes = VECTOR_BYTES // params[0].itemsize
    begin, end = lines * rank // threads * lanes, lines * (rank + 1) // threads * lanes
    at = layer[W_AT] + begin
    move(rule, params, at, params[3][at : at + end - begin], end - begin, constants, scale)


@compiled
def move_unit(unit, shape, params, rule, constants, scale):
    """Move the weights of one unit of `weight_units`."""
    g = params[3]
    number, left, right, k, high = place_of(unit, shape, g.itemsize)
    layer = shape[number]
    if left == right:
        at, count = layer[B_AT], layer[PAD]
        move(rule, params, at, g[at : at + count], count, constants, scale)
    step = PANEL_VECTORS * VECTOR_BYTES // g.itemsize
    while left < right:
        width = min(step, layer[PAD] - left)
        at = layer[W_AT] + left * layer[IN] + k * width
        move(rule, params, at, g[at : at + high * width], high * width, constants, scale)
        turn(layer, params[0], at, left, k, width, high)
        left += width
