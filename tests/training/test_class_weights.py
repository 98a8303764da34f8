"""Weights of samples by class."""

import numpy as np
import pytest

from fnnet.core.state import Examples
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.training.class_weights import class_weights, weights_of

LABELS = np.array([0, 2, 2, 2, 1, 2])


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ([0.5, 3, 0], [0.5, 0, 0, 0, 3, 0]),
        (np.array([1.0, 2.0, 4.0]), [1, 4, 4, 4, 2, 4]),
        ({2: 0.25}, [1, 0.25, 0.25, 0.25, 1, 0.25]),
        ({np.int64(0): 2, 1: 3}, [2, 1, 1, 1, 3, 1]),
        ({}, [1] * 6),
        ("balanced", [2, 0.5, 0.5, 0.5, 2, 0.5]),
    ],
)
def test_each_sample_weighs_what_its_class_does(weights, wanted):
    found = class_weights(weights, LABELS, 3)
    assert found.tolist() == wanted
    assert found.dtype == np.float64
    assert not found.flags.writeable


def test_balanced_is_that_of_scikit_learn():
    from sklearn.utils.class_weight import compute_sample_weight as compute

    labels = np.random.default_rng(0).choice(5, 200, p=[0.5, 0.2, 0.2, 0.07, 0.03])
    np.testing.assert_allclose(class_weights("balanced", labels, 5), compute("balanced", labels), rtol=1e-15)


def test_balanced_without_some_class():
    found = class_weights("balanced", np.array([0, 0, 3]), 5)
    np.testing.assert_allclose(found, [0.3, 0.3, 0.6])
    assert class_weights("balanced", np.array([], int), 5).shape == (0,)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({3: 1.0}, UsageError, "unknown class; expected 0 to 2, found 3"),
        ({-1: 1.0}, UsageError, "unknown class.*found -1"),
        ({"1": 1.0}, UsageError, "unknown class"),
        ({True: 1.0}, UsageError, "unknown class"),
        ({1: -1.0}, UsageError, "weight of class 1 out of range; expected a finite number >= 0, found -1.0"),
        ([1, 1, np.nan], UsageError, "weight of class 2 out of range"),
        ([1, np.inf, 1], UsageError, "weight of class 1"),
        ([1, 1], UsageError, "one for each of 3 classes, found 2"),
        ([1, "1", 1], ArgumentTypeError, "weight of class 1 is not a number"),
        ("even", ArgumentTypeError, "\"balanced\".*found 'even'"),
        (2.0, ArgumentTypeError, "one weight for each class"),
        (None, ArgumentTypeError, "one weight for each class"),
    ],
)
def test_weights_that_are_refused(weights, error, message):
    with pytest.raises(error, match=message):
        class_weights(weights, LABELS, 3)


def test_labels_that_are_refused():
    with pytest.raises(UsageError, match=r"index 1.*0 to 2, found 3"):
        class_weights("balanced", [0, 3], 3)
    with pytest.raises(ArgumentTypeError, match="integer"):
        class_weights("balanced", [0.0, 1.0], 3)


@pytest.mark.parametrize(
    ("classes", "weights", "wanted"),
    [
        (("1", "2", "3"), {1: 5}, [5, 1, 1]),
        (("1", "2", "3"), {np.int64(3): 5}, [1, 1, 5]),
        (("1", "2", "3"), {"1": 5}, [5, 1, 1]),
        (("0", "1", "2"), {1: 5}, [1, 5, 1]),
        (("cat", "dog", "white, dry"), {"white, dry": 5, "cat": 0}, [0, 1, 5]),
        (("cat", "dog", "white, dry"), {1: 5}, [1, 5, 1]),
    ],
)
def test_keys_of_a_mapping_are_the_labels_of_the_data(classes, weights, wanted):
    found = weights_of(weights, Examples(np.zeros((3, 4), np.float32), np.arange(3)), classes)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("weights", [{0: 5}, {"0": 5}, {True: 5}, {1.0: 5}, {1: 5, "1": 6}])
def test_a_key_that_is_no_label_of_the_data_is_refused(weights):
    examples = Examples(np.zeros((3, 4), np.float32), np.arange(3))
    with pytest.raises(UsageError, match="class_weights: weight"):
        weights_of(weights, examples, ("1", "2", "3"))


def test_a_weight_that_is_refused_names_its_class():
    train = Examples(np.zeros((3, 1)), np.array([0, 1, 1]))
    for weights in ({"left": -1.0}, [-1.0, 1.0], "left=-1"):
        with pytest.raises(UsageError, match="class_weights: weight of class left out of range"):
            weights_of(weights, train, ("left", "right"))


def test_a_class_with_a_comma_in_its_name_has_its_weight_from_python():
    train = Examples(np.zeros((3, 1)), np.array([0, 1, 1]))
    with pytest.raises(
        UsageError, match=r"found 'a'; classes with a comma in their name .* fnnet\.fit\(class_weights="
    ):
        weights_of("a,b=2", train, ("a,b", "c"))
    np.testing.assert_array_equal(weights_of({"a,b": 2}, train, ("a,b", "c")), [2, 1, 1])
