"""Input that is not finite is refused wherever it shows; floats that look like pixels are noted once in a process."""

import inspect
import itertools
import math
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fnnet
from fnnet.core import metrics, notes
from fnnet.core.params import Layer, Params
from fnnet.core.state import Examples
from fnnet.errors import DivergedError, UsageError
from fnnet.names import ACTIVATIONS
from fnnet.training import epochs, steps
from fnnet.training.plan import Plan

SIZES, N = (6, 5, 4, 3), 9
LABELS = np.arange(N) % 3


def rows(dtype=np.float32, n=N):
    return np.random.default_rng(n).random((n, SIZES[0])).astype(dtype)


def holding(value, row=4, column=2, dtype=np.float32):
    x = rows(dtype)
    x[row, column] = value
    return x


def train_step(params, x, kernels, **objective):
    state = steps.start(params, 0)
    return fnnet.train_step(state, x, LABELS, 0.1, objective=steps.Objective(**objective), kernels=kernels)


def train_block(params, x, kernels, chosen=None, batch=4, **objective):
    state, chosen = steps.start(params, 0), np.arange(N)[::-1].copy() if chosen is None else chosen
    options = {"objective": steps.Objective(**objective), "kernels": kernels}
    return fnnet.train_block(state, Examples(x, LABELS), chosen, batch, 0.1, **options)


CALLS = {
    "forward": fnnet.forward,
    "loss": lambda params, x, **options: fnnet.loss(params, x, LABELS, **options),
    "weighted loss": lambda params, x, **options: fnnet.loss(params, x, LABELS, weights=1.0 * (LABELS == 0), **options),
    "scores": fnnet.scores,
    "predict": fnnet.predict,
    "predictor": lambda params, x, **options: fnnet.predictor(params, **options)(x),
    "evaluate": lambda params, x, **options: metrics.evaluate(params, x, LABELS, **options),
    "train_step": train_step,
    "train_block": train_block,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_goes_through_every_activation_and_is_refused(name, activation, kernels):
    params = fnnet.init(SIZES, 1)
    for row, column in ((0, 0), (4, 2), (N - 1, SIZES[0] - 1)):
        with pytest.raises(UsageError) as told:
            CALLS[name](params, holding(math.nan, row, column), activation=activation, kernels=kernels)
        problem = f"row {row}, column {column}: x is not finite; expected finite float32, found nan"
        assert str(told.value) == f"{problem}; fill it in, as np.nan_to_num does, or leave the row out"


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble])
def test_nan_in_floats_of_any_size(name, dtype, kernels):
    with pytest.raises(UsageError, match="row 4, column 2: x is not finite"):
        CALLS[name](fnnet.init(SIZES, 1), holding(math.nan, dtype=dtype), kernels=kernels)


def test_one_row_of_nan_at_the_predictor(kernels):
    classify = fnnet.predictor(fnnet.init(SIZES, 1), kernels=kernels)
    with pytest.raises(UsageError, match="row 0, column 2: x is not finite"):
        classify(holding(math.nan)[4:5])
    assert classify(rows()[:1]).tolist() == fnnet.predict(fnnet.init(SIZES, 1), rows()[:1]).tolist()


@pytest.mark.parametrize("chosen", [np.array([8, 4, 1]), np.array([4]), None])
def test_a_block_names_the_row_of_the_examples(chosen, kernels):
    with pytest.raises(UsageError, match="row 4, column 2: x is not finite"):
        train_block(fnnet.init(SIZES, 1), holding(math.nan), kernels, chosen, batch=2)
    assert train_block(fnnet.init(SIZES, 1), holding(math.nan), kernels, np.array([0, 1]))[0].step == 1
    plan, training = Plan(1, 2, 0.1), epochs.start(fnnet.init(SIZES, 1), 0, Plan(1, 2, 0.1))
    with pytest.raises(UsageError, match="row 4, column 2: x is not finite"):
        list(epochs.epochs(training, Examples(holding(math.nan), LABELS), plan, kernels=kernels))


@pytest.mark.parametrize("seed", range(6))
def test_nan_behind_dropout_is_refused(seed, kernels):
    """Even if every unit that could carry it to the loss is dropped: the weights before them would be NaN."""
    params, objective = fnnet.init((6, 1, 3), seed), {"dropout": 0.9}
    for call in (train_step, train_block):
        with pytest.raises(UsageError, match="row 4, column 2: x is not finite"):
            call(params, holding(math.nan), kernels, **objective)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinity_that_makes_a_result_infinite_is_refused(name, value, kernels):
    params = Params((Layer(np.array([[1, -1]] * 6, np.float32), np.zeros(2, np.float32)),) * 1)
    x, labels = holding(value), LABELS % 2
    if name in ("predict", "predictor", "evaluate", "train_step", "train_block"):
        params = fnnet.init((6, 3), 1)
    elif "loss" in name:
        params, labels = fnnet.init((6, 3), 1), LABELS
    assert len(labels) == len(x)
    with pytest.raises(UsageError, match=f"row 4, column 2: x is not finite; expected finite float32, found {value}"):
        CALLS[name](params, x, kernels=kernels)


