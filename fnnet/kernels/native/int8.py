"""Scores of int8: the compiled twin of `core.int8.scores`, over `kernels.int8_layout`."""

from __future__ import annotations

from typing import Final

import numpy as np

from fnnet.kernels.int8_layout import COLUMN_AT, GROUP, GROUPS, IN, OUT, PAD, PANEL, W_AT
from fnnet.kernels.layout import TICKET
from fnnet.kernels.machine import machine
from fnnet.kernels.native import compiled
from fnnet.kernels.native.dots import LANES, copy_bytes, encode_row, make_tile
from fnnet.kernels.native.team import fetch_add, piece

WIDE: Final = machine().vector_bytes == 64
ROWS: Final = 6 if WIDE or machine().dot == "vnni" else 4
"""Rows of a tile, which leaves registers for its operands."""
TILE_UNITS: Final = PANEL if WIDE else 2 * LANES
BYTE: Final = np.float32(1) / np.float32(255)
ONE: Final = np.float32(1)

_tile_2, _row_2 = make_tile(ROWS, 2), make_tile(1, 2)

if WIDE:
    _tile_1, _tile_3, _tile_4 = (make_tile(ROWS, vectors) for vectors in (1, 3, 4))
    _row_1, _row_3, _row_4 = (make_tile(1, vectors) for vectors in (1, 3, 4))

    @compiled
    def _tile(several, units, arguments):
        """Compute the tile of `several` rows, or of one, that is `units` wide, at most PANEL."""
        vectors = units // LANES
        if several and vectors == 4:
            _tile_4(*arguments)
        elif several and vectors == 3:
            _tile_3(*arguments)
        elif several and vectors == 2:
            _tile_2(*arguments)
        elif several:
            _tile_1(*arguments)
        elif vectors == 4:
            _row_4(*arguments)
        elif vectors == 3:
            _row_3(*arguments)
        elif vectors == 2:
            _row_2(*arguments)
        else:
            _row_1(*arguments)

else:

    @compiled
    def _tile(several, units, arguments):
        """Compute the tile of `several` rows, or of one, that is two vectors wide."""
        if several:
            _tile_2(*arguments)
        else:
            _row_2(*arguments)


@compiled
def _list_groups(codes, at, line, rows, groups, lists, list_at):
    """List the groups that are not zero in all of `rows` rows, and return their number."""
    found = lists[list_at : list_at + groups]
    for r in range(rows):
        words = codes[at + r * line : at + r * line + groups]
        for k in range(groups):
            found[k] = words[k] | found[k] if r else words[k]
    count = 0
    for k in range(groups):
        some = found[k] != 0
        found[count] = k
        count += some
    return count


@compiled
def _layer(
    layer, rows, code_line, weights, column_sums, scales, biases, codes, lists, counts, row_scales, zeros, z, z_line
):
    """Compute z of a layer from the codes of `rows` rows."""
    groups, pad = layer[GROUPS], layer[PAD]
    tiles = -(-rows // ROWS)
    for t in range(tiles):
        there = min(ROWS, rows - t * ROWS)
        counts[t] = _list_groups(codes, t * ROWS * code_line, code_line, there, groups, lists, t * code_line)
    for left in range(0, pad, PANEL):
        width = min(PANEL, pad - left)
        w_at = layer[W_AT] + left * groups * GROUP
        units = min(TILE_UNITS, width)
        for j in range(0, width, units):
            # All rows at a panel: its weights stay in a cache.
            for t in range(tiles):
                first = t * ROWS
                last = min(ROWS, rows - first) - 1
                arguments = (
                    counts[t], lists, t * code_line, last, codes, first * code_line, code_line, weights,
                    w_at + j * GROUP, width * GROUP, column_sums, scales, biases, layer[COLUMN_AT] + left + j,
                    row_scales, zeros, first, z, first * z_line + left + j, z_line,
                )  # fmt: skip
                _tile(last > 0, units, arguments)


@compiled
def scores_int8(
    rank, threads, counters, shape, weights, column_sums, scales, biases, slope, limit, code_line, z_line, codes_all,
    lists_all, counts_all, row_scales_all, zeros_all, z_all, x_bytes, x_floats, n, unit_rows, logits, best,
):  # fmt: skip
    """Store logits (n, classes) and the class of the highest of each row, the first of equals; -1 where an input is NaN
    or larger than `limit` in magnitude.

    Threads take units of `unit_rows` rows; x is x_floats if there are any, else x_bytes.
    """
    inputs, last = shape[0, IN], shape[len(shape) - 1]
    classes = last[OUT]
    size = piece(codes_all, threads)
    codes, lists = codes_all[rank * size : (rank + 1) * size], lists_all[rank * size : (rank + 1) * size]
    size = piece(counts_all, threads)
    counts = counts_all[rank * size : (rank + 1) * size]
    size = piece(zeros_all, threads)
    row_scales, zeros = row_scales_all[rank * size : (rank + 1) * size], zeros_all[rank * size : (rank + 1) * size]
    size = piece(z_all, threads)
    z = z_all[rank * size : (rank + 1) * size]
    input_vectors, below, most = -(-inputs // LANES), np.float32(slope), np.float32(limit)
    unit = 0
    while True:
        if threads > 1:  # one alone needs no tickets, nor counters that start from 0
            unit = fetch_add(counters, TICKET, 1)
        first = unit * unit_rows
        if first >= n:
            return
        rows = min(unit_rows, n - first)
        for r in range(rows):
            best[first + r] = 0
            if x_floats.size:
                row = x_floats[(first + r) * inputs : (first + r + 1) * inputs]
                place = z[: input_vectors * LANES]
                wrong = np.int32(0)
                for k in range(inputs):
                    place[k] = row[k]
                    wrong |= np.int32(not abs(row[k]) <= most)
                best[first + r] = -wrong
                for k in range(inputs, input_vectors * LANES):
                    place[k] = 0
                encode_row(z, 0, input_vectors, ONE, codes, r * code_line, row_scales, zeros, r)
            else:
                copy_bytes(x_bytes, (first + r) * inputs, inputs, codes, r * code_line, shape[0, GROUPS])
                row_scales[r], zeros[r] = BYTE, 0
        for number in range(len(shape)):
            if number:
                vectors = shape[number - 1, PAD] // LANES
                for r in range(rows):
                    encode_row(z, r * z_line, vectors, below, codes, r * code_line, row_scales, zeros, r)
            _layer(
                shape[number], rows, code_line, weights, column_sums, scales, biases, codes, lists, counts, row_scales,
                zeros, z, z_line,
            )  # fmt: skip
        for r in range(rows):
            found = z[r * z_line : r * z_line + classes]
            place = logits[(first + r) * classes : (first + r + 1) * classes]
            top = 0
            for j in range(classes):
                place[j] = found[j]
                if found[j] > found[top]:
                    top = j
            if best[first + r] == 0:
                best[first + r] = top
        unit += 1
