#!/usr/bin/env bash
# Guess: arrays given to and taken from an OpenVINO model keep their values, whatever type the model's input and output
# have: float32 given to a float16 input is converted, and a result's dtype is the type of its numbers.
# Really: for bfloat16 only the bits are passed on, without a warning. A result of [1, 2, 3] is an array of dtype float16
# with the values [1.875, 2, 2.125], and 1, 2, 3 given in float16 are 0.0078125, 2, 32. Arrays given to inputs of other
# types are converted. NumPy has no bfloat16; what stands in for it has the same size and other numbers.
# Versions: openvino 2026.4.1, numpy 2.4.6, CPython 3.11.
# Source: src/bindings/python/src/pyopenvino/core/common.cpp, ov_type_to_dtype (bf16 is "float16"), and
# openvino/utils/data_helpers/data_dispatcher.py, value_to_tensor (`value.view(...)` for bf16 and types of few bits).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6 2>/dev/null
venv/bin/python -c '
import warnings
warnings.simplefilter("error", RuntimeWarning)
import numpy as np, openvino as ov, openvino.opset13 as op

def run(given, inside, out):
    x = op.parameter([-1], getattr(ov.Type, inside))
    model = ov.compile_model(ov.Model([op.convert(x, out)], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(given)[0]
    return f"{given.dtype} -> {inside} -> {out}: {found.dtype} {found.tolist()}"

print(ov.__version__.split("-")[0], np.__version__)
wide, narrow = np.array([1, 2, 3], np.float32), np.array([1, 2, 3], np.float16)
print(run(wide, "f32", "bf16"))
print(run(wide, "f32", "f16"))
print(run(narrow, "bf16", "f32"))
print(run(narrow, "f32", "f32"))
print(run(wide, "f16", "f32"))
' | tee found
cat > expected <<'TEXT'
2026.4.1 2.4.6
float32 -> f32 -> bf16: float16 [1.875, 2.0, 2.125]
float32 -> f32 -> f16: float16 [1.0, 2.0, 3.0]
float16 -> bf16 -> f32: float32 [0.0078125, 2.0, 32.0]
float16 -> f32 -> f32: float32 [1.0, 2.0, 3.0]
float32 -> f16 -> f32: float32 [1.0, 2.0, 3.0]
TEXT
cmp expected found
