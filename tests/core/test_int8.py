"""The definition of scores of int8, worked out by hand and in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnnet
from fnnet.core import int8, public_int8
from fnnet.core.params import Layer, Params
from fnnet.errors import UsageError

FLOAT = np.float32


def network(*layers):
    return Params(tuple(Layer(np.array(W, FLOAT), np.array(b, FLOAT)) for W, b in layers))


def test_by_hand():
    """Units whose largest weights are 64, 32 and 0: scales 1, 1/2 and, for want of a number, 1."""
    found = int8.quantise(network(([[64, -32, 0], [0.5, 3.25, 0], [1.5, -3.75, 0]], [0, 1, 2])))
    W, scale, b = found.layers[0]
    # Half to even: 0.5 is 0, 1.5 is 2, 6.5 is 6, -7.5 is -8.
    assert W.tolist() == [[64, -64, 0], [0, 6, 0], [2, -8, 0]]
    assert (W.dtype, scale.tolist(), b.tolist()) == (np.int8, [1, 0.5, 1], [0, 1, 2])
    x = np.array([[255, 0, 0], [0, 255, 51]], np.uint8)
    wanted = [[64, -31, 2], [102 / 255, 1 + 0.5 * (6 - 8 * 51 / 255), 2]]
    np.testing.assert_allclose(int8.scores(found, x), wanted, rtol=1e-6)


def test_codes_by_hand():
    rows = [[0, 0, 0], [255, 127.5, 0.5], [-10, 245, 0], [-510, 0, -255], [1e-42, 0, 0], [1.5, 2.5, 255]]
    found, scale, zero = int8.codes(np.array(rows, FLOAT))
    wanted = [[0, 0, 0], [255, 128, 0], [0, 255, 10], [0, 255, 127], [0, 0, 0], [2, 2, 255]]
    assert found.tolist() == wanted
    assert scale.tolist() == [1, 1, 1, 2, 1, 1]
    assert zero.tolist() == [0, 0, 10, 255, 0, 0]


def test_a_code_and_its_zero_point_may_both_be_rounded_up():
    """256 values would be needed."""
    found, scale, zero = int8.codes(np.array([[-127.5, 127.5], [-1.5, 253.5]], FLOAT))
    assert scale.tolist() == [1, 1]
    assert zero.tolist() == [128, 2]
    assert found.tolist() == [[0, 255], [0, 255]]


def exact(quantised, x):
    """The scores as the module's docstring states them, a number at a time in whole numbers and fractions."""
    found = []
    for row in x:
        if row.dtype == np.uint8:
            code, scale, zero = [int(each) for each in row], FLOAT(1) / FLOAT(255), 0
        else:
            code, scale, zero = encoded(row)
        z, slope = [], FLOAT(quantised.slope)
        for number, (W, scales, b) in enumerate(quantised.layers):
            if number:
                code, scale, zero = encoded([each if each > 0 else slope * each for each in z])
            z = []
            for j in range(len(b)):
                total = sum((c - zero) * int(w) for c, w in zip(code, W[:, j], strict=True))
                product = Fraction(total) * Fraction(float(scale * scales[j]))
                # Python rounds a fraction to the nearest float, half to even.
                z.append(FLOAT(float(product + Fraction(float(b[j])))))
        found.append(z)
    return np.array(found)


def encoded(row):
    low, high = min(FLOAT(0), *row), max(FLOAT(0), *row)
    scale = high / FLOAT(255) - low / FLOAT(255)
    scale = scale if scale >= 2.0**-126 else FLOAT(1)
    zero = round(float(-low / scale))
    return [max(0, min(255, round(float(each / scale)) + zero)) for each in row], scale, zero


@given(st.data())
def test_equals_whole_numbers_and_fractions(data):
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scheme, dtype = data.draw(st.sampled_from(["he", "notebook"])), data.draw(st.sampled_from(["f", "d"]))
    params = fnnet.init(sizes, int(draw.integers(99)), scheme=scheme, dtype=dtype)
    activation = data.draw(st.sampled_from(list(int8.SLOPES)))
    x = draw.integers(0, 256, (3, sizes[0])).astype(np.uint8)
    if data.draw(st.booleans()):
        x = (draw.standard_normal(x.shape) * 10.0 ** draw.integers(-40, 30)).astype(FLOAT)
    quantised = int8.quantise(params, activation)
    found, wanted = int8.scores(quantised, x), exact(quantised, x)
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


@pytest.mark.parametrize("activation", int8.SLOPES)
def test_is_near_to_floats(activation):
    """The error of a layer's weight is at most 1/128 of the unit's largest, that of a code 1/510 of the row's."""
    params, draw = fnnet.init((50, 40, 30, 10), 1), np.random.default_rng(0)
    for x in (draw.integers(0, 256, (500, 50)).astype(np.uint8), draw.standard_normal((500, 50)).astype(FLOAT)):
        wanted = fnnet.scores(params, x, activation=activation)
        found = fnnet.scores(params, x, activation=activation, precision="int8")
        assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
        assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.93


