"""`check_gradient` over many functions: right gradients pass, wrong ones do not, what is not compared is counted."""

import itertools
import math

import numpy as np
import pytest

import fnnet
from fnnet.core.differences import COARSEST, LIMIT
from fnnet.core.gradcheck import Check, Checks
from fnnet.errors import ArgumentTypeError, UsageError

SCALES = [1e-250, 1e-20, 1e-3, 1.0, 1e6, 1e250]
K = np.array([0.4, 1.0, 2.3, 4.1])
A = np.random.default_rng(3).normal(size=(4, 4))
TARGET = np.tanh(A @ np.array([0.3, -1.0, 0.7, 0.2]))


def residual(x):
    return np.tanh(A @ x) - TARGET


SMOOTH = {
    "affine": (lambda x: K @ x, lambda x: K + 0 * x),
    "square": (lambda x: x @ x, lambda x: 2 * x),
    "fourth power": (lambda x: (x**4).sum(), lambda x: 4 * x**3),
    "fifth power": (lambda x: (x**5).sum(), lambda x: 5 * x**4),
    "square and fourth power": (lambda x: (x**2 + x**4).sum(), lambda x: 2 * x + 4 * x**3),
    "1 and both": (lambda x: 1 + (x**2 + x**4).sum(), lambda x: 2 * x + 4 * x**3),
    "1 - cos": (lambda x: (1 - np.cos(K * x)).sum(), lambda x: K * np.sin(K * x)),
    "sin**2": (lambda x: (np.sin(K * x) ** 2).sum(), lambda x: K * np.sin(2 * K * x)),
    "tanh**2": (lambda x: (np.tanh(x) ** 2).sum(), lambda x: 2 * np.tanh(x) / np.cosh(x) ** 2),
    "log1p": (lambda x: np.log1p(x**2).sum(), lambda x: 2 * x / (1 + x**2)),
    "cosh - 1": (lambda x: (np.cosh(K * x) - 1).sum(), lambda x: K * np.sinh(K * x)),
    "expm1 - x": (lambda x: (np.expm1(x) - x).sum(), np.expm1),
    "sin of 200": (lambda x: np.sin(200 * x).sum(), lambda x: 200 * np.cos(200 * x)),
    "exp": (lambda x: np.exp(x).sum(), np.exp),
    "fit": (lambda x: residual(x) @ residual(x), lambda x: 2 * A.T @ (residual(x) * (1 - np.tanh(A @ x) ** 2))),
    "bent within a step": (lambda x: np.sqrt(x**2 + 1e-8).sum(), lambda x: x / np.sqrt(x**2 + 1e-8)),
}
POINTS = {
    "0": np.zeros(4),
    "1": np.ones(4),
    "random": np.array([0.6, -1.2, 0.05, 2.0]),
    "some 0": np.array([0.0, 0.7, 0.0, -0.2]),
    "near 0": np.array([1e-3, -2e-5, 4e-4, 3e-3]),
    "fitted": np.array([0.3, -1.0, 0.7, 0.2]),
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", SMOOTH)
def test_right_gradients_pass_and_wrong_ones_do_not(name, point):
    function, gradient = SMOOTH[name]
    at = POINTS[point]
    for scale in SCALES:
        right = scale * gradient(at)
        (check,) = fnnet.check_gradient(lambda x, scale=scale: scale * function(x), at, right)
        assert check.passed, (scale, check)
        assert (check.checked, check.kinks, check.undecided) == (4, 0, 0)
        largest = abs(right).max() or scale
        for number, wrong in itertools.product(range(4), (1.1e-5, -1e-3, 1.0, 1e4)):
            changed = right.copy()
            changed[number] += wrong * largest
            (check,) = fnnet.check_gradient(lambda x, scale=scale: scale * function(x), at, changed)
            assert not check.passed, (scale, number, wrong, check)
            assert "WRONG" in repr(check)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "linear", "relu"])
