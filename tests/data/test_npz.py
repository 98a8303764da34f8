"""NPZ archives: read rightly or refused with member and remedy."""

import warnings
import zipfile

import numpy as np
import pytest
import scipy.sparse

from fnnet import data
from fnnet.data import npz as npz_reader
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError
from tests.conftest import idx_bytes
from tests.tools.samples import csv_file, missing_parts, npy, npz, raw_npz, write


def test_keras_npz(tmp_path, small_images):
    x, labels = small_images
    path = npz(
        tmp_path / "a.npz", x_train=x[:50], y_train=labels[:50], x_test=x[50:, :, :, None], y_test=labels[50:, None]
    )
    dataset = data.load(path)
    np.testing.assert_array_equal(dataset.train.x.reshape(-1, 28, 28), x[:50])
    np.testing.assert_array_equal(dataset.test.x.reshape(-1, 28, 28), x[50:])
    np.testing.assert_array_equal(dataset.test.labels, labels[50:])
    assert data.read_images(path, (28, 28)).shape == (10, 784)


@pytest.mark.parametrize("dtype", ["<i8", ">i4", "u2"])
def test_f20_npz_integers_of_any_width(dtype, tmp_path, small_images):
    x, labels = small_images
    path = npz(tmp_path / "a.npz", x_train=np.asfortranarray(x.astype(dtype)), y_train=labels.astype(dtype))
    np.testing.assert_array_equal(data.load(path).train.x.reshape(-1, 28, 28), x)


@pytest.mark.parametrize("form", ["csv", "named csv", "npz"])
def test_more_classes_than_a_byte_counts(form, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (300, 9), dtype=np.uint8)
    labels = np.arange(300)[::-1] * 7
    if form == "npz":
        path = tmp_path / "a.npz"
        np.savez(path, x_train=x, y_train=labels)
    else:
        path, header = tmp_path / "a.csv", "label," + ",".join(f"pixel{number}" for number in range(9))
        rows = [",".join(map(str, row)) for row in np.column_stack([labels, x]).tolist()]
        path.write_text("\n".join([header, *rows] if form == "named csv" else rows))
    told = Reading(label_column="first", image=True) if form == "csv" else Reading()
    found = data.load(str(path), classes=[str(number) for number in range(2100)], reading=told)
    np.testing.assert_array_equal(found.train.x, x)
    np.testing.assert_array_equal(found.train.labels, labels)
    with pytest.raises(DataError, match="label out of range; expected 0 to 255, found 2093"):
        data.load(str(path), classes=[str(number) for number in range(256)], reading=told)
    if form == "csv":
        for wrong in ("1000000," + "1," * 8 + "1", "300," + "1," * 8 + "300", "9" * 5000 + "," + "1," * 8 + "1"):
            path.write_text("\n".join([*rows, wrong]))
            with pytest.raises(DataError, match=r"line 301, column 10?: not a (label|pixel); expected a whole"):
                data.load(str(path), classes=[str(number) for number in range(2100)], reading=told)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "no array x_train; expected x_train, y_train, found a"),
        ({"x": np.zeros(3)}, "labels missing; expected images and labels of each part, found x; add the labels of x"),
        (
            {"x_train": np.array(["a", "b"]), "y_train": np.zeros(2, int)},
            "x_train: dtype; expected integers, floats or truth values, found <U1",
        ),
        (
            {"x_train": np.full((3, 4, 4), 1.5), "y_train": np.zeros(3, int)},
            r"x_train\[0, 0, 0\]: pixel is not a whole number; expected whole numbers from 0 to 255, or from 0 to 1",
        ),
        (
            {"x_train": np.full((3, 4, 4), -0.5), "y_train": np.zeros(3, int)},
            r"x_train\[0, 0, 0\]: value out of range; expected 0 to 255, 0 to 1, or -1 to 1 with -1 among them, found",
        ),
        (
            {"x_train": np.full((3, 4, 4), np.nan), "y_train": np.zeros(3, int)},
            r"x_train\[0, 0, 0\]: value out of range; expected 0 to 255, found nan",
        ),
        (
            {"x_train": np.full((3, 4, 4), 256), "y_train": np.zeros(3, int)},
            r"x_train\[0, 0, 0\]: value out of range; expected 0 to 255, found 256",
        ),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.zeros(4, int)}, "counts differ"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.ones((3, 3), int)}, "no labels.*or rows with a single 1"),
        (
            {"x_train": np.zeros((3, 4, 4), int), "y_train": np.full(3, 0.5)},
            r"y_train\[0\]: label is not a whole number",
        ),
        (
            {"x_train": np.zeros((3, 4, 4), int), "x": np.zeros((3, 4, 4), int), "X": np.zeros(3)},
            "two arrays of one kind; expected one array of images, found x and X; keep one of them, or give the other",
        ),
        (
            {f"{kind}_{part}": np.zeros(3, int) for part in ("train", "test", "holdout") for kind in "yx"},
            "two arrays of one kind; expected one array of labels of part test, found y_test and y_holdout",
        ),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.full(3, 10**6)}, "expected 0 to 999999, found 1000000"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.full(3, -1)}, r"y_train\[0\]: value out of range"),
        ({"x_train": np.zeros((0, 4, 4), int), "y_train": np.zeros(0, int)}, "no images"),
        ({"x_train": np.array([{}, {}]), "y_train": np.zeros(2, int)}, "damaged or unsupported NPZ"),
    ],
)
def test_f11_f13_f16_f19_f20_npz_that_is_refused(arrays, message, tmp_path):
    with pytest.raises(DataError, match=message):
        data.load(npz(tmp_path / "a.npz", **arrays))


