"""The gradient of some weights at a time, summed over a batch's rows in their order, and the update that moves them."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.layout import (
    B_AT,
    BLOCK,
    DZ_AT,
    FIRST_PANEL,
    IN,
    LINE,
    OUT,
    PAD,
    PANEL,
    PANEL_VECTORS,
    STRIDE,
    SUMS_BYTES,
    UNIT_INPUTS,
    W_AT,
    WT_AT,
    X_AT,
    X_LINE,
)
from fnnet.kernels.native import compiled
from fnnet.kernels.native.move import move
from fnnet.kernels.native.pieces import product
from fnnet.kernels.native.products import ONE, VECTOR_BYTES, ZERO, sparse_dot, sparse_outer
from fnnet.kernels.native.sparse import AHEAD, expand, fetch_part, part, widest
from fnnet.kernels.native.tree import (
    DEPTH,
    LEVEL,
    REST,
    ROWS,
    SHARD,
    STOP,
    begin_shard,
    begins_before,
    end_shard,
    keep_sums,
    rows_of,
)
from fnnet.kernels.native.vector import transpose

FAR: Final = 1024
"""Bytes from row to row of an activation above which its strips are packed."""
UNIT_PANELS: Final = 8
"""Panels of columns in a unit of a dense W, whose rows are UNIT_INPUTS."""


@compiled
def move_sums(params, at, line, sums, width, rows, rule, constants):
    """Move the weights by their gradient: rows of `width` sums one after another, of weights from `line` apart."""
    one = params[0].dtype.type(1)
    if line == width:
        line = width = rows * width
        rows = 1
    for r in range(rows):
        move(rule, params, at + r * line, sums[r * width : (r + 1) * width], width, constants, one)


@compiled
def move_first(layer, left, params, at, line, sums, width, rows, rule, constants, apart):
    """As `move_sums`, for columns from `left` on of first layers side by side, whose constants lie `apart`, if not 0.

    layer   the first layer of one network.
    """
    stride, columns, networks = layer[STRIDE], 0, 1 + (constants.size - 1) // apart if apart else 1
    while columns < width:
        network = (left + columns) // stride if apart else 0
        some = min(width, (network + 1) * stride - left) - columns if apart else width
        network = min(network, networks - 1)  # behind the last there is padding
        if some == width:
            move_sums(params, at, line, sums, width, rows, rule, constants[network * apart :])
        else:
            for r in range(rows):
                place = sums[r * width + columns : r * width + columns + some]
                move_sums(params, at + r * line + columns, some, place, some, ONE, rule, constants[network * apart :])
        columns += some


@compiled
def bias_unit(layer, one, params, work, zeros, scratch, tree, moves, rule, constants, apart):
    """Sum a layer's dz over the rows, and move its b: of first layers side by side where `one` is that of a network."""
    pad, g, at = layer[PAD], params[3], layer[B_AT]
    depth = low = tree[DEPTH]
    for shard in range(tree[SHARD], tree[STOP]):
        begin, end = rows_of(tree, shard)
        begin_shard(tree, shard, depth, g, at, pad, scratch, pad, ONE)
        sums = depth * tree[LEVEL]
        if begin < end:
            # The product of a row of ones with dz.
            product(
                ONE, pad, end - begin, zeros, zeros.size - 1, ZERO, ZERO, work,
                layer[DZ_AT] + begin * layer[LINE], layer[LINE], ZERO, ZERO, scratch, sums, ZERO, scratch, sums, ZERO,
            )  # fmt: skip
        depth, low = end_shard(tree, shard, depth, low, g, at, pad, scratch, pad, ONE)
    if moves:
        move_first(one, ZERO, params, at, pad, scratch, pad, ONE, rule, constants, apart)
    else:
        keep_sums(tree, low, depth, g, at, pad, scratch, pad, ONE)


