"""The error function and the normal distribution, against mpmath, and against SciPy's where it is installed."""

import math

import mpmath
import numpy as np
import pytest

from fnnet.core import erf as module
from fnnet.core.erf import ABOUT_ONE, BEYOND, CENTRE, ROOT_HALF, SCALED_ERFC, erf, normal_cdf
from tests.tools.tolerance import ERF_ULPS, ROUNDED_ULPS, SHARE_ULPS, assert_bitwise, assert_ulps

DIGITS = 40
LEAST = np.nextafter(0, 1)


def around(*places):
    """Each number, and those beside it."""
    return [each for at in places for each in (np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf))]


def both_signs(*parts):
    sizes = np.concatenate([np.ravel(part) for part in parts])
    return np.concatenate([-sizes[::-1], sizes])


TINY = [LEAST, 2 * LEAST, 3 * LEAST, 1e-310, *around(np.finfo(np.float64).tiny), 1e-300, 1e-200, 1e-30]
PLACES = both_signs(
    np.linspace(1e-3, 6.5, 4001), np.linspace(0.6, 1.5, 1501), np.geomspace(1e-20, 1, 400), TINY,
    around(ABOUT_ONE, 1.0, BEYOND, CENTRE, 5.8, 5.9215871957945, 6.0), [27.0, 60.0, 1e3, 1e300],
)  # fmt: skip
SHARES = np.concatenate([
    np.linspace(-38.6, 9, 4001), np.linspace(-2, 1, 801), both_signs(TINY),
    around(-ABOUT_ONE / ROOT_HALF, ABOUT_ONE / ROOT_HALF, BEYOND / ROOT_HALF, -38.4856, 8.2),
])  # fmt: skip


def exactly(function, places):
    with mpmath.workdps(DIGITS):
        return [function(mpmath.mpf(place)) for place in places.tolist()]


def quiet(function, places):
    """What a function gives, without warnings of overflow, invalid numbers or division by 0."""
    with np.errstate(all="raise", under="ignore"):
        return function(places)


def test_erf_is_within_one_ulp_everywhere():
    assert_ulps(quiet(erf, PLACES), exactly(mpmath.erf, PLACES), ERF_ULPS)


def test_the_normal_distribution_is_within_a_few_ulp_however_small():
    """Down to the last subnormal number, where erf(z / sqrt(2)) is -1."""
    assert_ulps(quiet(normal_cdf, SHARES), exactly(mpmath.ncdf, SHARES), SHARE_ULPS)


@pytest.mark.parametrize(("function", "exact"), [(erf, mpmath.erf), (normal_cdf, mpmath.ncdf)])
def test_float32_is_rounded_once(function, exact):
    places = np.concatenate([PLACES[np.abs(PLACES) < 1e3], SHARES]).astype(np.float32)[::3]
    found = quiet(function, places)
    assert found.dtype == np.float32
    assert_ulps(found, exactly(exact, places), ROUNDED_ULPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_signed_zeros_and_nan(dtype):
    ends = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype)
    assert_bitwise(quiet(erf, ends)[:4], np.array([-1, -0.0, 0, 1], dtype))
    assert_bitwise(quiet(normal_cdf, ends)[:4], np.array([0, 0.5, 0.5, 1], dtype))
    assert np.isnan(erf(ends)[4])
    assert np.isnan(normal_cdf(ends)[4])


def test_erf_is_odd_and_does_not_fall():
    x = np.sort(PLACES)
    assert_bitwise(erf(-x), -erf(x))
    assert (np.diff(erf(np.linspace(-7, 7, 200_001))) >= 0).all()


