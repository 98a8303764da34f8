"""Names of classes for files of numbers, labels that do not begin at 0, data sets with some of a model's classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core import rng
from fnnet.core.state import Examples
from fnnet.data import formats
from fnnet.data.preprocess import Reading
from fnnet.data.reader import Wanted
from fnnet.errors import DataError
from tests.tools.samples import csv_file, write

DIGITS = data.load("digits").train
X, Y = DIGITS.x[:120], DIGITS.labels[:120]
NAMES = "zero,one,two,three,four,five,six,seven,eight,nine"


def table(path, labels):
    return csv_file(path, np.column_stack([labels, X]).tolist())


def train(run, path, *options):
    return run("train", "--data", path, "--epochs", 1, "--dev", 10, "--json", "--quiet", *options)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("given", ["list", "file"])
def test_names_are_kept_in_the_model(given, end, run, tmp_path):
    path = table(tmp_path / "a.csv", Y)
    write(tmp_path / "names.txt", ("\ufeff" + NAMES.replace(",", end) + end).encode())
    names = NAMES if given == "list" else tmp_path / "names.txt"
    assert train(run, path, "--class-names", names, "--out", "m").code == 0
    assert fnnet.load_model("m").classes == tuple(NAMES.split(","))
    document = run("evaluate", "m", "--data", path, "--json").json
    assert [row["class"] for row in document["classes"]] == NAMES.split(",")
    labels = {each["label"] for each in run("predict", "m", path, "--json").json["predictions"]}
    assert labels <= set(NAMES.split(","))


def test_a_file_of_names_is_utf8(run, tmp_path):
    write(tmp_path / "names.txt", "zero\nné\n".encode("latin-1"))
    result = train(run, table(tmp_path / "a.csv", Y), "--class-names", tmp_path / "names.txt")
    words = (
        r"names.txt: line 2, column 2: text is not UTF-8; expected UTF-8, found the bytes b'\xe9\n'; save it as UTF-8"
    )
    result.failed(1, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--class-names", "a"), "--class-names: expected two or more names"),
        (("--class-names", "a,a,b"), "--class-names: expected two or more names"),
        (("--class-names", "a,,b"), "--class-names: expected two or more names"),
        (("--class-names", NAMES, "--classes", 9), "--classes: number of classes differs; expected 10, found 9"),
        (("--first-label", "-1"), "--first-label"),
    ],
)
def test_names_that_do_not_fit(options, words, run, tmp_path):
    result = train(run, table(tmp_path / "a.csv", Y), *options)
    assert result.code == 2
    assert words in result.err.replace("'--class-names'", "--class-names").replace("error: ", "")


@pytest.mark.parametrize("options", [("--class-names", NAMES), ("--first-label", "1")])
def test_known_data_sets_have_names_and_labels(options, run):
    run("train", "--data", "digits", *options).failed(2, f"{options[0]}: has no effect", "expected --data PATH")


@pytest.mark.parametrize("first", [1, 5, 100])
def test_labels_from_another_number(first, run, tmp_path):
    path = table(tmp_path / "a.csv", Y + first)
    found = data.load(path, reading=Reading(first_label=first))
    np.testing.assert_array_equal(found.train.labels, Y)
    train(run, path).failed(1, "label out of range", "or --first-label")
    plain = train(run, table(tmp_path / "b.csv", Y), "--out", "m").json
    moved = train(run, path, "--first-label", first, "--out", "m").json
    assert moved["weights_sha256"] == plain["weights_sha256"]
    names = [str(first + number) for number in range(10)]
    ways = (
        ("--data", path),
        ("--data", path, "--first-label", first),
        ("--data", "b.csv", "--class-names", ",".join(names)),
    )
    assert len({run("evaluate", "m", *way, "--json").json["accuracy"] for way in ways}) == 1
    run("evaluate", "m", "--data", "b.csv").failed(1, "label of no class", "--class-names", "--first-label")
    with pytest.raises(DataError, match="label below the first; expected 101 or more"):
        data.load(path, reading=Reading(first_label=101))


def test_both_parts_begin_at_the_same_label(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:50], y_train=Y[:50] + 1, x_test=X[50:], y_test=Y[50:] + 1)
    found = data.load(tmp_path / "a.npz", reading=Reading(first_label=1))
    np.testing.assert_array_equal(found.test.labels, Y[50:])


def folders(path, chosen):
    for number, (image, label) in enumerate(zip(X, Y, strict=True)):
        if str(label) in chosen:
            (path / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(28, 28)).save(path / str(label) / f"{number}.png")
    return path


def test_a_data_set_with_some_of_the_model_s_classes(run, tmp_path):
    """Compared by name, in the model's order, and the others are noted."""
    assert train(run, folders(tmp_path / "all", set("0123456789")), "--epochs", 30, "--out", "m").code == 0
    document = run("evaluate", "m", "--data", folders(tmp_path / "some", {"7", "2"}), "--json").json
    images = {row["class"]: row["images"] for row in document["classes"]}
    assert images == {str(label): int((label == Y).sum()) * (label in (2, 7)) for label in range(10)}
    assert document["accuracy"] > 0.8
    assert [note["code"] for note in document["notes"]] == ["classes-missing", "other-data"]
    (tmp_path / "some" / "2").rename(tmp_path / "some" / "x")
    run("evaluate", "m", "--data", tmp_path / "some").failed(1, "does not fit some")


