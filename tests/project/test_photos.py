"""The made photos of `bench.photos` are frozen, and what counts how many are read counts right."""

import csv
import hashlib
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

import fnnet
from bench.photos import measure, ranges
from bench.photos.__main__ import SETS, made, main
from bench.photos.draws import Draws
from bench.photos.nondigits import kind_of
from bench.photos.reading import Looked, Seen
from bench.photos.scene import difficulties
from bench.photos.source import source

PINNED = {"singles": range(6), "pages": range(2), "nondigits": (150, 151, 225, 300, 375, 425), "threshold": range(2)}
"""Pictures whose pixels are pinned; letters are not, they are drawn by Pillow's FreeType."""
DIGESTS = {
    ("digits", "test", "singles"): "8f333c57f2a08f618ed69f64f68bc9e4d8286f717f5b36f7e21a8323013a09be",
    ("digits", "test", "pages"): "817950429a7ad9cb96c4f3c7b4663bb15fa37ab1a5acfea868d82e384d610d6d",
    ("digits", "test", "nondigits"): "deddef5581e4a136df9f03fb2e88593168c00e6726987b2eac9b26682df22046",
    ("digits", "test", "threshold"): "3f0a0be5db75c4fcba5a9984fc5a06c953ffbfc9f2c99e41f7a649e8a4bbffe8",
    ("digits", "tune", "singles"): "7dc2d17fc8b3c28bcd298a292255dcc48fd724b8a8673ee46a9c13931f08bda1",
    ("digits", "tune", "pages"): "e10831766b390489662f9a78d35f1b5ad1355bc37a2e08939e62efbbabed8636",
    ("digits", "tune", "nondigits"): "9bd4195cb49d5312172183d85ef9faefc5bd0c02a4346ea0586010030022c022",
    ("digits", "tune", "threshold"): "ad7f305cee94e81ef8af4ff790f67543b379fbf3ae5368704bddac5b6a5a84c8",
    ("mnist", "test", "singles"): "29a6f36707d5060235cc04bf6b8a79140c2c902a267e174cb848e7755d375465",
    ("mnist", "test", "pages"): "bd67bc9521afc18abce676d71f17fdd0230b9faad43255bfcb6b4008a6ae55d5",
    ("mnist", "test", "nondigits"): "cd3443416c3cf8234ed0d5efdc30f8792a10c2c6f9e15028e4a6f765f61e87e8",
    ("mnist", "test", "threshold"): "85cdac65ee148f83b6d9f3075ea72268e77911ff409a93eebb2eac12ea7ba52e",
    ("mnist", "tune", "singles"): "9d5a5a586f3e7096fc3e53473e3697bf8f88a67f1ce9af107f55f059e541b64f",
    ("mnist", "tune", "pages"): "8eaf6ef52c88f98cf2049c566d5c76e81d2fabdf2d844f562a55d30e0312946f",
    ("mnist", "tune", "nondigits"): "adcf4f5db415959d225491f07951b98863c3f9e6eedaf1383524cf9edf550f11",
    ("mnist", "tune", "threshold"): "00ff28f0d7a6c1d1d9391cc5999fe4ae36fcd0310631f24a6682ed1df7ed9cfc",
}


def digest(digits, name):
    """Return the SHA-256 of what pictures of a set are before they become JPEGs."""
    found = hashlib.sha256()
    for number in PINNED[name]:
        shot, *rest = SETS[name][1](digits, number)
        found.update(shot.pixels.tobytes())
        found.update(repr((shot.pixels.shape, shot.orientation, shot.quality, *rest)).encode())
    return found.hexdigest()


@pytest.fixture(scope="module", params=[False, True], ids=["test", "tune"])
def digits(request):
    return source("digits", tune=request.param)


@pytest.mark.parametrize("name", PINNED)
def test_the_sets_are_frozen(digits, name):
    tune = "tune" if digits.seed == ranges.TUNE_SEED else "test"
    assert digest(digits, name) == DIGESTS["digits", tune, name]


@pytest.mark.parametrize("name", PINNED)
@pytest.mark.parametrize("tune", [False, True], ids=["test", "tune"])
def test_the_sets_of_mnist_are_frozen(mnist_folder, tune, name):
    assert digest(source("mnist", mnist_folder, tune=tune), name) == DIGESTS["mnist", "tune" if tune else "test", name]


def test_no_digit_is_in_two_sets():
    pages = ranges.COUNTS[ranges.PAGES] * ranges.ON_PAGE[1]
    counts = {**ranges.COUNTS, ranges.PAGES: pages, ranges.NONDIGITS: 2 * ranges.COUNTS[ranges.NONDIGITS]}
    spans = sorted((first, first + counts[which]) for which, first in ranges.FIRST.items())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert spans[-1][1] <= 10_000


@pytest.mark.parametrize("seed", [ranges.TEST_SEED, ranges.TUNE_SEED])
def test_the_difficulties_are_as_frequent_as_they_must_be(seed):
    tags = [difficulties(Draws(seed, ranges.SINGLES, i)) for i in range(ranges.COUNTS[ranges.SINGLES])]
    count = {name: sum(name in each for each in tags) for name in (*ranges.SHARES, "dark lines")}
    assert count["shadow"] * 3 >= len(tags)
    assert min(count.values()) >= 30
    assert sum(not each for each in tags) >= 80
    assert not any({"thin", "thick"} <= each or {"ruled", "squared"} <= each for each in tags)


