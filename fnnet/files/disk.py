"""Files: read without trusting them (regular, of bounded size), written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from fnnet.errors import DataError, StorageError, one_line

PathName = str | os.PathLike[str]


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

    open: Callable[[PathName, int, int], int]
    read: Callable[[int, int], bytes]
    write: Callable[[int, Any], int]
    seek: Callable[[int, int, int], int]
    truncate: Callable[[int, int], None]
    fsync: Callable[[int], None]
    close: Callable[[int], None]
    replace: Callable[[PathName, PathName], None]
    unlink: Callable[[PathName], None]
    mkdir: Callable[[PathName], None]
    listdir: Callable[[PathName], list[str]]
    sync_folder: Callable[[PathName], None]


def _sync_folder(folder: PathName) -> None:
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


MAX_FILE_BYTES: Final = 4 * 2**30
PIECE: Final = 2**20
NAME_BYTES: Final = 200
TEMPORARY: Final = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.part", re.DOTALL)
"""The names of `write_file`'s temporary files."""


def open_regular(path: str | os.PathLike[str], disk: FileSystem = DISK) -> int:
    """A descriptor of the regular file at `path` for reading; StorageError for what cannot be opened or is no file."""
    try:
        # Without O_NONBLOCK a FIFO would wait for a writer before it could be refused.
        descriptor = disk.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0), 0)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = path if isinstance(path, (str, os.PathLike)) else repr(path)
        fix = "check the path and its permissions"
        expected = "a file that can be read"
        raise StorageError("cannot be opened", where=where, expected=expected, found=reason, fix=fix) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        disk.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise StorageError("cannot be read", where=path, expected="a regular file", found=kind, fix="name a file")
    return descriptor


def read_bytes(
    path: str | os.PathLike[str], cap: int = MAX_FILE_BYTES, *, disk: FileSystem = DISK, empty: bool = False
) -> bytes:
    """The whole content of the regular file at `path`; DataError beyond `cap` bytes, or unless it may be `empty`."""
    descriptor = open_regular(path, disk)
    try:
        size = os.fstat(descriptor).st_size
        if size > cap:
            expected, found = f"at most {cap:,} bytes", f"{size:,}"
            fix = "name another file"
            raise DataError("file too large", where=path, place="size", expected=expected, found=found, fix=fix)
        # What a writer adds meanwhile is left; reading `cap` would claim 4 GiB.
        pieces = list(_pieces(descriptor, size, disk))
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            disk.close(descriptor)
    if not pieces and not empty:
        expected, found = "data", "0 bytes"
        raise DataError("file is empty", where=path, place="byte 0", expected=expected, found=found, fix="get it anew")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _pieces(descriptor: int, size: int, disk: FileSystem) -> Iterator[bytes]:
    """The next `size` bytes, or as many as there are; the system may give fewer at a time than were asked for."""
    while size and (piece := disk.read(descriptor, size)):
        size -= len(piece)
        yield piece


def read_head(path: str | os.PathLike[str], count: int = 512) -> bytes:
    """The first bytes of the regular file at `path`, at most `count`."""
    with open(open_regular(path), "rb") as file:
        try:
            return file.read(count)
        except OSError as error:
            raise unreadable(path, error) from None


def refuse(
    problem: str, path: str | os.PathLike[str], place: str, expected: object, found: object, fix: str
) -> NoReturn:
    """DataError about the file at `path`, with every part that such an error has."""
    raise DataError(problem, where=path, place=place, expected=expected, found=found, fix=fix)


def unreadable(path: str | os.PathLike[str], error: OSError) -> StorageError:
    """What to raise where the disk fails in the middle of a file."""
    found = error.strerror or str(error)
    return StorageError("cannot be read", where=path, expected="its content", found=found, fix="check the disk")


def show_bytes(head: bytes) -> str:
    """The first bytes of a file, escaped for a message."""
    return one_line(repr(head[:16]))


