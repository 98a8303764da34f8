"""Figures that options and arguments give: each in its range, or one line that says what is allowed."""

from __future__ import annotations

import math
import numbers
from typing import Any

from fnnet.errors import ArgumentTypeError, UsageError


def check_share(name: str, value: Any) -> float:
    """`value` as a float in [0, 1), else UsageError."""
    return _checked(name, value, "0 or more and less than 1", lambda number: 0 <= number < 1)


def check_amount(name: str, value: Any, *, above: bool = False) -> float:
    """`value` as a finite float of at least 0, or `above` 0, else UsageError."""
    if above:
        return _checked(name, value, "a finite number > 0", lambda number: number > 0)
    return _checked(name, value, "a finite number >= 0", lambda number: number >= 0)


def _checked(name: str, value: Any, expected: str, fits: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{name} is not a number", expected=expected, found=repr(value))
    if not (math.isfinite(value) and fits(value)):
        raise UsageError(f"{name} out of range", expected=expected, found=value)
    return float(value)


def check_count(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`, else UsageError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"{name} is not an integer", expected=f"an integer >= {least}", found=repr(value))
    if value < least:
        raise UsageError(f"{name} out of range", expected=f"an integer >= {least}", found=value)
    return int(value)
