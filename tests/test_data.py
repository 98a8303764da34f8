"""Data: every format read rightly, everything else refused with the place and the remedy."""

import contextlib
import gzip
import hashlib
import io
import shutil
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import fnnet
from fnnet import data, images, rng
from fnnet.data import mnist
from fnnet.data import npz as npz_reader
from fnnet.data.idx import read_idx
from fnnet.data.table import read_csv
from fnnet.errors import DataError, FnnetError, StorageError, UsageError
from fnnet.network import Examples
from tests.conftest import idx_bytes


def write(path, content):
    path.write_bytes(content)
    return path


# IDX


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("name", ["a.gz", "a-ubyte"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_raw_or_gzip_by_content_not_by_name(shape, name, pack, tmp_path):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = read_idx(write(tmp_path / name, pack(idx_bytes(array))))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.uint8
    assert not found.flags.writeable


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_truncation_of_idx_is_refused(pack, tmp_path):
    content = pack(idx_bytes(np.arange(60).reshape(3, 4, 5)))
    for length in range(len(content)):
        with pytest.raises(DataError) as error:
            read_idx(write(tmp_path / "a", content[:length]))
        assert str(tmp_path / "a") in str(error.value)
    for length in range(20, len(content)):
        with pytest.raises(DataError, match=r"truncated|does not match|damaged|declared|cut short"):
            read_idx(write(tmp_path / "a", content[:length]))


def test_truncated_gzip_says_where(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 28, 28))
    content = gzip.compress(idx_bytes(noise))
    with pytest.raises(
        DataError, match=r"gzip truncated; expected 15,696 bytes decompressed and a checksum, found"
    ) as error:
        read_idx(write(tmp_path / "a.gz", content[:9000]))
    assert "compressed byte 9000" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx_bytes(np.zeros(9)))[:-4] + b"\1\2\3\4", "damaged gzip"),
        (gzip.compress(idx_bytes(np.zeros(9))) + b"more", "after the end"),
        (gzip.compress(idx_bytes(np.zeros(9))) * 2, "after the end"),
        (gzip.compress(idx_bytes(np.zeros(9)) + b"more"), "more data than declared"),
        (idx_bytes(np.zeros(9)) + b"more", "does not match"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\0\0\x0d\1" + b"\0\0\0\1" + b"\0" * 4, "IDX type"),
        (b"\0\0\x08\0", "IDX rank"),
        (b"\0\0\x08\5" + b"\0" * 20, "IDX rank"),
        (b"\0\0\x08\3" + b"\xff" * 12, "too large"),
        (b"\0\0\x08\1" + b"\0\0\0\0", "empty dataset"),
        (gzip.compress(b"\0\0\x08\1" + b"\0\1\0\0"), "compressed file too small"),
        (b"", "empty"),
        (b"\0", "not an IDX"),
    ],
)
def test_idx_that_is_refused(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_idx(write(tmp_path / "a", content))


def test_a_gzip_bomb_stops_at_the_declared_size(tmp_path):
    content = gzip.compress(idx_bytes(np.zeros(100)) + bytes(50_000_000))
    with pytest.raises(DataError, match="more data than declared; expected 108 bytes"):
        read_idx(write(tmp_path / "a.gz", content))


def test_folders_devices_and_missing_files(tmp_path):
    with pytest.raises(StorageError, match="a folder"):
        read_idx(tmp_path)
    with pytest.raises(StorageError, match="regular file"):
        read_idx("/dev/zero")
    with pytest.raises(StorageError, match="No such file"):
        read_idx(tmp_path / "none")


def test_idx_folder(idx_folder, small_images):
    dataset = data.load(str(idx_folder))
    np.testing.assert_array_equal(dataset.train.x, small_images[0][:50].reshape(50, 784))
    np.testing.assert_array_equal(dataset.test.labels, small_images[1][50:])
    assert dataset.image_shape == (28, 28)
    assert dataset.classes == tuple("0123456789")


def test_idx_folder_compressed_and_renamed(idx_folder):
    for path in list(idx_folder.iterdir()):
        write(idx_folder / path.name.replace("-idx", ".idx"), gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(data.load(str(idx_folder)).train.labels) == 50


def test_one_idx_file_finds_its_labels(idx_folder):
    dataset = data.load(str(idx_folder / "train-images-idx3-ubyte"))
    assert len(dataset.train.labels) == 50
    assert dataset.test is None
    (idx_folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no labels; expected train-labels-idx1-ubyte or"):
        data.load(str(idx_folder / "train-images-idx3-ubyte"))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(49), "counts differ; expected 49 images.*found 50"),
        (
            "train-labels-idx1-ubyte",
            np.full(50, 12),
            "train-labels-idx1-ubyte: image 1: label out of range; expected 0 to 9, found 12",
        ),
        ("t10k-images-idx3-ubyte", np.zeros((10, 27, 28)), "image sizes differ"),
        ("train-images-idx3-ubyte", np.zeros((50, 784)), "ranks 2 and 1"),
    ],
)
def test_idx_folders_that_do_not_fit(name, array, message, idx_folder):
    write(idx_folder / name, idx_bytes(array))
    with pytest.raises(DataError, match=message):
        data.load(str(idx_folder))


