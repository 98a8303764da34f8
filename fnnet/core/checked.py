"""The door of the tables: operations that look at what they are given before they compute.

Both tables have the same one, so that they refuse the same in the same words, and compiled code never meets what it was
not written for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fnnet.core.checks import as_array, check_finite, check_label_smoothing, check_labels, check_weights
from fnnet.core.params import FLOATS, Array
from fnnet.errors import ArgumentTypeError, UsageError

Operation = Callable[..., Any]

RAISED: Final = (FloatingPointError, RuntimeWarning)
"""What overflow and underflow are to a caller who wants them as errors; see `calm`, here without its call."""
SHAPES: Final = {
    "affine": {"x": "nk", "W": "km", "b": "m"},
    "affine_backward": {"dz": "nm", "x": "nk", "W": "km"},
    "softmax": {"logits": "nm"},
    "cross_entropy": {"logits": "nm"},
    "update": {"value": None, "gradient": None},
}
"""The axes of each argument by letter; None is any shape, the same for all."""
LETTERS: Final = {"n": "n", "k": "inputs", "m": "outputs"}


def checked(name: str, operation: Operation) -> Operation:
    """The operation `name`, with what it is given checked; it is `calm`. What fits costs half a microsecond."""
    makers = {
        "affine": _affine,
        "affine_backward": _affine_backward,
        "softmax": _softmax,
        "cross_entropy": _cross_entropy,
        "update": _update,
    }
    maker = makers.get(name, functools.partial(_slope if name.endswith("_backward") else _activation, name))
    return functools.wraps(operation)(maker(operation))


def _operands(operation: str, **given: Any) -> list[Array]:
    """The arguments as arrays of one dtype whose shapes fit one another, else UsageError."""
    shapes: Any = SHAPES.get(operation) or dict.fromkeys(given)
    arrays: list[Array] = []
    sizes: dict[str, int] = {}
    for name, value in given.items():
        array = as_array(f"{operation}: {name} has no usable dtype", value, "f", "float32, float64")
        dtype = arrays[0].dtype if arrays else array.dtype
        if array.dtype not in FLOATS or array.dtype != dtype:
            expected = str(dtype) if dtype in FLOATS else "float32, float64"
            raise ArgumentTypeError(f"{operation}: dtype of {name}", expected=expected, found=array.dtype)
        axes = shapes[name]
        if axes is None:
            wanted = (arrays or [array])[0].shape
            expected, fits = str(wanted), array.shape == wanted
        else:
            known = [sizes.get(letter, LETTERS[letter]) for letter in axes]
            expected = f"({', '.join(map(str, known))}{',' * (len(axes) == 1)})"
            fits = array.ndim == len(axes) and 0 not in array.shape
            fits = fits and all(size in (n, LETTERS[a]) for size, n, a in zip(known, array.shape, axes, strict=True))
        if not fits:
            raise UsageError(f"{operation}: {name} does not fit", expected=f"shape {expected}", found=array.shape)
        sizes |= zip(axes or "", array.shape, strict=False)
        arrays.append(array)
    return arrays


def _quietly(operation: Operation, *given: Any) -> Any:
    with np.errstate(all="ignore"):
        return operation(*given)


def _affine(operation: Operation) -> Operation:
    def affine(x: Any, W: Any, b: Any) -> Any:
        plain = type(x) is type(W) is type(b) is np.ndarray and x.dtype is W.dtype is b.dtype in FLOATS
        if not (plain and x.ndim == 2 and W.shape == (x.shape[1], *b.shape) and x.size and b.size):
            x, W, b = _operands("affine", x=x, W=W, b=b)
        try:
            return operation(x, W, b)
        except RAISED:
            return _quietly(operation, x, W, b)

    return affine


def _affine_backward(operation: Operation) -> Operation:
    def affine_backward(dz: Any, x: Any, W: Any, need_dx: bool = True) -> Any:
        plain = type(dz) is type(x) is type(W) is np.ndarray and dz.dtype is x.dtype is W.dtype in FLOATS
        plain = plain and x.ndim == 2 and dz.shape == (len(x), *W.shape[1:]) and W.shape[:1] == x.shape[1:]
        if not (plain and x.size and dz.size):
            dz, x, W = _operands("affine_backward", dz=dz, x=x, W=W)
        try:
            return operation(dz, x, W, need_dx)
        except RAISED:
            return _quietly(operation, dz, x, W, need_dx)

    return affine_backward


def _activation(name: str, operation: Operation) -> Operation:
    def activation(z: Any) -> Any:
        if not (type(z) is np.ndarray and z.dtype in FLOATS):
            (z,) = _operands(name, z=z)
        try:
            return operation(z)
        except RAISED:
            return _quietly(operation, z)

    return activation


def _slope(name: str, operation: Operation) -> Operation:
    def slope(da: Any, z: Any) -> Any:
        if not (type(da) is type(z) is np.ndarray and da.dtype is z.dtype in FLOATS and da.shape == z.shape):
            da, z = _operands(name, da=da, z=z)
        try:
            return operation(da, z)
        except RAISED:
            return _quietly(operation, da, z)

    return slope


def _softmax(operation: Operation) -> Operation:
    def softmax(logits: Any) -> Any:
        if not (type(logits) is np.ndarray and logits.dtype in FLOATS and logits.ndim == 2 and logits.size):
            (logits,) = _operands("softmax", logits=logits)
        try:
            return operation(logits)
        except RAISED:
            return _quietly(operation, logits)

    return softmax


def _cross_entropy(operation: Operation) -> Operation:
    def cross_entropy(logits: Any, labels: Any, weights: Any = None, label_smoothing: float = 0.0) -> Any:
        if not (type(logits) is np.ndarray and logits.dtype in FLOATS and logits.ndim == 2 and logits.size):
            (logits,) = _operands("cross_entropy", logits=logits)
        labels, weights = check_labels(labels, logits.shape), check_weights(weights, len(logits))
        label_smoothing = check_label_smoothing(label_smoothing)
        try:
            return operation(logits, labels, weights, label_smoothing)
        except RAISED:
            return _quietly(operation, logits, labels, weights, label_smoothing)

    return cross_entropy


def _update(operation: Operation) -> Operation:
    def update(value: Any, gradient: Any, learning_rate: float) -> Any:
        plain = type(value) is type(gradient) is np.ndarray and value.dtype is gradient.dtype in FLOATS
        if not (plain and value.shape == gradient.shape):
            value, gradient = _operands("update", value=value, gradient=gradient)
        learning_rate = check_finite("learning_rate", learning_rate)
        try:
            return operation(value, gradient, learning_rate)
        except RAISED:
            return _quietly(operation, value, gradient, learning_rate)

    return update