def test_an_infinity_that_an_activation_bounds_is_a_number(kernels):
    """tanh(inf) is 1 and relu(-inf) is 0: the scores are what the formulas have in the limit."""
    W, b = np.full((6, 2), 0.5, np.float32), np.zeros(2, np.float32)
    last = Layer(np.array([[1, 2], [3, 4]], np.float32), b)
    for value, activation, wanted in ((math.inf, "tanh", [4, 6]), (-math.inf, "relu", [0, 0])):
        params, x = Params((Layer(W, b), last)), np.full((1, 6), value, np.float32)
        assert fnnet.scores(params, x, activation=activation, kernels=kernels).tolist() == [wanted]
        assert np.isfinite(fnnet.forward(params, x, activation=activation, kernels=kernels).probs).all()


def test_a_number_beyond_the_dtype_of_the_network_is_refused(kernels):
    x = holding(1e300, dtype=np.float64)
    for call in (fnnet.scores, fnnet.predict):
        with pytest.raises(UsageError, match=r"column 2: x is not finite; expected finite float32, found 1e\+300"):
            call(fnnet.init(SIZES, 1), x, kernels=kernels)
    assert np.isfinite(fnnet.scores(fnnet.init(SIZES, 1, dtype=np.float64), x, kernels=kernels)).all()


def test_overflow_of_finite_input_is_what_it_was(kernels):
    """Scores and losses are given out, classes are refused, training diverges."""
    x, params = rows(), fnnet.init(SIZES, 1)
    params = Params((params.layers[0]._replace(W=params.layers[0].W * np.float32(3e38)), *params.layers[1:]))
    with np.errstate(all="ignore"):
        assert not np.isfinite(fnnet.scores(params, x, kernels=kernels)).all()
        assert not math.isfinite(fnnet.loss(params, x, LABELS, kernels=kernels))
        assert np.isnan(fnnet.forward(params, x, kernels=kernels).probs).any()
    for call in (fnnet.predict, lambda *given, kernels: fnnet.predictor(given[0], kernels=kernels)(x)):
        with pytest.raises(UsageError, match="scores are not numbers"):
            call(params, x, kernels=kernels)
    for call in (train_step, train_block):
        with pytest.raises(DivergedError, match="training diverged"):
            call(params, x, kernels)


def test_large_finite_scores_are_given_out(kernels):
    """Their squares are beyond float32."""
    params = Params((Layer(np.full((1, 2), 1e30, np.float32), np.zeros(2, np.float32)),))
    assert fnnet.scores(params, np.ones((3, 1)), kernels=kernels).tolist() == [[np.float32(1e30)] * 2] * 3


# Pixels.

PIXELS = np.random.default_rng(0).integers(0, 256, (N, SIZES[0])).astype(np.float32)
TOLD = re.escape(
    "x looks like pixels from 0 to 255, and floats are taken as they are; give x / 255, or bytes by x.astype(np.uint8)"
)


@pytest.fixture
def untold(monkeypatch):
    """As in a process that has just begun."""
    monkeypatch.setattr(notes, "turns", itertools.repeat(True))
    monkeypatch.setattr(notes, "turns_of_bytes", itertools.repeat(True))


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("name", CALLS)
def test_bytes_that_look_like_truth_values_are_noted_once(name, kernels):
    params, x = fnnet.init(SIZES, 1), np.tile((PIXELS[:1] > 100).astype(np.uint8), (N, 1))
    text = r"x looks like truth values, 0 and 1, and bytes are divided by 255; give x \* 255, or floats"
    with pytest.warns(UserWarning, match=text) as told:
        CALLS[name](params, x, kernels=kernels)
        CALLS[name](params, x, kernels=kernels)
    assert [each.filename for each in told] == [__file__]


@pytest.mark.usefixtures("untold")
def test_a_predictor_looks_at_one_row_of_bytes(kernels):
    classify, x = fnnet.predictor(fnnet.init(SIZES, 1), kernels=kernels), PIXELS[:1].astype(np.uint8)
    classify(x)
    classify(x * 0)
    with pytest.warns(UserWarning, match="looks like truth values") as told:
        classify(np.minimum(x, 1))
    assert [each.filename for each in told] == [__file__]


