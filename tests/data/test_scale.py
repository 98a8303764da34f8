"""Pictures of several sizes scaled to one: exact means of areas, the aspect ratio kept; models remember it."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import formats, many, scale
from fnnet.data.paper import edges
from fnnet.data.preprocess import Reading
from fnnet.data.scale import area_means, fitted
from fnnet.errors import DataError, UsageError
from tests.tools.samples import csv_file, write

DIGITS = data.load("digits").train.x.reshape(-1, 28, 28)
LABELS = data.load("digits").train.labels
sides = st.integers(1, 12)
shapes = st.tuples(sides, sides)
seeds = st.integers(0, 2**32 - 1)


def image(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def by_hand(x, shape):
    """Each pixel repeated, so that both sizes divide the lines; the means of blocks, rounded half up."""
    (rows, columns), (height, width) = x.shape, shape
    fine = np.kron(x.astype(np.int64), np.ones(shape, np.int64))
    sums = fine.reshape(height, rows, width, columns).sum(axis=(1, 3))
    return np.array([[int(Fraction(int(each), rows * columns) + Fraction(1, 2)) for each in row] for row in sums])


@given(shapes, shapes, seeds)
def test_each_pixel_is_the_mean_of_its_area(given_shape, shape, seed):
    x = image(given_shape, seed)
    np.testing.assert_array_equal(area_means(x, shape), by_hand(x, shape))


@given(shapes, shapes, seeds, st.integers(1, 5))
def test_strips_change_nothing(given_shape, shape, seed, strip):
    x = image(given_shape, seed)
    with pytest.MonkeyPatch.context() as patch:
        scale._overlaps.cache_clear()
        patch.setattr(scale, "STRIP", strip)
        found = area_means(x, shape)
        scale._overlaps.cache_clear()
    np.testing.assert_array_equal(found, area_means(x, shape))


@given(shapes, shapes, seeds)
def test_the_aspect_ratio_is_kept_in_the_middle_on_paper(given_shape, shape, seed):
    x = image(given_shape, seed)
    found, factor = fitted(x, shape), min(shape[0] / given_shape[0], shape[1] / given_shape[1])
    inner = [max(1, int(side * factor + 0.5 + 1e-9)) for side in given_shape]
    assert shape in ((inner[0], shape[1]), (shape[0], inner[1]))
    top, left = ((whole - part) // 2 for whole, part in zip(shape, inner, strict=True))
    inside = np.zeros(shape, bool)
    inside[top : top + inner[0], left : left + inner[1]] = True
    np.testing.assert_array_equal(found[inside].reshape(inner), by_hand(x, inner))
    assert (found[~inside] == int(np.median(edges(x.reshape(1, -1), x.shape)))).all()
    np.testing.assert_array_equal(fitted(x.T, shape[::-1]), found.T)
    if given_shape == shape:
        assert found is x


@given(st.integers(0, 255), shapes, shapes)
def test_paper_stays_paper(value, given_shape, shape):
    assert np.unique(fitted(np.full(given_shape, value, np.uint8), shape)).tolist() == [value]


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_digits_enlarged_come_back(factor):
    large = np.kron(DIGITS[0], np.ones((factor, factor), np.uint8))
    np.testing.assert_array_equal(fitted(large, (28, 28)), DIGITS[0])


def enlarged(x, number, mode="L"):
    """A digit in another size and shape, on more paper of its own."""
    large = np.kron(x, np.ones((1 + number % 3, 1 + number % 3), np.uint8))
    wide = np.pad(large, ((0, 0), (5 * (number % 4), 2 * (number % 4))), mode="edge")
    return Image.fromarray(wide).convert(mode)


def put(folder, count=30, invert=False, mode="L", suffix="png"):
    for number in range(count):
        inside = folder / str(LABELS[number])
        inside.mkdir(parents=True, exist_ok=True)
        x = 255 - DIGITS[number] if invert else DIGITS[number]
        enlarged(x, number, mode).save(inside / f"{number}.{suffix}")
    return folder


def expected(count=30):
    """The images, in the order of class folders."""
    order = np.argsort(LABELS[:count], kind="stable")
    return np.stack([fitted(np.asarray(enlarged(DIGITS[number], number)), (20, 24)).ravel() for number in order])


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGB", "png"), ("LA", "png"), ("L", "bmp"), ("P", "png")])
@pytest.mark.parametrize("invert", [False, True])
def test_class_folders_of_every_size_become_one(invert, mode, suffix, tmp_path):
    found = data.load(put(tmp_path, invert=invert, mode=mode, suffix=suffix), reading=Reading(size=(20, 24)))
    assert found.image_shape == (20, 24)
    assert found.preprocessing == Preprocessing(paper=255 * invert, ink=255 * (not invert), resize=True)
    assert np.abs(found.train.x.astype(int) - expected()).max() <= 1 * invert  # a half is rounded up from both sides
    assert [note.code for note in found.notes] == ["dark-ink"] * invert


def test_a_picture_of_one_bit_is_averaged_as_grey(tmp_path):
    """Not thinned out to black and white."""
    board = (np.indices((40, 40)).sum(axis=0) % 2).astype(bool)
    Image.fromarray(board).save(tmp_path / "a.png")
    assert np.unique(formats.read_picture(tmp_path / "a.png", (10, 10), resize=True).x).tolist() == [128]


def test_pictures_that_are_turned_are_turned_first(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    enlarged(DIGITS[0], 3).save(out, "WEBP", lossless=True, exif=exif)
    content = formats.read_picture(write(tmp_path / "a.webp", out.getvalue()), (20, 24), resize=True)
    turned = np.rot90(np.asarray(enlarged(DIGITS[0], 3)), 3)
    np.testing.assert_array_equal(content.x.reshape(20, 24), fitted(turned, (20, 24)))


def test_parts_and_transposition(tmp_path):
    for part in ("train", "test"):
        put(tmp_path / part)
    found = data.load(tmp_path, reading=Reading(size=(20, 24)))
    np.testing.assert_array_equal(found.test.x, found.train.x)
    turned = data.load(tmp_path, reading=Reading(size=(24, 20), transpose=True))
    assert turned.image_shape == (24, 20)
    there = found.train.x.reshape(-1, 20, 24).transpose(0, 2, 1)
    np.testing.assert_array_equal(turned.train.x.reshape(-1, 24, 20), there)


def test_without_a_size_they_are_refused_by_the_option(tmp_path, run):
    folder = put(tmp_path / "in")
    line = "scale the images alike, or set --size"
    run("train", "--data", folder).failed(1, "image size does not fit; expected ", " pixels, found ", line)
    run("data", "info", "--data", folder).failed(1, line)
    fnnet.save_model(tmp_path / "m", fnnet.Model(fnnet.init([784, 10], 0)))
    run("evaluate", "m", "--data", folder).failed(1, "scale the images alike, or train a model with --size")
    with pytest.raises(DataError) as caught:
        many.read_pictures(sorted(folder.rglob("*.png")))
    assert caught.value.fix == "scale the image to that size"


def test_the_model_remembers_the_size(tmp_path, run):
    folder = put(tmp_path / "in", 200)
    command = ["train", "--data", folder, "--epochs", 60, "--batch-size", 10, "--dev", 0, "--json", "--out", "m"]
    assert run(*command, "--size", "20x24", "--dev-data", folder, "--test-data", "none").code == 0
    model = fnnet.load_model(tmp_path / "m")
    assert (model.image_shape, model.preprocessing) == ((20, 24), Preprocessing(resize=True))
    accuracy = run("evaluate", "m", "--data", folder, "--json").json["accuracy"]
    assert accuracy > 0.9
    predictions = run("predict", "m", folder, "--json").json["predictions"]
    right = [each["label"] == each["file"].split("/")[-2] for each in predictions]
    assert np.mean(right) == pytest.approx(accuracy)
    small = csv_file(tmp_path / "a.csv", [[0] * 785])
    run("predict", "m", small).failed(1, "image size does not fit the model")
    run("data", "convert", "out.npz", "--data", folder, "--size", "20x24")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["x_train"].shape == (200, 20, 24)


@pytest.mark.parametrize("size", ["0", "513", "28x", "x28", "28x28x1", "-5", "2.5", "", "28,28"])
def test_sizes_that_are_none(size, run):
    run("train", "--data", "a", "--size", size).failed(2, "--size", "expected N or HEIGHTxWIDTH", repr(size))


def test_data_that_is_not_scaled(tmp_path, run, idx_folder):
    run("train", "--data", "digits", "--size", 28).failed(2, "--size: has no effect", "expected --data PATH")
    path = csv_file(tmp_path / "a.csv", [[0] * 785])
    for place in (path, idx_folder):
        result = run("train", "--data", place, "--size", 28)
        result.failed(2, "--size: has no effect", "class folders of pictures", place)
    with pytest.raises(UsageError, match="--size: has no effect"):
        data.load(path, reading=Reading(size=(28, 28)))
