"""MATLAB's files as SciPy writes version 5 and as MATLAB writes version 7.3: which axis, which order of pixels."""

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.sparse import csc_matrix

import fnnet
from fnnet import data
from fnnet.data import Reading, formats, mat, named
from fnnet.data.reader import Wanted
from fnnet.errors import DataError
from fnnet.files.model import Model
from tests.tools.samples import missing_parts
from tests.tools.written import matlab_7

pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("inside")


def version_5(path, **arrays):
    savemat(path, arrays)
    return path


def compressed(path, **arrays):
    savemat(path, arrays, do_compression=True)
    return path


def version_4(path, **arrays):
    """Matrices alone, of floats and of whole numbers of 8 to 32 bits."""
    savemat(path, arrays, format="4")
    return path


SAVES = st.sampled_from([version_5, compressed, matlab_7])
ARRAYS = {
    "last": lambda x: np.moveaxis(x, 0, -1),
    "first": lambda x: x,
    "colour last": lambda x: np.repeat(np.moveaxis(x, 0, -1)[:, :, None], 3, 2),
    "colour first": lambda x: np.repeat(x[..., None], 3, -1),
    "channel last": lambda x: np.moveaxis(x[:, None], 0, -1),
}
"""Arrays whose axes say which pixel is which."""
ROWS = {
    "rows": lambda x: x.reshape(len(x), -1),
    "columns": lambda x: x.reshape(len(x), -1).T,
}
LABELS = {
    "column": lambda y: y[:, None],
    "row": lambda y: y[None],
    "ones in rows": lambda y: np.eye(10)[y],
    "ones in columns": lambda y: np.eye(10, dtype=np.uint8)[y].T,
}


def images(n, height, width):
    return np.random.default_rng(n).integers(0, 256, (n, height, width), dtype=np.uint8), np.arange(n) % 10


def refused(path, message, read=data.load):
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert missing_parts(raised.value) == []


