"""One writer per folder: a file `lock` that names its owner, held by a lock of the operating system."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from fnnet.errors import StorageError
from fnnet.files import heartbeat
from fnnet.files.disk import DISK, FileSystem, name_beside
from fnnet.files.heartbeat import MAX_BYTES, Heartbeat, Seen
from fnnet.files.owner import Owner, Where, is_alive, owner_in, this_process, where_is

NAME: Final = "lock"
TRIES: Final = 10
HEAD: Final = b'{"pid": '


class Waiting(str):
    """A notice that explains a silence, which a program shows even where it was asked for no notices."""

    __slots__ = ()
    explains_silence: Final = True


class InUseError(StorageError):
    """The lock of a folder is held by another process, or may be."""


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
def lock(
    folder: str | os.PathLike[str], disk: FileSystem = DISK, notify: Callable[[str], None] = lambda notice: None
) -> Iterator[Lock]:
    """Be the only writer of `folder` inside the `with` block.

    The lock is flock where the file system has it: who holds it is alive, and the system releases it when the process
    ends, however it ends. Without flock the file itself is the lock. A file that nobody holds is taken over at once if
    its process ran under this kernel and has ended. If it ran elsewhere, or its file names nobody, the lock may not
    reach this host: the file is taken over after `heartbeat.QUIET` seconds without a sign of life.

    notify   takes the notice, a `Waiting`, that a file is watched for signs of life.
    Raises   InUseError that names the owner if there is one; StorageError if the file cannot be created.
    """
    path = Path(folder, NAME)
    try:
        descriptor = _acquire(path, disk, notify)
    except StorageError:
        raise
    except OSError as error:
        fix = "choose another folder"
        raise StorageError(f"cannot be locked: {error.strerror}", where=path, fix=fix) from None
    beat = None
    try:
        beat = Heartbeat(descriptor) if os.utime in os.supports_fd else None
        yield Lock(path, descriptor)
    finally:
        if beat:
            beat.stop()
        ours = _is_at(descriptor, path)
        # Remove before closing: another process might take it over in between. Windows cannot remove an open file.
        if ours and os.name != "nt":
            _remove(path, disk)
        with contextlib.suppress(OSError):
            disk.close(descriptor)
        if ours and os.name == "nt":  # pragma: no cover
            _remove(path, disk)


def holder(folder: str | os.PathLike[str]) -> tuple[Owner, bool | None] | None:
    """Return the process that the lock of a folder names, and whether it holds it now: None if that is not known here.

    None without a lock. Nothing is changed. A process that wants a lock which was left is refused if it comes in the
    microseconds of this look at it.
    """
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(Path(folder, NAME), flags)
    except OSError:
        return None
    try:
        owner = owner_in(os.read(descriptor, MAX_BYTES))
        return owner and (owner, _is_held(descriptor, owner))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _is_held(descriptor: int, owner: Owner) -> bool | None:
    where = where_is(owner)
    alive = is_alive(owner) if where is Where.HERE else None
    if where is Where.ENDED or alive is False:
        return False
    # Of a process that may be alive the lock is tried, and given back when the file is closed: its number may by now be
    # another's.
    held = _flock(descriptor)
    if held is False:
        return True
    return False if held and where is Where.HERE else alive


def _remove(path: Path, disk: FileSystem) -> None:
    with contextlib.suppress(OSError):
        disk.unlink(path)


def _acquire(path: Path, disk: FileSystem, notify: Callable[[str], None]) -> int:
    """Take the lock, write the name of this process into the file `path`, and return its descriptor."""
    while True:
        descriptor, fresh = _open(path, disk)
        try:
            if _takes(descriptor, fresh, path, disk, notify):
                disk.truncate(descriptor, 0)
                disk.seek(descriptor, 0, os.SEEK_SET)
                disk.write(descriptor, json.dumps(this_process()._asdict()).encode() + b"\n")
                return descriptor
        except BaseException:
            if fresh:  # it names nobody, and without flock it would keep everybody out
                _remove(path, disk)
            disk.close(descriptor)
            raise
        disk.close(descriptor)


def _open(path: Path, disk: FileSystem) -> tuple[int, bool]:
    """Return a descriptor of the file, and True if it was created by this call."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        with contextlib.suppress(FileExistsError):
            return disk.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        with contextlib.suppress(FileNotFoundError):
            return disk.open(path, flags, 0), False


