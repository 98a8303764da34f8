"""The compiled twins of `core.operations`: same names, arguments, order and defaults, same results within rounding.

A twin is a thin function that hands its arguments to compiled code as contiguous vectors. Every element is summed in
one fixed order that depends on the widths of the layer only, never on the number of rows or threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.params import Array
from fnnet.errors import ArgumentTypeError
from fnnet.kernels.layout import aligned, whole_lines
from fnnet.kernels.library import Library, library
from fnnet.kernels.machine import machine
from fnnet.names import ACTIVATIONS


def _compiled(array: Array) -> Library:
    """The compiled operations for the dtype of `array`."""
    if array.dtype not in (np.float32, np.float64):
        expected = "float32, float64"
        raise ArgumentTypeError("the compiled kernels do not take this dtype", expected=expected, found=array.dtype)
    return library("operations", array.dtype)


def _flat(array: Array, dtype: DTypeLike) -> Array:
    """`array` as a contiguous vector, a copy where its layout or dtype demands one."""
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1)


def _padded(matrix: Array, dtype: DTypeLike) -> Array:
    """A copy of `matrix` whose rows are whole vectors, with zeros behind their ends."""
    rows, columns = matrix.shape
    lanes = machine().vector_bytes // np.dtype(dtype).itemsize
    width = -(-columns // lanes) * lanes
    wide: Array = aligned(rows * width, dtype).reshape(rows, width)
    wide[:, :columns] = matrix
    return wide


def _product(a: Array, steps: tuple[int, int], k: int, b: Array, start: Array, columns: int) -> Array:
    """start + a b for a (m, k) whose elements lie `steps` apart from row to row and from column to column."""
    m = (a.size - 1 - (k - 1) * steps[1]) // steps[0] + 1
    wide = _padded(b, a.dtype)
    width = wide.shape[1]
    out = aligned(m * width, a.dtype)
    begin = _padded(start[None], a.dtype).reshape(-1)
    _compiled(a).run(
        "product", m=m, n=width, k=k,
        a=a, a_at=0, a_row=steps[0], a_step=steps[1],
        b=wide.reshape(-1), b_at=0, b_step=width, b_panel=0, b_rows=0,
        init=begin, init_at=0, init_row=0, out=out, out_at=0, out_row=width,
    )  # fmt: skip
    return np.ascontiguousarray(out.reshape(m, width)[:, :columns])


def affine(x: Array, W: Array, b: Array) -> Array:
    inputs, outputs = W.shape
    return _product(_flat(x, x.dtype), (inputs, 1), inputs, W, b, outputs)


def affine_backward(dz: Array, x: Array, W: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
    inputs, outputs = W.shape
    n, dtype = len(dz), dz.dtype
    rows = _flat(dz, dtype)
    dx = _product(rows, (outputs, 1), outputs, W.T, np.zeros(inputs, dtype), inputs) if need_dx else None
    dW = _product(_flat(x, dtype), (1, inputs), n, dz, np.zeros(outputs, dtype), outputs)
    db = np.empty(outputs, dtype)
    _compiled(dz).run("column_sums", dz=rows, n=n, columns=outputs, sums=db)
    return dx, dW, db


def relu(z: Array) -> Array:
    a = np.empty(z.shape, z.dtype)
    _compiled(z).run("relu", z=_flat(z, z.dtype), a=a.reshape(-1))
    return a


def relu_backward(da: Array, z: Array) -> Array:
    dz = np.empty(da.shape, da.dtype)
    _compiled(da).run("relu_backward", da=_flat(da, da.dtype), z=_flat(z, da.dtype), dz=dz.reshape(-1))
    return dz


def _activated(name: str, z: Array) -> tuple[Array, Array]:
    """The activation of z and its slope, of the shape of z."""
    width = whole_lines(z.size)
    a, slope = aligned(width, z.dtype), aligned(width, z.dtype)
    a[: z.size] = _flat(z, z.dtype)
    vectors = width * z.dtype.itemsize // machine().vector_bytes
    number = ACTIVATIONS.index(name)
    _compiled(z).run("activate", number=number, z=a, z_at=0, slope=slope, slope_at=0, vectors=vectors)
    return a[: z.size].reshape(z.shape).copy(), slope[: z.size].reshape(z.shape)


def leaky_relu(z: Array) -> Array:
    return _activated("leaky_relu", z)[0]


def leaky_relu_backward(da: Array, z: Array) -> Array:
    return da * _activated("leaky_relu", z)[1]


def elu(z: Array) -> Array:
    return _activated("elu", z)[0]


def elu_backward(da: Array, z: Array) -> Array:
    return da * _activated("elu", z)[1]


def gelu(z: Array) -> Array:
    return _activated("gelu", z)[0]


def gelu_backward(da: Array, z: Array) -> Array:
    return da * _activated("gelu", z)[1]


def sigmoid(z: Array) -> Array:
    return _activated("sigmoid", z)[0]


def sigmoid_backward(da: Array, z: Array) -> Array:
    return da * _activated("sigmoid", z)[1]


def silu(z: Array) -> Array:
    return _activated("silu", z)[0]


def silu_backward(da: Array, z: Array) -> Array:
    return da * _activated("silu", z)[1]


def tanh(z: Array) -> Array:
    return _activated("tanh", z)[0]


def tanh_backward(da: Array, z: Array) -> Array:
    return da * _activated("tanh", z)[1]


def linear(z: Array) -> Array:
    return _activated("linear", z)[0]


def linear_backward(da: Array, z: Array) -> Array:
    return da * _activated("linear", z)[1]


def mish(z: Array) -> Array:
    return _activated("mish", z)[0]


def mish_backward(da: Array, z: Array) -> Array:
    return da * _activated("mish", z)[1]


def softmax(logits: Array) -> Array:
    n, classes = logits.shape
    compiled, probs = _compiled(logits), _padded(logits, logits.dtype)
    compiled.run("softmax", probs=probs.reshape(-1), n=n, classes=classes, line=probs.shape[1])
    return np.ascontiguousarray(probs[:, :classes])


def cross_entropy(
    logits: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    n, classes = logits.shape
    compiled, d = _compiled(logits), _padded(logits, logits.dtype)
    totals, shifted = np.empty(n, logits.dtype), np.empty(n, logits.dtype)
    each = np.ones(n) if weights is None else weights.astype(np.float64)
    shares = each / (each.sum().item() or 1.0)
    compiled.run(
        "cross_entropy", dlogits=d.reshape(-1), n=n, classes=classes, line=d.shape[1], labels=_flat(labels, np.int64),
        shares=shares.astype(logits.dtype), smoothing=label_smoothing, totals=totals, shifted=shifted,
    )  # fmt: skip
    loss: float = ((np.log(totals) - shifted).astype(np.float64) * shares).sum().item()
    return loss, np.ascontiguousarray(d[:, :classes])


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    stepped = np.empty(value.shape, value.dtype)
    given, slope = _flat(value, value.dtype), _flat(gradient, value.dtype)
    _compiled(value).run("update", value=given, gradient=slope, rate=learning_rate, stepped=stepped.reshape(-1))
    return stepped
