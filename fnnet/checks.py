"""Figures that options and arguments give: each in its range, or one line that says what is allowed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, Final

from fnnet.errors import ArgumentTypeError, UsageError

MOST: Final = 2**63 - 1
"""Counts are 64-bit integers where NumPy and compiled code hold them."""
LONGEST: Final = 128
"""Bits of an integer that a message shows."""


def check_share(name: str, value: Any) -> float:
    """`value` as a float in [0, 1), else UsageError."""
    return _checked(name, value, "0 or more and less than 1", lambda number: 0 <= number < 1)


def check_amount(name: str, value: Any, *, above: bool = False) -> float:
    """`value` as a finite float of at least 0, or `above` 0, else UsageError."""
    if above:
        return _checked(name, value, "a finite number > 0", lambda number: number > 0)
    return _checked(name, value, "a finite number >= 0", lambda number: number >= 0)


def check_finite(name: str, value: Any) -> float:
    """`value` as a finite float, else UsageError."""
    return _checked(name, value, "a finite number", lambda number: True)


def _checked(name: str, value: Any, expected: str, fits: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{name} is not a number", expected=expected, found=repr(value))
    try:
        number = float(value)
    except OverflowError:
        raise UsageError(f"{name} out of range", expected=expected, found="a number beyond 1e308") from None
    if not (math.isfinite(number) and fits(value)):
        raise UsageError(f"{name} out of range", expected=expected, found=value)
    return number


def check_numbers(name: str, values: Any) -> list[float]:
    """A sequence of numbers, NaN and infinity being some, as floats; else UsageError."""
    if not isinstance(values, Sequence) or not all(isinstance(value, numbers.Real) for value in values):
        raise ArgumentTypeError(name, expected="a sequence of numbers", found=type(values).__name__)
    try:
        return [float(value) for value in values]
    except OverflowError:
        raise UsageError(name, expected="numbers", found="a number beyond 1e308") from None


def shown(value: Any) -> str:
    """An integer in a message; Python writes none of thousands of digits."""
    bits = int(value).bit_length()
    return str(value) if bits <= LONGEST else f"an integer of {bits} bits"


def check_count(name: str, value: Any, least: int, most: int = MOST) -> int:
    """`value` as an int from `least` to `most`, else UsageError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"{name} is not an integer", expected=f"an integer >= {least}", found=repr(value))
    count = int(value)
    if count < least:
        raise UsageError(f"{name} out of range", expected=f"an integer >= {least}", found=shown(value))
    if count > most:
        raise UsageError(f"{name} out of range", expected=f"at most {most}", found=shown(value))
    return count
