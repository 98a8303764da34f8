"""Steps whose gradient is summed as a whole first: over all ranks, or to be scaled to the largest norm it may have.

The gradient lies in g as the weights lie in p. Each column's squares are summed over its rows in their order, and then
the columns in theirs: the same bits however the columns are shared out.
"""

from __future__ import annotations

import numpy as np

from fnnet.kernels.layout import B_AT, CLIP, IN, PAD, PANEL, PANEL_VECTORS, STRIDE, W_AT
from fnnet.kernels.native import compiled
from fnnet.kernels.native.gradient import place_of, turn, weight_units
from fnnet.kernels.native.move import move
from fnnet.kernels.native.products import VECTOR_BYTES
from fnnet.kernels.native.team import meet
from fnnet.kernels.native.vector import square_root


@compiled
def square_columns(rank, threads, whole, shape, networks, g, norms):
    """Store in norms[c] the sum of the squares of the gradients of column c of W and b, for this thread's panels.

    The columns of a network's layers come one after another, then those of the next network.
    """
    base, layers = 0, len(shape) // networks
    each = norms.size // networks
    for number in range(len(shape)):
        layer = shape[number]
        if number and number % layers == 0:
            base += layer[PAD]
            continue
        first = number == 0
        pad = layer[PAD]
        if first:
            layer = whole
        panels = -(-layer[PAD] // layer[PANEL])
        for n in range(rank, panels, threads):
            start = n * layer[PANEL]
            width = min(layer[PANEL], layer[PAD] - start)
            # A panel has columns of one network, or the only panel those of all.
            side = first and networks > 1
            some = shape[0][STRIDE] if side else width
            for j in range(0, networks * some if side else width, some):
                place = j // some * each if side else base + start
                sums = norms[place : place + some]
                bias = g[layer[B_AT] + start + j : layer[B_AT] + start + j + some]
                for c in range(some):
                    sums[c] = np.float64(bias[c]) * np.float64(bias[c])
                at = layer[W_AT] + start * layer[IN] + j
                for k in range(layer[IN]):
                    row = g[at + k * width : at + k * width + some]
                    for c in range(some):
                        sums[c] += np.float64(row[c]) * np.float64(row[c])
        base += pad


@compiled
def scale_of(norms, constants):
    """Return the factor of a network's gradient: 1 where its norm is at most constants[CLIP]."""
    total = np.float64(0)
    for j in range(norms.size):
        total += norms[j]
    norm, most = square_root(total), np.float64(constants[CLIP])
    return constants.dtype.type(most / norm if norm > most else np.float64(1))


@compiled
def move_gathered(
    rank, threads, counters, phase, whole, shape, networks, parameters, first_moment, second_moment, gradient, average,
    norms, rule, constants, apart,
):  # fmt: skip
    """Move the weights by their gradient, clipped where there are norms.

    The team meets after each phase: that of the norms, and the last.
    """
    params = (parameters, first_moment, second_moment, gradient, average)
    if norms.size:
        square_columns(rank, threads, whole, shape, networks, params[3], norms)
        phase += 1
        meet(counters, threads, phase)
    move_whole(rank, threads, whole, shape, networks, params, norms, rule, constants, apart)
    meet(counters, threads, phase + 1)


@compiled
def move_whole(rank, threads, whole, shape, networks, params, norms, rule, constants, apart):
    """Move this thread's part of the weights of all networks, clipped where there are norms."""
    layers, each = len(shape) // networks, norms.size // networks
    units = weight_units(shape, networks, params[0].itemsize)
    for network in range(networks):
        own, scale = constants[network * apart :], params[0].dtype.type(1)
        if each:
            scale = scale_of(norms[network * each : (network + 1) * each], own)
        _move_first(rank, threads, whole, shape[network * layers], params, rule, own, scale)
        for unit in range(rank, units, threads):
            number = place_of(unit, shape, networks, params[0].itemsize)[0]
            if number // layers == network:
                _move_unit(unit, shape, networks, params, rule, own, scale)


@compiled
def _move_first(rank, threads, whole, layer, params, rule, constants, scale):
    """Move this thread's part of the first W of a network."""
    if whole[PAD] != layer[STRIDE]:
        for k in range(layer[IN] * rank // threads, layer[IN] * (rank + 1) // threads):
            at = layer[W_AT] + k * whole[PAD]
            move(rule, params, at, params[3][at : at + layer[STRIDE]], layer[STRIDE], constants, scale)
        return
    lines = layer[IN] * layer[PAD] * params[0].itemsize // VECTOR_BYTES
    lanes = VECTOR_BYTES // params[0].itemsize
    begin, end = lines * rank // threads * lanes, lines * (rank + 1) // threads * lanes
    at = layer[W_AT] + begin
    move(rule, params, at, params[3][at : at + end - begin], end - begin, constants, scale)


@compiled
def _move_unit(unit, shape, networks, params, rule, constants, scale):
    """Move the weights of one unit of `weight_units`."""
    g = params[3]
    number, left, right, k, high = place_of(unit, shape, networks, g.itemsize)
    layer = shape[number]
    if left == right:
        at, count = layer[B_AT], layer[STRIDE]
        move(rule, params, at, g[at : at + count], count, constants, scale)
    step = PANEL_VECTORS * VECTOR_BYTES // g.itemsize
    while left < right:
        width = min(step, layer[PAD] - left)
        at = layer[W_AT] + left * layer[IN] + k * width
        move(rule, params, at, g[at : at + high * width], high * width, constants, scale)
        turn(layer, params[0], at, left, k, width, high)
        left += width
