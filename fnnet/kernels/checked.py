"""The door of the tables: operations that look at what they are given before they compute.

Both tables have the same one, so that they refuse the same in the same words, and compiled code never meets what it was
not written for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fnnet.arrays import as_array, calm, check_label_smoothing, check_labels, check_weights
from fnnet.checks import check_finite
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.params import Array

Operation = Callable[..., Any]

FLOATS: Final = (np.dtype(np.float32), np.dtype(np.float64))
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
    """The operation `name`, with what it is given checked; it is `calm`."""
    makers = {
        "affine": _affine,
        "affine_backward": _affine_backward,
        "softmax": _softmax,
        "cross_entropy": _cross_entropy,
        "update": _update,
    }
    maker = makers.get(name, functools.partial(_slope if name.endswith("_backward") else _activation, name))
    return functools.wraps(operation)(calm(maker(operation)))


def _plain(*arrays: Any) -> bool:
    """Whether these are arrays as the operations take them, of one dtype. Of every step: half a microsecond."""
    dtype = getattr(arrays[0], "dtype", None)
    return dtype in FLOATS and all(type(each) is np.ndarray and each.dtype is dtype for each in arrays)


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


def _affine(operation: Operation) -> Operation:
    def affine(x: Any, W: Any, b: Any) -> Any:
        if not (_plain(x, W, b) and x.ndim == W.ndim == 2 and x.size and W.shape == (x.shape[1], *b.shape) and b.size):
            x, W, b = _operands("affine", x=x, W=W, b=b)
        return operation(x, W, b)

    return affine


def _affine_backward(operation: Operation) -> Operation:
    def affine_backward(dz: Any, x: Any, W: Any, need_dx: bool = True) -> Any:
        plain = _plain(dz, x, W) and dz.ndim == x.ndim == W.ndim == 2 and x.size and W.size
        if not (plain and len(dz) == len(x) and W.shape == (x.shape[1], dz.shape[1])):
            dz, x, W = _operands("affine_backward", dz=dz, x=x, W=W)
        return operation(dz, x, W, need_dx)

    return affine_backward


def _activation(name: str, operation: Operation) -> Operation:
    def activation(z: Any) -> Any:
        if not _plain(z):
            (z,) = _operands(name, z=z)
        return operation(z)

    return activation


def _slope(name: str, operation: Operation) -> Operation:
    def slope(da: Any, z: Any) -> Any:
        if not (_plain(da, z) and da.shape == z.shape):
            da, z = _operands(name, da=da, z=z)
        return operation(da, z)

    return slope


def _softmax(operation: Operation) -> Operation:
    def softmax(logits: Any) -> Any:
        if not (_plain(logits) and logits.ndim == 2 and logits.size):
            (logits,) = _operands("softmax", logits=logits)
        return operation(logits)

    return softmax


def _cross_entropy(operation: Operation) -> Operation:
    def cross_entropy(logits: Any, labels: Any, weights: Any = None, label_smoothing: float = 0.0) -> Any:
        if not (_plain(logits) and logits.ndim == 2 and logits.size):
            (logits,) = _operands("cross_entropy", logits=logits)
        labels, weights = check_labels(labels, logits.shape), check_weights(weights, len(logits))
        return operation(logits, labels, weights, check_label_smoothing(label_smoothing))

    return cross_entropy


def _update(operation: Operation) -> Operation:
    def update(value: Any, gradient: Any, learning_rate: float) -> Any:
        if not (_plain(value, gradient) and value.shape == gradient.shape):
            value, gradient = _operands("update", value=value, gradient=gradient)
        return operation(value, gradient, check_finite("learning_rate", learning_rate))

    return update
