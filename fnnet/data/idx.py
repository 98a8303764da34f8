"""IDX, the format of MNIST's files, raw or gzip-compressed (recognised by content, not by name).

Format: two zero bytes, a type byte (8 = unsigned byte), the rank, then one big-endian 32-bit size per dimension and
the numbers in C order, big-endian. Source: the description on MNIST's page by LeCun, Cortes and Burges.
"""

from __future__ import annotations

import math
import os
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.arrays import COLOURS, as_content, as_labels
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.filled import fill
from fnnet.data.kinds import kind_of
from fnnet.data.notes import Note
from fnnet.data.reader import AGAIN, AnyPath, Content, Format, Opened, Wanted
from fnnet.data.unpacked import GZIP, packs_text
from fnnet.errors import counted
from fnnet.files.disk import looks_like_html, refuse, show_bytes

TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Type byte of the format -> dtype."""
QMNIST: Final = 8
"""Columns of QMNIST's labels; the first is the class."""
MAX_PAYLOAD: Final = 2 * 2**30
MAX_HEADER: Final = 20
DEFLATE_BOUND: Final = 1032
"""No deflate stream expands by more than 1032 to 1 (zlib's technical notes)."""
PIECE: Final = 2**18
AS_BYTES: Final = "store images of rank 3, or 4 with colours, or labels of rank 1"


def looks_like_idx(head: bytes) -> bool:
    """Return True if these first bytes are gzip's or those of an IDX file."""
    return head.startswith(GZIP) or (head[:2] == b"\x00\x00" and len(head) >= 4 and head[2] in TYPES)


def read_idx(path: AnyPath) -> Array:
    """Return the array of an IDX file, read-only, of rank 1 to 4; uint8 in MNIST's files.

    Raises   DataError naming the place for anything but one whole, well-formed array; StorageError if unreadable.
    """
    return parse_idx(read_payload(path), path)


def read_payload(path: AnyPath) -> Array:
    """Return the IDX bytes of a file, header included, decompressed if need be: read-only uint8 (n,).

    The file is read once, in pieces, into memory of the size that its header declares and its length allows.
    """
    with Opened(path) as file:
        return _payload(file, path)


def _payload(file: BufferedReader, path: AnyPath) -> Array:
    head = file.read(MAX_HEADER)
    return freeze(_gunzip(file, path) if head.startswith(GZIP) else _copy(file, head, path))


