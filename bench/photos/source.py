"""The digits that are photographed, in a frozen order."""

from __future__ import annotations

from typing import NamedTuple

from bench.photos import ranges
from fnnet import data
from fnnet.core import rng
from fnnet.core.params import Array


class Source(NamedTuple):
    """Digits: bytes (n, 784), their labels, and the seed of the pictures and of their order."""

    x: Array
    labels: Array
    order: Array
    seed: int

    def digit(self, number: int) -> tuple[Array, int]:
        """Return a digit, (28, 28), and its label; after the last comes the first again."""
        at = int(self.order[number % len(self.order)])
        return self.x[at].reshape(28, 28), int(self.labels[at])


def source(choice: str = "mnist", data_dir: str | None = None, *, tune: bool = False) -> Source:
    """Return the test digits of a data set, or, to tune on, its training digits."""
    loaded = data.load(choice, data_dir)
    part = loaded.train if tune else loaded.test
    assert part is not None
    seed = ranges.TUNE_SEED if tune else ranges.TEST_SEED
    return Source(part.x, part.labels, rng.order(seed, "test", len(part.labels)), seed)
