"""Text that is packed by gzip, bzip2, xz or in a ZIP archive of one file, unpacked in pieces within bounds."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, Final, NoReturn

from fnnet.data.bounds import bytes_on_disk, check_expansion
from fnnet.data.csv_lines import Source
from fnnet.data.kinds import packed_kind
from fnnet.data.opened import AGAIN, AnyPath
from fnnet.data.payload import GZIP
from fnnet.data.reader import BINARY, BZIP2, HEAD, XZ
from fnnet.errors import FnnetError
from fnnet.files.disk import MAX_FILE_BYTES, looks_like_html, refuse, show_bytes

ZIP: Final = b"PK\x03\x04"
XZ_MEMORY: Final = 2**27
"""Bytes of memory that unpacking xz may take: twice what its highest preset needs."""
PIECE: Final = 2**16


class _Gzip:
    """A stream of gzip unpacked by the methods of `bz2.BZ2Decompressor`."""

    def __init__(self) -> None:
        self.stream, self.full = zlib.decompressobj(31), False

    def decompress(self, packed: bytes, most: int) -> bytes:
        """Return at most the next `most` bytes."""
        content = self.stream.decompress(self.stream.unconsumed_tail + packed, most)
        self.full = len(content) == most
        return content

    @property
    def needs_input(self) -> bool:
        """True if the next bytes need more of the file."""
        return not (self.full or self.stream.unconsumed_tail)

    @property
    def eof(self) -> bool:
        """True at the end of the stream."""
        return self.stream.eof

    @property
    def unused_data(self) -> bytes:
        """What follows that end."""
        return self.stream.unused_data


UNPACKERS: Final[dict[bytes, tuple[str, Callable[[], Any]]]] = {
    GZIP: ("gzip", _Gzip),
    BZIP2: ("bzip2", bz2.BZ2Decompressor),
    XZ: ("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)),
}
"""First bytes -> what packed a file, and what unpacks a stream of it."""
DAMAGED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError, RuntimeError)


def is_packed(head: bytes) -> bool:
    """Return True if these first bytes are those of a file that `unpacked` unpacks."""
    return head.startswith((*UNPACKERS, ZIP))


def packed_head(head: bytes) -> bytes | None:
    """Return the first bytes that a packed file unpacks to; None if so few do not show them.

    Nothing for a damaged file and for an archive of arrays.
    """
    try:
        for kind, (_, unpacker) in UNPACKERS.items():
            if head.startswith(kind):
                inside: bytes = unpacker().decompress(head, HEAD)
                return inside or (None if len(head) >= HEAD else b"")
        start, packed, name = _local(head)
        while name.endswith(b"/"):  # a folder
            head = head[start + packed :]
            start, packed, name = _local(head)
        if name.endswith(b".npy"):
            return b""
        if head[8:10] == b"\x08\0":
            return zlib.decompressobj(-15).decompress(head[start:], 256)
        return head[start : start + min(256, packed)]
    except (zlib.error, lzma.LZMAError, OSError):
        return b""


def _local(head: bytes) -> tuple[int, int, bytes]:
    """Return where the content of a ZIP archive's member begins, its bytes, and its name, from the header before it."""
    name, more = int.from_bytes(head[26:28], "little"), int.from_bytes(head[28:30], "little")
    return 30 + name + more, int.from_bytes(head[18:22], "little"), head[30 : 30 + name]


def packs_text(head: bytes) -> bool:
    """Return True if these first bytes are those of gzip or ZIP, and show that it packs text."""
    inside = packed_head(head)
    return inside is not None and inside != b"" and not (BINARY.search(inside) or looks_like_html(inside))


def kind_inside(head: bytes) -> tuple[str, str] | None:
    """Return `packed_kind` of what gzip, bzip2 or xz packs, by the first bytes of the file; None for all else."""
    name = next((name for kind, (name, _) in UNPACKERS.items() if head.startswith(kind)), "")
    known = packed_kind(packed_head(head) or b"") if name else None
    return known and (f"{known[0]} in {name}", known[1])


@contextmanager
def unpacked(file: BufferedReader, path: AnyPath) -> Iterator[Source]:
    """Yield what to read the text of a file from: itself, or what it unpacks to.

    Raises   DataError, while reading, for a damaged file and for one that unpacks to far more than its size.
    """
    head = file.peek(6)
    kind = next((each for each in UNPACKERS if head.startswith(each)), None)
    if kind is None and not head.startswith(ZIP):
        yield file
        return
    name = UNPACKERS[kind][0] if kind else "ZIP"
    try:
        with io.BufferedReader(_Streams(file, kind)) if kind else _only_member(file, path) as stream:
            yield _Bounded(stream, file, name, path)
    except FnnetError:
        raise
    except DAMAGED as error:
        _damaged(name, path, error)