def test_incomplete_and_crowded_folders(idx_folder):
    again = idx_folder / "train-images-idx3-ubyte.gz"
    write(again, gzip.compress((idx_folder / "train-images-idx3-ubyte").read_bytes()))
    assert len(data.load(str(idx_folder)).train.labels) == 50  # raw and compressed side by side, as torchvision leaves
    write(again, idx_bytes(np.ones((50, 28, 28))))
    with pytest.raises(DataError, match="more files than expected"):
        data.load(str(idx_folder))
    write(again, b"<html>")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: byte 0: an HTML page"):
        data.load(str(idx_folder))
    again.unlink()
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="test set incomplete"):
        data.load(str(idx_folder))


def test_more_classes_when_asked(idx_folder):
    write(idx_folder / "train-labels-idx1-ubyte", idx_bytes(np.full(50, 12)))
    assert len(data.load(str(idx_folder), classes=list(map(str, range(26)))).classes) == 26


# CSV


def csv_file(path, rows, header=True, end="\n"):
    lines = ["label," + ",".join(f"pixel{i}" for i in range(len(rows[0]) - 1))] if header else []
    lines += [",".join(map(str, row)) for row in rows]
    return write(path, (end.join(lines) + end).encode())


ROWS = [[number % 10, *((number * 7 + i) % 256 for i in range(784))] for number in range(20)]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_kaggle_csv(header, end, tmp_path):
    dataset = data.load(str(csv_file(tmp_path / "train.csv", ROWS, header, end)))
    np.testing.assert_array_equal(np.column_stack([dataset.train.labels, dataset.train.x]), ROWS)
    assert dataset.train.x.dtype == np.uint8
    assert dataset.test is None


def test_a_long_csv_with_cr_line_ends(tmp_path):
    assert read_csv(csv_file(tmp_path / "a.csv", ROWS * 20, end="\r"))[0].shape == (400, 784)


def test_csv_columns_are_placed_by_name(tmp_path):
    order = np.random.default_rng(0).permutation(785)
    names = np.array(["label"] + [f"pixel{i}" for i in range(784)])
    rows = [",".join(map(str, np.array(row)[order])) for row in ROWS]
    text = "\ufeff" + "\n".join([",".join(f'"{name}"' for name in names[order]), *rows])
    x, labels = read_csv(write(tmp_path / "a.csv", text.encode()))
    np.testing.assert_array_equal(np.column_stack([labels, x]), ROWS)


