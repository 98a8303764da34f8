"""Names of classes that NPZ, HDF5 and MATLAB files hold beside images and labels: used, or passed over with a note."""

import numpy as np
import pytest
from scipy.io import savemat

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import Reading
from fnnet.errors import DataError
from tests.tools.written import matlab_7

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("inside")
X = np.random.default_rng(3).integers(0, 256, (20, 5, 6), dtype=np.uint8)
Y = np.arange(20) % 4
NAMES = ("cat", "dog", "élan", "fox")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return path


def attribute(path, **arrays):
    names = {name: array for name, array in arrays.items() if array.dtype.kind not in "biuf"}
    hdf5(path, **{name: array for name, array in arrays.items() if name not in names})
    with h5py.File(path, "r+") as file:
        for name, array in names.items():
            file["y"].attrs[name] = array.astype(object)
    return path


def cells(path, **arrays):
    savemat(path, {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in arrays.items()})
    return path


def lines(path, **arrays):
    savemat(path, arrays)
    return path


def structure(path, **arrays):
    savemat(path, {"data": {n: a.astype(object) if a.dtype.kind == "U" else a for n, a in arrays.items()}})
    return path


def cells_7(path, **arrays):
    texts = {name: array for name, array in arrays.items() if array.dtype.kind == "U"}
    matlab_7(path, **{name: array for name, array in arrays.items() if name not in texts})
    with h5py.File(path, "r+") as file:
        for name, array in texts.items():
            for number, text in enumerate(array):
                file[f"#refs#/{name}{number}"] = np.array([[ord(each)] for each in text], np.uint16)
            refs = [file[f"#refs#/{name}{number}"].ref for number in range(len(array))]
            file.create_dataset(name, data=np.array([refs], h5py.ref_dtype), dtype=h5py.ref_dtype)
            file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    return path


def lines_7(path, **arrays):
    texts = {name: array for name, array in arrays.items() if array.dtype.kind == "U"}
    matlab_7(path, **{name: array for name, array in arrays.items() if name not in texts})
    with h5py.File(path, "r+") as file:
        for name, array in texts.items():
            width = max(map(len, array))
            file[name] = np.array([[ord(each) for each in text.ljust(width)] for text in array], np.uint16).T
            file[name].attrs["MATLAB_class"] = np.bytes_("char")
    return path


SAVES = {
    "npz": npz, "hdf5": hdf5, "attribute": attribute, "cells": cells, "lines": lines, "structure": structure,
    "cells_7": cells_7, "lines_7": lines_7,
}  # fmt: skip


def saved(save, folder, **arrays):
    suffix = {"npz": "npz", "hdf5": "h5", "attribute": "h5"}.get(save, "mat")
    return SAVES[save](folder / f"a.{suffix}", **({"x": X, "y": Y} | arrays))


def notes(found):
    return [note.partition(": ")[2] for note in found.notes if note.code == "not-used"]


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("key", ["class_names", "classes", "label_names", "target_names", "names", "categories"])
def test_names_of_classes_are_those_of_the_labels(key, save, tmp_path):
    found = data.load(saved(save, tmp_path, **{key: np.array(NAMES)}))
    assert found.classes == NAMES
    assert np.array_equal(found.train.labels, Y)
    assert found.notes == ()
    assert not found.numbered


@pytest.mark.parametrize("save", SAVES)
def test_names_that_do_not_fit_are_passed_over_with_a_note(save, tmp_path):
    where = {"attribute": "attribute y/classes", "structure": "data.classes"}.get(save, "classes")
    for names, why in (
        (NAMES[:3], "3 names for labels from 0 to 3"),
        ((*NAMES, "gnu"), "5 names for labels from 0 to 3"),
        (("cat", "dog", "cat", "fox"), "expected printable names, each once, found 'cat'"),
    ):
        found = data.load(saved(save, tmp_path, classes=np.array(names)))
        assert notes(found) == [f"{where} not used: {why}"]
        assert found.classes == tuple("0123456789")
    path = saved(save, tmp_path, y=Y + 1, classes=np.array(NAMES))
    (note,) = notes(data.load(path))
    assert note.endswith("4 names for labels from 1 to 4; say --first-label 1 --class-names cat,dog,élan,fox")
    assert notes(data.load(path, classes=NAMES, reading=Reading(first_label=1))) == []


def test_names_that_are_given_count(tmp_path):
    path = saved("npz", tmp_path, classes=np.array(NAMES), names=np.array(NAMES))
    assert notes(data.load(path, classes=list("abcd"))) == [
        "classes not used: the names that are given count",
        "names not used: the names that are given count",
    ]
    assert data.load(path, classes=NAMES).classes == NAMES
    assert notes(data.load(path)) == ["names not used: names of classes are in use"]


