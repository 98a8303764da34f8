"""What answers for a network that is there: fnnet and other engines, which get the same rows, bytes or floats.

Bytes are converted in the call that is timed, in the faster of two ways: by a cast in the engine's own graph, or by
NumPy into the engine's input. 1/255 is then in the first weights. The others return scores and are spared the search
for the largest one; fnnet and scikit-learn return classes. Rows come in blocks of a fixed number, for which graphs are
made, and the next call may overwrite what a call returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from bench.models import INPUT, Layers, mnn_model, onnx_model, tflite_model
from bench.workloads import Workload

CHECKED: Final = 1000
"""Images whose answers are compared with NumPy's."""
ROUNDING: Final = 1e-5
"""The most that rounding of float32 changes scores by, in parts of the largest: a hundred times what is seen."""
PRECISIONS: Final = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
"""What the tables call OpenVINO's precisions."""
TOO_MANY: Final = 0.05
"""The share of answers that no choice of precision changes."""


class Task(NamedTuple):
    """What an engine is prepared for: the network, the number of rows of a call, their type, threads."""

    layers: Layers
    rows: int
    dtype: Any
    threads: int

    @property
    def folded(self) -> Layers:
        """The layers for rows as they are: for bytes, 1/255 is in the first weights."""
        if self.dtype != np.uint8:
            return self.layers
        (W, b), *rest = self.layers
        return [((W / np.float32(255)).astype(np.float32), b), *rest]

    def empty(self, dtype: Any = np.float32) -> Any:
        """Return a block for the rows of a call."""
        return np.zeros((self.rows, len(self.layers[0][0])), dtype)


class Engine(NamedTuple):
    """Rows to scores or classes, and the precision that the engine says it computes in."""

    answer: Callable[[Any], Any]
    precision: str = "float32"


class Found(NamedTuple):
    """How answers compare with NumPy's.

    wrong    the number of images, of CHECKED, whose class differs.
    error    the largest error of a score, in parts of the largest score; None where an engine gives classes only.
    """

    wrong: int
    error: float | None


def fnnet_engine(task: Task) -> Engine:
    """Prepare fnnet's predictor."""
    import fnnet

    params = fnnet.Params(tuple(fnnet.Layer(W, b) for W, b in task.layers))
    return Engine(fnnet.predictor(params, kernels=fnnet.load_kernels("numba", threads=task.threads)))


def numpy_engine(task: Task) -> Engine:
    """Prepare NumPy with buffers made beforehand."""
    layers, floats = task.folded, task.empty()
    outputs = [np.empty((task.rows, len(b)), np.float32) for _, b in layers]

    def answer(rows: Any) -> Any:
        if rows.dtype == np.uint8:
            floats[...] = rows
            rows = floats
        for number, ((W, b), out) in enumerate(zip(layers, outputs, strict=True)):
            if number:
                np.maximum(rows, 0, out=rows)
            rows = np.matmul(rows, W, out=out)
            rows += b
        return rows

    return Engine(answer)


def onnx_engine(task: Task) -> Engine:
    """Prepare ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    model = onnx_model(task.folded, task.rows, task.dtype)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Engine(lambda rows: session.run(None, {INPUT: rows})[0])


def litert_engine(task: Task) -> Engine:
    """Prepare LiteRT as it comes, with its XNNPACK delegate; NumPy converts bytes while it copies them in."""
    from ai_edge_litert.interpreter import Interpreter

    content = tflite_model(task.folded, task.rows, np.float32)
    interpreter = Interpreter(model_content=content, num_threads=task.threads)
    interpreter.allocate_tensors()
    inputs = interpreter.tensor(interpreter.get_input_details()[0]["index"])
    outputs = interpreter.tensor(interpreter.get_output_details()[0]["index"])

    def answer(rows: Any) -> Any:
        inputs()[...] = rows
        interpreter.invoke()
        return outputs()

    return Engine(answer)


def mnn_engine(task: Task) -> Engine:
    """Prepare MNN: a session in its high precision, which is float32."""
    import MNN

    model = mnn_model(task.folded, task.rows, task.dtype)
    session = model.createSession({"backend": "CPU", "numThread": task.threads, "precision": "high"})
    inputs, outputs = model.getSessionInput(session), model.getSessionOutput(session)
    shape, kind = task.empty().shape, MNN.Halide_Type_Uint8 if task.dtype == np.uint8 else MNN.Halide_Type_Float

    def answer(rows: Any) -> Any:
        inputs.copyFromHostTensor(MNN.Tensor(shape, kind, rows, MNN.Tensor_DimensionType_Caffe))
        code = model.runSession(session)
        if code:
            raise RuntimeError(f"MNN's runSession returned {code}")
        return np.array(outputs.getNumpyData(), copy=False)

    return Engine(answer)


def openvino_engine(task: Task, **hints: str) -> Engine:
    """Prepare OpenVINO as it comes, in the precision that it chooses for the processor, or with hints."""
    import openvino

    core = openvino.Core()
    model = core.read_model(onnx_model(task.folded, task.rows, task.dtype))
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": task.threads, **hints})
    request, inputs = compiled.create_infer_request(), task.empty(task.dtype)
    request.set_input_tensor(openvino.Tensor(inputs, shared_memory=True))
    outputs = request.get_output_tensor().data
    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    def answer(rows: Any) -> Any:
        if len(rows) == 1:
            inputs[...] = rows
        else:  # a tensor that shares the rows costs 10 us, copying 10,000 rows of floats 7 ms
            request.set_input_tensor(openvino.Tensor(rows, shared_memory=True))
        request.infer()
        return outputs

    return Engine(answer, PRECISIONS[chosen])


def torch_engine(task: Task, compiled: bool = False) -> Engine:
    """Prepare PyTorch, eager or compiled, on a tensor that shares the rows' memory."""
    import torch

    torch.set_num_threads(task.threads)
    parts: list[Any] = []
    for W, b in task.folded:
        layer = torch.nn.Linear(*W.shape)
        layer.weight.data, layer.bias.data = torch.from_numpy(W.T.copy()), torch.from_numpy(b.copy())
        parts += [layer, torch.nn.ReLU()]
    network = torch.nn.Sequential(*parts[:-1])
    model = torch.compile(network) if compiled else network

    def answer(rows: Any) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(rows).float()).numpy()

    return Engine(answer)


