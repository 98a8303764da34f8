"""Each test fails with one small change of the mathematics that no other test noticed: more of `test_edges`."""

import math

import numpy as np
import pytest

import fnnet
from fnnet.core import checks, differences, gradcheck
from fnnet.core.check_network import check_activations
from fnnet.core.check_trees import check_like
from fnnet.core.params import Layer, Params
from fnnet.errors import ArgumentTypeError

EPSILON = 2.0**-52


@pytest.mark.parametrize("value", [[1, 2], (1, 2), (1,), [1], [], (), [[1], (2, 3)], ([],)])
def test_sequences_are_shown_as_python_writes_them(value):
    assert checks.shown(value) == str(value)


@pytest.mark.parametrize("span", [np.timedelta64(5, "s"), np.array(5, "m8[s]"), np.array([5], "m8[ns]")])
def test_a_span_of_time_is_no_count(span):
    with pytest.raises(ArgumentTypeError, match="steps is not an integer"):
        checks.check_count("steps", span, 1)


@pytest.mark.parametrize("sizes", [(4, 3), (4, 5, 3), (4, 5, 6, 3)])
def test_activations_of_any_number_of_layers_are_checked(sizes):
    params = fnnet.init(sizes, 1)
    activations = fnnet.forward(params, np.ones((2, 4), np.float32))
    found = check_activations(params, activations)
    assert found.probs.tolist() == activations.probs.tolist()
    with pytest.raises(ArgumentTypeError, match="activations come from another network; expected float32"):
        check_activations(params, fnnet.forward(fnnet.init(sizes, 1, dtype=np.float64), np.ones((2, 4))))


@pytest.mark.parametrize("order", "<>=")
@pytest.mark.parametrize("kind", ["f4", "f8", "i4"])
def test_parameters_in_any_byte_order_are_compared(order, kind):
    params = Params((Layer(np.ones((3, 2), order + kind), np.ones(2, order + kind)),))
    if kind == "i4":
        with pytest.raises(ArgumentTypeError, match="dtype of params; expected float32, float64"):
            check_like(params, params, "gradients")
    else:
        one, other = check_like(params, params, "gradients")
        assert one.layers[0].W.tolist() == other.layers[0].W.tolist() == [[1.0] * 2] * 3


def test_the_rounding_of_shorter_floats_is_that_of_their_last_bit():
    assert {"float16", "float32", "bfloat16"} == gradcheck.ROUGH.keys()
    for name in ("float16", "float32"):
        assert gradcheck.ROUGH[name] == float(np.finfo(name).eps)
    assert gradcheck.ROUGH["bfloat16"] == float(np.finfo(np.float32).eps) * 2**16  # the first half of a float32


class Noted(differences._Line):
    """Values along a line, and how far from the point they were asked for."""

    def __init__(self, value):
        super().__init__(value, value(0.0))

    def nearest(self):
        return min(abs(distance) for distance in self._known if distance)


def test_a_slope_that_never_settles_is_not_known_and_asked_for_no_longer_than_is_said():
    line = Noted(abs)
    slope, error, step = differences._refined(line, 1.0, 1e-7, 0.0, 1.0, EPSILON)
    assert math.isnan(slope)
    assert (error, step) == (math.inf, 0.25)
    assert line.nearest() == 2.0**-differences.HALVINGS == 2.0**-20


def test_a_slope_is_taken_where_one_halving_more_confirms_it():
    """Of a straight line that of the first three steps agrees, and the fourth confirms it."""
    line = Noted(lambda distance: 3 * distance)
    slope, error, step = differences._refined(line, 1.0, 1.0, 0.0, 1.0, EPSILON)
    assert (slope, error, step) == (3.0, 6 * EPSILON, 0.25)
    assert line.nearest() == 0.125


@pytest.mark.parametrize("power", [1.0, 1.25])
@pytest.mark.parametrize("smooth", [(0, 0, 0), (5, 100, 0), (0, -100, 300)])
def test_smooth_terms_do_not_count_for_a_kink_s_jump(power, smooth):
    """Fourth differences of third powers and less are 0."""
    first, second, third = smooth

    def value(d):
        return abs(d) ** power + first * d + second * d**2 + third * d**3

    assert differences._is_flat(Noted(value), 0.0, 2.0**-8, 1.0) == (power == 1)


