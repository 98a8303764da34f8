"""What a data set is shown as."""

import numpy as np
import pandas
import pytest

from fnnet import data
from fnnet.core.state import Examples, Preprocessing
from fnnet.data import Dataset
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError


def test_a_data_set_is_shown_on_one_line():
    examples = Examples(np.zeros((1200, 6), np.uint8), np.zeros(1200, int))
    shown = "Dataset(toy, 1,200 train, 0 test images of 2x3, 2 classes)"
    assert repr(Dataset("toy", "here", examples, None, ("a", "b"), (2, 3))) == shown
    shown = "Dataset(toy, 1,200 train, 1,200 test images of 2x3, 2 classes)"
    assert repr(Dataset("toy", "here", examples, examples, ("a", "b"), (2, 3))) == shown


# Classes of a model.


def numbers(path, labels, x=None):
    x = np.arange(len(labels) * 64, dtype=np.uint8).reshape(-1, 8, 8) if x is None else x
    np.savez(path, x_train=x, y_train=np.asarray(labels))
    return path


@pytest.mark.parametrize(
    ("classes", "labels", "places"),
    [
        (tuple("1234567890"), [0, 1, 9, 2], [9, 0, 8, 1]),
        (("3", "7"), [7, 3, 3], [1, 0, 0]),
        (tuple("0123456789"), [4, 2], [4, 2]),
    ],
)
def test_labels_that_are_numbers_are_names_where_the_names_of_a_model_are(classes, labels, places, tmp_path):
    found = data.load(str(numbers(tmp_path / "a.npz", labels)), classes=classes, by_name=True)
    assert found.train.labels.tolist() == places
    assert "numbered-classes" not in [note.code for note in found.notes]


ORDER = tuple("1234567890")


@pytest.mark.parametrize(
    ("classes", "labels", "test", "places", "doubtful"),
    [
        (ORDER, [0, 1, 9, 2], [3], [9, 0, 8, 1], True),
        (("1", "2", "0", "7"), [0, 1], [2], [2, 0], True),
        (("1", "2", "0", "7"), [0, 1], [7], [2, 0], False),  # 7 is no place
        (("0", "1", "4", "3"), [0, 1], [3], [0, 1], False),  # the places are called so
        (tuple(map(str, range(13, -1, -1))), [13, 0], [5], [0, 13], True),
    ],
)
def test_names_of_a_model_that_may_be_places_are_noted(classes, labels, test, places, doubtful, tmp_path):
    x = np.arange(5 * 64, dtype=np.uint8).reshape(-1, 8, 8)
    path = tmp_path / "a.npz"
    np.savez(path, x_train=x[: len(labels)], y_train=labels, x_test=x[:1], y_test=test)
    found = data.load(str(path), classes=classes, by_name=True)
    assert (found.train.labels.tolist(), found.numbered) == (places, False)
    assert found.test.labels.tolist() == [classes.index(str(test[0]))]
    told = [note for note in found.notes if note.code == "numbers-as-names"]
    assert len(told) == doubtful
    names = ",".join(classes) if len(classes) <= 12 else "with all of them in their order"
    assert all(f"names of the classes; if they are places (0 is {classes[0]}, 1 is " in note for note in told)
    assert all(note.endswith(f", --class-names {names} says so") for note in told)


def test_whether_labels_are_places_is_known(tmp_path):
    """Of a file of numbers, unless the names of a model decide; not of names in the file."""
    path = str(numbers(tmp_path / "a.npz", [0, 1, 9, 2]))
    assert data.load(path, classes=ORDER).numbered
    assert data.load(path, by_name=True).numbered
    assert data.load(path, classes=tuple("abcdefghij"), by_name=True).numbered
    assert not data.load(path, classes=ORDER, by_name=True).numbered
    frame = pandas.DataFrame({"label": [1, 0], "pixel0": [0, 255], "pixel1": [7, 0]})
    assert data.from_frame(frame).numbered
    assert not data.from_frame(frame.assign(label=["b", "a"])).numbered
    (tmp_path / "table.csv").write_text("label,pixel0,pixel1\nb,0,255\na,7,0\n")
    assert not data.load(str(tmp_path / "table.csv")).numbered


@pytest.mark.parametrize("test", [np.eye(10)[[4, 0]], [4, 0]])
def test_columns_of_a_single_1_are_places_whatever_the_classes_of_a_model_are_called(test, tmp_path):
    x = np.arange(4 * 64, dtype=np.uint8).reshape(-1, 8, 8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.eye(10)[[0, 1, 9, 2]], x_test=x[:2], y_test=test)
    found = data.load(str(tmp_path / "a.npz"), classes=ORDER, by_name=True)
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([0, 1, 9, 2], [4, 0])
    (note,) = [note for note in found.notes if note.code == "numbered-classes"]
    assert "places of the classes: 0 is 1, 1 is 2" in note