@pytest.mark.usefixtures("untold")
def test_truth_values_of_any_dtype_are_taken_as_they_are_refused_or_noted():
    """Bytes, numbers in columns of pixels, and others."""
    params, x = fnnet.init(SIZES, 1), (PIXELS > 100).astype(np.uint8)
    frame = pd.DataFrame(x).add_prefix("pixel")
    assert np.array_equal(fnnet.scores(params, frame.astype("float32")), fnnet.scores(params, x.astype("float32")))
    for given in (x.astype(int), x.astype(bool), frame.astype(bool)):
        with pytest.raises(fnnet.FnnetError, match="no usable dtype"):
            fnnet.scores(params, given)
    with pytest.warns(UserWarning, match="truth values"):
        fnnet.scores(params, frame.astype(int))


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("kind", [np.array, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1, 255])
def test_the_same_pixels_of_any_dtype_score_alike_or_are_refused_or_noted(kind, dtype, scale):
    params, x = fnnet.init(SIZES, 1), np.minimum(PIXELS, 127 if dtype == "int8" else 255).astype(np.uint8)
    numbers = (x / scale).astype(dtype)
    if scale == 255 and "float" not in dtype:
        return
    names = [f"pixel{number}" for number in range(SIZES[0])]
    given = numbers if kind is np.array else kind(dict(zip(names, numbers.T, strict=True)))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            scores = fnnet.scores(params, given)
        except fnnet.FnnetError:
            assert kind is np.array
            assert "int" in dtype
            return
    alike = np.allclose(scores, fnnet.scores(params, x), rtol=1e-2, atol=1e-2)
    assert alike != bool(told)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_that_look_like_pixels_are_noted_once_where_the_caller_stands(name, dtype, kernels):
    params, line = fnnet.init(SIZES, 1), inspect.currentframe().f_lineno + 2
    with pytest.warns(UserWarning, match=TOLD) as told:
        CALLS[name](params, PIXELS.astype(dtype), kernels=kernels)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert told[0].lineno == line or CALLS[name].__module__ == __name__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[name](params, PIXELS.astype(dtype), kernels=kernels)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize(
    "x",
    [
        PIXELS / 255,
        PIXELS.astype(np.uint8),
        PIXELS / 2 + 0.25,
        (PIXELS + 0.25 - PIXELS.mean()) / PIXELS.std() * 60,
        np.r_[-PIXELS[:1], PIXELS[1:]],
        PIXELS * 2,
        (PIXELS > 100).astype(np.float32),
        np.zeros_like(PIXELS),
        -PIXELS,
        rows(),
    ],
    ids=[
        "divided",
        "bytes",
        "halves of at most 128",
        "standardised",
        "below 0",
        "above 255",
        "0 and 1",
        "zeros",
        "negative",
        "random",
    ],
)
def test_other_input_is_not_noted(x):
    fnnet.scores(fnnet.init(SIZES, 1), x)
    fnnet.forward(fnnet.init(SIZES, 1), x)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 1001])
def test_a_look_reads_three_rows(n, monkeypatch):
    seen = []

    class Seen(np.ndarray):
        def max(self, **options):
            seen.append(len(self))
            return np.asarray(self).max(**options)

    monkeypatch.setattr(notes, "turns", itertools.repeat(True))
    notes.note_pixels(rows(n=n).view(Seen))
    assert seen == [min(n, 3) if n != 4 else 2]


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("n", [1, 2])
def test_the_least_that_looks_like_a_pixel_is_2(n):
    x = np.zeros((n, SIZES[0]), np.float32)
    x[0, 0] = 2
    with pytest.warns(UserWarning, match=TOLD):
        fnnet.scores(fnnet.init(SIZES, 1), x)


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize("least", [0, 127.5])
def test_pixels_of_resized_pictures_are_noted(least):
    between = PIXELS[:-1] * 0.3 + PIXELS[1:] * 0.7
    x = np.minimum(between, least or 255).astype(np.float32)
    x[0, 0] = max(128.5, x[0, 0])
    with pytest.warns(UserWarning, match=TOLD):
        fnnet.scores(fnnet.init(SIZES, 1), x)


def test_looks_become_rare(monkeypatch):
    fresh = itertools.chain(itertools.repeat(True, notes.FIRST), itertools.cycle([False] * 255 + [True]))
    assert list(itertools.islice(fresh, 400)) == _first_turns(400)
    looked = []
    monkeypatch.setattr(notes, "turns", itertools.cycle([True, False, False]))
    monkeypatch.setattr(notes, "note_pixels", lambda x: looked.append(len(x)))
    for n in range(1, 8):
        fnnet.forward(fnnet.init(SIZES, 1), rows(n=n))
    assert looked == [1, 4, 7]


def _first_turns(count):
    """The turns of a module that has just been imported."""
    import importlib.util

    spec = importlib.util.find_spec("fnnet.core.notes")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(itertools.islice(module.turns, count))
