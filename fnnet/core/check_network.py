"""Checks of arguments that are networks, inputs of networks, or shaped like networks.

Every public call makes them: arguments that fit take a microsecond at most; the slower code is for messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy import ndarray

from fnnet.core import notes
from fnnet.core.checks import as_array, check_untraced, one_number, shown
from fnnet.core.frames import is_frame, pixels_of
from fnnet.core.network import BYTES, Activations, as_floats
from fnnet.core.operations import Activation
from fnnet.core.own import Own
from fnnet.core.params import INITIALISERS, Array, Layer, Params, count_parameters, freeze
from fnnet.core.params import each as tree_map
from fnnet.core.state import Committee, Examples, Model
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import ACTIVATIONS

MAX_PARAMETERS: Final = 10**9
OF_MEMBERS: Final = "pass one of its members, or fnnet.join(committee.members)"
"""What to do where a function of one network is given a committee."""
MOST_DOUBLE: Final = float(np.finfo(np.float64).max)
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

    Arrays of subclasses of NumPy's and of other libraries, as jax.tree.map returns them, become plain ones.
    """
    return params if _are_fit(params) else _check_each_layer(params)


def check_network(network: Any, activation: Any) -> tuple[Params | Committee, str | Activation]:
    """Return the parameters and the activation: by default relu for Params or a Committee, its own for a Model.

    Raises   UsageError for another activation than the model's.
    """
    if not isinstance(network, Model):
        activation = check_activation("relu" if activation is None else activation)
        return _check_params_or_members(network), activation
    own = network.activation
    if activation is not None and activation != own:
        fix = "leave `activation` out, or pass model.params"
        raise UsageError("activation is not the model's", expected=own, found=shown(activation), fix=fix)
    return _check_params_or_members(network.params), check_activation(own)


def _check_params_or_members(given: Any) -> Params | Committee:
    if not isinstance(given, Committee):
        return check_params(given)
    from fnnet.core.committee import check_committee  # few programs have one

    return check_committee(given)


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
        found, expected = type(params).__name__, "Params with layers"
        fix = "pass model.params, with activation=model.activation" if isinstance(params, Model) else ""
        fix = OF_MEMBERS if isinstance(params, Committee) else fix
        raise ArgumentTypeError("params is not a network", expected=expected, found=found, fix=fix)
    checked: list[Layer] = []
    for number, layer in enumerate(layers, 1):
        place = f"layer {number}"
        if not (isinstance(layer, Layer) and all(hasattr(array, "__array__") for array in layer)):
            kinds = [type(each).__name__ for each in layer] if isinstance(layer, Layer) else []
            found = f"Layer of {kinds[0]} and {kinds[1]}" if kinds else type(layer).__name__
            raise ArgumentTypeError("not a layer", place=place, expected="Layer of arrays", found=found)
        plain = Layer(*(as_plain(array, place) for array in layer))
        _check_layer(plain, place, (checked or [plain])[0].W.dtype, checked[-1].W.shape[1] if checked else None)
        checked.append(plain)
    return Params(tuple(checked))


def as_plain(array: Any, place: str = "params") -> Array:
    """Return an array of another library, or of a subclass, as a plain one; ArgumentTypeError for one that cannot be.

    A masked array cannot, whatever its mask; a tracer stands for an array that is not known yet.
    """
    if type(array) is ndarray:
        return array
    if isinstance(array, np.ma.MaskedArray):
        fix = "fill the values in with array.filled(0)"
        raise ArgumentTypeError("not a layer", place=place, expected="arrays without a mask", found="masked", fix=fix)
    try:
        plain: Array = np.asarray(array)
    except Exception as error:  # all that an object's own __array__ may raise
        check_untraced(array)
        found = f"{type(array).__name__}: {error}"
        raise ArgumentTypeError("not a layer", place=place, expected="Layer of arrays", found=found) from None
    return plain


def _check_layer(layer: Layer, place: str, dtype: Any, before: int | None) -> None:
    """Raise UsageError unless the layer follows one of `before` units, and is of `dtype`."""
    W, b = layer
    if not W.dtype == b.dtype == dtype or W.dtype not in FLOATS:
        expected, found = "float32 or float64, the same in all layers", f"W {W.dtype}, b {b.dtype}"
        fix = "convert each array with array.astype('float32')" if W.dtype.kind in "fV" else ""
        raise ArgumentTypeError("layer dtype", place=place, expected=expected, found=found, fix=fix)
    if W.ndim != 2 or b.shape != W.shape[1:] or before not in (None, W.shape[0]) or not W.size:
        expected = f"W ({'inputs' if before is None else before}, outputs) and b (outputs,)"
        raise UsageError("layers do not fit", place=place, expected=expected, found=f"W {W.shape} and b {b.shape}")


