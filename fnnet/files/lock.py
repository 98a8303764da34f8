"""One writer per folder: a file `lock` that names its owner, held by a lock of the operating system."""

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
HEAD: Final = b'{"pid": '


class Lock:
    """A lock that this process holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def check(self) -> None:
        """Raise StorageError if the file of the lock was removed or replaced: another writer may be at work."""
        if not _is_at(self._descriptor, self._path):
            fix = "start again with --resume once no other training uses the folder"
            raise StorageError("the folder was moved, deleted or unlocked", where=self._path.parent, fix=fix)


@contextlib.contextmanager
def lock(folder: str | os.PathLike[str], disk: FileSystem = DISK) -> Iterator[Lock]:
    """Be the only writer of `folder` inside the `with` block.

    The lock is flock where the file system has it: the system releases it when the process ends, however it ends, so
    that a file left by a dead process of this host is taken over. Without flock the file itself is the lock, and is
    taken over once its process has ended. A file left by another host is never taken over, since network file systems
    may not support locks.
    Raises   StorageError that names the owner if there is one, or if the file cannot be created.
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
        # Remove before closing: another process might take it over in between. Windows cannot remove an open file.
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
    """Take the lock, write the name of this process into the file `path`, and return its descriptor."""
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
            if fresh:  # it names nobody, and without flock it would keep everybody out
                _remove(path, disk)
            disk.close(descriptor)
            raise
        disk.close(descriptor)


def now() -> str:
    """Return the time as text, for people; no decision depends on it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _open(path: Path, disk: FileSystem) -> tuple[int, bool]:
    """Return a descriptor of the file, and True if it was created by this call."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        with contextlib.suppress(FileExistsError):
            return disk.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with contextlib.suppress(FileNotFoundError):
            return disk.open(path, flags, 0), False


def _takes(descriptor: int, fresh: bool, path: Path, disk: FileSystem) -> bool:
    """Return True if this process now holds the lock, False to try again; raise StorageError if another holds it."""
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
        if not owner and _is_foreign(descriptor, disk):
            fix = f"move {NAME} away, or choose another folder"
            raise StorageError(
                "not a lock of fnnet", where=path, expected="its own or none", found="another file", fix=fix
            )
        return True
    if not owner or owner["host"] != platform.node() or _is_alive(owner["pid"]):
        raise _refused(path, owner)
    aside = path.with_name(f".{NAME}.{os.getpid()}-{secrets.token_hex(4)}.part")
    disk.replace(path, aside)
    _remove(aside, disk)
    return False


def _flock(descriptor: int) -> bool | None:
    """Return True if flock succeeded, False if another process holds it; None without flock for this file."""
    if sys.platform == "win32":  # pragma: no cover
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return True if the open file is the one at `path`."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _owner(descriptor: int, disk: FileSystem, tries: int = TRIES) -> dict[str, Any] | None:
    """Return the owner named in the file; None if there is none, as when a process was killed before it wrote."""
    for tried in range(tries):
        if tried:
            time.sleep(0.01)  # its creator may be about to write
        disk.seek(descriptor, 0, os.SEEK_SET)
        with contextlib.suppress(FnnetError, ValueError, RecursionError):
            owner = strictjson.loads(disk.read(descriptor, MAX_BYTES))
            if isinstance(owner, dict) and type(owner.get("pid")) is int and isinstance(owner.get("host"), str):
                return owner
    return None


def _is_foreign(descriptor: int, disk: FileSystem) -> bool:
    """Return True for a file with other content than a lock has, or had begun to write when its process was killed."""
    disk.seek(descriptor, 0, os.SEEK_SET)
    content = disk.read(descriptor, MAX_BYTES).strip(b"\0")
    return not HEAD.startswith(content[: len(HEAD)])


def _is_alive(pid: int) -> bool:
    """Return True if a process of this host is alive, or if that cannot be found out safely."""
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
