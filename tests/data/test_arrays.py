"""Arrays of NumPy as people name, shape and type them, in NPZ and in NPY: the same bytes and labels, or refused."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from fnnet import data
from fnnet.core.params import freeze
from fnnet.data import arrays
from fnnet.data.roles import Role, beside, role_of
from fnnet.errors import DataError, UsageError
from tests.tools.samples import missing_parts, npy, write

RNG = np.random.default_rng(5)
X = freeze(RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8))
Y = freeze(np.arange(12) % 3)
NAMES = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("trainX", "trainy", "testX", "testy"),
    ("training_images", "training_labels", "testing_images", "testing_labels"),
    ("x", "y", "x_test", "y_test"),
    ("images", "labels", None, None),
    ("data", "target", None, None),
    ("X", "y", None, None),
    ("features", "targets", None, None),
]
SHAPES = {
    "as it is": lambda x: x,
    "channel last": lambda x: x[..., None],
    "channel first": lambda x: x[:, None],
    "three equal channels": lambda x: np.repeat(x[..., None], 3, axis=3),
    "three equal channels first": lambda x: np.repeat(x[:, None], 3, axis=1),
    "opaque": lambda x: np.concatenate([np.repeat(x[..., None], 3, 3), np.full((*x.shape, 1), x.dtype.type(255))], 3),
    "Fortran's order": np.asfortranarray,
}
TYPES = ["uint8", "int64", ">i2", "uint16", "float32", ">f8"]
LABELS = {
    "as they are": lambda y: y,
    "a column": lambda y: y[:, None],
    "bytes": lambda y: y.astype(np.uint8),
    "floats": lambda y: y.astype(np.float32),
    "one-hot": lambda y: np.eye(3, dtype=np.float32)[y],
    "one-hot integers": lambda y: np.eye(3, dtype=int)[y],
}


def load(path):
    return data.load(path, classes=("a", "b", "c"))


def codes(dataset):
    return [note.code for note in dataset.notes]


def same(examples, x, labels):
    np.testing.assert_array_equal(examples.x.reshape(x.shape), x)
    np.testing.assert_array_equal(examples.labels, labels)


@given(
    st.sampled_from(NAMES),
    st.sampled_from([*SHAPES]),
    st.sampled_from(TYPES),
    st.sampled_from([*LABELS]),
    st.booleans(),
)
def test_archives_of_any_names_shapes_and_types(tmp_path_factory, names, shape, dtype, labels, val):
    path = tmp_path_factory.mktemp("a") / "a.npz"
    make, code = SHAPES[shape], LABELS[labels]
    members = {names[0]: make(X[:8].astype(dtype)), names[1]: code(Y[:8])}
    if names[2]:
        members |= {names[2]: make(X[8:].astype(dtype)), names[3]: code(Y[8:])}
    if val:
        members |= {"val_images": X[:2], "val_labels": Y[:2]}
    np.savez(path, **members)
    found = load(path)
    same(found.train, X[:8], Y[:8])
    assert (found.test is None) == (names[2] is None)
    if found.test:
        same(found.test, X[8:], Y[8:])
    assert found.image_shape == (6, 5)
    assert codes(found).count("one-hot") == ("one-hot" in labels) * (1 + bool(names[2]))
    assert codes(found).count("not-used") == val
    to_predict = X[8:] if names[2] else X[:8]
    np.testing.assert_array_equal(data.read_images(path, (6, 5)).reshape(to_predict.shape), to_predict)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_scaled(dtype, tmp_path):
    np.savez(tmp_path / "a.npz", x_train=(X / 255).astype(dtype), y_train=Y)
    found = load(tmp_path / "a.npz")
    same(found.train, X, Y)
    assert codes(found) == ["unit-pixels"]


def test_truth_values_are_black_and_white(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X > 127, y_train=Y)
    found = load(tmp_path / "a.npz")
    same(found.train, np.where(X > 127, 255, 0), Y)
    assert "unit-pixels" not in codes(found)


def test_colour_becomes_luma_and_alpha_lies_on_black(tmp_path):
    colour = RNG.integers(0, 256, (12, 6, 5, 4), dtype=np.uint8)
    weighed = colour[..., :3].astype(int) @ [19595, 38470, 7471]
    for channels, exact in (
        (3, (weighed + 2**15) // 2**16),
        (4, (weighed * colour[..., 3] + 255 * 2**15) // (255 * 2**16)),
    ):
        np.savez(tmp_path / "a.npz", x=colour[..., :channels], y=Y)
        same(load(tmp_path / "a.npz").train, exact, Y)


def test_large_arrays_are_converted_in_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr(arrays, "PIECE", 64)
    np.savez(tmp_path / "a.npz", x=np.repeat((X / 255)[..., None], 3, axis=3), y=Y)
    same(load(tmp_path / "a.npz").train, X, Y)
    wrong = X.astype(float)
    wrong[9, 2, 3] = 7.5
    np.savez(tmp_path / "a.npz", x=wrong, y=Y)
    with pytest.raises(DataError, match=r"x\[9, 2, 3\]: pixel is not a whole number; .* found 7.5; round them"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (("x_train.npy", "y_train.npy"), ("x_test.npy", "y_test.npy")),
        (("X_train.npy", "Y_train.npy"), ("X_test.npy", "Y_test.npy")),
        (("train_images.npy", "train_labels.npy"), ("test_images.npy", "test_labels.npy")),
        (("images.npy", "labels.npy"), None),
        (("data.npy", "target.npy"), None),
        (("digits-data.npy", "digits-targets.npy"), None),
        (("trainX.npy", "trainY.npy"), ("testX.npy", "testY.npy")),
        (("trainx.npy", "trainy.npy"), ("testx.npy", "testy.npy")),
        (("Xtrain.npy", "ytrain.npy"), ("Xtest.npy", "ytest.npy")),
        (("EMNIST_train.npy", "EMNIST_train_labels.npy"), ("EMNIST_test.npy", "EMNIST_test_labels.npy")),
        (("EMNIST_train_images.npy", "EMNIST_train_labels.npy"), ("EMNIST_test_images.npy", "EMNIST_test_labels.npy")),
        (("train.npy", "labels-train.npy"), ("test.npy", "labels-test.npy")),
    ],
)
def test_arrays_in_files_of_their_own(names, test, tmp_path):
    write(tmp_path / names[0], npy(X[:8]))
    with pytest.raises(DataError, match="no labels; expected a file of labels beside it"):
        load(tmp_path / names[0])
    write(tmp_path / names[1], npy(Y[:8]))
    assert load(tmp_path / names[0]).test is None
    if test:
        write(tmp_path / test[0], npy(X[8:]))
        write(tmp_path / test[1], npy(Y[8:]))
        same(load(tmp_path / names[0]).test, X[8:], Y[8:])
    same(load(tmp_path / names[0]).train, X[:8], Y[:8])
    if test:
        with pytest.raises(DataError, match=r"these are labels; expected a file of images|no labels; expected"):
            load(tmp_path / names[1])


def test_kuzushiji_s_archives(tmp_path):
    """A single unnamed array in each of four files."""
    for part, rows in (("train", slice(8)), ("test", slice(8, None))):
        np.savez_compressed(tmp_path / f"kmnist-{part}-imgs.npz", X[rows])
        with pytest.raises(DataError, match="labels missing"):
            load(tmp_path / f"kmnist-{part}-imgs.npz")
        np.savez_compressed(tmp_path / f"kmnist-{part}-labels.npz", Y[rows])
    found = load(tmp_path / "kmnist-train-imgs.npz")
    same(found.train, X[:8], Y[:8])
    same(found.test, X[8:], Y[8:])
    found = load(tmp_path / "kmnist-test-imgs.npz")
    same(found.train, X[8:], Y[8:])
    assert found.test is None
    assert data.read_images(tmp_path / "kmnist-test-imgs.npz", (6, 5)).shape == (4, 30)


def test_cut_and_huge_arrays_are_refused(tmp_path, monkeypatch):
    content = npy(X)
    write(tmp_path / "labels.npy", npy(Y))
    for length in range(6, len(content), 7):
        with pytest.raises(DataError):
            load(write(tmp_path / "images.npy", content[:length]))
    monkeypatch.setattr("fnnet.data.npy.MAX_ARRAY", 100)
    with pytest.raises(DataError, match="array too large"):
        load(write(tmp_path / "images.npy", content))


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "images.npy", npy(X))

    def shrink(*arguments):
        path.write_bytes(b"\x93NUMPY")

    monkeypatch.setattr("fnnet.data.npy.check_expansion", shrink)
    monkeypatch.setattr("io.DEFAULT_BUFFER_SIZE", 1)
    large = write(path, npy(np.zeros((2000, 30, 30), np.uint8)))
    with pytest.raises(DataError, match="damaged NPY"):
        data.read_images(large, (30, 30))


@given(st.text(max_size=20))
def test_any_name_has_a_role_or_none(name):
    role = role_of(name)
    assert role is None or role.part in ("", "train", "test", "val")


@pytest.mark.parametrize("name", ["a", "x_y", "train_test_x", "x_image", "labels_x", "train", "x_train_old", ""])
def test_names_that_say_no_role_or_two(name):
    assert role_of(name) in (None, Role("", labels=False))
    assert role_of(name) is None or name == "x_image"


def test_a_suffix_is_no_word(tmp_path):
    (tmp_path / "digits.labels").touch()
    assert beside(tmp_path / "digits.data", labels=True) is None


def many(shape, channels):
    x = RNG.integers(0, 256, (12, *shape), dtype=np.uint8)
    return x, np.repeat(x[..., None], channels, axis=3)


@given(st.sampled_from([1, 3, 4]), st.sampled_from([1, 3, 4]), st.integers(1, 9), st.booleans())
def test_channels_that_may_be_along_two_axes_are_refused_unless_the_size_shows_them(
    tmp_path_factory, channels, other, side, last
):
    """(12, 1, 30, 4) is 12 grey images of 30 x 4, or of 1 x 30 with opacity."""
    path = tmp_path_factory.mktemp("a") / "a.npz"
    shape = (other, side) if last else (side, other)
    x, coloured = many(shape, channels)
    coloured[..., 3:] = 255
    np.savez(path, x=coloured if last else np.moveaxis(coloured, 3, 1), y=Y)
    remedy = "store grey" if channels == side == other else "say --image-size HxW, or store grey"
    with pytest.raises(DataError, match=f"x: the axis of the channels is not clear; .*; {remedy}"):
        data.load(path)
    if not channels == side == other:
        assert np.abs(data.load(path, flat=shape).train.x.astype(int) - x.reshape(12, -1)).max() <= 1


@pytest.mark.parametrize("save", [np.save, np.savez])
@pytest.mark.parametrize(
    ("made", "count"),
    [
        (lambda x: x[0], 1),
        (lambda x: x[0].ravel(), 1),
        (lambda x: x[0][..., None], 1),
        (lambda x: np.repeat(x[0][..., None], 3, axis=2), 1),
        (lambda x: x[:1], 1),
        (lambda x: x[:6], 6),
        (lambda x: x[:5].reshape(5, -1), 5),
    ],
)
def test_one_image_alone_is_one(save, made, count, tmp_path):
    """The size of a model's images shows it."""
    path = tmp_path / f"a.{'npy' if save is np.save else 'npz'}"
    save(path, made(X))
    np.testing.assert_array_equal(data.read_images(path, (6, 5)), X[:count].reshape(count, -1))


