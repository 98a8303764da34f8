"""Blank images: empty pages with the noise of scanners and of JPEG are, images of data sets are not."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.blank import FAINT, PARTS, SPECKS, _usual, contrast, faint_of, is_blank
from fnnet.data.preprocess import Reading, measure, table
from tests.tools.samples import csv_file

DIGITS = data.load("digits").train
SHAPE = (28, 28)
sides = st.integers(8, 64)
seeds = st.integers(0, 2**32 - 1)


def plainly(image):
    """The contrast of one image as its definition has it."""
    middle = np.median(image)
    return sorted(abs(float(pixel) - middle) for pixel in image)[-1 - SPECKS]


def jpeg(image, quality):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(out.getvalue())))


@given(sides, sides, st.integers(0, 255), st.floats(0, 5), st.integers(0, 20), st.sampled_from([None, 30, 75, 95]),
       st.integers(0, SPECKS), seeds)  # fmt: skip
def test_a_page_with_noise_shade_and_dust_is_blank(height, width, paper, noise, shade, quality, specks, seed):
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.linspace(0, shade / 2, height), np.linspace(0, shade / 2, width))
    # What a scanner's noise leaves beyond four standard deviations is one pixel in 16,000.
    grain = rng.normal(0, noise * (1 - shade / 40), (height, width)).clip(-4 * noise, 4 * noise)
    page = np.clip(np.rint(paper + grain - slope), 0, 255).astype(np.uint8)
    page = jpeg(page, quality).copy() if quality else page
    if quality is None:
        page.reshape(-1)[rng.choice(page.size, specks, replace=False)] = 255 - paper
    assert is_blank(page.reshape(1, -1), page.shape, FAINT).all()


@given(st.integers(4, 12), st.integers(4, 12), st.integers(-1, 255), st.integers(0, 255), seeds, st.data())
def test_images_are_judged_by_the_definition(height, width, faint, middle, seed, draw):
    """Whatever the mean is, which settles most of them."""
    rng = np.random.default_rng(seed)
    off = rng.choice([-1, 1], (6, height * width)) * rng.integers(0, draw.draw(st.integers(1, 256)), (6, 1))
    x = (
        np.where(rng.random(off.shape) < draw.draw(st.floats(0, 0.3)), middle + off, middle)
        .clip(0, 255)
        .astype(np.uint8)
    )
    found = is_blank(x, (height, width), faint)
    assert found.tolist() == [plainly(image) <= faint for image in x]
    assert contrast(x).tolist() == [plainly(image) for image in x]


@given(st.integers(0, 255), st.integers(-255, 255), st.integers(0, 40), seeds)
def test_four_pixels_that_can_be_seen_are_no_dust(paper, off, count, seed):
    image = np.full(784, paper)
    image[np.random.default_rng(seed).choice(784, count, replace=False)] += off
    image = image.clip(0, 255).astype(np.uint8)
    seen = int(np.abs(image.astype(int) - paper).max())
    assert is_blank(image[None], SHAPE, FAINT)[0] == (count <= SPECKS or seen <= FAINT)


@pytest.mark.parametrize("shape", [(1, 784), (3, 20), (20, 3)])
def test_what_is_hardly_an_image_is_never_blank(shape):
    x = np.zeros((2, shape[0] * shape[1]), np.uint8)
    assert not is_blank(x, shape, FAINT).any()
    assert faint_of(x, shape, 2) == (FAINT, [])
    assert is_blank(np.zeros((0, 784), np.uint8), SHAPE, FAINT).shape == (0,)


@pytest.mark.parametrize("invert", [False, True])
def test_no_digit_is_blank(invert, mnist_folder):
    mnist, digits = data.load("mnist", mnist_folder), data.load("digits")
    for examples in (mnist.train, mnist.test, digits.train, digits.test):
        x = 255 - examples.x if invert else examples.x
        assert not is_blank(x, SHAPE, FAINT).any()
        assert contrast(x).min() > 200


@pytest.mark.parametrize("most", [*range(1, 16), 16, 32, 64, 100, 127, 255])
def test_no_image_of_a_paler_set_is_blank(most):
    """Images whose pixels go to `most`, read as they are, as ink on paper of any two values or as scaled."""
    x = np.rint(DIGITS.x * (most / 255)).astype(np.uint8)
    for reading, stored in ((Reading(), x), (Reading(pixel_max="auto"), x), (Reading(ink="dark"), 255 - x)):
        found, _ = measure(reading, stored, SHAPE)
        assert 0 <= found.faint <= FAINT
        assert not is_blank(np.take(table(found), stored), SHAPE, found.faint).any()


def test_training_images_that_are_blank_are_counted():
    x = np.concatenate([DIGITS.x[:200]] * 2)
    assert measure(Reading(), x, SHAPE) == (Preprocessing(), [])
    x[7] = 9
    x[300] = 0
    found, (note,) = measure(Reading(), x[x.mean(axis=1) < 200][:300], SHAPE)
    assert (found.faint, note.code, note) == (FAINT, "blank", "1 of 300 training images is blank or nearly blank")
    found, (note,) = measure(Reading(), np.concatenate([x] * 5), SHAPE)
    assert note.startswith(("1 of 300", "2 of 300", "3 of 300"))
    assert "looked at" in note


@pytest.mark.parametrize("blank", [7, 30, 300])
def test_a_class_of_blank_images_is_one_that_can_be_predicted(blank):
    """A puzzle's empty cells, say."""
    x = np.concatenate([DIGITS.x[: 300 - blank], np.full((blank, 784), 3, np.uint8)])
    found, notes = measure(Reading(), x, SHAPE)
    assert found.faint == -1
    assert [note.code for note in notes if note.code == "blank"] == ["blank"]
    assert "takes blank images as it does others" in notes[-1]
    assert not is_blank(x, SHAPE, found.faint).any()