@pytest.mark.parametrize("seed", range(4))
def test_networks_at_their_minimum(activation, seed):
    """Rounding within the function is larger than its values show."""
    params, x = fnnet.init((4, 5, 3), seed, dtype="float64"), np.random.default_rng(seed).normal(size=(7, 4))
    at = fnnet.forward(params, x, activation=activation)
    zeros = fnnet.backpropagate(params, at, np.zeros((7, 3)))

    def squares(tree):
        return float(((fnnet.forward(tree, x, activation=activation).logits - at.logits) ** 2).mean())

    def divergence(tree):
        probs = fnnet.forward(tree, x, activation=activation).probs
        return float((at.probs * np.log(at.probs / probs)).sum(axis=1).mean())

    for function in (squares, divergence):
        checks = fnnet.check_gradient(function, params, zeros)
        assert checks, checks
        assert not any(check.kinks for check in checks)
        ones = fnnet.backpropagate(params, at, np.full((7, 3), [1e-3, 0.0, 0.0]))
        assert not fnnet.check_gradient(function, params, ones)


@pytest.mark.parametrize(
    ("function", "at", "wrong"),
    [
        (lambda v: np.cos(2 * v[0]) + v[1], [0.0, 0.0], [5.0, 1.0]),
        (lambda v: np.tanh(3 * v[0]) ** 2 + 0.5 * v[1], [0.0, 2.0], [5.0, 0.5]),
        (lambda v: v[0] ** 2 + np.sin(200 * v[1:]).sum(), np.linspace(0.1, 1, 100), [0.2] + [7.0] * 99),
        (lambda v: v[0] + np.sqrt(v[1] ** 2 + 1e-12), [1.0, 0.0], [1.0, 5.0]),
    ],
)
def test_curvature_is_no_kink(function, at, wrong):
    (check,) = fnnet.check_gradient(lambda v: float(function(v)), np.array(at), np.array(wrong))
    assert check.kinks == 0
    assert not check


KINKED = {
    "abs": lambda x: abs(x).sum(),
    "abs and its curvature": lambda x: abs(x).sum() + (K * x**2).sum() + np.cosh(x).sum(),
    "relu": lambda x: np.maximum(x, 0).sum(),
    "leaky": lambda x: np.where(x > 0, x, 0.01 * x).sum(),
    "a small one": lambda x: x.sum() + 1e-4 * abs(x).sum(),
}


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("distance", [0.0, 1e-9, -1e-5, 3e-4, -7e-4, 1.2e-3])
def test_kinks_within_two_steps_are_counted(name, distance):
    at = np.array([distance, 1.0, 2.0, 3.0])
    slope = np.array([(KINKED[name](at + e) - KINKED[name](at - e)) / 2e-6 for e in 1e-6 * np.eye(4)])
    for scale in (1e-200, 1.0, 1e100):
        (check,) = fnnet.check_gradient(lambda x, scale=scale: scale * KINKED[name](x), at, scale * slope, step=1e-3)
        assert (check.kinks, check.undecided) == (1, 0), check


def test_a_check_of_kinks_alone_is_not_true():
    (check,) = fnnet.check_gradient(lambda x: abs(x).sum(), np.zeros(2), np.zeros(2))
    assert not check
    assert repr(check) == "Check(at: not decided, 0 checked, 2 at kinks, central 0.0e+00)"