def check_activation(activation: Any) -> str | Activation:
    """Return `activation` if it is one of ACTIVATIONS, or an Activation, whose functions then check their results.

    Raises   UsageError for another name, ArgumentTypeError for functions that cannot be called.
    """
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return activation
    if not isinstance(activation, Activation):
        expected = " or ".join((*ACTIVATIONS, "an fnnet.Activation"))
        raise UsageError("unknown activation", expected=expected, found=shown(activation))
    functions: tuple[Any, ...] = activation
    value, backward, kinked = functions
    if isinstance(value, Own):
        return activation
    if not (callable(value) and callable(backward)):
        expected = "functions value(z) and backward(da, z)"
        raise ArgumentTypeError("activation", expected=expected, found=f"{value!r}, {backward!r}"[:80])
    return Activation(Own("value", value), Own("backward", backward), bool(kinked))


def as_pixels(given: Any) -> Array:
    """Return `given` as an array of floats or uint8, of any shape, else ArgumentTypeError."""
    x: Array = given
    if not (type(x) is np.ndarray and (x.dtype is BYTES or x.dtype in FLOATS)):
        problem, expected = "x has no usable dtype", "floats, or uint8 for bytes/255"
        x = as_array(problem, pixels_of(problem, given, expected) if is_frame(given) else given, "fiu", expected)
        if x.ndim and x.dtype.kind in "iu" and x.dtype != BYTES:  # one number has another fault
            raise ArgumentTypeError(problem, expected=expected, found=x.dtype, fix=_remedy(x))
    return x


def check_input(given: Any, params: Params) -> Array:
    """Return `given` as an array x (n, inputs) of floats or uint8 that fits the network, else UsageError."""
    inputs, x = params.layers[0].W.shape[0], as_pixels(given)
    if x.ndim != 2 or x.shape[1] != inputs:
        fix = "give one image as x[None, :]" if x.ndim == 1 else ""
        fix = "give images as x.reshape(len(x), -1)" if x.ndim > 2 and x[:1].size == inputs else fix
        raise UsageError("x does not fit the network", expected=f"shape (n, {inputs})", found=x.shape, fix=fix)
    if len(x) == 0:
        raise UsageError("x is empty", expected="at least 1 row", found="0 rows")
    if x.dtype is BYTES:
        if next(notes.turns_of_bytes):
            notes.note_bits(x)
    elif next(notes.turns) and x.dtype.kind == "f":
        notes.note_pixels(x)
    return x


def _remedy(x: Array) -> str:
    """Return what to give in place of integers x that are not bytes, by their range: uint8 would wrap others."""
    low, high = (int(x.min()), int(x.max())) if x.size else (0, 255)
    if low < 0:
        as_pixels = "np.clip(x, 0, 255).astype(np.uint8) if they are pixels"
        return f"x goes from {low} to {high}: give x.astype(np.float32), or {as_pixels}"
    if high <= 1:
        return "give x.astype(np.float32), as bytes are divided by 255"
    if high <= 255:
        return f"give pixels from 0 to 255 as x.astype(np.uint8), other numbers as x / {high}"
    bits = high.bit_length()
    divisors = f"x / {2**bits - 1} for pixels of {bits} bits, else x / {high}"
    return f"x goes from {low} to {high}: give {divisors}, and divide all data by the same"


def as_input(x: Any, params: Params) -> Array:
    """Return `x` as a read-only float array (n, inputs) of the parameters' dtype; uint8 divided by 255."""
    W = params.layers[0].W
    fits = type(x) is ndarray and x.ndim == 2 and x.shape[1] == W.shape[0] and x.size
    if fits and x.dtype is BYTES:
        if next(notes.turns_of_bytes):
            notes.note_bits(x)
        floats = as_floats(x, W.dtype)
    else:
        if not (fits and x.dtype is W.dtype):
            x = as_floats(check_input(x, params), W.dtype)
        elif next(notes.turns):
            notes.note_pixels(x)
        floats = x.view()
    floats.setflags(write=False)
    return floats


def as_stored(x: Any, params: Params, dtype: np.dtype[Any]) -> Array:
    """Return `x`, rows that fit the network, contiguous, as uint8 or in `dtype`, as compiled predictors read them."""
    plain = type(x) is ndarray and (x.dtype is BYTES or x.dtype == dtype) and x.flags.c_contiguous
    if not (plain and x.ndim == 2 and x.shape[1] == params.layers[0].W.shape[0] and len(x)):
        x = contiguous(check_input(x, params), dtype)
    elif x.dtype is BYTES:
        if next(notes.turns_of_bytes):
            notes.note_bits(x)
    elif next(notes.turns):
        notes.note_pixels(x)
    stored: Array = x
    return stored


