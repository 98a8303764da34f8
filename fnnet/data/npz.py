"""NPZ archives: arrays of images and labels, named as Keras (`x_train`, `y_train`), MedMNIST or others name them."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.checks import check_classes
from fnnet.core.params import Array
from fnnet.data.array_table import content_of
from fnnet.data.arrays import ENOUGH, one_image
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.first_axis import check_first_axis
from fnnet.data.label_names import with_test
from fnnet.data.listing import shown
from fnnet.data.named import (
    CLASS_NAMES,
    PIXEL_ORDER,
    ROWS_FIRST,
    Chosen,
    assemble,
    choose,
    named_so,
    of_shapes,
    refuse_names,
    texts_in,
    with_names,
    without_coordinates,
)
from fnnet.data.notes import Note
from fnnet.data.npy import Header, needed, read_header
from fnnet.data.opened import AnyPath, Opened
from fnnet.data.reader import Content, Format, Wanted, like
from fnnet.data.roles import Role, beside, part_in, role_of
from fnnet.data.splits import check_arrays, refuse_array, saying
from fnnet.data.text_labels import Stored, numbered_texts
from fnnet.data.unpacked import ZIP, how_to_unpack, packs_text
from fnnet.errors import DataError, FnnetError, UsageError, counted
from fnnet.files.disk import refuse, show_bytes

MAX_MEMBER: Final = 2 * 2**30
MAX_MEMBERS: Final = 1000
MAX_DIRECTORY: Final = 2**20
END: Final = 22
"""The bytes of the record that ends an archive, without the comment that may follow."""
COMMENT: Final = 65535
"""The longest comment."""
SAVE: Final = "save it again with numpy.savez"
TEXTS: Final = (CLASS_NAMES, PIXEL_ORDER)
"""Arrays of text."""


def read_npz(
    path: AnyPath, wanted: tuple[str, ...], optional: tuple[str, ...] = (), *, words: bool = False
) -> dict[str, Array]:
    """Return the arrays `wanted`, and those of `optional` that the archive at `path` has, as stored.

    words    True if they are labels, which may be text.
    Raises   DataError for missing names, archives that declare too much, pickled objects and other kinds of elements.
    """

    def chosen(there: Sequence[str], header: Headers) -> dict[str, bool]:
        missing = [name for name in wanted if name not in there]
        if missing:
            refuse_names(f"no array {missing[0]}", path, ", ".join(wanted), there)
        return {name: words or _is_labels(name) for name in (*wanted, *optional) if name in there}

    with Opened(path) as file:
        return _arrays(file, path, chosen)


Headers = Callable[[str], Header]
"""The name of an array -> its header."""


def _arrays(
    file: BufferedReader, path: AnyPath, chosen: Callable[[Sequence[str], Headers], Mapping[str, bool]]
) -> dict[str, Array]:
    """Return those arrays of an archive that `chosen` returns of all their names, each with True if it is labels."""
    try:
        _check_end(file, path)
        with zipfile.ZipFile(file) as archive:
            members = _check_directory(archive, path)

            def header_of(name: str, words: bool = True) -> Header:
                return _header(archive, members[name], name, path, words=words)

            labels = chosen(list(members), header_of)
            headers = {name: header_of(name, is_labels) for name, is_labels in labels.items()}
            headers |= _texts(archive, members, path)
            names = list(headers)
            total = sum(needed(header, labels.get(name, False)) for name, header in headers.items())
            packed = sum(members[name].compress_size for name in names)
            check_expansion(total, min(packed, bytes_on_disk(file.fileno())), path, ", ".join(names))
            return {name: _read(archive, file, members[name], name, headers[name], path) for name in names}
    except FnnetError:
        raise
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error) as error:
        refuse("damaged NPZ", path, "the archive", "a valid archive", str(error) or type(error).__name__, SAVE)


def _texts(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], path: AnyPath) -> dict[str, Header]:
    """Return the headers of arrays of text: those of our own archives, or any that name classes; no others of these."""
    if PIXEL_ORDER in members:
        return {name: _header(archive, members[name], name, path, words=True) for name in TEXTS if name in members}
    found = {}
    for name in named_so(members):
        with suppress(DataError):  # it holds pickled objects, say
            header = _header(archive, members[name], name, path, words=True)
            if header.dtype.kind in "US":
                found[name] = header
    return found


def _is_labels(name: str) -> bool:
    role = role_of(name)
    return role is not None and role.labels


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
    files = [name for name in archive.namelist() if not name.endswith("/")]
    if files and not any(name.endswith(".npy") for name in files):
        expected = "arrays (.npy) as numpy.savez stores them, or one file of text"
        refuse("a ZIP archive of other files", path, "the directory", expected, shown(files), how_to_unpack(files))
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


def _header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: AnyPath, *, words: bool = False
) -> Header:
    """Return the header of a member, which must agree with the size in the archive's directory."""
    with archive.open(member) as stream:
        return read_header(stream, member.file_size, path, name, "NPZ", SAVE, words=words)


def _read(
    archive: zipfile.ZipFile,
    file: BufferedReader,
    member: zipfile.ZipInfo,
    name: str,
    header: Header,
    path: AnyPath,
) -> Array:
    """Read one array to the end of its member, where zipfile verifies the checksum."""
    array = np.empty(header.elements, header.dtype)
    into, filled = array.view(np.uint8), 0
    with archive.open(member) as stream:
        stream.read(header.start)
        while content := stream.read(2**20):
            filled += len(content)
            into[filled - len(content) : filled] = memoryview(content)
            check_expansion(filled, file.tell() - member.header_offset, path, name)
    if filled != len(into):
        refuse("damaged NPZ", path, name, f"{counted(len(into), 'byte')} of numbers", f"{filled:,}", SAVE)
    return header.shaped(array)