def parse_idx(payload: Array, where: AnyPath) -> Array:
    """Return the array in the bytes of an IDX file, which must have exactly the length that their header declares."""
    header = _header(payload[:MAX_HEADER].tobytes(), where)
    _check_length(header, len(payload), where)
    array = payload[header.start :].view(header.dtype).reshape(header.shape)
    return array if header.dtype.itemsize == 1 else freeze(array.astype(header.dtype.newbyteorder("=")))


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def start(self) -> int:
        """The byte at which the numbers start."""
        return 4 + 4 * len(self.shape)

    @property
    def bytes(self) -> int:
        """The bytes of the whole file."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize

    @property
    def needed(self) -> int:
        """The bytes of memory that it will take; labels become 64-bit integers, images bytes."""
        converted = 8 if len(self.shape) == 1 else int(self.dtype.itemsize > 1)
        return math.prod(self.shape) * (self.dtype.itemsize + converted)


def _header(head: bytes, where: AnyPath) -> _Header:
    if not head:
        refuse("file is empty", where, "byte 0", "data", "0 bytes", AGAIN)
    if not head.startswith(b"\x00\x00") or len(head) < 4:
        problem = "an HTML page, not data" if looks_like_html(head) else "not an IDX file"
        found, fix = kind_of(head) or (show_bytes(head), AGAIN)
        refuse(problem, where, "byte 0", "bytes 00 00 08 (IDX) or 1f 8b (gzip)", found, fix)
    if head[2] not in TYPES:
        expected = ", ".join(map(str, TYPES))
        refuse("IDX type", where, "byte 2", expected, head[2], AS_BYTES)
    rank = head[3]
    if not 1 <= rank <= 4:
        refuse("IDX rank", where, "byte 3", "1 to 4", rank, AS_BYTES)
    if len(head) < 4 + 4 * rank:
        needed = f"{4 + 4 * rank} bytes of header"
        refuse("IDX header cut short", where, f"byte {len(head)}", needed, counted(len(head), "byte"), AGAIN)
    shape = tuple(int.from_bytes(head[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    if 0 in shape:
        place = f"byte {4 + 4 * shape.index(0)}"
        refuse("empty dataset", where, place, "sizes of at least 1", f"shape {shape}", AGAIN)
    header = _Header(np.dtype(TYPES[head[2]]), shape)
    if header.bytes > MAX_PAYLOAD + MAX_HEADER:
        found = f"{header.bytes - header.start:,} for shape {shape}"
        fix = "split the data, or fetch the file again if it is smaller"
        refuse("IDX too large", where, "byte 4", f"at most {MAX_PAYLOAD:,} bytes", found, fix)
    return header


def _check_length(header: _Header, length: int, where: AnyPath) -> None:
    if length != header.bytes:
        problem, place = "IDX size does not match its header", f"byte {min(length, header.bytes)}"
        expected = f"{counted(header.bytes, 'byte')} for shape {header.shape}"
        refuse(problem, where, place, expected, f"{length:,}", AGAIN)


def _copy(file: BufferedReader, head: bytes, where: AnyPath) -> Array:
    """Read a raw IDX file, whose first bytes are `head`."""
    header = _header(head, where)
    _check_length(header, os.fstat(file.fileno()).st_size, where)
    check_expansion(header.needed, bytes_on_disk(file.fileno()), where, "byte 4")
    payload = np.empty(header.bytes, np.uint8)
    filled = fill(file, payload)  # header included
    if filled < len(payload) or payload[: len(head)].tobytes() != head[: len(payload)]:
        problem, fix = "file changed while it was read", "wait until it is written"
        refuse(problem, where, f"byte {filled}", counted(len(payload), "byte"), f"{filled:,}", fix)
    return payload


class _Inflater:
    """The decompressed bytes of the gzip members in `file`, in bounded pieces."""

    def __init__(self, file: BufferedReader, where: AnyPath) -> None:
        file.seek(0)
        self.file, self.where = file, where
        self.stream = zlib.decompressobj(wbits=31)
        self.read_bytes = self.given = 0
        self.next = b""
        self.declared = MAX_HEADER

    def taken(self) -> int:
        """Return the number of compressed bytes used so far."""
        left = self.stream.unused_data if self.stream.eof else self.stream.unconsumed_tail
        return self.read_bytes - len(left) - len(self.next)

    def read(self, most: int) -> bytes:
        """Return the next bytes, at most `most`; none at the end, once gzip's checksums and lengths are verified."""
        while not self.stream.eof or self._begin_member():
            piece = self.next or self.stream.unconsumed_tail or self._take()
            self.next = b""
            try:
                content = self.stream.decompress(piece, min(most, 4 * PIECE))
            except zlib.error as error:
                self.refuse(f"damaged gzip ({error})", "a gzip stream that matches its checksum", "a different stream")
            if content:
                self.given += len(content)
                return content
            if not piece:
                expected = f"{counted(self.declared, 'byte')} decompressed and a checksum"
                self.refuse("gzip truncated", expected, counted(self.given, "byte"))
        return b""

    def _take(self) -> bytes:
        piece = self.file.read(PIECE)
        self.read_bytes += len(piece)
        return piece

    def _begin_member(self) -> bool:
        """Begin one more member, if one follows; return False at the end of the file."""
        rest = self.stream.unused_data or self._take()
        if len(rest) == 1:
            rest += self._take()
        if rest and not rest.startswith(GZIP):
            self.refuse("data after the end of gzip", "end of file or another member", "more bytes")
        if rest:
            self.stream, self.next = zlib.decompressobj(wbits=31), rest
        return bool(rest)

    def refuse(self, problem: str, expected: str, found: str) -> NoReturn:
        """Raise DataError at the compressed byte reached."""
        refuse(problem, self.where, f"compressed byte {self.taken()}", expected, found, AGAIN)


