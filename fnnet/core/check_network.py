"""Checks of arguments that are networks, inputs of networks, or shaped like networks.

Every public call makes them: arguments that fit take a microsecond at most; the slower code is for messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy import ndarray

from fnnet.core import notes
from fnnet.core.checks import as_array
from fnnet.core.network import BYTES, Activations, as_floats
from fnnet.core.params import INITIALISERS, Array, Layer, Params, count_parameters, freeze
from fnnet.core.params import each as tree_map
from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import ACTIVATIONS

MAX_PARAMETERS: Final = 10**9
FLOATS: Final = (np.dtype(np.float32), np.dtype(np.float64))
SHAPES: Final = {
    "affine": {"x": "nk", "W": "km", "b": "m"},
    "affine_backward": {"dz": "nm", "x": "nk", "W": "km"},
    "softmax": {"logits": "nm"},
    "cross_entropy": {"logits": "nm"},
    "cross_entropy_backward": {"probs": "nm"},
}
"""The axes of each argument of an operation by letter; other operations take arguments of one shape."""
LETTERS: Final = {"n": "n", "k": "inputs", "m": "outputs"}


def check_operands(operation: str, **given: Any) -> list[Array]:
    """Return the arguments of an operation as arrays of one float dtype whose shapes fit, else UsageError."""
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


def check_params(params: Any) -> Params:
    """Return `params` if its layers fit one another and share float32 or float64, else UsageError naming the layer.

    Arrays of subclasses become plain ones.
    """
    return params if _are_fit(params) else tree_map(np.asarray, _check_each_layer(params))


def _are_fit(params: Any) -> bool:
    """True, in 0.6 us, for plain layers that fit one another; False for all others, even unusual ones that fit."""
    if type(params) is not Params or type(params.layers) is not tuple:
        return False
    width = dtype = None
    try:
        for layer in params.layers:
            W, b = layer
            rows, columns = W.shape
            if dtype is None:
                width, dtype = rows, W.dtype
            if rows != width or b.shape != (columns,) or not (rows and columns):
                return False
            if not (type(layer) is Layer and type(W) is ndarray is type(b) and W.dtype is dtype is b.dtype):
                return False
            width = columns
    except (AttributeError, TypeError, ValueError):
        return False
    return dtype is not None and dtype in FLOATS  # NumPy takes None for float64


def _check_each_layer(params: Any) -> Params:
    layers = getattr(params, "layers", None)
    if not isinstance(params, Params) or not isinstance(layers, (tuple, list)) or not layers:
        raise ArgumentTypeError("params is not a network", expected="Params with layers", found=type(params).__name__)
    before = None
    for number, layer in enumerate(layers, 1):
        _check_layer(layer, number, layers[0], before)
        before = layer.W.shape[1]
    return params


def _check_layer(layer: Any, number: int, first: Any, before: int | None) -> None:
    """Raise UsageError unless the layer follows one of `before` units, and is of the dtype of the first."""
    place = f"layer {number}"
    if not (isinstance(layer, Layer) and all(map(is_plain_array, layer))):
        raise ArgumentTypeError("not a layer", place=place, expected="Layer of arrays", found=type(layer).__name__)
    W, b = layer
    if not W.dtype == b.dtype == first.W.dtype or W.dtype not in FLOATS:
        found = f"W {W.dtype}, b {b.dtype}"
        raise ArgumentTypeError("layer dtype", place=place, expected="one float dtype", found=found)
    if W.ndim != 2 or b.shape != W.shape[1:] or before not in (None, W.shape[0]) or not W.size:
        expected = f"W ({'inputs' if before is None else before}, outputs) and b (outputs,)"
        raise UsageError("layers do not fit", place=place, expected=expected, found=f"W {W.shape} and b {b.shape}")


def is_plain_array(given: Any) -> bool:
    """True for an ndarray without a mask."""
    return isinstance(given, np.ndarray) and not isinstance(given, np.ma.MaskedArray)


def check_like(params: Any, other: Any, name: str) -> tuple[Params, Params]:
    """Return both as trees of NumPy arrays if `other`, called `name`, is shaped and typed like params, else UsageError.

    Their arrays may be JAX's, but not masked.
    """
    for each in (params, other):
        if not isinstance(each, Params) or not isinstance(each.layers, (tuple, list)) or not each.layers:
            raise ArgumentTypeError("not a network", expected="Params with layers", found=type(each).__name__)
    plain, alike = True, len(params.layers) == len(other.layers)
    for one, two in zip(params.layers, other.layers, strict=False):
        if not (alike and _are_alike(one, two)):
            alike = False
            break
        plain = plain and type(one.W) is type(one.b) is type(two.W) is type(two.b) is np.ndarray
    if not alike:
        expected, found = ([_describe(layer) for layer in each.layers] for each in (params, other))
        raise UsageError(f"{name} do not fit params", expected=expected, found=found)
    for W, _ in params.layers:
        if W.dtype not in FLOATS and np.dtype(W.dtype).newbyteorder("=") not in FLOATS:
            raise ArgumentTypeError("dtype of params", expected="float32, float64", found=W.dtype)
    return (params, other) if plain else (tree_map(np.asarray, params), tree_map(np.asarray, other))


def _are_alike(one: Any, other: Any) -> bool:
    """True for two layers of the same shapes and dtype, none of whose arrays is masked."""
    if not (isinstance(one, Layer) and isinstance(other, Layer)):
        return False
    (W, b), (other_W, other_b) = one, other
    try:
        if W.shape != other_W.shape or b.shape != other_b.shape:
            return False
        if not W.dtype == b.dtype == other_W.dtype == other_b.dtype:
            return False
    except AttributeError:
        return False
    return not any(isinstance(array, np.ma.MaskedArray) for array in (W, b, other_W, other_b))


def _describe(layer: Any) -> str:
    """Return what a layer is, for a message."""
    if not isinstance(layer, Layer):
        return type(layer).__name__
    return ", ".join(
        f"{each.shape} {each.dtype}"
        if hasattr(each, "dtype") and not isinstance(each, np.ma.MaskedArray)
        else type(each).__name__
        for each in layer
    )


def check_activation(activation: Any) -> None:
    """Raise UsageError unless `activation` is one of ACTIVATIONS."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UsageError("unknown activation", expected=" or ".join(ACTIVATIONS), found=repr(activation))


