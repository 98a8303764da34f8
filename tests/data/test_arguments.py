"""What a caller says about data: checked where it enters, and refused where it has no effect or does not fit."""

import re

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.io

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.preprocess import Reading
from fnnet.errors import ArgumentTypeError, DataError, UsageError
from fnnet.training.dev_set import load_dev_set
from tests.tools.samples import csv_file, npz, png, write

DIGITS = data.load("digits").train
X, Y = DIGITS.x[:60].reshape(-1, 28, 28), DIGITS.labels[:60]
NARROW = np.ascontiguousarray(X[:, :, 4:24])
LETTERS = tuple("abcdefghij")
NAMED = [LETTERS[label] for label in Y]


def frame_of(x, labels):
    flat = x.reshape(len(x), -1)
    return pd.DataFrame(flat, columns=[f"pixel{i}" for i in range(flat.shape[1])]).assign(label=labels)


def arff(x, labels):
    flat = x.reshape(len(x), -1)
    head = ["@relation a", *(f"@attribute pixel{i} numeric" for i in range(flat.shape[1]))]
    head += ["@attribute class {" + ",".join(map(str, sorted({*labels}))) + "}", "@data"]
    rows = [",".join(map(str, [*row, label])) for row, label in zip(flat.tolist(), labels, strict=True)]
    return "\n".join([*head, *rows, ""]).encode()


def saved(form, folder, x, labels):
    """Return what holds images as rows of pixels: a file, or a frame."""
    flat, path = x.reshape(len(x), -1), folder / f"a.{form}"
    if form == "npz":
        npz(path, x=flat, y=np.array(labels))
    elif form == "csv":
        frame_of(x, labels).to_csv(path, index=False)
    elif form == "parquet":
        frame_of(x, labels).to_parquet(path)
    elif form == "lists":
        path = folder / "a.pq"
        pd.DataFrame({"image": list(flat), "label": labels}).to_parquet(path)
    elif form == "hdf5":
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = flat, labels
    elif form == "mat":
        scipy.io.savemat(path, {"X": flat, "y": np.array(labels)})
    elif form == "arff":
        write(path, arff(x, labels))
    elif form == "pandas":
        return frame_of(x, labels)
    else:
        return pl.from_pandas(frame_of(x, labels))
    return path


def load(given, **said):
    return (data.from_frame if isinstance(given, (pd.DataFrame, pl.DataFrame)) else data.load)(given, **said)


FORMS = ["npz", "csv", "parquet", "lists", "hdf5", "mat", "arff", "pandas", "polars"]


def said_for(form, **fields):
    return Reading(**fields, transpose=False if form == "mat" else None)