def test_csv_with_row_by_column_names(tmp_path):
    names = ["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))]
    text = "\n".join([",".join(names), *(",".join(map(str, row)) for row in ROWS)])
    x, _ = read_csv(write(tmp_path / "a.csv", text.encode()))
    np.testing.assert_array_equal(x, np.array(ROWS)[:, 1:])


def test_csv_without_labels_is_for_predict(tmp_path):
    text = ",".join(f"pixel{i}" for i in range(784)) + "\n" + ",".join(["7"] * 784) + "\n"
    path = write(tmp_path / "test.csv", text.encode())
    assert read_csv(path)[1] is None
    assert data.read_images(path, (28, 28)).shape == (1, 784)
    with pytest.raises(DataError, match=r"no labels.*use it with predict"):
        data.load(str(path))


def changed(row, column, value):
    rows = [list(each) for each in ROWS]
    rows[row][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[:7], ROWS[7][:-1], *ROWS[8:]], "line 9: wrong number of fields; expected 785 fields, found 784"),
        ([*ROWS[:7], [*ROWS[7], 1], *ROWS[8:]], "line 9: wrong number of fields; expected 785 fields, found 786"),
        *(
            (
                changed(4, 10, value),
                f"line 6, column 11: not a pixel.*expected a whole number from 0 to 255, found '{value}'",
            )
            for value in ("NaN", "inf", "1e3", "300", "-1", "12.5", "0x1f", "", "1_0", "a")
        ),
        (changed(0, 3, "NaN"), "line 2, column 4"),
    ],
)
def test_csv_that_is_refused(rows, message, tmp_path):
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as error:
        read_csv(csv_file(tmp_path / "a.csv", rows))
    assert str(error.value).startswith(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label,pixel0,pixel0\n1,2,3\n", "named twice"),
        (b"label,pixel0,pixel2\n1,2,3\n", "pixel columns missing"),
        (b"label,1x1,1x3\n1,2,3\n", "pixel columns missing"),
        (b"label,pixel0,pixel00\n1,2,3\n", "pixel named twice"),
        (b"\n1,2\n", "first line is empty"),
        (b"\xef\xbb\xbf", "first line is empty"),
        (b"5,0,NaN,1,1\n", "line 1, column 3"),
        (b"label,colour\n1,2\n", "line 1, column 2: unknown column"),
        (b"label\n1\n", "no pixel columns"),
        (b"label,pixel0\n", "empty dataset"),
        (b"1;2;3\n", "separated by commas"),
        (b"1,2,3,4,5,6,7\n", "odd number of fields"),
        (b"<html>", "HTML"),
        ("label,pixel0\n1,2\n".encode("utf-16"), "unknown kind"),
        (b"label,pixel0\n1,\xff\n", "line 2, column 2"),
        (b"x" * 70000, "line too long"),
        (b"label,pixel0\n" + b"1" * 70000, "line 2: line too long"),
        (b"", "empty"),
    ],
)
def test_files_that_are_no_such_csv(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path / "a.csv", content))


# NPZ


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


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
def test_npz_integers_of_any_width(dtype, tmp_path, small_images):
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
    found = data.load(str(path), classes=[str(number) for number in range(2100)])
    np.testing.assert_array_equal(found.train.x, x)
    np.testing.assert_array_equal(found.train.labels, labels)
    with pytest.raises(DataError, match="label out of range; expected 0 to 255, found 2093"):
        data.load(str(path), classes=[str(number) for number in range(256)])
    if form != "npz":
        for wrong in ("1000000," + "1," * 8 + "1", "300," + "1," * 8 + "300", "9" * 5000 + "," + "1," * 8 + "1"):
            path.write_text("\n".join([*rows, wrong]))
            with pytest.raises(DataError, match=r"line 301, column 10?: not a (label|pixel); expected a whole"):
                data.load(str(path), classes=[str(number) for number in range(2100)])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "no array x_train; expected x_train, y_train, found x"),
        (
            {"x_train": np.zeros((3, 4, 4)), "y_train": np.zeros(3, int)},
            "x_train: dtype; expected integers, found float64",
        ),
        (
            {"x_train": np.full((3, 4, 4), 256), "y_train": np.zeros(3, int)},
            r"x_train\[0, 0, 0\]: value out of range; expected 0 to 255, found 256",
        ),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.zeros(4, int)}, "counts differ"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.eye(3, dtype=int)}, r"no labels.*argmax\(axis=1\)"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.zeros(3)}, "y_train: dtype.*whole numbers from 0"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.full(3, 10**6)}, "expected 0 to 999999, found 1000000"),
        ({"x_train": np.zeros((3, 4, 4), int), "y_train": np.full(3, -1)}, r"y_train\[0\]: value out of range"),
        ({"x_train": np.zeros((0, 4, 4), int), "y_train": np.zeros(0, int)}, "no images"),
        ({"x_train": np.array([{}, {}]), "y_train": np.zeros(2, int)}, "damaged or unsupported NPZ"),
    ],
)
def test_npz_that_is_refused(arrays, message, tmp_path):
    with pytest.raises(DataError, match=message):
        data.load(npz(tmp_path / "a.npz", **arrays))


