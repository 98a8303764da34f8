"""One library in one process: `python -m bench.workers NAME THREADS` reads JSON lines and writes one for each.

{"work": the fields of a workload, "count": images} prepares it, {} measures it. What predicts is in `bench.engines`:
its answers are compared with NumPy's before they are timed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np

from bench.engines import ENGINES, Engine, checked, fnnet_engine, task_of
from bench.workloads import COUNTS, RATE, Workload, images_and_labels

Run = Callable[[], float]
"""Runs the workload once and returns the seconds it took."""


def _timed(action: Callable[[], Any]) -> Run:
    def run() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return run


def _answering(engine: Engine, work: Workload, x: Any) -> Run:
    """Answer for all images at once, or for a thousand one at a time: the seconds are those of one."""
    if work.kind == "many":
        return _timed(lambda: engine.answer(x))
    rows = [x[i : i + 1] for i in range(min(COUNTS["one"], len(x)))]

    def each() -> None:
        for row in rows:
            engine.answer(row)

    timed = _timed(each)
    return lambda: timed() / len(rows)


def _floats(work: Workload, count: int) -> tuple[Any, Any]:
    x, labels = images_and_labels(work, count)
    return (x if x.dtype == np.float32 else np.divide(x, 255, dtype=np.float32)), labels


def _initial(work: Workload) -> Any:
    import fnnet

    return fnnet.init(work.sizes, 0)


def module(*names: str) -> Any:
    """Return fnnet's first module of these that there is: the names in this checkout, then those in older ones."""
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            return import_module(f"fnnet.{name}")
    raise ModuleNotFoundError(f"none of {', '.join(names)} is in fnnet")


def fnnet_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run fnnet as a user calls it; an epoch includes its shuffle."""
    import fnnet

    x, labels = images_and_labels(work, count)
    if work.kind in ("one", "many"):
        return _answering(fnnet_engine(task_of(work, x, threads)), work, x)
    epochs, plans, state = (
        module("training.epochs", "train"),
        module("training.plan", "plan"),
        module("core.state", "network"),
    )
    kernels = fnnet.load_kernels("numba", threads=threads)
    batch = work.batch if work.kind == "train" else None
    every = 1 if work.kind == "train" else 10
    plan = plans.Plan(10**9, batch, RATE, report_every=every)
    training = epochs.start(_initial(work), 0, plan)
    reached: Iterator[Any] = epochs.epochs(training, state.Examples(x, labels), plan, kernels=kernels)
    timed = _timed(lambda: next(reached))
    return lambda: timed() / every


def numpy_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run NumPy: full-batch training in float64, as the notebook that its recipe comes from."""
    if work.kind != "step":
        return None
    x, labels = _floats(work, count)
    return _timed(_notebook_step(x.astype(np.float64).T.copy(), labels, work.sizes))


def _notebook_step(x: Any, labels: Any, sizes: tuple[int, ...]) -> Callable[[], None]:
    draw, n = np.random.default_rng(0), x.shape[1]
    W1, b1 = draw.random(sizes[1::-1]) - 0.5, draw.random((sizes[1], 1)) - 0.5
    W2, b2 = draw.random(sizes[2:0:-1]) - 0.5, draw.random((sizes[2], 1)) - 0.5
    onehot = np.zeros((sizes[2], n))
    onehot[labels, np.arange(n)] = 1

    def step() -> None:
        nonlocal W1, b1, W2, b2
        z1 = W1 @ x + b1
        a1 = np.maximum(z1, 0)
        z2 = W2 @ a1 + b2
        e = np.exp(z2 - z2.max(axis=0))
        dz2 = (e / e.sum(axis=0) - onehot) / n
        dz1 = (W2.T @ dz2) * (z1 > 0)
        W2, b2 = W2 - RATE * dz2 @ a1.T, b2 - RATE * dz2.sum(axis=1, keepdims=True)
        W1, b1 = W1 - RATE * dz1 @ x.T, b1 - RATE * dz1.sum(axis=1, keepdims=True)

    return step


