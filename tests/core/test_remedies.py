"""The remedies that messages name: each, done as it is written, gives what is taken, and changes no value silently."""

import fractions
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.errors import ArgumentTypeError, UsageError

PARAMS = fnnet.init((4, 3, 2), seed=1)
EXPRESSION = re.compile(r"(?:np\.clip\()?x(?:, 0, 255\)| / \d+)?(?:\.astype\(np\.\w+\))?(?= |,|$)")


@st.composite
def integers(draw):
    dtype = draw(st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64]))
    low, high = draw(
        st.sampled_from([(0, 1), (0, 16), (0, 255), (0, 256), (0, 4095), (0, 65535), (-128, 127), (-1, 9)])
    )
    limits = np.iinfo(dtype)
    numbers = st.integers(max(low, int(limits.min)), min(high, int(limits.max)))
    return np.array(draw(st.lists(numbers, min_size=8, max_size=8)), dtype).reshape(2, 4)


@settings(max_examples=200, deadline=None)
@given(integers())
def test_integers_as_pixels_are_told_what_keeps_their_values(x):
    with pytest.raises(ArgumentTypeError, match="x has no usable dtype") as caught:
        fnnet.predict(PARAMS, x)
    remedies = EXPRESSION.findall(caught.value.fix.split("give ", 1)[1])
    remedies = [each for each in remedies if each != "x"]
    assert len(remedies) == (1 if x.min() >= 0 and x.max() <= 1 else 2), caught.value.fix
    for remedy in remedies:
        made = eval(remedy, {"np": np, "x": x})  # noqa: S307
        fnnet.predict(PARAMS, made)
        wanted = np.clip(x, 0, 255) if "clip" in remedy else x
        order = np.argsort(wanted.ravel(), kind="stable")
        assert (np.diff(made.ravel()[order].astype(float)) >= 0).all(), remedy
        assert (made.astype(float) == 0).sum() == (wanted == 0).sum(), remedy
        if made.dtype == np.uint8:
            assert (made == wanted).all(), remedy
        elif "/" in remedy:
            assert 0 <= made.min() <= made.max() <= 1, remedy


@pytest.mark.parametrize("dtype", [int, float, bool])
@pytest.mark.parametrize("columns", [2, 3, 5])
def test_one_hot_labels_are_told_argmax_and_how_many_classes_differ(dtype, columns):
    classes = np.array([0, 1, columns - 1, 0, 1])
    with pytest.raises(UsageError, match=r"give labels.argmax\(axis=1\) of one-hot labels") as caught:
        fnnet.loss(PARAMS, np.zeros((5, 4)), np.eye(columns, dtype=dtype)[classes])
    differ = f"they have {columns} columns, the network 2 classes"
    assert (differ in str(caught.value)) == (columns != 2)


@pytest.mark.parametrize("shape", [(5, 1), (1, 5)])
@pytest.mark.parametrize("dtype", [int, float])
def test_labels_with_an_axis_too_many_are_told_ravel(shape, dtype):
    fix = "give labels.ravel()" + (".astype(int)" if dtype is float else "")
    with pytest.raises(UsageError, match="labels") as caught:
        fnnet.loss(PARAMS, np.zeros((5, 4)), np.zeros(shape, dtype))
    assert caught.value.fix == fix


NO_NUMBERS = [
    np.array(3 + 0j), 3 + 0j, np.datetime64(1, "s"), np.array(1, "M8[s]"), np.timedelta64(1, "s"), np.array(10**400),
    np.ma.masked, "1", np.str_("1"), np.array("1"), None, np.ones(1), np.void(b"a"), [1.0], float,
]  # fmt: skip
TOO_LARGE = [10**400, -(10**400), fractions.Fraction(10**400, 3), np.inf, np.array(np.nan), np.longdouble("inf")]


@pytest.mark.parametrize(("found", "expected"), [*((each, "a number") for each in NO_NUMBERS),
                                                 *((each, "a finite number") for each in TOO_LARGE)])  # fmt: skip
def test_values_of_a_checked_function_that_are_no_numbers(found, expected):
    at = np.ones(3)
    with pytest.raises(UsageError, match=f"^at: value of the function; expected {expected}, found"):
        fnnet.check_gradient(lambda x: found, at, at)


@pytest.mark.parametrize("found", [2, 2.0, np.array(2), np.float32(2), fractions.Fraction(2), np.longdouble(2)])
def test_values_of_a_checked_function_that_are_numbers(found):
    at = np.ones(3)
    assert fnnet.check_gradient(lambda x: found, at, 0 * at) or isinstance(found, np.float32)
    fnnet.check_gradient(lambda x: np.asarray(x.sum()), at, at, complex_step=True)