def check_input(given: Any, params: Params) -> Array:
    """Return `given` as an array x (n, inputs) of floats or uint8 that fits the network, else UsageError."""
    inputs = params.layers[0].W.shape[0]
    x: Array = given
    if not (type(x) is np.ndarray and (x.dtype is BYTES or x.dtype in FLOATS)):
        problem, expected = "x has no usable dtype", "floats, or uint8 for bytes/255"
        x = as_array(problem, given, "fiu", expected)
        if x.dtype.kind in "iu" and x.dtype != BYTES:
            fix = "give pixels from 0 to 255 as x.astype(np.uint8)"
            raise ArgumentTypeError(problem, expected=expected, found=x.dtype, fix=fix)
    if x.ndim != 2 or x.shape[1] != inputs:
        fix = "give one image as x[None, :]" if x.ndim == 1 else ""
        raise UsageError("x does not fit the network", expected=f"shape (n, {inputs})", found=x.shape, fix=fix)
    if len(x) == 0:
        raise UsageError("x is empty", expected="at least 1 row", found="0 rows")
    if x.dtype is not BYTES and next(notes.turns) and x.dtype.kind == "f":
        notes.note_pixels(x)
    return x


def as_input(x: Any, params: Params) -> Array:
    """Return `x` as a read-only float array (n, inputs) of the parameters' dtype; uint8 divided by 255."""
    W = params.layers[0].W
    fits = type(x) is ndarray and x.ndim == 2 and x.shape[1] == W.shape[0] and x.size
    if fits and x.dtype is BYTES:
        floats = as_floats(x, W.dtype)
    else:
        if not (fits and x.dtype is W.dtype):
            x = as_floats(check_input(x, params), W.dtype)
        elif next(notes.turns):
            notes.note_pixels(x)
        floats = x.view()
    floats.setflags(write=False)
    return floats


def check_finite_input(x: Array, params: Params, numbers: Array | None = None) -> None:
    """Raise UsageError, with row and column, if `x` (n, inputs) holds NaN or infinity in the parameters' dtype.

    Called only where a result is not finite, so that finite input costs nothing: NaN goes through every layer.

    numbers   of the rows, for the message; None for 0 to n - 1.
    """
    dtype = params.layers[0].W.dtype
    with np.errstate(over="ignore"):
        wrong = ~np.isfinite(as_floats(x, dtype))
    if wrong.any():
        row, column = divmod(int(wrong.argmax()), x.shape[1])
        place = f"row {row if numbers is None else numbers[row]}, column {column}"
        fix = "fill it in, as np.nan_to_num does, or leave the row out"
        raise UsageError("x is not finite", place=place, expected=f"finite {dtype}", found=x[row, column], fix=fix)


