"""IDX, the format of MNIST's files, raw or gzip-compressed (told apart by content, not by name).

Format: two zero bytes, a type byte (8 = unsigned byte), the rank, then one big-endian 32-bit size per dimension and
the bytes in C order. Source: the description on MNIST's page by LeCun, Cortes and Burges.
"""

from __future__ import annotations

import math
import os
import zlib
from typing import IO, Final, NoReturn

import numpy as np

from fnnet.core.params import Array, freeze
from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.errors import DataError
from fnnet.files.disk import looks_like_html, open_regular, show_bytes, unreadable

TYPES: Final = (b"\x08", b"\x09", b"\x0b", b"\x0c", b"\x0d", b"\x0e")
"""Type bytes of the format; only the first, unsigned bytes, is read here."""
GZIP_MAGIC: Final = b"\x1f\x8b"
MAX_PAYLOAD: Final = 2 * 2**30
MAX_HEADER: Final = 20
DEFLATE_BOUND: Final = 1032
"""No deflate stream expands by more than 1032 to 1 (zlib's technical notes)."""
PIECE: Final = 2**18
AGAIN: Final = "fetch the file again"
AS_BYTES: Final = "store it as unsigned bytes, images of rank 3 or labels of rank 1"


def looks_like_idx(head: bytes) -> bool:
    """Whether these first bytes are gzip's or those of an IDX file."""
    return head.startswith(GZIP_MAGIC) or (head[:2] == b"\x00\x00" and head[2:3] in TYPES and len(head[3:]) >= 1)


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array of an IDX file: read-only uint8 of rank 1 to 4.

    Raises   DataError naming the place for anything but one whole, well-formed array; StorageError if unreadable.
    """
    return parse_idx(read_payload(path), path)


def read_payload(path: str | os.PathLike[str]) -> Array:
    """The IDX bytes of a file, header and all, decompressed if need be: read-only uint8 (n,).

    The file is read once, in pieces, into memory that its header asks for and its length allows.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        try:
            head = file.read(MAX_HEADER)
            return freeze(_gunzip(file, path) if head.startswith(GZIP_MAGIC) else _copy(file, head, path))
        except DataError:
            raise
        except OSError as error:
            raise unreadable(path, error) from None


def parse_idx(payload: Array, where: str | os.PathLike[str]) -> Array:
    """The array in the bytes of an IDX file, of exactly the length that their header declares."""
    shape = _shape(payload[:MAX_HEADER].tobytes(), where)
    _check_length(shape, len(payload), where)
    return payload[_header(shape) :].reshape(shape)


def _header(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape)


