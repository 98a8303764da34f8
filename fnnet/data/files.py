"""Reading a file's bytes without trusting it: regular files only, of bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from fnnet.errors import DataError, StorageError, one_line

MAX_FILE_BYTES: Final = 4 * 2**30


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor of the regular file at `path` for reading; StorageError for what cannot be opened or is no file."""
    try:
        # Without O_NONBLOCK a FIFO would wait for a writer before it could be refused.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"cannot be opened: {reason}", where=path, fix="check the path and its permissions"
        ) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise StorageError("cannot be read", where=path, expected="a regular file", found=kind)
    return descriptor


def read_bytes(path: str | os.PathLike[str], cap: int = MAX_FILE_BYTES) -> bytes:
    """The whole content of the regular file at `path`; DataError beyond `cap` bytes or when empty."""
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > cap:
            raise DataError("file too large", where=path, expected=f"at most {cap:,} bytes", found=f"{size:,}")
        try:
            content = file.read(cap + 1)
        except OSError as error:
            raise StorageError(f"cannot be read: {error.strerror}", where=path) from None
    if not content:
        raise DataError("file is empty", where=path, expected="data", found="0 bytes")
    return content


def read_head(path: str | os.PathLike[str], count: int = 512) -> bytes:
    """The first bytes of the regular file at `path`, at most `count`."""
    with open(open_regular(path), "rb") as file:
        return file.read(count)


def show_bytes(head: bytes) -> str:
    """The first bytes of a file, escaped for a message."""
    return one_line(repr(head[:16]))


def looks_like_html(head: bytes) -> bool:
    """Whether these bytes start an HTML page, as servers send in place of a missing file."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower().startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    )


def list_folder(path: str | os.PathLike[str]) -> list[Path]:
    """The entries of a folder, sorted by name; StorageError where it cannot be listed."""
    try:
        return sorted(Path(path).iterdir())
    except OSError as error:
        raise StorageError(f"cannot be listed: {error.strerror}", where=path) from None
