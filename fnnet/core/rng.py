"""Counter-based random numbers: a pure function of (seed, purpose, epoch, step, position).

The generator is Philox4x64-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011,
doi:10.1145/2063384.2063405). Its key is (seed, purpose) and its counter is (block, step, epoch, 0): word w of a
stream is word w % 4 of block w // 4. No state is kept between calls, so a resumed run, another thread or another rank
draws the same numbers. NumPy generates the raw words; they are converted to floats and permutations here, because
NumPy keeps the words of a bit generator stable across versions, but not the methods of `Generator`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fnnet.core.checks import check_count, one_number, shown
from fnnet.errors import ArgumentTypeError, UsageError

SCHEME: Final = "philox4x64-10/1"
"""Name and version of the mapping from stream to numbers; stored with every state that depends on it."""

PURPOSES: Final = MappingProxyType(
    {"init": 1, "shuffle": 2, "split": 3, "show": 4, "check": 5, "augment": 6, "dropout": 7, "stream": 8, "test": 9}
)


def check_seed(seed: Any, name: str = "seed") -> int:
    """Return `seed`, or another part of a stream's key, as an int in [0, 2**64); raise UsageError otherwise.

    It may also be an array of one integer, of any library.
    """
    if type(seed) is not int:
        seed = one_number(f"{name} is not an integer", seed, "iu", "0 to 2**64 - 1")
    if not isinstance(seed, (int, np.integer)):
        raise ArgumentTypeError(f"{name} is not an integer", expected="0 to 2**64 - 1", found=shown(seed))
    if not 0 <= seed < 2**64:
        raise UsageError(f"{name} out of range", expected="0 to 2**64 - 1", found=shown(seed))
    return int(seed)


def words(seed: int, purpose: str, count: int, *, epoch: int = 0, step: int = 0, start: int = 0) -> NDArray[np.uint64]:
    """Return `count` words (uint64) of the stream (seed, purpose, epoch, step), from word `start` on.

    Raises   UsageError for a seed, epoch, step or start outside [0, 2**64), an unknown purpose or a negative count.
    """
    epoch, step, start = check_seed(epoch, "epoch"), check_seed(step, "step"), check_seed(start, "start")
    count = check_count("count", count, 0)
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise UsageError("unknown purpose", expected=", ".join(PURPOSES), found=shown(purpose))
    first_block, skip = divmod(start, 4)
    # NumPy's Philox increments its counter before it draws, so it starts one lower (modulo 2**256).
    counter = ((epoch << 128 | step << 64 | first_block) - 1) % 2**256
    key = check_seed(seed) | PURPOSES[purpose] << 64
    raw = np.random.Philox(counter=counter, key=key).random_raw(skip + count)
    return np.asarray(raw, dtype=np.uint64)[skip:]


def uniform(
    seed: int, purpose: str, count: int, *, epoch: int = 0, step: int = 0, start: int = 0
) -> NDArray[np.float64]:
    """Return `count` float64 in [0, 1): the upper 53 bits of each word, times 2**-53. Exact on every machine."""
    upper = words(seed, purpose, count, epoch=epoch, step=step, start=start) >> np.uint64(11)
    return upper.astype(np.float64) * 2.0**-53


def order(seed: int, purpose: str, n: int, *, epoch: int = 0, step: int = 0) -> NDArray[np.int64]:
    """Return a permutation of range(n): the indices sorted by random keys.

    Each index replaces the low bits of its word, so that all keys differ and every sorting algorithm gives the same
    order.
    Raises   UsageError as `words` does, and for n below 0.
    """
    n = check_count("n", n, 0)
    bits = np.uint64(max(n - 1, 1).bit_length())
    # In place: an array of 60,000 numbers for each operation cost a third of the time, in pages that the system zeros.
    keyed = words(seed, purpose, n, epoch=epoch, step=step)
    keyed >>= bits
    keyed <<= bits
    keyed |= np.arange(n, dtype=np.uint64)
    keyed.sort()
    keyed &= (np.uint64(1) << bits) - np.uint64(1)
    return keyed.view(np.int64)
