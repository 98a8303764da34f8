"""Pixels of any range, ink and order become the same bytes; what the user should know is noted, with a code."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing, described
from fnnet.data import paper
from fnnet.data.notes import Note
from fnnet.data.preprocess import SAMPLE, Reading, apply, measure, spread, table
from fnnet.errors import DataError
from fnnet.training.advice import NAMES
from tests.conftest import idx_bytes
from tests.tools.samples import csv_file, write

DIGITS = data.load("digits").train
SHAPE = (28, 28)
CODES = {"dark-ink", "mixed-ink", "dim-pixels", "pixel-max"}


def measured(x, **reading):
    """What is found, without what is blank: see test_blank.py."""
    found, notes = measure(Reading(**reading), x, SHAPE)
    return found._replace(faint=24), [note for note in notes if "or nearly blank" not in note]


def codes(notes):
    return [note.code for note in notes]


levels = st.integers(1, 255).flatmap(
    lambda most: st.tuples(st.just(most), st.integers(0, most), st.integers(0, most)).filter(lambda t: t[1] != t[2])
)


@given(levels, st.integers(0, 254))
def test_nearly_blank_becomes_blank_and_nothing_else_changes(drawn, blank):
    most, paper, ink = drawn
    blank %= abs(ink - paper)
    found, exact = table(Preprocessing(most, paper, ink, blank)), table(Preprocessing(most, paper, ink))
    near = np.abs(np.arange(256) - paper) <= blank
    assert (found[near] == 0).all()
    assert (found[~near] == exact[~near]).all()


@given(levels)
def test_the_table_takes_paper_to_0_and_ink_to_255_in_proportion(drawn):
    most, paper, ink = drawn
    found = table(Preprocessing(most, paper, ink)).astype(int)
    exact = np.clip((np.arange(256) - paper) * 255 / (ink - paper), 0, 255)
    assert (found[paper], found[ink]) == (0, 255)
    assert np.abs(found - exact).max() <= 0.5
    steps = np.diff(found) * (1 if ink > paper else -1)
    assert steps.min() >= 0


def test_the_table_of_plain_images_changes_nothing_and_that_of_inverted_ones_inverts():
    assert (table(Preprocessing()) == np.arange(256)).all()
    assert (table(Preprocessing(paper=255, ink=0)) == 255 - np.arange(256)).all()


@pytest.mark.parametrize("count", [1, 2, 20, len(DIGITS.x)])
def test_images_as_they_are_stay_the_same_memory(count):
    x = DIGITS.x[:count]
    found, notes = measured(x)
    assert (found, notes) == (Preprocessing(), [])
    assert apply(found, x, SHAPE, "a") is x


@pytest.mark.parametrize("count", [1, 2, 20, len(DIGITS.x)])
def test_inverted_images_become_the_images(count):
    found, notes = measured(255 - DIGITS.x[:count])
    assert found == Preprocessing(paper=255, ink=0)
    assert codes(notes) == ["dark-ink"]
    assert (apply(found, 255 - DIGITS.x[:count], SHAPE, "a") == DIGITS.x[:count]).all()


@given(st.integers(96, 255), st.integers(0, 255), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_grey_ink_on_grey_paper_of_any_two_levels(paper, ink, noise, seed):
    """Light ink stays as it is: black is no paper. Dark ink fills the range."""
    x = DIGITS.x[seed % 1000 :][:100].astype(float) / 255
    grey = paper + (ink - paper) * x + np.random.default_rng(seed).normal(0, noise, x.shape)
    grey = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    found, notes = measured(grey)
    if ink >= paper:
        assert found == Preprocessing()
        faint = ["unsure-ink"] if "unsure-ink" in codes(notes) else []
        assert codes(notes) == ["dim-pixels"] * int(grey.max() < 128) + faint
        assert not faint or ink - paper <= 32 + 5 * noise
    elif paper - ink > 64:
        assert codes(notes) == ["dark-ink"]
        assert abs(found.paper - paper) <= max(4, 255 - paper)
        assert abs(found.ink - ink) <= 4 * noise + 8 or found.ink == 0
        there = apply(found, grey, SHAPE, "a")
        assert np.median(there[:, :28]) <= 32
        assert there.max() >= 224


@pytest.mark.parametrize("most", [1, 2, 15, 16, 100, 127])
def test_dim_images_are_noted_and_scaled_if_asked(most):
    x = (DIGITS.x.astype(int) * most // 255).astype(np.uint8)
    found, notes = measured(x)
    assert (found, codes(notes)) == (Preprocessing(), ["dim-pixels"])
    assert f"--pixel-max {most}" in notes[0]
    for wanted in ("auto", most):
        found, notes = measured(x, pixel_max=wanted)
        assert found == Preprocessing(most, 0, most)
        assert codes(notes) == ["pixel-max"] * (wanted == "auto")
        assert apply(found, x, SHAPE, "a").max() == 255
    inverted, notes = measured(most - x, pixel_max="auto")
    assert inverted == Preprocessing(most, most, 0)
    assert (apply(inverted, most - x, SHAPE, "a") == apply(found, x, SHAPE, "a")).all()


@pytest.mark.parametrize("wanted", [None, "auto"])
def test_images_that_are_all_blank_are_noted(wanted):
    found, notes = measured(np.zeros((4, 784), np.uint8), pixel_max=wanted)
    assert (found, codes(notes)) == (Preprocessing(), ["blank"])


@pytest.mark.parametrize("most", [128, 254, 255])
def test_images_that_are_bright_enough_are_not_dim(most):
    x = (DIGITS.x.astype(int) * most // 255).astype(np.uint8)
    assert measured(x) == measured(x, pixel_max="auto") == (Preprocessing(), [])


def test_a_pixel_above_the_largest_is_refused_with_its_image():
    x = np.zeros((3, 784), np.uint8)
    x[2, 5] = 17
    with pytest.raises(DataError, match=r"a\.csv: image 3: pixel above the largest; expected 0 to 16, found 17"):
        apply(Preprocessing(16, 0, 16), x, SHAPE, "a.csv")


@given(st.sampled_from(["halves", "by turns", "thirds"]))
def test_both_inks_in_one_set_are_noted_and_left(order):
    x = DIGITS.x.copy()
    dark = {"halves": np.arange(len(x)) < len(x) // 2, "by turns": np.arange(len(x)) % 2 == 0}
    dark["thirds"] = np.arange(len(x)) % 3 == 0
    x[dark[order]] = 255 - x[dark[order]]
    assert codes(measured(x)[1]) == ["mixed-ink"]
    assert measured(x)[0] == Preprocessing()


@pytest.mark.parametrize("make", ["noise", "constant", "slopes", "empty"])
def test_what_is_no_ink_on_paper_is_left(make):
    rng = np.random.default_rng(0)
    x = {
        "noise": rng.integers(0, 256, (300, 784)),
        "constant": np.full((300, 784), 200),
        "slopes": np.add.outer(rng.integers(0, 8, 300), np.add.outer(np.arange(28), np.arange(28)).ravel() * 4),
        "empty": np.zeros((0, 784)),
    }[make].astype(np.uint8)
    assert measured(x) == (Preprocessing(), [])


def test_the_user_s_word_on_the_ink_counts():
    inverted = 255 - DIGITS.x
    assert measured(inverted, ink="light") == (Preprocessing(), [])
    assert measured(inverted, ink="dark")[0] == Preprocessing(paper=255, ink=0)
    assert measured(DIGITS.x, ink="dark")[0] == Preprocessing(paper=255, ink=0)


@given(st.integers(0, 5000))
def test_images_are_looked_at_all_over_the_set(n):
    rows = spread(np.arange(n))
    assert len(rows) == min(n, SAMPLE)
    assert rows.tolist() == sorted(rows.tolist())
    if n > SAMPLE:
        assert np.diff(rows).max() <= 2 * n / SAMPLE + 1
        assert abs((rows % 2).mean() - 0.5) < 0.15


@pytest.mark.parametrize("shape", [(28, 28), (4, 6)])
def test_transposed_images(shape):
    x = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape).astype(np.uint8)
    stored = np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(2, -1)
    assert (apply(Preprocessing(transpose=True), stored, shape, "a") == x.reshape(2, -1)).all()


def folder(path, images, labels, prefix="train"):
    write(path / f"{prefix}-images-idx3-ubyte", idx_bytes(images.reshape(-1, 28, 28)))
    write(path / f"{prefix}-labels-idx1-ubyte", idx_bytes(labels.astype(np.uint8)))


def test_load_applies_one_preprocessing_to_both_parts_and_tells_the_notes(tmp_path):
    x, labels = DIGITS.x[:50], DIGITS.labels[:50]
    folder(tmp_path, 255 - x, labels)
    folder(tmp_path, 255 - x[:10], labels[:10], "t10k")
    told = []
    found = data.load(tmp_path, notify=told.append)
    assert (found.train.x == x).all()
    assert (found.test.x == x[:10]).all()
    assert not found.train.x.flags.writeable
    assert tuple(told) == found.notes
    assert codes(told) == ["dark-ink"]
    folder(tmp_path, x[:10], labels[:10], "t10k")
    assert codes(data.load(tmp_path).notes) == ["dark-ink", "other-ink"]
    kept = data.load(tmp_path, preprocessing=Preprocessing())
    assert (kept.train.x == 255 - x).all()
    assert codes(kept.notes) == ["other-ink"]


def test_emnist_s_order(tmp_path):
    x, labels = DIGITS.x[:20], DIGITS.labels[:20]
    stored = np.ascontiguousarray(x.reshape(-1, 28, 28).transpose(0, 2, 1)).reshape(20, -1)
    path = tmp_path / "emnist-digits"
    path.mkdir()
    folder(path, stored, labels)
    assert codes(data.load(path).notes) == ["transpose-name"]
    found = data.load(path, reading=Reading(transpose=True))
    assert (found.train.x == x).all()
    assert found.notes == ()
    with pytest.warns(UserWarning, match="read column by column, as what the model was trained on"):
        read = data.read_images(path / "train-images-idx3-ubyte", SHAPE, found.preprocessing)
    assert (read == x).all()


def test_oblong_images_are_transposed_by_their_stored_size(tmp_path):
    x = np.arange(2 * 24).reshape(2, 4, 6).astype(np.uint8) * 5
    path = csv_file(tmp_path / "a.csv", [[0, *row] for row in x.transpose(0, 2, 1).reshape(2, -1)])
    found = data.load(path, flat=(4, 6), reading=Reading(transpose=True))
    assert found.image_shape == (4, 6)
    assert (found.train.x == x.reshape(2, -1)).all()


@pytest.mark.parametrize("recipe", ["classic", "quick"])
@pytest.mark.parametrize("jit", ["--jit", "--no-jit"])
def test_inverted_images_train_to_the_same_weights(recipe, jit, run, tmp_path):
    hashes = []
    for name, x in (("plain", DIGITS.x[:200]), ("inverted", 255 - DIGITS.x[:200])):
        path = csv_file(tmp_path / f"{name}.csv", np.column_stack([DIGITS.labels[:200], x]).tolist())
        result = run("train", "--data", path, jit, "--recipe", recipe, "--epochs", 1, "--dev", 20, "--json",
                     "--out", tmp_path / name)  # fmt: skip
        hashes.append(result.json["weights_sha256"])
        assert codes_of(result.json) == ["dark-ink"] * (name == "inverted") + ["held-out"]
    assert hashes[0] == hashes[1]
    plain, inverted = (fnnet.load_model(tmp_path / name) for name in ("plain", "inverted"))
    assert (plain.preprocessing, inverted.preprocessing) == (Preprocessing(), Preprocessing(paper=255, ink=0))


def codes_of(document):
    """Of the notes on the data: those on how the training went are left out."""
    return [note["code"] for note in document["notes"] if note["code"] not in NAMES]


def test_evaluate_and_predict_read_as_the_model_was_trained(run, tmp_path):
    """Ink of the other kind than the model's is noted, MNIST's too."""
    paths = {}
    for name, x in (("plain", DIGITS.x[:200]), ("inverted", 255 - DIGITS.x[:200])):
        paths[name] = csv_file(tmp_path / f"{name}.csv", np.column_stack([DIGITS.labels[:200], x]).tolist())
        run("train", "--data", paths[name], "--epochs", 20, "--dev", 0, "--out", tmp_path / name, "--quiet")
    accuracy = {}
    for model in paths:
        for images, path in paths.items():
            document = run("evaluate", tmp_path / model, "--data", path, "--json").json
            accuracy[model, images] = document["accuracy"]
            assert codes_of(document) == ["other-ink", "other-data"] * (model != images)
            document = run("predict", tmp_path / model, path, "--json").json
            assert codes_of(document) == ["other-ink"] * (model != images)
            assert all(each["other_ink"] == (model != images) for each in document["predictions"])
    assert accuracy["plain", "plain"] == accuracy["inverted", "inverted"] > 0.5
    note = run("evaluate", tmp_path / "inverted", "--data", "digits", "--json").json["notes"]
    assert {each["code"] for each in note} == {"other-ink", "other-data"}


@pytest.mark.parametrize("option", [("--pixel-max", "16"), ("--ink", "dark"), ("--transpose",)])
def test_known_data_sets_take_no_reading(option, run):
    run("train", "--data", "digits", *option).failed(2, f"{option[0]}: has no effect", "expected --data PATH")


def test_the_options_reach_the_model(run, tmp_path):
    x = np.ascontiguousarray((16 - DIGITS.x[:100].astype(int) * 16 // 255).reshape(-1, 28, 28).transpose(0, 2, 1))
    path = csv_file(tmp_path / "a.csv", np.column_stack([DIGITS.labels[:100], x.reshape(100, -1)]).tolist())
    command = ["train", "--data", path, "--pixel-max", "auto", "--transpose", "--epochs", 1, "--dev", 10, "--json"]
    document = run(*command, "--out", tmp_path / "m").json
    assert codes_of(document) == ["pixel-max", "dark-ink", "held-out"]
    assert fnnet.load_model(tmp_path / "m").preprocessing == Preprocessing(16, 16, 0, transpose=True)
    bright = csv_file(tmp_path / "b.csv", [[0] * 784 + [17]])
    run("predict", tmp_path / "m", bright).failed(1, "image 1: pixel above the largest", "expected 0 to 16")
    document = run("data", "info", "--data", path, "--json").json
    assert codes_of(document) == ["dim-pixels"]
    assert document["preprocessing"] == described(Preprocessing(faint=2))


def test_a_note_is_text_with_a_code_that_can_be_copied():
    note = Note("code", "line")
    again = pickle.loads(pickle.dumps(note))
    assert (again, again.code) == ("line", "code") == (copy.deepcopy(note), copy.deepcopy(note).code)


def test_a_speck_is_no_ink():
    x = np.full((50, 64 * 64), 200, np.uint8)
    x[:, 2000] = 0
    found, notes = measure(Reading(), x, (64, 64))
    assert (found, codes(notes)) == (Preprocessing(faint=-1), ["blank"])


def test_dark_ink_by_the_user_s_word_without_a_light_paper():
    """Too little contrast to measure: plain inversion."""
    assert measured(np.full((3, 784), 200, np.uint8), ink="dark")[0] == Preprocessing(paper=255, ink=0)
    assert measured(DIGITS.x // 2 + 100, ink="light") == (Preprocessing(), [])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 783, 784])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_medians_are_those_of_numpy(width, dtype):
    x = np.random.default_rng(width).integers(0, 256, (7, width)).astype(dtype)
    assert np.array_equal(paper.medians(x), np.median(x, axis=1))


def test_a_note_is_one_line_that_cannot_control_the_terminal():
    assert Note("code", "a\x1b[2Jb\nc\0 é") == r"a\x1b[2Jb\nc\x00 é"