def _read_content(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read the arrays of training and, if there are any, of test; without labels, the images of test, else all."""
    found: list[Chosen] = []
    names: list[str] = []
    beside: list[str] = []

    def chosen(there: Sequence[str], header: Headers) -> dict[str, bool]:
        there = without_coordinates(there, lambda name: header(name).shape)
        known = _by_shape(there, header, wanted.labelled) or choose(there, wanted.labelled, path)
        found.append(of_shapes(known, lambda name: _shape(name, header), path))
        names.extend(named_so(there))
        beside.extend(_saying_parts(there, header, found[0], path) if wanted.labelled else ())
        return {name: role.labels for role, name in found[0].names.items()} | dict.fromkeys(beside, True)

    arrays = _arrays(file, path, chosen)
    texts = {name: texts_in(arrays[name]) if name in arrays else None for name in names}
    content = assemble(
        found[0], path, wanted, lambda name, labels, given: _part(arrays, name, labels, path, given, texts)
    )
    check_arrays({name: arrays[name] for name in beside}, found[0], len(content.x), path)
    if PIXEL_ORDER not in arrays or arrays[PIXEL_ORDER].tolist() != ROWS_FIRST:
        return with_names(content, texts, path, wanted) if wanted.labelled else content
    return content._replace(by_row=True, classes=_class_names(arrays, path))


def _shape(name: str, header: Headers) -> tuple[int, ...]:
    """Return the shape of an array; that of several numbers for one of objects, which is not opened."""
    with suppress(DataError):
        return header(name).shape
    return (2,)


def _saying_parts(there: Sequence[str], header: Headers, chosen: Chosen, path: AnyPath) -> list[str]:
    """Return the arrays that may say of which part each image is, by their names or as text.

    Raises   DataError for one that does by its name, and is of objects.
    """
    images = next(name for role, name in chosen.names.items() if not role.labels)
    said, n = {*saying(there, chosen)}, (*header(images).shape, 0)[0]
    found = []
    for name in there:
        if name in chosen.names.values():
            continue
        try:
            kind = header(name)
        except DataError as error:  # it holds pickled objects, say
            if name in said:
                refuse_array(path, name, error.found)
            continue
        if name in said or (kind.dtype.kind in "US" and kind.elements == n):
            found.append(name)
    return found


def _by_shape(there: Sequence[str], header: Headers, labelled: bool) -> Chosen | None:
    """Return which of the two arrays that numpy.savez has numbered is of images, if their shapes show it.

    Images have ENOUGH pixels each; labels are as many numbers or texts, or as many rows of fewer numbers.
    """
    if sorted(there) != ["arr_0", "arr_1"]:
        return None
    headers = {name: header(name) for name in sorted(there)}
    for images, labels in (("arr_0", "arr_1"), ("arr_1", "arr_0")):
        (n, *pixels), (count, *columns) = (headers[name].shape or (0,) for name in (images, labels))
        numbers, rows = (headers[name].dtype.kind not in "US" for name in (images, labels))
        alike = n == count and len(columns) < 2 and (rows or not columns)
        if numbers and alike and math.prod(pixels) >= ENOUGH > math.prod(columns):
            names = {Role("", labels=False): images} | ({Role("", labels=True): labels} if labelled else {})
            return Chosen(names, (), ())
    return None


def _class_names(arrays: Mapping[str, Array], path: AnyPath) -> tuple[str, ...]:
    """Return the names of the classes that an archive of our own holds, if it does."""
    names = arrays.get(CLASS_NAMES)
    if names is None or names.dtype.kind != "U" or names.ndim != 1:
        return ()
    try:
        return check_classes(names.tolist())
    except UsageError as error:
        refuse("class names", path, CLASS_NAMES, error.expected, error.found, SAVE)


def _part(
    arrays: Mapping[str, Array], name: str, labels: str | None, path: AnyPath, wanted: Wanted, texts: Stored
) -> Content:
    """Return images with their labels, which are in the archive or, if it holds a single array, in one beside it."""
    x = arrays[name]
    if not wanted.labelled:
        x = one_image(x, wanted.shape, path, name)
        check_first_axis(x, None, wanted.shape, path, name)
        return content_of(x, None, path, name, wanted)
    if labels:
        return _with_labels(x, arrays[labels], name, labels, path, "", wanted, texts)
    found = beside(Path(os.fsdecode(path)), labels=True) if name == "arr_0" else None
    if found is None:
        expected, there = "images and labels of each part", ", ".join(arrays)
        refuse("labels missing", path, "the directory", expected, there, f"add the labels of {name}")
    values = read_npz(found, ("arr_0",), words=True)["arr_0"]
    content = _with_labels(x, values, name, "arr_0", path, str(found), wanted, texts)
    test = beside(Path(os.fsdecode(path)), "test", labels=False)
    if test is None or part_in(Path(os.fsdecode(path)).stem) != "train":
        return content
    with Opened(test) as file:
        return with_test(content, _read_content(file, test, like(content, wanted)), test)


def _with_labels(
    x: Array, values: Array, name: str, labels: str, path: AnyPath, at: str, wanted: Wanted, texts: Stored
) -> Content:
    """Return images with their labels, numbers or text.

    at   the file of the labels, if it is another.
    """
    notes: list[Note] = []
    numbers, classes = numbered_texts(values, at or path, labels, wanted, texts, notes)
    check_first_axis(x, len(values) if values.ndim else None, wanted.shape, path, name)
    return content_of(x, numbers, path, name, wanted, classes, notes, at, labels, texts)


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for a ZIP archive, unless its first member is text."""
    return head.startswith(ZIP) and not packs_text(head)


FORMAT: Final = Format("NPZ", _recognise, _read_content, suffixes=(".npz",), rows=True)
