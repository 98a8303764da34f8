"""Gradient checking: every derivative against two independent derivatives of the loss, or of any function.

Central differences use the five-point rule (error h**4): (L(-2h) - 8 L(-h) + 8 L(h) - L(2h)) / 12h.
The complex step takes Im L(w + ih) / h, which has no cancellation and is exact up to rounding (Squire and Trapp 1998,
doi:10.1137/S003614459631241X); it evaluates the NumPy definitions on complex numbers.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import network, rng
from fnnet.core.check_network import as_input, check_activation, check_masks, check_params
from fnnet.core.check_trees import check_finite_grads, check_like
from fnnet.core.checks import as_array, calm, check_amount, check_label_smoothing, check_labels, check_weights
from fnnet.core.operations import ACTIVATIONS, OPERATIONS, Activation
from fnnet.core.params import Array, Layer, Params
from fnnet.core.public import init
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, UsageError

CENTRAL_LIMIT: Final = 1e-7
COMPLEX_LIMIT: Final = 1e-12
STEP: Final = 1e-3
COMPLEX_STEP: Final = 1e-100
FLOOR: Final = 1e-3
"""A relative error's denominator is at least this fraction of the largest derivative of the array."""
LEAST: Final = 1e-4
"""And at least this fraction of the function's size: rounding leaves 1e-12 of it where the true derivative is 0."""
TINY: Final = 1e-290
"""Stands for the size of a function that is 0: no number is divided by 0."""


