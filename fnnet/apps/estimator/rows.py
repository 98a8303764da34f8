"""The rows of a table as training takes them: checked by scikit-learn, sparse ones as they are, some held out."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

import numpy as np

from fnnet.apps.estimator.course import Data
from fnnet.core import rng
from fnnet.core.params import Array
from fnnet.core.sparse_rows import SparseRows
from fnnet.errors import UsageError
from fnnet.kernels.team import shares
from fnnet.threads import run_each

NARROW: Final = 4
"""Classes that are integers are counted, not sorted, if their range is at most as many times the rows."""

ADDED: Final = 2**19
"""Numbers that a thread adds, at least: as many take 0.2 ms, and starting a thread 0.06."""


def have_finite_sums(X: Array, threads: int) -> bool:
    """Return True if the sums of parts of some rows (n, columns) are finite, and so each of their numbers.

    By no BLAS, whose threads look for more work for a while, on processors that the network needs next.
    """
    parts = shares(len(X), threads, max(1, ADDED // X.shape[1]))
    return all(run_each([partial(_is_sum_finite, X[first:last]) for first, last in parts], threads))


def _is_sum_finite(X: Array) -> bool:
    with np.errstate(all="ignore"):
        return math.isfinite(np.add.reduce(X, axis=None))


def taken(X: Any) -> Array | SparseRows:
    """Return rows that scikit-learn has checked, contiguous; sparse ones with ascending columns."""
    if not hasattr(X, "indptr"):
        return np.ascontiguousarray(X)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return SparseRows(X.indptr, X.indices, X.data, X.shape[1])


def coded(y: Any) -> tuple[Array, Array]:
    """Return the classes of checked labels (n,), sorted, and the number of each label's class, int64."""
    if y.dtype.kind in "iu" and y.dtype != np.uint64:
        low, high = int(y.min()), int(y.max())
        if high - low <= NARROW * len(y):
            shifted = y.astype(np.int64) - low
            there = np.bincount(shifted) > 0
            places = np.cumsum(there) - 1
            return (np.flatnonzero(there) + low).astype(y.dtype), places[shifted]
    classes, labels = np.unique(y, return_inverse=True)
    return classes, labels.reshape(-1).astype(np.int64)


def numbers_of(y: Any, classes: Array, name: str = "y") -> Array:
    """Return the number of each label's class, int64; UsageError at `name` for a label of no class."""
    found, labels = coded(y)
    if found.shape == classes.shape and (found == classes).all():
        return labels
    at = np.searchsorted(classes, found).clip(0, len(classes) - 1)
    unknown = classes[at] != found
    if unknown.any():
        some = ", ".join(map(str, classes[:12].tolist()))
        wrong = found[unknown].tolist()[0]
        raise UsageError("label of an unknown class", where=name, expected=f"classes {some}", found=wrong)
    return at[labels]


def weighted(data: Data) -> Data:
    """Return rows without those of weight 0, which are as if they were not there."""
    if data.weights is None:
        return data
    if (data.weights < 0).any():
        row = int((data.weights < 0).argmax())
        found = f"{data.weights[row]:g} in row {row}"
        raise UsageError("negative weight", where="sample_weight", expected="weights >= 0", found=found)
    there = data.weights > 0
    if there.all():
        return data
    if not there.any():
        raise UsageError("all weights are zero", where="sample_weight", expected="a weight above 0", found="0 for each")
    return chosen(data, np.flatnonzero(there))


def times(data: Data, weights: Array | None) -> Data:
    """Return rows with their weights times those of their classes, without those that become 0."""
    if weights is None:
        return data
    own = weights[data.labels]
    return weighted(data._replace(weights=own if data.weights is None else data.weights * own))


def chosen(data: Data, rows: Array) -> Data:
    """Return some of the rows."""
    x = data.x.taken(rows) if isinstance(data.x, SparseRows) else data.x[rows]
    return Data(x, data.labels[rows], None if data.weights is None else data.weights[rows])


def held_out(labels: Array, classes: int, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the numbers of the rows to train on and of those held out, a fraction of each class, drawn by the seed.

    As many are held out as the fraction of all rows, rounded. Classes share what rounding leaves by their fractions;
    each keeps a row at least to train on.

    >>> train, out = held_out(np.repeat([0, 1, 2], [10, 5, 1]), 3, 0.25, 0)
    >>> np.bincount(np.repeat([0, 1, 2], [10, 5, 1])[out], minlength=3).tolist()
    [3, 1, 0]
    """
    n = len(labels)
    counts = np.bincount(labels, minlength=classes)
    share = counts * fraction
    quota = np.floor(share).astype(np.int64)
    left = max(1, round(n * fraction)) - int(quota.sum())
    for number in np.argsort(quota - share, kind="stable")[: max(0, left)]:
        quota[number] += 1
    quota = np.minimum(quota, np.maximum(counts - 1, 0))
    order = rng.order(seed, "split", n)
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    out = place < np.repeat(quota, counts)
    if not out.any():
        fix, found = "give rows for validation as X_val and y_val", f"{n} rows of {classes} classes"
        problem = "no row can be held out"
        raise UsageError(problem, where="validation_fraction", expected="more rows", found=found, fix=fix)
    return np.sort(by_class[~out]), np.sort(by_class[out])
