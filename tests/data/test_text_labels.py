"""Labels that are text, in NPZ, NPY, HDF5 and MATLAB files: read as CSV has them; arrays that have only numbers."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.label_names import in_order
from fnnet.data.roles import role_of
from fnnet.errors import DataError
from tests.tools.samples import missing_parts
from tests.tools.written import matlab_7

pytestmark = pytest.mark.usefixtures("inside")
X = np.random.default_rng(3).integers(0, 256, (20, 9, 8), dtype=np.uint8)
NAMES = np.array(["eel", "cat", "k10", "dog", "k2"])[np.arange(20) % 5]
SORTED = ("cat", "dog", "eel", "k2", "k10")


def npz(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def hdf5(folder, **arrays):
    with h5py.File(folder / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array.astype(object) if array.dtype.kind == "U" else array
    return folder / "a.h5"


def npy(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder / "x_train.npy"


def npz_pair(folder, **arrays):
    for name, array in arrays.items():
        np.savez(folder / f"{name}.npz", array)
    return folder / "x_train.npz"


def last(arrays):
    return {name: np.moveaxis(each, 0, -1) if each.ndim == 3 else each for name, each in arrays.items()}


def mat(folder, of_text=lambda each: each.astype(object), **arrays):
    stored = {name: of_text(each) if each.dtype.kind == "U" else each for name, each in last(arrays).items()}
    savemat(folder / "a.mat", stored)
    return folder / "a.mat"


def structure(folder, **arrays):
    stored = {name: each.astype(object) if each.dtype.kind == "U" else each for name, each in last(arrays).items()}
    savemat(folder / "a.mat", {"set": stored})
    return folder / "a.mat"


def mat_7(folder, kind="cell", **arrays):
    """Cells are references to numbers of characters; a matrix of them is text."""
    texts = {name: each for name, each in arrays.items() if each.dtype.kind == "U"}
    numbers = {name: each for name, each in last(arrays).items() if name not in texts}
    path = matlab_7(folder / "a.mat", **numbers)
    with h5py.File(path, "r+") as file:
        for name, each in texts.items():
            codes = [np.array([[ord(letter)] for letter in text], np.uint16) for text in each]
            if kind == "char":
                widest = max(map(len, each))
                lines = np.array([[ord(letter) for letter in text.ljust(widest)] for text in each], np.uint16)
                made = file.create_dataset(name, data=lines.T)
            else:
                made = file.create_dataset(name, (1, len(each)), h5py.ref_dtype)
                for number, letters in enumerate(codes):
                    file[f"#refs#/{name}{number}"] = letters
                    made[0, number] = file[f"#refs#/{name}{number}"].ref
            made.attrs["MATLAB_class"] = np.bytes_(kind)
    return path


FORMS = {
    "NPZ": npz, "NPZ, bytes": lambda folder, **arrays: npz(folder, **as_bytes(arrays)), "NPY": npy,
    "NPZ, one array each": npz_pair, "HDF5": hdf5,
    "HDF5, bytes": lambda folder, **arrays: hdf5(folder, **as_bytes(arrays)),
    "MATLAB, cells": mat, "MATLAB, text": lambda folder, **arrays: mat(folder, np.ascontiguousarray, **arrays),
    "MATLAB, a structure": structure, "MATLAB 7.3, cells": mat_7,
    "MATLAB 7.3, text": lambda folder, **arrays: mat_7(folder, "char", **arrays),
}  # fmt: skip


def as_bytes(arrays):
    return {name: each.astype("S") if each.dtype.kind == "U" else each for name, each in arrays.items()}


def called(dataset, part="train"):
    return [dataset.classes[label] for label in getattr(dataset, part).labels]


def refused(path, message):
    with pytest.raises(DataError, match=message) as raised:
        data.load(path)
    assert missing_parts(raised.value) == []


@pytest.mark.parametrize("form", FORMS)
def test_names_are_classes_in_their_order_and_a_test_set_has_some_of_them(form, tmp_path):
    path = FORMS[form](tmp_path, x_train=X, y_train=NAMES, x_test=X[2:9:2], y_test=NAMES[2:9:2])
    found = data.load(path)
    assert found.classes == SORTED
    assert called(found) == NAMES.tolist()
    assert called(found, "test") == NAMES[2:9:2].tolist()
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    model = ("k2", "dog", "fox", "eel", "k10", "cat")
    known = data.load(path, classes=model, preprocessing=Preprocessing(), by_name=True)
    assert known.classes == model
    assert called(known) == NAMES.tolist()
    assert len(data.read_images(path, (9, 8))) in (4, 20)


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_are_numbers_are_numbers(form, tmp_path):
    numbers = np.array([3, 0, 9, 1])[np.arange(20) % 4]
    found = data.load(FORMS[form](tmp_path, x_train=X, y_train=numbers.astype(str)))
    assert found.classes == tuple("0123456789")
    assert found.train.labels.tolist() == numbers.tolist()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "A", "B", "C"),
        ("0", "1", "2", "3", "x"),
        ("1", "2", "3", "5", "10"),
        ("07", "08", "10", "11", "12"),
        ("12345678901234567890", "12345678901234567891", "3", "4", "5"),
    ],
)
def test_texts_beside_numbers_and_numbers_that_are_no_places_are_names(form, names, tmp_path):
    labels = np.array(names)[np.arange(20) % 5]
    found = data.load(FORMS[form](tmp_path, x_train=X, y_train=labels, x_test=X[:2], y_test=labels[:2]))
    assert found.classes == in_order(names)
    assert called(found) == labels.tolist()
    assert called(found, "test") == labels[:2].tolist()
    noted = [note for note in found.notes if note.code == "numbers-as-names"]
    assert len(noted) == all(map(str.isdecimal, names))


@pytest.mark.parametrize("form", FORMS)
def test_a_number_that_is_no_place_and_occurs_once_is_a_fault(form, tmp_path):
    path = FORMS[form](tmp_path, x_train=X, y_train=np.where(np.arange(20) == 7, 12, np.arange(20) % 4).astype(str))
    refused(path, "image 8: label out of range; expected 0 to 9, found 12; correct it, or set --classes")
    path = FORMS[form](tmp_path, x_train=X, y_train=np.arange(20).astype(str))
    refused(path, "image 11: label out of range; expected 0 to 9, found 10; correct it, or set --classes")


@pytest.mark.parametrize("form", FORMS)
def test_numbers_up_to_that_of_the_classes_of_training_are_names_in_a_test_set_too(form, tmp_path):
    """Training has the names 0 to 11, the test set only some up to 9."""
    labels = (np.arange(24) % 12).astype(str)
    x = np.concatenate([X, X[:4]])
    path = FORMS[form](tmp_path, x_train=x, y_train=labels, x_test=X[:3], y_test=labels[1:4])
    found = data.load(path)
    assert found.classes == tuple(map(str, range(12)))
    assert called(found, "test") == ["1", "2", "3"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_missing_in_tables_is_a_name_in_an_array_of_text(form, tmp_path):
    for name in ("NA", "null", "?"):
        found = data.load(FORMS[form](tmp_path, x_train=X, y_train=np.where(NAMES == "eel", name, NAMES)))
        assert called(found)[:6] == [name, "cat", "k10", "dog", "k2", name]
    for name in ("nan", "None", "")[: 2 if "MATLAB" in form else 3]:  # an empty cell is no text
        path = FORMS[form](tmp_path, x_train=X, y_train=np.where(NAMES == "eel", name, NAMES))
        more = "; if it is a class, say --class-names with all of them" if name else "$"
        refused(path, f"row 1, column .*: a label is missing; .* or remove the row{more}")


@pytest.mark.parametrize("form", ["NPZ", "NPY", "HDF5"])
@pytest.mark.parametrize(("times", "names"), [(4, None), (40, "O")])
def test_a_rare_text_among_digits_is_a_fault_and_a_common_one_a_name(form, times, names, tmp_path):
    labels = (np.arange(1000) % 10).astype("U2")
    labels[7 : 7 + times] = "O"
    path = FORMS[form](tmp_path, x_train=np.resize(X, (1000, *X.shape[1:])), y_train=labels)
    if names:
        assert called(data.load(path)) == labels.tolist()
    else:
        refused(path, "row 8, column .*: not a label; .* found 'O'")


@pytest.mark.parametrize("form", ["NPZ", "NPY", "HDF5"])
@pytest.mark.parametrize(("one", "other"), [("eel", "eel "), ("1", "01")])
def test_texts_that_become_one_label_are_noted(form, one, other, tmp_path):
    labels = np.where(NAMES == "eel", one, NAMES) if one == "eel" else (np.arange(20) % 5).astype(str)
    changed = labels.astype("U9")
    changed[np.flatnonzero(labels == one)[1]] = other
    notes = {}
    for values in (labels, changed):
        found = data.load(FORMS[form](tmp_path, x_train=X, y_train=values))
        assert called(found) == labels.tolist()
        notes[values is changed] = [note for note in found.notes if note.code == "same-label"]
    assert notes[False] == []
    assert f"{one!r} and {other!r} are read as one label" in notes[True][0]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_label_among_texts_is_named(form, tmp_path):
    mixed = np.where(np.arange(20) == 7, "cat", "3")
    refused(FORMS[form](tmp_path, x_train=X, y_train=mixed), "row 8, column .*: not a label; expected a number, as in")
    each = np.array([f"{chr(97 + number)}.png" for number in range(20)])
    path = FORMS[form](tmp_path, x_train=X, y_train=each)
    refused(path, "names that hardly ever occur twice; .* found 20 names in 20 rows; store the names of")
    test = np.where(NAMES == "eel", "ant", NAMES)
    path = FORMS[form](tmp_path, x_train=X, y_train=NAMES, x_test=X, y_test=test)
    refused(path, "classes of test and train differ; .* found ant")
    path = FORMS[form](tmp_path, x_train=X, y_train=NAMES, x_test=X, y_test=np.arange(20) % 5)
    refused(path, "classes of test and train differ; .* found numbers")


@pytest.mark.parametrize("form", ["NPZ", "HDF5"])
@pytest.mark.parametrize("stored", ["as they are called", "others", "twice"])
def test_names_that_are_stored_beside_give_the_order(form, stored, tmp_path):
    order = ["k2", "eel", "dog", "cat", "k10"]
    names = np.array({"others": ["a", "b", "c", "d", "e"], "twice": [*order, "eel"]}.get(stored, order))
    path = FORMS[form](tmp_path, x_train=X, y_train=NAMES, list_classes=names)
    found = data.load(path)
    assert found.classes == (tuple(order) if stored == "as they are called" else SORTED)
    assert called(found) == NAMES.tolist()
    assert [note.code for note in found.notes] == ["not-used"] * (stored != "as they are called")
    assert data.load(path, classes=SORTED[::-1]).classes == SORTED[::-1]


def test_texts_that_are_not_one_for_each_image_are_refused(tmp_path):
    refused(npz(tmp_path, x=X, y=NAMES[None]), r"y: no labels; expected one text for each image, found shape \(1, 20\)")
    refused(npz(tmp_path, x=X, y=NAMES[:19]), "counts differ")
    assert called(data.load(npz(tmp_path, x=X, y=NAMES[:, None]))) == NAMES.tolist()
    latin = np.array([b"caf\xe9", b"caf\xe8"])[np.arange(20) % 2]
    refused(npz(tmp_path, x=X, y=latin), r"y\[0\]: not UTF-8; expected text in UTF-8, found b'caf\\xe9'; store")
    refused(npz(tmp_path, x=X, y=NAMES.astype(object)), "pickled objects")
    refused(npz(tmp_path, x=np.full((20, 9, 8), "a"), y=NAMES), "x: dtype; expected integers, floats or truth values")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
        file.create_dataset("y", 20, h5py.ref_dtype)
    refused(tmp_path / "a.h5", "y: not numbers; .* found text or references")


@pytest.mark.parametrize("form", [mat, structure])
def test_cells_that_hold_no_texts_are_named(form, tmp_path):
    cells = np.empty(20, object)
    cells[:] = [np.arange(3)] * 20
    stored = {"X": np.moveaxis(X, 0, -1), "y": cells}
    savemat(tmp_path / "a.mat", stored if form is mat else {"set": stored})
    refused(tmp_path / "a.mat", "y: not an array of numbers; expected numbers, or one text for .* found a cell array")


def test_labels_that_are_numbers_are_preferred_to_those_of_text(tmp_path):
    path = mat(tmp_path, X=X, y=np.arange(20) % 3, labels=NAMES)
    assert data.load(path).train.labels.tolist() == (np.arange(20) % 3).tolist()


@pytest.mark.parametrize("name", ["train_set_x", "test_set_y", "train_set_images", "x_train_set", "x_train_sets"])
def test_coursera_s_names_are_known(name):
    assert role_of(name) == ("test" if "test" in name else "train", name[-1] == "y")
    assert role_of("set_x") is None
    assert role_of("train_set") is None


def test_coursera_s_files_are_read_with_the_names_of_their_classes(tmp_path):
    labels, names = np.arange(20) % 2, np.array([b"no", b"cat"])
    path = hdf5(
        tmp_path, train_set_x=np.repeat(X[..., None], 3, -1), train_set_y=labels, list_classes=names,
        test_set_x=np.repeat(X[:4, ..., None], 3, -1), test_set_y=labels[:4],
    )  # fmt: skip
    found = data.load(path)
    assert found.classes == ("no", "cat")
    assert found.train.labels.tolist() == labels.tolist()
    assert np.array_equal(found.test.x, X[:4].reshape(4, -1))


@pytest.mark.parametrize("first", ["images", "labels"])
@pytest.mark.parametrize("kind", ["numbers", "text", "column", "single 1", "floats"])
def test_two_arrays_that_are_numbered_are_told_by_their_shapes(kind, first, tmp_path):
    labels = np.arange(20) % 5
    stored = {
        "text": NAMES, "column": labels[:, None], "single 1": np.eye(5)[labels], "floats": labels / 1.0,
    }.get(kind, labels)  # fmt: skip
    arrays = (X, stored) if first == "images" else (stored, X)
    np.savez(tmp_path / "a.npz", *arrays)
    found = data.load(tmp_path / "a.npz", classes=tuple("01234"))
    assert called(found) == (NAMES.tolist() if kind == "text" else labels.astype(str).tolist())
    assert np.array_equal(found.train.x, X.reshape(20, -1))
    assert np.array_equal(data.read_images(tmp_path / "a.npz", (9, 8)), X.reshape(20, -1))


@pytest.mark.parametrize(
    "arrays",
    [
        (X, np.arange(19)), (X, X), (X, np.array(3)), (X[:, :2, :2], np.arange(20)), (np.arange(20), np.arange(20)),
        (X, NAMES.reshape(20, 1)[:, [0, 0]]), (NAMES, NAMES), (X, np.zeros((20, 2, 2))), (X, np.arange(20), X),
    ],
)  # fmt: skip
def test_numbered_arrays_of_other_shapes_are_refused(arrays, tmp_path):
    np.savez(tmp_path / "a.npz", *arrays)
    refused(tmp_path / "a.npz", "no array x_train; expected x_train, y_train, found arr_0, arr_1")


def test_two_numbered_arrays_of_which_one_is_no_labels_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", X, np.arange(20) / 3)
    refused(tmp_path / "a.npz", r"arr_1\[1\]: label is not a whole number")
