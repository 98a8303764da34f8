#!/usr/bin/env bash
# Guess: `python -m MNN.tools.mnnconvert`, which makes an .mnn file of a model, reads one file and writes another.
# Really: where the package aliyun-log-python-sdk is missing, importing the module runs
# `pip install -U aliyun-log-python-sdk`, without a question and before it looks at its arguments. The pip is the first
# in PATH, not that of the Python that runs, so another environment may get that package and ten that it requires. It is
# for a log of the converter's use; the package mnn does not require it. Here a `pip` that only writes down its arguments
# is first in PATH; it is asked three times, and the conversion works without the package.
# Versions: mnn 3.6.1, numpy 2.4.6, onnx 1.23.2, CPython 3.11.
# Source: MNN/tools/utils/log.py, the `except ImportError` at its top; MNN/tools/mnnconvert.py imports it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check mnn==3.6.1 numpy==2.4.6 onnx==1.23.2 2>/dev/null
mkdir first
printf '#!/bin/sh\necho "pip $*" >> "%s/asked"\nexit 1\n' "$work" > first/pip
chmod +x first/pip
venv/bin/python -c '
import onnx
from onnx import TensorProto, helper
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", values[:1], values[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), "a.onnx")
'
env PATH="$work/first:$PATH" venv/bin/python -m MNN.tools.mnnconvert -f ONNX --modelFile a.onnx --MNNModel a.mnn > log 2>&1
venv/bin/pip list --disable-pip-version-check 2>/dev/null | grep -E '^(mnn|numpy|onnx) '
echo "asked $(wc -l < asked) times: $(sort -u asked)"
echo "written: $(basename a.mnn), $([ -s a.mnn ] && echo not empty)"
[ "$(sort -u asked)" = "pip install -U aliyun-log-python-sdk" ] && [ -s a.mnn ]
