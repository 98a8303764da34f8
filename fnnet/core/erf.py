"""The error function, within 1 ulp on the whole line, and the normal distribution, in plain NumPy.

Each function computes in float64, or complex128, and returns an array of the dtype of its argument; it changes none of
its arguments and checks none of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from fnnet.core.params import Array

Function = Callable[[Array], Array]

ABOUT_ONE: Final = 0.75
"""From here to BEYOND, erf is expanded about 1, below about 0. Nearer to 0 the terms cancel less."""
BEYOND: Final = 1.375
"""From here on erf is 1 - erfc, whose roundings count for a tenth of that of the result."""
VANISHED: Final = 60.0
"""From 39 on exp(-x x / 2) is 0 in float64, and so is what is multiplied by it."""
BLOCK: Final = 16384
"""Numbers that are computed at a time."""
ROOT_HALF: Final = math.sqrt(0.5)
ONE: Final = 10**40
"""Of the whole numbers below; quotients of whole numbers are rounded once."""
SLOPE_AT_ZERO: Final = 11283791670955125738961589031215451716881
"""2 / sqrt(pi)."""
SLOPE_AT_ONE: Final = 4151074974205947033402682494413373653689
"""2 / (sqrt(pi) e)."""
VALUE_AT_ONE: Final = 8427007929497148693412206350826092592961
"""erf(1)."""
ERF_1: Final = VALUE_AT_ONE / ONE

CENTRE: Final = 3.0
SCALED_ERFC: Final = (
    1.17756257419656,
    0.005353904539615676,
    -0.09377550342284209,
    0.05436652555744322,
    -0.018976596707845208,
    0.004453426061462712,
    -0.0006335531710553147,
    1.7661719523171593e-05,
    1.2841532864056671e-05,
    -2.0072285659059913e-06,
    -1.807522790414837e-07,
    7.549828343825093e-08,
    1.885668523838603e-09,
    -2.699519049798364e-09,
    -1.460079119939105e-11,
    1.0361607445969489e-10,
    1.475715976623473e-12,
    -4.277340064396911e-12,
    -2.07922492859799e-13,
    1.8134502003176963e-13,
    1.973425574544739e-14,
    -7.287943737592673e-15,
    -1.5169878690228116e-15,
    2.3514112258781403e-16,
    1.0006111691821667e-16,
    -2.0572528169538546e-18,
    -5.608608218863183e-18,
)
"""Chebyshev coefficients of (1 + 2 x) exp(x x) erfc(x), which lies between 1 and 1.29, over t = (x - CENTRE) /
(x + CENTRE), -1 to 1 for x from 0 on: its values at 80 Chebyshev nodes, by mpmath with 50 digits, projected on the
polynomials. Those left out sum to 9e-19."""


def _expanded_about_zero(terms: int) -> tuple[float, ...]:
    """Return the coefficients of erf(x) / x - 1 = sum of (-1)**n x**(2 n) 2 / (sqrt(pi) n! (2 n + 1)), less 1."""
    signed = ((-1) ** n * SLOPE_AT_ZERO / (ONE * math.factorial(n) * (2 * n + 1)) for n in range(1, terms))
    return (SLOPE_AT_ZERO - ONE) / ONE, *signed


def _expanded_about_one(terms: int) -> tuple[float, ...]:
    """Return the coefficients of erf(1 + s) - ERF_1 in powers of s, from erf'' = -2 x erf'."""
    slopes = [0, SLOPE_AT_ONE]
    for n in range(1, terms):
        slopes.append(-2 * (slopes[-1] + slopes[-2]) // n)
    above, below = ERF_1.as_integer_ratio()
    rest = (VALUE_AT_ONE * below - ONE * above) / (ONE * below)  # what ERF_1 was rounded by
    return rest, *(slope / (ONE * n) for n, slope in enumerate(slopes[1:], 1))


AT_ZERO: Final = _expanded_about_zero(16)
AT_ONE: Final = _expanded_about_one(22)
"""The terms left out are below 1e-18 in both."""
EXP_MINUS: Final = (1.0, -1.0, 1 / 2, -1 / 6)
"""The first terms of exp(-t)."""


def erf(x: Array) -> Array:
    """erf(x) = 2 / sqrt(pi) times the integral of exp(-u u) from 0 to x, element by element. NaN stays NaN.

    Within 1 ulp in float64 everywhere: at most 0.83 was measured against mpmath. Abramowitz and Stegun, 7.1.

    >>> import numpy as np
    >>> from fnnet.core.erf import erf
    >>> erf(np.array([-np.inf, 0.0, 0.5]))
    array([-1.        ,  0.        ,  0.52049988])
    """
    return _in_blocks(_erf, x)


def normal_cdf(z: Array) -> Array:
    """P(z) = (1 + erf(z / sqrt(2))) / 2, the share of a standard normal variable that is below z. NaN stays NaN.

    Where 1 + erf cancels, exp(-z z / 2) is a factor: within 6 ulp in float64 everywhere; at most 4.8 was measured.

    >>> import numpy as np
    >>> from fnnet.core.erf import normal_cdf
    >>> normal_cdf(np.array([-30.0, -1.0, 0.0, 1.0]))
    array([4.90671393e-198, 1.58655254e-001, 5.00000000e-001, 8.41344746e-001])
    """
    return _in_blocks(_normal_cdf, z)


def _in_blocks(function: Function, x: Array) -> Array:
    """Return a function's values in float64 or complex128, rounded to the dtype of x, computed block by block: of a
    large array, intermediate results would go to memory and back 150 times."""
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    flat, found = x.reshape(-1), np.empty(x.size, x.dtype)
    for at in range(0, x.size, BLOCK):
        found[at : at + BLOCK] = function(flat[at : at + BLOCK].astype(wide, copy=False))
    return found.reshape(x.shape)


def _erf(x: Array) -> Array:
    return _either(abs(x.real) >= ABOUT_ONE, _odd, _near_zero, x)


def _normal_cdf(z: Array) -> Array:
    return _either(z.real < -ABOUT_ONE / ROOT_HALF, _lower_share, _share, z)


def _either(where: Array, function: Function, other: Function, x: Array) -> Array:
    """Return function(x) `where` that is true, else other(x). Quicker than np.piecewise, whose masks are slow."""
    found = np.empty_like(x)
    for chosen, each in ((where, function), (~where, other)):
        places = np.flatnonzero(chosen)
        if len(places):
            found[places] = each(x[places])
    return found


def _near_zero(x: Array) -> Array:
    """Return erf(x) as x and a small multiple of it, so that few roundings count."""
    found: Array = x + x * _polynomial(AT_ZERO, x * x)
    return found


def _odd(x: Array) -> Array:
    """Return erf(x) = -erf(-x), for |x| from ABOUT_ONE on."""
    negative = x.real < 0
    size = np.where(negative, -x, x)
    value = _either(size.real >= BEYOND, _beyond, _near_one, size)
    return np.where(negative, -value, value)


def _near_one(x: Array) -> Array:
    found: Array = ERF_1 + _polynomial(AT_ONE, x - 1)
    return found


def _beyond(x: Array) -> Array:
    """Return erf(x) as 1 - erfc(x)."""
    x = np.minimum(x, VANISHED)
    found: Array = 1 - _bell(x, 1.0) * _scaled_erfc(x)
    return found


def _share(z: Array) -> Array:
    found: Array = (1 + _erf(z * ROOT_HALF)) / 2
    return found


def _lower_share(z: Array) -> Array:
    """Return P(z) as erfc(-z / sqrt(2)) / 2, for z < 0; z itself is squared, as rounding z / sqrt(2) would show."""
    z = np.maximum(z, -VANISHED)
    found: Array = _bell(z, 0.5) * _scaled_erfc(z * -ROOT_HALF) / 2
    return found


def _bell(x: Array, factor: float) -> Array:
    """Return exp(-factor x x) for a power of 2; the exponential would multiply a rounding of x x."""
    head = np.rint(x.real * 2**20) / 2**20  # its square is exact
    rest = factor * (x - head) * (x + head)  # below 1e-4
    found: Array = np.exp(-factor * head * head) * _polynomial(EXP_MINUS, rest)
    return found


def _scaled_erfc(x: Array) -> Array:
    """Return exp(x x) erfc(x), for x from ABOUT_ONE on."""
    found: Array = _polynomial(powers(len(SCALED_ERFC)), (x - CENTRE) / (x + CENTRE)) / (1 + 2 * x)
    return found


def _polynomial(coefficients: Sequence[float], t: Array) -> Array:
    """Return the sum of coefficients[n] t**n, by Horner's rule."""
    found = np.full_like(t, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        found *= t
        found += coefficient
    return found


@functools.cache
def powers(terms: int) -> tuple[float, ...]:
    """Return the first terms of SCALED_ERFC as coefficients of powers, lowest first, computed exactly and rounded once.

    Their absolute values sum to 1.8, so Horner's rule loses nothing.
    """
    from fractions import Fraction  # here: its import takes milliseconds, and only GELU needs it

    before, current = [Fraction(1)], [Fraction(0), Fraction(1)]
    found = [Fraction(0)] * terms
    for coefficient in SCALED_ERFC[:terms]:
        for power, factor in enumerate(before):
            found[power] += Fraction(coefficient) * factor
        twice = [Fraction(0), *(2 * factor for factor in current)]
        following = [factor - (before[power] if power < len(before) else 0) for power, factor in enumerate(twice)]
        before, current = current, following
    return tuple(map(float, found))
