"""The hidden activations: right at the places that matter, in both paths, and the same bits wherever a number lies."""

import math

import numpy as np
import pytest

from fnnet.core import operations
from fnnet.names import ACTIVATIONS
from tests.tools.tolerance import assert_activated, assert_bitwise

SMOOTH = ("gelu", "silu", "tanh", "sigmoid", "mish")
PLACES = np.concatenate([np.linspace(-12, 12, 401), -np.geomspace(1e-30, 1e4, 200), np.geomspace(1e-30, 1e4, 200)])
LIMITS = {
    # Values at -inf and inf, then slopes.
    "relu": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, 0.01, 1),
    "elu": (-1, np.inf, 0, 1),
    "gelu": (0, np.inf, 0, 1),
    "silu": (0, np.inf, 0, 1),
    "tanh": (-1, 1, 0, 0),
    "sigmoid": (0, 1, 0, 0),
    "linear": (-np.inf, np.inf, 1, 1),
    "mish": (0, np.inf, 0, 1),
}
AT_ZERO = {
    # Value and slope at 0, PyTorch's where there is a kink.
    "relu": (0, 0),
    "leaky_relu": (0, 0.01),
    "elu": (0, 1),
    "gelu": (0, 0.5),
    "silu": (0, 0.5),
    "tanh": (0, 1),
    "sigmoid": (0.5, 0.25),
    "linear": (0, 1),
    "mish": (0, 0.6),
}
BY_HAND = {
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "gelu": lambda z: z * math.erfc(-z / math.sqrt(2)) / 2,
    "silu": lambda z: z * (math.exp(min(z, 0)) / (1 + math.exp(-abs(z)))),
    "tanh": math.tanh,
    "sigmoid": lambda z: math.exp(min(z, 0)) / (1 + math.exp(-abs(z))),
    "linear": lambda z: z,
    "mish": lambda z: z * math.tanh(max(z, 0) + math.log1p(math.exp(-abs(z)))),
}


def both(kernels, name, z):
    """Value and slope."""
    return getattr(kernels, name)(z), getattr(kernels, f"{name}_backward")(np.ones_like(z), z)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_those_of_the_formula(name, dtype, kernels):
    z = PLACES.astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        found, _ = both(kernels, name, z)
    assert_activated(found, np.array([BY_HAND[name](each) for each in z.tolist()]).astype(dtype))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_slopes_are_those_of_torch(name, dtype, kernels):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    own = {"sigmoid": torch.sigmoid, "linear": torch.clone}
    function = own.get(name) or getattr(torch.nn.functional, name)
    # Not further out: there 1 - sigmoid(z), times z, has lost more of PyTorch's SiLU than the rule allows.
    places = np.concatenate([PLACES[np.abs(PLACES) <= 12], [0.0]])
    given = torch.tensor(places.astype(dtype).astype(np.float64), requires_grad=True)
    wanted = function(given)
    wanted.backward(torch.ones_like(given))
    value, slope = both(kernels, name, places.astype(dtype))
    assert_activated(value, wanted.detach().numpy().astype(dtype))
    assert_activated(slope, given.grad.numpy().astype(dtype))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_the_derivative(name):
    """By the complex step, which cancels nothing; and the slopes themselves take complex numbers."""
    z = PLACES[np.abs(PLACES) > 1e-20]
    wanted = getattr(operations, name)(z + 1e-100j).imag / 1e-100
    _, slope = both(operations, name, z)
    np.testing.assert_allclose(slope, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_f75_f80_limits_zero_and_nan(name, dtype, kernels):
    z = np.array([-np.inf, np.inf, 0.0, -0.0], dtype)
    with np.errstate(all="raise", under="ignore"):
        value, slope = both(kernels, name, z)
    low, high, slope_low, slope_high = LIMITS[name]
    at_zero, slope_at_zero = AT_ZERO[name]
    assert_activated(value[2:], np.array([at_zero, at_zero], dtype))
    np.testing.assert_array_equal(value[:2], [low, high])
    wanted = np.array([slope_low, slope_high, slope_at_zero, slope_at_zero], dtype)
    assert_activated(slope, wanted)
    assert np.isnan(getattr(kernels, name)(np.array([np.nan], dtype))).all()


def test_f75_relu_gradient_at_zero_and_nan(kernels):
    z = np.array([[-1.0, 0.0, 2.0, np.nan]], np.float32)
    np.testing.assert_array_equal(kernels.relu(z), [[0, 0, 2, np.nan]])
    np.testing.assert_array_equal(kernels.relu_backward(np.full_like(z, 3), z), [[0, 0, 3, 0]])


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_f80_small_numbers_keep_their_digits(name, dtype, kernels):
    """Near 0 tanh is z and not a difference of rounded numbers; far out the slopes still shrink as they should."""
    z = np.geomspace(1e-30, 1e-3, 50).astype(dtype)
    lean = {"gelu": z / 2, "silu": z / 2, "tanh": z, "sigmoid": 0.5, "mish": 0.6 * z}[name]
    np.testing.assert_allclose(getattr(kernels, name)(-z), -lean if name != "sigmoid" else lean, rtol=1e-3)
    far = np.linspace(10, 30, 21).astype(dtype)
    slope = both(kernels, name, far)[1]
    if name in ("tanh", "sigmoid"):
        rate = {"tanh": 2, "sigmoid": 1}[name]
        np.testing.assert_allclose(slope, rate**2 * np.exp(-rate * far), rtol=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_the_place(name, dtype, numba_kernels):
    z = 3 * np.random.default_rng(1).standard_normal((7, 13)).astype(dtype)
    together = both(numba_kernels, name, z)
    for number, row in enumerate(z):
        for found, wanted in zip(both(numba_kernels, name, row[None]), together, strict=True):
            assert_bitwise(found[0], wanted[number])
    turned = both(numba_kernels, name, z.T)
    for found, wanted in zip(turned, together, strict=True):
        assert_bitwise(found.T, wanted)
