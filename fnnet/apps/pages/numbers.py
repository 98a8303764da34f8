"""Numbers as text: one number, an element of an array, the range of an array, a small array in one scale."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array

MINUS: Final = "\u2212"
TIMES: Final = "\u00d7"


def number(value: Any) -> str:
    """Return a number with four digits.

    >>> number(0.0412345), number(-1 / 3), number(0), number(5)
    ('0.04123', '-0.3333', '0', '5')
    """
    return f"{value:.4g}" if value else "0"


def factor(value: Any) -> str:
    """Return a number as it stands in a product: one below 0 in parentheses."""
    return f"({number(value)})" if value < 0 else number(value)


def element(name: str, place: tuple[int, ...]) -> str:
    """Return how an element of an array is written.

    >>> element("W1", (433, 3)), element("loss", ())
    ('W1[433, 3]', 'loss')
    """
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def size_of(array: Array) -> float:
    """Return the largest absolute value of an array; NaN counts as 0."""
    return float(np.nan_to_num(abs(np.asarray(array))).max(initial=0.0))


def largest(array: Array, count: int = 1) -> list[tuple[int, ...]]:
    """Return the places of the elements with the largest absolute values, largest first; NaN counts as 0."""
    sizes = np.nan_to_num(abs(array).ravel())
    best = np.argsort(-sizes, kind="stable")[:count]
    return [tuple(map(int, np.unravel_index(place, array.shape))) for place in best.tolist()]


def summary(array: Array) -> str:
    """Return the range of an array, and how many of its elements are not 0.

    >>> summary(np.array([0.0, 0.5, -1.0]))
    'from -1 to 0.5, 2 of 3 not 0'
    """
    filled = int(np.count_nonzero(array))
    return f"from {number(array.min())} to {number(array.max())}, {filled:,} of {array.size:,} not 0"


def grey(image: Array) -> Array:
    """Return an image as bytes: floats from their smallest number, black, to their largest, white.

    >>> grey(np.array([-1.0, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    if image.dtype == np.uint8:
        return image
    given = image.astype(np.float64)
    low, high = float(given.min()), float(given.max())
    return np.rint((given - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)


def scale_of(array: Array) -> int:
    """Return the exponent of the power of ten in whose units an array is shown: 0 unless it is small or large.

    >>> scale_of(np.array([0.25, -3.0])), scale_of(np.array([0.002, 0.0])), scale_of(np.array([12345.0]))
    (0, -3, 4)
    """
    top = size_of(array)
    return 0 if top == 0 or 0.1 <= top < 1000 else math.floor(math.log10(top))


def cells(array: Array, scale: int) -> list[list[str]]:
    """Return the rows of an array as texts of at most six characters, in units of 10**scale; NaN as a question mark.

    >>> cells(np.array([[1.0, -0.5], [0.0, 20.0]]), 0)
    [['1.00', '-0.50'], ['0.00', '20.00']]
    """
    scaled = np.atleast_2d(array) / 10.0**scale
    top = size_of(scaled)
    digits = 3 if top < 9.9995 else 2 if top < 99.995 else 1
    rounded = np.round(scaled.astype(np.float64), digits) + 0.0  # not -0
    return [[f"{value:.{digits}f}" if math.isfinite(value) else "?" for value in row] for row in rounded.tolist()]


def signed(text: str) -> str:
    """Return a text of numbers with minus signs in place of hyphens, except in exponents.

    >>> signed("-0.5 of 1e-07").encode("unicode_escape").decode()
    '\\\\u22120.5 of 1e-07'
    """
    return re.sub(r"(?<![0-9]e)-(?=[\d.(])|(?<= )-(?= )", MINUS, text)
