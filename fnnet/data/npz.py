"""NPZ archives as Keras has them: `x_train`, `y_train` and, if there is a test set, `x_test`, `y_test`."""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from typing import IO, Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.errors import DataError
from fnnet.files.disk import open_regular, refuse, show_bytes, unreadable
from fnnet.limits import MAX_CLASSES

MAX_MEMBER: Final = 2 * 2**30
MAX_MEMBERS: Final = 1000
MAX_DIRECTORY: Final = 2**20
MAX_LABEL: Final = MAX_CLASSES - 1
END: Final = 22
"""The bytes of the record that ends an archive, without a comment."""
MAX_HEADER: Final = 10_000
"""NumPy's own limit for the header of an array."""
SIZE: Final = "(?:0|[1-9][0-9]{0,18})L?"
ITEM: Final = re.compile(
    r" *'(?:descr' *: *'(?P<descr>[<>|=]?[A-Za-z][0-9]*)'"
    r"|fortran_order' *: *(?P<order>True|False)"
    rf"|shape' *: *\((?P<shape>|{SIZE},|{SIZE}(?:, ?{SIZE})+,?)\)) *(?:,|$)"
)
"""An entry as NumPy writes it."""
SAVE: Final = "save it again with numpy.savez"
BYTES: Final = "store bytes from 0 to 255"


class _Kind(NamedTuple):
    """What an array's header says of it, and where its numbers begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def read_npz(path: str | os.PathLike[str], wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Array]:
    """The arrays `wanted`, and those of `optional` that are there, from the archive at `path`: integers, as stored.

    Raises   DataError for missing names, archives that declare too much, pickled objects and other kinds of numbers.
    """
    with open(open_regular(path), "rb") as file:
        try:
            _check_end(file, path)
            with zipfile.ZipFile(file) as archive:
                members = _check_directory(archive, path)
                names = [name for name in (*wanted, *optional) if name in members]
                missing = [name for name in wanted if name not in members]
                if missing:
                    found = ", ".join(list(members)[:8]) or "nothing"
                    fix = "save the arrays under these names"
                    refuse(f"no array {missing[0]}", path, "the directory", ", ".join(wanted), found, fix)
                kinds = {name: _kind(archive, members[name], name, path) for name in names}
                needed = sum(_needed(name, kind) for name, kind in kinds.items())
                packed = sum(members[name].compress_size for name in names)
                check_expansion(needed, min(packed, bytes_on_disk(file.fileno())), path, ", ".join(names))
                return {name: _read(archive, file, members[name], name, kinds[name], path) for name in names}
        except DataError:
            raise
        except OSError as error:
            raise unreadable(path, error) from None
        except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error) as error:
            refuse("damaged NPZ", path, "the archive", "a whole one", str(error) or type(error).__name__, SAVE)


def _check_end(file: IO[bytes], path: str | os.PathLike[str]) -> None:
    """The record at the end, before a directory of its choosing is read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END - 20))
    tail = file.read(END + 20)
    file.seek(0)
    end = tail[-END:]
    if len(end) < END or not end.startswith(b"PK\x05\x06") or end[-2:] != b"\0\0":
        found = f"{show_bytes(end)}, {size:,} bytes in all"
        refuse(
            "damaged NPZ, cut short or with something behind", path, f"byte {size - len(end)}", "its end", found, SAVE
        )
    disks, count, length, offset = (
        int.from_bytes(end[start:stop], "little") for start, stop in ((4, 8), (10, 12), (12, 16), (16, 20))
    )
    if disks or end[8:10] != end[10:12] or offset + length != size - END or tail[:4] == b"PK\x06\x07":
        expected, found = f"a directory up to byte {size - END}", f"{count} members, {length} bytes from byte {offset}"
        refuse("damaged or unsupported NPZ", path, f"byte {size - END}", expected, found, SAVE)
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        expected, found = f"at most {MAX_MEMBERS:,} in {MAX_DIRECTORY:,} bytes", f"{count:,} in {length:,} bytes"
        refuse("too many members", path, f"byte {offset}", expected, found, "save only the arrays that are wanted")


