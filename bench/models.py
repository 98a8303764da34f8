"""The same network as the files of other engines: ONNX, LiteRT's flatbuffer, MNN. Each ends in scores, without softmax.

Engines that read bytes get a cast as the first operation of the graph.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

Layers = Sequence[tuple[Any, Any]]
"""W and b of each layer, in float32."""
INPUT, OUTPUT = "x", "scores"
TFLITE_SCHEMA: Final = 3
# MNN.tools.mnnconvert, the converter's front, has `pip install` a package for its telemetry when it is imported.
CONVERTER: Final = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"


def onnx_model(layers: Layers, count: int, dtype: Any) -> bytes:
    """Return the network as ONNX, for `count` rows of this type at a time."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, value = [], [], INPUT
    if dtype == np.uint8:
        nodes.append(helper.make_node("Cast", [INPUT], ["floats"], to=TensorProto.FLOAT))
        value = "floats"
    for number, (W, b) in enumerate(layers):
        last = number == len(layers) - 1
        weights += [numpy_helper.from_array(np.array(part), f"{name}{number}") for name, part in (("W", W), ("b", b))]
        out = OUTPUT if last else f"z{number}"
        nodes.append(helper.make_node("Gemm", [value, f"W{number}", f"b{number}"], [out]))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"a{number}"]))
            value = f"a{number}"
    kind = TensorProto.UINT8 if dtype == np.uint8 else TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info(INPUT, kind, [count, len(layers[0][0])])]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [count, len(layers[-1][1])])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def mnn_model(layers: Layers, count: int, dtype: Any) -> Any:
    """Return the network as MNN's interpreter of a file that its own converter makes from ONNX."""
    import MNN

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "network.onnx"), Path(folder, "network.mnn")
        before.write_bytes(onnx_model(layers, count, dtype))
        command = [sys.executable, "-c", CONVERTER, "-f", "ONNX", "--modelFile", str(before), "--MNNModel", str(after)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not after.exists():
            raise RuntimeError(f"mnnconvert: {(done.stderr or done.stdout).strip()[-200:]}")
        return MNN.Interpreter(str(after))


def tflite_model(layers: Layers, count: int, dtype: Any) -> bytes:
    """Return the network as a .tflite file: fully connected operations, each with its ReLU.

    It is written with the schema that ai-edge-litert brings; TensorFlow's converter is not needed.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds, operators = schema.TensorType, schema.BuiltinOperator
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators = [], []
    model.buffers, model.operatorCodes = [schema.BufferT()], []

    def tensor(shape: tuple[int, ...], kind: int, value: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = f"t{len(graph.tensors)}", list(shape), kind, 0
        if value is not None:
            stored = schema.BufferT()
            stored.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(stored)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operation(code: int, inputs: list[int], output: int, kind: int, options: Any) -> None:
        known = schema.OperatorCodeT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 1
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes), inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        model.operatorCodes.append(known)
        graph.operators.append(made)

    shape = (count, len(layers[0][0]))
    value = tensor(shape, kinds.UINT8 if dtype == np.uint8 else kinds.FLOAT32)
    graph.inputs = [value]
    if dtype == np.uint8:
        cast, floats = schema.CastOptionsT(), tensor(shape, kinds.FLOAT32)
        cast.inDataType, cast.outDataType = kinds.UINT8, kinds.FLOAT32
        operation(operators.CAST, [value], floats, schema.BuiltinOptions.CastOptions, cast)
        value = floats
    for number, (W, b) in enumerate(layers):
        options, function = schema.FullyConnectedOptionsT(), schema.ActivationFunctionType
        options.fusedActivationFunction = function.NONE if number == len(layers) - 1 else function.RELU
        inputs = [value, tensor(W.T.shape, kinds.FLOAT32, W.T), tensor(b.shape, kinds.FLOAT32, b)]
        value = tensor((count, len(b)), kinds.FLOAT32)
        operation(operators.FULLY_CONNECTED, inputs, value, schema.BuiltinOptions.FullyConnectedOptions, options)
    graph.outputs, model.subgraphs, model.version = [value], [graph], TFLITE_SCHEMA
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
