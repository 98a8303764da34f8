"""Data sets of arrays: their rows as they are, their labels by value or by name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.errors import FnnetError

X = np.random.default_rng(0).random((6, 12))


@pytest.mark.parametrize(
    ("labels", "classes", "places"),
    [
        ([0, 1, 2, 0, 1, 2], ("0", "1", "2"), [0, 1, 2, 0, 1, 2]),
        (np.array([7, 3, 7, 3, 11, 11], "u1"), ("3", "7", "11"), [1, 0, 1, 0, 2, 2]),
        ([-1, 1, -1, 1, 1, 1], ("-1", "1"), [0, 1, 0, 1, 1, 1]),
        (["k10", "k2", "a", "k2", "a", "a"], ("a", "k2", "k10"), [2, 1, 0, 1, 0, 0]),
        (np.array(["b", "a"] * 3, object), ("a", "b"), [1, 0] * 3),
        ([True, False] * 3, ("False", "True"), [1, 0] * 3),
        (pd.Series(["b", "a"] * 3, dtype="category"), ("a", "b"), [1, 0] * 3),
        (pd.Series(["b", "a"] * 3, dtype="string"), ("a", "b"), [1, 0] * 3),
        (pl.Series(["b", "a"] * 3), ("a", "b"), [1, 0] * 3),
        (pl.Series([4, 9] * 3), ("4", "9"), [0, 1] * 3),
        ([10**12, 5] * 3, ("5", str(10**12)), [1, 0] * 3),
    ],
)
def test_classes_are_the_labels_that_occur(labels, classes, places):
    dataset = data.from_arrays(X, labels)
    assert dataset.classes == classes
    assert dataset.train.labels.tolist() == places
    assert dataset.train.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("classes", "labels", "places"),
    [
        ("abc", [0, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 2]),
        ("abc", ["c", "a", "c", "a", "c", "a"], [2, 0, 2, 0, 2, 0]),
        (["5", "3", "9"], [3, 9, 3, 9, 3, 9], [1, 2, 1, 2, 1, 2]),
        (["5", "3", "9"], ["3", "9"] * 3, [1, 2, 1, 2, 1, 2]),
    ],
)
def test_classes_that_are_given(classes, labels, places):
    dataset = data.from_arrays(X, labels, classes=[*classes])
    assert dataset.classes == tuple(classes)
    assert dataset.train.labels.tolist() == places


def test_rows_are_taken_as_they_are():
    labels = [0, 1] * 3
    alike = (X, np.float32(X), (255 * X).astype("u1"), X.tolist(), np.asfortranarray(X))
    for x, shape in (*((each, (1, 12)) for each in alike), (X[:, :9], (3, 3)), (X.reshape(6, 3, 4), (3, 4))):
        dataset = data.from_arrays(x, labels)
        assert dataset.train.x.tolist() == np.reshape(x, (6, -1)).tolist()
        assert dataset.image_shape == shape
        assert dataset.preprocessing == Preprocessing()
        assert not dataset.train.x.flags.writeable
    assert X.flags.writeable
    assert data.from_arrays(X, labels, image_shape=(3, 4)).image_shape == (3, 4)
    frame = pd.DataFrame(X, columns=[f"c{at}" for at in range(12)])
    assert data.from_arrays(frame, labels).train.x.tolist() == X.tolist()
    dataset = data.from_arrays(X, labels)
    assert repr(dataset) == "Dataset(arrays, 6 train, 0 test images of 1x12, 2 classes)"


def test_a_test_set():
    dataset = data.from_arrays(X, ["a", "b"] * 3, test=(X[:2].reshape(2, 1, 12), ["b", "b"]))
    assert dataset.test.labels.tolist() == [1, 1]
    assert dataset.test.x.shape == (2, 12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": X[0]}, r"x is not rows of numbers; expected shape \(n, inputs\) or .* found \(12,\)"),
        ({"x": X[:0], "labels": []}, "x is not rows of numbers"),
        ({"x": X.astype(int)}, "x has no usable dtype"),
        ({"labels": [0, 1]}, r"labels do not fit x; expected shape \(6,\), found \(2,\)"),
        ({"labels": [0.0, 1.0] * 3}, "labels are neither numbers nor names; expected whole numbers or text"),
        ({"labels": ["a", 1] * 3}, None),
        ({"labels": np.array(["a", 1, "b", "a", "a", "b"], object)}, "row 1: label is not a name; .* found 1, int"),
        ({"labels": np.array(["a", np.nan, "b", "a", "a", "b"], object)}, "row 1: label is not a name; .* nan, float"),
        ({"labels": pd.Series(["a", None, "b", "a", "a", "b"])}, "missing values"),
        ({"labels": ["a"] * 6}, "labels; expected 2 to .* classes, found 1 value; name the classes by `classes`"),
        ({"labels": ["a\tb", "c"] * 3}, "class name"),
        ({"classes": ["a", "b"], "labels": [0, 1, 2] * 2}, "row 2: label of no class; expected 0, 1, found 2"),
        ({"classes": ["a", "b"], "labels": ["a", "c"] * 3}, "row 1: label of no class; expected a, b, found 'c'"),
        ({"classes": "ab"}, "class names; expected a sequence"),
        ({"image_shape": (3, 5)}, r"x is not of image_shape; expected images \(3, 5\), found shape \(6, 12\)"),
        ({"image_shape": 12}, "image_shape is not a size"),
        ({"test": X}, r"test: not a pair; expected \(x, labels\), found ndarray"),
        ({"test": (X[:, :3], [0] * 6)}, r"test: x does not fit; expected \(n, 12\) or \(n, 1, 12\), found \(6, 3\)"),
        ({"test": (X, [2] * 6)}, "test: row 0: label of no class; expected 0, 1, found 2"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    call = {"x": X, "labels": [0, 1] * 3} | given
    if message is None:  # NumPy makes text of both
        assert data.from_arrays(**call).classes == ("1", "a")
        return
    with pytest.raises(FnnetError, match=message) as info:
        data.from_arrays(**call)
    assert "\n" not in str(info.value)
