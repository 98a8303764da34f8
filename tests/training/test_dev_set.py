"""Images for validation: their labels mean what those of the data for training mean."""

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data.convert import convert
from fnnet.data.preprocess import Reading
from fnnet.training.dev_set import load_dev_set
from tests.tools.samples import csv_file

DIGITS = data.load("digits")
X, Y = DIGITS.train.x[:100], DIGITS.train.labels[:100]
OTHER = DIGITS.test.x[:60], DIGITS.test.labels[:60]
ORDER = tuple("1234567890")
"""Names of SVHN's classes: digit 0 is the last."""


def table(path, x, labels):
    return csv_file(path, np.column_stack([labels, x]).tolist())


def places(labels):
    return (labels - 1) % 10


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("form", ["csv", "npz", "one-hot", "folder"])
def test_labels_that_are_places_in_training_are_places_in_validation(form, frame, first, tmp_path):
    """Though the classes are called by numbers in another order; not those of a folder, which has their names."""
    x, labels = OTHER
    reading = Reading(first_label=first)
    path = table(tmp_path / "train.csv", X, places(Y) + first)
    if frame:
        pandas = pytest.importorskip("pandas")
        dataset = data.from_frame(pandas.read_csv(path), classes=ORDER, reading=reading)
    else:
        dataset = data.load(str(path), classes=ORDER, reading=reading)
    assert np.array_equal(dataset.train.labels, places(Y))
    dev = tmp_path / f"dev.{form}"
    if form == "csv":
        table(dev, x, places(labels) + first)
    elif form == "folder":
        convert(DIGITS._replace(train=Examples(x, labels), test=None), dev, "png")
    else:
        dev = tmp_path / "dev.npz"
        given = places(labels) + first if form == "npz" else np.eye(10)[places(labels)]
        np.savez(dev, x=x.reshape(-1, 28, 28), y=given)
    notes = []
    found = load_dev_set(dev, dataset, notes.append, reading)
    if form == "folder":
        assert np.bincount(found.labels).tolist() == np.bincount(places(labels)).tolist()
    else:
        assert np.array_equal(found.labels, places(labels))
    told = [note for note in notes if note.code in ("numbered-classes", "numbers-as-names")]
    assert [note.code for note in told] == ["numbered-classes"] * (form != "folder")
    one = first if form != "one-hot" else 0
    assert all(f"places of the classes: {one} is 1, {one + 1} is 2" in note for note in told)
    assert all("--class-names" not in note for note in told)


def test_labels_of_validation_are_names_where_those_of_training_are(tmp_path):
    """Of class folders called by numbers, in the order of a model."""
    folders = DIGITS._replace(train=Examples(X, Y), test=None)
    convert(folders, tmp_path / "train", "png")
    dataset = data.with_classes(data.load(str(tmp_path / "train")), ORDER)
    labels = OTHER[1]
    notes = []
    found = load_dev_set(table(tmp_path / "dev.csv", OTHER[0], labels), dataset, notes.append)
    assert [dataset.classes[each] for each in found.labels] == [str(each) for each in labels]
    (note,) = [note for note in notes if note.code == "numbers-as-names"]
    assert note.endswith("labels are numbers, taken as the names of the classes")
