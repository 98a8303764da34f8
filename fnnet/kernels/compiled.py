"""The Numba twins of `kernels.reference`: same names, arguments, order and defaults, same results within rounding.

A twin is a thin function that hands its arguments to a compiled core as contiguous read-only views, so that each core
is compiled once per dtype whatever arrays come in. float32 is compiled by `warm`, another dtype at its first use: both
at once would double the start (7 s where float32 alone takes half). Every element is summed in one fixed order that
depends on the widths of the layer only, never on the number of rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import DTypeLike

from fnnet.errors import ArgumentTypeError
from fnnet.params import Array, freeze

FASTMATH: Final = {"contract", "reassoc", "arcp", "nsz", "afn"}
"""The most that a core may relax. `nnan` and `ninf` stay out: they let the compiler drop tests for NaN."""


ROWS: Final = 64
"""Rows of x in a block: 200 KB at 784 float32. Without blocks x came from memory once for every four outputs, and
784-10 over 41,000 rows took 38 ms."""

SHORT: Final = 32
"""Below so many terms a dot product is too short to make vectors of: dx of 128 rows, 800-10, takes 188 us as dot
products and 73 us as outer products; from 64 terms on dot products win."""

CORE: Final = {"error_model": "numpy", "nogil": True}
"""Options of every core: division by zero gives infinity as in NumPy, and other threads run meanwhile."""


def _views(*arrays: Array) -> tuple[Array, ...]:
    """Contiguous read-only views (copies where the layout demands it), all of the first array's dtype."""
    dtype = arrays[0].dtype
    if dtype not in (np.float32, np.float64):
        raise ArgumentTypeError("the compiled kernels do not take this dtype", expected="float32, float64", found=dtype)
    return tuple(_view(array, dtype) for array in arrays)


def _view(array: Array, dtype: DTypeLike) -> Array:
    view = np.ascontiguousarray(array, dtype=dtype)
    return freeze(view.view()) if view.flags.writeable else view


@njit(fastmath=FASTMATH, **CORE)
def _dot_rows(x, w_rows, b):  # type: ignore[no-untyped-def]
    """out[i, j] = b[j] + x[i] . w_rows[j], for a block of rows of x that stays in L2 and four rows of w in L1."""
    n, terms = x.shape
    outputs = w_rows.shape[0]
    out = np.empty((n, outputs), x.dtype)
    tiled = outputs - outputs % 4
    for block in range(0, n, ROWS):
        end = min(block + ROWS, n)
        for j in range(0, tiled, 4):
            w0, w1, w2, w3 = w_rows[j], w_rows[j + 1], w_rows[j + 2], w_rows[j + 3]
            for i in range(block, end):
                row = x[i]
                s0 = s1 = s2 = s3 = x.dtype.type(0)
                for k in range(terms):
                    s0 += row[k] * w0[k]
                    s1 += row[k] * w1[k]
                    s2 += row[k] * w2[k]
                    s3 += row[k] * w3[k]
                out[i, j] = s0 + b[j]
                out[i, j + 1] = s1 + b[j + 1]
                out[i, j + 2] = s2 + b[j + 2]
                out[i, j + 3] = s3 + b[j + 3]
        for j in range(tiled, outputs):
            w0 = w_rows[j]
            for i in range(block, end):
                row = x[i]
                s0 = x.dtype.type(0)
                for k in range(terms):
                    s0 += row[k] * w0[k]
                out[i, j] = s0 + b[j]
    return out


@njit(fastmath=FASTMATH, **CORE)
def _outer_sum(u, v):  # type: ignore[no-untyped-def]
    """out[k, j] = sum over i of u[i, k] v[i, j]; four samples at a time, so that out is read and written less."""
    n, rows = u.shape
    columns = v.shape[1]
    out = np.zeros((rows, columns), u.dtype)
    tiled = n - n % 4
    for i in range(0, tiled, 4):
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        for k in range(rows):
            u0, u1, u2, u3 = u[i, k], u[i + 1, k], u[i + 2, k], u[i + 3, k]
            row = out[k]
            for j in range(columns):
                row[j] += u0 * v0[j] + u1 * v1[j] + u2 * v2[j] + u3 * v3[j]
    for i in range(tiled, n):
        for k in range(rows):
            u0 = u[i, k]
            row, v0 = out[k], v[i]
            for j in range(columns):
                row[j] += u0 * v0[j]
    return out


