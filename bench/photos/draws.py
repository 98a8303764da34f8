"""Random numbers of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from bench.photos.ranges import Range
from fnnet.core import rng
from fnnet.core.params import Array

T = TypeVar("T")
BYTES = 2**20
"""Bytes are drawn from this word of the stream on, single numbers before it."""


class Draws:
    """The stream of (seed, set, picture): each call draws further numbers from it."""

    def __init__(self, seed: int, which: int, number: int) -> None:
        self._key = (seed, which, number)
        self._singles: list[float] = []
        self._at, self._bytes_at = 0, BYTES

    def share(self) -> float:
        """Return a number from 0 on below 1."""
        if not self._singles:
            seed, which, number = self._key
            drawn = rng.uniform(seed, "test", 64, epoch=which, step=number, start=self._at)
            self._singles = drawn.tolist()[::-1]
            self._at += 64
        return self._singles.pop()

    def within(self, limits: Range) -> float:
        """Return a number of a range."""
        return limits.low + (limits.high - limits.low) * self.share()

    def chance(self, share: float) -> bool:
        """Return True for this share of all calls."""
        return self.share() < share

    def whole(self, first: int, last: int) -> int:
        """Return a number from `first` to `last`, both included."""
        return first + int(self.share() * (last - first + 1))

    def one_of(self, values: Sequence[T]) -> T:
        """Return one of some values."""
        return values[self.whole(0, len(values) - 1)]

    def noise(self, *shape: int) -> Array:
        """Return bytes of this shape, int64."""
        count = int(np.prod(shape))
        seed, which, number = self._key
        drawn = rng.words(seed, "test", -(-count // 8), epoch=which, step=number, start=self._bytes_at)
        self._bytes_at += len(drawn)
        return drawn.astype("<u8").view(np.uint8)[:count].reshape(shape).astype(np.int64)