class Check(NamedTuple):
    """One array: the largest relative errors over its elements. It is true if it passed.

    checked        elements compared with central differences.
    kinks          elements not compared, because the step moved a unit across its activation's kink.
    central        largest relative error against central differences.
    complex_step   largest relative error against the complex step; None where it is not taken.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    central: float
    complex_step: float | None

    @property
    def passed(self) -> bool:
        """True if both errors are within their limits and at least one element was checked."""
        exact = self.complex_step is None or self.complex_step <= COMPLEX_LIMIT
        return self.checked > 0 and self.central <= CENTRAL_LIMIT and exact

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        exact = "" if self.complex_step is None else f", complex step {self.complex_step:.1e}"
        counts = f"{self.checked} checked, {self.kinks} at kinks"
        return f"Check({self.name}: {'passed' if self else 'WRONG'}, {counts}, central {self.central:.1e}{exact})"


class Checks(tuple[Check, ...]):
    """One Check for each array, in order; true if all of them passed."""

    __slots__ = ()

    @property
    def passed(self) -> bool:
        """True if every Check passed."""
        return all(self)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


class _Problem(NamedTuple):
    """Everything that the loss depends on except the parameters."""

    x: Array
    labels: Array
    activation: str | Activation
    masks: tuple[Array, ...] | None
    weights: Array | None
    label_smoothing: float


@calm
def check_gradients(
    params: Params,
    x: Any,
    labels: Array,
    *,
    activation: str | Activation = "relu",
    masks: tuple[Array, ...] | None = None,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
    grads: Params | None = None,
) -> Checks:
    """Check `backward` (or the given `grads`) at float64 `params`, `x` (n, inputs), `labels` (n,).

    The loss is that of `forward` and `loss` with the same options. Both checks cover every parameter; each takes seven
    forward passes, five if the activation has no kink. The complex step is left out for an Activation of the user's
    own, which need not take complex numbers.

    Returns  Checks: one for each array, in the order of the parameters; true if all passed.
    """
    params = check_params(params)
    x = as_input(x, params)
    labels, weights = check_labels(labels, (len(x), params.layers[-1].b.size)), check_weights(weights, len(x))
    activation = check_activation(activation)
    check_kernels(kernels)
    masks, label_smoothing = check_masks(masks, len(x), params), check_label_smoothing(label_smoothing)
    if grads is None:
        activations = network.forward(params, x, activation, masks, kernels.operations)
        grads = network.backward(params, activations, labels, weights, label_smoothing, kernels.operations)
    else:
        grads = check_like(params, grads, "grads")[1]
    problem = _Problem(x, labels, activation, masks, weights, label_smoothing)
    pattern, exact = _pattern(params, problem), isinstance(activation, str)

    def check(number: int, name: str) -> Check:
        def value(array: Array) -> complex:
            return _loss(_replaced(params, number, name, array), problem)

        def crosses(array: Array) -> bool:
            return _pattern(_replaced(params, number, name, array), problem) != pattern

        at, gradient = (getattr(tree.layers[number], name) for tree in (params, grads))
        return _check_array(f"layer {number + 1} {name}", at, gradient, value, exact, crosses)

    return Checks(check(number, name) for number in range(len(params.layers)) for name in Layer._fields)


@calm
def check_gradient(
    function: Callable[[Any], float],
    at: Any,
    gradient: Any,
    *,
    step: float = STEP,
    complex_step: bool = False,
) -> Checks:
    """Check the `gradient` of any `function` at the point `at` by central differences.

    function       of an array or of Params to a number; it is called nine times for each element of `at`.
    at             a float64 array of any shape, or float64 Params.
    gradient       what is to be checked, shaped like `at`.
    step           of the differences. Where those of this step and of half of it differ by more than the limit, as
                   across a kink, the element is not compared and counts in `kinks`.
    complex_step   compare with the complex step too: for functions that take complex numbers and are analytic, without
                   abs, conj, real parts or comparisons.
    Returns  Checks: one Check for an array, one for each array of Params; true if all passed. An element passes if it
             differs from the central difference by at most 1e-7 of the largest of: the difference itself; 1e-3 of the
             steepest slope of its array; 1e-4 of the largest value of the function, below which differences are noise.
    Raises   ArgumentTypeError for other dtypes, and a function whose values are not numbers; UsageError for a gradient
             of another shape, and for values and gradients that are not finite.

    >>> import fnnet, numpy as np
    >>> at = np.linspace(-1.0, 1.0, 5)
    >>> bool(fnnet.check_gradient(lambda x: (x**3).sum(), at, 3 * at**2))
    True
    >>> fnnet.check_gradient(lambda x: (x**3).sum(), at, 2 * at**2)
    Check(at: WRONG, 5 checked, 0 at kinks, central 3.3e-01)
    """
    if not callable(function):
        raise ArgumentTypeError("function", expected="a function of `at`", found=repr(function))
    step = check_amount("step", step, above=True)
    if isinstance(at, Params):
        params, grads = check_like(_float64_params(at), gradient, "gradient")
        check_finite_grads(grads)

        def check(number: int, name: str) -> Check:
            def value(array: Array) -> float:
                return function(_replaced(params, number, name, array))

            at, gradient = (getattr(tree.layers[number], name) for tree in (params, grads))
            return _check_function(f"layer {number + 1} {name}", at, gradient, value, step, bool(complex_step))

        return Checks(check(number, name) for number in range(len(params.layers)) for name in Layer._fields)
    at = as_array("at", at, "f", "a float64 array or Params")
    if at.dtype != np.float64:
        raise ArgumentTypeError("at", expected="float64", found=at.dtype, fix="give at.astype(np.float64)")
    gradient = as_array("gradient", gradient, "fiu", "floats")
    if gradient.shape != at.shape or not at.size:
        raise UsageError("gradient does not fit", expected=f"shape {at.shape}, not empty", found=gradient.shape)
    if not (finite := np.isfinite(gradient)).all():
        place = tuple(map(int, np.unravel_index(int(finite.argmin()), at.shape)))
        raise UsageError(
            "gradient is not finite", place=f"at {place}", expected="finite numbers", found=gradient[place]
        )
    return Checks([_check_function("at", at, gradient, function, step, bool(complex_step))])


def _float64_params(params: Params) -> Params:
    params = check_params(params)
    if params.layers[0].W.dtype != np.float64:
        fix = "make them with fnnet.init(..., dtype='float64')"
        raise ArgumentTypeError("dtype of params", expected="float64", found=params.layers[0].W.dtype, fix=fix)
    return params


def _check_function(
    name: str, at: Array, gradient: Array, function: Callable[[Array], Any], step: float, exact: bool
) -> Check:
    def value(array: Array) -> complex:
        array.setflags(write=False)
        found = function(array)
        found = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
        if not isinstance(found, numbers.Complex if array.dtype.kind == "c" else numbers.Real):
            found = f"shape {np.shape(found)}" if isinstance(found, np.ndarray) else repr(found)[:80]
            raise ArgumentTypeError("value of the function", place=name, expected="a number", found=found)
        if not np.isfinite(complex(found)):
            raise UsageError("value of the function", place=name, expected="a finite number", found=found)
        return complex(found)

    return _check_array(name, at, gradient, value, exact, None, step)


def _check_array(
    name: str, at: Array, gradient: Array, value: Callable[[Array], complex], exact: bool,
    crosses: Callable[[Array], bool] | None, step: float = STEP,
) -> Check:  # fmt: skip
    """Compare the gradient of `value` at each element of the array `at`.

    crosses   whether a kink lies between `at` and an array; None to find kinks by the differences of half the step.
    """
    central, complex_step = np.full(at.shape, np.nan), np.zeros(at.shape)
    doubts, middle, least = np.zeros(at.shape), 0.0, LEAST  # of a loss of a nat
    if not crosses:
        middle = value(at.copy()).real
        least = LEAST * max(abs(middle), TINY)
    for place in np.ndindex(at.shape):

        def moved(by: complex, place: tuple[int, ...] = place) -> Array:
            array = at.astype(np.result_type(by, np.float64))
            array[place] += by
            return array

        if exact:
            complex_step[place] = value(moved(COMPLEX_STEP * 1j)).imag / COMPLEX_STEP
        if crosses and (crosses(moved(-2 * step)) or crosses(moved(2 * step))):
            continue
        a, b, c, d = (value(moved(steps * step)).real for steps in (-2, -1, 1, 2))
        central[place] = (a - 8 * b + 8 * c - d) / (12 * step)
        if not crosses:
            e, f = (value(moved(steps * step)).real for steps in (-0.5, 0.5))
            slopes = abs((b - 8 * e + 8 * f - c) / (6 * step) - central[place])
            # At a kink the second difference is proportional to the step, elsewhere to its square.
            bends = abs((b - 2 * middle + c) - 4 * (e - 2 * middle + f)) / step
            doubts[place] = max(float(slopes), float(bends))
            # Where the values differ by their rounding and that of `at` alone, as at a minimum of 0.
            steepest = FLOOR * max(abs(b - middle), abs(c - middle)) / step
            least = max(least, LEAST * max(map(abs, (a, b, c, d))), steepest)
    if not crosses:
        scale = np.maximum(np.abs(central), max(least, FLOOR * np.abs(central).max()))
        central[doubts > CENTRAL_LIMIT * scale] = np.nan
    smooth = ~np.isnan(central)
    return Check(
        name,
        at.shape,
        int(smooth.sum()),
        int((~smooth).sum()),
        _worst(gradient[smooth], central[smooth], least),
        _worst(gradient, complex_step, least) if exact else None,
    )


def _worst(found: Array, wanted: Array, least: float) -> float:
    if not found.size:
        return 0.0
    scale = np.maximum(np.abs(wanted), max(least, FLOOR * np.abs(wanted).max()))
    return float((np.abs(found - wanted) / scale).max())


def _replaced(params: Params, number: int, name: str, array: Array) -> Params:
    """Return `params` with another array in one place."""
    layers = list(params.layers)
    layers[number] = layers[number]._replace(**{name: array})
    return Params(tuple(layers))


def _pattern(params: Params, problem: _Problem) -> bytes:
    """Return which hidden units are on; nothing where the activation has no kink."""
    activation = problem.activation
    if not (ACTIVATIONS[activation] if isinstance(activation, str) else activation).kinked:
        return b""
    activations = network.forward(params, problem.x, problem.activation, problem.masks)
    return b"".join((z > 0).tobytes() for z in activations.z[:-1])


def _loss(params: Params, problem: _Problem) -> complex:
    """Return the loss at real or complex parameters, by the definitions alone."""
    logits = network.forward(params, problem.x, problem.activation, problem.masks).logits
    return OPERATIONS.cross_entropy(logits, problem.labels, problem.weights, problem.label_smoothing)


def example(sizes: tuple[int, ...], seed: int, images: int = 3) -> tuple[Params, Array, Array]:
    """Return a float64 network for a check, its biases random too, and a random batch."""
    params = init(sizes, seed, scheme="notebook" if max(sizes) < 50 else "he", dtype=np.float64)
    x = 2 * rng.uniform(seed, "check", images * sizes[0]).reshape(images, -1) - 1
    drawn = rng.uniform(seed, "check", images, step=1)
    return params, x, (drawn * sizes[-1]).astype(np.int64)


def example_weights(seed: int, images: int = 3) -> Array:
    """Return sample weights for the batch of `example`, (images,) in [0, 1)."""
    return rng.uniform(seed, "check", images, step=2)