def test_f17_f18_npz_with_odd_members(tmp_path, monkeypatch):
    x, y = npy(np.zeros((3, 4, 4), np.uint8)), npy(np.zeros(3, np.uint8))
    good = {"x_train.npy": x, "y_train.npy": y}
    assert len(data.load(raw_npz(tmp_path / "good.npz", **good)).train.labels) == 3
    lying = x.replace(b"(3, 4, 4)", b"(3, 9, 9)")
    for number, (members, message) in enumerate(
        [
            (good | {"x_train.npy": lying}, "as its header says"),
            (good | {"x_train.npy": b"no numbers"}, "damaged or unsupported"),
            (good | {"a__b.npy": y}, "member in a folder"),
            (good | {"x_test.npy": x}, "labels missing.*add the labels of x_test"),
        ]
    ):
        with pytest.raises(DataError, match=message):
            data.load(raw_npz(tmp_path / f"{number}.npz", **members))
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x_train.npy", x)
        archive.writestr("x_train.npy", x)
    with pytest.raises(DataError, match="member stored twice"):
        data.load(str(tmp_path / "twice.npz"))
    monkeypatch.setattr(npz_reader, "MAX_MEMBER", 100)
    with pytest.raises(DataError, match="member too large"):
        data.load(str(tmp_path / "good.npz"))


@pytest.mark.parametrize("shape", [(14, 56), (56, 14), (784, 1)])
def test_f14_images_of_another_shape_do_not_pass_for_their_number_of_pixels(shape, tmp_path):
    """Except those of one column in an archive, which are rows of pixels."""
    images_idx = write(tmp_path / "a", idx_bytes(np.zeros((2, *shape))))
    with pytest.raises(DataError, match="size does not fit"):
        data.read_images(images_idx, (28, 28))
    path = npz(tmp_path / "a.npz", x_test=np.zeros((2, *shape), np.uint8))
    if shape == (784, 1):
        assert data.read_images(path, (28, 28)).shape == (2, 784)
        return
    with pytest.raises(DataError, match="size does not fit"):
        data.read_images(path, (28, 28))


def test_flat_rows_take_the_shape_that_is_wanted(tmp_path):
    path = npz(tmp_path / "a.npz", x_test=np.zeros((2, 24), np.uint8))
    assert data.read_images(path, (4, 6)).shape == (2, 24)
    assert data.load(str(csv_file(tmp_path / "a.csv", [[1, *range(24)]])), flat=(4, 6)).image_shape == (4, 6)


@pytest.mark.parametrize("length", [1, 21, 22, 300, 65535])
def test_an_archive_with_a_comment_is_read(length, tmp_path, small_images):
    x, y = small_images
    path = tmp_path / "a.npz"
    np.savez(path, x_train=x, y_train=y)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"c" * length
    np.testing.assert_array_equal(data.load(path).train.x.reshape(x.shape), x)
    content = path.read_bytes()
    for wrong in (content[:-1], content + b"c"):
        write(path, wrong)
        with pytest.raises(DataError, match="damaged NPZ, truncated or followed by more data"):
            data.load(path)


def test_an_archive_of_64_bits_is_refused(tmp_path, small_images):
    """Its true directory is elsewhere than the record at the end says."""
    path = tmp_path / "a.npz"
    np.savez(path, x_train=small_images[0], y_train=small_images[1])
    content = path.read_bytes()
    ends = content.rindex(b"PK\5\6")
    locator = b"PK\6\7" + bytes(16)
    offset = int.from_bytes(content[ends + 16 : ends + 20], "little")
    length = (ends + 20 - offset).to_bytes(4, "little")  # the locator passes as a part of the directory
    record = content[ends : ends + 12] + length + content[ends + 16 :]
    write(path, content[:ends] + locator + record)
    with pytest.raises(DataError, match="damaged or unsupported NPZ; expected a directory up to byte"):
        data.load(path)


