"""Data sets written in every form are read as they were."""

import os

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data.convert import convert, form_of
from fnnet.data.preprocess import Reading
from fnnet.errors import StorageError, UsageError
from tests.tools.samples import csv_file

DIGITS = data.load("digits")
SMALL = DIGITS._replace(
    train=Examples(DIGITS.train.x[:60], DIGITS.train.labels[:60]),
    test=Examples(DIGITS.test.x[:30], DIGITS.test.labels[:30]),
)
OUT = {"npz": "a.npz", "csv": "a.csv", "idx": "folder", "png": "folder"}


def in_order(examples):
    """Rows by label, then by pixels: class folders have an order of their own."""
    rows = np.column_stack([examples.labels, examples.x])
    return rows[np.lexsort(rows.T[::-1])]


def same(found, expected):
    np.testing.assert_array_equal(in_order(found), in_order(expected))


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("form", OUT)
def test_what_is_written_is_read(form, test, tmp_path):
    dataset = SMALL if test else SMALL._replace(test=None)
    path = tmp_path / OUT[form]
    written = convert(dataset, path, form)
    found = data.load(path)
    same(found.train, SMALL.train)
    if form == "csv":
        assert written == [str(tmp_path / name) for name in ["a.csv", "a-test.csv"][: 1 + test]]
        if test:
            same(data.load(tmp_path / "a-test.csv").train, SMALL.test)
    else:
        assert written == [str(path)]
        assert (found.test is None) == (not test)
        if test:
            same(found.test, SMALL.test)
    assert found.image_shape == (28, 28)
    assert found.classes == DIGITS.classes
    assert found.notes == ()
    assert len(list(tmp_path.iterdir())) == len(written), "nothing else is left"


def test_oblong_images_and_other_classes(tmp_path):
    x = np.arange(2 * 24, dtype=np.uint8).reshape(2, 24) * 5
    dataset = SMALL._replace(train=Examples(x, np.array([1, 0])), test=None, classes=("b", "a"), image_shape=(4, 6))
    convert(dataset, tmp_path / "new" / "folder")
    found = data.load(tmp_path / "new" / "folder")
    assert (found.classes, found.image_shape) == (("a", "b"), (4, 6))
    np.testing.assert_array_equal(found.train.x, x)


@pytest.mark.parametrize("form", ["idx", "png"])
@pytest.mark.parametrize("there", ["a file", "files in the folder"])
def test_nothing_is_replaced(form, there, tmp_path):
    path = tmp_path / "out"
    if there == "a file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine").touch()
    with pytest.raises(StorageError, match="would replace what is there"):
        convert(SMALL, path, form)
    assert os.listdir(tmp_path) == ["out"]
    if there != "a file":
        (path / "mine").unlink()
        convert(SMALL, path, form)
        same(data.load(path).train, SMALL.train)


@pytest.mark.parametrize("name", ["a/b", "..", "."])
def test_class_names_that_no_folder_can_have(name, tmp_path):
    dataset = SMALL._replace(classes=(name, *DIGITS.classes[1:]))
    with pytest.raises(UsageError, match="class name; expected names that a folder can have"):
        convert(dataset, tmp_path / "out", "png")
    assert os.listdir(tmp_path) == []


def test_labels_that_idx_cannot_hold(tmp_path):
    dataset = SMALL._replace(train=Examples(SMALL.train.x[:2], np.array([0, 256])))
    with pytest.raises(UsageError, match=r"too many classes for IDX; expected labels of at most 255, .* found 256"):
        convert(dataset, tmp_path / "out", "idx")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fails_leaves_nothing(monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", fail)
    with pytest.raises(StorageError, match="No space left"):
        convert(SMALL, tmp_path / "out", "png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".txt", ".zip", ".png"])
def test_names_that_say_no_form(suffix):
    with pytest.raises(UsageError, match=r"unknown form; expected a name with \.npz or \.csv, or a folder"):
        form_of(f"a{suffix}")
    assert form_of(f"a{suffix}", "csv") == "csv"


def test_from_the_command_line(run, tmp_path):
    """Dark ink becomes light, the notes are told, and the input is not replaced."""
    x, labels = SMALL.train
    path = csv_file(tmp_path / "dark.csv", np.column_stack([labels, 255 - x]).tolist())
    document = run("data", "convert", "light.npz", "--data", path, "--json").json
    assert document["images"] == {"train": 60, "test": 0}
    assert document["written"] == ["light.npz"]
    assert [note["code"] for note in document["notes"]] == ["dark-ink"]
    same(data.load("light.npz").train, SMALL.train)
    result = run("data", "convert", "folder", "--to", "idx", "--data", "light.npz")
    assert result.out.splitlines()[-1] == "saved folder"
    same(data.load("folder").train, SMALL.train)
    run("data", "convert", path, "--data", path).failed(2, "would replace another file")
    run("data", "convert", "a.txt", "--data", path).failed(2, "unknown form")
    assert data.load(path, reading=Reading(ink="light")).train.x.tolist() == (255 - x).tolist()