def jax_engine(task: Task) -> Engine:
    """Prepare JAX: one jitted function."""
    import jax

    layers = [(jax.device_put(W), jax.device_put(b)) for W, b in task.folded]

    @jax.jit
    def scores(rows: Any) -> Any:
        rows = rows.astype(np.float32)
        for W, b in layers[:-1]:
            rows = jax.nn.relu(rows @ W + b)
        return rows @ layers[-1][0] + layers[-1][1]

    return Engine(lambda rows: scores(rows).block_until_ready())


def sklearn_engine(task: Task) -> Engine:
    """Prepare scikit-learn's MLPClassifier with the network's weights."""
    from sklearn.neural_network import MLPClassifier

    layers = task.folded
    inputs, classes = len(layers[0][0]), len(layers[-1][1])
    model = MLPClassifier([len(b) for _, b in layers[:-1]], solver="sgd", batch_size=classes)
    model.partial_fit(np.zeros((classes, inputs), np.float32), np.arange(classes), classes=np.arange(classes))
    model.coefs_, model.intercepts_ = ([np.array(part) for part in each] for each in zip(*layers, strict=True))
    return Engine(model.predict)


ENGINES: Final[dict[str, Callable[[Task], Engine]]] = {
    "fnnet": fnnet_engine,
    "LiteRT": litert_engine,
    "MNN": mnn_engine,
    "OpenVINO": openvino_engine,
    "OpenVINO, float32": lambda task: openvino_engine(task, INFERENCE_PRECISION_HINT="f32"),
    "ONNX Runtime": onnx_engine,
    "NumPy": numpy_engine,
    "JAX": jax_engine,
    "PyTorch": torch_engine,
    "PyTorch compiled": lambda task: torch_engine(task, compiled=True),
    "scikit-learn": sklearn_engine,
}


def checked(engine: Engine, task: Task, x: Any) -> Found:
    """Compare an engine's answers with NumPy's in float64.

    A class differs if its score is smaller than the largest by more than rounding. Raises ArithmeticError if one does
    and the engine says float32, or if more differ than a smaller precision explains.
    """
    blocks = [x[first : first + task.rows] for first in range(0, min(CHECKED, len(x)), task.rows)]
    given = np.concatenate([np.array(engine.answer(rows)) for rows in blocks])[:CHECKED]
    scores = x[: len(given)] / (255.0 if x.dtype == np.uint8 else 1.0)
    for number, (W, b) in enumerate(task.layers):
        scores = (np.maximum(scores, 0) if number else scores) @ W.astype(np.float64) + b
    given, largest = given.reshape(len(scores), -1), np.abs(scores).max()
    classes = given[:, 0] if given.shape[1] == 1 else given.argmax(axis=1)
    behind = scores.max(axis=1) - scores[np.arange(len(scores)), classes]
    wrong = int(np.count_nonzero(behind > ROUNDING * largest))
    error = None if given.shape[1] == 1 else float(np.abs(given - scores).max() / largest)
    exact = engine.precision == "float32"
    if wrong > (0 if exact else TOO_MANY * len(scores)) or (exact and error is not None and error > ROUNDING):
        scale = "" if error is None else f", scores by up to {error:.1g} of the largest"
        raise ArithmeticError(f"{wrong} of {len(scores)} answers differ from NumPy's in {engine.precision}{scale}")
    return Found(wrong, error)


def task_of(work: Workload, x: Any, threads: int) -> Task:
    """Return the task of answering rows like these, all at once or one at a time, for the workload's network."""
    import fnnet

    layers = [(np.array(W), np.array(b)) for W, b in fnnet.init(work.sizes, 0).layers]
    return Task(layers, 1 if work.kind == "one" else len(x), x.dtype, threads)
