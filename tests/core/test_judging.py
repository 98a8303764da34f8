"""The interval of a share, calibration and the worst mistakes, also of images that come in batches."""

import math

import numpy as np
import pytest

import fnnet
from fnnet.core import judging, metrics
from fnnet.core.judging import calibration, merged, tally, wilson
from fnnet.errors import UsageError


@pytest.mark.parametrize(("correct", "images", "low", "high"), [
    (9990, 10000, 0.99816, 0.99946), (10000, 10000, 0.99962, 1.0), (0, 10, 0.0, 0.27753), (5, 10, 0.23659, 0.76341),
    (1, 1, 0.20655, 1.0),
])  # fmt: skip
def test_wilsons_interval(correct, images, low, high):
    """As statsmodels' proportion_confint(..., method="wilson")."""
    assert wilson(correct, images) == (pytest.approx(low, abs=6e-6), pytest.approx(high, abs=6e-6))


def test_the_interval_is_the_shares_whose_own_test_does_not_reject():
    """Wilson's ends p solve (share - p)^2 = z^2 p (1 - p) / n."""
    for end in wilson(37, 90):
        assert (37 / 90 - end) ** 2 == pytest.approx(judging.NORMAL_QUANTILE**2 * end * (1 - end) / 90)


@pytest.mark.parametrize(("correct", "images"), [(11, 10), (-1, 10), (0, 0)])
def test_no_interval_of_what_is_no_share(correct, images):
    with pytest.raises(UsageError):
        wilson(correct, images)


def drawn(n=1000, classes=4, seed=0):
    draw = np.random.default_rng(seed)
    return draw.random((n, 3)), draw.integers(0, classes, n), 3 * draw.standard_normal((n, classes))


def test_bins_are_closed_on_the_right_and_1_is_in_the_last():
    probs = np.array([[0.6, 0.4], [0.7, 0.3], [1.0, 0.0]])
    with np.errstate(divide="ignore"):
        logits = np.log(probs)
    found = calibration(tally(np.zeros((3, 1)), np.zeros(3, int), logits))
    counts = [each.images for each in found.bins]
    assert counts == [0, 0, 0, 0, 0, 1, 1, 0, 0, 1]
    assert found.error == pytest.approx((0.4 + 0.3 + 0) / 3)
    assert math.isnan(found.bins[0].accuracy)


def test_the_error_is_the_weighted_gap_of_the_bins():
    x, labels, logits = drawn()
    found = calibration(tally(x, labels, logits))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    expected = 0.0
    for number, each in enumerate(found.bins):
        rows = (confidence > number / 10) & (confidence <= (number + 1) / 10)
        assert each.images == rows.sum()
        if rows.any():
            assert (each.confidence, each.accuracy) == pytest.approx((confidence[rows].mean(), right[rows].mean()))
            expected += rows.sum() / 1000 * abs(confidence[rows].mean() - right[rows].mean())
    assert found.error == pytest.approx(expected)


def test_the_worst_mistakes_are_those_of_the_largest_loss():
    x, labels, logits = drawn()
    found = tally(x, labels, logits, most=7).mistakes
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(1000), labels]
    wrong = logits.argmax(axis=1) != labels
    expected = np.argsort(np.where(wrong, -losses, np.inf))[:7].tolist()
    assert [each.row for each in found] == expected
    for each in found:
        assert each.loss == pytest.approx(losses[each.row])
        assert each.label_probability == pytest.approx(math.exp(-each.loss))
        assert each.predicted == logits[each.row].argmax()
        assert each.probability > each.label_probability
        assert (each.image == x[each.row]).all()
        assert not each.image.flags.writeable


def test_batches_give_what_all_give_at_once_and_keep_no_more(monkeypatch):
    x, labels, logits = drawn()
    whole = tally(x, labels, logits, most=5)
    found = judging.EMPTY
    for first in range(0, 1000, 130):
        rows = slice(first, first + 130)
        found = merged(found, tally(x[rows], labels[rows], logits[rows], first=first, most=5), 5)
        assert len(found.mistakes) <= 5
    assert [each.row for each in found.mistakes] == [each.row for each in whole.mistakes]
    assert np.allclose(found.bins, whole.bins)
    monkeypatch.setattr(judging, "ROWS", 64)
    pieces = tally(x, labels, logits, most=5)
    assert [each.row for each in pieces.mistakes] == [each.row for each in whole.mistakes]
    assert np.allclose(pieces.bins, whole.bins)


def test_mistakes_whose_class_has_probability_0_are_ordered_by_their_loss():
    logits = np.array([[0.0, 2000.0], [0.0, 3000.0], [0.0, 1.0]])
    found = tally(np.zeros((3, 1)), np.zeros(3, int), logits, most=3).mistakes
    assert [(each.row, each.label_probability) for each in found[:2]] == [(1, 0.0), (0, 0.0)]


def test_evaluate_in_keeps_the_worst_of_all_batches():
    params, draw = fnnet.init((3, 5, 4)), np.random.default_rng(1)
    x, labels = draw.standard_normal((90, 3)), draw.integers(0, 4, 90)
    found = metrics.evaluate_in(
        params, ((x[at : at + 20], labels[at : at + 20]) for at in range(0, 90, 20)), 4, worst=6
    )
    expected = tally(x, labels, fnnet.scores(params, x), most=6)
    assert [each.row for each in found.tally.mistakes] == [each.row for each in expected.mistakes]
    assert found.tally.bins.sum() == pytest.approx(expected.bins.sum())


def test_no_calibration_of_no_images():
    with pytest.raises(UsageError, match="no images"):
        calibration(judging.EMPTY)
