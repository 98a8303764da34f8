"""NPZ archives as Keras has them: `x_train`, `y_train` and, if there is a test set, `x_test`, `y_test`."""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from io import BufferedReader
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import BYTES, WHOLE, as_images, as_labels
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.reader import BINARY, AnyPath, Content, Format, Opened, Wanted
from fnnet.data.unpacked import packed_head
from fnnet.errors import FnnetError, counted
from fnnet.files.disk import looks_like_html, refuse, show_bytes

MAGIC: Final = b"PK\x03\x04"
MAX_MEMBER: Final = 2 * 2**30
MAX_MEMBERS: Final = 1000
MAX_DIRECTORY: Final = 2**20
END: Final = 22
"""The bytes of the record that ends an archive, without the comment that may follow."""
COMMENT: Final = 65535
"""The longest comment."""
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


class _Kind(NamedTuple):
    """The header of an array, and the byte at which its numbers start."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def read_npz(path: AnyPath, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Array]:
    """Return the arrays `wanted`, and those of `optional` that the archive at `path` has: integers, as stored.

    Raises   DataError for missing names, archives that declare too much, pickled objects and other kinds of numbers.
    """
    with Opened(path) as file:
        return _arrays(file, path, wanted, optional)


def _arrays(
    file: BufferedReader, path: AnyPath, wanted: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Array]:
    try:
        _check_end(file, path)
        with zipfile.ZipFile(file) as archive:
            members = _check_directory(archive, path)
            names = [name for name in (*wanted, *optional) if name in members]
            missing = [name for name in wanted if name not in members]
            if missing:
                found, fix = ", ".join(list(members)[:8]) or "no arrays", "save the arrays under these names"
                refuse(f"no array {missing[0]}", path, "the directory", ", ".join(wanted), found, fix)
            kinds = {name: _kind(archive, members[name], name, path) for name in names}
            needed = sum(_needed(name, kind) for name, kind in kinds.items())
            packed = sum(members[name].compress_size for name in names)
            check_expansion(needed, min(packed, bytes_on_disk(file.fileno())), path, ", ".join(names))
            return {name: _read(archive, file, members[name], name, kinds[name], path) for name in names}
    except FnnetError:
        raise
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error) as error:
        refuse("damaged NPZ", path, "the archive", "a valid archive", str(error) or type(error).__name__, SAVE)


def _check_end(file: BufferedReader, path: AnyPath) -> None:
    """Check the record at the end of the archive before the directory that it points to is read."""
    whole = file.seek(0, os.SEEK_END)
    file.seek(max(0, whole - END - COMMENT - 20))
    tail = file.read(END + COMMENT + 20)
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    end, comment = tail[at : at + END], len(tail) - at - END
    if at < 0 or len(end) < END or int.from_bytes(end[-2:], "little") != comment:
        problem, last = "damaged NPZ, truncated or followed by more data", tail[-END:]
        found = f"{show_bytes(last)}, {counted(whole, 'byte')} in all"
        refuse(problem, path, f"byte {whole - len(last)}", "the end of an archive", found, SAVE)
    size = whole - comment
    disks, count, length, offset = (
        int.from_bytes(end[start:stop], "little") for start, stop in ((4, 8), (10, 12), (12, 16), (16, 20))
    )
    if (
        disks
        or end[8:10] != end[10:12]
        or offset + length != size - END
        or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07")
    ):
        found = f"{counted(count, 'member')}, {counted(length, 'byte')} from byte {offset}"
        place, expected = f"byte {size - END}", f"a directory up to byte {size - END}"
        refuse("damaged or unsupported NPZ", path, place, expected, found, SAVE)
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        expected, found = f"at most {MAX_MEMBERS:,} in {MAX_DIRECTORY:,} bytes", f"{count:,} in {length:,} bytes"
        refuse("too many members", path, f"byte {offset}", expected, found, "save only the arrays that are needed")


def _check_directory(archive: zipfile.ZipFile, path: AnyPath) -> dict[str, zipfile.ZipInfo]:
    """Check the directory; return name of each array -> its member."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name, place = member.filename.removesuffix(".npy"), repr(member.filename)
        if name in members:
            refuse("member stored twice", path, place, "each name once", "two with this name", SAVE)
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
            found = f"{counted(member.compress_size, 'byte')} from byte {member.header_offset}"
            refuse("damaged NPZ: members overlap", path, place, expected, found, SAVE)
        end = member.header_offset
    return members