def raw_npz(path, **members):
    """An archive of members given as bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return str(path)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_npz_with_odd_members(tmp_path, monkeypatch):
    x, y = npy(np.zeros((3, 4, 4), np.uint8)), npy(np.zeros(3, np.uint8))
    good = {"x_train.npy": x, "y_train.npy": y}
    assert len(data.load(raw_npz(tmp_path / "good.npz", **good)).train.labels) == 3
    lying = x.replace(b"(3, 4, 4)", b"(3, 9, 9)")
    for number, (members, message) in enumerate(
        [
            (good | {"x_train.npy": lying}, "as its header says"),
            (good | {"x_train.npy": b"no numbers"}, "damaged or unsupported"),
            (good | {"a__b.npy": y}, "member in a folder"),
            (good | {"x_test.npy": x}, "test set incomplete"),
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
def test_images_of_another_shape_do_not_pass_for_their_number_of_pixels(shape, tmp_path):
    images_idx = write(tmp_path / "a", idx_bytes(np.zeros((2, *shape))))
    with pytest.raises(DataError, match="size does not fit"):
        data.read_images(images_idx, (28, 28))
    with pytest.raises(DataError, match="size does not fit"):
        data.read_images(npz(tmp_path / "a.npz", x_test=np.zeros((2, *shape), np.uint8)), (28, 28))


def test_flat_rows_take_the_shape_that_is_wanted(tmp_path):
    path = npz(tmp_path / "a.npz", x_test=np.zeros((2, 24), np.uint8))
    assert data.read_images(path, (4, 6)).shape == (2, 24)
    assert data.load(str(csv_file(tmp_path / "a.csv", [[1, *range(24)]])), flat=(4, 6)).image_shape == (4, 6)


def test_damaged_npz(tmp_path):
    npz(tmp_path / "a.npz", x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.zeros(3, np.uint8))
    content = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(DataError, match="damaged"):
        data.load(str(write(tmp_path / "b.npz", content[:-30])))


# PNG


def png(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).convert(mode).save(path)
    return path


def test_class_folders(tmp_path, small_images):
    for part, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        for number, (image, label) in enumerate(zip(*(each[rows] for each in small_images), strict=True)):
            png(tmp_path / "set" / part / f"{label + 2}" / f"{number:03}.png", image)
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (50, 10)
    np.testing.assert_array_equal(dataset.train.x[0].reshape(28, 28), small_images[0][0])


def test_class_folders_without_test(tmp_path):
    for name in ("cat", "dog"):
        png(tmp_path / "set" / name / "1.PNG", np.full((4, 6), len(name)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.classes == ("cat", "dog")
    assert dataset.image_shape == (4, 6)
    assert dataset.test is None
    png(tmp_path / "set" / "dog" / "2.png", np.zeros((5, 6)))
    with pytest.raises(DataError, match=r"2\.png: image size does not fit; expected 6x4 pixels, found 6x5"):
        data.load(str(tmp_path / "set"))


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        data.load(str(tmp_path))


def test_png_conversions(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    for mode in ("L", "RGB", "P", "RGBA", "LA"):
        np.testing.assert_array_equal(images.read_png(png(tmp_path / f"{mode}.png", grey, mode)), grey)
    black_and_white = np.where(grey > 100, 255, 0)
    np.testing.assert_array_equal(images.read_png(png(tmp_path / "1.png", black_and_white, "1")), black_and_white)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    np.testing.assert_array_equal(images.read_png(tmp_path / "deep.png"), grey)
    dark = Image.fromarray(np.full((2, 2), 255, np.uint16))
    dark.save(tmp_path / "dark.png")
    assert (images.read_png(tmp_path / "dark.png") == 1).all()  # 255 of 65,535 is nearer 1 than 0 of 255
    half = np.dstack([np.full((2, 2), 200), np.full((2, 2), 128)]).astype(np.uint8)
    Image.fromarray(half).save(tmp_path / "half.png")
    assert (images.read_png(tmp_path / "half.png") == 100).all()


def test_every_truncation_and_every_flipped_bit_of_a_png_is_refused(tmp_path):
    """Damage within the empty end chunk, the last 12 bytes, may also leave the image as it is."""
    right = np.random.default_rng(0).integers(0, 256, (6, 6)).astype(np.uint8)
    content = png(tmp_path / "a.png", right).read_bytes()
    spoiled = [(length, content[:length]) for length in range(len(content))]
    for at in range(len(content)):
        flips = (content[at] ^ 1 << bit for bit in range(8))
        spoiled += [(at, content[:at] + bytes([flipped]) + content[at + 1 :]) for flipped in flips]
    for at, each in spoiled:
        write(tmp_path / "b.png", each)
        if at < len(content) - 12:
            with pytest.raises(DataError, match=r"b\.png"):
                images.read_png(tmp_path / "b.png")
        else:
            with contextlib.suppress(DataError):
                np.testing.assert_array_equal(images.read_png(tmp_path / "b.png"), right)


def test_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 30)
    with pytest.raises(DataError, match="image too large; expected at most 30 pixels, found 6x6"):
        images.read_png(png(tmp_path / "a.png", np.zeros((6, 6))))


def test_class_folders_without_images_or_that_differ(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/b"):
        png(tmp_path / "set" / name / "1.png", np.zeros((4, 4)))
    (tmp_path / "set" / "train" / ".cache").mkdir()
    assert data.load(str(tmp_path / "set")).classes == ("a", "b")
    (tmp_path / "set" / "test" / "c").mkdir()
    with pytest.raises(DataError, match="classes of test and train differ; expected a, b, found a, b, c"):
        data.load(str(tmp_path / "set"))
    (tmp_path / "set" / "train" / "c").mkdir()
    with pytest.raises(DataError, match=r"train/c: class without images|train.c: class without images"):
        data.load(str(tmp_path / "set"))


def test_more_classes_than_a_byte_can_count(tmp_path):
    for number in range(300):
        png(tmp_path / "set" / str(number) / "1.png", np.zeros((2, 2)))
    dataset = data.load(str(tmp_path / "set"))
    assert dataset.train.labels.tolist() == list(range(300))


def test_other_images_are_refused(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "a.gif")
    with pytest.raises(DataError, match="not a PNG image; expected PNG, found b'GIF"):
        images.read_png(tmp_path / "a.gif")
    with pytest.raises(DataError, match="one image is no data set"):
        data.load(str(png(tmp_path / "a.png", np.zeros((28, 28)))))


# digits and the cut


def test_digits_are_as_they_always_were():
    dataset = data.load("digits")
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((1437, 784), (360, 784))
    content = dataset.train.x.tobytes() + dataset.test.x.tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256
    assert dataset.train.labels[:10].tolist() == list(range(10))
    assert np.bincount(dataset.test.labels).tolist() == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]


def test_digits_follow_the_convention_of_mnist():
    x = data.load("digits").train.x.reshape(-1, 28, 28).astype(float)
    rows, columns = x.sum(axis=2) @ np.arange(28), x.sum(axis=1) @ np.arange(28)
    centres = np.stack([rows, columns]) / x.sum(axis=(1, 2))
    assert abs(centres - 13.5).max() <= 1.0
    assert abs(centres.mean() - 13.5) < 0.1
    assert x.max() == 255


DIGITS_SHA256 = "9f1879f9410157ca9d58c59c4d43e02a3e965e0ac2a32e8b1c4d25a35142d8eb"


def test_split_by_the_seed():
    everything = Examples(np.arange(100)[:, None].astype(np.uint8), np.arange(100) % 10)
    train, dev = data.split(everything, 20, 7)
    assert (len(train.labels), len(dev.labels)) == (80, 20)
    assert sorted([*train.x[:, 0], *dev.x[:, 0]]) == list(range(100))
    assert (train.labels == train.x[:, 0] % 10).all()
    assert set(dev.x[:, 0]) == set(rng.order(7, "split", 100)[:20])
    again, _ = data.split(everything, 20, 7)
    np.testing.assert_array_equal(again.x, train.x)
    other, _ = data.split(everything, 20, 8)
    assert (other.x != train.x).any()
    limited, dev = data.split(everything, 20, 7, limit=30)
    assert (len(limited.labels), len(dev.labels)) == (30, 20)
    assert data.split(everything, 0, 7) == (everything, None)
    for bad in (-1, 100, 1.5):
        with pytest.raises(UsageError, match="dev"):
            data.split(everything, bad, 7)


# MNIST


def test_auto_without_data_and_network_is_digits():
    notices = []
    assert data.load("auto", notify=notices.append).name == "digits"
    assert len(notices) == 1
    assert "FNNET_OFFLINE" in notices[0]
    with pytest.raises(FnnetError, match="FNNET_OFFLINE"):
        data.load("mnist")


@pytest.fixture
def little_mnist(idx_folder, monkeypatch):
    """A folder whose files pass for MNIST."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in idx_folder.iterdir()}
    monkeypatch.setattr(mnist, "SHA256", {name: hashes[name] for name in mnist.SHA256})
    return idx_folder


