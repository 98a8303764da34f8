"""Rows of inputs as the compiled code reads them: the inputs that are not zero, or all where most are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.kernels.layout import BLOCK, DENSE, SLACK
from fnnet.kernels.library import library, run_team

MAX_SPARSE_INPUTS: Final = 65535
MAX_PLACES: Final = 2**32 - 1
SAMPLE: Final = 256
"""Rows looked at to tell how many inputs are zero. It decides on speed alone: the sums are the same bits either way."""
ROWS_A_THREAD: Final = 4096


class Pixels(NamedTuple):
    """`n` rows of `inputs` numbers.

    x         flat, bytes or floats of the parameters' dtype; empty where the rows are sparse.
    starts    n x (blocks + 1), flat: where each block of BLOCK inputs of a row starts, and where its last ends; empty
              where the rows are dense.
    indices   of the inputs that are not zero; those of two rows lie SLACK apart.
    codes     their values as bytes, or empty,
    values    their values as floats, or empty.
    """

    n: int
    inputs: int
    x: Array
    starts: Array
    indices: Array
    codes: Array
    values: Array

    def arguments(self) -> tuple[Array, ...]:
        """x as bytes, x as floats, and the sparse rows, as compiled functions take them."""
        as_bytes = self.x if self.x.dtype == np.uint8 else np.zeros(0, np.uint8)
        as_floats = self.x if self.x.dtype != np.uint8 else np.zeros(0, self.values.dtype)
        return as_bytes, as_floats, self.starts, self.indices, self.codes, self.values

    def middle(self, cut: int) -> int:
        """The block before which about half of what is not zero lies; for dense rows that of input `cut`.

        Two threads that sum the gradient of a narrow W have then the same work: MNIST is a tenth heavier below.
        """
        blocks = -(-self.inputs // BLOCK)
        if not self.starts.size or blocks < 2:
            return -(-cut // BLOCK)
        starts = self.starts.reshape(self.n, blocks + 1)[:: max(1, self.n // SAMPLE)].astype(np.int64)
        ink = (starts - starts[:, :1]).sum(axis=0)
        return 1 + int(np.abs(2 * ink[1:blocks] - ink[-1]).argmin())


def density(x: Array) -> float:
    """About the share of what is not zero in x (n, inputs)."""
    sample = x[:: max(1, len(x) // SAMPLE)]
    return np.count_nonzero(sample) / max(1, sample.size)


def pixels(x: Array, dtype: np.dtype[Any], threads: int) -> Pixels:
    """`x` (n, inputs), uint8 or floats, for parameters of `dtype`."""
    as_bytes = x.dtype == np.uint8
    x = np.ascontiguousarray(x) if as_bytes else np.ascontiguousarray(x, dtype=dtype)
    n, inputs = x.shape
    flat, none = x.reshape(-1), np.zeros(0, np.uint8)
    few = inputs <= MAX_SPARSE_INPUTS and density(x) <= DENSE
    if not few or flat.size + n * SLACK > MAX_PLACES:
        return Pixels(n, inputs, flat, none.view(np.uint32), none.view(np.uint16), none, none.view(dtype))
    kind = "" if as_bytes else "_floats"
    counts, blocks = np.empty(n, np.int64), -(-inputs // BLOCK)
    compiled = library("infer", dtype)
    shares = _shares(n, threads)
    run_team([compiled.bind(f"count_nonzero{kind}", flat, *share, inputs, counts) for share in shares])
    places = np.zeros(n + 1, np.int64)
    np.cumsum(counts + SLACK, out=places[1:])
    starts = np.empty((n, blocks + 1), np.uint32)
    starts[:, 0] = places[:-1]
    starts = starts.reshape(-1)
    indices, kept = np.empty(places[-1], np.uint16), np.empty(places[-1], x.dtype)
    run_team([compiled.bind(f"compress{kind}", flat, *share, inputs, starts, indices, kept) for share in shares])
    codes, values = (kept, none.view(dtype)) if as_bytes else (none, kept)
    return Pixels(n, inputs, flat[:0], starts, indices, codes, values)


def _shares(n: int, threads: int) -> Sequence[tuple[int, int]]:
    """Rows first to last for each thread, of which there are no more than pay."""
    count = max(1, min(threads, n // ROWS_A_THREAD))
    cuts = [n * i // count for i in range(count + 1)]
    return list(itertools.pairwise(cuts))
