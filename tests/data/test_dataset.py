"""What a data set is shown as."""

import numpy as np
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


def test_a_number_that_is_no_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"image 2: label of no class; expected 3 or 7, as the classes are .*, found 0"):
        data.load(str(numbers(tmp_path / "a.npz", [3, 0])), classes=("3", "7"), by_name=True)


def test_places_of_classes_with_other_names_are_noted(tmp_path):
    found = data.load(str(numbers(tmp_path / "a.npz", [0, 2])), classes=("ant", "bee", "cat"), by_name=True)
    assert found.train.labels.tolist() == [0, 2]
    (note,) = [note for note in found.notes if note.code == "numbered-classes"]
    assert note.endswith("places of the classes: 0 is ant, 1 is bee, 2 is cat; --class-names says otherwise")


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
