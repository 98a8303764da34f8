"""NPZ archives as Keras has them: `x_train`, `y_train` and, if there is a test set, `x_test`, `y_test`."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from typing import IO, Final

import numpy as np
from numpy.lib import format as npy

from fnnet.errors import DataError
from fnnet.files import open_regular
from fnnet.params import Array

MAX_MEMBER: Final = 2 * 2**30
MAX_LABEL: Final = 999_999
"""A million classes are as many as --classes takes."""


def read_npz(path: str | os.PathLike[str], wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Array]:
    """The arrays `wanted`, and those of `optional` that are there, from the archive at `path`.

    Raises   DataError for missing names, archives whose directory declares too much, and pickled objects.
    """
    try:
        with open(open_regular(path), "rb") as file, zipfile.ZipFile(file) as archive:
            _check_directory(archive, path)
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in wanted if name not in there]
            if missing:
                expected, found = ", ".join(wanted), ", ".join(there[:8]) or "nothing"
                raise DataError(f"no array {missing[0]}", where=path, expected=expected, found=found)
            return {name: _read(archive, name, path) for name in (*wanted, *optional) if name in there}
    except DataError:
        raise
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"damaged or unsupported NPZ ({error})", where=path, expected="plain numeric arrays") from None


def _check_directory(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> None:
    seen: set[str] = set()
    for member in archive.infolist():
        if member.filename in seen:
            raise DataError("member stored twice", where=path, found=repr(member.filename))
        seen.add(member.filename)
        if member.file_size > MAX_MEMBER:
            expected, found = f"at most {MAX_MEMBER:,} bytes", f"{member.file_size:,}"
            raise DataError("member too large", where=path, place=repr(member.filename), expected=expected, found=found)
        if "/" in member.filename or "\\" in member.filename:
            raise DataError("member in a folder", where=path, expected="plain names", found=repr(member.filename))


def _read(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> Array:
    """One array, read only after its header agrees with the size in the archive's directory."""
    member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        declared = stream.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or declared != member.file_size:
        expected, found = f"{declared:,} bytes of numbers, as its header says", f"{member.file_size:,} bytes of {dtype}"
        raise DataError("damaged or unsupported NPZ", where=path, place=name, expected=expected, found=found)
    with archive.open(member) as stream:
        array: Array = npy.read_array(stream, allow_pickle=False)
    return array


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def as_images(
    x: Array, where: str | os.PathLike[str], name: str, flat: tuple[int, int] | None = None
) -> tuple[Array, tuple[int, int]]:
    """`x` as uint8 rows (n, pixels), and the height and width of an image.

    x        (n, height, width), (n, height, width, 1) or (n, pixels), of any integer dtype within 0 to 255.
    flat     the height and width to take for rows of that many pixels.
    Raises   DataError for another shape or dtype, or a value out of range.
    """
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim not in (2, 3) or 0 in x.shape:
        expected = "shape (n, height, width) or (n, pixels)"
        raise DataError("no images", where=where, place=name, expected=expected, found=f"shape {x.shape}")
    shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else image_shape(x.shape[1], flat)
    return np.ascontiguousarray(as_bytes(x, where, name).reshape(len(x), -1)), shape


def as_bytes(values: Array, where: str | os.PathLike[str], name: str) -> Array:
    """Integers of any width as uint8; DataError for another dtype or a value outside 0 to 255."""
    _check_integers(values, 255, where, name, "store bytes from 0 to 255")
    return values.astype(np.uint8)


def as_labels(values: Array, n: int, where: str | os.PathLike[str], name: str) -> Array:
    """Labels of n images, integers (n,) or (n, 1), as int64 (n,); DataError for others."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n,):
        expected, found = f"shape ({n},), one label an image", f"shape {values.shape}"
        fix = "one-hot rows become labels by argmax(axis=1)" if values.ndim == 2 and len(values) == n else ""
        problem = "counts differ" if values.ndim == 1 else "no labels"
        raise DataError(problem, where=where, place=name, expected=expected, found=found, fix=fix)
    _check_integers(values, MAX_LABEL, where, name, "store whole numbers from 0")
    return values.astype(np.int64)


def _check_integers(values: Array, most: int, where: str | os.PathLike[str], name: str, fix: str) -> None:
    if values.dtype.kind not in "iu":
        raise DataError("dtype", where=where, place=name, expected="integers", found=values.dtype, fix=fix)
    outside = (values < 0) | (values > most)
    if outside.any():
        at = tuple(map(int, np.argwhere(outside)[0]))
        place = f"{name}[{', '.join(map(str, at))}]"
        raise DataError("value out of range", where=where, place=place, expected=f"0 to {most}", found=values[at])


def image_shape(pixels: int, flat: tuple[int, int] | None = None) -> tuple[int, int]:
    """(height, width) of an image of so many pixels: `flat` if it has as many, the square, or else one row."""
    if flat is not None and flat[0] * flat[1] == pixels:
        return flat
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)
