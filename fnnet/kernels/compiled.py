"""The compiled twins of `core.operations`: same names, arguments, order and defaults, same results within rounding.

A twin is a thin function that hands its arguments to compiled code as contiguous vectors. Every element is summed in
one fixed order that depends on the widths of the layer only, never on the number of rows or threads.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.operations import ACTIVATIONS, Activation, Operations
from fnnet.core.params import Array
from fnnet.errors import ArgumentTypeError
from fnnet.kernels.layout import aligned, whole_lines
from fnnet.kernels.library import Library, library
from fnnet.kernels.machine import machine
from fnnet.names import ACTIVATIONS as NAMES


def _compiled(array: Array, part: str = "operations") -> Library:
    """Return the compiled functions for the dtype of `array`, of a part.

    What becomes of logits lies in the part that makes them, "infer": training and predictions then need no other.
    """
    if array.dtype not in (np.float32, np.float64):
        expected = "float32, float64"
        raise ArgumentTypeError("the compiled kernels do not take this dtype", expected=expected, found=array.dtype)
    return library(part, array.dtype)


def _flat(array: Array, dtype: DTypeLike) -> Array:
    """Return `array` as a contiguous vector; a copy if its layout or dtype needs one."""
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1)


def _padded(matrix: Array, dtype: DTypeLike) -> Array:
    """Return a copy of `matrix` whose rows are whole vectors, with zeros behind their ends."""
    rows, columns = matrix.shape
    lanes = machine().vector_bytes // np.dtype(dtype).itemsize
    width = -(-columns // lanes) * lanes
    wide: Array = aligned(rows * width, dtype).reshape(rows, width)
    wide[:, :columns] = matrix
    return wide


def _product(a: Array, steps: tuple[int, int], k: int, b: Array, start: Array, columns: int) -> Array:
    """Return start + a b for a (m, k) whose elements lie `steps` apart from row to row and from column to column."""
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
    """Return the activation of z and its slope, of the shape of z."""
    width = whole_lines(z.size)
    a, slope = aligned(width, z.dtype), aligned(width, z.dtype)
    a[: z.size] = _flat(z, z.dtype)
    vectors = width * z.dtype.itemsize // machine().vector_bytes
    number = NAMES.index(name)
    _compiled(z).run("activate", number=number, z=a, z_at=0, slope=slope, slope_at=0, vectors=vectors)
    return a[: z.size].reshape(z.shape).copy(), slope[: z.size].reshape(z.shape)


def _value(name: str, z: Array) -> Array:
    return _activated(name, z)[0]


def _backward(name: str, da: Array, z: Array) -> Array:
    return da * _activated(name, z)[1]


def _twin(name: str) -> Activation:
    """Return the twin of the activation `name`: of functions that can be pickled, for the workers of other engines."""
    return Activation(partial(_value, name), partial(_backward, name), ACTIVATIONS[name].kinked)


def softmax(logits: Array) -> Array:
    n, classes = logits.shape
    compiled, probs = _compiled(logits, "infer"), _padded(logits, logits.dtype)
    compiled.run("softmax", probs=probs.reshape(-1), n=n, classes=classes, line=probs.shape[1])
    return np.ascontiguousarray(probs[:, :classes])


def cross_entropy(logits: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0) -> float:
    n, classes = logits.shape
    compiled, rows = _compiled(logits, "infer"), _padded(logits, logits.dtype)
    totals, shifted = np.empty(n, logits.dtype), np.empty(n, logits.dtype)
    compiled.run(
        "cross_entropy", rows=rows.reshape(-1), n=n, classes=classes, line=rows.shape[1],
        labels=_flat(labels, np.int64), smoothing=label_smoothing, totals=totals, shifted=shifted,
    )  # fmt: skip
    loss: float = ((np.log(totals) - shifted).astype(np.float64) * _shares(n, weights)).sum().item()
    return loss


def cross_entropy_backward(
    probs: Array, labels: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> Array:
    n, classes = probs.shape
    compiled, rows, shares = _compiled(probs), _padded(probs, probs.dtype), _shares(n, weights).astype(probs.dtype)
    compiled.run(
        "cross_entropy_backward", rows=rows.reshape(-1), n=n, classes=classes, line=rows.shape[1],
        labels=_flat(labels, np.int64), shares=shares, smoothing=label_smoothing,
    )  # fmt: skip
    return np.ascontiguousarray(rows[:, :classes])


def _shares(n: int, weights: Array | None) -> Array:
    each = np.ones(n) if weights is None else weights.astype(np.float64)
    shares: Array = each / (each.sum().item() or 1.0)
    return shares


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    stepped = np.empty(value.shape, value.dtype)
    given, slope = _flat(value, value.dtype), _flat(gradient, value.dtype)
    _compiled(value).run("update", value=given, gradient=slope, rate=learning_rate, stepped=stepped.reshape(-1))
    return stepped


OPERATIONS: Final = Operations(
    affine,
    affine_backward,
    softmax,
    cross_entropy,
    cross_entropy_backward,
    update,
    MappingProxyType({name: _twin(name) for name in NAMES} | {"relu": Activation(relu, relu_backward, kinked=True)}),
)
"""The compiled twins."""
