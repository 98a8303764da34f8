"""Files that are not read, and are named for what they are."""

import gzip
import io
import json
import pickle
import sqlite3
import tarfile
import zipfile

import numpy as np

from tests.campaigns.data import IMAGES, LABELS, Case

STRANGERS = "Files that are named for what they are"


def file(name, content):
    """Write bytes."""

    def write(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return write


def pickled(folder):
    """A pickle of a tuple of arrays, as mnist.pkl.gz is."""
    (folder / "mnist.pkl").write_bytes(pickle.dumps((IMAGES, LABELS)))
    return folder / "mnist.pkl"


def pickled_and_packed(folder):
    """The same, packed."""
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps((IMAGES, LABELS))))
    return folder / "mnist.pkl.gz"


def packed_array(folder):
    """An array beside its labels, both packed."""
    for name, array in (("x_train", IMAGES), ("y_train", LABELS)):
        into = io.BytesIO()
        np.save(into, array)
        (folder / f"{name}.npy.gz").write_bytes(gzip.compress(into.getvalue()))
    return folder / "x_train.npy.gz"


def tar(folder):
    """An archive."""
    with tarfile.open(folder / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"png"))
    return folder / "a.tar"


def zip_of_pictures(folder):
    """An archive of pictures."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("0/a.png", b"\x89PNG")
        archive.writestr("1/b.png", b"\x89PNG")
    return folder / "a.zip"


def netcdf(folder):
    """Labels in the format of netCDF's first versions."""
    import scipy.io

    with scipy.io.netcdf_file(folder / "a.nc", "w") as file:
        file.createDimension("image", 3)
        file.createVariable("label", "i4", ("image",))[:] = [1, 2, 3]
    return folder / "a.nc"


def database(folder):
    """A database."""
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("create table digits (label integer)")
    connection.close()
    return folder / "a.db"


def safetensors(folder):
    """Tensors."""
    head = json.dumps({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    (folder / "a.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"1234")
    return folder / "a.safetensors"


def empty_folder(folder):
    """A folder without anything."""
    return folder


def flat(folder):
    """Pictures that lie in one folder."""
    from PIL import Image

    for number in range(3):
        Image.fromarray(IMAGES[number]).save(folder / f"{number}.png")
    return folder


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 73\n"


def cases():
    """All rows of this page."""
    rows = (
        ("a pickle", "", pickled, "a Python pickle"),
        ("gzip in gzip", "", file("a.csv.gz", gzip.compress(gzip.compress(b"1,2,3\n" * 9))), "packed twice"),
        ("a packed array of NumPy", "numpy", packed_array, "unpack"),
        ("a pickle, packed: mnist.pkl.gz", "", pickled_and_packed, "pickle"),
        ("a tar archive", "", tar, "a tar archive"),
        ("a ZIP archive of pictures", "", zip_of_pictures, "zip"),
        ("a 7z archive", "", file("a.7z", b"7z\xbc\xaf\x27\x1c\0\4"), "a 7z archive"),
        ("a pointer of Git LFS", "", file("train.csv", LFS), "Git LFS"),
        ("an HTML page in place of the file", "", file("train.csv", b"<!DOCTYPE html><html></html>"), "an HTML page"),
        ("netCDF 3", "scipy", netcdf, "netCDF of before version 4"),
        ("an SQLite database", "", database, "an SQLite database"),
        ("safetensors", "", safetensors, "a safetensors file"),
        ("a PDF file", "", file("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "a PDF file"),
        ("an empty file", "", file("a.csv", b""), "file is empty"),
        ("a folder without data", "", empty_folder, "class"),
        ("pictures in one folder, without classes", "PIL", flat, "class"),
        ("one picture", "PIL", lambda folder: flat(folder) / "0.png", "a single image is not a data set"),
    )
    for what, by, write, words in rows:
        yield Case(STRANGERS, what, by, write, refused=words)