def looks_like_html(head: bytes) -> bool:
    """Whether these bytes start an HTML page, as servers send in place of a missing file."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower().startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    )


def list_folder(path: str | os.PathLike[str], disk: FileSystem = DISK) -> list[Path]:
    """The entries of a folder, sorted by name; StorageError where it cannot be listed."""
    try:
        return sorted(Path(path, name) for name in disk.listdir(path))
    except OSError as error:
        fix = "check the path and its permissions"
        raise StorageError(f"cannot be listed: {error.strerror}", where=path, fix=fix) from None


def write_file(path: str | os.PathLike[str], *chunks: bytes | memoryview, disk: FileSystem = DISK) -> None:
    """The bytes of `chunks` as the file `path`, all of them or nothing.

    A temporary file beside it, fsync, what was written read back and compared, rename, fsync of the folder.
    Raises   StorageError, leaving what was there before; after a failed fsync of the folder either may be there.
    """
    target = _target(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target, disk)
        try:
            try:
                for chunk in chunks:
                    _write(descriptor, chunk, disk)
                # Where it fails the system may have dropped the bytes: a second fsync that succeeds proves nothing.
                disk.fsync(descriptor)
                disk.seek(descriptor, 0, os.SEEK_SET)
                if not all(_reads(descriptor, chunk, disk) for chunk in chunks) or disk.read(descriptor, 1):
                    raise StorageError("reads back otherwise than it was written", where=target, fix="check the disk")
            finally:
                disk.close(descriptor)
            disk.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(temporary)
            raise
        disk.sync_folder(target.parent)


def _target(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.fsdecode(path))
    except TypeError:
        problem, fix = "cannot be written", "name a file"
        raise StorageError(problem, where=repr(path), expected="a path", found=type(path).__name__, fix=fix) from None


def _write(descriptor: int, chunk: bytes | memoryview, disk: FileSystem) -> None:
    """All bytes of `chunk`, of which the system may take fewer at a time."""
    left = memoryview(chunk)
    while left:
        written = disk.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]


def _reads(descriptor: int, chunk: bytes | memoryview, disk: FileSystem) -> bool:
    """Whether the next bytes of the file are these."""
    left = memoryview(chunk)
    while left:
        piece = disk.read(descriptor, min(len(left), PIECE))
        # Comparing a memoryview goes element by element.
        if not piece or bytes(left[: len(piece)]) != piece:
            return False
        left = left[len(piece) :]
    return True


def append_line(path: str | os.PathLike[str], line: bytes, *, sync: bool = False, disk: FileSystem = DISK) -> None:
    """Add one line to the file `path`, which is made if it is not there; with `sync` also onto the disk.

    What another writer left of a line behind the last whole one is cut off first.
    Raises   StorageError, with what was written of the line taken back if that can be.
    """
    target = Path(path)
    with _writing(target):
        descriptor = disk.open(target, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            size = _whole_lines(descriptor, disk)
            try:
                _write(descriptor, line + b"\n", disk)
                if sync:
                    disk.fsync(descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    disk.truncate(descriptor, size)
                raise
        finally:
            disk.close(descriptor)
        if sync:  # the file's name too, which may be as new as the line
            disk.sync_folder(target.parent)


def _whole_lines(descriptor: int, disk: FileSystem) -> int:
    """Where the last whole line ends, with the file cut there and its descriptor at that place."""
    end = size = disk.seek(descriptor, 0, os.SEEK_END)
    while end:
        start = max(0, end - PIECE)
        disk.seek(descriptor, start, os.SEEK_SET)
        newline = b"".join(_pieces(descriptor, end - start, disk)).rfind(b"\n")
        end = start + newline + 1
        if newline >= 0:
            break
    if end < size:
        disk.truncate(descriptor, end)
    disk.seek(descriptor, end, os.SEEK_SET)
    return end


def make_folder(path: str | os.PathLike[str], disk: FileSystem = DISK) -> None:
    """A folder at `path`, made with its parents unless it is there; StorageError where that cannot be."""
    folder = Path(path)
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                disk.mkdir(each)
            disk.sync_folder(each.parent)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be made: {reason}", where=path, expected="a folder", fix="choose another") from None


def remove_leftovers(folder: str | os.PathLike[str], disk: FileSystem = DISK) -> int:
    """Remove the temporary files that killed writers left in `folder`, where nobody else writes now; how many."""
    left = [path for path in list_folder(folder, disk) if TEMPORARY.fullmatch(path.name)]
    for path in left:
        with contextlib.suppress(OSError):
            disk.unlink(path)
    return len(left)


def check_writable(path: str | os.PathLike[str]) -> None:
    """StorageError now rather than after the work, if a file at `path` could not be written."""
    target = Path(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target, DISK)
        os.close(descriptor)
        temporary.unlink()


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Failures of the operating system inside as a StorageError that names `target`, which is no device or link."""
    try:
        with contextlib.suppress(FileNotFoundError):
            mode = os.lstat(target).st_mode
            if not stat.S_ISREG(mode):
                found = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or pipe"
                raise StorageError("cannot be written", where=target, expected="a file name", found=found)
        yield
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be written: {reason}", where=target, fix="choose another place") from None


def _create_beside(target: Path, disk: FileSystem) -> tuple[int, Path]:
    """A new empty file in the folder of `target`, with that file's mode or the one that a new file gets there."""
    # Names have at most 255 bytes, and the target's may have as many.
    name = os.fsdecode(os.fsencode(target.name)[:NAME_BYTES])
    temporary = target.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    descriptor = disk.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    with contextlib.suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(os.lstat(target).st_mode))
    return descriptor, temporary
