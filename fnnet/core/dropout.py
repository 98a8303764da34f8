"""Dropout: hidden units dropped at random, as a function of (seed, step, row of the batch, layer, unit).

Srivastava et al., JMLR 15 (2014) 1929. Inverted: the units that are kept are scaled up in training, so that prediction
needs no correction.
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
"""Dropout rates are multiples of 1 / PARTS: a unit's random number has 16 bits."""
UNITS: Final = 16
"""Units per block of four 64-bit words."""


def dropped(rates: Any, layers: int) -> tuple[int, ...]:
    """Return the dropout thresholds, one per hidden layer: the units dropped out of 65,536.

    rates    one rate, or one for each of the hidden `layers`.
    Raises   UsageError unless 0 <= rate < 1, and for a wrong number of rates.
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
    """Return the factors of one batch's hidden activations, read-only (n, units) per layer; None if every rate is 0.

    The 16-bit number of unit j of batch row r in hidden layer l is piece j % 4, the lowest first, of word j // 4 of the
    row's blocks of words, which start at block r ceil(units / 16) of the stream (seed, "dropout", epoch=l, step). The
    unit is kept if its number is at least p' = round(65536 p), and its factor is then 65536 / (65536 - p').

    widths   units of each hidden layer; rates as in `dropped`.
    first    the batch row of the first row of the masks.
    Raises   UsageError as `dropped` does, and for negative counts.
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