def torch_run(work: Workload, count: int, threads: int, compiled: bool = False) -> Run | None:
    """Run PyTorch, eager or compiled, with the data as a tensor in memory and the fused optimizer."""
    import torch

    if work.kind != "train":
        return None
    torch.set_num_threads(threads)
    x, labels = (torch.from_numpy(np.ascontiguousarray(part)) for part in _floats(work, count))
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(work.sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss(rows: Any, wanted: Any) -> Any:
        return loss_of(model(rows), wanted)

    run_loss = torch.compile(loss) if compiled else loss

    def epoch() -> None:
        order = torch.randperm(len(x))
        for first in range(0, len(x) - work.batch + 1, work.batch):
            rows = order[first : first + work.batch]
            optimizer.zero_grad(set_to_none=True)
            run_loss(x[rows], labels[rows]).backward()
            optimizer.step()

    return _timed(epoch)


def jax_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run JAX: the whole epoch is one jitted scan over its batches, with donated parameters."""
    if work.kind != "train":
        return None
    import jax
    from jax import numpy as jnp

    x, labels = (jnp.asarray(part) for part in _floats(work, count))
    state: Any = [(jnp.asarray(W), jnp.asarray(b)) for W, b in _initial(work).layers]

    def loss(params: Any, rows: Any, wanted: Any) -> Any:
        for W, b in params[:-1]:
            rows = jax.nn.relu(rows @ W + b)
        logits = rows @ params[-1][0] + params[-1][1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), wanted[:, None], axis=1))

    def epoch(params: Any, order: Any) -> Any:
        def step(now: Any, rows: Any) -> Any:
            grads = jax.grad(loss)(now, x[rows], labels[rows])
            return jax.tree.map(lambda value, d: value - RATE * d, now, grads), None

        return jax.lax.scan(step, params, order)[0]

    jitted, draw, steps = jax.jit(epoch, donate_argnums=0), np.random.default_rng(0), count // work.batch

    def run() -> None:
        nonlocal state
        order = draw.permutation(count)[: steps * work.batch].reshape(steps, work.batch)
        state = jitted(state, jnp.asarray(order))
        state[0][0].block_until_ready()

    return _timed(run)


def sklearn_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run scikit-learn's MLPClassifier: one pass of stochastic gradient descent."""
    if work.kind != "train":
        return None
    from sklearn.neural_network import MLPClassifier

    x, labels = _floats(work, count)
    model = MLPClassifier(
        work.sizes[1:-1],
        solver="sgd",
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=RATE,
        momentum=0.0,
        nesterovs_momentum=False,
    )
    return _timed(lambda: model.partial_fit(x, labels, classes=np.arange(10)))


def libxsmm_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run libxsmm-dnn's program mlp_mnist in the folder PEERS_BIN, where its ../../datasets/mnist is, if there is one.

    It makes the products of an epoch, for dense and sparse images alike, without a shuffle and without steps of the
    biases, so its time flatters it. Blocks of the sizes that are fastest in one epoch.
    """
    if work.kind != "train" or "PEERS_BIN" not in os.environ:
        return None
    folder, hidden, epochs = os.environ["PEERS_BIN"], [str(size) for size in work.sizes[1:-1]], 4

    def epoch(blocks: tuple[int, int], times: int) -> float:
        numbers = map(str, (times, work.batch, 32, *blocks, 0))
        command = [f"{folder}/mlp_mnist", *numbers, *hidden]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        found = re.search(r"^fp time = (\S+)", done.stdout, re.MULTILINE)
        if not found:
            raise ValueError(f"mlp_mnist prints no 'fp time': {done.stdout.strip()[-100:]!r}")
        return float(found[1]) * (count // work.batch)

    blocks = min(itertools.product((16, 32, 64), (28, 56, 112)), key=lambda each: epoch(each, 1))
    return lambda: epoch(blocks, epochs)


def peak_run(threads: int, size: int = 2048) -> Run:
    """Measure a large float32 matrix product, in seconds per 10^9 operations: the most the machine can do."""
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    timed = _timed(lambda: a @ a)
    return lambda: timed() / (2 * size**3 / 1e9)


TRAINERS: dict[str, Callable[[Workload, int, int], Run | None]] = {
    "fnnet": fnnet_run,
    "NumPy": numpy_run,
    "PyTorch": torch_run,
    "PyTorch compiled": lambda work, count, threads: torch_run(work, count, threads, compiled=True),
    "JAX": jax_run,
    "scikit-learn": sklearn_run,
    "libxsmm-dnn": libxsmm_run,
}


def engine_run(name: str, work: Workload, count: int, threads: int) -> tuple[Run, dict[str, Any]]:
    """Run an engine that answers, once its answers are those of NumPy; return its precision and how many differ, too.

    For "mnist" fnnet gets bytes and the others floats; for the rest all get the same.
    """
    x, _ = images_and_labels(work, count) if name == "fnnet" or work.data != "mnist" else _floats(work, count)
    task = task_of(work, x, threads)
    engine = ENGINES[name](task)
    found = checked(engine, task, x)
    return _answering(engine, work, x), {"precision": engine.precision, "wrong": found.wrong}


def prepared(name: str, work: Workload, count: int, threads: int) -> tuple[Run | None, dict[str, Any]]:
    """Return what runs the workload, if the library can, and notes on it."""
    if name == "peak":
        return peak_run(threads), {}
    if work.kind in ("one", "many"):
        return engine_run(name, work, count, threads) if name in ENGINES else (None, {})
    return TRAINERS[name](work, count, threads) if name in TRAINERS else None, {}


def settled(run: Run, seconds: float = 0.3) -> float:
    """Return the median of the runs in `seconds`, without the first, which finds the caches of others."""
    taken, end = [run()], time.perf_counter() + seconds
    while time.perf_counter() < end:
        taken.append(run())
    return median(taken[1:] or taken)


def main() -> None:
    """Measure until standard input ends."""
    name, threads = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run: Run | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "work" in asked:
                run = None
                run, notes = prepared(name, Workload.of(asked["work"]), asked["count"], threads)
                if run:
                    run()
                answer = {"able": run is not None, **notes}
            elif run:
                answer = {"seconds": settled(run), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        except Exception as error:
            answer = {"able": False, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