sizes = st.tuples(st.integers(11, 30), st.integers(5, 9), st.integers(5, 9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(sizes, SAVES, st.sampled_from(list(ARRAYS)), st.sampled_from(list(LABELS)), st.booleans())
def test_images_along_either_end(tmp_path, size, save, array, labels, fractions):
    """The number of labels says which; the rows and columns are as MATLAB shows them."""
    x, y = images(*size)
    stored = ARRAYS[array](x / 255 if fractions else x)
    dataset = data.load(save(tmp_path / "a.mat", X=stored, y=LABELS[labels](y)))
    assert dataset.image_shape == size[1:]
    assert np.array_equal(dataset.train.x, x.reshape(len(x), -1))
    assert np.array_equal(dataset.train.labels, y)
    assume(size[0] not in size[1:])
    assert np.array_equal(data.read_images(tmp_path / "a.mat", size[1:]), x.reshape(len(x), -1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.integers(11, 40), st.integers(2, 6), SAVES, st.sampled_from(list(ROWS)), st.booleans())
def test_rows_of_pixels_are_read_as_the_user_says(tmp_path, n, side, save, rows, by_column):
    assume(n != side * side)
    x, y = images(n, side, side)
    stored = ROWS[rows](x.transpose(0, 2, 1) if by_column else x)
    path = save(tmp_path / "a.mat", X=stored, y=y[:, None])
    refused(
        path, rf"X: an image may be stored row by row or column by column; .* found rows of {side**2} pixels; say --t"
    )
    dataset = data.load(path, reading=Reading(transpose=by_column))
    assert np.array_equal(dataset.train.x, x.reshape(n, -1))
    assert dataset.preprocessing.transpose == by_column
    order = "column by column" if by_column else "row by row"
    assert dataset.notes[0] == f"{path}: the pixels of an image are taken {order}"
    assert dataset.notes[0].code == "pixel-order"
    found = data.read_images(path, (side, side), dataset.preprocessing, notify=str)
    assert np.array_equal(found, x.reshape(n, -1))


def test_one_row_of_pixels_has_one_order(tmp_path):
    x, y = images(12, 1, 3)
    assert data.load(version_5(tmp_path / "a.mat", X=x[:, 0], y=y)).image_shape == (1, 3)


@pytest.mark.parametrize("save", [version_5, matlab_7])
def test_axes_that_may_be_either_are_refused(save, tmp_path):
    x, y = images(16, 4, 4)
    path = tmp_path / "a.mat"
    message = r"X: the axis of the images is not clear; .* found shape \(16, 16\); store images as \(height, width, n\)"
    refused(save(path, X=x.reshape(16, 16), y=y), message)
    refused(
        save(path, X=np.zeros((16, 16, 16)), y=y), r"the axis of the images is not clear; .* found shape \(16, 16, 16"
    )
    refused(path, r"found shape \(16, 16, 16\)", lambda path: data.read_images(path, (16, 16)))
    refused(save(path, X=x.reshape(16, 16)), "the axis of the images", lambda path: data.read_images(path, (4, 4)))
    refused(save(path, X=x, y=y[:9]), r"X: counts differ; expected 9 images, .* found shape \(16, 4, 4\)")
    refused(save(path, X=x, y=np.zeros((4, 16))), "the number of images is not clear; expected one axis of images and")
    refused(save(path, X=x), "the variables: labels missing; expected images and labels of each part, found X; add")


def test_a_known_size_decides_where_labels_do_not(tmp_path):
    x, y = images(6, 6, 5)
    path = version_5(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=y)
    refused(path, "the axis of the images is not clear")
    assert np.array_equal(data.load(path, flat=(6, 5)).train.x, x.reshape(6, -1))


@pytest.mark.parametrize("save", [version_5, matlab_7])
def test_images_to_predict(save, tmp_path):
    x, _ = images(5, 3, 2)
    path, want = tmp_path / "a.mat", x.reshape(5, -1)
    for stored in (x, np.moveaxis(x, 0, -1), x[:, None], want, want.T, np.moveaxis(x[..., None], 0, -1)):
        found = data.read_images(save(path, X=stored), (3, 2))
        assert np.array_equal(found, want), stored.shape
    assert np.array_equal(data.read_images(save(path, X=x[0]), (3, 2)), want[:1])
    refused(save(path, X=x), "image size does not fit the model", lambda path: data.read_images(path, (5, 4)))


@pytest.mark.parametrize("ndim", [2, 3])
def test_without_a_size_images_lie_as_matlab_lays_them(ndim):
    x = np.zeros((3, 4, 5)[:ndim])
    assert mat.images_first(x, None, Wanted(False), "X", "a").shape == ((3, 4) if ndim == 2 else (5, 3, 4))


def test_structures_as_emnist_has_them(tmp_path):
    x, y = images(12, 3, 3)
    train = {"images": x.reshape(12, -1), "labels": y[:, None], "writers": y[:, None]}
    test = {"images": x[:5].reshape(5, -1), "labels": y[:5, None]}
    path = version_5(tmp_path / "a.mat", dataset={"train": train, "test": test, "mapping": np.eye(2), "text": "a"})
    dataset = data.load(path, reading=Reading(transpose=False))
    assert np.array_equal(dataset.train.x, x.reshape(12, -1))
    assert np.array_equal(dataset.test.x, x[:5].reshape(5, -1))
    deep = {"a": {"b": {"c": {"x": x, "y": y}}}}
    refused(version_5(path, s=deep), "no array x_train; .* found no arrays")
    refused(version_5(path, s=np.array([[("a",), ("b",)]], [("x", object)])), "no array x_train")
    refused(version_5(path, text="abc", cell=np.array([1, "b"], object)), "no array x_train; .* found no arrays")
    refused(version_5(path, s={"x": np.array([1, "b"], object)}), "no array x_train")


def test_only_variables_of_numbers_count(tmp_path):
    import h5py

    x, y = images(12, 3, 3)
    found = data.load(version_5(tmp_path / "a.mat", X=x, y=y, labels=["a", "b"], test_images="text"))
    assert np.array_equal(found.train.x, x.reshape(12, -1))
    path = matlab_7(tmp_path / "b.mat", X=x, y=y)
    with h5py.File(path, "r+") as file:
        file["labels"] = np.zeros(3, np.uint16)
        file["labels"].attrs["MATLAB_class"] = "char"
        file["#refs#/images"] = np.zeros(3)
    assert np.array_equal(data.load(path).train.x, x.reshape(12, -1))


def test_ten_stands_for_zero(tmp_path, run):
    x, y = images(20, 3, 3)
    path = version_5(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=y[:, None] + 1)
    fix = "where 10 stands for the digit 0, say --first-label 1 --class-names 1,2,3,4,5,6,7,8,9,0; else correct it"
    refused(path, f"y: image 10: label out of range; expected 0 to 9, found 10; {fix}")
    options = ("--first-label", 1, "--class-names", "1,2,3,4,5,6,7,8,9,0")
    document = run("data", "info", "--data", path, *options, "--json").json
    assert document["classes"] == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"]
    assert run("data", "info", "--data", path, "--first-label", 1, "--json").json["classes"][-1] == "10"


@pytest.mark.parametrize(("option", "kept"), [("--transpose", True), ("--no-transpose", False)])
def test_the_option_on_the_command_line(option, kept, run, tmp_path):
    x, y = images(20, 3, 3)
    path = version_5(tmp_path / "a.mat", X=x.reshape(20, -1), y=y[:, None])
    run("data", "info", "--data", path).failed(1, "--transpose for column by column", "--no-transpose")
    run("train", "--data", path, "--dev", 0, "--epochs", 1, "--hidden", "", option, "--out", "m", "--quiet")
    from fnnet.files.model import load_model

    assert load_model("m").preprocessing.transpose == kept
    run("data", "info", "--data", "digits", option).failed(2, "--transpose: has no effect")
    told = [note["code"] for note in run("evaluate", "m", "--data", path, "--json").json["notes"]]
    assert [code for code in told if code in ("pixel-order", "transposed")] == ["transposed" if kept else "pixel-order"]


@given(
    SAVES,
    st.sampled_from(["logical", "double", "single", "uint8", "int16"]),
    st.sampled_from(["", "data", "train", "images"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truth_values_and_numbers_from_0_to_1_are_read_as_in_npz(tmp_path_factory, save, kind, within, other):
    """Within a structure, too, and beside a variable of something else; bytes of 0 and 1 are noted as dim."""
    path = tmp_path_factory.mktemp("in") / "a.mat"
    x, y = images(20, 6, 6)
    masks = (x > 127).astype(bool if kind == "logical" else kind)
    names = ("images", "labels") if within == "images" else ("X", "y")
    arrays = dict(zip(names, (np.moveaxis(masks, 0, -1), y[:, None]), strict=True))
    if within and save is matlab_7:
        arrays = {f"{within}/{name}": each for name, each in arrays.items()}
    elif within:
        arrays = {within: arrays}
    found = data.load(save(path, **arrays, **({"scale": np.array([[2.0]])} if other else {})))
    bright = kind in ("logical", "double", "single")
    assert np.array_equal(found.train.x, (x > 127).reshape(20, -1) * (255 if bright else 1))
    assert found.train.labels.tolist() == y.tolist()
    codes = [note.code for note in found.notes]
    assert ("dim-pixels" in codes) == (not bright)
    assert ("unit-pixels" in codes) == (kind in ("double", "single"))


@pytest.mark.parametrize(
    ("there", "images", "labels"),
    [
        (["data.X", "data.y"], "data.X", "data.y"),
        (["images.data", "images.labels", "images.set", "meta.sets"], "images.data", "images.labels"),
        (["images/data", "labels/data"], "images/data", "labels/data"),
        (["train.data.x", "train.data.y"], "train.data.x", "train.data.y"),
        (["set/x_train", "set/y_train"], "set/x_train", "set/y_train"),
    ],
)
def test_the_words_of_a_path_say_what_it_is(there, images, labels):
    chosen = named.choose(there, True, "a").names
    assert {role.labels: name for role, name in chosen.items()} == {False: images, True: labels}


def test_whole_numbers_of_matlab_s_doubles_are_doubles():
    """MATLAB keeps them as bytes."""
    assert mat._of_class(np.array([0, 1], np.uint8), "double").dtype == np.float32
    for values, kind in (([0, 2], "double"), ([0, 1], "uint8"), ([], "double")):
        assert mat._of_class(np.array(values, np.uint8), kind).dtype == np.uint8


@pytest.mark.parametrize("name", ["emnist-digits.mat", "other.mat"])
@pytest.mark.parametrize("way", ["load", "predict"])
def test_the_order_of_pixels_is_said_once(name, way, tmp_path):
    """Whatever says it, and of however many parts."""
    x, y = images(20, 6, 6)
    part = {"images": x.transpose(0, 2, 1).reshape(20, -1), "labels": y[:, None]}
    path = version_5(tmp_path / name, dataset={"train": part, "test": part})
    notes = []
    given = None if name.startswith("emnist") else True
    if way == "load":
        data.load(path, reading=Reading(transpose=given), notify=notes.append)
    else:
        found = data.read_images(path, (6, 6), transpose=given, notify=notes.append)
        assert np.array_equal(found, x.reshape(20, -1))
    told = [note for note in notes if "column" in note]
    assert [note.code for note in told] == ["transpose-name" if given is None else "pixel-order"]
    assert len(told) == 1


@pytest.mark.parametrize("height", [12, 5])
def test_a_remedy_for_the_axis_of_the_images_works(height, tmp_path):
    """Images along the last axis, as many as rows: their size shows it; of squares, nothing does."""
    x, y = images(12, height, 12 if height == 12 else 5)
    x = x if height == 12 else images(12, 12, 5)[0]
    path = version_5(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=y)
    remedy = "say --image-size HxW, or store" if height == 5 else "; store"
    refused(path, f"X: the axis of the images is not clear; .*{remedy} the images as NPZ, images first")
    if height == 5:
        assert np.array_equal(data.load(path, flat=(12, 5)).train.x, x.reshape(12, -1))


PICTURES = np.random.default_rng(8).integers(0, 256, (20, 5, 6), dtype=np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_array_of_numbers_is_named(packed, tmp_path):
    x, names = np.moveaxis(PICTURES, 0, -1), np.array(["one", "two"])[np.arange(len(PICTURES)) % 2]
    labels, path = np.arange(len(PICTURES)) % 2, tmp_path / "a.mat"
    for arrays, name, what in (
        ({"X": x, "y": labels.astype(object)}, "y", "a cell array"),
        ({"X": "text", "y": labels}, "X", "text"),
        ({"X": csc_matrix(PICTURES.reshape(len(PICTURES), -1) / 1.0), "y": labels}, "X", "a sparse matrix"),
        ({"X": x, "y": csc_matrix(labels / 1.0)}, "y", "a sparse matrix"),
    ):
        savemat(path, arrays, do_compression=packed)
        with pytest.raises(DataError, match=f": {name}: not an array of numbers; .* found {what}; store") as caught:
            data.load(path)
        assert missing_parts(caught.value) == []
        if name == "y":
            assert len(data.read_images(path, PICTURES.shape[1:])) == len(PICTURES)
    savemat(path, {"X": x, "y": labels, "data": "as Kaggle has it", "val_labels": names, "target": "digits"})
    assert np.array_equal(data.load(path).train.labels, labels)


@pytest.mark.parametrize("which", ["X", "y"])
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "structure"])
def test_complex_numbers_are_not_read_as_their_real_parts(tmp_path, which, nested):
    """MATLAB's list of variables gives the class of the parts."""
    x, y = images(20, 8, 8)
    arrays = {"X": np.moveaxis(x, 0, -1).astype(float), "y": y.astype(float)}
    arrays[which] = arrays[which] + 3j
    path = version_5(tmp_path / "a.mat", **({"set": arrays} if nested else arrays))
    refused(path, "not real numbers; expected numbers, .* found complex numbers; store real")


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", ">f8"])
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("rows", ROWS)
def test_version_4_is_read(rows, by_column, dtype, tmp_path):
    """It has matrices alone: rows of pixels, or columns."""
    x, y = images(20, 5, 6)
    stored = ROWS[rows](x.transpose(0, 2, 1) if by_column else x)
    path = version_4(tmp_path / "a", X=stored.astype(dtype), y=y[:, None].astype(float))
    if dtype == ">f8":
        path.write_bytes(swapped(path.read_bytes(), x.size, 20))
    assert formats.format_of(formats.FORMATS, path).name == "MATLAB"
    refused(
        path,
        "X: an image may be stored row by row or column by column; .* found rows of 30 pixels; say --transpose",
        lambda path: data.load(path, flat=(5, 6)),
    )
    dataset = data.load(path, flat=(5, 6), reading=Reading(transpose=by_column))
    assert np.array_equal(dataset.train.x, x.reshape(20, -1))
    assert dataset.train.labels.tolist() == y.tolist()
    found = data.read_images(path, (5, 6), transpose=by_column)
    assert np.array_equal(found, x.reshape(20, -1))


def swapped(content, *counts):
    """A file of version 4 whose variables are of 64-bit floats, with the bytes in the other order."""
    found, at = b"", 0
    for count in counts:
        kind, *rest = struct.unpack("<5i", content[at : at + 20])
        name = content[at + 20 : at + 20 + rest[3]]
        at += 20 + len(name)
        values = np.frombuffer(content, "<f8", count, at)
        found += struct.pack(">5i", kind + 1000, *rest) + name + values.astype(">f8").tobytes()
        at += 8 * count
    assert at == len(content)
    return found


def test_what_version_4_holds_besides_numbers_is_named(tmp_path):
    x, y = images(20, 5, 6)
    x, path = x.reshape(20, -1), tmp_path / "a.mat"
    names = np.array(["cat", "dog"])[y % 2]
    assert data.load(version_4(path, X=x, y=names), reading=Reading(transpose=False)).classes == ("cat", "dog")
    savemat(path, {"X": csc_matrix(x / 1.0), "y": y / 1.0}, format="4")
    refused(path, ": X: not an array of numbers; .* found a sparse matrix; store full")
    refused(version_4(path, X=x + 1j, y=y / 1.0), "not real numbers; .* found complex numbers; store real")
    refused(version_4(path, other=x), "the variables: no array x_train; expected x_train, y_train, found other")
    refused(version_4(path, X=x, y=y[:9] / 1.0), r"X: counts differ; expected 9 images, .* found shape \(20, 30\)")
    whole = version_4(path, X=x, y=y / 1.0).read_bytes()
    path.write_bytes(whole[:-9])
    refused(path, "damaged or unsupported MATLAB file; expected a whole MATLAB file, found Not enough bytes to read")


@pytest.mark.parametrize("at", [0, 2, 7, 11, 12, 16, 20])
def test_what_is_nearly_version_4_is_no_matlab_file(at, tmp_path):
    whole = version_4(tmp_path / "a", X=np.zeros((3, 3))).read_bytes()
    path = tmp_path / "b"
    path.write_bytes(whole[:at] + b"\xf9" + whole[at + 1 :])
    assert mat.FORMAT.recognise(whole, path)
    assert not mat.FORMAT.recognise(path.read_bytes(), path)
    assert not mat.FORMAT.recognise(whole[:19], path)


SIZED = r"X: image size does not fit the model; expected images of 20x28 \(height x width\) along the first or the last"


@pytest.mark.parametrize("save", [version_5, matlab_7])
@pytest.mark.parametrize("n", [12, 20, 28])
def test_images_whose_height_and_width_are_exchanged_are_not_taken_for_others(n, save, tmp_path):
    """28 images of 28x20 along the last axis have the shape of 28 of 20x28 along the first."""
    x, y = images(n, 28, 20)
    path = save(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=y)
    assert np.array_equal(data.read_images(path, (28, 20)), x.reshape(n, -1))
    turned = data.read_images(path, (20, 28), transpose=True)
    assert np.array_equal(turned, x.transpose(0, 2, 1).reshape(n, -1))
    exchanged = rf"{SIZED} axis, found shape \(28, 20, {n}\); say --transpose if they are stored column by column, else"
    unclear = r"X: the axis of the images is not clear; .* found shape \(28, 20, 28\); store the images as NPZ"
    refused(path, unclear if n == 28 else exchanged, lambda path: data.read_images(path, (20, 28)))
    back = exchanged.replace("--transpose", "--no-transpose").replace("column by column", "row by row")
    refused(path, unclear if n == 28 else back, lambda path: data.read_images(path, (28, 20), transpose=True))


def test_images_of_another_size_are_told_by_their_shape(tmp_path):
    x, y = images(12, 28, 20)
    path, other = tmp_path / "a.mat", "axis, found shape {}; scale the images to that size, or train a model for theirs"
    for stored, found in (
        (x[:, :9], r"\(12, 9, 20\)"),
        (x.reshape(12, -1)[:, 1:], r"\(12, 559\)"),
        (np.repeat(x[..., None], 2, -1), r"\(12, 28, 20, 2\)"),
    ):
        version_5(path, X=stored)
        refused(path, f"{SIZED} {other.format(found)}", lambda path: data.read_images(path, (20, 28)))
    for stored, count, found in ((x[0], 1, r"\(28, 20\)"), (x, 12, r"\(12, 28, 20\)")):
        version_5(path, X=stored)
        assert np.array_equal(data.read_images(path, (28, 20)), x.reshape(12, -1)[:count])
        refused(path, f"{SIZED} axis, found shape {found}; say --tr", lambda path: data.read_images(path, (20, 28)))
    x, y = images(28, 20, 28)
    version_5(path, X=x, y=y)
    refused(
        path,
        r"X: image size does not fit; .* found shape \(28, 20, 28\); sc",
        lambda path: data.load(path, flat=(9, 9)),
    )
    assert np.array_equal(data.load(path, flat=(20, 28)).train.x, x.reshape(28, -1)), "as the user says"


@pytest.mark.parametrize("n", [12, 28])
def test_evaluate_names_the_way_out_of_exchanged_height_and_width(n, tmp_path, run):
    x, y = images(n, 28, 20)
    path = version_5(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=y % 2)
    fnnet.save_model(tmp_path / "model", Model(fnnet.init((560, 2), 1), "relu", ("0", "1"), (20, 28)))
    result = run("evaluate", tmp_path / "model", "--data", path)
    assert result.code == 1
    if n == 28:
        assert "X: the axis of the images is not clear; expected images along" in result.err
    else:
        assert "expected 20x28 pixels and classes 0, 1, found 28x20 pixels and" in result.err
        assert "; say --transpose if they are stored column by column, else train a model for theirs" in result.err
    assert run("evaluate", tmp_path / "model", "--data", path, "--transpose").code == 0
    np.savez(tmp_path / "a.npz", x_test=x)
    result = run("predict", tmp_path / "model", tmp_path / "a.npz")
    assert "expected 20x28 (height x width), as the model was trained, found 28x20" in result.err
    assert "; say --transpose if they are stored column by column, else train a model for theirs" in result.err


@pytest.mark.parametrize("save", [version_5, matlab_7])
@pytest.mark.parametrize("turned", [False, True])
def test_images_of_one_row_or_column_have_an_order_of_pixels(turned, save, tmp_path):
    """They are rows of pixels, which may be taken row by row or column by column."""
    x, y = images(12, 9, 9)
    path = save(tmp_path / "a.mat", X=x.reshape(12, -1).T.reshape((1, 81, 12) if turned else (81, 1, 12)), y=y)
    refused(path, "an image may be stored row by row or column by column")
    found = data.load(path, reading=Reading(transpose=False))
    assert found.image_shape == (9, 9)
    assert np.array_equal(found.train.x, x.reshape(12, -1))
    assert [note.code for note in found.notes if "blank" not in note.code] == ["rows-of-pixels", "pixel-order"]


@pytest.mark.parametrize(("kind", "what"), [("cell", "a cell array"), ("char", "text")])
def test_labels_of_version_7_that_are_no_numbers_are_named(kind, what, tmp_path):
    import h5py

    path = matlab_7(tmp_path / "a.mat", X=PICTURES, y=np.zeros(20, np.uint16))
    with h5py.File(path, "r+") as file:
        file["y"].attrs["MATLAB_class"] = np.bytes_(kind)
    refused(path, f": y: not an array of numbers; .* found {what}; store")
    assert len(data.read_images(path, PICTURES.shape[1:])) == len(PICTURES)


# As many classes as images


@pytest.mark.parametrize("save", [version_5, matlab_7])
def test_a_square_of_labels_with_a_single_1(save, tmp_path):
    x, _ = images(10, 5, 7)
    labels = np.array([3, 0, 1, 2, 4, 5, 6, 7, 8, 9])
    path = save(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=np.eye(10)[labels])
    refused(
        path, r"y: the classes may be where the rows or the columns have a 1; expected one of both, found shape \(10"
    )
    swapped = np.array([1, 0, *range(2, 10)])  # which is the same by rows and by columns
    often = np.arange(10) // 2
    for wanted, values in ((swapped, np.eye(10)[swapped]), (often, np.eye(10)[often]), (often, np.eye(10)[often].T)):
        path = save(tmp_path / "a.mat", X=np.moveaxis(x, 0, -1), y=values)
        assert np.array_equal(data.load(path).train.labels, wanted)