@pytest.mark.parametrize("form", FORMS)
def test_a_size_that_does_not_fit_is_refused(form, tmp_path, run):
    option = "flat" if form in ("pandas", "polars") else "--image-size"
    x = X if form != "lists" else NARROW
    given, reading = saved(form, tmp_path, x, Y), said_for(form)
    for flat in ((28, 20) if x is X else (28, 28), (27, 28)):
        with pytest.raises(UsageError, match=f"^{option}: images have another size; expected .*, found {flat[0]}x"):
            load(given, flat=flat, reading=reading)
        if option != "flat":
            result = run("data", "info", "--data", given, "--image-size", f"{flat[0]}x{flat[1]}", "--no-transpose")
            result.failed(2, "--image-size: images have another size")
    height, width = x.shape[1:]
    for flat in ((height, width), (2 * height, width // 2)):
        assert load(given, flat=flat, reading=reading).image_shape == flat
    assert load(given, flat=[np.int64(height), width], reading=reading).image_shape == (height, width)


def test_the_size_of_images_in_colours_stored_as_rows_is_refused(tmp_path):
    colours = np.repeat(NARROW[..., None], 3, -1)
    words = "another size; expected 1,680 pixels, as 1x1680 has, found 28x20; give the size that the images have"
    for form in ("npz", "csv", "pandas"):
        with pytest.raises(UsageError, match=words):
            load(saved(form, tmp_path, colours, Y), flat=(28, 20))


def test_the_size_of_images_that_have_one_is_refused(tmp_path):
    path = npz(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(UsageError, match="images have another size; expected 28x28, found 14x56; give"):
        data.load(path, flat=(14, 56))
    for label in ("a", "b"):
        png(tmp_path / "folders" / label / "1.png", X[0])
    with pytest.raises(UsageError, match="another size; expected 784 pixels, as 28x28 has, found 9x9; give"):
        data.load(tmp_path / "folders", flat=(9, 9))
    scaled = data.load(tmp_path / "folders", flat=(9, 8), reading=Reading(size=(9, 8)))
    assert scaled.image_shape == (9, 8)
    assert data.load(tmp_path / "folders", flat=(9, 8), preprocessing=scaled.preprocessing).image_shape == (9, 8)
    with pytest.raises(UsageError, match="images have another size"):
        data.load("digits", flat=(14, 14))
    assert data.load("digits", flat=(28, 28)).image_shape == (28, 28)


@pytest.mark.parametrize(
    ("flat", "error", "words"),
    [
        (28, ArgumentTypeError, r"flat is not a size; expected \(height, width\), such as \(28, 28\), found 28$"),
        ("28x28", ArgumentTypeError, "flat is not a size; .* found '28x28'"),
        ((28, 28, 1), UsageError, r"flat is not a size; .* found \(28, 28, 1\)"),
        ((-28, -28), UsageError, "flat, the height, out of range; expected an integer >= 1, found -28"),
        ((28, 0), UsageError, "flat, the width, out of range; expected an integer >= 1, found 0"),
        ((28.0, 28), ArgumentTypeError, "flat, the height, is not an integer; expected an integer >= 1, found 28.0"),
    ],
)
def test_a_size_is_two_whole_numbers(flat, error, words, tmp_path):
    for form in FORMS:
        with pytest.raises(error, match=words):
            load(saved(form, tmp_path, X, Y), flat=flat)
    with pytest.raises(error, match=words.replace("flat", "shape", 1)):
        data.read_images(npz(tmp_path / "b.npz", x=X), flat)


WRONG = [
    ("pixel_max", 0, UsageError, "out of range; expected an integer >= 1, found 0"),
    ("pixel_max", 300, UsageError, "out of range; expected at most 255, found 300"),
    ("pixel_max", "max", UsageError, "is unknown; expected 1 to 255, 'auto' or None, found 'max'"),
    ("pixel_max", 1.5, ArgumentTypeError, "is not an integer"),
    ("ink", "Light", UsageError, "is unknown; expected auto, light or dark, found 'Light'"),
    ("ink", None, ArgumentTypeError, "is not text; expected auto, light or dark, found None"),
    ("transpose", "False", ArgumentTypeError, "is not a truth value; expected True or False, or None, found 'False'"),
    ("transpose", 1, ArgumentTypeError, "is not a truth value; expected True or False, or None, found 1"),
    ("first_label", "1", ArgumentTypeError, "is not an integer; expected an integer >= 0, found '1'"),
    ("first_label", -1, UsageError, "out of range; expected an integer >= 0, found -1"),
    ("first_label", None, ArgumentTypeError, "is not an integer; expected an integer >= 0, found None"),
    ("label_column", 1, ArgumentTypeError, "is not text; expected text: first, last, .*, found 1; write it in quotes"),
    ("image", "no", ArgumentTypeError, "is not a truth value; expected True or False, found 'no'"),
    ("first_index", 2, UsageError, "out of range; expected at most 1, found 2"),
    ("first_index", -1, UsageError, "out of range; expected an integer >= 0, found -1"),
    ("size", 28, ArgumentTypeError, r"is not a size; expected \(height, width\)"),
    ("size", (28, 513), UsageError, "the width, out of range; expected at most 512, found 513"),
]


@pytest.mark.parametrize(("field", "value", "error", "words"), WRONG)
def test_each_field_of_a_reading_is_checked(field, value, error, words, tmp_path):
    reading = Reading(**{field: value})
    for given in (npz(tmp_path / "a.npz", x=X, y=Y), "digits", frame_of(X, Y)):
        with pytest.raises(error, match=rf"^Reading\.{field}\b.*{words}"):
            load(given, reading=reading)
    if field in ("label_column", "image", "first_index", "transpose"):
        with pytest.raises(error, match=rf"^{field}\b.*{words}"):
            data.read_images(npz(tmp_path / "b.npz", x=X), (28, 28), **{field: value})


def test_values_of_numpy_are_taken_as_pythons(tmp_path):
    path = npz(tmp_path / "a.npz", x=X // 16, y=Y + 1)
    reading = Reading(pixel_max=np.uint8(15), transpose=np.True_, first_label=np.int64(1), image=np.False_)
    with pytest.raises(ArgumentTypeError, match=r"reading is not a Reading; expected fnnet\.data\.Reading"):
        data.load(path, reading={"ink": "dark"})
    found = data.load(path, reading=reading)
    assert found.preprocessing == Preprocessing(15, 0, 15, transpose=True, faint=found.preprocessing.faint)
    assert np.array_equal(found.train.labels, Y)
    assert data.load(path, reading=Reading(pixel_max="auto", first_label=1)).preprocessing.pixel_max == 15


def test_the_preprocessing_and_other_arguments_are_checked(tmp_path):
    path = npz(tmp_path / "a.npz", x=X, y=Y)
    for given in (path, "digits", frame_of(X, Y)):
        with pytest.raises(ArgumentTypeError, match="preprocessing is not a Preprocessing; expected that of a model"):
            load(given, preprocessing=Reading())
        with pytest.raises(UsageError, match=r"preprocessing is unknown; expected pixel_max .*, found \(255, 0, 300"):
            load(given, preprocessing=Preprocessing(ink=300))
    with pytest.raises(UsageError, match="preprocessing is unknown; expected transpose, resize and signed"):
        data.read_images(path, (28, 28), Preprocessing(transpose="no"))
    with pytest.raises(ArgumentTypeError, match="by_name is not a truth value"):
        data.load(path, by_name="no")
    with pytest.raises(ArgumentTypeError, match="data_dir is not a folder; expected a path or None, found 3"):
        data.load("mnist", 3)


NO_PATHS = [
    (["a.png"], ArgumentTypeError, r"found \['a.png'\]"), (("a", "b"), ArgumentTypeError, r"found \('a', 'b'\)"),
    (None, ArgumentTypeError, "found None"), (3, ArgumentTypeError, "found 3"), (X, ArgumentTypeError, "found array"),
    (b"a.png", ArgumentTypeError, "found b'a.png'"), ("", UsageError, "found ''"), ("a\0", UsageError, "found 'a"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "words"), NO_PATHS)
def test_what_is_no_path_is_refused(given, error, words):
    """No text is not the folder in which the program runs."""
    several = isinstance(given, (list, tuple))
    with pytest.raises(error, match=f"^no data set; expected a name or a path, {words}") as raised:
        data.load(given)
    assert ("; name one file or folder that holds all images" in str(raised.value)) is several
    with pytest.raises(error, match=f"^no file of images; expected a path or a frame, {words}") as raised:
        data.read_images(given, (28, 28))
    assert ("; numpy.concatenate([read_images(path, shape) for path in paths])" in str(raised.value)) is several
    with pytest.raises(error, match=f"^dev_data; expected a path, {words}"):
        load_dev_set(given, data.load("digits"))
    with pytest.raises(ArgumentTypeError, match=r"not a frame; expected a DataFrame .*; fnnet\.data\.load reads files"):
        data.from_frame(given)


def test_a_frame_is_read_by_a_function_of_its_own():
    with pytest.raises(ArgumentTypeError, match=r"no data set; .* path, found a frame; read a frame by from_frame$"):
        data.load(frame_of(X, Y))


DARK = Preprocessing(200, paper=200, ink=9)


@pytest.mark.parametrize(("known", "said", "words"), [
    (DARK, {"ink": "light"}, r"ink: contradicts preprocessing; expected 'dark', found 'light'; leave it out, or give"),
    (Preprocessing(), {"ink": "dark"}, "ink: contradicts preprocessing; expected 'light', found 'dark'"),
    (DARK, {"pixel_max": 255}, "pixel_max: contradicts preprocessing; expected 200, found 255"),
    (Preprocessing(), {"pixel_max": "auto"}, "pixel_max: contradicts preprocessing; expected 255, found auto"),
    (Preprocessing(), {"size": (28, 28)}, r"size: contradicts preprocessing; expected None, found \(28, 28\)"),
])  # fmt: skip
def test_a_reading_that_contradicts_the_preprocessing_is_refused(known, said, words, tmp_path):
    """Not passed over: the preprocessing decides how pixels are read."""
    for given in (npz(tmp_path / "a.npz", x=X, y=Y), frame_of(X, Y)):
        with pytest.raises(UsageError, match=rf"^Reading\.{words}"):
            load(given, reading=Reading(**said), preprocessing=known)


def test_a_reading_that_agrees_with_the_preprocessing_is_none_the_worse(tmp_path):
    x = np.minimum(255 - X, 200)
    for given in (npz(tmp_path / "a.npz", x=x, y=Y), frame_of(x, Y)):
        expected = load(given, preprocessing=DARK)
        found = load(given, reading=Reading(pixel_max=200, ink="dark", transpose=False), preprocessing=DARK)
        assert np.array_equal(found.train.x, expected.train.x)
        assert found.preprocessing == expected.preprocessing


def test_the_size_of_pictures_is_that_of_the_preprocessing(tmp_path):
    for label in ("a", "b"):
        png(tmp_path / label / "1.png", X[0])
    scales = Preprocessing(resize=True)
    pictures = pd.DataFrame({"image": [png(tmp_path / "a.png", x).read_bytes() for x in X], "label": Y})
    for given in (tmp_path, pictures):
        for flat in (None, (14, 12)):
            found = load(given, flat=flat, reading=Reading(size=(14, 12)), preprocessing=scales)
            assert found.image_shape == (14, 12)
        with pytest.raises(UsageError, match=r"^Reading\.size: contradicts preprocessing; expected \(9, 9\), found"):
            load(given, flat=(9, 9), reading=Reading(size=(14, 12)), preprocessing=scales)


@pytest.mark.parametrize("form", ["npz", "csv", "parquet", "pandas", "polars"])
def test_classes_that_are_not_given_are_called_by_labels_from_the_first_on(form, tmp_path, run):
    given = saved(form, tmp_path, X, Y + 1)
    found = load(given, reading=Reading(first_label=1))
    assert found.classes == tuple(map(str, range(1, 11)))
    assert np.array_equal(found.train.labels, Y)
    assert load(given, reading=Reading(first_label=1), classes=data.DIGITS).classes == data.DIGITS
    assert load(given, reading=Reading(first_label=1), classes=LETTERS).classes == LETTERS
    as_text = load(saved(form, tmp_path, X, [str(label + 1) for label in Y]), reading=Reading(first_label=1))
    assert as_text.classes == found.classes
    assert np.array_equal(as_text.train.labels, Y)
    if form not in ("pandas", "polars"):
        document = run("data", "info", "--data", given, "--first-label", 1, "--json").json
        assert tuple(document["classes"]) == found.classes


@pytest.mark.parametrize("form", ["npz", "csv", "parquet", "hdf5", "arff", "pandas", "polars"])
def test_names_of_classes_that_the_data_has_not_are_refused(form, tmp_path, run):
    given = saved(form, tmp_path, X, NAMED)
    option = "classes" if form in ("pandas", "polars") else "--class-names"
    count = "the length of classes" if form in ("pandas", "polars") else "--classes"
    with pytest.raises(UsageError, match=f"^{option}: names differ; expected a, .*, as the data names them, found k, "):
        load(given, classes=tuple("klmnopqrst"))
    with pytest.raises(UsageError, match=f"^{count}: number of classes differs; expected 10, as .* has, found 12"):
        load(given, classes=list(map(str, range(12))))
    assert load(given, classes=[*LETTERS]).classes == load(given).classes == LETTERS
    assert load(given, classes=list(map(str, range(10)))).classes == LETTERS
    if form not in ("pandas", "polars"):
        run("data", "info", "--data", given, "--class-names", "k,l,m").failed(2, "--class-names: names differ")
        run("data", "info", "--data", given, "--classes", 12).failed(2, "--classes: number of classes differs")


def test_classes_of_folders_and_of_data_sets_with_a_name_are_their_own(tmp_path):
    for label in ("a", "b"):
        png(tmp_path / label / "1.png", X[0])
    for given, names in ((tmp_path, "a, b"), ("digits", "0, 1")):
        with pytest.raises(UsageError, match=f"--class-names: names differ; expected {names}"):
            data.load(given, classes=("b", "a"))
    assert data.load(tmp_path, classes=("a", "b")).classes == ("a", "b")
    assert data.load("digits", classes=["b", "a"], by_name=True).classes == data.DIGITS, "those of a model"


@pytest.mark.parametrize("said", [
    {"pixel_max": 16}, {"ink": "dark"}, {"transpose": False}, {"first_label": 1}, {"label_column": "last"},
    {"image": True}, {"first_index": 0}, {"size": (14, 14)},
])  # fmt: skip
def test_a_data_set_with_a_name_is_read_in_one_way(said):
    option = next(iter(said)).replace("_", "-")
    with pytest.raises(UsageError, match=f"^--{option}: has no effect; expected --data PATH, found --data digits"):
        data.load("digits", reading=Reading(**said))


def test_the_folder_of_mnist_is_refused_for_other_data(tmp_path):
    for given in (npz(tmp_path / "a.npz", x=X, y=Y), "digits"):
        with pytest.raises(UsageError, match="--data-dir: has no effect; expected --data auto or mnist, found --data "):
            data.load(given, str(tmp_path))


def test_frames_refuse_what_files_refuse(tmp_path):
    pictures = pd.DataFrame({"image": [png(tmp_path / "a.png", x).read_bytes() for x in X], "label": Y})
    assert data.from_frame(pictures, reading=Reading(size=(14, 12))).image_shape == (14, 12)
    with pytest.raises(UsageError, match=r"^size=.*: has no effect; .* found a frame of numbers"):
        data.from_frame(saved("pandas", tmp_path, X, Y), reading=Reading(size=(14, 12)))
    words = "^first_label: has no effect; expected labels that are numbers, found a frame, which names its classes"
    for library in ("pandas", "polars"):
        with pytest.raises(UsageError, match=words):
            data.from_frame(saved(library, tmp_path, X, NAMED), reading=Reading(first_label=1))


# A test set stored as rows.


def test_rows_of_a_test_set_have_the_size_of_training(tmp_path):
    x, few = NARROW[:40], NARROW[40:].reshape(20, -1)
    labels = Y[:40], Y[40:]
    arrays = {"x_train": x, "y_train": labels[0], "x_test": few, "y_test": labels[1]}
    npz(tmp_path / "a.npz", **arrays)
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, each in arrays.items():
            file[name] = each
    for name, each in arrays.items():
        np.save(tmp_path / f"{name}.npy", each)
    for part, images, given in (("train", list(x.tolist()), labels[0]), ("test", list(few), labels[1])):
        pd.DataFrame({"image": images, "label": given}).to_parquet(tmp_path / f"{part}.parquet")
    named = [f"{row}x{column}" for row in range(1, 29) for column in range(1, 21)]
    csv_file(tmp_path / "b-test.csv", np.column_stack([labels[1], few]).tolist())
    pd.DataFrame(np.column_stack([labels[0], x.reshape(40, -1)]), columns=["label", *named]).to_csv(
        tmp_path / "b.csv", index=False
    )
    for name in ("a.npz", "a.mat", "a.h5", "x_train.npy", "train.parquet", "b.csv"):
        found = data.load(tmp_path / name, reading=said_for(name[2:]))
        assert found.image_shape == (28, 20), name
        assert np.array_equal(found.train.x, x.reshape(40, -1)), name
        assert np.array_equal(found.test.x, few), name
        assert not [note for note in found.notes if note.code == "one-row"], name


def test_a_test_set_of_another_size_is_refused(tmp_path):
    for x, test in ((NARROW, X.reshape(60, -1)), (NARROW.reshape(60, -1), NARROW), (NARROW, NARROW.transpose(0, 2, 1))):
        path = npz(tmp_path / "a.npz", x_train=x, y_train=Y, x_test=test, y_test=Y)
        with pytest.raises(DataError, match=re.escape("image sizes differ; expected test images (")):
            data.load(path)
