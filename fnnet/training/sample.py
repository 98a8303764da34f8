"""Some of the images that a network was trained on: enough to measure it by, and quick to go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fnnet.core.check_network import check_input
from fnnet.core.network import as_floats
from fnnet.core.params import Array, Params, count_parameters
from fnnet.data.stream import Stream
from fnnet.errors import FnnetError

if TYPE_CHECKING:
    from fnnet.training.session import Job

WORK: Final = 10**9
"""Multiply-adds of a forward pass over the sample: a few hundredths of a second, whatever the network."""
FEWEST, MOST = 128, 512
"""Images of the sample, within these limits by WORK. Of 128, one standard deviation of an accuracy at chance is 3%."""
PIECES: Final = 4
"""Files of a stream that the sample is taken from: one alone may have one class."""


class Sample(NamedTuple):
    """Images x (n, inputs) as they are stored, labels (n,), and weights (n,) or None."""

    x: Array
    labels: Array
    weights: Array | None


def sample_of(job: Job) -> Sample | None:
    """Return training images, evenly spread, at most MOST; None if those of a stream cannot be read."""
    rows = max(FEWEST, min(MOST, WORK // count_parameters(job.sizes)))
    if isinstance(job.train, Stream):
        return _sample_of_stream(job.train, rows, job.weights)
    return thinned(Sample(job.train.x, np.asarray(job.train.labels), job.weights), rows)


def thinned(sample: Sample, rows: int) -> Sample:
    """Return images of a sample, evenly spread, at most `rows`."""
    every = slice(None, None, -(-len(sample.labels) // rows))
    x, labels, weights = sample
    return Sample(x[every], labels[every], None if weights is None else weights[every])


def _sample_of_stream(stream: Stream, rows: int, weights: Array | None) -> Sample | None:
    """Return the first images of some files of a stream; None if they cannot be read.

    weights   of the classes.
    """
    numbers = np.unique(np.linspace(0, len(stream.sizes) - 1, PIECES).astype(int)).tolist()
    x: list[Array] = []
    labels: list[Array] = []
    for piece in numbers:
        count = min(-(-rows // len(numbers)), stream.sizes[piece])
        x.append(np.empty((count, stream.pixels), np.uint8))
        labels.append(np.empty(count, np.int64))
        try:
            stream.read(piece, 0, count, x[-1], labels[-1])
        except FnnetError:
            return None  # the training is finished, and what it needed was read
    known = np.concatenate(labels)
    return Sample(np.concatenate(x), known, None if weights is None else weights[known])


def floats_of(sample: Sample, params: Params) -> Array:
    """Return the images as a network with these parameters takes them."""
    return as_floats(check_input(sample.x, params), params.layers[0].W.dtype)
