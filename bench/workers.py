"""One library in one process: `python -m bench.workers NAME THREADS` reads JSON lines and writes one for each.

{"work": number, "count": images} prepares a workload, {} measures it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np

from bench.workloads import RATE, WORKLOADS, Workload, images_and_labels

Run = Callable[[], float]
"""Runs the workload once and returns the seconds it took."""


def _timed(action: Callable[[], Any]) -> Run:
    def run() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return run


def _one_by_one(answer: Callable[[Any], Any], x: Any) -> Run:
    """Return the seconds per image of a thousand images, one at a time."""
    rows = [x[i : i + 1] for i in range(min(1000, len(x)))]
    timed = _timed(lambda: [answer(row) for row in rows])
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

    epochs, plans, state = (
        module("training.epochs", "train"),
        module("training.plan", "plan"),
        module("core.state", "network"),
    )
    kernels = fnnet.load_kernels("numba", threads=threads)
    x, labels = images_and_labels(work, count)
    if work.kind in ("train", "step"):
        batch = work.batch if work.kind == "train" else None
        every = 1 if work.kind == "train" else 10
        plan = plans.Plan(10**9, batch, RATE, report_every=every)
        training = epochs.start(_initial(work), 0, plan)
        reached: Iterator[Any] = epochs.epochs(training, state.Examples(x, labels), plan, kernels=kernels)
        timed = _timed(lambda: next(reached))
        return lambda: timed() / every
    answer = fnnet.predictor(_initial(work), kernels=kernels)
    return _one_by_one(answer, x) if work.kind == "one" else _timed(lambda: answer(x))


def numpy_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run NumPy: training in float64, as the notebook that the full-batch recipe comes from, prediction in float32."""
    x, labels = _floats(work, count)
    if work.kind == "step":
        return _timed(_notebook_step(x.astype(np.float64).T.copy(), labels, work.sizes))
    if work.kind not in ("one", "many"):
        return None
    (W1, b1), (W2, b2) = _initial(work).layers

    def answer(rows: Any) -> Any:
        return (np.maximum(rows @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)

    return _one_by_one(answer, x) if work.kind == "one" else _timed(lambda: answer(x))


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

    torch.set_num_threads(threads)
    if work.kind == "step":
        return None
    x, labels = (torch.from_numpy(np.ascontiguousarray(part)) for part in _floats(work, count))
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(work.sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    if work.kind in ("one", "many"):
        run_model = torch.compile(model) if compiled else model

        def answer(rows: Any) -> Any:
            with torch.inference_mode():
                return run_model(rows).argmax(dim=1)

        return _one_by_one(answer, x) if work.kind == "one" else _timed(lambda: answer(x))
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
    """Run scikit-learn's MLPClassifier: one pass of stochastic gradient descent, or predict."""
    if work.kind not in ("train", "one", "many"):
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
    if work.kind == "train":
        return _timed(lambda: model.partial_fit(x, labels, classes=np.arange(10)))
    model.set_params(batch_size=200).partial_fit(x[:1000], labels[:1000], classes=np.arange(10))
    return _one_by_one(model.predict, x) if work.kind == "one" else _timed(lambda: model.predict(x))


def onnx_run(work: Workload, count: int, threads: int) -> Run | None:
    """Run ONNX Runtime: prediction with the same network."""
    if work.kind not in ("one", "many"):
        return None
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    x, _ = _floats(work, count)
    nodes, weights, value = [], [], "x"
    for number, (W, b) in enumerate(_initial(work).layers):
        weights += [numpy_helper.from_array(np.array(part), f"{name}{number}") for name, part in (("W", W), ("b", b))]
        nodes.append(helper.make_node("Gemm", [value, f"W{number}", f"b{number}"], [f"z{number}"]))
        nodes.append(helper.make_node("Relu", [f"z{number}"], [f"a{number}"]))
        value = f"a{number}"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", work.sizes[0]])]
    outputs = [helper.make_tensor_value_info(f"z{number}", TensorProto.FLOAT, ["n", work.sizes[-1]])]
    graph = helper.make_graph(nodes[:-1], "network", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def answer(rows: Any) -> Any:
        return session.run(None, {"x": rows})

    return _one_by_one(answer, x) if work.kind == "one" else _timed(lambda: answer(x))


def peak_run(threads: int, size: int = 2048) -> Run:
    """Measure a large float32 matrix product, in seconds per 10^9 operations: the most the machine can do."""
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    timed = _timed(lambda: a @ a)
    return lambda: timed() / (2 * size**3 / 1e9)


PEERS: dict[str, Callable[[Workload, int, int], Run | None]] = {
    "fnnet": fnnet_run,
    "NumPy": numpy_run,
    "PyTorch": torch_run,
    "PyTorch compiled": lambda work, count, threads: torch_run(work, count, threads, compiled=True),
    "JAX": jax_run,
    "scikit-learn": sklearn_run,
    "ONNX Runtime": onnx_run,
}


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
                work = WORKLOADS[asked["work"]]
                run = peak_run(threads) if name == "peak" else PEERS[name](work, asked["count"], threads)
                if run:
                    run()
                answer = {"able": run is not None}
            elif run:
                answer = {"seconds": settled(run), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        except Exception as error:
            answer = {"able": False, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
