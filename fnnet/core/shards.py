"""Shards: a batch is cut into parts, and their gradients are summed in one fixed balanced tree, whoever computes them.

The sum of floats depends on its order. With S shards the order depends on S alone, not on how many threads or machines
share the work: each shard is summed row by row, and then pairs of shards, pairs of pairs, and so on.

Ranks are processes that share the shards of every batch, each some that follow one another. A rank sums what the tree
has of its own shards; what is left, the largest subtrees of all ranks, makes the same tree whatever their number is.

Messages of 16 bits are half as long: the gradient of each shard, and each sum of the tree, is then rounded to bfloat16,
float32 whose lower half is 0, also where one process computes it all, so that the bits depend on the plan alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import inf
from typing import Any, Final, NoReturn, TypeVar

import numpy as np

from fnnet.core.flat import flatten, unflatten
from fnnet.core.params import Array, Params, each, layer_sizes
from fnnet.errors import UsageError

T = TypeVar("T")
HALF: Final = 16
"""Bits of a number that is rounded."""


def cuts(n: int, shards: int) -> list[tuple[int, int]]:
    """Return where each shard of n rows begins and ends; those beyond n are empty.

    >>> cuts(10, 4)
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return list(itertools.pairwise(n * number // shards for number in range(shards + 1)))


def rounded(values: Array, bits: int = 32) -> Array:
    """Return float32 as messages of 32 or 16 bits have it: of 16, bfloat16, the nearest, or of two the even one.

    The range is that of float32, so that small gradients need no factor; 8 bits are left of the mantissa.

    >>> rounded(np.float32([1 / 3, 1 + 2**-8, 1e-38]), 16).tolist()
    [0.333984375, 1.0, 1.0010069081221042e-38]
    """
    if bits != HALF:
        return values
    whole = values.view(np.uint32)
    upper = (whole + (np.uint32(0x7FFF) + (whole >> 16 & 1))) & np.uint32(0xFFFF0000)
    found: Array = np.where(np.isnan(values), values, upper.view(np.float32))
    return found


def check_message_bits(bits: Any, shards: int, dtype: Any = np.float32) -> None:
    """Raise UsageError unless gradients of this dtype and number of shards can be sent in messages of `bits`."""
    if isinstance(bits, bool) or bits not in (HALF, 32):
        raise UsageError("message_bits out of range", expected="16 or 32", found=repr(bits))
    if bits == HALF and shards == 1:
        fix = "set shards, 8 say: a batch that is not cut sends nothing"
        raise UsageError("messages of 16 bits are between shards", expected="2 shards or more", found=1, fix=fix)
    if bits == HALF and dtype != np.float32:
        raise UsageError("messages of 16 bits are of float32", expected="float32 weights", found=np.dtype(dtype).name)


def tree_sum(parts: Sequence[Params], bits: int = 32) -> Params:
    """Return the sum of trees of parameters: of neighbours first, then of neighbouring sums, until one is left.

    bits   of each part and sum, as `rounded` has them.

    >>> from fnnet.core.params import Layer
    >>> parts = [Params((Layer(np.full((1, 1), n), np.full(1, n)),)) for n in (1.0, 2.0, 3.0)]
    >>> tree_sum(parts).layers[0].W.item()
    6.0
    """
    found = [each(partial(rounded, bits=bits), part) for part in parts]
    for left, right in additions(dict(leaves(0, len(parts))), len(parts)):
        found[left] = each(lambda a, b: rounded(a + b, bits), found[left], found[right])
    return found[0]


def leaves(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the leaves of the tree from `first` to `last` as `additions` takes subtrees: where each begins and ends."""
    return ((leaf, leaf + 1) for leaf in range(first, last))


def additions(subtrees: MutableMapping[int, int], shards: int) -> Iterator[tuple[int, int]]:
    """Yield what the tree over `shards` leaves adds to what, as far as subtrees go: (left, right), left taking the sum.

    subtrees   where each begins -> where it ends; as one is added to another it is taken out, and the largest are left.

    >>> some = dict(leaves(0, 3))
    >>> [*additions(some, 8)], some
    ([(0, 1)], {0: 2, 2: 3})
    >>> [*additions({**some, 3: 4, 4: 8}, 8)]
    [(2, 3), (0, 2), (0, 4)]
    """
    apart = 1
    while apart < shards:
        for left in range(0, shards - apart, 2 * apart):
            right, end = left + apart, min(left + 2 * apart, shards)
            if subtrees.get(left) == right and subtrees.get(right) == end:
                subtrees[left] = subtrees.pop(right)
                yield left, right
        apart *= 2


def share_of(weights: Array | None, n: int, first: int, last: int) -> float:
    """Return the share of rows `first` to `last` in the mean loss of n rows."""
    if weights is None:
        return (last - first) / n
    total = float(weights.sum(dtype=np.float64))
    return float(weights[first:last].sum(dtype=np.float64)) / total if total > 0 else 0.0


def subtrees(own: tuple[int, int], shards: int) -> dict[int, int]:
    """Return the largest subtrees of a rank's `own` shards (first, behind the last): where each begins -> where it
    ends, in their order.

    >>> subtrees((0, 3), 8)
    {0: 2, 2: 3}
    """
    found = dict(leaves(*own))
    for _ in additions(found, shards):
        pass  # which takes out what is added
    return found


def merges(own: tuple[int, int], shards: int) -> list[int]:
    """Return, for each of a rank's `own` shards (first, behind the last), how many additions its sum completes.

    Shard by shard, what waits for its neighbour in the tree is a stack: each sum is added to that many before it.

    >>> merges((0, 8), 8), merges((0, 3), 8)
    ([0, 1, 0, 2, 0, 1, 0, 3], [0, 1, 0])
    """
    found, counts = dict(leaves(*own)), [0] * (own[1] - own[0])
    for left, _ in additions(found, shards):
        counts[found[left] - 1 - own[0]] += 1
    return counts


def waiting(own: tuple[int, int], shards: int) -> int:
    """Return the most sums that such a stack has, that of the shard being summed among them.

    >>> waiting((0, 8), 8), waiting((0, 3), 8), waiting((0, 1), 1)
    (4, 2, 1)
    """
    most, depth = 1, 0
    for count in merges(own, shards):
        depth += 1
        most, depth = max(most, depth), depth - count
    return most


def rows_of(n: int, batch: int, shards: int, own: tuple[int, int]) -> Array:
    """Return the numbers of the rows of a rank's `own` shards (first, behind the last), of n rows in batches.

    >>> rows_of(9, 6, 3, (1, 3)).tolist()
    [2, 3, 4, 5, 7, 8]
    """
    firsts = range(0, n, batch)
    counts = [min(batch, n - first) for first in firsts]
    each = zip(firsts, counts, strict=True)
    return np.concatenate(
        [np.arange(first + count * own[0] // shards, first + count * own[1] // shards) for first, count in each]
    )


class Ranks:
    """The processes that share the shards of each batch; of this class itself, one alone.

    rank, size   the number of this one, counted from 0, and how many there are.
    neighbours   how many of them there are on this machine.
    processors   those that they may run on, together.
    note         what a user should know of them; "" for nothing.
    """

    rank: int = 0
    size: int = 1
    neighbours: int = 1
    processors: int = 1
    note: str = ""

    def own(self, shards: int) -> tuple[int, int]:
        """Return the first of this rank's shards, and the one behind its last."""
        return cuts(shards, self.size)[self.rank]

    def rows(self, n: int, batch: int, shards: int) -> list[Array]:
        """Return the rows of each rank, as `rows_of` does."""
        return [rows_of(n, batch, shards, own) for own in cuts(shards, self.size)]

    def total(self, parts: Sequence[Array], shards: int, bits: int = 32) -> Array:
        """Return the sum, in the tree, of the vectors of all ranks; what is in `parts` may be written over.

        parts   of this rank's shards, summed already as far as the tree goes: of those that `additions` leaves.
        bits    of each part and each sum, as `rounded` has them.
        """
        return parts[0]

    def vectors(self, length: int, dtype: Any, shards: int) -> Array | None:
        """Return memory for what waits of this rank's shards, from which `total` adds up sooner; None for any.

        All ranks call it, and write over what was returned before no more.
        """
        return None

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks in their order."""
        return [value]

    def meet(self, seconds: float = inf) -> bool:
        """Return True once all ranks are here, or False after as many seconds."""
        return True

    def abort(self, code: int) -> NoReturn:
        """End all ranks at once with this exit code."""
        raise SystemExit(code)

    def leave(self) -> None:
        """Take leave of the other ranks, which are together: none of these functions may be called any more."""

    def slow(self, computes: bool = False) -> AbstractContextManager[None]:
        """Return a context manager for what may take long: it reads, or waits for a process; or it `computes`, longer
        than a step.
        """
        return nullcontext()

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return what `make` returns, which of each machine's ranks one calls before the others."""
        return make()

    def of_first(self, make: Callable[[], T]) -> T:
        """Return, or raise, in every rank what `make` does in the first, which alone calls it."""
        return make()


ALONE: Final = Ranks()


def total(parts: Sequence[Params], shards: int, ranks: Ranks, bits: int = 32) -> Params:
    """Return the sum of the trees of parameters of all shards, as `tree_sum` does; `parts` are those of this rank."""
    vectors = [rounded(flatten(part), bits) for part in parts]
    return unflatten(vector_total(vectors, shards, ranks, bits), layer_sizes(parts[0]))


def vector_total(vectors: Sequence[Array], shards: int, ranks: Ranks, bits: int = 32) -> Array:
    """Return the sum, in the tree, of the vectors of all shards, which the next call may write over.

    vectors   of this rank's shards.
    """
    own = ranks.own(shards)
    places, found = dict(leaves(*own)), dict(enumerate(vectors, own[0]))
    for left, right in additions(places, shards):
        found[left] = rounded(found[left] + found[right], bits)
    return ranks.total([found[number] for number in places], shards, bits)
