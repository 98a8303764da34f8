"""Targets of formats that a library decodes: read without the child process that contains crashes of the library.

A crash of a library ends the process of the fuzzer; in use it ends the child, and is an error in one line.
"""

import io
import warnings
from pathlib import Path

import numpy as np

from fnnet.data import arrow, hdf5, mat, npy, pictures, tiff
from fnnet.data.arrays import MAX_LABEL
from fnnet.data.reader import Wanted, read_as
from fnnet.errors import DataError, one_line
from tests.campaigns.fuzz.contract import must
from tests.tools.samples import SHAPE


def read(formats, labelled):
    """A reader of files of these formats."""
    return within_memory(lambda path: read_as(formats, path, Wanted(labelled, SHAPE)))


def within_memory(read):
    """A reader to which too much memory is an error, as to the child."""

    def reader(path):
        try:
            return read(path)
        except MemoryError:
            raise DataError("memory", where=path, place="the file", expected="less", fix="split it") from None

    return reader


def hold(content, path):
    """The images and labels, and those of a test set, fit one another; every note is a line."""
    pixels = content.image_shape[0] * content.image_shape[1]
    while content:
        x, labels = content.x, content.labels
        must(type(x) is np.ndarray and x.dtype == np.uint8 and x.ndim == 2, "x's form", x.dtype)
        must(len(x) > 0 and x.shape[1] == pixels > 0, "x's shape", x.shape)
        must(x.flags.c_contiguous, "x's layout")
        if labels is not None:
            labels = np.asarray(labels)
            must(labels.dtype == np.int64 and labels.shape == (len(x),), "the labels' form", labels.shape)
            must(labels.min() >= 0 and labels.max() <= MAX_LABEL, "the labels", (labels.min(), labels.max()))
            must(not content.classes or labels.max() < len(content.classes), "a class")
        must(all(note == one_line(note) and note.code for note in content.notes), "a note")
        content = content.test


def hold_picture(content, path):
    """Grey images without opacity are what Pillow decodes."""
    from PIL import Image, ImageOps

    hold(content, path)
    raw = Path(path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(raw)) as image:
            turned = ImageOps.exif_transpose(image)
            must(content.image_shape == (turned.height, turned.width), "the size", turned.size)
            exact = image.mode == "L" and image.format in ("BMP", "JPEG") and "transparency" not in image.info
            must(not exact or content.x.tobytes() == turned.tobytes(), "a pixel")


def hold_npy(content, path):
    """Bytes are NumPy's."""
    hold(content, path)
    array = np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False)
    must(len(array) == len(content.x) or array.shape == SHAPE, "images", array.shape)
    plain = array.dtype == np.uint8 and array.size == content.x.size
    must(not plain or array.tobytes("C") == content.x.tobytes(), "a pixel")


MEMORY = 2**28
"""The libraries take memory of their own; in use `child.limits_of` bounds them."""
READERS = {
    "npy": ((npy.FORMAT,), False, hold_npy),
    "pictures": (pictures.FORMATS, False, hold_picture),
    "tiff": ((tiff.FORMAT,), False, hold),
    "hdf5": ((hdf5.FORMAT,), True, hold),
    "mat": ((mat.FORMAT,), True, hold),
    "arrow": (arrow.FORMATS, True, hold),
}
"""Reader -> its formats, True if it reads labels too, and what its value must be."""
CONTAINED = frozenset({"tiff", "hdf5", "mat", "arrow", "images"})
"""Readers of formats whose library runs in the child process, which contains its crashes."""
