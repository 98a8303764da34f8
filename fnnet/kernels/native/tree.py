"""The sum of a piece of the gradient over the shards of a batch, by the tree of `core.shards`, in a thread's cache.

The sums of a shard are added to those before it as soon as the tree has both. What waits for its neighbour lies deeper:
the sums that wait are few, and form a stack. Those of a piece lie in the thread's scratch memory while it goes through
the shards of a chunk, from one chunk to the next in the gradients that are kept, the deepest behind the others. A batch
that is not cut has one shard, whose sums move the weights from where they were added up.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.native import compiled

FIELDS: Final = 13
MERGES, OWN, SHARD, STOP, SHARDS, COUNT, CHUNK, ROWS, DEPTH, EACH, LEVEL, REST, BITS = range(FIELDS)
"""The places in the tuple `tree`, which says of which shards a chunk has rows.

MERGES        how many sums each of this process's shards is added to: see `core.shards.merges`.
OWN           the first shard of this process.
SHARD, STOP   the shards of the chunk's rows; the last may go on in the next chunk, the first begin in the one before.
SHARDS        of the batch.
COUNT         rows of the batch.
CHUNK, ROWS   the first row of the chunk in the batch, and how many it has.
DEPTH         sums that wait before this chunk.
EACH          elements from one kept gradient to the next.
LEVEL, REST   elements of `scratch` from the sums of one depth to those of the next, and where those of all end.
BITS          of the sums: see `core.shards.rounded`.
"""

HALF: Final = 16


@compiled
def is_whole(tree, shard):
    """Return True if no row of a shard lies behind the chunk."""
    return tree[COUNT] * (shard + 1) // tree[SHARDS] <= tree[CHUNK] + tree[ROWS]


@compiled
def depth_behind(tree):
    """Return how many sums wait behind the shards of a chunk that are whole."""
    depth = tree[DEPTH]
    for shard in range(tree[SHARD], tree[STOP]):
        if is_whole(tree, shard):
            depth += 1 - tree[MERGES][shard - tree[OWN]]
    return depth


@compiled
def rows_of(tree, shard):
    """Return where a shard begins and ends among the rows of the chunk."""
    begin, end = tree[COUNT] * shard // tree[SHARDS], tree[COUNT] * (shard + 1) // tree[SHARDS]
    return max(begin - tree[CHUNK], 0), min(end - tree[CHUNK], tree[ROWS])


@compiled
def begins_before(tree, shard):
    """Return True if a shard has rows before the chunk."""
    return tree[COUNT] * shard // tree[SHARDS] < tree[CHUNK]


@compiled
def load_sums(g, at, line, sums, width, rows):
    """Load sums that are kept: rows of `width` elements, from `line` apart to one after another."""
    if line == width:
        line = width = rows * width
        rows = 1
    for r in range(rows):
        place = sums[r * width : (r + 1) * width]
        before = g[at + r * line : at + r * line + width]
        for j in range(width):
            place[j] = before[j]


@compiled
def begin_shard(tree, shard, depth, g, at, line, scratch, width, rows):
    """Start the sums of a shard: from 0, or where a chunk before left them."""
    sums = scratch[depth * tree[LEVEL] :]
    if begins_before(tree, shard):
        load_sums(g, at + depth * tree[EACH], line, sums, width, rows)
        return
    for i in range(rows * width):
        sums[i] = 0


@compiled
def round_sums(sums, count):
    """Round sums, float32, to bfloat16: see `core.shards.rounded`."""
    words = sums.view(np.uint32)
    for i in range(count):
        word = words[i]
        upper = (word + (np.uint32(0x7FFF) + (word >> np.uint32(16) & np.uint32(1)))) & np.uint32(0xFFFF0000)
        words[i] = word if sums[i] != sums[i] else upper


@compiled
def end_shard(tree, shard, depth, low, g, at, line, scratch, width, rows):
    """Add the sums of a shard to those before it as far as the tree goes; return where the next lie, and `low`.

    low   the first that lie in `scratch` and no longer among those kept.
    """
    if not is_whole(tree, shard):
        return depth + 1, low  # the next chunk goes on with it
    if tree[BITS] == HALF:
        round_sums(scratch[depth * tree[LEVEL] :], rows * width)
    for _ in range(tree[MERGES][shard - tree[OWN]]):
        left, right = scratch[(depth - 1) * tree[LEVEL] :], scratch[depth * tree[LEVEL] :]
        depth -= 1
        if depth < low:
            load_sums(g, at + depth * tree[EACH], line, left, width, rows)
            low = depth
        for i in range(rows * width):
            left[i] += right[i]
        if tree[BITS] == HALF:
            round_sums(left, rows * width)
    return depth + 1, low


@compiled
def keep_sums(tree, low, depth, g, at, line, scratch, width, rows):
    """Keep the sums that wait, from `low` on."""
    each, level = tree[EACH], tree[LEVEL]
    for number in range(low, depth):
        for r in range(rows):
            kept = g[at + number * each + r * line : at + number * each + r * line + width]
            sums = scratch[number * level + r * width : number * level + (r + 1) * width]
            for j in range(width):
                kept[j] = sums[j]
