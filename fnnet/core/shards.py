"""Shards: a batch is cut into parts, and their gradients are summed in one fixed balanced tree, whoever computes them.

The sum of floats depends on its order. With S shards the order depends on S alone, not on how many threads or machines
share the work: each shard is summed row by row, and then pairs of shards, pairs of pairs, and so on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from fnnet.core.params import Array, Params, each


def cuts(n: int, shards: int) -> list[tuple[int, int]]:
    """Return where each shard of n rows begins and ends; those beyond n are empty.

    >>> cuts(10, 4)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return list(itertools.pairwise(n * number // shards for number in range(shards + 1)))


def tree_sum(parts: Sequence[Params]) -> Params:
    """Return the sum of trees of parameters: of neighbours first, then of neighbouring sums, until one is left.

    >>> from fnnet.core.params import Layer
    >>> parts = [Params((Layer(np.full((1, 1), n), np.full(1, n)),)) for n in (1.0, 2.0, 3.0)]
    >>> tree_sum(parts).layers[0].W.item()
    6.0
    """
    level = list(parts)
    while len(level) > 1:
        pairs = [each(np.add, *level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
        level = [*pairs, *level[len(level) - len(level) % 2 :]]
    return level[0]


def share_of(weights: Array | None, n: int, first: int, last: int) -> float:
    """Return the share of rows `first` to `last` in the mean loss of n rows."""
    if weights is None:
        return (last - first) / n
    total = float(weights.sum(dtype=np.float64))
    return float(weights[first:last].sum(dtype=np.float64)) / total if total > 0 else 0.0