UNDECIDED = {
    "a jump": lambda v: v[0] + (v[1] > 1),
    "float32": lambda v: float((v.astype(np.float32) ** 2).sum()),
    "values of float32": lambda v: np.float32((v**2).sum()),
    "an infinite slope": lambda v: v[0] + np.sqrt(abs(v[1] - 1)),
    "a large constant": lambda v: 1e9 + (v**2).sum(),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_decided_does_not_pass(name):
    for gradient in (np.zeros(2), np.array([1.0, 0.0]), np.array([2.0, 2.0])):
        (check,) = fnnet.check_gradient(UNDECIDED[name], np.array([0.7, 1.0]), gradient)
        assert not check
    assert check.undecided > 0


def test_a_check_says_what_is_not_decided():
    check = Check("a", (2, 3), checked=3, kinks=1, central=0.0, complex_step=None)
    assert check.undecided == 2
    assert not check
    assert repr(check) == "Check(a: not decided, 3 checked, 1 at kinks, 2 not decided, central 0.0e+00)"
    assert repr(check._replace(central=1.0)).startswith("Check(a: WRONG, ")


@pytest.mark.parametrize(
    ("at", "step", "message"),
    [
        (1e17, 1e-3, r"element \(1,\), which is 1e\+17: step is lost in rounding; .*give step=1e\+14, .*or scale"),
        (-1e12, 1e-3, "step is lost in rounding"),
        (1.0, 1e-17, r"expected a step of at least 5\.7e-14, found 1e-17"),
        (1.0, 1e-300, "step is lost"),
        (math.inf, 1e-3, r"element \(1,\): at is not finite; expected finite, found inf"),
        (math.nan, 1e-3, "at is not finite"),
    ],
)
def test_a_step_that_moves_nothing_is_refused(at, step, message):
    with pytest.raises(UsageError, match=message):
        fnnet.check_gradient(lambda v: 3.0, np.array([0.0, at]), np.zeros(2), step=step)


@pytest.mark.parametrize("size", [1e13, 1e17, 1e100, 1e150])
def test_the_step_that_a_message_names_decides(size):
    at = size * np.array([0.3, 1.0, -0.7])
    with pytest.raises(UsageError, match="step is lost in rounding") as caught:
        fnnet.check_gradient(lambda x: x @ x, at, 2 * at)
    step = float(caught.value.fix.removeprefix("give step=").partition(",")[0])
    assert fnnet.check_gradient(lambda x: x @ x, at, 2 * at, step=step)
    assert "WRONG" in repr(fnnet.check_gradient(lambda x: x @ x, at, 2 * at * [1, 1, 1.001], step=step))


@pytest.mark.parametrize("scale", [1e-298, 1e-250, 1e-230, 1e-205, 1e-100, 1.0, 1e200])
def test_the_complex_step_at_any_scale(scale):
    at = np.array([0.3, 0.5, 1.0])
    right = scale * np.cos(at)
    for gradient, passes in ((right, True), (right * [1, 1, 1 + 1e-9], False)):
        (check,) = fnnet.check_gradient(lambda x: scale * np.sin(x).sum(), at, gradient, complex_step=True)
        assert check.passed == passes, check
    zeros = np.zeros(3)
    assert fnnet.check_gradient(lambda x: 0 * x.sum(), at, zeros, complex_step=True)[0].complex_step == 0
    with pytest.raises(
        UsageError, match="at: values too small for the complex step; expected values of at least 1e-299"
    ):
        fnnet.check_gradient(lambda x: 1e-301 * np.sin(x).sum(), at, zeros, complex_step=True)


def relu(x):
    return np.maximum(x, 0)


BENT = {
    "x abs(x)": (lambda x: x * abs(x), lambda x: 2 * abs(x), 0.0),
    "relu**2": (lambda x: relu(x) ** 2, lambda x: 2 * relu(x), 0.0),
    "relu**2 + sin": (lambda x: relu(x) ** 2 + np.sin(x), lambda x: 2 * relu(x) + np.cos(x), 0.0),
    "relu**3": (lambda x: relu(x) ** 3, lambda x: 3 * relu(x) ** 2, 0.0),
    "squared hinge": (lambda x: relu(1 - x) ** 2, lambda x: -2 * relu(1 - x), 1.0),
    "huber": (lambda x: np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5), lambda x: np.clip(x, -1, 1), 1.0),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))), 0.0),
}
"""A function whose second derivative jumps, or its third, its derivative, and where it jumps."""


