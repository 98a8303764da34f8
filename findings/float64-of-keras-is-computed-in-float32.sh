#!/usr/bin/env bash
# Guess: with set_floatx("float64"), layers of dtype float64, and jax_enable_x64 for JAX, Keras computes in float64: what
# layers return has that dtype.
# Really: the table of its type promotion makes float64 float32 unless TensorFlow is the backend. On PyTorch each product
# of matrices is of float32, on JAX tanh is; what follows, a bias or a layer, makes float64 of it again. So no dtype shows
# it, and nothing warns: the first 7 digits of a result are right, and a gradient check in float64 fails.
# Versions: keras 3.15.1, torch 2.13.0 (CPU), jax 0.10.2, CPython 3.11.
# Source: keras/src/backend/common/dtypes.py, BIT64_TO_BIT32_DTYPE in _lattice_result_type.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'torch==2.13.0' 'keras==3.15.1' 'jax==0.10.2' 2>/dev/null

cat >show.py <<'PYTHON'
import keras
import numpy as np

backend = keras.backend.backend()
if backend == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
x, W, V = np.full((1, 3), 1 / 3), np.full((3, 2), 1 / 7), np.full((2, 2), 1 / 9)
for activation, between in (("linear", lambda z: z), ("tanh", np.tanh)):
    layers = [keras.layers.Dense(2, activation, dtype="float64"), keras.layers.Dense(2, dtype="float64")]
    model = keras.Sequential([keras.Input((3,), dtype="float64"), *layers])
    for layer, weights in zip(layers, (W, V)):
        layer.set_weights([weights, np.zeros(2)])
    found = model(keras.ops.convert_to_tensor(x))
    found = keras.ops.convert_to_numpy(found.detach() if backend == "torch" else found)
    error = float(np.abs(found / (between(x @ W) @ V) - 1).max())
    print(backend, activation, found.dtype, "with numbers of", "float32" if error > 1e-10 else "float64")
PYTHON
found=""
for backend in torch jax; do
  lines=$(KERAS_BACKEND=$backend venv/bin/python -W ignore show.py 2>/dev/null)
  echo "$lines"
  found="$found$lines"$'\n'
done
[ "$found" = "torch linear float64 with numbers of float32
torch tanh float64 with numbers of float32
jax linear float64 with numbers of float64
jax tanh float64 with numbers of float32
" ]