def _gunzip(file: BufferedReader, where: AnyPath) -> Array:
    """Read gzip members that hold one IDX file, in no more memory than its header declares and deflate allows."""
    size, source = os.fstat(file.fileno()).st_size, _Inflater(file, where)
    head = b""
    while len(head) < MAX_HEADER and (more := source.read(MAX_HEADER - len(head))):
        head += more
    header = _header(head, where)
    source.declared = declared = header.bytes
    if declared > DEFLATE_BOUND * size + 1024:
        expected = f"at least {declared // DEFLATE_BOUND:,} compressed bytes for shape {header.shape}"
        source.refuse("compressed file too small", expected, f"{size:,}")
    check_expansion(header.needed, size, where, "decompressed byte 4")
    payload = np.empty(declared, np.uint8)
    filled, content = 0, head
    while content:
        if filled + len(content) > declared:
            source.refuse("more data than declared", counted(declared, "byte"), "more")
        payload[filled : filled + len(content)] = memoryview(content)
        filled += len(content)
        check_expansion(filled - header.start, source.taken(), where, f"compressed byte {source.taken()}")
        content = source.read(declared + 1 - filled)
    if filled < declared:
        source.refuse("less data than declared", f"{counted(declared, 'byte')} decompressed", counted(filled, "byte"))
    return payload


# Images and labels, which IDX keeps in two files.


def is_labels(array: Array) -> bool:
    """Return True for one number an image, or a row of QMNIST's labels."""
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == QMNIST and array.dtype.itemsize > 1)


def pair(images_path: Path, images: Array, labels_path: Path, labels: Array) -> Content:
    """Return the content of a file of images and its file of labels; DataError unless they fit."""
    if not is_images(images) or not is_labels(labels):
        found = f"ranks {images.ndim} and {labels.ndim}"
        fix = "store images as (n, height, width), colours behind these, and labels as (n,)"
        refuse("not images and labels", images_path, "byte 3", "ranks 3 or 4 and 1", found, fix)
    if len(images) != len(labels):
        expected = f"{counted(len(labels), 'image')}, as many as labels in {labels_path.name}"
        refuse("counts differ", images_path, "byte 4", expected, f"{len(images):,}", "take both files from one set")
    notes = list[Note]()
    if labels.ndim == 2:
        text = f"{labels_path}: the first of {QMNIST} columns is read as the class, as QMNIST has it"
        labels, notes = labels[:, 0], [Note("qmnist", text)]
    if labels.dtype != np.uint8:
        labels = as_labels(labels, len(images), labels_path, "the labels", notes)
    content = _content(images, images_path, labels)
    return content._replace(labels=labels, labels_at=str(labels_path), notes=(*content.notes, *notes))


def labels_beside(images_path: Path) -> list[Path]:
    """Return the files beside an IDX file of images whose names say that they hold its labels."""
    stem = _labels_name(images_path)
    stems = (stem, stem.replace("idx1-ubyte", "idx2-int"))
    each = (images_path.with_name(name) for stem in dict.fromkeys(stems) for name in (stem, stem + ".gz"))
    return [path for path in each if path != images_path and path.is_file()]


def _labels_name(images_path: Path) -> str:
    return (
        images_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    )


def is_images(array: Array) -> bool:
    """Return True for images, one behind the other, grey or with colours behind or before height and width."""
    return array.ndim == 3 or (array.ndim == 4 and bool({array.shape[1], array.shape[3]} & {*COLOURS}))


def _content(images: Array, path: Path, labels: Array | None = None) -> Content:
    """Return images as bytes; their labels show whether colours carry the class."""
    if images.dtype != np.uint8 or images.ndim == 4:
        return as_content(images, labels, path, "the images", None)._replace(shape_at="byte 8")
    return Content(images.reshape(len(images), -1), None, images.shape[1:], shape_at="byte 8")


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read a file of images; its labels lie in a file beside it (`images` -> `labels`, `idx3` -> `idx1`)."""
    images, images_path = parse_idx(_payload(file, path), path), Path(path)
    if not is_images(images):
        problem = "these are labels" if is_labels(images) else "not images"
        refuse(
            problem,
            path,
            "byte 3",
            "images, rank 3, or 4 with colours",
            f"rank {images.ndim}",
            "name the file of images",
        )
    if not wanted.labelled:
        return _content(images, images_path)
    beside = labels_beside(images_path)
    if not beside:
        stem = _labels_name(images_path)
        refuse("no labels", path, "the folder", f"{stem} or {stem}.gz beside it", "neither", "put the labels there")
    return pair(images_path, images, beside[0], read_idx(beside[0]))


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for what may be IDX; gzip of text is not."""
    return looks_like_idx(head) and not packs_text(head)


FORMAT: Final = Format("IDX", _recognise, _read)
