"""The bytes of IDX files, raw or unpacked, and the header that says how many they are.

Light, as a command reads MNIST while NumPy is imported.
"""

from __future__ import annotations

import math
import mmap
import os
import zlib
from io import BufferedReader
from typing import Final, NamedTuple, NoReturn

from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.filled import fill
from fnnet.data.kinds import PACKED, SWAPPED, UNPACK_ONCE, kind_of
from fnnet.data.opened import AGAIN, AnyPath, Opened
from fnnet.errors import counted
from fnnet.files.disk import looks_like_html, refuse, show_bytes

GZIP: Final = b"\x1f\x8b"
TYPES: Final = {8: ("u1", 1), 9: ("i1", 1), 11: (">i2", 2), 12: (">i4", 4), 13: (">f4", 4), 14: (">f8", 8)}
"""Type byte of the format -> name of the dtype, and its bytes."""
MAX_PAYLOAD: Final = 2 * 2**30
MAX_HEADER: Final = 20
DEFLATE_BOUND: Final = 1032
"""No deflate stream expands by more than 1032 to 1 (zlib's technical notes)."""
LARGE: Final = 2**22
"""Bytes from which memory comes from the system, and is zero without being written: a bytearray is written twice.

MNIST's images then take 18 to 34 ms, the bytes of file.read 28 to 43. In large pages, as NumPy asks for, they take 7 to
11 ms, but 30 to 100 on a virtual machine that gives free ones back to its host, whenever none were used just before."""
PIECE: Final = 2**18
AS_BYTES: Final = "store images of rank 3, or 4 with colours, or labels of rank 1"


def looks_like_idx(head: bytes) -> bool:
    """Return True if these first bytes are gzip's or those of an IDX file."""
    return head.startswith(GZIP) or (head[:2] == b"\x00\x00" and len(head) >= 4 and head[2] in TYPES)


def read_payload(path: AnyPath) -> memoryview:
    """Return the IDX bytes of a file, header included, decompressed if need be; read-only.

    The file is read once, in pieces, into memory of the size that its header declares and its length allows.
    """
    with Opened(path) as file:
        return payload_of(file, path)


def payload_of(file: BufferedReader, path: AnyPath) -> memoryview:
    """Do as `read_payload` with an open file."""
    head = file.read(MAX_HEADER)
    return (_gunzip(file, path) if head.startswith(GZIP) else _copy(file, head, path)).toreadonly()


def checked_header(payload: memoryview, where: AnyPath) -> Header:
    """Return the header of the bytes of an IDX file; DataError unless they have exactly the length that it declares."""
    header = _header(bytes(payload[:MAX_HEADER]), where)
    _check_length(header, len(payload), where)
    return header


class Header(NamedTuple):
    """What an IDX file holds: the name of the dtype, its bytes, and the shape."""

    dtype: str
    itemsize: int
    shape: tuple[int, ...]

    @property
    def start(self) -> int:
        """The byte at which the numbers start."""
        return 4 + 4 * len(self.shape)

    @property
    def bytes(self) -> int:
        """The bytes of the whole file."""
        return self.start + math.prod(self.shape) * self.itemsize

    @property
    def needed(self) -> int:
        """The bytes of memory that it will take; labels become 64-bit integers, images bytes."""
        converted = 8 if len(self.shape) == 1 else int(self.itemsize > 1)
        return math.prod(self.shape) * (self.itemsize + converted)


def _header(head: bytes, where: AnyPath) -> Header:
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
    header = Header(*TYPES[head[2]], shape)
    if header.bytes > MAX_PAYLOAD + MAX_HEADER:
        _check_order(shape, where)
        found = f"{header.bytes - header.start:,} for shape {shape}"
        fix = "split the data, or fetch the file again if it is smaller"
        refuse("IDX too large", where, "byte 4", f"at most {MAX_PAYLOAD:,} bytes", found, fix)
    return header


def _check_order(shape: tuple[int, ...], where: AnyPath) -> None:
    """Raise DataError for sizes that are plausible with their bytes in the other order."""
    swapped = tuple(int.from_bytes(each.to_bytes(4, "big"), "little") for each in shape)
    if math.prod(swapped) <= MAX_PAYLOAD:
        expected, fix = "sizes with their highest byte first", SWAPPED[1]
        found = f"shape {shape}, which is {swapped} with the lowest byte first"
        refuse("IDX header in another byte order", where, "byte 4", expected, found, fix)


def _check_length(header: Header, length: int, where: AnyPath) -> None:
    if length != header.bytes:
        problem, place = "IDX size does not match its header", f"byte {min(length, header.bytes)}"
        expected = f"{counted(header.bytes, 'byte')} for shape {header.shape}"
        refuse(problem, where, place, expected, f"{length:,}", AGAIN)


def _copy(file: BufferedReader, head: bytes, where: AnyPath) -> memoryview:
    """Read a raw IDX file, whose first bytes are `head`."""
    header = _header(head, where)
    _check_length(header, os.fstat(file.fileno()).st_size, where)
    check_expansion(header.needed, bytes_on_disk(file.fileno()), where, "byte 4")
    payload = _memory(header.bytes)
    filled = fill(file, payload)  # header included
    if filled < len(payload) or bytes(payload[: len(head)]) != head[: len(payload)]:
        problem, fix = "file changed while it was read", "wait until it is written"
        refuse(problem, where, f"byte {filled}", counted(len(payload), "byte"), f"{filled:,}", fix)
    return payload


def _memory(count: int) -> memoryview:
    """Return `count` bytes of memory; MemoryError if there is too little."""
    if count < LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return memoryview(bytearray(count))
    try:
        return memoryview(mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError as error:
        raise MemoryError(f"{count:,} bytes: {error.strerror}") from None


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


def _gunzip(file: BufferedReader, where: AnyPath) -> memoryview:
    """Read gzip members that hold one IDX file, in no more memory than its header declares and deflate allows."""
    size, source = os.fstat(file.fileno()).st_size, _Inflater(file, where)
    head = b""
    while len(head) < MAX_HEADER and (more := source.read(MAX_HEADER - len(head))):
        head += more
    for start, (found, fix) in PACKED.items():
        if head.startswith(start):
            problem = "packed twice" if fix == UNPACK_ONCE else "not an IDX file"
            refuse(problem, where, "decompressed byte 0", "IDX or text in gzip", found, fix)
    header = _header(head, where)
    source.declared = declared = header.bytes
    if declared > DEFLATE_BOUND * size + 1024:
        expected = f"at least {declared // DEFLATE_BOUND:,} compressed bytes for shape {header.shape}"
        source.refuse("compressed file too small", expected, f"{size:,}")
    check_expansion(header.needed, size, where, "decompressed byte 4")
    payload = _memory(declared)
    filled, content = 0, head
    while content:
        if filled + len(content) > declared:
            source.refuse("more data than declared", counted(declared, "byte"), "more")
        payload[filled : filled + len(content)] = content
        filled += len(content)
        check_expansion(filled - header.start, source.taken(), where, f"compressed byte {source.taken()}")
        content = source.read(declared + 1 - filled)
    if filled < declared:
        source.refuse("less data than declared", f"{counted(declared, 'byte')} decompressed", counted(filled, "byte"))
    return payload
