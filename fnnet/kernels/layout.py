"""Where a network of any depth lies in flat vectors, so that compiled code is the same for every depth.

The columns of W are padded to whole vectors and cut into panels, each panel row by row: 8 vectors wide in the first
layer, where rows of W are picked by the pixels that are not zero, 2 in the others, where register tiles run over
them. Hidden layers have W transposed beside it, for the way back. Padding is zero and stays zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.params import Array, Layer, Params, freeze
from fnnet.names import ACTIVATIONS

FIELDS: Final = 17
IN, OUT, PAD, PANEL, W, B, T, X, X_LINE, Z, D, LINE, CUT, Y, KIND, DROP, F = range(FIELDS)
"""The columns of `Layout.shape`: inputs, outputs, outputs padded, panel width; offsets in the parameters of W, b and W
transposed; offset in the workspace of the layer's input and the distance of its rows; offsets of its output and of dz,
and the distance of their rows. The last layer has its logits where its dz will be. A narrow first layer sums
its inputs in two parts, so that two threads can each keep one part of W: those before CUT from b on in z, the others
from 0 on at Y, and then both together. KIND is the activation's number, DROP how many of 65,536 units dropout leaves
out, F where the slopes of the activation go: only ReLU without dropout needs none."""

FIRST_PANEL: Final = 8
PANEL_VECTORS: Final = 2
"""Vectors in a row of a panel of the first and of the other layers."""

NARROW: Final = 4
"""Vectors of columns up to which a first layer sums in two parts."""
BLOCK: Final = 32
"""Inputs in a block: a sparse row says where each block of it starts."""

SLACK: Final = 16
"""Places behind each sparse row that a vector's end may overwrite."""

UNIT_INPUTS: Final = 192
"""Rows of a dense W whose gradient is summed at once: whole tiles, and whole squares of a transposition."""
SUMS_BYTES: Final = 65536
"""Bytes of a sparse W's gradient that are summed at once: they stay near a processor's core."""
BUCKETS: Final = 64
"""Lengths of sparse rows that are told apart when rows of like length are brought together."""
DENSE: Final = 0.4
"""Share of inputs that are not zero from which on register tiles over all of them are faster. It decides on speed
alone: the sums are the same bits either way."""
RELU: Final = 0
RULES: Final = ("sgd", "momentum", "nesterov", "rmsprop", "adam")
SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM = range(len(RULES))
"""The optimizers that the compiled code knows, and its numbers for them."""
MOMENTS: Final = (0, 1, 1, 1, 2)
"""How many trees each of them remembers."""
CONSTANTS: Final = 13
RATE, FIRST, FIRST_REST, SECOND, SECOND_REST, KEEP, STEP, ROOT, LEAST, DECAY, CLIP, BLEND, SMOOTH = range(CONSTANTS)
"""The columns of what a step takes: learning rate; beta_1, 1 - beta_1, beta_2, 1 - beta_2; factor of the weights;
Adam's step size, factor of the root of its second moment, epsilon; weight decay within the gradient; largest norm of
the gradient, 0 for any; share of the new weights in their average; label smoothing."""
ARRIVED, TICKET, FAILED, COUNTERS = 0, 16, 32, 48
"""Places in the counters of a team of threads, each on a cache line of its own, and how many there are."""

ALIGNMENT: Final = 64
PAGE: Final = 4096


class Layout(NamedTuple):
    """Offsets of a network's parameters in one vector of `parameters` elements, of its rows in `workspace` elements."""

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    lanes: int
    shape: Array
    parameters: int
    workspace: int