@pytest.mark.parametrize("name", BENT)
def test_a_second_derivative_that_jumps_is_no_fault_and_hides_none(name):
    function, derivative, corner = BENT[name]
    rng = np.random.default_rng(len(name))
    for distance in [0.0] * 60 + [1e-9, -9.4e-10, 9.5e-10, -1e-7, 1e-5, -1e-4, 3e-4, -1e-3, 1.1e-3, 1.5e-3] * 6:
        k, scale = rng.uniform(0.5, 10), 10.0 ** rng.integers(-200, 200)
        at = rng.normal(size=3) * 10.0 ** rng.uniform(-2, 0.3)
        at[0] = corner / k + distance
        at[1] = (corner + 0.5 - (corner == 1)) / k  # not all is flat

        def scaled(x, k=k, scale=scale):
            return scale * function(k * x).sum()

        right = scale * k * derivative(k * at)
        (check,) = fnnet.check_gradient(scaled, at, right)
        assert (check.passed, check.checked) == (True, 3), (k, scale, at, check)
        number = rng.integers(3)
        right[number] += 1e-3 * abs(right).max()
        assert "WRONG" in repr(fnnet.check_gradient(scaled, at, right)), (k, scale, at, number)


def test_rounding_that_cancels_in_the_values_is_not_called_wrong():
    at, k = np.array([0.9511482570165006, -1.8909362986282132]), 9.681866861499218
    assert "WRONG" not in repr(fnnet.check_gradient(lambda x: np.tanh(k * x).sum(), at, k / np.cosh(k * at) ** 2))


def test_a_model_is_no_point():
    params = fnnet.init((4, 3, 2), dtype="float64")
    for at, gradient in ((fnnet.Model(params), params), (params, fnnet.Model(params))):
        with pytest.raises(ArgumentTypeError, match=r"found Model; pass model\.params"):
            fnnet.check_gradient(lambda p: 0.0, at, gradient)


def test_values_too_small_for_differences_are_refused_or_checked():
    at = np.ones(3)
    with pytest.raises(UsageError, match="too small to differ; expected values of at least 1e-305, or 0, found"):
        fnnet.check_gradient(lambda x: 1e-310 * x.sum(), at, 1e-310 * at)
    assert fnnet.check_gradient(lambda x: 1e-300 * x.sum(), at, 1e-300 * at)
    assert not fnnet.check_gradient(lambda x: 1e-300 * x.sum(), at, 1.001e-300 * at)


@pytest.mark.parametrize("step", [1e-6, 1e-4, 0.1, 3.0])
def test_steps_of_any_size(step):
    at = np.array([0.3, 1.7])
    assert fnnet.check_gradient(lambda x: np.sin(x).sum(), at, np.cos(at), step=step)
    assert not fnnet.check_gradient(lambda x: np.sin(x).sum(), at, np.cos(at) * (1 + 1e-5), step=step)


def test_a_function_is_called_six_times_for_each_element():
    calls = []

    def function(x):
        calls.append(1)
        return float(np.exp(x).sum())

    fnnet.check_gradient(function, np.ones(50), np.exp(np.ones(50)))
    assert len(calls) == 6 * 50 + 1
    calls.clear()
    fnnet.check_gradient(lambda x: function(x) * 0 + abs(x).sum(), np.zeros(5), np.zeros(5))
    assert len(calls) <= 150 * 5 + 1


def test_a_point_without_axes():
    assert fnnet.check_gradient(lambda v: float(v**2), np.array(2.0), np.array(4.0))
    assert not fnnet.check_gradient(lambda v: float(v**2), np.array(2.0), np.array(5.0))


def test_parts_and_sums_of_checks_are_checks():
    at = np.ones(2)
    right, wrong = (fnnet.check_gradient(lambda x: x @ x, at, factor * at) for factor in (2, 3))
    for part in (wrong[:1], wrong[::-1], right + wrong, tuple(right) + wrong, right[:0], wrong + ()):
        assert type(part) is Checks
        assert not part
    assert right[:1]
    assert type(right[0]) is Check
    assert right + right


