"""Networks that see the same batches: side by side where their first layers are narrow, and some on each thread.

Each has the bits of its training alone. What they share is done once: reading the images, finding the pixels that are
not zero, deforming them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array, layer_sizes
from fnnet.core.shards import ALONE, Ranks
from fnnet.core.state import Examples, Objective, TrainState
from fnnet.core.table import Kernels
from fnnet.errors import DivergedError
from fnnet.kernels.layout import side_by_side
from fnnet.threads import run_each
from fnnet.training.blocks import Loop, make_blocks, rules_of
from fnnet.training.compiled_blocks import Compiled, Made


class Together:
    """Blocks of steps of one network or several.

    They differ in parameters, moments, label smoothing and figures of the optimizer only.
    """

    def __init__(
        self,
        states: Sequence[TrainState],
        batch_size: int,
        objectives: Sequence[Objective],
        optimizers: Sequence[Optimizer],
        kernels: Kernels,
        ranks: Ranks = ALONE,
    ) -> None:
        compiled = bool(rules_of(objectives, optimizers, kernels))
        self._groups = _cut(len(states), _most(states[0], compiled), kernels.threads)
        self._threads = kernels.threads
        kernels = remembering(kernels)
        own = kernels._replace(threads=max(1, kernels.threads // len(self._groups)))
        self._runners: list[Loop | Compiled] = [
            make_blocks(states[group], batch_size, objectives[group], optimizers[group], own, ranks)
            for group in self._groups
        ]  # fmt: skip

    def use(self, examples: Examples, weights: Array | None, once: bool = False) -> None:
        """Train on these examples from now on; `once` as in `blocks.Loop.use`."""
        for runner in self._runners:
            runner.use(examples, weights, once=once)

    def run(self, rows: Array | None, rates: Array, passes: int = 1) -> list[Made | DivergedError]:
        """Do as `blocks.Loop.run`, with the rates of each network."""
        tasks = [
            partial(runner.run, rows, rates[group], passes)
            for runner, group in zip(self._runners, self._groups, strict=True)
        ]
        return [each for made in run_each(tasks, self._threads) for each in made]

    @property
    def threads_used(self) -> float | None:
        """The mean number of compiled threads; None without them."""
        used = [runner.threads_used for runner in self._runners]
        busy = min(self._threads, len(used))
        return None if None in used else busy * float(np.mean([each or 0.0 for each in used]))

    def states(self) -> list[TrainState]:
        """Return the state of each network after its last step."""
        return [state for runner in self._runners for state in runner.states()]


def _most(state: TrainState, compiled: bool) -> int:
    """Return how many networks lie side by side in one runner."""
    if not compiled:
        return 1
    from fnnet.kernels.machine import machine

    return side_by_side(layer_sizes(state.params), state.params.layers[0].W.dtype, machine().vector_bytes)


def _cut(networks: int, most: int, threads: int) -> list[slice]:
    """Return the networks of each group: at most `most`, about equally many, in groups that keep all threads busy."""
    groups = max(-(-networks // most), min(networks, threads))
    if groups > threads:
        groups = min(networks, -(-groups // threads) * threads)
    edges = [networks * number // groups for number in range(groups + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def remembering(kernels: Kernels) -> Kernels:
    """Return the table with `pixels` that converts images once for all that ask for the same one after another.

    They convert with all threads of the table.
    """
    if not kernels.pixels or isinstance(kernels.pixels, _Remembering):
        return kernels
    return kernels._replace(pixels=_Remembering(kernels.pixels, kernels.threads))


class _Remembering:
    """`pixels` that remembers its last result, for the same array."""

    def __init__(self, pixels: Any, threads: int) -> None:
        self._pixels, self._threads = pixels, threads
        self._lock = threading.Lock()
        self._last: tuple[Any, Any, Any] = (None, None, None)

    def __call__(self, x: Array, dtype: Any, _: int) -> Any:
        with self._lock:
            if self._last[0] is not x or self._last[1] != dtype:
                self._last = (x, dtype, self._pixels(x, dtype, self._threads))
            return self._last[2]
