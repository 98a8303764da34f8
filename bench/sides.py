"""One checkout in one process: `python -m bench.sides THREADS` measures what `bench.against` asks for.

PYTHONPATH leads to the `fnnet` of that checkout and to this `bench`. It reads {"prepare": NAME}, then {} for every
measurement, and answers with figures by name, in seconds or numbers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.workers import fnnet_run, settled
from bench.workloads import COUNTS, RATE, WORKLOADS

Figures = dict[str, float]
BATCH = 32
SIZES = (784, 10, 10)


def _rows(count: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (count, SIZES[0])).astype(np.uint8)
    x[draw.random(x.shape) < 0.81] = 0
    return x, draw.integers(0, SIZES[-1], count)


def bare_forward(layers: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    """Return the rows as floats, the hidden pre-activations and activations, and the logits."""
    (W1, b1), (W2, b2) = layers
    rows = np.divide(x, 255, dtype=np.float32)
    z1 = rows @ W1 + b1
    a1 = np.maximum(z1, 0)
    return rows, z1, a1, a1 @ W2 + b2


def bare_softmax(logits: Any) -> tuple[Any, Any]:
    """Return the probabilities and the logarithms of their sums."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    return exponentials / sums, shifted - np.log(sums)


def bare_step(layers: Any, x: Any, labels: Any, rate: float) -> tuple[Any, float]:
    """One step of training in the fewest NumPy lines: division, forward, mean loss, backward, update."""
    rows, z1, a1, logits = bare_forward(layers, x)
    probs, logs = bare_softmax(logits)
    every = np.arange(len(x))
    loss = -logs[every, labels].mean()
    probs[every, labels] -= 1
    dz2 = probs / len(x)
    (W1, b1), (W2, b2) = layers
    dz1 = (dz2 @ W2.T) * (z1 > 0)
    first = W1 - rate * (rows.T @ dz1), b1 - rate * dz1.sum(axis=0)
    second = W2 - rate * (a1.T @ dz2), b2 - rate * dz2.sum(axis=0)
    return (first, second), float(loss)


def _in_turns(ours: Callable[[], Any], bare: Callable[[], Any]) -> Figures:
    """Return the median seconds of both, called in turns for a third of a second."""
    taken: tuple[list[float], list[float]] = [], []
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        for action, times in zip((ours, bare), taken, strict=True):
            began = time.perf_counter()
            action()
            times.append(time.perf_counter() - began)
    seconds, lines = (median(times[len(times) // 10 :]) for times in taken)
    return {"seconds": seconds, "over bare": seconds / lines}


def step() -> Callable[[], Figures]:
    """Prepare one step of training with NumPy's kernels, and the same in bare lines."""
    import fnnet

    params = fnnet.init(SIZES, seed=0)
    x, labels = _rows(BATCH)
    state = fnnet.TrainState(params, fnnet.SGD.init(params), 0, 0)
    made, loss, _ = fnnet.train_step(state, x, labels, RATE)
    bare, bare_loss = bare_step(params.layers, x, labels, RATE)
    np.testing.assert_allclose(loss, bare_loss, rtol=1e-5)
    for layer, arrays in zip(made.params.layers, bare, strict=True):
        for found, wanted in zip(layer, arrays, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    return partial(
        _in_turns, partial(fnnet.train_step, state, x, labels, RATE), partial(bare_step, params.layers, x, labels, RATE)
    )


def one_row() -> Callable[[], Figures]:
    """Prepare the forward pass of one row with NumPy's kernels, and the same in bare lines."""
    import fnnet

    params, (x, _) = fnnet.init(SIZES, seed=0), _rows(1)

    def bare() -> Any:
        return bare_softmax(bare_forward(params.layers, x)[-1])[0]

    np.testing.assert_allclose(fnnet.forward(params, x).probs, bare(), rtol=1e-5)
    return partial(_in_turns, partial(fnnet.forward, params, x), bare)


def frames() -> Callable[[], Figures]:
    """Prepare one step of training with NumPy's kernels of which the frames entered in fnnet's files are counted."""
    import fnnet

    params, (x, labels) = fnnet.init(SIZES, seed=0), _rows(BATCH)
    state = fnnet.TrainState(params, fnnet.SGD.init(params), 0, 0)
    folder = str(Path(fnnet.__file__).parent) + os.sep

    def count() -> Figures:
        entered = 0

        def profile(frame: Any, event: str, _: Any) -> None:
            nonlocal entered
            entered += event == "call" and frame.f_code.co_filename.startswith(folder)

        sys.setprofile(profile)
        try:
            fnnet.train_step(state, x, labels, RATE)
        finally:
            sys.setprofile(None)
        return {"frames": entered}

    count()  # the first step imports what it needs
    return count


def workload(name: str, threads: int) -> Callable[[], Figures]:
    """Prepare a row of the table of docs/performance.md."""
    work = next(work for work in WORKLOADS if work.name == name)
    run = fnnet_run(work, COUNTS[work.kind], threads)
    assert run
    run()
    return lambda: {"seconds": settled(run)}


NUMPY = {"step": step, "one row": one_row, "frames": frames}
"""What needs no compiled kernels."""


def main() -> None:
    """Reply to each line until standard input ends."""
    threads = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    measure: Callable[[], Figures] | None = None
    for line in sys.stdin:
        asked: dict[str, str] = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "prepare" in asked:
                name = asked["prepare"]
                measure = NUMPY[name]() if name in NUMPY else workload(name, threads)
            elif measure:
                answer = measure()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