@njit(**CORE)
def _column_sums(dz):  # type: ignore[no-untyped-def]
    out = np.zeros(dz.shape[1], dz.dtype)
    for i in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            out[j] += dz[i, j]
    return out


@njit(**CORE)
def _relu(z):  # type: ignore[no-untyped-def]
    zero = z.dtype.type(0)
    out = np.empty(z.shape, z.dtype)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            # NaN fails the test and is passed on; max() would lose it.
            out[i, j] = zero if z[i, j] <= zero else z[i, j]  # noqa: FURB136
    return out


@njit(**CORE)
def _relu_backward(da, z):  # type: ignore[no-untyped-def]
    zero = z.dtype.type(0)
    out = np.empty(z.shape, z.dtype)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            out[i, j] = da[i, j] if z[i, j] > zero else zero
    return out


@njit(**CORE)
def _softmax(logits):  # type: ignore[no-untyped-def]
    n, classes = logits.shape
    out = np.empty((n, classes), logits.dtype)
    for i in range(n):
        row, probs = logits[i], out[i]
        top = np.max(row)
        total = logits.dtype.type(0)
        for j in range(classes):
            probs[j] = np.exp(row[j] - top)
            total += probs[j]
        for j in range(classes):
            probs[j] /= total
    return out


@njit(**CORE)
def _cross_entropy(logits, labels):  # type: ignore[no-untyped-def]
    n, classes = logits.shape
    share = logits.dtype.type(n)
    out = np.empty((n, classes), logits.dtype)
    loss = 0.0
    for i in range(n):
        row, d = logits[i], out[i]
        top = np.max(row)
        total = logits.dtype.type(0)
        for j in range(classes):
            d[j] = np.exp(row[j] - top)
            total += d[j]
        loss += np.log(total) - (row[labels[i]] - top)
        for j in range(classes):
            d[j] /= total
        d[labels[i]] -= logits.dtype.type(1)
        for j in range(classes):
            d[j] /= share
    return loss / n, out


# No fastmath here: a contracted multiply-add would round once where the definition rounds twice.
@njit(**CORE)
def _update(value, gradient, learning_rate):  # type: ignore[no-untyped-def]
    out = np.empty(value.shape, value.dtype)
    for i in range(value.size):
        out[i] = value[i] - learning_rate * gradient[i]
    return out


def affine(x: Array, W: Array, b: Array) -> Array:
    x, w_rows, b = _views(x, W.T, b)
    z: Array = _dot_rows(x, w_rows, b)
    return z


def affine_backward(dz: Array, x: Array, W: Array, need_dx: bool = True) -> tuple[Array | None, Array, Array]:
    dz, x, W = _views(dz, x, W)
    inputs, outputs = W.shape
    dx = _input_gradient(dz, W) if need_dx else None
    # The longer side runs innermost, where the compiler makes vectors of it.
    dW = _outer_sum(x, dz) if outputs >= inputs else np.ascontiguousarray(_outer_sum(dz, x).T)
    return dx, dW, _column_sums(dz)


def _input_gradient(dz: Array, W: Array) -> Array:
    """dx = dz W^T, by whichever core has the longer inner loop."""
    inputs, outputs = W.shape
    if outputs < SHORT:
        dx: Array = _outer_sum(*_views(dz.T, W.T))
    else:
        dx = _dot_rows(dz, W, _view(np.zeros(inputs), W.dtype))
    return dx


def relu(z: Array) -> Array:
    a: Array = _relu(*_views(z))
    return a


def relu_backward(da: Array, z: Array) -> Array:
    dz: Array = _relu_backward(*_views(da, z))
    return dz


def softmax(logits: Array) -> Array:
    probs: Array = _softmax(*_views(logits))
    return probs


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    (logits,) = _views(logits)
    loss, dlogits = _cross_entropy(logits, _view(labels, np.int64))
    return loss, dlogits


def update(value: Array, gradient: Array, learning_rate: float) -> Array:
    value, gradient = _views(value, gradient)
    stepped: Array = _update(value.ravel(), gradient.ravel(), value.dtype.type(learning_rate))
    return stepped.reshape(value.shape)


def warm(dtype: DTypeLike = np.float32) -> None:
    """Compile every core for `dtype` by using it once."""
    one = np.zeros((1, 1), dtype)
    affine_backward(affine(one, one, one[0]), one, one)
    relu_backward(relu(one), one)
    softmax(one)
    cross_entropy(one, np.zeros(1, np.int64))
    update(one, one, 1.0)
