"""Dropout masks: a function of the place alone, fair, and what they say of themselves."""

import hashlib

import numpy as np
import pytest

from fnnet.core import dropout, rng
from fnnet.errors import ArgumentTypeError, UsageError
from tests.core.test_rng import philox4x64
from tests.tools.tolerance import assert_bitwise

GOLDEN_SHA = "5bbab1a480574460db7353d3f22119cdb6a698d3075c1fa4e8915116be217171"


def draw(seed=3, step=5, widths=(37, 10), n=20, rates=0.3, **options):
    return dropout.masks(seed, step, widths, n, rates, **options)


@pytest.mark.parametrize(("layer", "row", "unit"), [(0, 0, 0), (0, 7, 36), (1, 19, 9), (1, 2, 5)])
def test_each_unit_is_a_number_of_its_place(layer, row, unit):
    """Written again with the generator in Python's integers."""
    blocks = (3, 1)[layer]
    words = philox4x64([row * blocks + unit // 16, 5, layer, 0], [3, rng.PURPOSES["dropout"]])
    number = words[unit % 16 // 4] >> 16 * (unit % 4) & 0xFFFF
    for rate in (0.0001, number / 65536, (number + 1) / 65536, 0.9):
        out = round(rate * 65536)
        wanted = np.float32(65536) / np.float32(65536 - out) if number >= out else np.float32(0)
        assert draw(rates=rate)[layer][row, unit] == wanted


def test_golden_masks():
    """These must never change without a new name for rng.SCHEME: a resumed run would leave out other units."""
    masks = draw(2**40 + 1, 12345, (100, 784), 64, (0.25, 0.5))
    kept = b"".join(np.packbits(mask > 0).tobytes() for mask in masks)
    assert hashlib.sha256(kept).hexdigest() == GOLDEN_SHA


def test_shapes_dtypes_and_ownership():
    for dtype in (np.float32, np.float64):
        masks = draw(dtype=dtype)
        assert [mask.shape for mask in masks] == [(20, 37), (20, 10)]
        assert {mask.dtype for mask in masks} == {np.dtype(dtype)}
        assert not any(mask.flags.writeable for mask in masks)
    for single, double in zip(draw(), draw(dtype=np.float64), strict=True):
        np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize(("first", "n"), [(0, 1), (7, 5), (19, 1), (3, 17)])
def test_rows_do_not_depend_on_their_batch(first, n):
    for part, whole in zip(draw(n=n, first=first), draw(), strict=True):
        assert_bitwise(part, whole[first : first + n])


def test_layers_do_not_depend_on_one_another():
    assert_bitwise(draw(widths=(5, 10))[1], draw(widths=(37, 10))[1])
    assert_bitwise(draw(rates=(0.0, 0.3))[1], draw(rates=(0.9, 0.3))[1])


def test_other_places_have_other_masks():
    places = {draw(seed=seed, step=step)[0].tobytes() for seed in (0, 1) for step in (0, 1)}
    assert len(places) == 4
    first, second = draw(widths=(37, 37))
    assert first.tobytes() != second.tobytes()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_are_fair_and_independent(rate):
    """Means over all, over rows and over units; and pairs of units, rows, layers and steps. Limits are five standard
    deviations of the mean."""
    n, width = 1000, 80
    masks = [mask for step in (0, 1) for mask in draw(11, step, (width, width), n, rate, dtype=np.float64)]
    spread = (rate / (1 - rate)) ** 0.5
    for mask in masks:
        assert abs(mask.mean() - 1) < 5 * spread / (n * width) ** 0.5
        assert np.abs(mask.mean(axis=0) - 1).max() < 5 * spread / n**0.5
        assert np.abs(mask.mean(axis=1) - 1).max() < 6 * spread / width**0.5
    scaled = [(mask - 1) / spread for mask in masks]
    limit = 5 / (n * width) ** 0.5
    for number, mask in enumerate(scaled):
        for axis in (0, 1):
            for shift in (1, 4, 16):
                assert abs((mask * np.roll(mask, shift, axis=axis)).mean()) < limit
        for other in scaled[:number]:
            assert abs((mask * other).mean()) < limit


def test_rate_0_leaves_all():
    assert draw(rates=0.0) is None
    assert draw(rates=(0, 0.0)) is None
    assert draw(widths=(), rates=0.5) is None
    assert (draw(rates=(0.0, 0.5))[0] == 1).all()


def test_the_largest_rate_keeps_finite_factors():
    assert dropout.dropped(1 - 2**-53, 1) == (65535,)
    masks = draw(widths=(64,), n=4000, rates=1 - 2**-53)
    assert set(np.unique(masks[0])) == {0, 65536}


@pytest.mark.parametrize(
    ("rates", "error", "message"),
    [
        (1, UsageError, "dropout out of range; expected 0 or more and less than 1, found 1"),
        (1.5, UsageError, "less than 1"),
        (-0.1, UsageError, "0 or more"),
        (float("nan"), UsageError, "less than 1"),
        ((0.1, 1.0), UsageError, "found 1.0"),
        ((0.1,), UsageError, "one number, or one for each of 2 hidden layers, found 1"),
        ([0.1, 0.2, 0.3], UsageError, "found 3"),
        ("0.5", ArgumentTypeError, "dropout"),
        (None, ArgumentTypeError, "dropout"),
        ((0.1, "0.5"), ArgumentTypeError, "not a number"),
        (True, ArgumentTypeError, "not a number"),
        (np.full((2, 1), 0.5), ArgumentTypeError, "one for each hidden layer"),
    ],
)
def test_rates_that_are_refused(rates, error, message):
    with pytest.raises(error, match=message):
        draw(rates=rates)
