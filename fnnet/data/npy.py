"""NumPy's own files of one array: a magic string, a header in the syntax of a Python dict, the numbers."""

from __future__ import annotations

import math
import os
import re
import warnings
from io import BufferedReader
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.array_table import content_of
from fnnet.data.arrays import BYTES, WHOLE_LABELS, one_image
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.first_axis import check_first_axis
from fnnet.data.label_names import with_test
from fnnet.data.listing import entries
from fnnet.data.notes import Note
from fnnet.data.opened import AGAIN, AnyPath, Opened
from fnnet.data.reader import Content, Format, Wanted, like
from fnnet.data.roles import beside, part_in, role_of
from fnnet.data.text_labels import numbered_texts
from fnnet.errors import counted
from fnnet.files.disk import refuse, show_bytes

MAGIC: Final = b"\x93NUMPY"
MAX_HEADER: Final = 10_000
"""NumPy's own limit for the header of an array."""
MAX_ARRAY: Final = 4 * 2**30
SIZE: Final = "(?:0|[1-9][0-9]{0,18})L?"
ITEM: Final = re.compile(
    r" *'(?:descr' *: *'(?P<descr>[<>|=]?[A-Za-z?][0-9]*(?:\[[A-Za-z0-9/]{1,16}\])?)'"
    r"|fortran_order' *: *(?P<order>True|False)"
    rf"|shape' *: *\((?P<shape>|{SIZE},|{SIZE}(?:, ?{SIZE})+,?)\)) *(?:,|$)"
)
"""An entry as NumPy writes it."""
SAVE: Final = "save it again with numpy.save"


class Header(NamedTuple):
    """The header of an array, and the byte at which its numbers start."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool
    start: int

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def shaped(self, values: Array) -> Array:
        """Return the numbers in the array's shape."""
        return values.reshape(self.shape[::-1]).T if self.fortran else values.reshape(self.shape)


def read_header(
    stream: IO[bytes], size: int, where: AnyPath, name: str, kind: str, fix: str, *, words: bool = False
) -> Header:
    """Return the header of an array, which must agree with its size in bytes.

    name       of the array, for messages; images or labels by its role.
    kind, fix  what a message calls the file, and what to do with a damaged one.
    words      True if text of a fixed length is allowed, too.
    """
    problem = f"damaged or unsupported {kind}"
    magic = stream.read(8)
    wide = 2 if magic[6:7] == b"\x01" else 4
    length = int.from_bytes(stream.read(wide), "little")
    if magic[:6] != MAGIC or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0") or length > MAX_HEADER:
        expected = f"an array with a header of at most {MAX_HEADER:,} bytes"
        refuse(problem, where, name, expected, f"{show_bytes(magic)}, {counted(length, 'byte')}", fix)
    text = stream.read(length).decode("latin-1")
    found: dict[str, str] = {}
    written = re.fullmatch(r" *\{([^{}]*)\} *\n?", text)
    body = written[1].rstrip(" ") if written else "none"
    body = body if "'" in body else body.replace('"', "'")
    for match in ITEM.finditer(body):
        found |= {key: value for key, value in match.groupdict().items() if value is not None}
    role = role_of(name)
    better = WHOLE_LABELS if role and role.labels else BYTES
    fields = re.match(r" *'descr' *: *\[(.*)\]", body)
    if fields:
        expected, some = "integers, floats or truth values", f"a structured dtype, {fields[1][:60]}"
        refuse("dtype", where, name, expected, some, f"store one field as an array; {better}")
    sizes = re.findall("[0-9]+", found.get("shape", ""))
    if len(found) != 3 or len(sizes) > 8 or ITEM.sub("", body, 3):
        refuse(problem, where, name, "the header of a plain array", repr(text[:60]), fix)
    if found["descr"].lstrip("<>|=")[0] == "O":
        refuse(problem, where, name, "numbers", "pickled objects, which are never opened", better)
    is_text = words and re.fullmatch(r"(?:[<>]U|\|S)[1-9][0-9]{0,3}", found["descr"])
    if not is_text and not re.fullmatch(r"[<>|=]?(?:[iu][1248]|f[248]|b1|\?)", found["descr"]):
        refuse("dtype", where, name, "integers, floats or truth values", _dtype_name(found["descr"]), better)
    header = Header(tuple(map(int, sizes)), np.dtype(found["descr"]), found["order"] == "True", 8 + wide + length)
    declared = header.start + header.elements * header.dtype.itemsize
    if declared != size:
        expected, stored = f"{counted(declared, 'byte')}, as its header says", f"{size:,}"
        refuse(problem, where, name, expected, stored, fix)
    return header