def layout(
    sizes: Sequence[int], dtype: DTypeLike, vector_bytes: int, rows: int, threads: int = 1, *,
    activation: str = "relu", dropped: Sequence[int] = (),
) -> Layout:  # fmt: skip
    """The layout of a network with these layer sizes, and of the activations of `rows` rows.

    dropped   of each hidden layer, how many of 65,536 units dropout leaves out; nothing where there is no training.
    """
    dtype = np.dtype(dtype)
    lanes = vector_bytes // dtype.itemsize
    layers = len(sizes) - 1
    shape = np.zeros((layers, FIELDS), np.int64)
    at, source, source_line = 0, 0, _line(sizes[0], lanes, dtype.itemsize)
    free = rows * source_line
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        pad = _up(outputs, lanes)
        panel = lanes * (PANEL_VECTORS if number else _first_panel(pad // lanes, threads))
        weights, at = at, at + inputs * pad
        bias, at = at, at + pad
        turned, at = at, at + (outputs * _up(inputs, lanes) if number else 0)
        line = _line(outputs, lanes, dtype.itemsize)
        z, free = free, free + rows * line
        d, free = (z, free) if number == layers - 1 else (free, free + rows * line)
        narrow = number == 0 and is_narrow(outputs, dtype, vector_bytes)
        cut = inputs if not narrow else min(inputs, (-(-inputs // BLOCK) + 1) // 2 * BLOCK)
        y, free = free, free + (rows * line if cut < inputs else 0)
        hidden, drop = number < layers - 1, dropped[number] if number < len(dropped) else 0
        kind = ACTIVATIONS.index(activation) if hidden else 0
        # Without training the slopes are not read, and may lie where dz would.
        slopes, free = (free, free + rows * line) if hidden and dropped and (kind or drop) else (d, free)
        shape[number] = (
            inputs, outputs, pad, panel, weights, bias, turned, source, source_line, z, d, line, cut, y,
            kind, drop, slopes,
        )  # fmt: skip
        source, source_line = z, line
    return Layout(tuple(sizes), dtype, lanes, shape, at, free)


def is_narrow(outputs: int, dtype: DTypeLike, vector_bytes: int) -> bool:
    """Whether a layer has at most NARROW vectors of columns."""
    return outputs * np.dtype(dtype).itemsize <= NARROW * vector_bytes


def whole_lines(count: int) -> int:
    """`count` elements up to whole cache lines of any dtype, so that no two threads write on one."""
    return _up(count, 16)


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _first_panel(vectors: int, threads: int) -> int:
    """Vectors in a row of a panel of the first layer, so that each thread has whole panels."""
    if vectors <= NARROW:
        return FIRST_PANEL
    return next(width for width in (8, 4, 2, 1) if width == 1 or width * threads <= vectors)


def _line(width: int, lanes: int, itemsize: int) -> int:
    """Distance of rows: whole vectors, and no divisor of pages, or a column's elements would share few cache sets."""
    line = _up(width, lanes)
    return line + lanes if line * itemsize % (PAGE // 4) == 0 else line


def aligned(count: int, dtype: DTypeLike, zero: bool = True) -> Array:
    """A vector of `count` elements that starts on a cache line."""
    dtype = np.dtype(dtype)
    raw = (np.zeros if zero else np.empty)(count * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    found: Array = raw[start : start + count * dtype.itemsize].view(dtype)
    return found


def _panels(flat: Array, rows: int, pad: int, panel: int) -> list[tuple[slice, Array]]:
    """The columns of a matrix (rows, pad) in panels, and where they lie: (rows, panels, width) each."""
    full = pad // panel
    parts = [(slice(0, full * panel), flat[: rows * full * panel].reshape(full, rows, panel).swapaxes(0, 1))]
    if rest := pad - full * panel:
        parts.append((slice(full * panel, pad), flat[rows * full * panel :].reshape(1, rows, rest).swapaxes(0, 1)))
    return [part for part in parts if part[1].size]


def _put(matrix: Array, flat: Array, pad: int, panel: int) -> None:
    for columns, place in _panels(flat, len(matrix), pad, panel):
        piece = matrix[:, columns]
        if piece.shape[1] == columns.stop - columns.start:
            place[...] = piece.reshape(place.shape)
        else:
            padded = np.zeros((len(matrix), columns.stop - columns.start), flat.dtype)
            padded[:, : piece.shape[1]] = piece
            place[...] = padded.reshape(place.shape)


def pack(params: Params, plan: Layout) -> Array:
    """`params`, or what is shaped like them, as one vector."""
    flat = aligned(plan.parameters, plan.dtype)
    for number, (layer, row) in enumerate(zip(params.layers, plan.shape.tolist(), strict=True)):
        inputs, outputs, pad, panel, weights, bias, turned = row[:7]
        _put(layer.W, flat[weights : weights + inputs * pad], pad, panel)
        flat[bias : bias + outputs] = layer.b
        if number:
            wide = _up(inputs, plan.lanes)
            _put(layer.W.T, flat[turned : turned + outputs * wide], wide, plan.lanes * PANEL_VECTORS)
    return flat


def unpack(flat: Array, plan: Layout) -> Params:
    """The parameters in a vector, as read-only arrays of their own."""
    layers = []
    for inputs, outputs, pad, panel, weights, bias, *_ in plan.shape.tolist():
        W = np.empty((inputs, outputs), plan.dtype)
        for columns, place in _panels(flat[weights : weights + inputs * pad], inputs, pad, panel):
            wide = place.reshape(inputs, -1)
            W[:, columns] = wide[:, : W[:, columns].shape[1]]
        layers.append(Layer(freeze(W), freeze(flat[bias : bias + outputs].copy())))
    return Params(tuple(layers))
