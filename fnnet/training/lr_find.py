"""The learning-rate range test: train once while the rate grows, and find where the loss falls fastest.

Smith 2017, arXiv:1506.01186. `rate_search` begins with it, and suggests a rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.check_network import check_examples
from fnnet.core.checks import as_array, check_amount, check_count
from fnnet.core.optimizers import Optimizer
from fnnet.core.orders import epoch_order
from fnnet.core.params import Array
from fnnet.core.public_optimizers import SGD
from fnnet.core.state import PLAIN, Examples, Objective, TrainState
from fnnet.core.table import NUMPY, Kernels
from fnnet.errors import DivergedError, UsageError
from fnnet.limits import MIN_RANGE_TEST_STEPS
from fnnet.training.blocks import train_block
from fnnet.training.steps import check_work

MEMORY: Final = 0.9
"""Fraction of the smoothed loss that each step keeps."""
TOO_HIGH: Final = 4.0
"""The test ends when the smoothed loss exceeds this many times its smallest value."""


class RangeTest(NamedTuple):
    """The figures of each step of a test, and what follows from them.

    rates       learning rates, growing by the same factor from step to step.
    losses      mean loss of the step's batch, nats, before the step.
    smoothed    their exponential average, which keeps MEMORY of itself at each step, corrected for its start at 0.
    steepest    the rate where the loss falls fastest on its way to the minimum; None if it does not fall.
    at_minimum  the rate of the smallest smoothed loss; None if too few steps were made.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None
    at_minimum: float | None


def range_test(
    state: TrainState,
    examples: Examples,
    batch_size: int,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 200,
    objective: Objective = PLAIN,
    optimizer: Optimizer = SGD,
    kernels: Kernels = NUMPY,
) -> RangeTest:
    """Train from `state` on `steps` mini-batches, in the order of training, at rates from `low` up to `high`.

    It ends early when the smoothed loss exceeds TOO_HIGH times its smallest, or training diverges: that step is left
    out. No state of the training is kept.

    Raises   UsageError unless 0 < low < high, both finite, steps >= MIN_RANGE_TEST_STEPS and batch_size >= 1.
    """
    state = check_work(state, objective, optimizer)
    examples = check_examples(examples)
    steps, batch_size = check_count("steps", steps, MIN_RANGE_TEST_STEPS), check_count("batch_size", batch_size, 1)
    low, high = check_amount("low", low, above=True), check_amount("high", high, above=True)
    if low >= high:
        raise UsageError("low is not below high", expected=f"low < {high:g}", found=f"{low:g}")
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average, best = 0.0, math.inf
    batches = _batches(state.seed, examples, batch_size)
    for rate, rows in zip(np.geomspace(low, high, steps).tolist(), batches, strict=False):
        try:
            state, loss_sum, _ = train_block(
                state, examples, rows, batch_size, rate, objective=objective, optimizer=optimizer, kernels=kernels
            )
        except DivergedError:
            break
        loss = loss_sum / len(rows)
        average = MEMORY * average + (1 - MEMORY) * loss
        now = average / (1 - MEMORY ** (len(losses) + 1))
        if now > TOO_HIGH * best:
            break
        best = min(best, now)
        rates.append(rate)
        losses.append(loss)
        smoothed.append(now)
    window = max(MIN_RANGE_TEST_STEPS, steps // 8)
    found = falls(np.array(rates), np.array(losses), np.array(smoothed), window)
    return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), *found)


def falls(rates: Array, losses: Array, smoothed: Array, window: int) -> tuple[float | None, float | None]:
    """Return (steepest, at_minimum) of a test, as `RangeTest` describes them.

    `steepest` is the middle of the `window` consecutive steps, none beyond the minimum, over which the least-squares
    line through the losses over the logarithm of the rate falls most. It is taken from the losses themselves, as the
    smoothed ones lag behind.

    Raises   UsageError unless all three are numbers of the same shape (n,), and window >= 1.
    """
    window = check_count("window", window, 1)
    rates, losses, smoothed = (as_array("curve", each, "fiu", "numbers") for each in (rates, losses, smoothed))
    if not (rates.ndim == 1 and rates.shape == losses.shape == smoothed.shape):
        found = ", ".join(str(each.shape) for each in (rates, losses, smoothed))
        raise UsageError("curve", expected="rates, losses and smoothed losses, each (n,)", found=found)
    if len(rates) < window:
        return None, None
    centred = np.arange(window) - (window - 1) / 2
    lowest = int(smoothed.argmin())
    slopes = np.correlate(losses, centred, mode="valid")[: max(lowest - window + 2, 0)]
    if not slopes.size or slopes.min() >= 0:
        return None, float(rates[lowest])
    place = int(slopes.argmin())
    return math.sqrt(rates[place] * rates[place + window - 1]), float(rates[lowest])


def _batches(seed: int, examples: Examples, batch_size: int) -> Iterator[Array]:
    """Yield the rows of one mini-batch after another, in the order of training."""
    n = len(examples.x)
    for epoch in itertools.count(1):
        order = epoch_order(seed, epoch, n)
        yield from (order[first : first + batch_size] for first in range(0, n, batch_size))
