"""Tables in NPZ, NPY, HDF5 and MATLAB files: rows of numbers that are no pixels."""

import h5py
import numpy as np
import pytest
import scipy.io

import fnnet
from fnnet import data
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("inside")
GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 3)) * [1, 100, 1e-3] + [5, -2, 0]
LABELS = GENERATOR.integers(0, 3, 60)


def npz(path, **arrays):
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz"


def hdf5(path, **arrays):
    with h5py.File(path / "a.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values.astype("S") if values.dtype.kind == "U" else values
    return path / "a.h5"


def matlab(path, **arrays):
    scipy.io.savemat(path / "a.mat", arrays)
    return path / "a.mat"


def npy(path, x_train, y_train, x_test=None, y_test=None):
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, values in arrays.items():
        if values is not None:
            np.save(path / f"{name}.npy", values)
    return path / "x_train.npy"


FORMATS = pytest.mark.parametrize("save", [npz, npy, hdf5, matlab])


def csv(path):
    rows = [f"{','.join(map(repr, row))},{label}" for row, label in zip(X.tolist(), LABELS.tolist(), strict=True)]
    (path / "a.csv").write_text("\n".join(rows) + "\n")
    return path / "a.csv"


@FORMATS
def test_rows_of_numbers_are_read_as_those_of_csv(save, tmp_path):
    first = data.load(csv(tmp_path), reading=Reading(label_column="last"))
    found = data.load(save(tmp_path, x_train=X, y_train=LABELS))
    assert found.train.x.tobytes() == first.train.x.tobytes()
    assert np.array_equal(found.train.labels, first.train.labels)
    assert found.classes == first.classes == ("0", "1", "2")
    assert found.preprocessing == first.preprocessing
    model, _ = fnnet.fit(found, epochs=2)
    again = data.load(
        tmp_path / "a.csv", reading=Reading(label_column="last"), preprocessing=model.preprocessing, flat=(1, 3),
        classes=model.classes,
    )  # fmt: skip
    assert np.array_equal(again.train.x, found.train.x)


@FORMATS
def test_a_test_set_is_standardised_as_training_and_may_lack_a_class(save, tmp_path):
    part = np.arange(60) % 4 == 0
    held = part & (LABELS != 1)
    path = save(tmp_path, x_train=X[~part], y_train=LABELS[~part] + 4, x_test=X[held], y_test=LABELS[held] + 4)
    found = data.load(path)
    assert (found.classes, found.preprocessing.scaling.names) == (("4", "5", "6"), ("", "", ""))
    assert np.array_equal(found.test.labels, LABELS[held])
    x = X[~part]
    assert np.allclose(found.test.x, (X[held] - x.mean(0)) / x.std(0), atol=1e-5)


@pytest.mark.parametrize("save", [npz, hdf5, matlab])
def test_names_of_classes(save, tmp_path):
    names = np.array(["up", "down", "flat"])
    found = data.load(save(tmp_path, data=X, target=LABELS, target_names=names))
    assert (found.classes, found.train.labels.tolist()) == (("up", "down", "flat"), LABELS.tolist())
    found = data.load(save(tmp_path, x_train=X, y_train=names[LABELS]))
    assert found.classes == ("down", "flat", "up")
    assert [found.classes[each] for each in found.train.labels] == names[LABELS].tolist()


@FORMATS
def test_rows_to_predict(save, tmp_path):
    first = data.load(csv(tmp_path), reading=Reading(label_column="last"))
    path = save(tmp_path, x_train=X, y_train=LABELS)
    assert np.array_equal(data.read_images(path, (1, 3), first.preprocessing), first.train.x)
    named = first.preprocessing._replace(scaling=first.preprocessing.scaling._replace(names=("a", "b", "c")))
    notes = []
    data.read_images(path, (1, 3), named, notify=notes.append)
    assert [note.code for note in notes] == ["columns-unnamed"]
    path = save(tmp_path, x_train=X[:, :2], y_train=LABELS)
    with pytest.raises(DataError, match="columns differ from those of training; expected 3 columns, found 2 columns"):
        data.read_images(path, (1, 3), named)


@FORMATS
def test_many_columns_are_a_table_if_it_is_said(save, tmp_path):
    wide = GENERATOR.standard_normal((40, 81))
    path = save(tmp_path, x_train=wide, y_train=LABELS[:40])
    with pytest.raises(DataError) as raised:
        data.load(path, reading=Reading(transpose=False) if save is matlab else Reading())
    assert "if each column is a measurement, say --table" in str(raised.value)
    found = data.load(path, reading=Reading(table=True))
    assert (found.image_shape, found.train.x.dtype) == ((1, 81), np.float32)
    path = save(tmp_path, x_train=wide.reshape(40, 9, 9), y_train=LABELS[:40])
    with pytest.raises(DataError, match=r"not a table; expected .*\(n, columns\), found shape \(40, 9, 9\)"):
        data.load(path, reading=Reading(table=True))


def test_what_pixels_are_stays_images(tmp_path):
    small = GENERATOR.integers(0, 256, (40, 9))
    for x, reading, flat in (
        (small.astype(np.uint8), Reading(), None), (small > 99, Reading(), None), (small / 255, Reading(), (3, 3)),
    ):  # fmt: skip
        found = data.load(npz(tmp_path, x_train=x, y_train=LABELS[:40]), reading=reading, flat=flat)
        assert (found.image_shape, found.train.x.dtype) == ((3, 3), np.uint8)
    assert data.load(npz(tmp_path, x_train=small / 255, y_train=LABELS[:40])).preprocessing.scaling is not None
    assert data.load(npz(tmp_path, x_train=small, y_train=LABELS[:40])).preprocessing.scaling is not None
    for option in ({"label_column": "last"}, {"image": True}):
        with pytest.raises(UsageError, match="has no effect"):
            data.load(tmp_path / "a.npz", reading=Reading(**option))


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.where(X[3, 1] == X, np.nan, X), LABELS, "row 4, column 2: a value is missing"),
        (np.where(X[3, 1] == X, np.inf, X), LABELS, "row 4, column 2: an infinite value"),
        (X, LABELS[:9], "counts differ"),
        (X, X[:, 0] ** 2, "label is not a whole number"),
        (X, -LABELS, "value out of range"),
        (X, np.arange(60), "the labels are measured numbers.*regression is not offered"),
        (X, LABELS * 0, "one class"),
    ],
)
def test_what_is_refused(x, labels, message, tmp_path):
    with pytest.raises(DataError, match=message):
        data.load(npz(tmp_path, x_train=x, y_train=labels))