def test_f17_damaged_npz(tmp_path):
    npz(tmp_path / "a.npz", x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.zeros(3, np.uint8))
    content = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(DataError, match="damaged"):
        data.load(str(write(tmp_path / "b.npz", content[:-30])))


@pytest.mark.parametrize("more", ["x", "images", "data"])
def test_arrays_beside_those_of_a_part_are_noted(more, tmp_path, small_images):
    x, labels = np.arange(16, dtype=np.uint8).reshape(4, 2, 2), np.arange(4)
    path = npz(tmp_path / "a.npz", x_train=x, y_train=labels, **{more: x[:1]})
    found = data.load(path)
    assert [str(note) for note in found.notes if note.code == "not-used"] == [
        f"{path}: {more} not used: the images are x_train"
    ]
    told = []
    assert len(
        data.read_images(npz(tmp_path / "b.npz", x_test=x, x_train=x, **{more: x[:1]}), (2, 2), notify=told.append)
    )
    assert [note.partition(": ")[2] for note in told] == [f"{more} not used: the images are x_test"]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_the_numbers_of_a_sparse_matrix_are_no_images(form, tmp_path):
    """As many as an image has pixels were taken for one."""
    path = tmp_path / "a.npz"
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(np.eye(16)).asformat(form))
    for read in (lambda: data.load(path), lambda: data.read_images(path, (4, 4))):
        with pytest.raises(DataError, match="data: a sparse matrix; expected an array of all pixels, found data"):
            read()


def test_labels_of_16_bit_floats(tmp_path, small_images):
    """The largest label that is allowed is more than such a number can be."""
    x, labels = small_images
    path = npz(tmp_path / "a.npz", x_train=x, y_train=labels.astype(np.float16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(data.load(path).train.labels, labels)
        path = npz(tmp_path / "a.npz", x_train=x, y_train=np.where(labels == 3, np.nan, labels).astype(np.float16))
        with pytest.raises(DataError, match=r"y_train\[\d+\]: value out of range; .* found nan"):
            data.load(path)


def test_an_array_named_shape_is_no_sign_of_a_sparse_matrix(tmp_path, small_images):
    x, labels = small_images
    path = npz(tmp_path / "a.npz", data=x, target=labels, shape=x.shape, indices=labels)
    assert np.array_equal(data.load(path).train.labels, labels)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["a.npz", "folder/a.npz", "a.csv.gz", "a.png", "train-images-idx3-ubyte"])
def test_a_zip_archive_of_other_files_is_to_be_unpacked(name, method, tmp_path, small_images):
    inside = npz(tmp_path / "inside.npz", x=small_images[0], y=small_images[1])
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.write(inside, name)
    with pytest.raises(DataError, match=f"a ZIP archive of other files; .* found {name}; unpack it") as caught:
        data.load(tmp_path / "a.zip")
    assert missing_parts(caught.value) == []


STRANGE = {
    "datetime64": (lambda y: y.astype("M8[Y]"), r"found datetime64\[Y\]"),
    "datetime64 of 25 seconds": (lambda y: y.astype("M8[25s]"), r"found datetime64\[25s\]"),
    "timedelta64": (lambda y: y.astype("m8[ns]"), r"found timedelta64\[ns\]"),
    "structured": (
        lambda y: np.zeros(y.shape, [("a", "<i4"), ("b", "u1")]),
        r"a structured dtype, \('a', '<i4'\), \('b",
    ),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("name", ["x_train", "y_train"])
def test_elements_that_are_no_numbers_are_named(name, kind, tmp_path, small_images):
    x, labels = small_images
    made, found = STRANGE[kind]
    arrays = {"x_train": x, "y_train": labels}
    arrays[name] = made(arrays[name])
    message = f"{name}: dtype; expected integers, floats or truth values, .*{found}.*; store .*"
    message += "bytes from 0 to 255" if name == "x_train" else "whole numbers from 0"
    for each, values in arrays.items():
        np.save(tmp_path / f"{each}.npy", values)
    for path in (npz(tmp_path / "a.npz", **arrays), str(tmp_path / "x_train.npy")):
        with pytest.raises(DataError, match=message) as raised:
            data.load(path)
        assert missing_parts(raised.value) == []