def test_the_kinds_without_a_digit():
    kinds = [kind_of(i) for i in range(ranges.COUNTS[ranges.NONDIGITS])]
    assert {kind: kinds.count(kind) for kind in kinds} == ranges.KINDS
    assert not set("BDGIOQSZbgijloqstz") & set(ranges.LETTERS)
    assert not set(ranges.TEST_FONTS) & set(ranges.TUNE_FONTS)
    assert not any("DejaVu" in font for font in ranges.TEST_FONTS + ranges.TUNE_FONTS)


def test_ink_is_in_its_box_and_the_file_is_turned_upright(digits):
    for name in ("singles", "pages"):
        for picture in made(name, digits, 8):
            pixels = picture.shot.pixels.astype(int).sum(axis=2)
            assert len(picture.labels) == len(picture.boxes)
            for top, left, height, width in picture.boxes:
                assert min(top, left) >= 0
                assert top + height <= len(pixels)
                assert left + width <= len(pixels[0])
                inside = pixels[top : top + height, left : left + width]
                assert np.ptp(inside) > 60
            opened = Image.open(io.BytesIO(picture.shot.file()))
            assert opened.getexif().get(0x0112, 1) == picture.shot.orientation
            upright = np.asarray(ImageOps.exif_transpose(opened)).astype(int)
            assert np.abs(upright - picture.shot.pixels).mean() < 12


def test_boxes_that_match_are_counted_once():
    there = [(0, 0, 10, 10), (0, 20, 10, 10), (0, 40, 10, 10)]
    assert measure.matched(there, [(0, 21, 10, 10), (0, 0, 10, 10), (0, 19, 10, 10), (0, 70, 10, 10)]) in (
        [1, 0, None, None],
        [None, 0, 1, None],
    )
    assert measure.matched(there, []) == []
    assert measure.overlap(there[0], there[1]) == 0
    assert measure.ordered([]) == set()
    assert measure.ordered([2, 0, 1]) == {0, 1}


def test_a_page_counts_digits_that_are_found_in_order_and_right(digits):
    page = next(p for p in made("pages", digits, None) if len(p.labels) >= 4)
    image = np.zeros((28, 28), np.uint8)
    seen = [Seen(box, image + label) for box, label in zip(page.boxes, page.labels, strict=True)]
    count = len(seen)

    def network(x):
        return np.eye(11)[x[:, 0, 0]]

    assert measure.on_page(page, seen, network) == (count, count, count, count, 0)
    seen[0] = seen[0]._replace(image=image + (page.labels[0] + 1) % 10)
    assert measure.on_page(page, seen, network) == (count, count, count, count - 1, 0)
    swapped = [seen[0], seen[2], seen[1], *seen[3:], Seen((0, 0, 1, 1), image)]
    assert measure.on_page(page, swapped, network) == (count, count, count - 1, count - 2, 1)
    assert measure.on_page(page, [], network) == (count, 0, 0, 0, 0)


def test_what_speaks_for_a_digit():
    looked = [Looked(np.full((28, 28), i, np.uint8), float(i)) for i in (0, 1)]
    probabilities = np.zeros((2, 11))
    probabilities[0, 3], probabilities[0, 10], probabilities[1, 10] = 0.75, 0.25, 1
    found = measure.scores(looked, lambda x: probabilities)
    assert {name: values.tolist() for name, values in found.items()} == {
        "probability": [0.75, 0],
        "class none": [0.75, 0],
        "contrast": [0, 1],
    }
    assert list(measure.scores([Looked(looked[0].image)], lambda x: probabilities[:1, :10])) == ["probability"]


def test_the_program_writes_and_measures(tmp_path):
    fnnet.save_model(tmp_path / "model", fnnet.Model(fnnet.init((784, 10, 10), seed=0)))
    table = np.zeros((3, 266), int)
    table[:, 20:60], table[:, 256] = 1, 1
    (tmp_path / "semeion").write_text("\n".join(" ".join(map(str, row)) for row in table.tolist()))
    arguments = ["--digits", "digits", "--count", "6", "--out", f"{tmp_path}/out", "--model", f"{tmp_path}/model"]
    done = CliRunner().invoke(main, [*arguments, "--semeion", f"{tmp_path}/semeion"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "| single photos | pictures | resized | inverted | prepared |" in done.output
    assert "| all | 6 |" in done.output
    assert "| grown pair | 1 |" in done.output
    assert "| resized | 3 | " in done.output
    files = {name: sorted((tmp_path / "out" / name).glob("*.jpg")) for name in SETS}
    assert all(len(each) == 6 for each in files.values())
    pages = json.loads((tmp_path / "out" / "pages" / "pages.json").read_text())
    assert all(3 <= len(page["labels"]) == len(page["boxes"]) <= 12 for page in pages)
    with (tmp_path / "out" / "singles" / "labels.csv").open() as labels:
        assert [row["file"] for row in csv.DictReader(labels)] == [path.name for path in files["singles"]]
    assert CliRunner().invoke(main, []).exit_code == 2
