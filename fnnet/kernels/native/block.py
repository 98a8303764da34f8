"""A block of training steps: many mini-batches in one compiled call, by a team of threads.

A step has three phases, and the team meets after each. First the first layer: each thread multiplies all rows of the
batch with a part of W that is its own. Then rows: each unit takes some of them through the rest of the network and
back, with the weights as they are. Then weights: the gradient of each is summed over all rows, in the order of the
rows, and moves it; of the first W each thread sums and moves its own part again, which so stays in its cache. Where it
is wide and rows are sparse, the first phase also lists the rows of each input, so that sums stay in registers.

A batch cut into shards has a gradient for each, which are summed in a tree before they move the weights: see
`core.shards` and `native.tree`. A batch larger than a chunk goes through all phases chunk by chunk, and W stays as it
is until the last. Where W is narrow every thread then has all of it in its cache, and takes its rows through the first
layer too: the first phase is left out. No sum depends on who computed it, or on where chunks end.
"""

from __future__ import annotations

from typing import Final

from fnnet.kernels.layout import BLOCK, CLIP, CUT, ENDED, FAILED, IN, PAD, PANEL, SLEPT, TICKET, X_AT, X_LINE
from fnnet.kernels.native import compiled
from fnnet.kernels.native.gradient import (
    dense_region,
    list_inputs,
    listed_region,
    sparse_region,
    weight_unit,
    weight_units,
)
from fnnet.kernels.native.network import dense_layer, gather_rows
from fnnet.kernels.native.pieces import move_gathered, second_phase, sparse_layer
from fnnet.kernels.native.products import VECTOR_BYTES, ZERO
from fnnet.kernels.native.team import fetch_add, load, meet, piece
from fnnet.kernels.native.tree import depth_behind, is_whole

UNIT_ROWS: Final = 256
"""Most rows in a unit of the second phase."""


