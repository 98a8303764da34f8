"""Dark ink is seen where the edge of an image does not show it: uneven light, shadows, borders of scanners."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnnet import data
from fnnet.data.digits import load_digits
from fnnet.data.preprocess import Reading, measure
from fnnet.data.rare_ink import inverted, most_looked_at
from fnnet.data.strokes import in_border, looks_dark, strokes
from fnnet.data.unlike import few_of_other_ink, other_ink

DIGITS = data.load("digits").train.x[:200].reshape(-1, 28, 28)
KINDS = st.sampled_from(["even", "gradient", "vignette", "shadow", "border"])


def lit(x, kind, rng):
    """Digits as dark ink on paper, float (n, height, width), 0 to 255."""
    n, (height, width) = len(x), x.shape[1:]
    rows, columns = np.mgrid[:height, :width] / np.array([height, width])[:, None, None] - 0.5
    angle = rng.uniform(0, 2 * np.pi, n)[:, None, None]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    light = {
        "gradient": 0.75 + along / 3,
        "vignette": np.broadcast_to(1 - 0.9 * (rows**2 + columns**2), along.shape),
        "shadow": np.where(along > rng.uniform(-0.25, 0.25, n)[:, None, None], 1, 0.55),
    }.get(kind, np.ones_like(along))
    page = (255 - 0.9 * x) * light
    if kind == "border":
        wide = height // 28 * int(rng.integers(1, 4))
        page[:, :wide] = page[:, -wide:] = page[:, :, :wide] = page[:, :, -wide:] = 0
    return page


@settings(max_examples=40)
@given(KINDS, st.sampled_from([1, 2, 4, 10]), st.booleans(), st.integers(0, 2**31))
def test_ink_is_told_from_paper_in_any_light(kind, scale, dark, seed):
    rng = np.random.default_rng(seed)
    some = DIGITS[rng.permutation(len(DIGITS))[:60]]
    shape = 28 * scale, 28 * scale
    page = lit(np.kron(some, np.ones((1, scale, scale), np.uint8)), kind, rng).clip(0, 255).astype(np.uint8)
    x = (page if dark else 255 - page).reshape(len(page), -1)
    found, notes = measure(Reading(), x, shape)
    assert (found.ink < found.paper) == dark
    assert [note.code for note in notes if note.code in ("dark-ink", "mixed-ink")] == ["dark-ink"] * dark
    assert (strokes(x, shape) * (-1 if dark else 1) >= 0).mean() > 0.9
    assert looks_dark(x, shape).mean() > 0.8 if dark else looks_dark(x, shape).mean() < 0.1
    assert ("border" in "".join(notes)) == (dark and kind == "border")


@settings(max_examples=60)
@given(st.sampled_from(["noise", "texture", "empty"]), st.integers(4, 64), st.integers(0, 12), st.integers(0, 2**31))
def test_what_is_no_ink_stays_undecided(kind, side, smooth, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, side, side))
    for _ in range(smooth if kind == "texture" else 0):
        x = sum(np.roll(x, off, axis) for axis in (1, 2) for off in (-1, 0, 1))
    x = x * (kind != "empty")
    x = (x - x.min((1, 2), keepdims=True)) / np.maximum(np.ptp(x, axis=(1, 2), keepdims=True), 1e-9)
    found, _ = measure(Reading(), (255 * x).astype(np.uint8).reshape(60, -1), (side, side))
    assert (found.paper, found.ink) == (0, 255)


@pytest.mark.parametrize("shape", [(28, 28), (7, 40)])
def test_small_and_black_images_are_not_judged(shape):
    x = np.zeros((3, shape[0] * shape[1]), np.uint8)
    x[1] = 255
    assert strokes(x, shape).tolist() == in_border(x, shape).tolist() == [0, 0, 0]


def test_what_is_inside_a_border_may_be_too_small():
    x = np.zeros((1, 16, 16), np.uint8)
    x[:, 5:11] = 200
    assert in_border(x.reshape(1, -1), (16, 16)).tolist() == [0]


@pytest.mark.parametrize("ink", ["light", "dark"])
def test_ink_that_is_told_is_not_noted_in_test_images_alike(ink, tmp_path):
    """Training and test images look alike: neither is of another ink than the other."""
    labels = np.arange(100) % 10
    for name, x in (("light", DIGITS), ("dark", 255 - DIGITS)):
        np.savez(tmp_path / name, x_train=x[:100], y_train=labels, x_test=x[100:], y_test=labels)
        notes = data.load(tmp_path / f"{name}.npz", reading=Reading(ink=ink)).notes
        assert "other-ink" not in [note.code for note in notes]


def inked(notes):
    return [note.code for note in notes if note.code.endswith("-ink")]


@settings(max_examples=40)
@given(st.sampled_from([0, 0.02, 0.08, 0.15, 0.2, 0.3, 0.5]), KINDS, st.booleans(), st.integers(0, 2**31))
def test_both_inks_are_told_from_uneven_light(part, kind, dark, seed):
    """Images of the other ink are noted, whichever is the rarer, and said of the ink, not of the light."""
    rng = np.random.default_rng(seed)
    pages = lit(DIGITS[:100], "even" if part else kind, rng).clip(0, 255).astype(np.uint8)
    others = rng.permutation(100) < round(100 * part)
    x = np.where(others[:, None, None] ^ dark, pages, 255 - pages).reshape(100, -1)
    found, notes = measure(Reading(), x, (28, 28))
    assert ("mixed-ink" in inked(notes)) == (part > 0)
    if part != 0.5:
        assert (found.ink < found.paper) == (dark and part < 0.3)
        assert ("dark-ink" in inked(notes)) == (dark and part < 0.3)
    assert part == 0 or "unevenly" not in "".join(notes)


@settings(max_examples=40)
@given(st.integers(5, 19), st.sampled_from(["border", "light"]), st.booleans(), st.integers(0, 2**31))
def test_a_few_images_whose_ink_is_not_sure_are_noted(n, kind, dark, seed):
    rng = np.random.default_rng(seed)
    page = lit(DIGITS[rng.permutation(len(DIGITS))[:n]], kind, rng).clip(0, 255).astype(np.uint8)
    page = page if dark else 255 - page
    found, notes = measure(Reading(), page.reshape(n, -1), (28, 28))
    assert inked(notes) == ([] if not dark else ["unsure-ink"] if kind == "border" else ["dark-ink"])
    if inked(notes) == ["unsure-ink"]:
        assert (found.paper, found.ink) == (0, 255)
        assert "say --ink dark" in "".join(notes)
        assert inked(measure(Reading(ink="dark"), page.reshape(n, -1), (28, 28))[1]) == ["dark-ink"]


@pytest.mark.parametrize("every", [2, 10])
@pytest.mark.parametrize("kind", ["even", "gradient", "shadow", "border"])
def test_some_test_images_of_the_other_ink_are_noted(kind, every, tmp_path):
    """As many as `predict` says, of those looked at; with training images of either ink, and with a model."""
    rng = np.random.default_rng(1)
    page = lit(DIGITS[:100], kind, rng).clip(0, 255).astype(np.uint8)
    test = DIGITS[100:].copy()
    test[::every] = 255 - test[::every] if kind == "even" else page[::every]
    labels = np.arange(100) % 10
    (note,) = other_ink(test.reshape(100, -1), (28, 28), "test")
    assert note.code == "other-ink"
    assert note.startswith(f"{len(test[::every])} of 100 test images looked at show ink of the other kind than those")
    np.savez(tmp_path / "light", x_train=DIGITS[:100], y_train=labels, x_test=test, y_test=labels)
    np.savez(tmp_path / "dark", x_train=255 - DIGITS[:100], y_train=labels, x_test=255 - test, y_test=labels)
    for name in ("light", "dark"):
        loaded = data.load(tmp_path / f"{name}.npz")
        assert [each for each in inked(loaded.notes) if each != "dark-ink"] == ["other-ink"]
        assert "those of training" in "".join(loaded.notes)


def test_ink_that_training_has_as_often_is_noted_of_training_alone():
    half = DIGITS.reshape(200, -1).copy()
    half[::2] = 255 - half[::2]
    assert list(other_ink(half[100:], (28, 28), "test", half[:100])) == []
    dark = 255 - DIGITS.reshape(200, -1)
    assert list(other_ink(dark[100:], (28, 28), "test", dark[:100])) == []
    (note,) = other_ink(half[100:], (28, 28), "test", dark[:100])
    assert note.startswith("50 of 100 test images looked at")
    (note,) = other_ink(255 - dark[100:], (28, 28), "test", dark[:100])
    assert note.startswith("100 of 100 test images looked at")


def shapes(rng):
    """Filled shapes on black, as of clothes."""
    rows, columns = np.abs(np.mgrid[:28, :28] - 13.5)
    size = rng.uniform(5, 14, (2, 200, 1, 1))
    return ((rows < size[0]) & (columns < size[1])) * rng.integers(90, 230, (200, 28, 28))


@pytest.mark.parametrize("make", ["noise", "rough", "smooth", "shapes", "grey", "digits"])
def test_what_is_no_ink_or_of_one_kind_is_not_noted(make):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 28, 28))
    for _ in range({"rough": 2, "smooth": 12}.get(make, 0)):
        x = sum(np.roll(x, off, axis) for axis in (1, 2) for off in (-1, 0, 1))
    x = 128 + x * (127 / np.abs(x).max())
    x = {"shapes": shapes(rng), "grey": np.full((200, 28, 28), 90), "digits": DIGITS}.get(make, x)
    assert list(other_ink(x.astype(np.uint8).reshape(200, -1), (28, 28), "test")) == []


@pytest.mark.parametrize("every", [2, 10])
def test_filled_shapes_of_the_other_ink_are_told_by_their_edges(every):
    x = shapes(np.random.default_rng(3)).astype(np.uint8).reshape(200, -1)
    x[::every] = 255 - x[::every]
    (note,) = other_ink(x, (28, 28), "test")
    assert 0.7 < int(note.split()[0]) / (200 / every) <= 1


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("part", [0.01, 0.02, 0.04])
def test_a_few_inverted_images_of_a_training_set_are_noted_with_their_number(part, dark, tmp_path):
    x = np.tile(DIGITS.reshape(200, -1), (15, 1))
    few = np.random.default_rng(0).permutation(3000) < round(3000 * part)
    x[few ^ dark] = 255 - x[few ^ dark]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(3000) % 10)
    (note,) = [each for each in data.load(tmp_path / "a.npz").notes if each.code == "mixed-ink"]
    one, others = ("light ink on black", "dark ink") if dark else ("dark ink on light paper", "light ink")
    (said,) = re.finditer(rf"(\d+) of 2,000 images looked at have {one}, the others {others}: .*invert them", note)
    assert abs(int(said[1]) / 2000 - part) < 0.3 * part


def test_a_single_inverted_image_is_noted_in_the_singular():
    x = DIGITS.reshape(200, -1)[:50].copy()
    x[7] = 255 - x[7]
    (note,) = [note for note in measure(Reading(), x, (28, 28))[1] if note.code == "mixed-ink"]
    assert note.startswith("1 of 50 images looked at has dark ink on light paper, the others light ink")
    (note,) = few_of_other_ink(x, (28, 28), "test", beside=True)
    assert note.startswith("1 of 50 test images looked at shows ink of the other kind than those of training")


@pytest.mark.parametrize("dark", [False, True])
def test_a_few_inverted_images_of_a_test_set_are_noted(dark, tmp_path):
    x = DIGITS.reshape(200, -1)
    test = x.copy()
    test[::50] = 255 - test[::50]
    x, test = (255 - x, 255 - test) if dark else (x, test)
    labels = np.arange(200) % 10
    np.savez(tmp_path / "a.npz", x_train=x, y_train=labels, x_test=test, y_test=labels)
    loaded = data.load(tmp_path / "a.npz")
    (note,) = [each for each in loaded.notes if each.code == "other-ink"]
    assert note.startswith("4 of 200 test images looked at show ink of the other kind than those of training")
    known = data.load(tmp_path / "a.npz", preprocessing=loaded.preprocessing)
    (note,) = [each for each in known.notes if each.code == "other-ink"]
    assert note.startswith("4 of 200 test images looked at show ink of the other kind than those that the model was")


def test_no_image_of_a_set_of_one_ink_is_taken_for_inverted():
    """Noise, shapes that fill an image, light ones too, frames, smooth images, half blank ones, and what is tiny."""
    rng = np.random.default_rng(4)
    clothes = shapes(rng).astype(np.uint8)
    clothes[::20] = 255  # blank white: no ink
    full = DIGITS.copy()
    full[::20, :, 3:25] = 250  # a garment from edge to edge
    framed = DIGITS.copy()
    framed[::20, [0, -1]] = framed[::20, :, [0, -1]] = 255  # a white frame around a dark image
    sides = DIGITS.copy()
    sides[::20, 6:] = 255  # light for the most part, with dark corners
    photos = np.add.outer(rng.integers(0, 128, 200), np.add.outer(np.arange(28), np.arange(28)) * 2) + 20
    half = np.where(np.arange(200)[:, None, None] % 2, DIGITS, 255 - DIGITS)
    for x in (clothes, full, framed, sides, photos, rng.integers(0, 256, (200, 28, 28)), half, DIGITS):
        assert inverted(x.astype(np.uint8).reshape(200, -1), (28, 28), np.arange(200)) == 0
    assert inverted(np.array([[255] * 4 + [0] * 2 + [255] * 3] + [[0] * 9] * 9, np.uint8), (3, 3), np.arange(10)) == 0
    assert (most_looked_at(784), most_looked_at(2**24)) == (2000, 100)


def test_of_mnist_none_is_inverted_and_all_are_once_they_are():
    """The rate that the criterion's comment says, on the digits that are bundled."""
    x = load_digits()[0]
    assert inverted(x, (28, 28), np.arange(len(x))) == 0
    one = x[:100].copy()
    for number in range(0, 1000, 10):
        one[:10] = 255 - x[number : number + 10]
        assert inverted(one, (28, 28), np.arange(100)) == 10
        assert inverted(one, (28, 28), np.arange(5, 100)) == 5


@settings(max_examples=40)
@given(st.sampled_from([0.55, 0.8, 1.0]), st.integers(4, 24), st.sampled_from([255, 200, 120]), st.integers(0, 2**31))
def test_faint_dark_ink_is_read_as_dark_or_noted(part, contrast, paper, seed):
    """Where most images have it; and neither where the ink is light and the paper dark, however faint."""
    rng = np.random.default_rng(seed)
    faint = rng.permutation(200) < round(200 * part)
    deep = np.where(faint, contrast, paper)[:, None] * (DIGITS.reshape(200, -1) / 255)
    noise = rng.normal(0, 1.5, deep.shape)
    page = (paper - deep + noise).clip(0, 255).round().astype(np.uint8)
    found, notes = measure(Reading(), page, (28, 28))
    assert inked(notes) == (["dark-ink"] if found.ink < found.paper else ["unsure-ink"])
    assert found.ink < found.paper or "light all over: " in "".join(notes)
    assert inked(measure(Reading(ink="light"), page, (28, 28))[1]) == []
    dark = (deep + noise).clip(0, 255).round().astype(np.uint8)
    assert inked(measure(Reading(), dark, (28, 28))[1]) == []
