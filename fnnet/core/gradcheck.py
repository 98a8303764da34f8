"""Gradient checking: every derivative against two independent derivatives of the loss, or of any function.

Central differences use the five-point rule (error h**4): (L(-2h) - 8 L(-h) + 8 L(h) - L(2h)) / 12h. Those of a function
that is not the loss of a network are in `differences`.
The complex step takes Im L(w + ih) / h, which has no cancellation and is exact up to rounding (Squire and Trapp 1998,
doi:10.1137/S003614459631241X); it evaluates the NumPy definitions on complex numbers.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, NamedTuple, SupportsIndex, overload

import numpy as np

from fnnet.core import network, rng
from fnnet.core.check_network import as_input, check_activation, check_masks, check_params
from fnnet.core.check_trees import check_finite_grads, check_like
from fnnet.core.checks import as_array, calm, check_amount, check_label_smoothing, check_labels, check_weights, is_span
from fnnet.core.differences import (
    COMPLEX_STEP,
    FLOOR,
    LEAST,
    LIMIT,
    differentiate,
    fitting_complex_step,
    fitting_step,
)
from fnnet.core.operations import ACTIVATIONS, OPERATIONS, Activation
from fnnet.core.own import call_own
from fnnet.core.params import Array, Layer, Params
from fnnet.core.public import init
from fnnet.core.state import Model
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import ArgumentTypeError, UsageError

CENTRAL_LIMIT: Final = LIMIT
COMPLEX_LIMIT: Final = 1e-12
STEP: Final = 1e-3
ROUGH: Final = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The relative rounding of values that are not float64."""