def test_what_may_be_several_images_is_several():
    for shape, stored in (
        ((6, 6), (6, 6, 6)),
        ((1, 5), (1, 5)),
        ((3, 3), (3, 3, 3)),
        ((6, 5), (3, 6, 5)),
        (None, (6, 5)),
    ):
        assert arrays.one_image(np.zeros(stored), shape, "a", "x").shape == stored


@pytest.mark.parametrize(("pixels", "noted"), [(3 * 784, True), (784, False), (63, False), (65, True)])
def test_rows_that_are_no_squares_are_noted_unless_their_size_is_said(pixels, noted, tmp_path):
    """Such as rows of three colours."""
    x = RNG.integers(0, 256, (12, pixels), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=Y)
    found = data.load(tmp_path / "a.npz")
    assert [note.code for note in found.notes if note.code == "one-row"] == ["one-row"] * noted
    assert found.image_shape == (1, pixels) or not noted
    found = data.load(tmp_path / "a.npz", flat=(1, pixels))
    assert "one-row" not in [note.code for note in found.notes]
    np.savez(tmp_path / "a.npz", x=x[:, None, :], y=Y)  # an array of images
    assert "one-row" not in [note.code for note in data.load(tmp_path / "a.npz").notes]


DIGITS = data.load("digits").test.x
ALIKE, UNLIKE = DIGITS[0], DIGITS[[0, 3, 1, 5]]
PLANES = {
    "grey in colours": np.stack([ALIKE] * 3),
    "blue ink on white": np.stack([255 - ALIKE * fraction for fraction in (0.9, 0.8, 0.4)]),
    "white ink, opaque": np.stack([ALIKE, ALIKE, ALIKE, np.full(784, 255)]),
}
DOUBTFUL = {
    "red ink": np.stack([ALIKE, 0 * ALIKE, 0 * ALIKE]),
    "blank": np.zeros((3, 784)),
    "blank and opaque": np.stack([ALIKE, ALIKE, 0 * ALIKE, np.full(784, 255)]),
    "digits": UNLIKE[:3],
    "four digits": UNLIKE,
}


