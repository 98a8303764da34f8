"""The order of the images in an epoch: of those in memory, and of those that are read as they are trained on.

These lie in pieces, such as files, each of which is read from its start to its end. In each epoch the pieces come in an
order of their own; what they are, one behind another, is cut into windows, and the images of a window come in an order
of its own. Each order is a function of (seed, epoch) and of the window's number alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from fnnet.core import rng
from fnnet.core.params import Array

WINDOW: Final = 2**16
"""Images of a window: MNIST's are 51 MB."""


class Span(NamedTuple):
    """The images from `first` to before `stop` of a piece."""

    piece: int
    first: int
    stop: int


def epoch_order(seed: int, epoch: int, images: int) -> Array:
    """Return the order of images in memory in an epoch, counted from 1: a function of (seed, epoch) alone."""
    return rng.order(seed, "shuffle", images, epoch=epoch)


def first_of_classes(labels: Array, order: Array, share: Array) -> Array:
    """Return which images are taken, bool (n,): of each class as many as its `share`, the first in an order.

    labels   classes of the images, int (n,); order their numbers; share int (classes,).

    >>> first_of_classes(np.array([0, 0, 1, 0]), np.array([3, 2, 1, 0]), np.array([2, 0])).tolist()
    [False, True, False, True]
    """
    counts = np.bincount(labels, minlength=len(share))
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.zeros(len(labels), bool)
    taken[by_class[place < np.repeat(share, counts)]] = True
    return taken


def whole_batches(window: int, batch_size: int) -> int:
    """Return the images of a window that is cut into whole batches, one at least: about `window`, at most if it can be.

    >>> whole_batches(100, 32), whole_batches(100, 128)
    (96, 128)
    """
    return max(1, window // batch_size) * batch_size


def windows(seed: int, epoch: int, sizes: Sequence[int], window: int) -> list[list[Span]]:
    """Return what each window of an epoch is read from.

    sizes    the images in each piece.
    window   images in a window; the last may have fewer.

    >>> [[tuple(span) for span in each] for each in windows(0, 1, (3, 4, 2), 5)]
    [[(2, 0, 2), (1, 0, 3)], [(1, 3, 4), (0, 0, 3)]]
    """
    found: list[list[Span]] = []
    left = 0
    for piece in rng.order(seed, "stream", len(sizes), epoch=epoch).tolist():
        first = 0
        while first < sizes[piece]:
            if not left:
                found.append([])
                left = window
            stop = min(first + left, sizes[piece])
            found[-1].append(Span(piece, first, stop))
            left -= stop - first
            first = stop
    return found


def window_order(seed: int, epoch: int, number: int, images: int) -> Array:
    """Return the order of the images of window `number`, counted from 0."""
    return rng.order(seed, "stream", images, epoch=epoch, step=number + 1)


def starts_of(sizes: Sequence[int]) -> list[int]:
    """Return the number of each piece's first image, where images are numbered from piece to piece."""
    return [0, *itertools.accumulate(sizes)][:-1]


def numbers_of(spans: Sequence[Span], starts: Sequence[int]) -> Array:
    """Return the numbers of the images of a window, int64; `starts` as `starts_of` returns them."""
    return np.concatenate([np.arange(starts[piece] + first, starts[piece] + stop) for piece, first, stop in spans])


def stream_order(seed: int, epoch: int, sizes: Sequence[int], window: int) -> Array:
    """Return the order of all images in an epoch, counted from 1, int64: what training on a stream is defined by.

    Images are numbered from piece to piece.

    >>> stream_order(0, 1, (3, 4, 2), 5).tolist()
    [7, 3, 8, 5, 4, 2, 0, 6, 1]
    """
    starts = starts_of(sizes)

    def parts() -> Iterator[Array]:
        for number, spans in enumerate(windows(seed, epoch, sizes, window)):
            numbers = numbers_of(spans, starts)
            yield numbers[window_order(seed, epoch, number, len(numbers))]

    return np.concatenate([*parts()])