def _kind(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: AnyPath) -> _Kind:
    """Return a member's header, which must agree with the size in the archive's directory."""
    with archive.open(member) as stream:
        magic = stream.read(8)
        wide = 2 if magic[6:7] == b"\x01" else 4
        length = int.from_bytes(stream.read(wide), "little")
        if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0") or length > MAX_HEADER:
            expected = f"an array with a header of at most {MAX_HEADER:,} bytes"
            seen = f"{show_bytes(magic)}, {counted(length, 'byte')}"
            refuse("damaged or unsupported NPZ", path, name, expected, seen, SAVE)
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
        fix = BYTES if name.startswith("x") else WHOLE
        refuse("dtype", path, name, "integers", _dtype_name(found["descr"]), fix)
    dtype, shape = np.dtype(found["descr"]), tuple(map(int, sizes))
    declared = start + math.prod(shape) * dtype.itemsize
    if declared != member.file_size:
        expected, stored = f"{counted(declared, 'byte')}, as its header says", f"{member.file_size:,}"
        refuse("damaged or unsupported NPZ", path, name, expected, stored, SAVE)
    return _Kind(shape, dtype, found["order"] == "True", start)


def _dtype_name(descr: str) -> str:
    """Return the dtype as NumPy prints it."""
    try:
        return str(np.dtype(descr))
    except TypeError:
        return descr


def _needed(name: str, kind: _Kind) -> int:
    """Return the bytes of memory that an array will take: as stored and, if that differs, as converted."""
    count = math.prod(kind.shape)
    converted = 8 if name.startswith("y") else kind.dtype.itemsize if kind.fortran else int(kind.dtype.itemsize > 1)
    return count * (kind.dtype.itemsize + converted)


def _read(
    archive: zipfile.ZipFile,
    file: BufferedReader,
    member: zipfile.ZipInfo,
    name: str,
    kind: _Kind,
    path: AnyPath,
) -> Array:
    """Read one array to the end of its member, where zipfile verifies the checksum."""
    array = np.empty(math.prod(kind.shape), kind.dtype)
    into, filled = array.view(np.uint8), 0
    with archive.open(member) as stream:
        stream.read(kind.start)
        while content := stream.read(2**20):
            filled += len(content)
            into[filled - len(content) : filled] = memoryview(content)
            check_expansion(filled, file.tell() - member.header_offset, path, name)
    if filled != len(into):
        refuse("damaged NPZ", path, name, f"{counted(len(into), 'byte')} of numbers", f"{filled:,}", SAVE)
    return array.reshape(kind.shape[::-1]).T if kind.fortran else array.reshape(kind.shape)


def _read_content(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the arrays of training and, if there are any, of test; without labels, the images of test alone."""
    if not wanted.labelled:
        return _content(_arrays(file, path, ("x_test",)), "test", path, wanted)
    arrays = _arrays(file, path, ("x_train", "y_train"), ("x_test", "y_test"))
    if ("x_test" in arrays) != ("y_test" in arrays):
        expected = "both x_test and y_test, or neither"
        refuse("test set incomplete", path, "the directory", expected, ", ".join(arrays), "add the missing array")
    train = _content(arrays, "train", path, wanted)
    return train._replace(test=_content(arrays, "test", path, wanted)) if "x_test" in arrays else train


def _content(arrays: dict[str, Array], part: str, path: AnyPath, wanted: Wanted) -> Content:
    name = f"x_{part}"
    x, shape = as_images(arrays[name], path, name, wanted.shape)
    labels = as_labels(arrays[f"y_{part}"], len(x), path, f"y_{part}") if wanted.labelled else None
    return Content(x, labels, shape, labels_at=f"{os.fsdecode(path)}: y_{part}", shape_at=name)


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for a ZIP archive, unless its first member is text."""
    inside = packed_head(head) if head.startswith(MAGIC) else b""
    return head.startswith(MAGIC) and (not inside or BINARY.search(inside) is not None or looks_like_html(inside))


FORMAT: Final = Format("NPZ", _recognise, _read_content)