@compiled
def list_inputs(tree, ids, first, sparse, blocks, block, stop, lists, floats):
    """Store for each input in blocks block to stop the rows where it is not zero, in their order, and its values there.

    Those of input k are numbers[k capacity] and the following, and values likewise; those of the chunk's shard s end
    before ends[s, k].
    lists   (numbers, values, ends).
    """
    starts, indices, codes, reals = sparse
    numbers, values, ends = lists
    expanded = codes.size > 0
    source = floats if expanded else reals
    inputs, rows = blocks * BLOCK, tree[ROWS]
    capacity = numbers.size // inputs
    for shard in range(tree[SHARD], tree[STOP]):
        row, end_row = rows_of(tree, shard)
        line = (shard - tree[SHARD]) * inputs
        own = ends[line : line + inputs]
        for k in range(block * BLOCK, stop * BLOCK):
            own[k] = ends[line - inputs + k] if line else k * capacity
        for r in range(row, end_row):
            if r + AHEAD < rows:
                fetch_part(ids, first + r + AHEAD, starts, blocks, block, stop)
            begin, end = part(ids, first + r, starts, blocks, block, stop)
            from_value = begin
            if expanded:
                from_value = 0
                expand(sparse, begin, end, floats, 0)
            for n in range(end - begin):
                i = np.uint64(indices[begin + n])  # a number with a sign would be checked for being below 0
                place = np.uint64(own[i])
                numbers[place], values[place] = r, source[from_value + n]
                own[i] += 1


@compiled
def sum_inputs(k, count, shard, inputs, lists, d, d_at, width, sums_at):
    """Add to each of `count` rows of sums, for inputs from k on, the values of the chunk's shard times their rows of d.

    d   has rows of `width` elements, one after another, from d_at on, and the sums from sums_at on.
    """
    numbers, values, ends = lists
    capacity, lanes = numbers.size // inputs, VECTOR_BYTES // d.itemsize
    for i in range(count):
        at, j = ends[(shard - 1) * inputs + k + i] if shard else (k + i) * capacity, 0
        values_left = ends[shard * inputs + k + i] - at
        while j < width:
            _, _, vectors = widest(j, width, width, width, lanes)
            sparse_dot(values, at, numbers, at, values_left, d, d_at + j, width, d, sums_at + i * width + j, vectors)
            j += vectors * lanes


