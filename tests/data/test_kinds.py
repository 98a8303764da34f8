"""Files that are not read are named for what they are, with the way to something that is read."""

import bz2
import gzip
import io
import lzma
import pickle
import re
import sqlite3
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

import fnnet
from fnnet import data
from fnnet.data.kinds import FILES, IMAGES, kind_of
from fnnet.errors import DataError
from tests.conftest import idx_bytes
from tests.tools.samples import ROWS, SAMPLES, csv_file, missing_parts, npy, write

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def tar():
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("train/a.png"))
    return into.getvalue()


def database(folder):
    connection = sqlite3.connect(folder / "a")
    connection.execute("create table digits (label)")
    connection.commit()
    connection.close()
    return (folder / "a").read_bytes()


def netcdf(folder):
    with scipy.io.netcdf_file(folder / "a", "w") as file:
        file.createDimension("image", 3)
        file.createVariable("label", "i4", ("image",))[:] = [1, 2, 3]
    return (folder / "a").read_bytes()


def record(features):
    """A record of TensorFlow: length, checksum, an Example with one field, checksum."""
    size = len(features)
    varint = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    body = b"\n" + varint + features
    return struct.pack("<Q", len(body)) + b"\1\2\3\4" + body + b"\5\6\7\x08"


def model(folder):
    fnnet.save_model(folder / "a", fnnet.Model(fnnet.init((4, 2)), classes=("a", "b"), image_shape=(2, 2)))
    return (folder / "a").read_bytes()


KINDS = {
    "pickle": (lambda folder: pickle.dumps([np.zeros(3)], 2), "a Python pickle, which is never opened"),
    "lfs": (lambda folder: POINTER, "a pointer of Git LFS"),
    "tar": (lambda folder: tar(), "a tar archive"),
    "netcdf 3": (netcdf, "netCDF of before version 4; read it with xarray, and write numpy.savez"),
    "sqlite": (database, "an SQLite database"),
    "short record": (lambda folder: record(bytes(100)), "a TFRecord file"),
    "long record": (lambda folder: record(bytes(900)), "a TFRecord file"),
    "model": (model, "a safetensors file, such as a model"),
    "zstd": (
        lambda folder: b"(\xb5/\xfd\x04\x58" + bytes(90),
        "zstd; unpack it (zstd -d), and name the file or folder",
    ),
    "7z": (lambda folder: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90), "a 7z archive"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("file", ["a", "a.csv", "train.npz"])
def test_a_file_is_named_by_its_first_bytes(name, file, tmp_path):
    make, kind = KINDS[name]
    content = make(tmp_path)
    path = write(tmp_path / file, content)
    for read in (data.load, lambda at: data.read_images(at, (28, 28))):
        with pytest.raises(DataError) as raised:
            read(path)
        assert kind in str(raised.value)
        assert missing_parts(raised.value) == []
        assert "bytes" not in raised.value.fix


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [((np.zeros(3), np.zeros(2)),), {"data": b"1"}, [1, 2], "text", 7, np.zeros(2), None])
def test_a_pickle_of_any_protocol_is_named_compressed_too(value, protocol, tmp_path):
    content = pickle.dumps(value, protocol)
    assert kind_of(content)[0].startswith("a Python pickle")
    for path in (write(tmp_path / "mnist.pkl.gz", gzip.compress(content)), write(tmp_path / "mnist.pkl", content)):
        with pytest.raises(DataError, match="a Python pickle, which is never opened; load it where you trust it"):
            data.load(path)


def test_what_is_read_has_no_such_name():
    pictures = {"jpeg", "webp", "bmp", "gif", "tiff"}
    other = {"NPZ", "HDF5", "MATLAB", "Parquet", "Arrow"}
    for name, sample in SAMPLES.items():
        known = kind_of(sample.content[:512])
        assert (known is not None) == (name in pictures or sample.format in other), name


@given(st.binary(max_size=64))
def test_any_bytes_have_a_name_or_none(head):
    known = kind_of(head)
    starts = (*IMAGES, *FILES, b"\x80")
    assert known is None or head.startswith(starts) or head[8:10] == b'{"' or head[12:13] == b"\n"


