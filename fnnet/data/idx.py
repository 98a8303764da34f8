"""IDX, the format of MNIST's files, raw or gzip-compressed (recognised by content, not by name).

Format: two zero bytes, a type byte (8 = unsigned byte), the rank, then one big-endian 32-bit size per dimension and
the bytes in C order. Source: the description on MNIST's page by LeCun, Cortes and Burges.
"""

from __future__ import annotations

import math
import os
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.reader import AGAIN, BINARY, AnyPath, Content, Format, Opened, Wanted
from fnnet.data.unpacked import packed_head
from fnnet.errors import counted
from fnnet.files.disk import looks_like_html, refuse, show_bytes

TYPES: Final = (b"\x08", b"\x09", b"\x0b", b"\x0c", b"\x0d", b"\x0e")
"""Type bytes of the format; only the first, unsigned bytes, is read here."""
GZIP_MAGIC: Final = b"\x1f\x8b"
MAX_PAYLOAD: Final = 2 * 2**30
MAX_HEADER: Final = 20
DEFLATE_BOUND: Final = 1032
"""No deflate stream expands by more than 1032 to 1 (zlib's technical notes)."""
PIECE: Final = 2**18
AS_BYTES: Final = "store it as unsigned bytes, images of rank 3 or labels of rank 1"


def looks_like_idx(head: bytes) -> bool:
    """Return True if these first bytes are gzip's or those of an IDX file."""
    return head.startswith(GZIP_MAGIC) or (head[:2] == b"\x00\x00" and head[2:3] in TYPES and len(head[3:]) >= 1)


def read_idx(path: AnyPath) -> Array:
    """Return the array of an IDX file: read-only uint8 of rank 1 to 4.

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
    return freeze(_gunzip(file, path) if head.startswith(GZIP_MAGIC) else _copy(file, head, path))


def parse_idx(payload: Array, where: AnyPath) -> Array:
    """Return the array in the bytes of an IDX file, which must have exactly the length that their header declares."""
    shape = _shape(payload[:MAX_HEADER].tobytes(), where)
    _check_length(shape, len(payload), where)
    return payload[_header(shape) :].reshape(shape)


def _header(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape)


def _shape(head: bytes, where: AnyPath) -> tuple[int, ...]:
    if not head:
        refuse("file is empty", where, "byte 0", "data", "0 bytes", AGAIN)
    if not head.startswith(b"\x00\x00") or len(head) < 4:
        problem = "an HTML page, not data" if looks_like_html(head) else "not an IDX file"
        refuse(problem, where, "byte 0", "bytes 00 00 08 (IDX) or 1f 8b (gzip)", show_bytes(head), AGAIN)
    if head[2] != 8:
        refuse("IDX type", where, "byte 2", "8 (unsigned byte)", head[2], AS_BYTES)
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
    if math.prod(shape) > MAX_PAYLOAD:
        found = f"{math.prod(shape):,} for shape {shape}"
        fix = "split the data, or fetch the file again if it is smaller"
        refuse("IDX too large", where, "byte 4", f"at most {MAX_PAYLOAD:,} bytes", found, fix)
    return shape


def _check_length(shape: tuple[int, ...], length: int, where: AnyPath) -> None:
    declared = _header(shape) + math.prod(shape)
    if length != declared:
        problem, place = "IDX size does not match its header", f"byte {min(length, declared)}"
        refuse(problem, where, place, f"{counted(declared, 'byte')} for shape {shape}", f"{length:,}", AGAIN)


def _needed(shape: tuple[int, ...]) -> int:
    """Return the bytes of memory that an array will take; labels become 64-bit integers."""
    return math.prod(shape) * (9 if len(shape) == 1 else 1)


def _copy(file: BufferedReader, head: bytes, where: AnyPath) -> Array:
    """Read a raw IDX file, whose first bytes are `head`."""
    shape = _shape(head, where)
    _check_length(shape, os.fstat(file.fileno()).st_size, where)
    check_expansion(_needed(shape), bytes_on_disk(file.fileno()), where, "byte 4")
    payload = np.empty(_header(shape) + math.prod(shape), np.uint8)
    # Past the buffer, header included: another program may have written since the header was read.
    file.raw.seek(0, os.SEEK_SET)
    filled = 0
    while filled < len(payload) and (count := file.raw.readinto(payload.data[filled:])):
        filled += count
    if filled < len(payload) or payload[: len(head)].tobytes() != head[: len(payload)]:
        problem, fix = "file changed while it was read", "wait until it is written"
        refuse(problem, where, f"byte {filled}", counted(len(payload), "byte"), f"{filled:,}", fix)
    return payload


class _Inflater:
    """The decompressed bytes of the one gzip member in `file`, in bounded pieces."""

    def __init__(self, file: BufferedReader, where: AnyPath) -> None:
        file.seek(0)
        self.file, self.where = file, where
        self.stream = zlib.decompressobj(wbits=31)
        self.read_bytes = self.given = 0
        self.declared = MAX_HEADER

    def taken(self) -> int:
        """Return the number of compressed bytes used so far."""
        left = self.stream.unused_data if self.stream.eof else self.stream.unconsumed_tail
        return self.read_bytes - len(left)

    def read(self, most: int) -> bytes:
        """Return the next bytes, at most `most`; none at the end, once gzip's checksum and length are verified."""
        while not self.stream.eof:
            piece = self.stream.unconsumed_tail
            if not piece:
                piece = self.file.read(PIECE)
                self.read_bytes += len(piece)
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

    def refuse(self, problem: str, expected: str, found: str) -> NoReturn:
        """Raise DataError at the compressed byte reached."""
        refuse(problem, self.where, f"compressed byte {self.taken()}", expected, found, AGAIN)