@compiled
def listed_region(
    layer, one, block, stop, left, right, params, work, scratch, tree, lists, moves, rule, constants, apart
):
    """As `sparse_region`, from the lists of `list_inputs`: the sums of an input stay in registers while the rows pass.

    Row by row each multiply-add stores what it added: 784-800-10 took 1.25 of the time.
    """
    lanes, g = VECTOR_BYTES // work.itemsize, params[3]
    packed, inputs = tree[REST], -(-layer[IN] // BLOCK) * BLOCK
    while left < right:
        start = left // layer[PANEL] * layer[PANEL]
        panel = min(layer[PANEL], layer[PAD] - start)
        width = min(start + panel - left, right - left, FIRST_PANEL * lanes)
        pack(work, layer[DZ_AT] + left, layer[LINE], tree[ROWS], width, scratch, packed)
        for k in range(block * BLOCK, min(stop * BLOCK, layer[IN]), BLOCK):
            count_k = min(k + BLOCK, layer[IN]) - k
            at = layer[W_AT] + start * layer[IN] + k * panel + left - start
            depth = low = tree[DEPTH]
            for shard in range(tree[SHARD], tree[STOP]):
                begin_shard(tree, shard, depth, g, at, panel, scratch, width, count_k)
                sums = depth * tree[LEVEL]
                sum_inputs(k, count_k, shard - tree[SHARD], inputs, lists, scratch, packed, width, sums)
                depth, low = end_shard(tree, shard, depth, low, g, at, panel, scratch, width, count_k)
            if moves:
                move_first(one, left, params, at, panel, scratch, width, count_k, rule, constants, apart)
            else:
                keep_sums(tree, low, depth, g, at, panel, scratch, width, count_k)
        left += width


@compiled
def add_rows(tree, shard, ids, first, sparse, blocks, block, stop, layer, left, work, floats, sums, width):
    """Add to the sums of a shard x^T dz over its rows, for inputs in blocks block to stop and columns from left on."""
    starts, indices, codes, values = sparse
    expanded = codes.size > 0
    reals = floats if expanded else values
    lanes, rows = VECTOR_BYTES // work.itemsize, tree[ROWS]
    row, end_row = rows_of(tree, shard)
    for r in range(row, end_row):
        if r + AHEAD < rows:
            fetch_part(ids, first + r + AHEAD, starts, blocks, block, stop)
        begin, end = part(ids, first + r, starts, blocks, block, stop)
        d_at, from_value = layer[DZ_AT] + r * layer[LINE] + left, begin
        if expanded:
            from_value = 0
            expand(sparse, begin, end, floats, 0)
        sparse_outer(
            reals, from_value, indices, begin, end - begin, work, d_at,
            sums, -block * BLOCK * width, width, width // lanes,
        )  # fmt: skip


@compiled
def sparse_region(
    layer, one, block, stop, left, right, params, work, scratch, tree, ids, first, sparse, floats, moves, rule,
    constants, apart,
):  # fmt: skip
    """Sum x^T dz over the rows for a region of the first W, from the nonzero inputs, and move it.

    layer, one   the first layers side by side, and that of one network.
    """
    itemsize, g = work.itemsize, params[3]
    lanes = VECTOR_BYTES // itemsize
    blocks = -(-layer[IN] // BLOCK)
    while left < right:
        start = left // layer[PANEL] * layer[PANEL]
        panel = min(layer[PANEL], layer[PAD] - start)
        width = min(start + panel - left, right - left, FIRST_PANEL * lanes)
        span = max(1, SUMS_BYTES // (width * itemsize * BLOCK))
        for from_block in range(block, stop, span):
            to_block = min(from_block + span, stop)
            k = from_block * BLOCK
            count_k = min(to_block * BLOCK, layer[IN]) - k
            at = layer[W_AT] + start * layer[IN] + k * panel + left - start
            depth = low = tree[DEPTH]
            for shard in range(tree[SHARD], tree[STOP]):
                begin_shard(tree, shard, depth, g, at, panel, scratch, width, count_k)
                sums = scratch[depth * tree[LEVEL] :]
                add_rows(
                    tree,
                    shard,
                    ids,
                    first,
                    sparse,
                    blocks,
                    from_block,
                    to_block,
                    layer,
                    left,
                    work,
                    floats,
                    sums,
                    width,
                )
                depth, low = end_shard(tree, shard, depth, low, g, at, panel, scratch, width, count_k)
            if moves:
                move_first(one, left, params, at, panel, scratch, width, count_k, rule, constants, apart)
            else:
                keep_sums(tree, low, depth, g, at, panel, scratch, width, count_k)
        left += width


@compiled
def pack(source, at, line, rows, width, out, out_at):
    """Copy rows of `width` elements from `line` apart to one after another."""
    for r in range(rows):
        row = source[at + r * line : at + r * line + width]
        place = out[out_at + r * width : out_at + (r + 1) * width]
        for j in range(width):
            place[j] = row[j]


@compiled
def turn(layer, p, at, left, k, width, count_k):
    """Copy a unit's weights to their places in W transposed."""
    lanes = VECTOR_BYTES // p.itemsize
    wide = -(-layer[IN] // lanes) * lanes
    step = PANEL_VECTORS * lanes
    for i in range(k, k + count_k, lanes):
        panel = i // step * step
        breadth = min(step, wide - panel)
        for j in range(left, left + width, lanes):
            place = layer[WT_AT] + panel * layer[OUT] + j * breadth + i - panel
            if i + lanes <= k + count_k and j + lanes <= layer[OUT]:
                transpose(p, at + (i - k) * width + j - left, width, p, place, breadth)
            else:
                for r in range(min(lanes, k + count_k - i)):
                    for c in range(min(lanes, layer[OUT] - j)):
                        p[place + c * breadth + r] = p[at + (i - k + r) * width + j - left + c]


@compiled
def dense_unit(layer, one, k, count_k, left, right, params, work, zeros, scratch, tree, moves, rule, constants, apart):
    """Sum a^T dz over the rows for rows k to k + count_k and columns left to right of W, and move them.

    one   for first layers side by side, the row of one network; else empty.

    The strips of a and dz are packed first where their rows are FAR apart: each was on a page of its own, and reading
    them so took twice as long at 1024 units.
    """
    step, rows, g = PANEL_VECTORS * VECTOR_BYTES // work.itemsize, tree[ROWS], params[3]
    strip = tree[REST]
    columns = strip + rows * UNIT_INPUTS
    a, a_at, a_line = work, layer[X_AT] + k, layer[X_LINE]
    if a_line * work.itemsize > FAR:
        pack(work, a_at, a_line, rows, count_k, scratch, strip)
        a, a_at, a_line = scratch, strip, count_k
    while left < right:
        start = left // layer[PANEL] * layer[PANEL]
        panel = min(layer[PANEL], layer[PAD] - start)
        width = min(step, start + panel - left)
        d, d_at, d_line = work, layer[DZ_AT] + left, layer[LINE]
        if d_line * work.itemsize > FAR:
            pack(work, d_at, d_line, rows, width, scratch, columns)
            d, d_at, d_line = scratch, columns, width
        at = layer[W_AT] + start * layer[IN] + k * panel + left - start
        depth = low = tree[DEPTH]
        for shard in range(tree[SHARD], tree[STOP]):
            begin, end = rows_of(tree, shard)
            sums = depth * tree[LEVEL]
            before, before_at, line = zeros, ZERO, ZERO
            if begin == end or begins_before(tree, shard):
                begin_shard(tree, shard, depth, g, at, panel, scratch, width, count_k)
                before, before_at, line = scratch, sums, width
            if begin < end:  # a product of no rows would not be stored
                product(
                    count_k, width, end - begin, a, a_at + begin * a_line, ONE, a_line,
                    d, d_at + begin * d_line, d_line, ZERO, ZERO, before, before_at, line, scratch, sums, width,
                )  # fmt: skip
            depth, low = end_shard(tree, shard, depth, low, g, at, panel, scratch, width, count_k)
        if not moves:
            keep_sums(tree, low, depth, g, at, panel, scratch, width, count_k)
        elif one.size:
            move_first(one, left, params, at, panel, scratch, width, count_k, rule, constants, apart)
        else:
            move_sums(params, at, panel, scratch, width, count_k, rule, constants)
            turn(layer, params[0], at, left, k, width, count_k)
        left += width


@compiled
def dense_region(
    layer, one, block, stop, left, right, params, work, zeros, scratch, tree, moves, rule, constants, apart
):
    """Sum x^T dz over the rows for a region of the first W, and move it: arguments as `sparse_region`."""
    end = min(stop * BLOCK, layer[IN])
    for k in range(block * BLOCK, end, UNIT_INPUTS):
        high = min(UNIT_INPUTS, end - k)
        dense_unit(layer, one, k, high, left, right, params, work, zeros, scratch, tree, moves, rule, constants, apart)


@compiled
def weight_units(shape, networks, itemsize):
    """Return the number of units of the last phase: one for each bias, and those of the weights of later layers."""
    units, layers = len(shape), len(shape) // networks
    wide = UNIT_PANELS * PANEL_VECTORS * VECTOR_BYTES // itemsize
    for number in range(len(shape)):
        if number % layers:
            units += -(-shape[number][PAD] // wide) * -(-shape[number][IN] // UNIT_INPUTS)
    return units


@compiled
def place_of(unit, shape, networks, itemsize):
    """Return the row in `shape` of a unit of `weight_units`, its columns left to right, and rows k to k + high of W.

    The last `len(shape)` units are the biases of the layers; they have no columns.
    """
    layers = len(shape) // networks
    wide = UNIT_PANELS * PANEL_VECTORS * VECTOR_BYTES // itemsize
    for number in range(len(shape)):
        if number % layers == 0:
            continue
        layer = shape[number]
        down = -(-layer[IN] // UNIT_INPUTS)
        units = down * -(-layer[PAD] // wide)
        if unit < units:
            left, k = unit // down * wide, unit % down * UNIT_INPUTS
            return number, left, min(left + wide, layer[PAD]), k, min(UNIT_INPUTS, layer[IN] - k)
        unit -= units
    return unit, ZERO, ZERO, ZERO, ZERO


@compiled
def weight_unit(unit, whole, shape, networks, params, work, zeros, scratch, tree, moves, rule, constants, apart):
    """Sum the gradient of one unit over the rows of this chunk, and move it after the last.

    The biases of all first layers are those of the first network.
    """
    number, left, right, k, high = place_of(unit, shape, networks, work.itemsize)
    layer, own = shape[number], constants[number * networks // len(shape) * apart :]
    if left < right:
        dense_unit(layer, layer[:0], k, high, left, right, params, work, zeros, scratch, tree, moves, rule, own, ZERO)
    elif number == 0:
        bias_unit(whole, layer, params, work, zeros, scratch, tree, moves, rule, constants, apart)
    elif number * networks % len(shape):
        bias_unit(layer, layer, params, work, zeros, scratch, tree, moves, rule, own, ZERO)
