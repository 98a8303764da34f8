"""Where a network of any depth lies in flat vectors, so that compiled code is the same for every depth.

The columns of W are padded to whole vectors and cut into panels, each panel row by row: 8 vectors wide in the first
layer, where rows of W are picked by the pixels that are not zero, 2 in the others, where register tiles run over
them. Hidden layers have W transposed beside it, for the backward pass. Padding is zero and stays zero.

The compiler imports this file, which therefore imports nothing of `core`; `kernels.pack` copies parameters in and out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fnnet.names import ACTIVATIONS

FIELDS: Final = 18
(
    IN, OUT, PAD, PANEL, W_AT, B_AT, WT_AT, X_AT, X_LINE, Z_AT, DZ_AT, LINE, CUT, PART_AT, ACTIVATION, DROP, SLOPE_AT,
    STRIDE,
) = range(FIELDS)  # fmt: skip
"""The columns of `Layout.shape`, a row for each layer. A name in _AT is an offset.

IN, OUT, PAD, PANEL   inputs, outputs, outputs padded to whole vectors, width of a panel.
W_AT, B_AT, WT_AT     W, b and W transposed, in the vector of the parameters.
X_AT, X_LINE          the layer's input in the workspace, and the distance of its rows.
Z_AT, DZ_AT, LINE     z, which its activation then replaces, and dz; the distance of the rows of both. The last layer's
                      logits lie where its dz will.
CUT, PART_AT          a narrow first layer sums its inputs in two parts, so that two threads can each keep one part of
                      W: those before CUT from b on in z, the others from 0 on at PART_AT, and then both together.
ACTIVATION            the number of the activation in `names.ACTIVATIONS`.
DROP                  dropout leaves out this many of 65,536 units.
SLOPE_AT              the slopes of the activation; ReLU without dropout needs none, and has DZ_AT here.
STRIDE                of first layers side by side, the columns from one network to the next; else as PAD.
"""

FIRST_PANEL: Final = 8
PANEL_VECTORS: Final = 2
"""Vectors in a row of a panel of the first and of the other layers."""

MOST_VECTORS: Final = 8
"""The most vectors of columns of first layers side by side: with twice as many, W leaves the second-level cache."""
NARROW: Final = 4
"""Vectors of columns up to which a first layer sums in two parts."""
BLOCK: Final = 32
"""Inputs in a block: a sparse row lists where each of its blocks starts."""

SLACK: Final = 16
"""Elements behind each sparse row that a vector's end may overwrite."""

