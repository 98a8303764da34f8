"""A stream: labelled images that are read piece by piece, as those that do not fit in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.core.state import Examples, Preprocessing
from fnnet.data.dataset import PLAIN
from fnnet.data.notes import Note
from fnnet.data.origin import ARRAYS, Origin


class Stream(ABC):
    """Labelled images in pieces, of which a part is read at a time.

    It can be pickled, for processes that train together: each reads by itself.

    sizes         images in each piece.
    pixels        of an image.
    counts        images of each class.
    fingerprint   a digest of the images and labels in their order.
    names         of the files of the pieces.
    left_out      pieces that are damaged, and left out: all else is as if there were none.
    """

    sizes: tuple[int, ...]
    pixels: int
    counts: tuple[int, ...]
    fingerprint: str
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(self.sizes)

    @abstractmethod
    def read(self, piece: int, first: int, stop: int, x: Array, labels: Array) -> None:
        """Read the images from `first` to before `stop` of a piece into `x` and `labels`.

        x        uint8 (stop - first, pixels).
        labels   int64 (stop - first,), in [0, classes).
        Raises   FnnetError, naming the file, for a piece that is damaged or not there.
        """

    def batches(self, most: int) -> Iterator[Examples]:
        """Yield all images in the order of their numbers, at most `most` at a time."""
        return self.spread(self.images, most)

    def spread(self, images: int, most: int) -> Iterator[Examples]:
        """Yield about `images` of all images, the first of each piece, at most `most` at a time; all if there are no
        more.
        """
        total = self.images
        for piece, size in enumerate(self.sizes):
            share = size if images >= total else -(-size * images // total)
            for first in range(0, share, most):
                count = min(most, share - first)
                examples = Examples(np.empty((count, self.pixels), np.uint8), np.empty(count, np.int64))
                self.read(piece, first, first + count, *examples)
                yield examples

    def relabelled(self, order: Array, n: int) -> Stream:
        """Return the same images with label `order[k]` in place of k, in [0, n)."""
        return _Relabelled(self, order, n)


class _Relabelled(Stream):
    """A stream whose labels are others."""

    def __init__(self, stream: Stream, order: Array, n: int) -> None:
        self._stream, self._order = stream, order
        self.sizes, self.pixels, self.names, self.left_out = stream.sizes, stream.pixels, stream.names, stream.left_out
        self.counts = tuple(np.bincount(order, weights=stream.counts, minlength=n).astype(np.int64).tolist())
        self.fingerprint = hashlib.sha256(f"{stream.fingerprint},{order.tolist()}".encode()).hexdigest()

    def read(self, piece: int, first: int, stop: int, x: Array, labels: Array) -> None:
        """Do as `Stream.read`."""
        self._stream.read(piece, first, stop, x, labels)
        labels[:] = self._order[labels]


class StreamedDataset(NamedTuple):
    """A data set whose training images are a stream; fields as those of `Dataset`.

    dev      images for validation, which are held out of a stream when it is made; None for none.
    """

    name: str
    source: str
    train: Stream
    dev: Examples | None
    test: Examples | None
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    preprocessing: Preprocessing = PLAIN
    notes: tuple[Note, ...] = ()
    numbered: bool = False
    origin: Origin = ARRAYS

    def __repr__(self) -> str:
        (height, width), counts = self.image_shape, []
        for part, count in (("train", self.train.images), ("dev", count_of(self.dev)), ("test", count_of(self.test))):
            counts += [f"{count:,} {part}"] if count else []
        return (
            f"StreamedDataset({self.name}, {', '.join(counts)} images of {height}x{width}, {len(self.classes)} classes)"
        )


def count_of(part: Examples | Stream | None) -> int:
    """Return how many images a part of a data set has."""
    if part is None:
        return 0
    return part.images if isinstance(part, Stream) else len(part.labels)


class Fingerprint:
    """The digest of images and labels that come in batches, which is that of all at once."""

    def __init__(self) -> None:
        self._images, self._labels = hashlib.sha256(), list[Array]()

    def add(self, examples: Examples) -> None:
        """Add images and their labels behind those so far."""
        self._images.update(np.ascontiguousarray(examples.x).data)
        self._labels.append(examples.labels.astype(np.uint32))

    def hexdigest(self) -> str:
        """Return the digest."""
        found = self._images.copy()
        for labels in self._labels:
            found.update(labels.astype("<i8").data)
        return found.hexdigest()


def fingerprint_of(examples: Examples | Stream) -> str:
    """Return a digest of images and labels, in their order; of a stream its own, which is another than that of all."""
    if isinstance(examples, Stream):
        return examples.fingerprint
    found = Fingerprint()
    found.add(examples)
    return found.hexdigest()