def _gunzip(file: BufferedReader, where: AnyPath) -> Array:
    """Read one gzip member holding an IDX file, in no more memory than its header declares and deflate allows."""
    size, source = os.fstat(file.fileno()).st_size, _Inflater(file, where)
    head = b""
    while len(head) < MAX_HEADER and (more := source.read(MAX_HEADER - len(head))):
        head += more
    shape = _shape(head, where)
    source.declared = declared = _header(shape) + math.prod(shape)
    if declared > DEFLATE_BOUND * size + 1024:
        expected = f"at least {declared // DEFLATE_BOUND:,} compressed bytes for shape {shape}"
        source.refuse("compressed file too small", expected, f"{size:,}")
    check_expansion(_needed(shape), size, where, "decompressed byte 4")
    payload = np.empty(declared, np.uint8)
    filled, content = 0, head
    while content:
        if filled + len(content) > declared:
            source.refuse("more data than declared", counted(declared, "byte"), "more")
        payload[filled : filled + len(content)] = memoryview(content)
        filled += len(content)
        check_expansion(filled - _header(shape), source.taken(), where, f"compressed byte {source.taken()}")
        content = source.read(declared + 1 - filled)
    if filled < declared:
        source.refuse("less data than declared", f"{counted(declared, 'byte')} decompressed", counted(filled, "byte"))
    if source.stream.unused_data or file.read(1):
        source.refuse("data after the end of gzip", "end of file", "more bytes")
    return payload


# Images and labels, which IDX keeps in two files.


def pair(images_path: Path, images: Array, labels_path: Path, labels: Array) -> Content:
    """Return the content of a file of images and its file of labels; DataError unless they fit."""
    if images.ndim != 3 or labels.ndim != 1:
        found = f"ranks {images.ndim} and {labels.ndim}"
        fix = "store images as (n, height, width) and labels as (n,)"
        refuse("not images and labels", images_path, "byte 3", "ranks 3 and 1", found, fix)
    if len(images) != len(labels):
        expected = f"{counted(len(labels), 'image')}, as many as labels in {labels_path.name}"
        refuse("counts differ", images_path, "byte 4", expected, f"{len(images):,}", "take both files from one set")
    return _content(images)._replace(labels=labels, labels_at=str(labels_path))


def labels_beside(images_path: Path) -> list[Path]:
    """Return the files beside an IDX file of images whose names say that they hold its labels."""
    stem = _labels_name(images_path)
    each = (images_path.with_name(name) for name in (stem, stem + ".gz"))
    return [path for path in each if path != images_path and path.is_file()]


def _labels_name(images_path: Path) -> str:
    return images_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")


def _content(images: Array) -> Content:
    return Content(images.reshape(len(images), -1), None, images.shape[1:], shape_at="byte 8")


def _read(file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Read a file of images; its labels lie in a file beside it (`images` -> `labels`, `idx3` -> `idx1`)."""
    images, images_path = parse_idx(_payload(file, path), path), Path(path)
    if images.ndim != 3:
        problem = "these are labels" if images.ndim == 1 else "not images"
        refuse(problem, path, "byte 3", "images, rank 3", f"rank {images.ndim}", "name the file of images")
    if not wanted.labelled:
        return _content(images)
    beside = labels_beside(images_path)
    if not beside:
        stem = _labels_name(images_path)
        refuse("no labels", path, "the folder", f"{stem} or {stem}.gz beside it", "neither", "put the labels there")
    return pair(images_path, images, beside[0], read_idx(beside[0]))


def _recognise(head: bytes, path: AnyPath) -> bool:
    """Return True for what may be IDX; gzip of text is not."""
    inside = packed_head(head) if head.startswith(GZIP_MAGIC) else None
    return looks_like_idx(head) and (not inside or BINARY.search(inside) is not None or looks_like_html(inside))


FORMAT: Final = Format("IDX", _recognise, _read)
