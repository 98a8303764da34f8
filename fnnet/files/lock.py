"""One writer for a folder: a file `lock` that names its owner, held by a lock of the operating system."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fnnet.errors import FnnetError, StorageError
from fnnet.files import strictjson
from fnnet.files.disk import DISK, FileSystem

NAME: Final = "lock"
MAX_BYTES: Final = 4096
TRIES: Final = 10


class Lock:
    """A lock that is held. `check` tells whether it still is what the folder holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def check(self) -> None:
        """StorageError if the lock's file has been removed or replaced, and another writer may be at work."""
        if not _is_at(self._descriptor, self._path):
            fix = "start again with --resume once no other training uses the folder"
            raise StorageError("the folder was moved, deleted or unlocked", where=self._path.parent, fix=fix)


@contextlib.contextmanager
def lock(folder: str | os.PathLike[str], disk: FileSystem = DISK) -> Iterator[Lock]:
    """Be the one writer of `folder` inside.

    flock holds it where there is one: the system lets go of it when the process ends, however it ends, so that a file
    left by a process of this host is taken over. Without flock the file itself is the lock, and is taken over when its
    process is no more. A file left by another host proves nothing, for network file systems may not carry locks.
    Raises   StorageError naming the owner where there is one, or where no file can be made.
    """
    path = Path(folder, NAME)
    try:
        descriptor = _acquire(path, disk)
    except StorageError:
        raise
    except OSError as error:
        fix = "choose another folder"
        raise StorageError(f"cannot be locked: {error.strerror}", where=path, fix=fix) from None
    try:
        yield Lock(path, descriptor)
    finally:
        ours = _is_at(descriptor, path)
        # Removed before it is closed: between the two another might take it over. Windows removes no open file.
        if ours and os.name != "nt":
            _remove(path, disk)
        with contextlib.suppress(OSError):
            disk.close(descriptor)
        if ours and os.name == "nt":  # pragma: no cover
            _remove(path, disk)


def _remove(path: Path, disk: FileSystem) -> None:
    with contextlib.suppress(OSError):
        disk.unlink(path)


def _acquire(path: Path, disk: FileSystem) -> int:
    """A descriptor of the file `path` that holds the lock, with this process named in it."""
    while True:
        descriptor, fresh = _open(path, disk)
        try:
            if _takes(descriptor, fresh, path, disk):
                about = {"pid": os.getpid(), "host": platform.node(), "started": now()}
                disk.truncate(descriptor, 0)
                disk.seek(descriptor, 0, os.SEEK_SET)
                disk.write(descriptor, json.dumps(about).encode() + b"\n")
                return descriptor
        except BaseException:
            if fresh:  # it names nobody, and where there is no flock it would keep everybody out
                _remove(path, disk)
            disk.close(descriptor)
            raise
        disk.close(descriptor)


def now() -> str:
    """The time for people who read what is left behind; nothing is ever decided by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _open(path: Path, disk: FileSystem) -> tuple[int, bool]:
    """A descriptor of the file, and whether it has just been made."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        with contextlib.suppress(FileExistsError):
            return disk.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with contextlib.suppress(FileNotFoundError):
            return disk.open(path, flags, 0), False


def _takes(descriptor: int, fresh: bool, path: Path, disk: FileSystem) -> bool:
    """Whether the lock is this process's now; False to try again, StorageError where another has it."""
    held = _flock(descriptor)
    if held is False:
        raise _refused(path, _owner(descriptor, disk))
    if not _is_at(descriptor, path):
        return False
    if fresh:
        return True
    owner = _owner(descriptor, disk, tries=1 if held else TRIES)
    if held:
        if owner and owner["host"] != platform.node():
            raise _refused(path, owner)
        return True
    if not owner or owner["host"] != platform.node() or _is_alive(owner["pid"]):
        raise _refused(path, owner)
    aside = path.with_name(f".{NAME}.{os.getpid()}-{secrets.token_hex(4)}.part")
    disk.replace(path, aside)
    _remove(aside, disk)
    return False


def _flock(descriptor: int) -> bool | None:
    """Whether the system gave its lock; None where it has none for this file."""
    if sys.platform == "win32":  # pragma: no cover
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that `path` names."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _owner(descriptor: int, disk: FileSystem, tries: int = TRIES) -> dict[str, Any] | None:
    """Who is named in the lock's file; None where nobody is, as when its maker was killed before it wrote."""
    for tried in range(tries):
        if tried:
            time.sleep(0.01)  # its maker may be about to write
        disk.seek(descriptor, 0, os.SEEK_SET)
        with contextlib.suppress(FnnetError, ValueError, RecursionError):
            owner = strictjson.loads(disk.read(descriptor, MAX_BYTES))
            if isinstance(owner, dict) and type(owner.get("pid")) is int and isinstance(owner.get("host"), str):
                return owner
    return None


def _is_alive(pid: int) -> bool:
    """Whether a process of this host lives; True where that cannot be asked without harm."""
    if os.name == "nt":  # pragma: no cover
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _refused(path: Path, owner: dict[str, Any] | None) -> StorageError:
    who = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
    if owner and isinstance(owner.get("started"), str):
        who += f" since {owner['started']}"
    fix = f"wait for it, or remove {NAME} if it is gone, or choose another folder"
    return StorageError("in use by another training", where=path.parent, found=who, fix=fix)