class Check(NamedTuple):
    """One array: the largest relative errors over its elements. It is true if it passed.

    checked        elements compared with central differences.
    kinks          elements not compared, because the slope jumps within two steps of them.
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
    def undecided(self) -> int:
        """Elements not compared for another reason than a kink: their differences are too rough, or do not agree."""
        return max(0, math.prod(self.shape) - self.checked - self.kinks)

    @property
    def passed(self) -> bool:
        """True if both errors are within their limits, an element was compared, and all others are at kinks."""
        return self._right and self.checked > 0 and not self.undecided

    @property
    def _right(self) -> bool:
        exact = self.complex_step is None or self.complex_step <= COMPLEX_LIMIT
        return self.central <= CENTRAL_LIMIT and exact

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        exact = "" if self.complex_step is None else f", complex step {self.complex_step:.1e}"
        counts = f"{self.checked} checked, {self.kinks} at kinks"
        counts += f", {self.undecided} not decided" if self.undecided else ""
        verdict = "passed" if self else "not decided" if self._right else "WRONG"
        return f"Check({self.name}: {verdict}, {counts}, central {self.central:.1e}{exact})"


class Checks(tuple[Check, ...]):
    """One Check for each array, in order; true if there is one and all passed. Parts and sums are Checks too."""

    __slots__ = ()

    @property
    def passed(self) -> bool:
        """True if every Check passed."""
        return len(self) > 0 and all(self)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    @overload
    def __getitem__(self, at: SupportsIndex) -> Check: ...
    @overload
    def __getitem__(self, at: slice) -> Checks: ...
    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return Checks(part) if isinstance(at, slice) else part

    def __add__(self, other: Any) -> Any:
        return Checks(super().__add__(other)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: SupportsIndex) -> Checks:
        return Checks(super().__mul__(count))

    __rmul__ = __mul__

    def __radd__(self, other: Any) -> Any:
        return Checks(other + tuple(self)) if isinstance(other, tuple) else NotImplemented


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

    function       of an array or of Params to a number in float64; it leaves its argument as it is. It is called six
                   times for each element of `at`, and up to 150 times where the differences do not agree at once.
    at             a float64 array of any shape, or float64 Params.
    gradient       what is to be checked, shaped like `at`.
    step           of the differences; the power of 2 next to it is taken, so that `at` is moved by exactly that.
    complex_step   compare with the complex step too: for functions that take complex numbers and are analytic, without
                   abs, conj, real parts or comparisons.
    Returns  Checks: one Check for an array, one for each array of Params; true if all passed.

    An element passes if it differs from the central difference by at most 1e-7 of the largest of: the difference
    itself; 1e-3 of the largest difference of its array; 1e-4 of the largest value of the function, below which
    differences are noise, but then by at most 4e-6 of the steepest slope within a step of `at`. Where the differences
    of one step and of half of it differ, the step is halved until they agree, or rounding parts them: an element may
    then also differ by 8 times what is left.

    An element is not compared, and counts in `kinks`, if the slope jumps within two steps of it and still jumps by as
    much where the step is halved 20 times, or as often as rounding lets it: there abs, relu and max have no derivative
    to compare with. It is not compared, and counts in `undecided`, if what is left exceeds 4e-6 of the steepest slope
    (1e-4 at a minimum, where all differences are less than a hundredth of it): the values jump or are rounded, as those
    of float32, or the step is too small; or if what other elements show of such rounding explains its error. A Check is
    true if at least one element was compared, all that were are right, and none is undecided; what `gradient` holds at
    kinks is not looked at.

    Raises   ArgumentTypeError for other dtypes, and a function whose values are not numbers; UsageError for a gradient
             of another shape, for values and gradients that are not finite, for a function that writes into its
             argument, for a step that is lost in rounding beside `at`, and for values below 1e-305 (1e-299 with
             `complex_step`).

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
                made: float = call_own("function", function, _replaced(params, number, name, array))
                return made

            at, gradient = (getattr(tree.layers[number], name) for tree in (params, grads))
            return _check_function(f"layer {number + 1} {name}", at, gradient, value, step, bool(complex_step))

        return Checks(check(number, name) for number in range(len(params.layers)) for name in Layer._fields)
    if isinstance(at, Model):
        raise ArgumentTypeError("at", expected="a float64 array or Params", found="Model", fix="pass model.params")
    at = as_array("at", at, "fiub", "a float64 array or Params")
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
    step, epsilon = fitting_step(name, at, step), [float(np.finfo(np.float64).eps)]
    gradient = gradient.astype(np.float64)

    def value(array: Array) -> complex:
        found = call_own("function", function, array)
        if str(getattr(found, "dtype", "")) in ROUGH:
            epsilon[0] = max(epsilon[0], ROUGH[str(found.dtype)])
        if not isinstance(found, numbers.Number) and _is_scalar(found, array.dtype.kind == "c"):
            found = complex(found) if array.dtype.kind == "c" else float(found)
        kinds = numbers.Complex if array.dtype.kind == "c" else numbers.Real
        if not isinstance(found, kinds) or is_span(found):
            found = f"shape {np.shape(found)}, {found.dtype}" if isinstance(found, np.ndarray) else repr(found)[:80]
            raise ArgumentTypeError("value of the function", place=name, expected="a number", found=found)
        try:
            number = complex(found)
        except OverflowError:  # integers and fractions of any size
            number = complex(math.inf)
        if not np.isfinite(number):
            fix = "give a point two steps inside the function's domain, or a smaller step"
            given = "one beyond 1e308" if isinstance(found, (int, Fraction)) else found
            raise UsageError("value of the function", place=name, expected="a finite number", found=given, fix=fix)
        return number

    def moved(place: tuple[int, ...], by: complex) -> complex:
        array = at.astype(np.result_type(by, np.float64))
        array[place] += by
        return value(array)

    def along(number: int, distance: float) -> float:
        return moved(places[number], distance).real

    places, gradient, middle = list(np.ndindex(at.shape)), gradient.ravel(), value(at.copy()).real
    found = differentiate(along, middle, at.ravel(), step, lambda: epsilon[0], gradient)
    errors, unit = found.errors(gradient), found.unit
    compared = ~np.isnan(errors)
    complex_error = None
    if exact:
        small = fitting_complex_step(name, unit)
        by_complex_step = [moved(place, small * 1j).imag / small / unit for place in places]
        complex_error = _worst(gradient / unit, np.array(by_complex_step), LEAST)
    central = float(errors[compared].max(initial=0.0))
    return Check(name, at.shape, int(compared.sum()), int(found.kinks.sum()), central, complex_error)


def _is_scalar(found: Any, is_complex: bool) -> bool:
    """True for an array without axes, of any library, of a real number, or a complex one where that is asked."""
    if isinstance(found, (np.ndarray, np.generic)) and found.dtype.kind not in ("fiuc" if is_complex else "fiu"):
        return False
    if found is np.ma.masked or (not is_complex and "complex" in str(getattr(found, "dtype", ""))):
        return False
    return getattr(found, "shape", None) == () and hasattr(found, "__float__")


def _check_array(
    name: str, at: Array, gradient: Array, value: Callable[[Array], complex], exact: bool,
    crosses: Callable[[Array], bool],
) -> Check:  # fmt: skip
    """Compare the gradient of a loss at each element of the array `at`.

    crosses   whether a kink lies between `at` and an array.
    """
    central, complex_step = np.full(at.shape, np.nan), np.zeros(at.shape)
    for place in np.ndindex(at.shape):

        def moved(by: complex, place: tuple[int, ...] = place) -> Array:
            array = at.astype(np.result_type(by, np.float64))
            array[place] += by
            return array

        if exact:
            complex_step[place] = value(moved(COMPLEX_STEP * 1j)).imag / COMPLEX_STEP
        if crosses(moved(-2 * STEP)) or crosses(moved(2 * STEP)):
            continue
        a, b, c, d = (value(moved(steps * STEP)).real for steps in (-2, -1, 1, 2))
        central[place] = (a - 8 * b + 8 * c - d) / (12 * STEP)
    smooth = ~np.isnan(central)
    least = LEAST  # of a loss of a nat
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