@pytest.mark.parametrize("size", [b"\xff" * 5, b"\x80" * 5, b"\xff"])
def test_a_record_whose_field_has_no_end_is_none(size):
    assert kind_of(struct.pack("<Q", 300) + b"\1\2\3\4\n" + size) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.JPG", "JPEG"),
        ("a.npz", "NPZ"),
        ("a.mat", "MATLAB"),
        ("a.h5", "HDF5"),
        ("a.parquet", "Parquet"),
    ],
)
@pytest.mark.parametrize("text", [b"not a picture", b"404: Not Found\n", b"a,b\nc,d\n"])
def test_text_with_the_name_of_something_else_is_named_for_both(name, kind, text, tmp_path):
    path = write(tmp_path / name, text)
    message = f"byte 0: text, not {kind}; expected {kind}, as {path.suffix.lower()} in the name says, found b'"
    with pytest.raises(DataError, match=re.escape(message)):
        data.read_images(path, (28, 28))
    with pytest.raises(DataError, match=re.escape(message)):
        data.load(path)


def test_a_table_is_read_whatever_its_name_says(tmp_path):
    csv_file(tmp_path / "a.png", ROWS)
    assert len(data.read_images(tmp_path / "a.png", (28, 28))) == len(ROWS)


@pytest.mark.parametrize("inside", ["idx", "csv"])
@pytest.mark.parametrize("first", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("second", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_packed_twice_is_to_be_unpacked_once(inside, first, second, tmp_path):
    images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    content = idx_bytes(images) if inside == "idx" else csv_file(tmp_path / "a.csv", ROWS).read_bytes()
    path = write(tmp_path / "train-images-idx3-ubyte.gz", second(first(content)))
    message = "packed twice; .* unpack it once" if second is gzip.compress else "something other than text; unpack it"
    for read in (lambda: data.load(path), lambda: data.read_images(path, (8, 8))):
        with pytest.raises(DataError, match=message) as raised:
            read()
        assert missing_parts(raised.value) == []


def test_packed_arrays_of_numpy_are_to_be_unpacked(tmp_path):
    images, labels = gzip.compress(npy(np.zeros((4, 8, 8), np.uint8))), gzip.compress(npy(np.arange(4)))
    path = write(tmp_path / "x_train.npy.gz", images)
    write(tmp_path / "y_train.npy.gz", labels)
    for read in (lambda: data.load(path), lambda: data.read_images(path, (8, 8))):
        with pytest.raises(DataError, match=r"found a NumPy array \(.npy\); unpack it and the labels") as raised:
            read()
        assert missing_parts(raised.value) == []
    path = write(tmp_path / "x_train.npy", gzip.decompress(images))
    with pytest.raises(DataError, match=r"no labels; .*, found y_train.npy.gz; unpack y_train.npy.gz") as raised:
        data.load(path)
    assert missing_parts(raised.value) == []


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["tar", "hdf5", "parquet"])
def test_a_packed_archive_or_file_of_many_images_is_named_as_it_is_unpacked(packer, name, tmp_path):
    contents = {"tar": tar(), "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(800), "parquet": b"PAR1\x15\x04" + bytes(800)}
    kind, fix = {
        "tar": ("a tar archive", "name the folder or the files in it"),
        "hdf5": ("an HDF5 file", "name the file that comes out"),
        "parquet": ("a Parquet file", "name the file that comes out"),
    }[name]
    path = write(tmp_path / "a.gz", PACKERS[packer](contents[name]))
    for read in (lambda: data.load(path), lambda: data.read_images(path, (8, 8))):
        with pytest.raises(DataError, match=f"unknown kind of file; .* found {kind} in {packer}; unpack it, and {fix}"):
            read()


def test_an_archive_beside_the_folders_that_it_packs_is_no_idx_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "1.png", SAMPLES["png grey"].content)
    for name in ("set.tgz", "set.tar.gz"):
        write(tmp_path / name, gzip.compress(tar()))
    write(tmp_path / "set.tar", tar())
    assert data.load(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (["a/1.png", "b/1.png"], "unpack it into a folder, and name that"),
        (["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"], "unpack it into a folder, and name that"),
        (["labels.csv", "1.JPG"], "unpack it into a folder, and name that"),
        (["a.csv", "b.csv"], "unpack it, and name a file in it"),
        (["a.parquet", "b.csv"], "unpack it, and name a file in it"),
    ],
)
def test_an_archive_of_pictures_or_idx_files_is_unpacked_into_a_folder(names, fix, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "label,pixel0\n1,2\n" if name.endswith(".csv") else bytes(range(64)))
    with pytest.raises(DataError, match=f"; {fix}$") as raised:
        data.load(tmp_path / "a.zip")
    assert missing_parts(raised.value) == []