@pytest.fixture
def model(tmp_path):
    fnnet.save_model(tmp_path / "m", fnnet.Model(fnnet.init([784, 10], 0)))
    return tmp_path / "m"


def save(path, image):
    Image.fromarray(np.asarray(image, np.uint8).reshape(28, 28)).save(path)
    return path


def test_f31_blank_pictures_are_given_no_class(model, run, tmp_path):
    digit, page, mask = DIGITS.x[0], np.full(784, 255), DIGITS.x[1] > 127
    (tmp_path / "in").mkdir()
    for name, image in (("1", digit), ("2", page), ("3", mask)):
        save(tmp_path / "in" / f"{name}.png", image)
    result = run("predict", model, "in")
    lines = [line for line in result.out.splitlines() if line.startswith("in/")]
    assert lines[1:] == ["in/2.png: blank", "in/3.png: blank"]
    text = "2 of 3 images are blank or nearly blank: no class is given; the first is in/2.png"
    assert result.err == f"note: {text}\n"
    document = run("predict", model, "in", "--json", "-o", "out.csv").json
    first, *blank = document["predictions"]
    assert first["blank"] is False
    assert first["label"] == max(first["probabilities"], key=first["probabilities"].get)
    for number, each in enumerate(blank, 2):
        assert each == {"file": f"in/{number}.png", "index": 0, "other_ink": False, "blank": True} | dict.fromkeys(
            ("label", "probability", "probabilities")
        )
    assert document["notes"] == [{"code": "blank", "note": text}]
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[2:] for row in rows[2:]] == [["", ""]] * 2
    document = run("predict", model, "in", "--json", "-o", "out.csv", "--kaggle").json
    said = text.replace("no class is given", "Kaggle's form gives a class all the same")
    assert document["notes"] == [{"code": "blank", "note": said}]
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    assert {row[1] for row in rows[1:]} <= set("0123456789")
    assert run("predict", model, "in/3.png").err == "note: in/3.png: blank or nearly blank: no class is given\n"


def test_what_a_model_was_trained_on_is_predicted(run, tmp_path):
    """Masks of 0 and 1, whatever is said of them, and a class of empty cells."""
    masks = csv_file(
        tmp_path / "a.csv", np.column_stack([DIGITS.labels[:200], DIGITS.x[:200] > 127]).astype(int).tolist()
    )
    assert run("train", "--data", masks, "--epochs", 1, "--out", "a").code == 0
    assert all(not each["blank"] for each in run("predict", "a", masks, "--json").json["predictions"])
    rows = [[0] + [0] * 784, *([1, *row] for row in DIGITS.x[:9].tolist())] * 10
    cells = csv_file(tmp_path / "b.csv", rows)
    document = run("train", "--data", cells, "--epochs", 1, "--dev", 0, "--out", "b", "--json").json
    assert [note["code"] for note in document["notes"]][:3] == ["blank", "empty-class", "held-out"]
    first = run("predict", "b", cells, "--json").json["predictions"][0]
    assert (first["blank"], first["label"] in ("0", "1")) == (False, True)


def test_evaluate_counts_blank_images_and_measures_them(model, run, tmp_path):
    rows = [[0] + [0] * 784, *([1, *row] for row in DIGITS.x[:9].tolist())]
    path = csv_file(tmp_path / "a.csv", rows)
    document = run("evaluate", model, "--data", path, "--json").json
    assert document["images"] == 10
    note = {"code": "blank", "note": "1 of 10 labelled images is blank or nearly blank"}
    assert note in document["notes"]
    note["note"] = "1 of 10 training images is blank or nearly blank"  # where no model has been trained
    assert note in run("data", "info", "--data", path, "--json").json["notes"]


def test_large_images_are_looked_at_in_part():
    x = np.zeros((300, 300 * 1024 // 100), np.uint8)
    x[:, :99] = 200
    assert faint_of(x, (48, 64), 300) == (FAINT, [])


@given(st.integers(1, 9), st.integers(0, 90), st.integers(0, 255), st.integers(1, 6), seeds)
def test_the_limit_is_a_part_of_the_contrast_that_half_of_the_images_have(n, paper, ink, pixels, seed):
    """Whether that is settled by counting or by the contrast of each image."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, paper + 1, (n, 64)).astype(np.uint8)
    inked = rng.random(n) < 0.6
    x[inked, :pixels] = ink
    usual = int(np.median([plainly(image) for image in x]))
    found, _ = faint_of(x, (8, 8), n)
    assert found in (-1, min(FAINT, usual // PARTS))
    assert min(_usual(x) // PARTS, FAINT) == min(FAINT, usual // PARTS)
