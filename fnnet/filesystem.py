"""The system's calls by which runs and models are kept: a value, so that tests can record them and make them fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

Path = str | os.PathLike[str]


class FileSystem(NamedTuple):
    """Calls as `os` has them; each raises OSError.

    open         (path, flags, mode) -> descriptor.
    read, write  (descriptor, count or bytes) -> bytes or how many were written, which may be fewer.
    seek         (descriptor, offset, whence) -> offset.
    truncate, fsync, close   of a descriptor.
    replace      (old, new): rename, over what is there.
    unlink, mkdir, listdir   of a path.
    sync_folder  puts the names in a folder onto the disk.
    """

    open: Callable[[Path, int, int], int]
    read: Callable[[int, int], bytes]
    write: Callable[[int, Any], int]
    seek: Callable[[int, int, int], int]
    truncate: Callable[[int, int], None]
    fsync: Callable[[int], None]
    close: Callable[[int], None]
    replace: Callable[[Path, Path], None]
    unlink: Callable[[Path], None]
    mkdir: Callable[[Path], None]
    listdir: Callable[[Path], list[str]]
    sync_folder: Callable[[Path], None]


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # pragma: no branch - Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


DISK: Final = FileSystem(
    lambda path, flags, mode: os.open(path, flags | getattr(os, "O_BINARY", 0), mode),
    os.read,
    os.write,
    os.lseek,
    os.ftruncate,
    os.fsync,
    os.close,
    os.replace,
    os.unlink,
    os.mkdir,
    lambda path: os.listdir(path),
    _sync_folder,
)
"""The file system of this machine."""