def stored(planes, axis, kind, folder):
    x = np.moveaxis(np.rint(planes).astype(np.uint8).reshape(-1, 28, 28), 0, axis)
    path = folder / f"x_test.{kind}"
    if kind == "mat":
        savemat(path, {"x_test": x})
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["x_test"] = x
    else:
        np.save(path, x)
    return path


@pytest.mark.parametrize("kind", ["npy", "h5", "mat"])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", PLANES)
def test_three_planes_alike_are_one_picture_in_colours(name, axis, kind, tmp_path):
    """Not three pictures in grey."""
    x = data.read_images(stored(PLANES[name], axis, kind, tmp_path), (28, 28))
    assert len(x) == 1
    assert abs(np.corrcoef(x[0], ALIKE)[0, 1]) > 0.99


@pytest.mark.parametrize("kind", ["npy", "h5", "mat"])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", DOUBTFUL)
def test_three_planes_that_may_be_colours_or_images_are_refused(name, axis, kind, tmp_path):
    path = stored(DOUBTFUL[name], axis, kind, tmp_path)
    with pytest.raises(
        DataError, match=r"one picture in colours, or several in grey; .*store one picture in colours as"
    ):
        data.read_images(path, (28, 28))


@pytest.mark.parametrize("kind", ["npy", "h5", "mat"])
def test_planes_that_have_nothing_in_common_are_images_in_grey(kind, tmp_path):
    x = RNG.integers(0, 256, (3, 784), dtype=np.uint8)
    assert np.array_equal(data.read_images(stored(x, 0, kind, tmp_path), (28, 28)), x)
    path = stored(x, -1, kind, tmp_path)
    if kind == "mat":  # which has images along the last axis
        assert np.array_equal(data.read_images(path, (28, 28)), x)
    else:
        with pytest.raises(DataError, match="one picture in colours, or several in grey"):
            data.read_images(path, (28, 28))


