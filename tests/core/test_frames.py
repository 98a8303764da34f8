"""Frames of pandas and Polars where arrays are taken: the same results as of the array, or one line with the column."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core import frames
from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training import steps

X = np.random.default_rng(0).integers(0, 256, (7, 6)).astype(np.uint8)
LABELS = np.arange(7) % 3
PARAMS = fnnet.init((6, 5, 3), 1)
NAMES = [f"pixel{i}" for i in range(6)]
MAKERS = {
    "pandas": lambda x, names: pd.DataFrame(x, columns=names, index=range(90, 90 + len(x))),
    "pandas nullable": lambda x, names: pd.DataFrame(x, columns=names).convert_dtypes(),
    "polars": lambda x, names: pl.DataFrame(np.asarray(x), schema=names, orient="row"),
}
SERIES = {"pandas": pd.Series, "pandas nullable": lambda values: pd.Series(values, dtype="Int64"), "polars": pl.Series}


def calls(x, labels):
    """What every public function makes of them."""
    yield fnnet.predict(PARAMS, x)
    yield fnnet.predict(fnnet.Model(PARAMS, classes=("a", "b", "c"), image_shape=(2, 3)), x)
    yield fnnet.scores(PARAMS, x)
    yield fnnet.predictor(PARAMS)(x)
    yield np.array(fnnet.loss(PARAMS, x, labels))
    yield fnnet.backward(PARAMS, fnnet.forward(PARAMS, x), labels)[0].W
    yield fnnet.train_step(steps.start(PARAMS, 0), x, labels, 0.1)[0].params[0].W
    yield fnnet.train_block(steps.start(PARAMS, 0), Examples(x, labels), np.arange(len(labels)), 2, 0.1)[0].params[0].W


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*MAKERS]),
    st.sampled_from(["u1", "i1", "u2", "i2", "i4", "u4", "i8", "f4", "f8"]),
    st.sampled_from(["pixel{}", "pixel_{}", "Pixel {}", "1x{}", "{}", "v{}"]),
    st.integers(1, 7),
)
def test_a_frame_is_taken_as_its_array_or_refused(maker, dtype, names, n):
    x = X[:n] // 2
    given_x, labels = (x / 255 if dtype[0] == "f" else x).astype(dtype), LABELS[:n]
    frame = MAKERS[maker](given_x, [names.format(i + 1) for i in range(6)])
    series = SERIES[maker](labels)
    if dtype[0] == "f" or dtype == "u1" or names not in ("{}", "v{}"):
        wanted = calls(given_x if dtype[0] == "f" else x, labels)
        for one, other in zip(calls(frame, series), wanted, strict=True):
            assert one.tobytes() == other.tobytes()
        return
    with pytest.raises(ArgumentTypeError, match=r"x has no usable dtype; .*give uint8 columns for pixels from 0"):
        fnnet.predict(PARAMS, frame)


ODD = {
    "text": (["a"] * 7, "column 'odd': .*expected numbers"),
    "truth": ([True] * 7, "column 'odd': .*expected numbers"),
    "missing": ([1.5, None, 2, 3, 4, 5, 6], "column 'odd': .*found missing values; fill them in"),
}


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_column_that_is_not_numbers_is_named(library, odd, at):
    values, message = ODD[odd]
    columns = {f"c{i}": X[:, i] / 255 for i in range(6)}
    items = list(columns.items())
    items[at] = ("odd", values)
    with pytest.raises(ArgumentTypeError, match=message):
        fnnet.predict(PARAMS, library.DataFrame(dict(items)))


@pytest.mark.parametrize("values", [pd.array([1, None] + [2] * 5, dtype="Int64"), np.array([1, "x"] + [2] * 5, object)])
def test_nullable_and_object_columns_are_named(values):
    frame = pd.DataFrame(X, columns=NAMES).assign(pixel3=values)
    with pytest.raises(ArgumentTypeError, match="column 'pixel3'"):
        fnnet.predict(PARAMS, frame)
    whole = pl.DataFrame(X, schema=NAMES).with_columns(pixel3=pl.Series([1, None, 2, 3, 4, 5, 6]))
    with pytest.raises(ArgumentTypeError, match=r"column 'pixel3': .*missing values"):
        fnnet.predict(PARAMS, whole)


@pytest.mark.parametrize("maker", MAKERS)
def test_columns_that_may_be_read_wrongly_are_refused(maker):
    make = MAKERS[maker]
    with pytest.raises(UsageError, match=r"column 'label': a column beside the pixels; .*leave it out"):
        fnnet.predict(PARAMS, make(X.astype(int), [*NAMES[:5], "label"]))
    for names in ([NAMES[1], NAMES[0], *NAMES[2:]], [*NAMES[:5], "pixel04"]):
        with pytest.raises(UsageError, match="columns of pixels are not in order"):
            fnnet.predict(PARAMS, make(X.astype(int), names))
    wrong = X.astype(int)
    wrong[4, 2] = 256
    with pytest.raises(UsageError, match="row 4, column 'pixel2': pixel out of range; expected 0 to 255, found 256"):
        fnnet.predict(PARAMS, make(wrong, NAMES))
    wrong[4, 2] = -1
    with pytest.raises(UsageError, match="found -1"):
        fnnet.predict(PARAMS, make(wrong, NAMES))
    with pytest.raises(UsageError, match="x does not fit the network"):
        fnnet.predict(PARAMS, make(X[:, :5].astype(int), NAMES[:5]))


@pytest.mark.parametrize("library", [pd, pl])
def test_integers_beside_floats_are_refused(library):
    columns = {name: X[:, i].astype(int) for i, name in enumerate(NAMES)}
    with pytest.raises(ArgumentTypeError, match="column 'pixel2': integers beside floats"):
        fnnet.predict(PARAMS, library.DataFrame({**columns, "pixel2": X[:, 2] / 255}))


@pytest.mark.parametrize("library", [pd, pl])
def test_series_of_labels(library):
    values = library.Series("y", [1, None, 2]) if library is pl else pd.Series([1, None, 2], name="y", dtype="Int64")
    with pytest.raises(ArgumentTypeError, match=r"series 'y': labels are not integers; .*found missing values"):
        fnnet.loss(PARAMS, X[:3], values)
    with pytest.raises(ArgumentTypeError, match="labels are not integers"):
        fnnet.loss(PARAMS, X[:3], library.Series(["a", "b", "c"]))
    assert fnnet.loss(PARAMS, X, library.Series(LABELS)) == fnnet.loss(PARAMS, X, LABELS)
    assert fnnet.loss(PARAMS, X, LABELS, weights=library.Series(LABELS)) == fnnet.loss(
        PARAMS, X, LABELS, weights=LABELS
    )


def test_what_is_no_frame():
    for other in (X, [1], None, pd.Series([1]), pl.Series([1]), pl.DataFrame({"a": [1]}).lazy(), PARAMS):
        assert not frames.is_frame(other)
    for other in (X, [1], None, pd.DataFrame([1]), pl.DataFrame([1])):
        assert not frames.is_series(other)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("pattern", ["V{}", "feature {}", "{}", "px-{}"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_numbered_columns_sorted_as_text_are_refused(maker, pattern, first, dtype):
    """V1, V10, V11, V2: taken by place, the image would be another one."""
    if maker == "pandas nullable" and dtype is np.uint8:
        pytest.skip("UInt8 is refused")
    params = fnnet.init([12, 3], 0)
    x = (np.arange(36).reshape(3, 12) / (1 if dtype is np.uint8 else 36)).astype(dtype)
    names = [pattern.format(first + number) for number in range(12)]
    order = np.argsort(names)
    assert np.array_equal(fnnet.predict(params, MAKERS[maker](x, names)), fnnet.predict(params, x))
    with pytest.raises(UsageError, match=r"columns of pixels are not in order; expected .*put them in order") as raised:
        fnnet.predict(params, MAKERS[maker](x[:, order], [names[at] for at in order]))
    assert raised.value.expected == ", ".join(names[:4])
    for others in ([*names[:-1], "area"], [names[0], *names[2:], pattern.format(99)][::-1]):  # no numbers of pixels
        assert np.array_equal(fnnet.predict(params, MAKERS[maker](x, others)), fnnet.predict(params, x))