def _takes(descriptor: int, fresh: bool, path: Path, disk: FileSystem, notify: Callable[[str], None]) -> bool:
    """Return True if this process now holds the lock, False to try again; raise StorageError if another holds it."""
    held = _flock(descriptor)
    if held is False:
        raise _refused(path, _owner(descriptor, disk))
    if not _is_at(descriptor, path):
        return False
    if fresh:
        return True
    owner = _owner(descriptor, disk)
    if not owner and _is_foreign(descriptor, disk):
        fix = f"move {NAME} away, or choose another folder"
        raise StorageError("not a lock of fnnet", where=path, expected="its own or none", found="another file", fix=fix)
    if held and (not owner or where_is(owner) is not Where.ELSEWHERE):
        return True
    if _has_ended(owner, path, notify):
        _put_aside(descriptor, path, disk)
    return False


def _has_ended(owner: Owner | None, path: Path, notify: Callable[[str], None]) -> bool:
    """Return True if the owner of a lock that the system does not decide about has ended, False if its file went;
    raise StorageError if the owner may be alive."""
    where = where_is(owner) if owner else Where.ELSEWHERE
    if where is Where.ENDED:
        return True
    alive = is_alive(owner) if owner and where is Where.HERE else None
    if alive is not None:
        if alive:
            raise _refused(path, owner)
        return True
    if os.utime not in os.supports_fd:  # pragma: no cover
        raise _refused(path, owner)
    who = str(owner) if owner else "a process without a name"
    notify(Waiting(f"{path}: left by {who}; waiting up to {heartbeat.QUIET:.0f} s for a sign of life"))
    seen = heartbeat.watch(path)
    if seen is Seen.ALIVE:
        raise _refused(path, owner)
    return seen is Seen.QUIET


def _put_aside(descriptor: int, path: Path, disk: FileSystem) -> None:
    """Remove the file of a lock whose owner has ended; that of somebody who took it over meanwhile is put back.

    It is another file afterwards: an owner that had only been held up finds itself without its lock.
    """
    here, aside = os.fspath(path), name_beside(path)
    try:
        disk.replace(here, aside)
        if _is_at(descriptor, aside):
            disk.unlink(aside)
    except FileNotFoundError:  # its owner, or another that waits, was quicker
        pass
    finally:  # a signal may come before it is known whose it is: nothing is called before this
        try:  # noqa: SIM105 - it would be called
            disk.replace(aside, here)
        except FileNotFoundError:
            pass


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


def _is_at(descriptor: int, path: Path | str) -> bool:
    """Return True if the open file is the one at `path`."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _owner(descriptor: int, disk: FileSystem) -> Owner | None:
    """Return the owner named in the file; None if there is none, as when a process was killed before it wrote."""
    for tried in range(TRIES):
        if tried:
            time.sleep(0.01)  # its creator may be about to write
        try:
            disk.seek(descriptor, 0, os.SEEK_SET)
            content = disk.read(descriptor, MAX_BYTES)
        except PermissionError:
            return None  # over SMB, the holder's lock keeps others from reading
        if owner := owner_in(content):
            return owner
    return None


def _is_foreign(descriptor: int, disk: FileSystem) -> bool:
    """Return True for a file with other content than a lock has, or had begun to write when its process was killed."""
    disk.seek(descriptor, 0, os.SEEK_SET)
    content = disk.read(descriptor, MAX_BYTES).strip(b"\0")
    return not HEAD.startswith(content[: len(HEAD)])


def _refused(path: Path, owner: Owner | None) -> InUseError:
    fix = f"wait for it, or remove {NAME} if it is gone, or choose another folder"
    found = str(owner) if owner else "another process"
    return InUseError("in use by another training", where=path.parent, found=found, fix=fix)