@pytest.mark.parametrize("kind", ["npy", "h5"])
def test_the_remedy_of_planes_is_read(kind, tmp_path):
    for planes, shape, count in ((UNLIKE[:3], (3, 28, 28, 1), 3), (DOUBTFUL["red ink"], (1, 3, 28, 28), 1)):
        path = tmp_path / f"x_test.{kind}"
        x = planes.reshape(shape).astype(np.uint8)
        if kind == "npy":
            np.save(path, x)
        else:
            with h5py.File(path, "w") as file:
                file["x_test"] = x
        assert len(data.read_images(path, (28, 28))) == count


@pytest.mark.parametrize("sizes", [(784, 1), (1, 784), (784, 1, 1), (1, 784, 1), (1, 1, 784)])
def test_images_of_one_row_or_column_are_rows_of_pixels(sizes, tmp_path):
    """Where these make a square, with a note, or have the size that is said."""
    x = RNG.integers(0, 256, (12, 784), dtype=np.uint8)
    for number, save in enumerate((np.savez, written_by_h5py)):
        path = tmp_path / f"{number}.npz"
        save(path, x=x.reshape(-1, *sizes), y=Y)
        line = "784x1" if sizes[0] == 784 else "1x784"
        for flat, shape, noted in (
            (None, (28, 28), True),
            ((14, 56), (14, 56), False),
            ((784, 1), (784, 1), False),
            ((1, 784), (1, 784), False),
        ):
            found = data.load(path, flat=flat)
            assert found.image_shape == shape
            assert np.array_equal(found.train.x, x)
            told = [note for note in found.notes if note.code == "rows-of-pixels"]
            assert [note.endswith(f"28x28; --image-size {line} says otherwise") for note in told] == [True] * noted
        with pytest.raises(UsageError, match="another size; expected 784 pixels, as 28x28 has, found 20x20"):
            data.load(path, flat=(20, 20))
        assert data.read_images(path, (28, 28)).shape == (12, 784)