@pytest.mark.parametrize(
    "place",
    [
        "data/MNIST/raw",
        ".keras/datasets",
        "tensorflow_datasets/downloads",
        "tensorflow_datasets/downloads/extracted",
    ],
)
def test_caches_are_searched(place, little_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(little_mnist, tmp_path / place)
    dataset = data.load("auto")
    assert (dataset.name, len(dataset.train.labels)) == ("mnist", 50)
    assert dataset.source == str(tmp_path / place)


def test_our_own_cache_is_searched(little_mnist):
    mnist.cache_folder().parent.mkdir(parents=True)
    shutil.copytree(little_mnist, mnist.cache_folder())
    assert data.load("auto").source == str(mnist.cache_folder())


def test_torchvision_folder_and_variable(little_mnist, monkeypatch, tmp_path):
    shutil.copytree(little_mnist, tmp_path / "root" / "MNIST" / "raw")
    monkeypatch.setenv("FNNET_DATA", str(tmp_path / "root"))
    assert data.load("mnist").name == "mnist"


def test_keras_archive(little_mnist, monkeypatch, tmp_path, small_images):
    x, labels = small_images
    (tmp_path / "k" / "datasets").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    path = tmp_path / "k" / "datasets" / "mnist.npz"
    npz(path, x_train=x[:50], y_train=labels[:50], x_test=x[50:], y_test=labels[50:])
    assert data.load("mnist").source == str(path.parent)
    npz(path, x_train=x[:50], y_train=labels[:50], x_test=x[50:], y_test=9 - labels[50:])
    notices = []
    assert data.load("auto", notify=notices.append).name == "digits"
    assert "y_test: not MNIST's content" in notices[0]


def test_names_do_not_matter_content_does(little_mnist):
    for number, path in enumerate(sorted(little_mnist.iterdir())):
        path.rename(path.with_name(f"{number}.bin"))
    assert data.load("mnist", str(little_mnist)).name == "mnist"


def test_a_named_folder_with_html_for_files_is_an_error(little_mnist):
    for path in little_mnist.iterdir():
        write(path, b"<html>404")
    with pytest.raises(DataError, match="HTML"):
        data.load("auto", str(little_mnist))


def test_a_named_folder_with_damaged_files_is_an_error(little_mnist):
    path = little_mnist / "train-images-idx3-ubyte"
    good = path.read_bytes()
    write(path, good[:-1])
    with pytest.raises(DataError, match="does not match its header"):
        data.load("auto", str(little_mnist))
    write(path, good[:-1] + b"\1")
    with pytest.raises(DataError, match=r"not MNIST's content; expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        data.load("auto", str(little_mnist))


def test_a_named_folder_without_mnist_is_noted(tmp_path):
    notices = []
    assert data.load("auto", str(tmp_path), notify=notices.append).name == "digits"
    assert "has 0 of MNIST's 4 files" in notices[0]
    data.load("auto", str(tmp_path / "none"), notify=notices.append)
    assert any("no folder" in notice for notice in notices)


@pytest.fixture
def server(little_mnist):
    """A mirror on this machine with a good folder, a bad one and one that sends HTML."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, name = self.path.strip("/").split("/")
            content = (little_mnist / name.removesuffix(".gz")).read_bytes()
            body = {"good": gzip.compress(content), "bad": gzip.compress(content[:-1] + b"\xff"), "html": b"<html>no"}
            self.send_response(404 if kind == "gone" else 200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body.get(kind, b""))

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def test_download_goes_from_mirror_to_mirror(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    notices = []
    mirrors = tuple(f"{server}{kind}/" for kind in ("gone", "html", "bad", "good"))
    mnist.download(tmp_path / "new" / "folder", notices.append, mirrors)
    assert len(notices) == 16
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        f"{name}.gz" for name in mnist.SHA256
    )
    assert mnist.complete(tmp_path / "new" / "folder")
    assert data.load("mnist", str(tmp_path / "new" / "folder")).name == "mnist"


def test_load_downloads_when_it_must(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, "MIRRORS", (f"{server}good/",))
    assert data.load("auto", str(tmp_path / "here")).name == "mnist"


def test_the_mirror_that_delivers_is_asked_first(server, monkeypatch):
    mirrors = tuple(f"{server}{kind}/" for kind in ("gone", "html", "good"))
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)
    assert mnist.reachable() == (mirrors[2], *mirrors[:2])


@pytest.mark.parametrize(("name", "value"), [("MAX_DOWNLOAD", 10), ("DOWNLOAD_SECONDS", -1.0)])
def test_downloads_are_bounded(name, value, server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, name, value)
    with pytest.raises(mnist.UnreachableError, match="too large or too slow"):
        mnist.download(tmp_path / "new", lambda notice: None, (f"{server}good/",))
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_of_a_bad_download_stays(server, monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    with pytest.raises(mnist.UnreachableError, match=r"bad/: not MNIST's content.*html/: an HTML page"):
        mnist.download(tmp_path / "new", lambda notice: None, (f"{server}bad/", f"{server}html/"))
    assert list((tmp_path / "new").iterdir()) == []


def test_no_mirror_answers(monkeypatch, tmp_path):
    monkeypatch.delenv("FNNET_OFFLINE")
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    assert not mnist.reachable()
    assert data.load("auto").name == "digits"
    with pytest.raises(mnist.UnreachableError, match="ConnectionError"):
        data.load("mnist", str(tmp_path / "x"))


def test_a_silent_mirror_costs_no_more_than_the_deadline(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{silent.getsockname()[1]}/",))
        assert not mnist.reachable(0.2)


def test_real_mnist(mnist_folder):
    dataset = data.load("mnist", mnist_folder)
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((60000, 784), (10000, 784))
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(dataset.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


# Properties


@given(hypothesis.extra.numpy.arrays(np.uint8, hypothesis.extra.numpy.array_shapes(min_dims=1, max_dims=4, max_side=9)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_idx_round_trip(tmp_path, array):
    for pack in (bytes, gzip.compress):
        np.testing.assert_array_equal(read_idx(write(tmp_path / "a", pack(idx_bytes(array)))), array)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_a_reader(tmp_path, content):
    """Whatever a file holds: the right answer or an FnnetError."""
    for start in (b"", b"\0\0\x08\3", b"\x1f\x8b\x08", b"PK\x03\x04", images.PNG_MAGIC, b"label,pixel0\n"):
        path = write(tmp_path / "a", start + content)
        for read in (lambda at: data.load(str(at)), lambda at: data.read_images(at, (1, 1)), fnnet.load_model):
            with contextlib.suppress(FnnetError):
                read(path)
