"""IDX, the format of MNIST's files, raw or gzip-compressed (told apart by content, not by name).

Format: two zero bytes, a type byte (8 = unsigned byte), the rank, then one big-endian 32-bit size per dimension and
the bytes in C order. Source: the description on MNIST's page by LeCun, Cortes and Burges.
"""

from __future__ import annotations

import math
import os
import zlib
from typing import Final

import numpy as np

from fnnet.errors import DataError
from fnnet.files import looks_like_html, read_bytes, show_bytes
from fnnet.params import Array, freeze

TYPES: Final = (b"\x08", b"\x09", b"\x0b", b"\x0c", b"\x0d", b"\x0e")
"""Type bytes of the format; only the first, unsigned bytes, is read here."""
GZIP_MAGIC: Final = b"\x1f\x8b"
MAX_PAYLOAD: Final = 2 * 2**30
DEFLATE_BOUND: Final = 1032
"""No deflate stream expands by more than 1032 to 1 (zlib's technical notes)."""


def looks_like_idx(head: bytes) -> bool:
    """Whether these first bytes are gzip's or those of an IDX file."""
    return head.startswith(GZIP_MAGIC) or (head[:2] == b"\x00\x00" and head[2:3] in TYPES and len(head[3:]) >= 1)


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array of an IDX file: read-only uint8 of rank 1 to 4.

    Raises   DataError naming the place for anything but one whole, well-formed array; StorageError if unreadable.
    """
    return parse_idx(read_payload(path), path)


def read_payload(path: str | os.PathLike[str]) -> bytes:
    """The IDX bytes of a file, decompressed if need be, of exactly the length that their header declares."""
    content = read_bytes(path)
    payload = _gunzip(content, path) if content.startswith(GZIP_MAGIC) else content
    parse_idx(payload, path)
    return payload


def parse_idx(payload: bytes, where: str | os.PathLike[str]) -> Array:
    """The array in the bytes of an IDX file."""
    shape = _shape(payload, where)
    header = 4 + 4 * len(shape)
    if len(payload) != header + math.prod(shape):
        raise DataError(
            "IDX size does not match its header",
            where=where,
            place=f"byte {min(len(payload), header + math.prod(shape))}",
            expected=f"{header + math.prod(shape):,} bytes for shape {shape}",
            found=f"{len(payload):,}",
            fix="fetch the file again",
        )
    return freeze(np.frombuffer(payload, np.uint8, offset=header).reshape(shape).view())


def _shape(payload: bytes, where: str | os.PathLike[str]) -> tuple[int, ...]:
    if not payload.startswith(b"\x00\x00") or len(payload) < 4:
        problem = "an HTML page, not data" if looks_like_html(payload) else "not an IDX file"
        expected = "bytes 00 00 08 (IDX) or 1f 8b (gzip)"
        raise DataError(problem, where=where, place="byte 0", expected=expected, found=show_bytes(payload))
    if payload[2] != 8:
        raise DataError("IDX type", where=where, place="byte 2", expected="8 (unsigned byte)", found=payload[2])
    rank = payload[3]
    if not 1 <= rank <= 4:
        raise DataError("IDX rank", where=where, place="byte 3", expected="1 to 4", found=rank)
    if len(payload) < 4 + 4 * rank:
        expected = f"{4 + 4 * rank} bytes of header"
        raise DataError("IDX header cut short", where=where, place="byte 4", expected=expected, found=len(payload))
    shape = tuple(int.from_bytes(payload[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    if 0 in shape:
        raise DataError("empty dataset", where=where, place="byte 4", expected="sizes of at least 1", found=shape)
    if math.prod(shape) > MAX_PAYLOAD:
        found = f"{math.prod(shape):,} for shape {shape}"
        raise DataError("IDX too large", where=where, expected=f"at most {MAX_PAYLOAD:,} bytes", found=found)
    return shape


def _gunzip(content: bytes, where: str | os.PathLike[str]) -> bytes:
    """One gzip member holding an IDX file; never more memory than the IDX header declares, which deflate must allow."""
    try:
        # The header first, by itself: to put the rest behind it would copy all of it.
        payload = zlib.decompressobj(wbits=31).decompress(content, 20)
        shape = _shape(payload, where)
        declared = 4 + 4 * len(shape) + math.prod(shape)
        if declared > DEFLATE_BOUND * len(content) + 1024:
            expected = f"at least {declared // DEFLATE_BOUND:,} compressed bytes for shape {shape}"
            raise DataError("compressed file too small", where=where, expected=expected, found=f"{len(content):,}")
        inflater = zlib.decompressobj(wbits=31)
        payload = inflater.decompress(content, declared + 1)
    except zlib.error as error:
        raise DataError(f"damaged gzip ({error})", where=where, fix="fetch the file again") from None
    if len(payload) > declared:
        raise DataError("more data than declared", where=where, expected=f"{declared:,} bytes", found="more")
    if not inflater.eof:
        place = f"compressed byte {len(content)}"
        expected, found = f"{declared:,} bytes decompressed and a checksum", f"{len(payload):,} bytes"
        fix = "fetch the file again"
        raise DataError("gzip truncated", where=where, place=place, expected=expected, found=found, fix=fix)
    if inflater.unused_data:
        place = f"compressed byte {len(content) - len(inflater.unused_data)}"
        raise DataError("data after the end of gzip", where=where, place=place, expected="end of file")
    return payload