@compiled
def regions(layer, threads, itemsize):
    """Return the number of parts of inputs and of groups of columns that the first W is cut into.

    Their product is the number of threads, if the layer is wide enough: each thread passes over its own region in both
    directions, so that its part of W stays in its cache.
    """
    parts = 2 if layer[CUT] < layer[IN] else 1
    return parts, max(1, min(layer[PAD] * itemsize // VECTOR_BYTES, threads // parts))


@compiled
def region(layer, cut, number, parts, groups, itemsize):
    """Return region `number` of `regions`: blocks block to stop of inputs, columns left to right.

    A layer in two parts is cut before the block `cut`.
    """
    lanes = VECTOR_BYTES // itemsize
    vectors = layer[PAD] // lanes
    blocks = -(-layer[IN] // BLOCK)
    group, panel = number // parts, layer[PANEL] // lanes
    left = group * vectors // groups // panel * panel
    right = vectors if group + 1 == groups else (group + 1) * vectors // groups // panel * panel
    if parts == 1:
        return 0, blocks, left * lanes, right * lanes
    if number % 2:
        return cut, blocks, left * lanes, right * lanes
    return 0, cut, left * lanes, right * lanes


@compiled
def first_phase(rank, threads, layer, p, buffers, rows, ids, first, dense, sparse, order):
    """Compute this thread's regions of the first layer's z, for all rows of the chunk."""
    work, zeros, floats = buffers
    cut = -(-layer[CUT] // BLOCK)
    parts, groups = regions(layer, threads, p.itemsize)
    for number in range(rank, parts * groups, threads):
        block, stop, left, right = region(layer, cut, number, parts, groups, p.itemsize)
        if left == right:
            continue
        if dense:
            dense_layer(
                layer, p, work, layer[X_AT], layer[X_LINE], work, ZERO, rows, block, stop, left, right, zeros
            )  # fmt: skip
        else:
            starts, indices, codes, values = sparse
            sparse_layer(
                layer, p, work, ZERO, rows, ids, first, starts, indices, codes, values, block, stop, left, right, order,
                floats,
            )  # fmt: skip


@compiled
def last_phase(
    rank, threads, layer, one, middle, params, buffers, tree, ids, first, dense, sparse, listed, lists, scratch, moves,
    rule, constants, apart,
):  # fmt: skip
    """Sum this thread's regions of the first layer's gradient over the chunk's rows, and move its weights.

    layer, one   the first layers side by side, and that of one network.
    """
    itemsize = params[0].itemsize
    work, zeros, floats = buffers
    parts, groups = regions(layer, threads, itemsize)
    for number in range(rank, parts * groups, threads):
        block, stop, left, right = region(layer, middle, number, parts, groups, itemsize)
        if left == right:
            continue
        if dense:
            dense_region(
                layer, one, block, stop, left, right, params, work, zeros, scratch, tree, moves, rule, constants, apart
            )
        elif listed:
            listed_region(
                layer, one, block, stop, left, right, params, work, scratch, tree, lists, moves, rule, constants, apart
            )
        else:
            sparse_region(
                layer, one, block, stop, left, right, params, work, scratch, tree, ids, first, sparse, floats, moves,
                rule, constants, apart,
            )  # fmt: skip


@compiled
def train_block(
    rank, threads, counters, whole, shape, networks, middle, parameters, first_moment, second_moment, gradient, average,
    norms, work, zeros, scratch_all, order_all, floats_all, numbers, reals, ends, x_bytes, x_floats, starts, indices,
    codes, values, labels, shares, ids, batch, shards, own_shard, own_stop, merges, levels, level, bits, chunk_rows,
    steps, begin, end, sleeps, rule, constants, apart, seed, first_step, totals, shifted, right, done,
):  # fmt: skip
    """Train on batches `begin` to `end` of `steps`: ids[0:batch], ids[batch:2 batch], ..., and again from the start.

    Row i of ids has the share shares[i] in the mean loss of its batch. Batch row r of step s, counted from `first_step`
    on, has the dropout masks of (seed, s, r). The sparse rows are used if there are any, else x_floats, else
    x_bytes / 255. A narrow W is cut before the block `middle` where its gradient is summed. done[0] is the number of
    batches before the next; one with a loss that is not finite is not made, and ends the block. It also ends after the
    step in which the team's threads fell asleep `sleeps` times in all: they then wait for one that does not run.

    Where this process has only the shards from `own_shard` to `own_stop` of each batch, it leaves the sums that the
    tree has of them side by side, and moves no weights.

    whole, shape   the first layers of all networks side by side, and the layers of each: see `Layout`.
    numbers, reals, ends   the lists of each input's rows: see `list_inputs`; empty where none are made.
    merges, level          see `native.tree`; elements of `scratch` for sums of one depth.
    bits                   of the sums of shards: see `core.shards.rounded`.
    levels                 the most sums of shards that wait at once, and for which there is a gradient.
    apart          how far the constants of two networks lie from one another, 0 if they share them.
    """
    size = piece(scratch_all, threads)
    scratch = scratch_all[rank * size : (rank + 1) * size]
    size = piece(order_all, threads)
    order = order_all[rank * size : (rank + 1) * size]
    size = piece(floats_all, threads)
    floats = floats_all[rank * size : (rank + 1) * size]
    lists = numbers, reals, ends
    sparse, buffers = (starts, indices, codes, values), (work, zeros, floats)
    each = gradient.size // levels
    dense = starts.size == 0
    listed = ends.size > 0 and not dense
    blocks = -(-whole[IN] // BLOCK)
    weights = weight_units(shape, networks, parameters.itemsize)
    columns = (apart or constants.size) // steps
    params = (parameters, first_moment, second_moment, gradient, average)
    phase = base = chunk = depth = 0
    shard, alone = own_shard, own_stop - own_shard == shards
    step = begin
    while step < end:
        first = step * batch % ids.size
        count = min(batch, ids.size - first)
        current = constants[step * columns :]
        if chunk == 0:
            chunk, shard, depth = count * own_shard // shards, own_shard, 0
            if chunk == count * own_stop // shards:
                step += 1  # its shards have no rows
                chunk = 0
                done[0] = step
                continue
        # Whole shards, as many as a chunk has rows for, or a part of one.
        stop_shard = shard + 1
        if count * shard // shards == chunk:
            while stop_shard < own_stop and count * (stop_shard + 1) // shards - chunk <= chunk_rows:
                stop_shard += 1
        at, rows = first + chunk, min(chunk_rows, count * stop_shard // shards - chunk)
        last, clips = chunk + rows == count * own_stop // shards, current[CLIP] > 0
        # Clipping and other processes need the whole gradient before it moves anything.
        moves = last and alone and not clips
        tree = (
            merges,
            own_shard,
            shard,
            stop_shard,
            shards,
            count,
            chunk,
            rows,
            depth,
            each,
            level,
            levels * level,
            bits,
        )
        by_rows = count > chunk_rows and whole[CUT] < whole[IN]
        if not by_rows:
            if dense:
                row, below = rows * rank // threads, rows * (rank + 1) // threads
                gather_rows(whole, x_bytes, x_floats, ids, at + row, below - row, work, row)
                phase += 1
                meet(counters, threads, phase)
            first_phase(rank, threads, whole, parameters, buffers, rows, ids, at, dense, sparse, order)
            if listed:
                block, stop = blocks * rank // threads, blocks * (rank + 1) // threads
                list_inputs(tree, ids, at, sparse, blocks, block, stop, lists, floats)
            phase += 1
            meet(counters, threads, phase)
        out = step * batch + chunk
        unit_rows = min(UNIT_ROWS, -(-rows // threads))
        second_phase(
            unit_rows, counters, base, whole, shape, networks, parameters, work, zeros, floats, x_bytes, x_floats, rows,
            ids, at, by_rows, starts, indices, codes, values, order, labels, shares, current, apart, seed,
            first_step + step, chunk, totals, shifted, right, out,
        )  # fmt: skip
        base += -(-rows // unit_rows) + threads
        phase += 1
        meet(counters, threads, phase)
        if load(counters, FAILED):
            return
        last_phase(
            rank, threads, whole, shape[0], middle, params, buffers, tree, ids, at, dense, sparse,
            listed and not by_rows, lists, scratch, moves, rule, current, apart,
        )  # fmt: skip
        unit = fetch_add(counters, TICKET, 1) - base
        while unit < weights:
            weight_unit(unit, whole, shape, networks, params, work, zeros, scratch, tree, moves, rule, current, apart)
            unit = fetch_add(counters, TICKET, 1) - base
        base += weights + threads
        if rank == 0 and load(counters, SLEPT) >= sleeps:
            fetch_add(counters, ENDED, 1)
        phase += 1
        meet(counters, threads, phase)
        if last and alone and clips:
            move_gathered(
                rank, threads, counters, phase, whole, shape, networks, parameters, first_moment, second_moment,
                gradient, average, norms, rule, current, apart,
            )  # fmt: skip
            phase += 2
        depth = depth_behind(tree)
        shard = stop_shard if is_whole(tree, stop_shard - 1) else shard
        chunk, step = (0, step + 1) if last else (chunk + rows, step)
        done[0] = step
        # Written before the step's last barriers: all see the same.
        if last and load(counters, ENDED):
            return
