"""Rows of inputs as compiled code reads them: only the nonzero inputs, or all of them where few are zero."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.sparse_rows import SparseRows
from fnnet.kernels.layout import BLOCK, DENSE, SLACK
from fnnet.kernels.library import library
from fnnet.kernels.team import run_team, shares

MAX_SPARSE_INPUTS: Final = 65535
MAX_PLACES: Final = 2**32 - 1
SAMPLE: Final = 256
"""Rows from which the fraction of nonzero inputs is estimated. It decides on speed alone: the sums are the same bits
either way."""
MOST_STARTS: Final = 2**27
"""Blocks of all sparse rows together that are kept with their starts: 512 MiB."""
SORTED_ROWS: Final = 4096
"""Sparse rows whose blocks are counted at a time."""
ROWS_A_THREAD: Final = 4096
"""The fewest rows per thread: below, starting another takes longer than it saves."""


class Pixels(NamedTuple):
    """`n` rows of `inputs` numbers.

    x         flat, bytes or floats of the parameters' dtype; empty if the rows are sparse.
    starts    n x (blocks + 1), flat: where each block of BLOCK inputs of a row starts, and where its last ends; empty
              if the rows are dense.
    indices   of the nonzero inputs; those of two rows lie SLACK apart.
    codes     their values as bytes, or empty.
    values    their values as floats, or empty.
    """

    n: int
    inputs: int
    x: Array
    starts: Array
    indices: Array
    codes: Array
    values: Array

    def arguments(self) -> dict[str, Array]:
        """Return the rows as compiled functions take them, by the names of the arguments."""
        as_bytes = self.x if self.x.dtype == np.uint8 else np.zeros(0, np.uint8)
        as_floats = self.x if self.x.dtype != np.uint8 else np.zeros(0, self.values.dtype)
        return {
            "x_bytes": as_bytes,
            "x_floats": as_floats,
            "starts": self.starts,
            "indices": self.indices,
            "codes": self.codes,
            "values": self.values,
        }

    def middle(self, cut: int) -> int:
        """Return the block before which about half of the nonzero inputs lie; for dense rows that of input `cut`.

        Two threads that sum the gradient of a narrow W then have the same work: MNIST has a tenth more ink below.
        """
        blocks = -(-self.inputs // BLOCK)
        if not self.starts.size or blocks < 2:
            return -(-cut // BLOCK)
        starts = self.starts.reshape(self.n, blocks + 1)[:: max(1, self.n // SAMPLE)].astype(np.int64)
        ink = (starts - starts[:, :1]).sum(axis=0)
        return 1 + int(np.abs(2 * ink[1:blocks] - ink[-1]).argmin())


def density(x: Array | SparseRows) -> float:
    """Return about the fraction of nonzero inputs in x (n, inputs), from a sample of its rows."""
    if isinstance(x, SparseRows):
        return x.density
    sample = x[:: max(1, len(x) // SAMPLE)]
    return np.count_nonzero(sample) / max(1, sample.size)


def all_inputs(x: Array, dtype: np.dtype[Any]) -> Pixels:
    """Return `x` as `pixels` does, with all inputs: bytes as they lie, without another pass over them."""
    x = np.ascontiguousarray(x) if x.dtype == np.uint8 else np.ascontiguousarray(x, dtype=dtype)
    (n, inputs), none = x.shape, np.zeros(0, np.uint8)
    return Pixels(n, inputs, x.reshape(-1), none.view(np.uint32), none.view(np.uint16), none, none.view(dtype))


def pixels(x: Array | SparseRows, dtype: np.dtype[Any], threads: int) -> Pixels:
    """Return `x` (n, inputs), uint8 or floats, as compiled code reads it for parameters of `dtype`."""
    if isinstance(x, SparseRows):
        return _kept(x, dtype)
    whole, as_bytes = all_inputs(x, dtype), x.dtype == np.uint8
    n, inputs, flat = whole.n, whole.inputs, whole.x
    few = inputs <= MAX_SPARSE_INPUTS and density(x) <= DENSE
    if not few or flat.size + n * SLACK > MAX_PLACES:
        return whole
    none = np.zeros(0, np.uint8)
    kind = "" if as_bytes else "_floats"
    counts, blocks = np.empty(n, np.int64), -(-inputs // BLOCK)
    compiled, given = library("sparse", dtype), {"x": flat, "inputs": inputs}
    cuts = [{"first": first, "last": last} for first, last in shares(n, threads, ROWS_A_THREAD)]
    run_team([compiled.bind(f"count_nonzero{kind}", **given, **cut, counts=counts) for cut in cuts])
    places = np.zeros(n + 1, np.int64)
    np.cumsum(counts + SLACK, out=places[1:])
    each = np.empty((n, blocks + 1), np.uint32)
    each[:, 0] = places[:-1]
    starts = each.reshape(-1)
    indices, kept = np.empty(places[-1], np.uint16), np.empty(places[-1], flat.dtype)
    given |= {"starts": starts, "indices": indices, "values": kept}
    run_team([compiled.bind(f"compress{kind}", **given, **cut) for cut in cuts])
    codes, values = (kept, none.view(dtype)) if as_bytes else (none, kept)
    return Pixels(n, inputs, flat[:0], starts, indices, codes, values)


def fits(x: SparseRows) -> bool:
    """Return True if compiled code can read these rows as they are kept, in memory of about their own size."""
    n, inputs = x.shape
    places = len(x.values) + n * SLACK
    return inputs <= MAX_SPARSE_INPUTS and places <= MAX_PLACES and n * -(-inputs // BLOCK) <= MOST_STARTS


def _kept(x: SparseRows, dtype: np.dtype[Any]) -> Pixels:
    """Return sparse rows as `pixels` does, without a pass over what is not kept; those that `fits` accepts."""
    (n, inputs), blocks, none = x.shape, -(-x.shape[1] // BLOCK), np.zeros(0, np.uint8)
    counts = np.diff(x.indptr)
    places = np.zeros(n + 1, np.int64)
    np.cumsum(counts + SLACK, out=places[1:])
    starts = np.empty((n, blocks + 1), np.uint32)
    starts[:, 0] = places[:-1]
    for first in range(0, n, SORTED_ROWS):
        last = min(first + SORTED_ROWS, n)
        row = np.repeat(np.arange(last - first), counts[first:last])
        block = x.indices[x.indptr[first] : x.indptr[last]] // BLOCK
        inside = np.bincount(row * blocks + block, minlength=(last - first) * blocks).reshape(-1, blocks)
        starts[first:last, 1:] = places[first:last, None] + inside.cumsum(axis=1)
    indices, values = np.zeros(places[-1], np.uint16), np.zeros(places[-1], dtype)
    at = np.arange(len(x.values)) + np.repeat(SLACK * np.arange(n), counts)
    indices[at], values[at] = x.indices, x.values
    return Pixels(n, inputs, none.view(dtype), starts.reshape(-1), indices, none, values)