def test_rows_do_not_depend_on_others(monkeypatch):
    params, x = fnnet.init((20, 30, 10), 1), np.random.default_rng(0).standard_normal((50, 20))
    every = fnnet.scores(params, x, precision="int8")
    monkeypatch.setattr(public_int8, "CHUNK", 7)
    np.testing.assert_array_equal(fnnet.scores(params, x, precision="int8"), every)
    for row in range(50):
        np.testing.assert_array_equal(fnnet.scores(params, x[row : row + 1], precision="int8")[0], every[row])


def test_is_never_the_default():
    params, x = fnnet.init((20, 30, 10), 1), np.random.default_rng(0).random((9, 20)).astype(FLOAT)
    floats, whole = (fnnet.scores(params, x, precision=each) for each in ("float", "int8"))
    np.testing.assert_array_equal(fnnet.scores(params, x), floats)
    assert (floats != whole).any()


def test_predict_predictor_and_models():
    params, x = fnnet.init((20, 30, 10), 1), np.random.default_rng(0).random((200, 20))
    model = fnnet.Model(params, "leaky_relu", tuple("0123456789"), (4, 5))
    wanted = fnnet.scores(model, x, precision="int8").argmax(axis=1)
    named = np.array(model.classes)[wanted]
    np.testing.assert_array_equal(fnnet.predict(model, x, precision="int8"), named)
    np.testing.assert_array_equal(fnnet.predictor(model, precision="int8")(x), named)
    np.testing.assert_array_equal(fnnet.predictor(params, activation="leaky_relu", precision="int8")(x), wanted)
    assert (wanted != fnnet.predict(params, x, precision="int8")).any()


@pytest.mark.parametrize("W", [np.nan, np.inf, 1e39])
def test_refuses_parameters_that_are_not_finite(W):
    params = fnnet.init((3, 2, 2), dtype=np.float64)
    params = Params((params[0], Layer(np.full((2, 2), W), np.zeros(2))))
    with pytest.raises(UsageError, match=r"layer 2: .* no int8 form; expected finite float32, found (nan|inf|1e\+39)"):
        fnnet.predictor(params, precision="int8")


def test_refuses_what_may_overflow():
    large = network(([[1e20]], [0]), ([[1e20]], [0]))
    with pytest.raises(
        UsageError,
        match=r"weights are too large for int8; .*, found for inputs up to 0\.0294",
    ):
        fnnet.predictor(large, precision="int8")
    for bias in (0, 5e37):
        params = network(([[1e10, 1], [-1e10, 1]], [bias, 0]), ([[1], [2]], [0]))
        limit = int8.quantise(params).limit
        assert 2e27 < limit < 5e27
        for sign in (1, -1):
            row = np.array([[limit, limit * sign]], FLOAT)
            assert np.isfinite(fnnet.scores(params, row, precision="int8")).all()
            with pytest.raises(
                UsageError, match=r"row 1, column 1: x is too large for int8; expected at most \d.*e\+2[78]"
            ):
                fnnet.predictor(params, precision="int8")(np.vstack([row, row * [[1, 1.01]]]).astype(FLOAT))


def test_refuses_activations_without_fixed_bits():
    params = fnnet.init((3, 2, 2))
    with pytest.raises(UsageError, match="no int8 form; expected relu or leaky_relu or linear, found gelu"):
        fnnet.scores(params, np.zeros((1, 3)), activation="gelu", precision="int8")
    own = fnnet.Activation(lambda z: z, lambda da, z: da, kinked=False)
    with pytest.raises(UsageError, match="found an Activation of your own"):
        fnnet.predictor(params, activation=own, precision="int8")
    # Without hidden layers there is none to be refused.
    assert fnnet.scores(fnnet.init((3, 2)), np.zeros((1, 3)), activation="gelu", precision="int8").shape == (1, 2)


def test_refuses_layers_too_wide_for_exact_sums():
    params = Params((Layer(np.ones((int8.MOST_INPUTS + 1, 1), FLOAT), np.zeros(1, FLOAT)),))
    with pytest.raises(UsageError, match="layer 1: too many inputs for int8; expected at most 32,768, found 32,769"):
        fnnet.predictor(params, precision="int8")
    widest = Params((Layer(np.ones((int8.MOST_INPUTS, 1), FLOAT), np.zeros(1, FLOAT)),))
    x = np.full((1, int8.MOST_INPUTS), 255, np.uint8)
    assert fnnet.scores(widest, x, precision="int8").item() == pytest.approx(int8.MOST_INPUTS)