def _shape(head: bytes, where: str | os.PathLike[str]) -> tuple[int, ...]:
    if not head:
        raise DataError("file is empty", where=where, place="byte 0", expected="data", found="0 bytes", fix=AGAIN)
    if not head.startswith(b"\x00\x00") or len(head) < 4:
        problem = "an HTML page, not data" if looks_like_html(head) else "not an IDX file"
        expected = "bytes 00 00 08 (IDX) or 1f 8b (gzip)"
        raise DataError(problem, where=where, place="byte 0", expected=expected, found=show_bytes(head), fix=AGAIN)
    if head[2] != 8:
        expected = "8 (unsigned byte)"
        raise DataError("IDX type", where=where, place="byte 2", expected=expected, found=head[2], fix=AS_BYTES)
    rank = head[3]
    if not 1 <= rank <= 4:
        raise DataError("IDX rank", where=where, place="byte 3", expected="1 to 4", found=rank, fix=AS_BYTES)
    if len(head) < 4 + 4 * rank:
        expected, found = f"{4 + 4 * rank} bytes of header", f"{len(head)} bytes"
        raise DataError(
            "IDX header cut short", where=where, place=f"byte {len(head)}", expected=expected, found=found, fix=AGAIN
        )
    shape = tuple(int.from_bytes(head[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    if 0 in shape:
        place, expected = f"byte {4 + 4 * shape.index(0)}", "sizes of at least 1"
        raise DataError("empty dataset", where=where, place=place, expected=expected, found=f"shape {shape}", fix=AGAIN)
    if math.prod(shape) > MAX_PAYLOAD:
        expected, found = f"at most {MAX_PAYLOAD:,} bytes", f"{math.prod(shape):,} for shape {shape}"
        fix = "split the data, or fetch the file again if it is smaller"
        raise DataError("IDX too large", where=where, place="byte 4", expected=expected, found=found, fix=fix)
    return shape


def _check_length(shape: tuple[int, ...], length: int, where: str | os.PathLike[str]) -> None:
    declared = _header(shape) + math.prod(shape)
    if length != declared:
        raise DataError(
            "IDX size does not match its header",
            where=where,
            place=f"byte {min(length, declared)}",
            expected=f"{declared:,} bytes for shape {shape}",
            found=f"{length:,}",
            fix=AGAIN,
        )


def _needed(shape: tuple[int, ...]) -> int:
    """Bytes of memory that an array comes to take; labels become 64-bit integers."""
    return math.prod(shape) * (9 if len(shape) == 1 else 1)


def _copy(file: IO[bytes], head: bytes, where: str | os.PathLike[str]) -> Array:
    """A raw IDX file, whose first bytes are `head`."""
    shape = _shape(head, where)
    _check_length(shape, os.fstat(file.fileno()).st_size, where)
    check_expansion(_needed(shape), bytes_on_disk(file.fileno()), where, "byte 4")
    payload = np.empty(_header(shape) + math.prod(shape), np.uint8)
    file.seek(0)
    filled = 0
    while filled < len(payload) and (count := file.readinto(payload.data[filled:])):  # type: ignore[attr-defined]
        filled += count
    # The header is read anew with the rest: somebody may have written in between.
    if filled < len(payload) or payload[: len(head)].tobytes() != head[: len(payload)]:
        _changed(where, filled, len(payload))
    return payload


def _changed(where: str | os.PathLike[str], found: int, expected: int) -> NoReturn:
    raise DataError(
        "file changed while it was read",
        where=where,
        place=f"byte {found}",
        expected=f"{expected:,} bytes",
        found=f"{found:,}",
        fix="wait until it is written",
    )


class _Inflater:
    """The decompressed bytes of the one gzip member in `file`, in bounded pieces."""

    def __init__(self, file: IO[bytes], where: str | os.PathLike[str]) -> None:
        file.seek(0)
        self.file, self.where = file, where
        self.stream = zlib.decompressobj(wbits=31)
        self.read_bytes = self.given = 0
        self.declared = MAX_HEADER

    def taken(self) -> int:
        """Compressed bytes used so far."""
        left = self.stream.unused_data if self.stream.eof else self.stream.unconsumed_tail
        return self.read_bytes - len(left)

    def read(self, most: int) -> bytes:
        """The next bytes, at most `most`; none at the end, where gzip's checksum and length have been found right."""
        while not self.stream.eof:
            piece = self.stream.unconsumed_tail
            if not piece:
                piece = self.file.read(PIECE)
                self.read_bytes += len(piece)
            try:
                content = self.stream.decompress(piece, min(most, 4 * PIECE))
            except zlib.error as error:
                self.fail(f"damaged gzip ({error})", "a gzip stream that its checksum proves", "another")
            if content:
                self.given += len(content)
                return content
            if not piece:
                expected = f"{self.declared:,} bytes decompressed and a checksum"
                self.fail("gzip truncated", expected, f"{self.given:,} bytes")
        return b""

    def fail(self, problem: str, expected: str, found: str) -> NoReturn:
        place = f"compressed byte {self.taken()}"
        raise DataError(problem, where=self.where, place=place, expected=expected, found=found, fix=AGAIN)


def _gunzip(file: IO[bytes], where: str | os.PathLike[str]) -> Array:
    """One gzip member holding an IDX file; never more memory than the IDX header declares and deflate allows."""
    size, source = os.fstat(file.fileno()).st_size, _Inflater(file, where)
    head = b""
    while len(head) < MAX_HEADER and (more := source.read(MAX_HEADER - len(head))):
        head += more
    shape = _shape(head, where)
    source.declared = declared = _header(shape) + math.prod(shape)
    if declared > DEFLATE_BOUND * size + 1024:
        expected = f"at least {declared // DEFLATE_BOUND:,} compressed bytes for shape {shape}"
        source.fail("compressed file too small", expected, f"{size:,}")
    check_expansion(_needed(shape), size, where, "decompressed byte 4")
    payload = np.empty(declared, np.uint8)
    filled, content = 0, head
    while content:
        if filled + len(content) > declared:
            source.fail("more data than declared", f"{declared:,} bytes", "more")
        payload[filled : filled + len(content)] = memoryview(content)
        filled += len(content)
        check_expansion(filled - _header(shape), source.taken(), where, f"compressed byte {source.taken()}")
        content = source.read(declared + 1 - filled)
    if filled < declared:
        source.fail("less data than declared", f"{declared:,} bytes decompressed", f"{filled:,} bytes")
    if source.stream.unused_data or file.read(1):
        source.fail("data after the end of gzip", "end of file", "more bytes")
    return payload