class Scalar:
    """A number without axes of another library."""

    shape = ()

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return float(self.value)

    def __complex__(self):
        return complex(self.value)


def test_numbers_of_other_libraries_are_taken():
    at = np.ones(3)
    for kind in (Scalar, np.array, float):
        assert fnnet.check_gradient(lambda x, kind=kind: kind((x**2).sum()), at, 2 * at)
    assert fnnet.check_gradient(lambda x: Scalar((x**2).sum()), at, 2 * at, complex_step=True)
    with pytest.raises(ArgumentTypeError, match="expected a number"):
        fnnet.check_gradient(lambda x: np.array("3"), at, at)


@pytest.mark.parametrize("at", [2, [1, 2], np.ones(2, bool), np.ones(2, np.int8)])
def test_a_point_of_integers_is_refused_with_a_remedy(at):
    with pytest.raises(ArgumentTypeError, match=r"expected float64, found .*; give at\.astype\(np\.float64\)"):
        fnnet.check_gradient(lambda x: 1.0, at, np.zeros(np.shape(at)))


def test_limits():
    assert (LIMIT, COARSEST) == (1e-7, 4e-6)


def verdict(check):
    """The word in a Check's representation."""
    return repr(check).split(": ")[1].split(",")[0]


ROUNDED = {
    "float32 sine": (lambda x: float(np.sin(x.astype("f4")).sum()), np.cos),
    "float32 exp": (lambda x: float(np.exp(x.astype("f4")).sum()), np.exp),
    "6 decimals": (lambda x: round(float((x**3).sum()), 6), lambda x: 3 * x**2),
    "4 decimals": (lambda x: round(float(np.exp(x).sum()), 4), np.exp),
}


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_values_as_python_floats_make_no_right_gradient_wrong(name, size):
    function, gradient = ROUNDED[name]
    for at in np.random.default_rng(size).normal(size=(25, size)):
        assert verdict(fnnet.check_gradient(function, at, gradient(at))) != "WRONG", at


@pytest.mark.parametrize("name", SMOOTH)
def test_an_error_of_a_thousandth_at_one_element_is_wrong_at_any_point(name):
    function, gradient = SMOOTH[name]
    for at in np.random.default_rng(1).normal(size=(5, 4)):
        given = gradient(at)
        given[abs(given).argmax()] *= 1.001
        assert verdict(fnnet.check_gradient(function, at, given)) == "WRONG", at


@pytest.mark.parametrize("power", [1.02, 1.05, 1.25, 1.4, 1.5])
def test_a_slope_that_is_curved_without_bound_is_no_kink(power):
    for near in (1e-3, -1e-3, 3e-4, 1.7e-3, 1e-6):
        at = np.array([near, 1.0])
        right = power * np.sign(at) * abs(at) ** (power - 1)
        for scale, wanted in ((1, {"passed", "not decided"}), (-1000, {"WRONG", "not decided"})):
            (check,) = fnnet.check_gradient(lambda x: (abs(x) ** power).sum(), at, right * [scale, 1])
            assert not check.kinks
            assert verdict(check) in wanted


@pytest.mark.parametrize("count", [1, 2, 10])
def test_where_slopes_jump_stays_a_kink_beside_other_kinks(count):
    random = np.random.default_rng(count)
    for _ in range(30):
        places, jumps = random.uniform(-1e-3, 1e-3, count), random.normal(size=count)

        def function(x, places=places, jumps=jumps):
            return float(jumps @ np.maximum(0, x[0] - places) + np.exp(x).sum())

        (check,) = fnnet.check_gradient(function, np.array([0.0, 0.5]), np.array([99.0, np.exp(0.5)]))
        (kinked,) = fnnet.check_gradient(function, np.array([places[0], 0.5]), np.array([99.0, np.exp(0.5)]))
        assert kinked.kinks == 1
        assert check.kinks == 1 or verdict(check) == "WRONG"