def written_by_h5py(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


@pytest.mark.parametrize("sizes", [(785, 1), (1, 60), (49, 1), (28, 28), (1, 784, 3)])
def test_images_of_one_row_that_make_no_square_stay_so(sizes):
    x = RNG.integers(0, 256, (12, *sizes), dtype=np.uint8)
    found, notes = arrays.rows_of_pixels(x, "x", None)
    assert found is x
    assert notes == []


@pytest.mark.parametrize("shape", [(6, 5, 12), (30, 12)])
@pytest.mark.parametrize("save", [np.savez, written_by_h5py])
def test_images_along_the_last_axis_are_told_by_the_number_of_labels(save, shape, tmp_path):
    save(tmp_path / "a.npz", x=np.zeros(shape, np.uint8), y=Y)
    message = r"x: the images lie along the last axis; expected 12 images .*; store np.moveaxis\(x, -1, 0\)"
    with pytest.raises(DataError, match=message) as caught:
        data.load(tmp_path / "a.npz")
    assert missing_parts(caught.value) == []


@pytest.mark.parametrize("stored", [(72, 7), (9, 8, 7), (72, 1)])
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_images_to_predict_along_the_last_axis_are_refused_as_such(form, stored, tmp_path):
    path = tmp_path / f"a.{form}"
    x = np.zeros(stored, np.uint8)
    np.save(path, x) if form == "npy" else np.savez(path, x=x)
    with pytest.raises(
        DataError, match="the images lie along the last axis; expected images along the first axis"
    ) as raised:
        data.read_images(path, (9, 8))
    assert "np.moveaxis(x, -1, 0)" in raised.value.fix


# As many images as rows or columns


def smooth(n, *shape):
    """Images whose neighbouring pixels are alike."""
    waves = np.random.default_rng(7).random((n, 2, 1, 1))
    rows, columns = np.indices(shape)
    return np.uint8(127 + 120 * np.sin(6 * waves[:, 0] + (0.1 + 0.2 * waves[:, 1]) * (rows + columns)))


def stored_in(form, path, x, labels=True):
    y = np.arange(len(x)) % 3
    if form == "npz":
        np.savez(path / "a.npz", images=x, **({"labels": y} if labels else {}))
        return path / "a.npz"
    if form == "npy":
        np.save(path / "y_train.npy", y)
        np.save(path / "x_train.npy", x)
        return path / "x_train.npy"
    with h5py.File(path / "a.h5", "w") as file:
        file["images"], file["labels"] = x, y
    return path / "a.h5"


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("form", ["npz", "npy", "hdf5"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_as_many_images_as_rows_and_columns_lie_along_the_axis_that_their_pixels_show(form, kind, tmp_path):
    x = smooth(12, 12, 12).astype(kind)
    found = load(stored_in(form, tmp_path, x))
    assert np.array_equal(found.train.x, x.reshape(12, -1))
    assert np.array_equal(data.read_images(tmp_path / found.name, (12, 12)), found.train.x)
    path = stored_in(form, tmp_path, np.moveaxis(x, 0, -1))
    message = (
        r"the images lie along the last axis; .* found shape \(12, 12, 12\), which .*; store np.moveaxis\(x, -1, 0"
    )
    for read in (load, lambda path: data.read_images(path, (12, 12))):
        with pytest.raises(DataError, match=message) as raised:
            read(path)
        assert missing_parts(raised.value) == []
    noise = RNG.integers(0, 256, (12, 12, 12), dtype=np.uint8)
    path = stored_in(form, tmp_path, noise)
    message = r"the axis of the images is not clear; .*, found shape \(12, 12, 12\); store \(n, height, width, 1\)"
    for read in (load, lambda path: data.read_images(path, (12, 12))):
        with pytest.raises(DataError, match=message) as raised:
            read(path)
        assert missing_parts(raised.value) == []
    assert np.array_equal(load(stored_in(form, tmp_path, noise[..., None])).train.x, noise.reshape(12, -1))


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_the_size_of_an_image_shows_the_axis_of_the_images(form, tmp_path):
    noise = RNG.integers(0, 256, (12, 9, 12), dtype=np.uint8)
    path = stored_in(form, tmp_path, noise)
    with pytest.raises(DataError, match="the axis of the images is not clear"):
        load(path)
    assert np.array_equal(data.load(path, flat=(9, 12), classes=("a", "b", "c")).train.x, noise.reshape(12, -1))
    assert np.array_equal(data.read_images(path, (9, 12)), noise.reshape(12, -1))


def test_arrays_of_one_value_or_of_few_pixels_are_read_along_the_first_axis(tmp_path):
    for x in (np.zeros((12, 12, 12), np.uint8), RNG.integers(0, 256, (5, 5, 5), dtype=np.uint8)):
        path = stored_in("npz", tmp_path, x, labels=False)
        assert np.array_equal(data.read_images(path, x.shape[1:], notify=list), x.reshape(len(x), -1))


@pytest.mark.parametrize("form", ["npz", "npy", "hdf5"])
@pytest.mark.usefixtures("inside")
def test_one_image_of_one_column_lies_along_either_axis(form, tmp_path):
    x = RNG.integers(0, 256, (1, 80, 1), dtype=np.uint8)
    assert np.array_equal(load(stored_in(form, tmp_path, x)).train.x, x.reshape(1, -1))


@pytest.mark.parametrize("form", ["npz", "npy", "hdf5"])
@pytest.mark.usefixtures("inside")
def test_images_of_two_ranges_in_one_array_are_not_to_be_rounded(form, tmp_path):
    x = X.astype(np.float64)
    x[::2] /= 255
    with pytest.raises(DataError, match=r"pixel is not a whole number; .*; scale all images alike") as raised:
        load(stored_in(form, tmp_path, x))
    assert missing_parts(raised.value) == []
    x = X + 0.25
    x[0], x[1] = 0, 1
    with pytest.raises(DataError, match=r"round them"):
        load(stored_in(form, tmp_path, x - x.min()))