def _dtype_name(descr: str) -> str:
    """Return the dtype as NumPy prints it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for aliases that NumPy no longer has
        try:
            return str(np.dtype(descr))
        except TypeError:
            return descr


def needed(header: Header, labels: bool) -> int:
    """Return the bytes of memory that an array will take: as stored and, if that differs, as converted."""
    size = header.dtype.itemsize
    converted = 8 if labels else size if header.fortran else int(size > 1)
    return header.elements * (size + converted)


def read_array(path: AnyPath, *, words: bool = False) -> Array:
    """Return the numbers in a file of one array, as stored.

    words    True if text is allowed, too.
    Raises   DataError for a damaged file, pickled objects and other kinds of elements.
    """
    with Opened(path) as file:
        return _array(file, path, words=words)


def _array(file: BufferedReader, path: AnyPath, *, words: bool = False) -> Array:
    size, name = os.fstat(file.fileno()).st_size, Path(os.fsdecode(path)).stem
    if size > MAX_ARRAY:
        refuse("array too large", path, name, f"at most {MAX_ARRAY:,} bytes", f"{size:,}", "split the data")
    header = read_header(file, size, path, name, "NPY", SAVE, words=words)
    check_expansion(needed(header, labels=True), bytes_on_disk(file.fileno()), path, name)
    values = np.empty(header.elements, header.dtype)
    into, filled = values.view(np.uint8).data, 0
    while filled < len(into) and (read := file.readinto(into[filled:])):
        filled += read
    if filled < len(into):
        refuse("damaged NPY", path, f"byte {header.start + filled}", counted(size, "byte"), "fewer", AGAIN)
    return header.shaped(values)


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read an array of images; its labels, and the test set, lie in files beside it."""
    images_path = Path(os.fsdecode(path))
    role = role_of(images_path.stem)
    if role and role.labels:
        refuse("these are labels", path, "the name", "a file of images", images_path.name, "name the file of images")
    x = _array(file, path)
    if not wanted.labelled:
        x, name = one_image(x, wanted.shape, path, images_path.stem), images_path.stem
        check_first_axis(x, None, wanted.shape, path, name)
        return content_of(x, None, path, name, wanted)
    content = _labelled(x, images_path, wanted)
    test = beside(images_path, "test", labels=False) if part_in(images_path.stem) == "train" else None
    return with_test(content, _labelled(read_array(test), test, like(content, wanted)), test) if test else content


def _labelled(x: Array, path: Path, wanted: Wanted) -> Content:
    labels = beside(path, labels=True)
    if labels is None:
        expected = "a file of labels beside it, such as y_train.npy beside x_train.npy"
        packed = next((each.name for each in entries(path.parent) if _is_packed_labels(each)), "")
        fix = f"unpack {packed}" if packed else "put the labels there"
        refuse("no labels", path, "the folder", expected, packed or "none", fix)
    values = read_array(labels, words=True)
    notes: list[Note] = []
    known, classes = numbered_texts(values, labels, labels.stem, wanted, {}, notes)
    check_first_axis(x, len(values) if values.ndim else None, wanted.shape, path, path.stem)
    return content_of(x, known, path, path.stem, wanted, classes, notes, str(labels), labels.stem)


def _is_packed_labels(path: Path) -> bool:
    """Return True for the name of a packed array of labels, such as y_train.npy.gz."""
    role = role_of(Path(path.stem).stem)
    return ".npy" in path.suffixes[:-1] and role is not None and role.labels


FORMAT: Final = Format("NPY", lambda head, path: head.startswith(MAGIC), _read, suffixes=(".npy",), rows=True)