def _check_directory(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, zipfile.ZipInfo]:
    """Name of each array -> its member."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name, place = member.filename.removesuffix(".npy"), repr(member.filename)
        if name in members:
            refuse("member stored twice", path, place, "each name once", "two of this name", SAVE)
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            refuse("member in a folder", path, place, "plain names", place, SAVE)
        if member.file_size > MAX_MEMBER:
            expected, found = f"at most {MAX_MEMBER:,} bytes", f"{member.file_size:,}"
            refuse("member too large", path, place, expected, found, "split the data")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 0x41:
            found = f"method {member.compress_type}, flags {member.flag_bits:#x}"
            refuse("unsupported compression", path, place, "stored or deflated, not encrypted", found, SAVE)
        members[name] = member
    end = archive.start_dir
    for member in sorted(members.values(), key=lambda each: -each.header_offset):
        if member.header_offset + 30 + member.compress_size > end:
            place, expected = repr(member.filename), f"an end before byte {end}"
            found = f"{member.compress_size:,} bytes from byte {member.header_offset}"
            refuse("damaged NPZ: members overlap", path, place, expected, found, SAVE)
        end = member.header_offset
    return members


def _kind(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: str | os.PathLike[str]) -> _Kind:
    """What a member's header says, where that agrees with the size in the archive's directory."""
    with archive.open(member) as stream:
        magic = stream.read(8)
        wide = 2 if magic[6:7] == b"\x01" else 4
        length = int.from_bytes(stream.read(wide), "little")
        if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0") or length > MAX_HEADER:
            expected = f"an array with a header of at most {MAX_HEADER:,} bytes"
            refuse("damaged or unsupported NPZ", path, name, expected, f"{show_bytes(magic)}, {length:,} bytes", SAVE)
        text = stream.read(length).decode("latin-1")
    start = 8 + wide + length
    found: dict[str, str] = {}
    written = re.fullmatch(r" *\{([^{}]*)\} *\n?", text)
    body = written[1].rstrip(" ") if written else "none"
    body = body if "'" in body else body.replace('"', "'")
    for match in ITEM.finditer(body):
        found |= {key: value for key, value in match.groupdict().items() if value is not None}
    sizes = re.findall("[0-9]+", found.get("shape", ""))
    if len(found) != 3 or len(sizes) > 8 or ITEM.sub("", body, 3):
        refuse("damaged or unsupported NPZ", path, name, "the header of a plain array", repr(text[:60]), SAVE)
    if found["descr"].lstrip("<>|=")[0] == "O":
        refuse("damaged or unsupported NPZ", path, name, "numbers", "pickled objects, which are never opened", BYTES)
    if not re.fullmatch("[<>|=]?[iu][1248]", found["descr"]):
        fix = BYTES if name.startswith("x") else "store whole numbers from 0"
        refuse("dtype", path, name, "integers", _said(found["descr"]), fix)
    dtype, shape = np.dtype(found["descr"]), tuple(map(int, sizes))
    declared = start + math.prod(shape) * dtype.itemsize
    if declared != member.file_size:
        expected, stored = f"{declared:,} bytes, as its header says", f"{member.file_size:,}"
        refuse("damaged or unsupported NPZ", path, name, expected, stored, SAVE)
    return _Kind(shape, dtype, found["order"] == "True", start)


def _said(descr: str) -> str:
    """The dtype as NumPy calls it."""
    try:
        return str(np.dtype(descr))
    except TypeError:
        return descr


def _needed(name: str, kind: _Kind) -> int:
    """Bytes of memory that an array comes to take: as stored and, where that is another, as what it becomes."""
    count = math.prod(kind.shape)
    became = 8 if name.startswith("y") else kind.dtype.itemsize if kind.fortran else int(kind.dtype.itemsize > 1)
    return count * (kind.dtype.itemsize + became)


def _read(
    archive: zipfile.ZipFile,
    file: IO[bytes],
    member: zipfile.ZipInfo,
    name: str,
    kind: _Kind,
    path: str | os.PathLike[str],
) -> Array:
    """One array, read to the end of its member, where the checksum is looked at."""
    array = np.empty(math.prod(kind.shape), kind.dtype)
    into, filled = array.view(np.uint8), 0
    with archive.open(member) as stream:
        stream.read(kind.start)
        while content := stream.read(2**20):
            filled += len(content)
            into[filled - len(content) : filled] = memoryview(content)
            check_expansion(filled, file.tell() - member.header_offset, path, name)
    if filled != len(into):
        refuse("damaged NPZ", path, name, f"{len(into):,} bytes of numbers", f"{filled:,}", SAVE)
    return array.reshape(kind.shape[::-1]).T if kind.fortran else array.reshape(kind.shape)


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
        expected = "at least 1 image, shape (n, height, width) or (n, pixels)"
        refuse("no images", where, name, expected, f"shape {x.shape}", "store one image a row")
    shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else image_shape(x.shape[1], flat)
    _check_range(x, 255, where, name)
    return np.ascontiguousarray(x, np.uint8).reshape(len(x), -1), shape


def as_labels(values: Array, n: int, where: str | os.PathLike[str], name: str) -> Array:
    """Labels of n images, integers (n,) or (n, 1), as int64 (n,); DataError for others."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n,):
        rows = values.ndim == 2 and len(values) == n
        fix = "one-hot rows become labels by argmax(axis=1)" if rows else "store one label for each image"
        problem = "counts differ" if values.ndim == 1 else "no labels"
        refuse(problem, where, name, f"shape ({n},), one label an image", f"shape {values.shape}", fix)
    _check_range(values, MAX_LABEL, where, name)
    return values.astype(np.int64)


def _check_range(values: Array, most: int, where: str | os.PathLike[str], name: str) -> None:
    """The least and the greatest, for which no memory is needed."""
    if values.min() < 0 or values.max() > most:
        at = values.argmin() if values.min() < 0 else values.argmax()
        index = tuple(map(int, np.unravel_index(at, values.shape)))
        place, fix = f"{name}[{', '.join(map(str, index))}]", BYTES if most == 255 else "store whole numbers from 0"
        refuse("value out of range", where, place, f"0 to {most}", values[index], fix)


def image_shape(pixels: int, flat: tuple[int, int] | None = None) -> tuple[int, int]:
    """(height, width) of an image of so many pixels: `flat` if it has as many, the square, or else one row."""
    if flat is not None and flat[0] * flat[1] == pixels:
        return flat
    side = math.isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)