def copied(params: Params) -> Params:
    """Return `params` with read-only arrays of its own, which stay as they are whatever becomes of the given ones."""
    return tree_map(lambda array: freeze(array.copy()), params)


def contiguous(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return `x` contiguous, as uint8 or in `dtype`."""
    with np.errstate(over="ignore"):
        stored: Array = np.ascontiguousarray(x, dtype=BYTES if x.dtype == BYTES else dtype)
    return stored


def check_finite_input(given: Any, params: Params, numbers: Array | None = None) -> None:
    """Raise UsageError, with row and column, if x (n, inputs), `given`, has NaN or infinity in the parameters' dtype.

    Called only where a result is not finite, so that finite input costs nothing: NaN goes through every layer.

    numbers   of the rows, for the message; None for 0 to n - 1.
    """
    x: Array = np.asarray(given)
    dtype = params.layers[0].W.dtype
    wrong = ~np.isfinite(as_floats(x, dtype))
    if wrong.any():
        row, column = divmod(int(wrong.argmax()), x.shape[1])
        place, number = f"row {row if numbers is None else numbers[row]}, column {column}", x[row, column]
        fix = "fill it in, as np.nan_to_num does, or leave the row out"
        if np.isinf(number):
            fix = "bring x into a range, as np.clip does, or leave the row out"
        elif not np.isnan(number):
            fix = "scale x, or use a network of float64" if abs(number) < MOST_DOUBLE else "scale x"
        raise UsageError("x is not finite", place=place, expected=f"finite {dtype}", found=number, fix=fix)


def check_examples(given: Any) -> Examples:
    """Return an object that has `x` and `labels` as Examples, else ArgumentTypeError."""
    if not (hasattr(given, "x") and hasattr(given, "labels")):
        raise ArgumentTypeError("examples", expected="Examples(x, labels)", found=type(given).__name__)
    if is_frame(given.x):
        return Examples(pixels_of("x has no usable dtype", given.x, "floats, or uint8 for bytes/255"), given.labels)
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
    activation = check_activation(activations.activation)
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
    return Activations(*checked, activation, check_masks(masks, n, params))


def check_dlogits(given: Any, probs: Array) -> Array:
    """Return a loss's gradient at the logits, (n, classes), in the dtype of `probs`, else UsageError."""
    dlogits = as_array("dlogits have no usable dtype", given, "fiu", "floats")
    if dlogits.shape != probs.shape:
        raise UsageError("dlogits do not fit the logits", expected=f"shape {probs.shape}", found=dlogits.shape)
    with np.errstate(over="ignore"):
        dlogits = dlogits.astype(probs.dtype, copy=False)
    if not (finite := np.isfinite(dlogits)).all():
        row, column = divmod(int(finite.argmin()), probs.shape[1])
        place = f"row {row}, column {column}"
        raise UsageError(
            "dlogits are not finite", place=place, expected=f"finite {probs.dtype}", found=given[row][column]
        )
    return dlogits


def check_initialiser(scheme: Any) -> None:
    """Raise UsageError unless `scheme` is one of INITIALISERS."""
    if not isinstance(scheme, str) or scheme not in INITIALISERS:
        expected = " or ".join(INITIALISERS)
        raise UsageError("unknown initialiser", expected=expected, found=shown(scheme))


def check_sizes(sizes: Any) -> tuple[int, ...]:
    """Return `sizes` as a tuple of at least two positive ints, else UsageError."""
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        found, fix = shown(sizes), "give sizes.tolist()" if isinstance(sizes, ndarray) else ""
        expected = "inputs, hidden sizes, outputs"
        raise ArgumentTypeError("sizes is not a sequence", expected=expected, found=found, fix=fix)
    checked = []
    for given in sizes:
        size = one_number("layer size is not an integer", given, "iu", "integers >= 1")
        if not isinstance(size, (int, np.integer)):
            raise ArgumentTypeError("layer size is not an integer", expected="integers >= 1", found=shown(size))
        if size < 1:
            raise UsageError("layer size out of range", expected="integers >= 1", found=shown(size))
        checked.append(int(size))
    if len(checked) < 2:
        raise UsageError("too few layer sizes", expected="inputs, hidden sizes, outputs", found=shown(list(sizes)))
    if count_parameters(checked) > MAX_PARAMETERS:
        count = count_parameters(checked)
        expected, found = f"at most {MAX_PARAMETERS:,} parameters", f"{count:,}" if count < 10**30 else shown(count)
        raise UsageError("network too large", expected=expected, found=found, fix="use smaller layers")
    return tuple(checked)
