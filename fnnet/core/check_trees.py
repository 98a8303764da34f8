"""Checks of arguments that are shaped like a network: gradients, and the trees of an optimizer's state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnnet.core.check_network import FLOATS, OF_MEMBERS, as_plain
from fnnet.core.checks import is_masked
from fnnet.core.params import Layer, Params
from fnnet.core.params import each as tree_map
from fnnet.core.state import Committee, Model
from fnnet.errors import ArgumentTypeError, UsageError


def check_like(params: Any, other: Any, name: str) -> tuple[Params, Params]:
    """Return both as trees of NumPy arrays if `other`, called `name`, is shaped and typed like params, else UsageError.

    Their arrays may be JAX's, but not masked.
    """
    for each in (params, other):
        if not isinstance(each, Params) or not isinstance(each.layers, (tuple, list)) or not each.layers:
            fix = "pass model.params" if isinstance(each, Model) else ""
            fix = OF_MEMBERS if isinstance(each, Committee) else fix
            raise ArgumentTypeError("not a network", expected="Params with layers", found=type(each).__name__, fix=fix)
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
    return (params, other) if plain else (tree_map(as_plain, params), tree_map(as_plain, other))


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
    return not any(is_masked(array) for array in (W, b, other_W, other_b))


def _describe(layer: Any) -> str:
    """Return what a layer is, for a message."""
    if not isinstance(layer, Layer):
        return type(layer).__name__
    return ", ".join(
        f"{each.shape} {each.dtype}" if hasattr(each, "dtype") and not is_masked(each) else type(each).__name__
        for each in layer
    )


def check_finite_grads(grads: Params) -> None:
    """Raise UsageError, naming the layer, the array and the place, if a gradient holds NaN or infinity."""
    for number, layer in enumerate(grads.layers, 1):
        W, b = layer
        # The sum of squares is quicker, makes no array of booleans, and may overflow even if all numbers are finite.
        # Unaligned numbers would reach BLAS as they are: that of NumPy 1.26.0 crashes on processors it does not know.
        aligned = W.flags.aligned and b.flags.aligned
        if aligned and math.isfinite(np.vdot(W, W)) and math.isfinite(np.vdot(b, b)):
            continue
        for name, array in zip(layer._fields, layer, strict=True):
            if not (finite := np.isfinite(array)).all():
                at = np.unravel_index(int(finite.argmin()), array.shape)
                place = f"layer {number} {name}{list(map(int, at))}"
                fix = "look for the step at which the loss ceased to be finite"
                raise UsageError(
                    "gradient is not finite", place=place, expected="finite numbers", found=array[at], fix=fix
                )
