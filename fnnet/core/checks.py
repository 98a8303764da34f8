"""Checks of arguments: numbers in their ranges, arrays, labels, weights; else one line that says what is allowed."""

from __future__ import annotations

import functools
import math
import numbers
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from fnnet.core.frames import check_series, is_series
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError, counted
from fnnet.limits import FINITE, FRACTION, NONNEGATIVE, POSITIVE, Range
from fnnet.names import composed, is_printable

if TYPE_CHECKING:
    from fnnet.core.params import Array

MOST: Final = 2**63 - 1
"""The largest count: NumPy and compiled code hold counts as 64-bit integers."""
LONGEST: Final = 128
"""Bits of the longest integer that a message writes out."""


def check_share(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1), else UsageError."""
    return _checked(name, value, FRACTION)


def check_amount(name: str, value: Any, *, above: bool = False) -> float:
    """Return `value` as a finite float of at least 0, or `above` 0, else UsageError."""
    if type(value) is float and 0.0 < value < math.inf:
        return value
    return _checked(name, value, POSITIVE if above else NONNEGATIVE)


def check_finite(name: str, value: Any) -> float:
    """Return `value` as a finite float, else UsageError."""
    return _checked(name, value, FINITE)


def _checked(name: str, value: Any, allowed: Range) -> float:
    expected = allowed.words
    value = one_number(f"{name} is not a number", value, "fiu", expected)
    if not isinstance(value, numbers.Real):
        fix = "give its value at the step, as schedule(step)" if callable(value) else ""
        raise ArgumentTypeError(f"{name} is not a number", expected=expected, found=shown(value), fix=fix)
    try:
        number = float(value)
    except OverflowError:
        raise UsageError(f"{name} out of range", expected=expected, found="a number beyond 1e308") from None
    # The float counts too: a fraction next to a bound is rounded to it.
    if not (math.isfinite(number) and allowed.contains(value) and allowed.contains(number)):
        raise UsageError(f"{name} out of range", expected=expected, found=shown(value))
    return number


def one_number(problem: str, value: Any, kinds: str, expected: str) -> Any:
    """Return `value`, or the number in an array of one, of any library and one of `kinds` of dtype.

    Raises   ArgumentTypeError with the `problem` for True and False, and for an array of several numbers or none.
    """
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool":
        raise ArgumentTypeError(problem, expected=expected, found=repr(value), fix="give 1 or 0 if that is meant")
    if not hasattr(value, "shape") or (isinstance(value, numbers.Number) and not is_span(value)):
        return value
    array = as_array(problem, value, kinds, expected)
    if array.size != 1:
        fix = "give one of them, as array.item(0)" if array.size else ""
        raise ArgumentTypeError(problem, expected=expected, found=f"an array of shape {array.shape}", fix=fix)
    return array.item()


def is_span(value: Any) -> bool:
    """True for a span of time: NumPy's is a numbers.Integral."""
    return str(getattr(value, "dtype", "")).startswith("timedelta")


def check_numbers(name: str, values: Any) -> list[float]:
    """Return a sequence of numbers, NaN and infinity among them, as floats; else UsageError."""
    if not isinstance(values, Sequence) or not all(isinstance(value, numbers.Real) for value in values):
        raise ArgumentTypeError(name, expected="a sequence of numbers", found=type(values).__name__)
    try:
        return [float(value) for value in values]
    except OverflowError:
        raise UsageError(name, expected="numbers", found="a number beyond 1e308") from None


def shown(value: Any) -> str:
    """Return a value as a message shows it, numbers without their types; Python writes no thousands of digits."""
    if isinstance(value, numbers.Integral) and not is_span(value):
        bits = int(value).bit_length()
        return str(value) if bits <= LONGEST else f"an integer of {bits} bits"
    if isinstance(value, numbers.Rational):
        return f"{shown(value.numerator)}/{shown(value.denominator)}"
    if type(value) in (list, tuple):
        inside = ", ".join(map(shown, value))
        return f"[{inside}]" if type(value) is list else f"({inside}{',' * (len(value) == 1)})"
    try:
        return str(value) if isinstance(value, numbers.Number) else repr(value)
    except ValueError:  # a huge integer in it
        return type(value).__name__


