"""A network's rows backward: from the first layer's z through the network to the loss, and back to the first dz."""

from __future__ import annotations

import numpy as np

from fnnet.kernels.layout import DZ_AT, FAILED, LINE, OUT, PAD, PANEL_VECTORS, SLOPE_AT, SMOOTH, TICKET, WT_AT, Z_AT
from fnnet.kernels.native import compiled
from fnnet.kernels.native.network import add_parts
from fnnet.kernels.native.pieces import first_rows, product, rest_forward
from fnnet.kernels.native.products import ONE, VECTOR_BYTES, ZERO
from fnnet.kernels.native.team import fetch_add
from fnnet.kernels.native.vector import softmax_columns, transpose


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
    """Go from one network's dlogits to the first layer's da, with the weights before they move."""
    lanes = VECTOR_BYTES // p.itemsize
    for number in range(len(shape) - 1, 0, -1):
        layer, before = shape[number], shape[number - 1]
        product(
            rows, before[PAD], layer[OUT], work, layer[DZ_AT] + row * layer[LINE], layer[LINE], ONE, p, layer[WT_AT],
            ZERO, PANEL_VECTORS * lanes, layer[OUT], zeros, ZERO, ZERO, work, before[DZ_AT] + row * before[LINE],
            before[LINE],
        )  # fmt: skip
        if number > 1:
            slope_rows(before, work, row, rows)


@compiled
def rows_unit(whole, shape, networks, p, buffers, ids, known, first, row, rows, constants, apart, drawn, log, out):
    """Take work rows from `row` on, which are ids[first] and on, from the first z through the networks and back.

    Return True if every loss is finite.
    """
    work, zeros, floats = buffers
    seed, first_step, first_row = drawn
    layers, logged, finite = len(shape) // networks, log[0].size // networks, True
    for network in range(networks):
        own = shape[network * layers : (network + 1) * layers]
        rest_forward(
            whole if network == 0 else whole[:0], own, p, work, row, rows, zeros, seed, first_step, first_row
        )  # fmt: skip
        good = softmax_backward(
            own[layers - 1], work, row, rows, constants[network * apart :], ids, first, known, network * logged + out,
            log, floats,
        )  # fmt: skip
        finite = finite and good
        rest_backward(own, p, work, row, rows, zeros)
    if layers > 1:
        slope_rows(whole, work, row, rows)
    return finite


@compiled
def second_phase(
    unit_rows, counters, base, whole, shape, networks, p, work, zeros, floats, x_bytes, x_floats, rows, ids, first,
    by_rows, starts, indices, codes, values, order, labels, shares, constants, apart, seed, first_step, first_row,
    totals, shifted, right, out,
):  # fmt: skip
    """Take units of the chunk's rows through the networks and back, with `by_rows` through the first layer too."""
    buffers, known, log = (work, zeros, floats), (labels, shares), (totals, shifted, right)
    drawn = seed, first_step, first_row
    units = -(-rows // unit_rows)
    unit = fetch_add(counters, TICKET, 1) - base
    while unit < units:
        row = unit * unit_rows
        some = min(unit_rows, rows - row)
        if by_rows:
            first_rows(
                whole, p, work, zeros, floats, x_bytes, x_floats, ids, first + row, row, some, starts, indices,
                codes, values, order,
            )  # fmt: skip
        else:
            add_parts(whole, work, row, some)
        if not rows_unit(
            whole,
            shape,
            networks,
            p,
            buffers,
            ids,
            known,
            first + row,
            row,
            some,
            constants,
            apart,
            drawn,
            log,
            out + row,
        ):
            fetch_add(counters, FAILED, 1)
        unit = fetch_add(counters, TICKET, 1) - base
