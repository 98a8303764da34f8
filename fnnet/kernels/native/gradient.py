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
from fnnet.kernels.native.vector import transpose

FAR: Final = 1024
"""Bytes from row to row of an activation above which its strips are packed."""
UNIT_PANELS: Final = 8
"""Panels of columns in a unit of a dense W, whose rows are UNIT_INPUTS."""


@compiled
def load_sums(g, at, line, sums, width, rows, chunk):
    """Load the sums of the chunks before: rows of `width` elements, from `line` apart to one after another."""
    if line == width:
        line = width = rows * width
        rows = 1
    if chunk == 0:
        place = sums[: rows * width]
        for i in range(rows * width):
            place[i] = 0
        return
    for r in range(rows):
        place = sums[r * width : (r + 1) * width]
        before = g[at + r * line : at + r * line + width]
        for j in range(width):
            place[j] = before[j]


@compiled
def use_sums(params, at, line, sums, width, rows, last, rule, constants):
    """Move the weights after the last chunk of a batch, else keep the sums."""
    g = params[3]
    one = g.dtype.type(1)
    if line == width:
        line = width = rows * width
        rows = 1
    for r in range(rows):
        some = sums[r * width : (r + 1) * width]
        if last:
            move(rule, params, at + r * line, some, width, constants, one)
        else:
            kept = g[at + r * line : at + r * line + width]
            for j in range(width):
                kept[j] = some[j]


@compiled
def use_first(layer, left, params, at, line, sums, width, rows, last, rule, constants, apart):
    """As `use_sums`, for columns from `left` on of first layers side by side, whose constants lie `apart`, if not 0.

    layer   the first layer of one network.
    """
    stride, columns, networks = layer[STRIDE], 0, 1 + (constants.size - 1) // apart if apart else 1
    while columns < width:
        network = (left + columns) // stride if apart else 0
        some = min(width, (network + 1) * stride - left) - columns if apart else width
        network = min(network, networks - 1)  # behind the last there is padding
        if some == width:
            use_sums(params, at, line, sums, width, rows, last, rule, constants[network * apart :])
        else:
            for r in range(rows):
                place = sums[r * width + columns : r * width + columns + some]
                use_sums(
                    params, at + r * line + columns, some, place, some, ONE, last, rule, constants[network * apart :]
                )
        columns += some


@compiled
def bias_unit(layer, one, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart):
    """Sum a layer's dz over the rows, and move its b: of first layers side by side where `one` is that of a network."""
    pad = layer[PAD]
    sums = scratch[:pad]
    load_sums(params[3], layer[B_AT], pad, sums, pad, 1, chunk)
    # The product of a row of ones with dz.
    product(
        ONE, pad, rows, zeros, zeros.size - 1, ZERO, ZERO,
        work, layer[DZ_AT], layer[LINE], ZERO, ZERO, sums, ZERO, ZERO, sums, ZERO, ZERO,
    )  # fmt: skip
    use_first(one, ZERO, params, layer[B_AT], pad, sums, pad, ONE, last, rule, constants, apart)


@compiled
def list_inputs(rows, ids, first, sparse, blocks, block, stop, lists, floats):
    """Store for each input in blocks block to stop the rows where it is not zero, in their order, and its values there.

    Those of input k are numbers[k capacity] to numbers[ends[k]], and values likewise.
    lists   (numbers, values, ends).
    """
    starts, indices, codes, reals = sparse
    numbers, values, ends = lists
    expanded = codes.size > 0
    source = floats if expanded else reals
    capacity = numbers.size // ends.size
    for k in range(block * BLOCK, stop * BLOCK):
        ends[k] = k * capacity
    for r in range(rows):
        if r + AHEAD < rows:
            fetch_part(ids, first + r + AHEAD, starts, blocks, block, stop)
        begin, end = part(ids, first + r, starts, blocks, block, stop)
        from_value = begin
        if expanded:
            from_value = 0
            expand(sparse, begin, end, floats, 0)
        for n in range(end - begin):
            i = np.uint64(indices[begin + n])  # a number with a sign would be checked for being below 0
            place = np.uint64(ends[i])
            numbers[place], values[place] = r, source[from_value + n]
            ends[i] += 1


@compiled
def sum_inputs(k, count, lists, d, d_at, width, sums):
    """Add to each of `count` rows of sums, for inputs from k on, the values in its list times their rows of d.

    d, sums   rows of `width` elements, one after another; those of d from d_at on.
    """
    numbers, values, ends = lists
    capacity, lanes = numbers.size // ends.size, VECTOR_BYTES // d.itemsize
    for i in range(count):
        at, j = (k + i) * capacity, 0
        while j < width:
            _, _, vectors = widest(j, width, width, width, lanes)
            sparse_dot(values, at, numbers, at, ends[k + i] - at, d, d_at + j, width, sums, i * width + j, vectors)
            j += vectors * lanes