@pytest.mark.parametrize("function", [erf, normal_cdf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_depend_on_the_number_alone_and_arguments_stay(function, dtype):
    x = (3 * np.random.default_rng(2).standard_normal((7, 13))).astype(dtype)
    before, found = x.copy(), function(x)
    assert found.shape == x.shape
    assert not np.shares_memory(found, x)
    assert_bitwise(x, before)
    x.flags.writeable = False
    assert_bitwise(function(x), found)
    assert_bitwise(function(np.asfortranarray(x)), found)
    assert_bitwise(function(x[::-2, ::3]), np.ascontiguousarray(found[::-2, ::3]))
    assert_bitwise(np.array([function(each[None])[0] for each in x.ravel()]), found.ravel())
    assert function(x[:0]).shape == (0, 13)


def test_derivatives_by_the_complex_step():
    """The pieces are analytic, so that the gradient of GELU can be checked."""
    x = PLACES[(np.abs(PLACES) > 1e-20) & (np.abs(PLACES) < 20)]
    wanted = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    np.testing.assert_allclose(erf(x + 1e-100j).imag / 1e-100, wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(erf(x + 0j).real, erf(x), rtol=1e-14)


@pytest.mark.parametrize("name", ["erf", "ndtr"])
def test_scipy_agrees(name):
    """Its own error is up to 2 ulp, of ndtr far out more: it rounds z / sqrt(2)."""
    special = pytest.importorskip("scipy.special", reason="needs SciPy: pip install 'fnnet[lbfgs]'")
    found, places = (erf, PLACES) if name == "erf" else (normal_cdf, SHARES[SHARES > -3])
    np.testing.assert_allclose(found(places), getattr(special, name)(places), rtol=4e-15, atol=0)


def test_the_coefficients_are_those_of_their_formulas():
    with mpmath.workdps(DIGITS + 20):
        one = mpmath.mpf(module.ONE)
        for found, exact in (
            (module.SLOPE_AT_ZERO, 2 / mpmath.sqrt(mpmath.pi)),
            (module.SLOPE_AT_ONE, 2 / mpmath.sqrt(mpmath.pi) / mpmath.e),
            (module.VALUE_AT_ONE, mpmath.erf(1)),
        ):
            assert found == int(mpmath.nint(exact * one))
        about_one = mpmath.taylor(mpmath.erf, 1, len(module.AT_ONE) - 1)
        assert module.AT_ONE[1:] == pytest.approx([float(each) for each in about_one[1:]], rel=1e-15)
        assert module.AT_ONE[0] == pytest.approx(float(about_one[0] - module.ERF_1), rel=1e-15)
        about_zero = mpmath.taylor(mpmath.erf, 0, 2 * len(module.AT_ZERO))[1::2]
        about_zero[0] -= 1
        assert list(module.AT_ZERO) == pytest.approx([float(each) for each in about_zero], rel=1e-15)
        assert list(SCALED_ERFC) == pytest.approx(scaled_erfc(len(SCALED_ERFC)), rel=1e-13)


def scaled_erfc(count, nodes=80):
    """The coefficients as the module says that they were computed."""
    angles = [mpmath.pi * (2 * k + 1) / (2 * nodes) for k in range(nodes)]
    x = [CENTRE * (1 + mpmath.cos(each)) / (1 - mpmath.cos(each)) for each in angles]
    values = [(1 + 2 * each) * mpmath.exp(each * each) * mpmath.erfc(each) for each in x]
    sums = [sum(v * mpmath.cos(n * a) for v, a in zip(values, angles, strict=True)) for n in range(count)]
    return [float(each * (1 if n == 0 else 2) / nodes) for n, each in enumerate(sums)]


@pytest.mark.parametrize(("name", "at", "by"), [("AT_ZERO", 0, 3e-15), ("AT_ONE", 2, 1e-14), ("SCALED_ERFC", 1, 1e-12)])
def test_a_planted_error_is_found(name, at, by, monkeypatch):
    table = list(getattr(module, name))
    table[at] *= 1 + by
    monkeypatch.setattr(module, name, tuple(table))
    monkeypatch.setattr(module, "powers", module.powers.__wrapped__)  # which keeps what it has computed
    check = {
        "SCALED_ERFC": test_the_normal_distribution_is_within_a_few_ulp_however_small,
        "AT_ZERO": test_erf_is_within_one_ulp_everywhere,
        "AT_ONE": test_erf_is_within_one_ulp_everywhere,
    }[name]
    with pytest.raises(AssertionError, match=r"ulp at number"):
        check()
