"""The table of data formats. A new one is a reader with its `FORMAT`, a line here and its name in `fnnet.names`."""

from __future__ import annotations

from typing import Final

from fnnet.data import arff, arrow, hdf5, idx, kaggle_csv, libsvm, mat, npy, npz, pictures, png, tiff
from fnnet.data.opened import AnyPath
from fnnet.data.reader import FIT, MISFIT, Content, Format, Wanted, format_of, listed, read_as, size
from fnnet.files.disk import refuse

FORMATS: tuple[Format, ...] = (
    idx.FORMAT, kaggle_csv.FORMAT, arff.FORMAT, libsvm.FORMAT, npz.FORMAT, npy.FORMAT, hdf5.FORMAT, mat.FORMAT,
    *arrow.FORMATS, png.FORMAT, *pictures.FORMATS, tiff.FORMAT,
)  # fmt: skip
"""Every format that fnnet reads; a file is recognised by one of them, whatever its name."""
UNREADABLE: Final = frozenset({
    ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".svg", ".tga", ".pcx", ".pfm", ".exr", ".psd", ".dcm",
    ".dds", ".sgi", ".xbm", ".xpm",
})  # fmt: skip
"""Suffixes of images that must not be passed over in class folders like files of other kinds; those that a format in
the table reads are read."""


def read(path: AnyPath, wanted: Wanted) -> Content:
    """Read a file of any format in the table."""
    return read_as(FORMATS, path, wanted)


def is_picture(path: AnyPath) -> bool:
    """Return True if a file is of a format of pictures, by its first bytes."""
    found = format_of(FORMATS, path)
    return found is not None and found.picture


def read_picture(
    path: AnyPath,
    shape: tuple[int, int] | None = None,
    *,
    colours: bool = False,
    resize: bool = False,
    pixel_range: str = "",
) -> Content:
    """Read one image of any format of pictures; DataError unless it has `shape` (height, width), if given.

    colours   True to look at its colours, too.
    resize    True to scale it to `shape`, whatever size it has.
    pixel_range   as `Wanted` has it.
    """
    wanted = Wanted(False, shape, colours=colours, resize=resize, pixel_range=pixel_range)
    content = read_as(picture_formats(), path, wanted)
    if shape not in (None, content.image_shape):
        expected, found = size(shape), size(content.image_shape)
        refuse(MISFIT, path, content.shape_at, expected, found, FIT)
    return content


def picture_formats() -> tuple[Format, ...]:
    """Return the formats whose files hold one image."""
    return tuple(each for each in FORMATS if each.picture)


def picture_names() -> str:
    """Return the names of the formats of pictures as a phrase for messages."""
    return listed([each.name for each in picture_formats()])


def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of files that hold one image, in lower case."""
    return frozenset(suffix for each in picture_formats() for suffix in each.suffixes)