@pytest.mark.parametrize(
    ("sums", "kink"),
    [
        ([1, 2, 4, 8], False),  # as at a jump
        ([1, 1.9, 4, 6], True),  # 6 times the one of three halvings before: no more than that
        ([1, 1.9, 4, 6.25], False),
        ([1, 2.25, 4, 6.5], True),  # and 3 times that of two
        ([1, 1, 1, 1], True),
    ],
)
def test_fourth_differences_that_grow_are_of_no_kink(sums, kink, monkeypatch):
    """The last one stays as it is from there on."""
    monkeypatch.setattr(differences, "_is_flat", lambda *given: True)
    sums, asked = sums + [sums[-1]] * differences.NARROWINGS, [0]

    def line(distance):
        turn, number = divmod(asked[0], 9)
        asked[0] += 1
        return sums[turn] * 0.5 ** (turn + 1) if number == 8 else 0.0

    assert differences._has_kink(line, 1.0, 0.5, 0.0, 0.0) == kink
    assert asked[0] == 9 * (differences.NARROWINGS if kink else 4)


@pytest.mark.parametrize(("big", "bound"), [(1.55e-12, 1e-11), (1.65e-12, 1e-13)])
def test_a_function_is_constant_up_to_16_times_the_rounding(big, bound):
    for largest, steepest in ((big, 0.0), (0.0, big)):
        found = differences._bounds(np.zeros(1), np.array([largest]), steepest, 1e-13)
        assert found == pytest.approx([bound], rel=1e-6)


@pytest.mark.parametrize("step", [2.0**-10, 2.0**-12])
def test_what_rounding_leaves_is_tolerated(step):
    """Twice what it makes of each value, over half a step."""
    at, epsilon = np.array([3.0]), 1e-6
    found = differences.differentiate(lambda place, d: 1 + d, 1.0, at, step, lambda: epsilon, np.ones(1))
    unit = 1 + 2 * step
    assert found.unit == unit
    assert found.tolerance == pytest.approx([2 * epsilon * (1 + 3 / unit) / (step / 2)], rel=1e-9)


@pytest.mark.parametrize("power", [1, 4, 5])
def test_a_derivative_counts_for_the_scale_of_all_if_its_differences_agree(power, monkeypatch):
    """Those of a fifth power are in a ratio of 16, those of lower ones alike."""
    bounds, known = differences._bounds, []

    def noted(slopes, of, steepest, rounding):
        known.append(len(of))
        return bounds(slopes, of, steepest, rounding)

    monkeypatch.setattr(differences, "_bounds", noted)

    def value(place, distance):
        return 1 + (distance + distance**power * 1e10 if place == 0 and power > 1 else distance)

    differences.differentiate(value, 1.0, np.zeros(2), 2.0**-4, lambda: EPSILON, np.ones(2))
    assert known[0] == (1 if power == 5 else 2)


def look_again(given, slopes, tolerance, found):
    slopes, tolerance, steps = np.array(slopes), np.array(tolerance), np.ones(len(slopes))
    scales = (1.0, 1.0, EPSILON)
    at = np.zeros(len(slopes))
    differences._look_again([None] * 2, np.array(given), slopes, tolerance, np.array(found), steps, scales, at)
    return slopes.tolist(), tolerance.tolist(), steps.tolist()


@pytest.mark.parametrize(("off", "known"), [(8 * 2.0**-10, False), (math.nextafter(1 + 8 * 2.0**-10, 2) - 1, True)])
def test_a_gradient_off_by_eight_errors_found_elsewhere_is_not_compared(off, known):
    slopes, _, _ = look_again([1.0, 1.0 + off], [1.0, 1.0], [1e-9, 1e-9], [2.0**-10, 0.0])
    assert slopes[0] == 1
    assert (slopes[1] == 1) if known else math.isnan(slopes[1])


def test_a_slope_computed_again_tolerates_eight_times_its_error(monkeypatch):
    error = 2.0**-24
    monkeypatch.setattr(differences, "_refined", lambda *given: (1.0, error, 0.25))
    slopes, tolerance, steps = look_again([1.0, 1.0 + 2.0**-20], [1.0, 1.0], [1e-9, 1e-9], [0.0, 0.0])
    assert (slopes, tolerance, steps) == ([1.0, 1.0], [1e-9, 8 * error], [1.0, 0.25])