@compiled
def listed_region(
    layer, one, block, stop, left, right, params, work, scratch, rows, lists, chunk, last, rule, constants, apart
):
    """As `sparse_region`, from the lists of `list_inputs`: the sums of an input stay in registers while the rows pass.

    Row by row each multiply-add stores what it added: 784-800-10 took 1.25 of the time.
    """
    lanes = VECTOR_BYTES // work.itemsize
    packed = SUMS_BYTES // work.itemsize
    while left < right:
        start = left // layer[PANEL] * layer[PANEL]
        panel = min(layer[PANEL], layer[PAD] - start)
        width = min(start + panel - left, right - left, FIRST_PANEL * lanes)
        pack(work, layer[DZ_AT] + left, layer[LINE], rows, width, scratch, packed)
        for k in range(block * BLOCK, min(stop * BLOCK, layer[IN]), BLOCK):
            count_k = min(k + BLOCK, layer[IN]) - k
            at = layer[W_AT] + start * layer[IN] + k * panel + left - start
            load_sums(params[3], at, panel, scratch, width, count_k, chunk)
            sum_inputs(k, count_k, lists, scratch, packed, width, scratch)
            use_first(one, left, params, at, panel, scratch, width, count_k, last, rule, constants, apart)
        left += width


@compiled
def sparse_region(
    layer, one, block, stop, left, right, params, work, scratch, rows, ids, first, sparse, floats, chunk, last, rule,
    constants, apart,
):  # fmt: skip
    """Sum x^T dz over the rows for a region of the first W, from the nonzero inputs, and move it.

    layer, one   the first layers side by side, and that of one network.
    """
    starts, indices, codes, values = sparse
    expanded = codes.size > 0
    reals = floats if expanded else values
    itemsize = work.itemsize
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
            load_sums(params[3], at, panel, scratch, width, count_k, chunk)
            for r in range(rows):
                if r + AHEAD < rows:
                    fetch_part(ids, first + r + AHEAD, starts, blocks, from_block, to_block)
                begin, end = part(ids, first + r, starts, blocks, from_block, to_block)
                d_at, from_value = layer[DZ_AT] + r * layer[LINE] + left, begin
                if expanded:
                    from_value = 0
                    expand(sparse, begin, end, floats, 0)
                sparse_outer(
                    reals, from_value, indices, begin, end - begin, work, d_at,
                    scratch, -k * width, width, width // lanes,
                )  # fmt: skip
            use_first(one, left, params, at, panel, scratch, width, count_k, last, rule, constants, apart)
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
def dense_unit(
    layer, one, k, count_k, left, right, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart
):
    """Sum a^T dz over the rows for rows k to k + count_k and columns left to right of W, and move them.

    one   for first layers side by side, the row of one network; else empty.

    The strips of a and dz are packed first where their rows are FAR apart: each was on a page of its own, and reading
    them so took twice as long at 1024 units.
    """
    step = PANEL_VECTORS * VECTOR_BYTES // work.itemsize
    strip = UNIT_INPUTS * step
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
        before, line = zeros, ZERO
        if chunk:
            load_sums(params[3], at, panel, scratch, width, count_k, chunk)
            before, line = scratch, width
        product(
            count_k, width, rows, a, a_at, ONE, a_line,
            d, d_at, d_line, ZERO, ZERO, before, ZERO, line, scratch, ZERO, width,
        )  # fmt: skip
        if one.size:
            use_first(one, left, params, at, panel, scratch, width, count_k, last, rule, constants, apart)
        else:
            use_sums(params, at, panel, scratch, width, count_k, last, rule, constants)
            if last:
                turn(layer, params[0], at, left, k, width, count_k)
        left += width


@compiled
def dense_region(
    layer, one, block, stop, left, right, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart
):
    """Sum x^T dz over the rows for a region of the first W, and move it: arguments as `sparse_region`."""
    end = min(stop * BLOCK, layer[IN])
    for k in range(block * BLOCK, end, UNIT_INPUTS):
        high = min(UNIT_INPUTS, end - k)
        dense_unit(
            layer, one, k, high, left, right, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart
        )


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
def weight_unit(unit, whole, shape, networks, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart):
    """Sum the gradient of one unit over the rows of this chunk, and move it after the last.

    The biases of all first layers are those of the first network.
    """
    number, left, right, k, high = place_of(unit, shape, networks, work.itemsize)
    layer, own = shape[number], constants[number * networks // len(shape) * apart :]
    if left < right:
        dense_unit(
            layer, layer[:0], k, high, left, right, params, work, zeros, scratch, rows, chunk, last, rule, own, ZERO
        )
    elif number == 0:
        bias_unit(whole, layer, params, work, zeros, scratch, rows, chunk, last, rule, constants, apart)
    elif number * networks % len(shape):
        bias_unit(layer, layer, params, work, zeros, scratch, rows, chunk, last, rule, own, ZERO)