def check_examples(given: Any) -> Examples:
    """Return an object that has `x` and `labels` as Examples, else ArgumentTypeError."""
    if not (hasattr(given, "x") and hasattr(given, "labels")):
        raise ArgumentTypeError("examples", expected="Examples(x, labels)", found=type(given).__name__)
    return given if isinstance(given, Examples) else Examples(given.x, given.labels)


def check_masks(given: Any, n: int, params: Params) -> tuple[Array, ...] | None:
    """Return the masks `given`, one (n, units) of floats for each hidden layer, read-only in the parameters' dtype.

    None stays None. Raises   UsageError, ArgumentTypeError.
    """
    if given is None:
        return None
    if not isinstance(given, (tuple, list)):
        raise ArgumentTypeError("masks", expected="one array for each hidden layer", found=type(given).__name__)
    masks = [as_array("masks have no usable dtype", mask, "f", "floats") for mask in given]
    wanted, found = [(n, layer.b.size) for layer in params.layers[:-1]], [mask.shape for mask in masks]
    if found != wanted:
        raise UsageError("masks do not fit the network", expected=f"shapes {wanted}", found=found)
    return tuple(freeze(np.asarray(mask, dtype=params.layers[0].W.dtype).view()) for mask in masks)


def check_activations(params: Params, activations: Any) -> Activations:
    """Return `activations` if they could come from `forward` with these parameters, else UsageError.

    Its masks are returned as by `check_masks`.
    """
    if not isinstance(activations, Activations):
        kind = type(activations).__name__
        raise ArgumentTypeError("activations", expected="what forward returns", found=kind)
    check_activation(activations.activation)
    a, z, probs, _, masks = activations
    widths, dtype = [layer.W.shape for layer in params.layers], params.layers[0].W.dtype
    try:
        arrays = [as_array("activations", each, "f", str(dtype)) for each in (*a, *z, probs)]
        found = [(one.shape[1], two.shape[1]) for one, two in zip(arrays, arrays[len(a) : -1], strict=False)]
    except (IndexError, TypeError):
        arrays, found = [], []
    if widths != found or not len(a) == len(z) == len(widths):
        raise UsageError("activations come from another network", expected=f"layers {widths}", found=found)
    n, classes = len(arrays[-1]), widths[-1][1]
    wanted = [(n, inputs) for inputs, _ in widths] + [(n, outputs) for _, outputs in widths] + [(n, classes)]
    if not n or [each.shape for each in arrays] != wanted:
        shapes = [each.shape for each in arrays]
        raise UsageError("activations do not fit one another", expected=f"shapes {wanted}", found=shapes)
    if any(each.dtype != dtype for each in arrays):
        found_dtypes = ", ".join(sorted({str(each.dtype) for each in arrays}))
        raise ArgumentTypeError("activations come from another network", expected=dtype, found=found_dtypes)
    layers = len(widths)
    checked = tuple(arrays[:layers]), tuple(arrays[layers:-1]), arrays[-1]
    return Activations(*checked, activations.activation, check_masks(masks, n, params))


def check_initialiser(scheme: Any) -> None:
    """Raise UsageError unless `scheme` is one of INITIALISERS."""
    if not isinstance(scheme, str) or scheme not in INITIALISERS:
        expected = " or ".join(INITIALISERS)
        raise UsageError("unknown initialiser", expected=expected, found=repr(scheme))


def check_sizes(sizes: Any) -> tuple[int, ...]:
    """Return `sizes` as a tuple of at least two positive ints, else UsageError."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ArgumentTypeError("sizes is not a sequence", expected="inputs, hidden sizes, outputs", found=repr(sizes))
    checked = []
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise ArgumentTypeError("layer size is not an integer", expected="integers >= 1", found=repr(size))
        if size < 1:
            raise UsageError("layer size out of range", expected="integers >= 1", found=size)
        checked.append(int(size))
    if len(checked) < 2:
        raise UsageError("too few layer sizes", expected="inputs, hidden sizes, outputs", found=list(sizes))
    if count_parameters(checked) > MAX_PARAMETERS:
        expected, found = f"at most {MAX_PARAMETERS:,} parameters", f"{count_parameters(checked):,}"
        raise UsageError("network too large", expected=expected, found=found, fix="use smaller layers")
    return tuple(checked)
