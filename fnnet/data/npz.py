"""NPZ archives as Keras has them: `x_train`, `y_train` and, if there is a test set, `x_test`, `y_test`."""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import Final

import numpy as np

from fnnet.data.files import open_regular
from fnnet.errors import DataError
from fnnet.params import Array

MAX_MEMBER: Final = 2 * 2**30


def read_npz(path: str | os.PathLike[str], wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Array]:
    """The arrays `wanted`, and those of `optional` that are there, from the archive at `path`.

    Raises   DataError for missing names, archives whose directory declares too much, and pickled objects.
    """
    try:
        with open(open_regular(path), "rb") as file, zipfile.ZipFile(file) as archive:
            _check_directory(archive, path)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                missing = [name for name in wanted if name not in arrays]
                if missing:
                    expected, found = ", ".join(wanted), ", ".join(arrays.files[:8]) or "nothing"
                    raise DataError(f"no array {missing[0]}", where=path, expected=expected, found=found)
                return {name: arrays[name] for name in (*wanted, *optional) if name in arrays}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"damaged or unsupported NPZ ({error})", where=path, expected="plain numeric arrays") from None


def _check_directory(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> None:
    names = archive.namelist()
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError("member stored twice", where=path, found=repr(twice))
    for member in archive.infolist():
        if member.file_size > MAX_MEMBER:
            expected, found = f"at most {MAX_MEMBER:,} bytes", f"{member.file_size:,}"
            raise DataError("member too large", where=path, place=repr(member.filename), expected=expected, found=found)
        if "/" in member.filename or "\\" in member.filename:
            raise DataError("member in a folder", where=path, expected="plain names", found=repr(member.filename))


def as_images(x: Array, where: str | os.PathLike[str], name: str) -> tuple[Array, tuple[int, int]]:
    """`x` as uint8 rows (n, pixels), and the height and width of an image.

    x        (n, height, width), (n, height, width, 1) or (n, pixels), of any integer dtype within 0 to 255.
    Raises   DataError for another shape or dtype, or a value out of range.
    """
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim not in (2, 3) or 0 in x.shape:
        expected = "shape (n, height, width) or (n, pixels)"
        raise DataError("no images", where=where, place=name, expected=expected, found=f"shape {x.shape}")
    shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else image_shape(x.shape[1])
    return np.ascontiguousarray(as_bytes(x, where, name).reshape(len(x), -1)), shape


def as_bytes(values: Array, where: str | os.PathLike[str], name: str) -> Array:
    """Integers of any width as uint8; DataError for another dtype or a value outside 0 to 255."""
    if values.dtype.kind not in "iu":
        fix = "store bytes from 0 to 255"
        raise DataError("dtype", where=where, place=name, expected="integers", found=values.dtype, fix=fix)
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > 255):
        found = f"{values.min()} to {values.max()}"
        raise DataError("values out of range", where=where, place=name, expected="0 to 255", found=found)
    return values.astype(np.uint8)


def image_shape(pixels: int) -> tuple[int, int]:
    """(height, width) of an image of so many pixels: the square if it is one, else one row."""
    side = round(pixels**0.5)
    return (side, side) if side * side == pixels else (1, pixels)
