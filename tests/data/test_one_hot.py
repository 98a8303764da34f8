"""One-hot labels: their columns are the classes, in every format that holds arrays."""

import re

import numpy as np
import pytest
from scipy.io import savemat

from fnnet import data
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError, UsageError
from tests.tools.samples import missing_parts

h5py = pytest.importorskip("h5py")

X = np.random.default_rng(0).integers(0, 256, (40, 9, 8), np.uint8)
Y = np.arange(40) % 10
SOME = Y != 5


def npz(folder, arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def npy(folder, arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder / "x_train.npy"


def hdf5(folder, arrays):
    with h5py.File(folder / "a.h5", "w") as file:
        file.update(arrays)
    return folder / "a.h5"


def matlab(folder, arrays):
    savemat(folder / "a.mat", arrays)
    return folder / "a.mat"


FORMS = pytest.mark.parametrize("form", [npz, npy, hdf5, matlab])


def ones(labels, columns=10):
    return np.eye(columns, dtype=np.uint8)[labels]


def without_5(labels):
    """Return what pandas.get_dummies makes of labels without a 5."""
    return np.delete(ones(labels), 5, axis=1)


def arrays(y_train, y_test=None, part=slice(None)):
    found = {"x_train": X[part], "y_train": y_train}
    return found if y_test is None else found | {"x_test": X[SOME], "y_test": y_test}


def refused(path, words, **given):
    with pytest.raises(DataError, match=words) as raised:
        data.load(str(path), **given)
    assert missing_parts(raised.value) == []


@FORMS
@pytest.mark.parametrize("few", ["training", "test"])
def test_a_column_that_one_part_lacks_is_refused(form, few, tmp_path):
    lacking, whole = without_5(Y[SOME]), ones(Y[SOME])
    part, other = ("train", "test") if few == "training" else ("test", "train")
    stored = {f"x_{part}": X[SOME], f"y_{part}": lacking, f"x_{other}": X[SOME], f"y_{other}": whole}
    words = (
        rf"y_{part}.*: one-hot labels: number of columns differs .*; expected 10, as in .*y_{other}.*, found 9; give"
    )
    refused(form(tmp_path, stored), words)
    stored[f"y_{part}"] = whole
    found = data.load(str(form(tmp_path, stored)))
    assert all(np.array_equal(each.labels, Y[SOME]) for each in (found.train, found.test))


@FORMS
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("part", ["alone", "test"])
def test_a_column_that_a_model_or_the_classes_have_is_not_left_out(form, known, part, tmp_path):
    lacking = without_5(Y[SOME])
    stored = arrays(lacking, part=SOME) if part == "alone" else arrays(Y, lacking)
    path = form(tmp_path, stored)
    given = {"preprocessing": data.load("digits").preprocessing, "by_name": True} if known else {}
    end = "images" if known else "images; if there are 9 classes, say --classes 9"
    refused(path, rf"one-hot labels: .*; expected 10, one for each class, found 9; give .* without {end}$", **given)
    if part == "alone":
        found = data.load(str(path), classes=tuple("abcdefghi"))
        assert np.array_equal(found.train.labels, lacking.argmax(axis=1))


@FORMS
def test_a_column_too_many_is_refused_though_it_holds_no_image(form, tmp_path):
    refused(form(tmp_path, arrays(ones(Y, 11))), "expected 10, one for each class, found 11")


@FORMS
@pytest.mark.parametrize("labels", [Y, np.where(Y, Y, 1)])
def test_columns_have_no_first_label(form, labels, tmp_path):
    """It would be taken off the place of each: refused, also without an image of the first class."""
    path, reading = form(tmp_path, arrays(ones(labels))), Reading(first_label=1)
    words = r"^--first-label: has no effect; expected labels that are numbers, found .*y_train.*, one-hot labels, .*"
    with pytest.raises(UsageError, match=f"{words}; leave it out$") as raised:
        data.load(str(path), reading=reading)
    assert re.search("a.npz|y_train.npy|a.h5|a.mat", str(raised.value))
    assert np.array_equal(data.load(str(path)).train.labels, labels)


@FORMS
@pytest.mark.parametrize("columns", ["training", "test"])
def test_the_first_label_is_that_of_the_part_with_integers(form, columns, tmp_path):
    train, test = (ones(Y), Y[SOME] + 1) if columns == "training" else (Y + 1, ones(Y[SOME]))
    found = data.load(str(form(tmp_path, arrays(train, test))), reading=Reading(first_label=1))
    assert np.array_equal(found.train.labels, Y)
    assert np.array_equal(found.test.labels, Y[SOME])


@FORMS
def test_columns_of_some_of_a_models_classes_do_not_say_which(form, tmp_path):
    """`evaluate --classes 9` on a model of ten: the columns may be those of any nine."""
    found = data.load(str(form(tmp_path, arrays(without_5(Y[SOME]), part=SOME))), classes=tuple("012345678"))
    with pytest.raises(DataError, match=r"one-hot labels.*expected 10, one for each class, found 9") as raised:
        data.with_classes(found, tuple("0123456789"))
    assert missing_parts(raised.value) == []
    turned = tuple("876543210")
    assert np.array_equal(data.with_classes(found, turned).train.labels, 8 - found.train.labels)