def test_a_number_that_is_no_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"image 2: label of no class; expected 3 or 7, as the classes are .*, found 0"):
        data.load(str(numbers(tmp_path / "a.npz", [3, 0])), classes=("3", "7"), by_name=True)


def test_places_of_classes_with_other_names_are_noted(tmp_path):
    found = data.load(str(numbers(tmp_path / "a.npz", [0, 2])), classes=("ant", "bee", "cat"), by_name=True)
    assert found.train.labels.tolist() == [0, 2]
    (note,) = [note for note in found.notes if note.code == "numbered-classes"]
    assert note.endswith("places of the classes: 0 is ant, 1 is bee, 2 is cat; --class-names says otherwise")


@pytest.mark.parametrize("form", ["csv", "parquet", "parquet of text", "npz", "npz of text", "frame", "frame of text"])
def test_whether_labels_are_names_or_places_of_classes_called_by_other_numbers_is_noted(form, tmp_path):
    """Numbers are places, text is names: the note says which, in all formats."""
    labels = np.array([3, 1, 7, 3])
    frame = pandas.DataFrame(np.arange(4 * 64, dtype=np.uint8).reshape(4, 64)).add_prefix("pixel")
    frame.insert(0, "label", labels.astype(str) if "text" in form else labels)
    path = tmp_path / "a"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif "parquet" in form:
        frame.to_parquet(path)
    elif "npz" in form:
        with path.open("wb") as file:
            np.savez(
                file,
                x=frame.to_numpy()[:, 1:].astype(np.uint8).reshape(4, 8, 8),
                y=frame["label"].to_numpy("U1" if "text" in form else int),
            )
    load = data.from_frame if "frame" in form else lambda _, **options: data.load(str(path), **options)
    found = load(frame, classes=ORDER)
    told = [note for note in found.notes if note.code in ("numbered-classes", "numbers-as-names")]
    text = "text" in form
    assert [found.classes[label] for label in found.train.labels] == (list("3173") if text else list("4284"))
    assert [note.code for note in told] == ["numbers-as-names" if text else "numbered-classes"]
    assert ("names of the classes, not as their places: 1, 2, 3," if text else "0 is 1, 1 is 2") in told[0]
    told = [note.code for note in load(frame).notes]
    assert not {"numbered-classes", "numbers-as-names"} & {*told}


def test_the_label_of_the_first_class_is_said(tmp_path):
    reading = Reading(first_label=3)
    found = data.load(str(numbers(tmp_path / "a.npz", [3, 4])), classes=("3", "4"), by_name=True, reading=reading)
    assert found.train.labels.tolist() == [0, 1]
    assert "numbered-classes" not in [note.code for note in found.notes]


def test_labels_that_are_not_what_their_classes_are_called_are_noted(tmp_path):
    """Of a file with labels from 1, the model's class 0 is the first: a 1 is then no 1."""
    path, reading = str(numbers(tmp_path / "a.npz", [1, 2])), Reading(first_label=1)
    found = data.load(path, classes=tuple("0123"), by_name=True, reading=reading)
    assert found.train.labels.tolist() == [0, 1]
    (note,) = [note for note in found.notes if note.code == "numbered-classes"]
    assert note.endswith("places of the classes: 1 is 0, 2 is 1, 3 is 2, 4 is 3; --class-names says otherwise")


def test_class_folders_have_no_first_label(tmp_path):
    (tmp_path / "0").mkdir()
    with pytest.raises(
        UsageError, match=r"--first-label: has no effect; expected labels that are numbers, found .*, wh"
    ):
        data.load(str(tmp_path), reading=Reading(first_label=1))


def test_a_model_of_transposed_images_reads_known_sets_upright_and_notes_others(tmp_path):
    turned = Preprocessing(transpose=True)
    assert data.load("digits", preprocessing=turned).train.x.tolist() == data.load("digits").train.x.tolist()
    path = numbers(tmp_path / "a.npz", [0, 1])
    assert "transposed" in [note.code for note in data.load(str(path), preprocessing=turned).notes]
    told = []
    data.read_images(path, (8, 8), turned, notify=told.append)
    assert "transposed" in [note.code for note in told]


def test_exact_paper_has_no_noise_where_ink_touches_the_edge(tmp_path):
    """Tight crops, inverted: the bytes of the crops."""
    x = data.load("digits").train.x.reshape(-1, 28, 28)[:, 6:22, 6:22]
    plain, dark = (
        data.load(str(numbers(tmp_path / f"{name}.npz", np.arange(len(x)) % 10, images)))
        for name, images in (("plain", x), ("dark", 255 - x))
    )
    assert dark.preprocessing._replace(faint=0) == Preprocessing(paper=255, ink=0)._replace(faint=0)
    assert np.array_equal(dark.train.x, plain.train.x)
