"""Where an int8 network lies in flat vectors, for compiled code that is the same for every depth.

Four inputs that follow one another are a group: one instruction adds their products with a unit's four weights. The
units are padded to UNITS and cut into panels of up to PANEL; a panel holds, group by group, the four weights of each of
its units. Padding is zero.

The compiler imports this file, which therefore imports nothing of `core`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIELDS: Final = 6
IN, OUT, PAD, GROUPS, W_AT, COLUMN_AT = range(FIELDS)
"""The columns of the shape, a row for each layer: inputs, outputs, outputs padded, groups of inputs, and where the
weights and the figures of the units start in their vectors."""

GROUP: Final = 4
UNITS: Final = 16
PANEL: Final = 64


class Int8Layout(NamedTuple):
    """The `shape`, and the lengths of the vectors: of weights, of figures of units, of a row of codes and of floats."""

    shape: NDArray[Any]
    weights: int
    columns: int
    codes_line: int
    floats_line: int


def int8_layout(sizes: Sequence[int]) -> Int8Layout:
    """Return the layout of a network with these layer sizes; a row of codes is counted in groups."""
    shape = np.zeros((len(sizes) - 1, FIELDS), np.int64)
    weights = columns = 0
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        pad, groups = padded(outputs), -(-inputs // GROUP)
        shape[number] = inputs, outputs, pad, groups, weights, columns
        weights, columns = weights + pad * groups * GROUP, columns + pad
    widest = max(map(padded, sizes))
    return Int8Layout(shape, weights, columns, widest // GROUP, widest)


def padded(units: int) -> int:
    """Return a number of units rounded up to UNITS."""
    return -(-units // UNITS) * UNITS


def pack_weights(W: NDArray[Any], flat: NDArray[Any], pad: int, groups: int) -> None:
    """Copy int8 weights (inputs, outputs) into their panels in `flat`."""
    wide = np.zeros((groups * GROUP, pad), np.int8)
    wide[: W.shape[0], : W.shape[1]] = W
    for left in range(0, pad, PANEL):
        panel = wide[:, left : left + PANEL]
        width = panel.shape[1]
        at = left * groups * GROUP
        place = flat[at : at + groups * GROUP * width].reshape(groups, width, GROUP)
        place[...] = panel.reshape(groups, GROUP, width).swapaxes(1, 2)