UNIT_INPUTS: Final = 192
"""Rows of a dense W whose gradient is summed at once: whole tiles, and whole squares of a transposition."""
SUMS_BYTES: Final = 65536
"""Bytes of a sparse W's gradient that are summed at once: they stay near a processor's core."""
LISTED: Final = 4
"""Vectors of columns of a thread's part of W from which its gradient is summed from lists of each input's rows."""
LISTS: Final = 2**22
"""The most elements of these lists, each with a place for every row: 24 MiB. Where each shard ends takes less."""
FEW: Final = 4
"""Rows of the tile for the rows left below large ones; it repeats the last of them."""
BUCKETS: Final = 64
"""Classes of length into which sparse rows are sorted, so that rows of like length come together."""
DENSE: Final = 0.4
"""Fraction of nonzero inputs above which register tiles over all inputs are faster. It decides on speed alone: the
sums are the same bits either way."""
RELU: Final = ACTIVATIONS.index("relu")
RULES: Final[Mapping[str, int]] = MappingProxyType(
    {"sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1, "adam": 2, "lion": 1}
)
"""The optimizers that compiled code has -> number of trees in the state of each. A rule's number is its position here,
and its loop is in `native.move.MOVES`."""
CONSTANTS: Final = 13
RATE, FIRST, FIRST_REST, SECOND, SECOND_REST, KEEP, STEP, ROOT, LEAST, DECAY, CLIP, BLEND, SMOOTH = range(CONSTANTS)
"""The columns of the constants of a step: learning rate; beta_1, 1 - beta_1, beta_2, 1 - beta_2; factor of the weights;
Adam's step size, factor of the root of its second moment, epsilon; weight decay within the gradient; largest norm of
the gradient, 0 for any; weight of the new parameters in their average; label smoothing."""
ARRIVED, TICKET, FAILED, ASLEEP, SLEPT, READS, ENDED, COUNTERS = 0, 16, 32, 48, 49, 50, 64, 80
"""Places in the counters of a team of threads, and the length of the counters: those that arrived at barriers, tickets
drawn, losses that are not finite, threads asleep, how often one fell asleep, reads of a barrier before that, 1 if the
block ends early for it. What is written at every step lies on a cache line of its own."""

ALIGNMENT: Final = 64
PAGE: Final = 4096


class Layout(NamedTuple):
    """Offsets of networks' parameters in one vector of `parameters` elements, of their rows in `workspace` elements.

    shape   a row for each layer of the first network, then of the next.
    whole   the first layers side by side, as one layer; the row of a network's own has the places of its columns there.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    lanes: int
    shape: NDArray[Any]
    whole: NDArray[Any]
    parameters: int
    workspace: int
    networks: int = 1


def layout(
    sizes: Sequence[int], dtype: DTypeLike, vector_bytes: int, rows: int, threads: int = 1, *,
    activation: str = "relu", dropped: Sequence[int] = (), networks: int = 1,
) -> Layout:  # fmt: skip
    """Return the layout of networks with these layer sizes, and of the activations of `rows` rows.

    dropped    units of 65,536 that dropout leaves out, for each hidden layer; empty where nothing is trained.
    networks   at most `side_by_side`.
    """
    dtype = np.dtype(dtype)
    lanes, layers = vector_bytes // dtype.itemsize, len(sizes) - 1
    shape = np.zeros((networks * layers, FIELDS), np.int64)
    at, source_line = 0, _line(sizes[0], lanes, dtype.itemsize)
    free = rows * source_line

    def take(outputs: int, inputs: int, source: int, line_in: int, number: int) -> list[int]:
        """Return the row of a layer behind those before it."""
        nonlocal at, free
        pad = round_up(outputs, lanes)
        first_panel = pad // lanes if networks > 1 else _first_panel(pad // lanes, threads)
        panel = lanes * (PANEL_VECTORS if number else first_panel)
        weights, at = at, at + inputs * pad
        bias, at = at, at + pad
        transposed, at = at, at + (outputs * round_up(inputs, lanes) if number else 0)
        line = _line(outputs, lanes, dtype.itemsize)
        z, free = free, free + rows * line
        dz, free = (z, free) if number == layers - 1 else (free, free + rows * line)
        narrow = number == 0 and is_narrow(sizes[1], dtype, vector_bytes)
        cut = inputs if not narrow else min(inputs, (-(-inputs // BLOCK) + 1) // 2 * BLOCK)
        part, free = free, free + (rows * line if cut < inputs else 0)
        hidden, drop = number < layers - 1, dropped[number] if number < len(dropped) else 0
        formula = ACTIVATIONS.index(activation) if hidden else RELU
        # Without training the slopes are not read, and may lie where dz would.
        has_slopes = hidden and dropped and (formula != RELU or drop)
        slopes, free = (free, free + rows * line) if has_slopes else (dz, free)
        return [
            inputs, outputs, pad, panel, weights, bias, transposed, source, line_in, z, dz, line, cut, part,
            formula, drop, slopes, pad,
        ]  # fmt: skip

    pad, own = round_up(sizes[1], lanes), _stride(sizes, lanes) if networks > 1 else 0
    # What is written of a network's dz reaches into the columns of the next, which are written after it.
    whole = np.array(take((networks - 1) * own + (pad if own else sizes[1]), sizes[0], 0, source_line, 0), np.int64)
    for network in range(networks):
        row = whole.copy()
        row[[OUT, PAD, STRIDE]] = sizes[1], pad, own or pad
        row[[W_AT, B_AT, Z_AT, DZ_AT, PART_AT, SLOPE_AT]] += network * own
        shape[network * layers] = row
        for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes[1:]), 1):
            row = np.array(take(outputs, inputs, row[Z_AT], row[LINE], number), np.int64)
            shape[network * layers + number] = row
    return Layout(tuple(sizes), dtype, lanes, shape, whole, at, free, networks)


def side_by_side(sizes: Sequence[int], dtype: DTypeLike, vector_bytes: int) -> int:
    """Return how many networks of these sizes can lie side by side: as many narrow first layers as fill MOST_VECTORS.

    The inputs are then read once for all of them, and no lane is empty. A wide layer fills its vectors alone.
    """
    lanes = vector_bytes // np.dtype(dtype).itemsize
    if not is_narrow(sizes[1], dtype, vector_bytes):
        return 1
    return (MOST_VECTORS * lanes - round_up(sizes[1], lanes)) // _stride(sizes, lanes) + 1


def _stride(sizes: Sequence[int], lanes: int) -> int:
    """Return the columns from one network's first layer to the next: whole vectors only where its logits lie there."""
    return sizes[1] if len(sizes) > 2 else round_up(sizes[1], lanes)


def is_narrow(outputs: int, dtype: DTypeLike, vector_bytes: int) -> bool:
    """Return True if a layer has at most NARROW vectors of columns."""
    return outputs * np.dtype(dtype).itemsize <= NARROW * vector_bytes


def whole_lines(count: int) -> int:
    """Return `count` rounded up to whole cache lines of any dtype, so that no two threads write on one."""
    return round_up(count, 16)


def round_up(count: int, unit: int) -> int:
    """Return `count` rounded up to a multiple of `unit`."""
    return -(-count // unit) * unit


def _first_panel(vectors: int, threads: int) -> int:
    """Return the vectors in a row of a panel of the first layer, so that each thread has whole panels."""
    if vectors <= NARROW:
        return FIRST_PANEL
    return next(width for width in (8, 4, 2, 1) if width == 1 or width * threads <= vectors)


def _line(width: int, lanes: int, itemsize: int) -> int:
    """Return the distance of rows: whole vectors, and no divisor of a page, or columns would share few cache sets."""
    line = round_up(width, lanes)
    return line + lanes if line * itemsize % (PAGE // 4) == 0 else line


def aligned(count: int, dtype: DTypeLike, zero: bool = True) -> NDArray[Any]:
    """Return a vector of `count` elements that starts on a cache line."""
    dtype = np.dtype(dtype)
    raw = (np.zeros if zero else np.empty)(count * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    found: NDArray[Any] = raw[start : start + count * dtype.itemsize].view(dtype)
    return found