def check_count(name: str, value: Any, least: int, most: int = MOST) -> int:
    """Return `value` as an int from `least` to `most`, else UsageError."""
    if type(value) is not int:
        value = one_number(f"{name} is not an integer", value, "iu", f"an integer >= {least}")
    if not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"{name} is not an integer", expected=f"an integer >= {least}", found=shown(value))
    count = int(value)
    if count < least:
        raise UsageError(f"{name} out of range", expected=f"an integer >= {least}", found=shown(value))
    if count > most:
        raise UsageError(f"{name} out of range", expected=f"at most {most}", found=shown(value))
    return count


P = ParamSpec("P")
R = TypeVar("R")


def calm(function: Callable[P, R]) -> Callable[P, R]:
    """Make a pure `function` independent of the caller's `np.errstate`.

    If the caller's settings make overflow or underflow an error, the function runs again with errors ignored; a call
    without either costs nothing.
    """

    @functools.wraps(function)
    def calmed(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (FloatingPointError, RuntimeWarning):
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)

    return calmed


def as_array(problem: str, given: Any, kinds: str, expected: str) -> Array:
    """Return `given` as a plain array in this machine's byte order, of one of `kinds` of dtype: itself if it is one.

    Accepts anything that NumPy converts to an array; masked values are rejected.
    Raises   ArgumentTypeError with the `problem` and what was `expected`, for everything else.
    """
    if type(given) is not np.ndarray:
        given = _read(problem, given, expected)
    array: Array = given
    if array.dtype.kind not in kinds:
        # bfloat16 and other types that NumPy does not know are kind V.
        is_float = "f" in kinds and "float" in array.dtype.name
        fix = "convert it with array.astype(np.float32)" if is_float else ""
        if array.dtype.kind == "b":
            fix = f"give 0 and 1, as array.astype({'np.float32' if 'f' in kinds else 'int'})"
        raise ArgumentTypeError(problem, expected=expected, found=array.dtype, fix=fix)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _read(problem: str, given: Any, expected: str) -> Array:
    try:
        if _holds_masked(given):
            fix = "fill them in, or leave their rows out"
            raise ArgumentTypeError(problem, expected=expected, found="masked values", fix=fix)
        if is_series(given):
            check_series(problem, given, expected)
        array: Array = np.asarray(given)
    except FnnetError:
        raise
    except Exception as error:  # ragged lists, and all that an object's own __array__ may raise
        check_untraced(given)
        found = f"{type(given).__name__}: {error}"
        raise ArgumentTypeError(problem, expected=expected, found=found) from None
    return array


def check_untraced(given: Any) -> None:
    """Raise ArgumentTypeError for a tracer, which stands for an array while JAX compiles or differentiates."""
    if any("Tracer" in kind.__name__ for kind in type(given).__mro__):
        fix = "call it outside jax.jit, jax.grad and jax.vmap, or through jax.pure_callback"
        raise ArgumentTypeError("fnnet's functions cannot be traced", expected="arrays", found="a JAX tracer", fix=fix)


def is_masked(given: Any) -> bool:
    """Return True for an array with a mask."""
    # `np.ma` is imported at its first use, which takes 10 ms; before, there is no such array.
    return "numpy.ma" in sys.modules and isinstance(given, np.ma.MaskedArray)


def _holds_masked(given: Any) -> bool:
    if is_masked(given):
        return bool(np.ma.is_masked(given))
    return isinstance(given, (list, tuple)) and any(
        _holds_masked(each) for each in given if isinstance(each, (list, tuple, np.ndarray))
    )