class _Streams(io.RawIOBase):
    """What the streams in a file unpack to, one after another, with nothing after them.

    The classes of `bz2` and `lzma` pass over what follows the last stream without a word, that of `gzip` over zeros,
    which it reads one by one.
    """

    def __init__(self, file: BufferedReader, kind: bytes) -> None:
        self.file, self.kind = file, kind
        self.unpacker = UNPACKERS[kind][1]()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, into: Any) -> int:
        """Fill `into` with the next bytes; return how many they are, 0 at the end."""
        content = b""
        while not content:
            packed = b""
            if self.unpacker.eof:
                packed = self._next_stream()
                if not packed:
                    return 0
                self.unpacker = UNPACKERS[self.kind][1]()
            elif self.unpacker.needs_input:
                packed = self.file.read(PIECE)
                if not packed:
                    raise EOFError("cut short")
            content = self.unpacker.decompress(packed, len(into))
        into[: len(content)] = content
        return len(content)

    def _next_stream(self) -> bytes:
        """Return the first bytes of the next stream; none at the end of the file."""
        rest: bytes = self.unpacker.unused_data
        while len(rest) < len(self.kind) and (more := self.file.read(PIECE)):
            rest += more
        if rest and not rest.startswith(self.kind):
            raise ValueError(f"other data after its end: {show_bytes(rest)}")
        return rest


class _Bounded:
    """The bytes that a file unpacks to, within bounds."""

    def __init__(self, stream: Any, file: BufferedReader, name: str, path: AnyPath) -> None:
        self.stream, self.file, self.name, self.path = stream, file, name, path
        self.given = 0
        self.packed = bytes_on_disk(file.fileno())

    def read(self, count: int, /) -> bytes:
        """Return at most `count` bytes, none at the end."""
        content: bytes = self.stream.read(count)
        self.given += len(content)
        place = f"unpacked byte {self.given}"
        check_expansion(self.given, self.packed, self.path, place)
        if self.given > MAX_FILE_BYTES:
            expected = f"at most {MAX_FILE_BYTES:,} bytes"
            refuse("file too large", self.path, place, expected, "more", "split the data")
        return content


def _check_end(file: BufferedReader) -> None:
    """Raise ValueError unless a ZIP archive's last record ends the file."""
    whole = file.seek(0, io.SEEK_END)
    file.seek(max(0, whole - 22 - 65535))  # the record, and the longest comment
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    end = at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little")
    if at >= 0 and end != len(tail):
        raise ValueError(f"other data after its end: {show_bytes(tail[end:])}")
    file.seek(0)


def _only_member(file: BufferedReader, path: AnyPath) -> Any:
    _check_end(file)
    with zipfile.ZipFile(file) as archive:
        members = [each for each in archive.infolist() if not _passed_over(each.filename)]
        if len(members) != 1:
            found = ", ".join(each.filename for each in members[:4]) or "none"
            fix = how_to_unpack([each.filename for each in members])
            refuse("not one file in the archive", path, "the directory", "one file", found, fix)
        if members[0].flag_bits & 0x41:
            refuse("an encrypted archive", path, "the directory", "no password", "one", "unpack it and name the file")
        return archive.open(members[0])


def how_to_unpack(names: Sequence[str]) -> str:
    """Return what to do with a ZIP archive of files of these names: pictures and IDX files are read from a folder."""
    from fnnet.data.formats import picture_suffixes
    from fnnet.data.idx_folder import IDX_NAMES

    suffixes = (*picture_suffixes(), *IDX_NAMES)
    in_folder = any(name.lower().removesuffix(".gz").endswith(suffixes) for name in names)
    return "unpack it into a folder, and name that" if in_folder else "unpack it, and name a file in it"


def _passed_over(name: str) -> bool:
    # Not `ZipInfo.is_dir`, which fails for an empty name.
    return name.endswith("/") or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(("._", ".DS_Store"))


def _damaged(name: str, path: AnyPath, error: Exception) -> NoReturn:
    problem = f"damaged {name}"
    refuse(problem, path, "the packed data", "a whole file", str(error) or type(error).__name__, AGAIN)