def test_the_classes_of_a_model_are_found_by_name_or_by_place(tmp_path):
    """By name if it has all of these; a test set may lack the last."""
    path = saved("npz", tmp_path, y=Y // 2, classes=np.array(["fox", "cat", "élan", "dog"]))
    known = data.load(path, classes=NAMES, preprocessing=Preprocessing(), by_name=True)
    assert known.classes == ("fox", "cat", "élan", "dog")
    other = data.load(path, classes=list("abcd"), preprocessing=Preprocessing(), by_name=True)
    assert other.classes == tuple("abcd")
    assert notes(other) == ["classes not used: the classes of the model are called otherwise"]
    codes = [note.code for note in other.notes]
    assert codes[:2] == ["numbered-classes", "not-used"]


def test_columns_of_labels_need_a_name_each(tmp_path):
    path = saved("npz", tmp_path, y=np.eye(4, dtype=int)[Y // 2], classes=np.array(NAMES))
    assert data.load(path).classes == NAMES
    path = saved("npz", tmp_path, y=np.eye(4, dtype=int)[Y // 2], classes=np.array([*"abcdefghij"]))
    with pytest.raises(DataError, match="number of columns differs"):
        data.load(path)
    assert notes(data.load(path, classes=list("wxyz"))) == ["classes not used: 10 names for labels from 0 to 3"]


@pytest.mark.parametrize(
    "names", [np.arange(4), np.array([*NAMES, 1], object), np.array([[*"ab"], [*"cd"]]), np.array("cat")]
)
def test_arrays_that_are_no_list_of_text_are_noted(names, tmp_path):
    found = data.load(saved("npz", tmp_path, classes=names))
    assert notes(found) == ["classes not used: it is not a list of text"]
    assert len(data.read_images(tmp_path / "a.npz", (5, 6))) == 20


def test_bytes_are_text(tmp_path):
    names = np.array([name.encode() for name in NAMES])
    assert data.load(saved("npz", tmp_path, list_classes=names)).classes == NAMES
    assert data.load(saved("hdf5", tmp_path, list_classes=names)).classes == NAMES


def test_what_is_no_text_in_hdf5_is_noted(tmp_path):
    path = saved("hdf5", tmp_path, classes=np.arange(4), names=np.array(NAMES))
    assert data.load(path).classes == NAMES
    with h5py.File(path, "r+") as file:
        del file["names"]
        file.create_dataset("names", shape=(2**23,), dtype="S4", chunks=(2**20,))
        file.attrs["classes"] = "cat,dog"
        time = h5py.h5t.UNIX_D32LE  # NumPy has no such type
        h5py.h5a.create(file.id, b"label_names", time, h5py.h5s.create_simple((1,)))
    assert notes(data.load(path)) == [
        f"{name} not used: it is not a list of text"
        for name in ("classes", "names", "attribute classes", "attribute label_names")
    ]


def test_cells_that_hold_no_text_are_noted(tmp_path):
    for names in (np.array([*NAMES[:3], 5], object), np.array([*NAMES[:3], np.array([1, 2])], object)):
        savemat(tmp_path / "a.mat", {"x": X, "y": Y, "classes": names})
        assert notes(data.load(tmp_path / "a.mat")) == ["classes not used: it is not a list of text"]
    path = saved("cells_7", tmp_path, classes=np.array(NAMES))
    with h5py.File(path, "r+") as file:
        file["numbers"] = np.zeros((1, 2))
        file["classes"][0, 1] = file["numbers"].ref
    assert notes(data.load(path)) == ["classes not used: it is not a list of text"]
    with h5py.File(path, "r+") as file:
        file["classes"].attrs["MATLAB_class"] = np.bytes_("double")
    assert notes(data.load(path)) == ["classes not used: it is not a list of text"]


def test_numbers_beside_a_structure_are_no_names(tmp_path):
    savemat(tmp_path / "a.mat", {"data": {"x": X, "y": Y}, "classes": np.arange(4), "names": np.array(NAMES)})
    found = data.load(tmp_path / "a.mat")
    assert found.classes == NAMES
    assert notes(found) == ["classes not used: it is not a list of text"]


LATIN = np.array([name.encode("latin-1") for name in NAMES])


def of_bytes(save, folder, names):
    if save == "attribute":
        path = saved("hdf5", folder)
        with h5py.File(path, "r+") as file:
            file["y"].attrs["classes"] = names
        return path, "attribute y/classes"
    return saved(save, folder, classes=names), "classes"


@pytest.mark.parametrize("save", ["npz", "hdf5", "attribute"])
def test_names_that_are_not_utf8_are_refused(save, tmp_path):
    """As cells of tables are: names that differ in such a byte alone would be one."""
    path, where = of_bytes(save, tmp_path, LATIN)
    with pytest.raises(DataError) as told:
        data.load(path)
    at = f"{path}: {where}[2]: text is not UTF-8; expected UTF-8, found the bytes "
    assert str(told.value).startswith(at)
    assert str(told.value).endswith("; store the names as text, or as bytes of UTF-8")
    assert len(data.read_images(path, (5, 6))) == 20


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("first", [1, 7])
def test_labels_from_1_of_as_many_classes_as_have_names(first, save, tmp_path):
    names = tuple("abcdefghij")
    path = saved(save, tmp_path, y=np.arange(20) % 10 + first, classes=np.array(names))
    where = {"attribute": "attribute y/classes", "structure": "data.classes"}.get(save, "classes")
    with pytest.raises(DataError) as told:
        data.load(path)
    assert str(told.value) == (
        f"{path}: the labels: labels do not begin at 0; expected labels from 0 to 9 for 10 names of classes in "
        f"{where}, found {first} to {first + 9}; say --first-label {first} --class-names a,b,c,d,e,f,g,h,i,j"
    )
    found = data.load(path, classes=names, reading=Reading(first_label=first))
    assert (found.classes, found.notes) == (names, ())
    assert found.train.labels.tolist() == [*range(10)] * 2


def test_labels_from_1_of_a_model_with_names(tmp_path):
    """Where 10 is not the digit 0."""
    path = saved("npz", tmp_path, y=Y + 1)
    for classes in (NAMES, tuple("0123")):
        with pytest.raises(DataError, match="label out of range; expected 0 to 3, found 4") as told:
            data.load(path, classes=classes)
        begins = "where they begin at 1, say --first-label 1; else " if classes == NAMES else ""
        assert str(told.value).endswith(f"found 4; {begins}correct it, or set --classes or --first-label")