def check_labels(given: Any, shape: tuple[int, ...]) -> Array:
    """Return the labels `given` as an int64 array (n,) in [0, classes), for `shape` (n, classes), else UsageError."""
    n, classes = shape
    labels = as_integers(given, shape)
    if labels.shape != (n,):
        fix = _one_axis(labels, shape)
        raise UsageError("labels do not fit x", expected=f"shape ({n},)", found=labels.shape, fix=fix)
    given = labels
    if labels.dtype != np.int64:
        labels = labels.astype(np.int64)
    # As unsigned numbers those below 0 are the largest, and those beyond int64 stay what they are.
    if n and np.maximum.reduce(labels.view(np.uint64)).item() >= classes:
        labels = given
        index = int(((labels < 0) | (labels >= classes)).argmax())
        expected = f"0 to {classes - 1}"
        raise UsageError("label out of range", place=f"index {index}", expected=expected, found=labels[index])
    return labels


def as_integers(given: Any, shape: tuple[int, ...]) -> Array:
    """Return labels as an array of integers of any shape, for `shape` (n, classes), else ArgumentTypeError."""
    labels = as_array("labels are not integers", given, "iufb", "an integer dtype")
    if labels.dtype.kind in "fb":
        fix = _one_axis(labels, shape)
        if "argmax" not in fix:
            is_whole = labels.dtype.kind == "b" or (np.isfinite(labels) & (labels == np.floor(labels))).all()
            fix = f"{fix or 'give labels'}.astype(int)" if is_whole else "give the number of the class of each row"
        raise ArgumentTypeError("labels are not integers", expected="an integer dtype", found=labels.dtype, fix=fix)
    return labels


def _one_axis(labels: Array, shape: tuple[int, ...]) -> str:
    """Return what to give in place of labels with two axes."""
    n, classes = shape
    if labels.ndim != 2 or labels.shape == (n, 1) or (labels.shape != shape and labels.shape == (1, n)):
        return "give labels.ravel()" if labels.ndim == 2 else ""
    columns = labels.shape[1]
    differ = "" if columns == classes else f"; they have {counted(columns, 'column')}, the network {classes} classes"
    return f"give labels.argmax(axis=1) of one-hot labels{differ}"


def whole(value: Any) -> Any:
    """Return `value`, or a Python int in the place of an array of integers without axes, of any library."""
    if getattr(value, "shape", None) != () or type(value) is int:
        return value
    array = np.asarray(value)
    return int(array) if array.dtype.kind in "iu" else value


def check_weights(given: Any, n: int) -> Array | None:
    """Return the sample weights `given` as an array (n,), not negative, their sum finite; None stays None."""
    if given is None:
        return None
    weights = as_array("weights are not numeric", given, "fiu", "floats")
    if weights.shape != (n,):
        raise UsageError("weights do not fit x", expected=f"shape ({n},)", found=weights.shape)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        index = int(wrong.argmax())
        expected = "finite numbers >= 0"
        raise UsageError("weight out of range", place=f"index {index}", expected=expected, found=weights[index])
    with np.errstate(over="ignore"):
        total = weights.sum(dtype=np.float64)
    if not np.isfinite(total):
        raise UsageError("weights are too large", expected="a finite sum", found="infinity")
    return weights


def check_label_smoothing(share: Any) -> float:
    """Return `share` as a float in [0, 1), else UsageError."""
    return check_share("label_smoothing", share)


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of classes as a tuple of printable strings, `composed`, each once, else UsageError."""
    if not isinstance(names, Sequence) or isinstance(names, (str, bytes)):
        raise ArgumentTypeError("class names", expected="a sequence of names", found=repr(names))
    seen: set[str] = set()
    found = tuple(composed(name) if isinstance(name, str) else name for name in names)
    for name in found:
        if not isinstance(name, str) or not name or not is_printable(name) or name in seen:
            raise UsageError("class name", expected="printable names, each once", found=repr(name))
        seen.add(name)
    return found


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return `dtype` as float32 or float64, else ArgumentTypeError."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):  # NumPy writes integers out, and Python refuses to write huge ones
        found = None
    if found not in (np.float32, np.float64):
        raise ArgumentTypeError("unsupported dtype", expected="float32 or float64", found=shown(dtype))
    return found