def test_class_folders_have_names_of_their_own(run, tmp_path):
    path = folders(tmp_path / "a", {"3", "5"})
    train(run, path, "--class-names", "b,c").failed(2, "--class-names: names differ", "expected 3, 5")
    assert train(run, path, "--class-names", "3,5").code == 0


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.data())
def test_no_class_loses_its_training_images_to_dev(labels, drawn):
    """And the draw is as it always was where none would."""
    labels = np.array(labels)
    x = np.arange(len(labels), dtype=np.uint8)[:, None]
    dev, seed = drawn.draw(st.integers(1, len(labels) - 1)), drawn.draw(st.integers(0, 99))
    train, cut = data.split(Examples(x, labels), dev, seed)
    kept = set(cut.x.ravel().tolist()) if cut else set()
    assert set(train.labels.tolist()) == set(labels.tolist())
    assert sorted([*train.x.ravel().tolist(), *kept]) == list(range(len(labels)))
    order = rng.order(seed, "split", len(labels))
    assert kept <= set(order[:dev].tolist())
    lost = set(labels[order[:dev]].tolist()) - set(labels[order[dev:]].tolist())
    assert dev - len(kept) == len(lost)
    for part in (train, cut):
        assert part is None or part.x.ravel().tolist() == sorted(part.x.ravel().tolist())


def test_classes_without_training_images_are_noted(tmp_path):
    path = table(tmp_path / "a.csv", np.where(Y == 3, 4, Y))
    (note,) = data.load(path).notes
    assert note.code == "empty-class"
    assert note.endswith("1 class of 10 without training images: 3")
    (note,) = data.load(table(tmp_path / "b.csv", Y % 3)).notes
    assert note.endswith(
        "7 classes of 10 without training images: 3, 4, 5, 6, 7, 8, 9; if there are 3, say --classes 3"
    )
    (note,) = data.load(path, classes=tuple("0123456789abcdef")).notes
    assert note.endswith("7 classes of 16 without training images: 3, a, b, c, d, e, f")


def test_the_same_classes_in_another_order_are_put_in_the_model_s():
    dataset = data.load("digits")
    turned = tuple(reversed(dataset.classes))
    found = data.with_classes(dataset, turned)
    assert (found.classes, found.notes) == (turned, dataset.notes)
    assert (found.train.labels == 9 - dataset.train.labels).all()
    assert data.with_classes(dataset, dataset.classes) is dataset
    assert data.with_classes(dataset._replace(test=None), turned).test is None


def test_images_without_labels_have_no_first_label(monkeypatch, tmp_path):
    """Refused as without one."""
    path = table(tmp_path / "a.csv", Y)
    content = formats.read(path, Wanted(labelled=True))._replace(labels=None)
    monkeypatch.setattr(formats, "read", lambda path, wanted: content)
    with pytest.raises(DataError, match="no labels; expected a label for each image"):
        data.load(path, reading=Reading(first_label=1))


def test_a_remedy_names_no_number_of_classes_that_is_refused(tmp_path):
    """One class is none."""
    for labels, said in (([0, 0, 0], False), ([0, 1, 1], True)):
        np.savez(tmp_path / "a.npz", x=np.zeros((3, 2, 2), np.uint8), y=np.array(labels))
        notes = [note for note in data.load(tmp_path / "a.npz").notes if note.code == "empty-class"]
        assert ["say --classes 2" in note for note in notes] == [said]
        assert "--classes 1" not in notes[0]
