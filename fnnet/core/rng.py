"""Randomness as a function of its place: (seed, purpose, epoch, step, sample) -> numbers.

The generator is Philox4x64-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011,
doi:10.1145/2063384.2063405). Its key is (seed, purpose) and its counter is (block, step, epoch, 0): word w of a place
is word w % 4 of block w // 4. Nothing is remembered between calls, so a resumed run, another thread or another rank
draws the same numbers. NumPy supplies the raw words; the conversions to floats and orders are written here, because
NumPy promises the words of a bit generator across versions but not what `Generator` makes of them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fnnet.core.checks import check_count, shown
from fnnet.errors import ArgumentTypeError, UsageError

SCHEME: Final = "philox4x64-10/1"
"""Name of the whole recipe from place to number; stored with everything that was drawn by it."""

PURPOSES: Final = MappingProxyType(
    {"init": 1, "shuffle": 2, "split": 3, "show": 4, "check": 5, "augment": 6, "dropout": 7}
)


def check_seed(seed: Any, name: str = "seed") -> int:
    """`seed`, or another number of a place, as an int in [0, 2**64), else UsageError."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ArgumentTypeError(f"{name} is not an integer", expected="0 to 2**64 - 1", found=repr(seed))
    if not 0 <= seed < 2**64:
        raise UsageError(f"{name} out of range", expected="0 to 2**64 - 1", found=shown(seed))
    return int(seed)


def words(seed: int, purpose: str, count: int, *, epoch: int = 0, step: int = 0, start: int = 0) -> NDArray[np.uint64]:
    """`count` 64-bit words (uint64) of the stream (seed, purpose, epoch, step), from word `start` on.

    Raises   UsageError unless the place's numbers are in [0, 2**64) and the purpose is known, and for a count below 0.
    """
    epoch, step, start = check_seed(epoch, "epoch"), check_seed(step, "step"), check_seed(start, "start")
    count = check_count("count", count, 0)
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise UsageError("unknown purpose", expected=", ".join(PURPOSES), found=repr(purpose))
    first_block, skip = divmod(start, 4)
    # NumPy's Philox counts up before it draws, so the counter given to it is one less (modulo 2**256).
    counter = ((epoch << 128 | step << 64 | first_block) - 1) % 2**256
    key = check_seed(seed) | PURPOSES[purpose] << 64
    raw = np.random.Philox(counter=counter, key=key).random_raw(skip + count)
    return np.asarray(raw, dtype=np.uint64)[skip:]


def uniform(
    seed: int, purpose: str, count: int, *, epoch: int = 0, step: int = 0, start: int = 0
) -> NDArray[np.float64]:
    """`count` float64 in [0, 1): the upper 53 bits of each word, times 2**-53. Exact on every machine."""
    upper = words(seed, purpose, count, epoch=epoch, step=step, start=start) >> np.uint64(11)
    return upper.astype(np.float64) * 2.0**-53


def order(seed: int, purpose: str, n: int, *, epoch: int = 0) -> NDArray[np.int64]:
    """A permutation of range(n): the indices sorted by a random key.

    Each index takes the place of its word's low bits, so that one plain sort of numbers that all differ gives the
    same order with any sorting algorithm.
    Raises   UsageError as `words`, and for n below 0.
    """
    n = check_count("n", n, 0)
    bits = np.uint64(max(n - 1, 1).bit_length())
    keyed = (words(seed, purpose, n, epoch=epoch) >> bits << bits) | np.arange(n, dtype=np.uint64)
    keyed.sort()
    return (keyed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
