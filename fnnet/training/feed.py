"""Where training takes its images from: memory, or a stream, of which a window is in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnnet.core import deform
from fnnet.core.check_network import as_input
from fnnet.core.checks import check_labels, check_weights
from fnnet.core.orders import WINDOW, Span, epoch_order, numbers_of, starts_of, whole_batches, window_order, windows
from fnnet.core.params import Array
from fnnet.core.shards import Ranks
from fnnet.core.state import Examples, TrainState
from fnnet.core.table import Kernels
from fnnet.data.stream import Stream
from fnnet.threads import Helper, beside, free_helpers
from fnnet.training.plan import Plan


class Part(NamedTuple):
    """The images that come next in an epoch.

    examples   what `rows` are the numbers in; the same object as long as it is.
    weights    of the examples; None for equal ones.
    rows       the images, in their order; None for all examples as they lie.
    numbers    those of the images in the whole data set.
    """

    examples: Examples
    weights: Array | None
    rows: Array | None
    numbers: Array


class InMemory:
    """Images in memory, in the order of `orders.epoch_order`; where a batch has all of them, as they lie.

    whole           all examples and their weights; None where they are not in memory.
    is_full_batch   whether each step reads all of them.
    """

    def __init__(self, examples: Examples, weights: Array | None, batch_size: int, seed: int) -> None:
        n = len(examples.labels)
        self.whole: tuple[Examples, Array | None] | None = (examples, weights)
        self.is_full_batch = batch_size == n
        self._examples, self._weights, self._seed, self._order = examples, weights, seed, np.arange(n)

    def begin(self, epoch: int) -> None:
        """Go to an epoch, counted from 1."""
        if not self.is_full_batch:
            self._order = epoch_order(self._seed, epoch, len(self._order))

    def part(self, first: int, most: int) -> Part:
        """Return the images from place `first` in the epoch on, at most `most`; of a full batch, all."""
        rows = self._order if self.is_full_batch else self._order[first : first + most]
        return Part(self._examples, self._weights, None if self.is_full_batch else rows, rows)

    def close(self) -> None:
        """Give back what it holds beside memory."""


def make_feed(
    train: Examples | Stream, weights: Any, plan: Plan, state: TrainState, image_shape: tuple[int, int] | None,
    kernels: Kernels, ranks: Ranks,
) -> InMemory | Streamed:  # fmt: skip
    """Return where the images of a training by `plan` come from; arguments as `epochs.epochs`, here checked."""
    params = state.params
    classes = params.layers[-1].W.shape[1]
    if isinstance(train, Stream):
        given = check_weights(weights, classes)
        batch_size = min(plan.batch_size or train.images, train.images)
        if plan.deformation:
            deform.check_images(np.empty((0, train.pixels), np.uint8), image_shape)
        batch_size *= plan.local_steps  # a window ends where shards take their mean
        return Streamed(train, given, batch_size, state.seed, plan.window or WINDOW, plan.epochs, ranks)
    n = len(train.x)
    batch_size = min(plan.batch_size or n, n)
    examples, given = Examples(train.x, check_labels(train.labels, (n, classes))), check_weights(weights, n)
    if plan.deformation:
        deform.check_images(train.x, image_shape)
    elif batch_size == n and not kernels.compiled:
        # Every step reads all images: convert the bytes to floats once.
        examples = examples._replace(x=as_input(train.x, params))
    return InMemory(examples, given, batch_size, state.seed)


def deformed(
    part: Part, own: Array, image_shape: tuple[int, int], deformation: deform.Deformation, seed: int, epoch: int,
    kernels: Kernels,
) -> Part:  # fmt: skip
    """Return a part of the images, deformed as in this epoch, as one that is trained on from its first row on.

    own   the rows that this process needs; the others stay blank, in memory that is not touched and costs nothing.
    """
    n = len(part.numbers)
    rows = np.arange(n) if part.rows is None else part.rows
    weights, labels = None if part.weights is None else part.weights[rows], part.examples.labels[rows]
    some = own if len(own) < n else slice(None)
    x, numbers = np.asarray(part.examples.x)[rows[some]], part.numbers[some]
    found = deform.deform(x, image_shape, deformation, seed=seed, epoch=epoch, samples=numbers, kernels=kernels)
    if len(own) < n:
        x = np.zeros((n, x.shape[1]), np.uint8)
        x[own] = found
        found = x
    return Part(Examples(found, labels), weights, np.arange(n), part.numbers)


class _Window(NamedTuple):
    """A window in memory: its epoch and number, and its images in the order in which they lie.

    order     in which they are trained on.
    numbers   of the images in the whole stream.
    """

    place: tuple[int, int]
    examples: Examples
    weights: Array | None
    order: Array
    numbers: Array


class Streamed:
    """Images of a stream, in the order of `orders.stream_order`: a window is trained on while the next is read.

    weights   of the classes; None for equal ones.
    window    images of a window, about.
    epochs    that will be asked for, at most.
    ranks     all of which read each window.
    """

    whole = None
    is_full_batch = False

    def __init__(
        self, stream: Stream, weights: Array | None, batch_size: int, seed: int, window: int, epochs: int, ranks: Ranks
    ) -> None:
        self._stream, self._weights, self._seed, self._epochs, self._ranks = stream, weights, seed, epochs, ranks
        self._window = whole_batches(window, batch_size)
        shape = (min(self._window, stream.images), stream.pixels)
        self._buffers = [Examples(np.empty(shape, np.uint8), np.empty(shape[0], np.int64)) for _ in range(2)]
        self._starts = starts_of(stream.sizes)
        self._spans: Sequence[Sequence[Span]] = ()
        self._epoch = 0
        self._taken: _Window | None = None
        self._ahead: _Ahead | None = None

    def begin(self, epoch: int) -> None:
        """Do as `InMemory.begin`."""
        self._epoch, self._spans = epoch, self._windows(epoch)

    def _windows(self, epoch: int) -> Sequence[Sequence[Span]]:
        return windows(self._seed, epoch, self._stream.sizes, self._window)

    def part(self, first: int, most: int) -> Part:
        """Do as `InMemory.part`; of one window at most.

        Raises   FnnetError, in all ranks, for files that are damaged or not there.
        """
        number, at = divmod(first, self._window)
        if self._taken is None or self._taken.place != (self._epoch, number):
            self._taken = self._take(number)
        window = self._taken
        rows = window.order[at : at + most]
        return Part(window.examples, window.weights, rows, window.numbers[rows])

    def _take(self, number: int) -> _Window:
        """Return a window of this epoch, and begin to read the next, into the memory of the one before."""
        place, ahead = (self._epoch, number), self._ahead
        with self._ranks.slow():
            found = ahead.result() if ahead else None
            if ahead is None or ahead.place != place:
                found = self._try(place, self._spans[number])
        self._ahead = None
        errors = self._ranks.gather(found if isinstance(found, Exception) else None)
        if error := next(filter(None, errors), None):
            raise error
        assert isinstance(found, _Window)
        self._buffers.reverse()
        following = (self._epoch, number + 1) if number + 1 < len(self._spans) else (self._epoch + 1, 0)
        if following[0] <= self._epochs:
            spans = self._spans if following[0] == self._epoch else self._windows(following[0])
            self._ahead = _Ahead.begin(self, following, spans[following[1]])
        return found

    def _try(self, place: tuple[int, int], spans: Sequence[Span]) -> _Window | Exception:
        """Read a window into the first buffer; return it, or the error."""
        try:
            return self._load(place, spans)
        except Exception as error:
            return error

    def _load(self, place: tuple[int, int], spans: Sequence[Span]) -> _Window:
        filled = 0
        x, labels = self._buffers[0]
        for piece, first, stop in spans:
            into = slice(filled, filled + stop - first)
            self._stream.read(piece, first, stop, x[into], labels[into])
            filled += stop - first
        # Of each window an object of its own: what is made of images is remembered for these.
        examples = Examples(x[:filled], labels[:filled])
        weights = None if self._weights is None else self._weights[examples.labels]
        epoch, number = place
        order = window_order(self._seed, epoch, number, filled)
        return _Window(place, examples, weights, order, numbers_of(spans, self._starts))

    def close(self) -> None:
        """Do as `InMemory.close`: wait for what is being read."""
        if self._ahead:
            self._ahead.result()
            self._ahead = None


class _Ahead:
    """A window that another thread reads."""

    def __init__(self, place: tuple[int, int], helper: Helper) -> None:
        self.place = place
        self._helper: Helper | None = helper
        self._found: Any = None

    @classmethod
    def begin(cls, feed: Streamed, place: tuple[int, int], spans: Sequence[Span]) -> _Ahead | None:
        """Begin to read; None where the system grants no thread."""
        for helper in free_helpers(1):
            ahead = cls(place, helper)

            def work(ahead: _Ahead = ahead) -> None:
                with beside.work():
                    ahead._found = feed._try(place, spans)

            helper.begin(work)
            return ahead
        return None

    def result(self) -> _Window | Exception:
        """Wait for the window, or the error."""
        helper, self._helper = self._helper, None  # first: who waits may be interrupted, and must not wait again
        if helper:
            helper.wait()
        found: _Window | Exception = self._found
        return found
