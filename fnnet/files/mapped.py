"""Files without a name of their own that processes of one machine map: memory that they share.

Memory that is shared through `/dev/shm` is 64 MB in a container, and a process that writes beyond it is killed.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import tempfile
from collections.abc import Iterator
from typing import Final

from fnnet.errors import FnnetError

CAN_SHARE: Final = hasattr(os, "memfd_create") and os.path.exists("/proc/self/fd")
"""True where processes can share memory without a file on a disk."""


def make_memory(size: int) -> tuple[int, str]:
    """Make memory of zeros without a place on a disk, and return its handle and its name, which no other has.

    It lives as long as a map or a handle.
    """
    name = f"fnnet-{secrets.token_hex(16)}"
    handle = os.memfd_create(name)
    os.ftruncate(handle, size)
    return handle, name


def memory(process: int, handle: int, name: str, size: int) -> memoryview:
    """Return a view of the memory with a handle of a process of the same user on this machine.

    Raises   OSError where there is no such memory: the process may be one of another container, or machine.
    """
    path = f"/proc/{process}/fd/{handle}"
    if name not in os.readlink(path):
        raise OSError(errno.ENOENT, "other memory", path)
    with open(path, "r+b", buffering=0) as file:
        return memoryview(mmap.mmap(file.fileno(), size))


def make(size: int) -> str:
    """Make a file of `size` zeros for a while, and return its path.

    Raises   FnnetError where the disk is too full.
    """
    path = ""
    try:
        handle, path = tempfile.mkstemp(prefix="fnnet-shared-")
        try:
            os.posix_fallocate(handle, 0, size)  # a full disk shows now, and not when a page is touched
        finally:
            os.close(handle)
    except OSError as error:
        drop(path)
        expected, fix = f"{size / 2**20:,.0f} MiB free for data that processes share", "free some of it, or set TMPDIR"
        where, found = tempfile.gettempdir(), error.strerror or str(error)
        raise FnnetError("disk is too full", where=where, expected=expected, found=found, fix=fix) from None
    return path


@contextlib.contextmanager
def written(path: str) -> Iterator[memoryview]:
    """Context manager: what is written to the view lies in the file."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as found, memoryview(found) as view:
        yield view


def read(path: str) -> memoryview:
    """Return a view of the file, read-only, which stays when the file is removed."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def drop(path: str) -> None:
    """Remove the file, if it is there; maps of it stay."""
    with contextlib.suppress(OSError):
        os.unlink(path)
