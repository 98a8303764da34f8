"""Dropout: hidden units left out at random, as a function of (seed, step, place in the batch, layer, unit).

Srivastava et al., JMLR 15 (2014) 1929; here the units that stay are scaled up, so that nothing changes when answering.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core import rng
from fnnet.core.checks import check_count, check_dtype, check_share
from fnnet.core.params import Array, freeze
from fnnet.errors import ArgumentTypeError, UsageError

PARTS: Final = 65536
"""A unit's chance is one of so many: 16 bits of a word."""
UNITS: Final = 16
"""Units that a block of four words decides on."""


def dropped(rates: Any, layers: int) -> tuple[int, ...]:
    """Of each of so many hidden layers, how many of PARTS units are left out, for one rate or one for each of them.

    Raises   UsageError unless 0 <= rate < 1, and for another number of rates.
    """
    layers = check_count("layers", layers, 0)
    if isinstance(rates, (str, bytes)) or (isinstance(rates, np.ndarray) and rates.ndim != 1):
        raise ArgumentTypeError("dropout", expected="a number, or one for each hidden layer", found=repr(rates))
    if not isinstance(rates, (Sequence, np.ndarray)):
        rates = [rates] * layers if check_share("dropout", rates) else [0.0] * layers
    if len(rates) != layers:
        raise UsageError("dropout", expected=f"one number, or one for each of {layers} hidden layers", found=len(rates))
    return tuple(min(round(check_share("dropout", rate) * PARTS), PARTS - 1) for rate in rates)


def masks(
    seed: int, step: int, widths: Sequence[int], n: int, rates: Any, *, dtype: DTypeLike = np.float32, first: int = 0
) -> tuple[Array, ...] | None:
    """What the hidden layers' activations of one batch are multiplied with, read-only (n, units) each; None for rate 0.

    The 16-bit number of unit j of batch row r in hidden layer l is piece j % 4, the lowest first, of word j // 4 of the
    row's blocks of words, which start at block r ceil(units / 16) of the stream (seed, "dropout", epoch=l, step). The
    unit stays if it is at least p' = round(65536 p), and is then multiplied with 65536 / (65536 - p').

    widths   units of each hidden layer; rates as in `dropped`.
    first    the batch row of the first mask.
    Raises   UsageError as `dropped`, and for counts below 0.
    """
    if isinstance(widths, (str, bytes)) or not isinstance(widths, (Sequence, np.ndarray)):
        raise ArgumentTypeError("widths", expected="one integer for each hidden layer", found=repr(widths))
    widths = [check_count("width", width, 1) for width in widths]
    n, first = check_count("n", n, 0), check_count("first", first, 0)
    dtype = check_dtype(dtype)
    chances = dropped(rates, len(widths))
    if not any(chances):
        return None
    return tuple(
        _mask(seed, step, layer, *each, n, dtype, first) for layer, each in enumerate(zip(widths, chances, strict=True))
    )


def _mask(seed: int, step: int, layer: int, width: int, out: int, n: int, dtype: DTypeLike, first: int) -> Array:
    blocks, dtype = -(-width // UNITS), np.dtype(dtype)
    words = rng.words(seed, "dropout", n * blocks * 4, epoch=layer, step=step, start=first * blocks * 4)
    pieces = words.astype("<u8").view("<u2").reshape(n, blocks * UNITS)[:, :width]
    return freeze(np.where(pieces >= out, np.array(PARTS, dtype) / np.array(PARTS - out, dtype), np.zeros((), dtype)))
