"""Reading files that are not trusted (regular, of bounded size), and writing them completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from fnnet.errors import DataError, FnnetError, StorageError, one_line

PathName = str | os.PathLike[str]


class FileSystem(NamedTuple):
    """The calls of `os` that files are written with; each raises OSError.

    open         (path, flags, mode) -> descriptor.
    read, write  (descriptor, count or bytes) -> the bytes, or the number of bytes written; may be fewer than asked for.
    seek         (descriptor, offset, whence) -> offset.
    truncate, fsync, close   take a descriptor.
    replace      (old, new): rename, replacing an existing file.
    unlink, mkdir, listdir   take a path.
    sync_folder  writes the names in a folder to the disk (fsync).
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


def open_regular(path: PathName, disk: FileSystem = DISK) -> int:
    """Open the regular file `path` for reading and return its descriptor; raise StorageError if that fails."""
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
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
        raise StorageError("cannot be read", where=path, expected="a regular file", found=kind, fix="give a file")
    return descriptor


def read_bytes(path: PathName, cap: int = MAX_FILE_BYTES, *, disk: FileSystem = DISK, empty: bool = False) -> bytes:
    """Return the content of the regular file `path`; raise DataError above `cap` bytes, or if empty unless `empty`."""
    descriptor = open_regular(path, disk)
    try:
        size = os.fstat(descriptor).st_size
        if size > cap:
            expected, found = f"at most {cap:,} bytes", f"{size:,}"
            fix = "give another file"
            raise DataError("file too large", where=path, place="size", expected=expected, found=found, fix=fix)
        # Bytes that a writer adds meanwhile are not read; a buffer of `cap` bytes would take 4 GiB.
        pieces = list(_pieces(descriptor, size, disk))
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            disk.close(descriptor)
    if not pieces and not empty:
        expected, found = "data", "0 bytes"
        raise DataError(
            "file is empty", where=path, place="byte 0", expected=expected, found=found, fix="fetch it again"
        )
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_text(path: PathName) -> str:
    """Return the text of a file of UTF-8, without its mark; DataError naming line and column of other bytes."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        found = f"the bytes {show_bytes(error.object[error.start :])}"
        refuse("text is not UTF-8", path, f"line {line}, column {column}", "UTF-8", found, "save it as UTF-8")


def _pieces(descriptor: int, size: int, disk: FileSystem, most: int = MAX_FILE_BYTES) -> Iterator[bytes]:
    """Yield the next `size` bytes, or as many as there are, at most `most` at a time; the system may return fewer."""
    while size and (piece := disk.read(descriptor, min(size, most))):
        size -= len(piece)
        yield piece


def read_head(path: PathName, count: int = 512) -> bytes:
    """Return the first bytes of the regular file `path`, at most `count`."""
    with open(open_regular(path), "rb") as file:
        try:
            return file.read(count)
        except OSError as error:
            raise unreadable(path, error) from None


def refuse(problem: str, path: PathName, place: str, expected: object, found: object, fix: str) -> NoReturn:
    """Raise DataError about the file `path`, with every part of the message."""
    raise DataError(problem, where=path, place=place, expected=expected, found=found, fix=fix)


def unreadable(path: PathName, error: OSError) -> StorageError:
    """Return the error for a disk that fails in the middle of a file."""
    found = error.strerror or str(error)
    return StorageError("cannot be read", where=path, expected="its content", found=found, fix="check the disk")


def show_bytes(head: bytes) -> str:
    """Return the first bytes of a file, escaped for a message."""
    return one_line(repr(head[:16]))


def looks_like_html(head: bytes) -> bool:
    """Return True if these bytes start an HTML page, which servers send in place of a missing file."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower().startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    )


def list_folder(path: PathName, disk: FileSystem = DISK) -> list[Path]:
    """Return the entries of a folder, sorted by name; raise StorageError if it cannot be listed."""
    try:
        return sorted(Path(path, name) for name in disk.listdir(path))
    except OSError as error:
        fix = "check the path and its permissions"
        raise StorageError(f"cannot be listed: {error.strerror}", where=path, fix=fix) from None


def write_file(path: PathName, *chunks: bytes | memoryview, disk: FileSystem = DISK) -> None:
    """Write the bytes of `chunks` to the file `path`, completely or not at all: see `write_pieces`."""
    write_pieces(path, chunks, disk=disk)


def write_pieces(path: PathName, chunks: Iterable[bytes | memoryview], *, disk: FileSystem = DISK) -> None:
    """Write the bytes of `chunks`, made as they are asked for, to the file `path`, completely or not at all.

    Writes a temporary file beside it, calls fsync, reads back and compares the SHA-256, renames, and calls fsync on the
    folder.
    Raises   StorageError; `path` is then as before, or after a failed fsync of the folder, as before or complete.
    """
    target = _target(path)
    with _writing(target):
        temporary = name_beside(target)
        try:
            descriptor = _create(temporary, target, disk)
            try:
                written, size = hashlib.sha256(), 0
                for chunk in chunks:
                    _write(descriptor, chunk, disk)
                    written.update(chunk)
                    size += memoryview(chunk).nbytes
                # After a failure the system may have dropped the bytes: a second fsync that succeeds proves nothing.
                disk.fsync(descriptor)
                disk.seek(descriptor, 0, os.SEEK_SET)
                found = hashlib.sha256()
                for piece in _pieces(descriptor, size, disk, PIECE):
                    found.update(piece)
                if found.digest() != written.digest() or disk.read(descriptor, 1):
                    fix = "check the disk"
                    raise StorageError("what was read back differs from what was written", where=target, fix=fix)
            finally:
                disk.close(descriptor)
            disk.replace(temporary, target)
        except FileExistsError:  # of another writer
            raise
        except BaseException:  # a signal, which may come as soon as the file is there: nothing is called before this
            try:  # noqa: SIM105 - it would be called
                disk.unlink(temporary)
            except OSError:
                pass
            raise
        disk.sync_folder(target.parent)


def _target(path: PathName) -> Path:
    try:
        return Path(os.fsdecode(path))
    except TypeError:
        problem, fix = "cannot be written", "give a file name"
        raise StorageError(problem, where=repr(path), expected="a path", found=type(path).__name__, fix=fix) from None


def _write(descriptor: int, chunk: bytes | memoryview, disk: FileSystem) -> None:
    """Write all bytes of `chunk`; the system may write fewer at a time."""
    left = memoryview(chunk)
    while left:
        written = disk.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]


def append_line(path: PathName, line: bytes, *, sync: bool = False, disk: FileSystem = DISK) -> None:
    """Append a line to the file `path`, which is created if it does not exist; with `sync`, call fsync.

    An incomplete line that a killed writer left at the end is cut off first.
    Raises   StorageError; the part of the line that was written is removed if possible.
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
        if sync:  # the name of the file too: it may be as new as the line
            disk.sync_folder(target.parent)


def _whole_lines(descriptor: int, disk: FileSystem) -> int:
    """Cut the file behind its last complete line, seek there, and return the offset."""
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


def make_folder(path: PathName, disk: FileSystem = DISK) -> None:
    """Create the folder `path` and its parents unless they exist; raise StorageError if that is not possible."""
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
        raise _not_made(path, error) from None


def check_folder(path: PathName) -> None:
    """Raise StorageError if the folder `path` could not be made, or no files made in it: before the work."""
    folder = Path(path)
    try:
        above = next(each for each in (folder, *folder.parents) if each.exists())
        # Another process may be making the folder itself.
        trial = os.path.join(above, f".run.{os.getpid()}-{secrets.token_hex(4)}.part")
        try:
            os.mkdir(trial)
        finally:  # a signal may come
            try:  # noqa: SIM105 - as above
                os.rmdir(trial)
            except FileNotFoundError:
                pass
    except (OSError, ValueError) as error:
        raise _not_made(path, error) from None


def _not_made(folder: PathName, error: Exception) -> StorageError:
    reason, fix = getattr(error, "strerror", None) or str(error), "choose another folder"
    return StorageError(f"cannot be made: {reason}", where=folder, expected="a folder", fix=fix)


def remove_leftovers(folder: PathName, disk: FileSystem = DISK) -> int:
    """Remove the temporary files of killed writers from `folder`, to which nobody else writes; return their number."""
    left = [path for path in list_folder(folder, disk) if TEMPORARY.fullmatch(path.name)]
    for path in left:
        with contextlib.suppress(OSError):
            disk.unlink(path)
    return len(left)


def check_writable(path: PathName) -> None:
    """Raise StorageError if a file at `path` could not be written: before the work rather than after it."""
    target = Path(path)
    with _writing(target):
        temporary = name_beside(target)
        try:
            os.close(_create(temporary, target, DISK))
        finally:  # a signal may come
            try:  # noqa: SIM105 - as above
                os.unlink(temporary)
            except FileNotFoundError:
                pass


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn OSError into a StorageError that names `target`; raise one if it is a device, a link or a folder."""
    try:
        with contextlib.suppress(FileNotFoundError):
            mode = os.lstat(target).st_mode
            if not stat.S_ISREG(mode):
                found = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or pipe"
                raise StorageError("cannot be written", where=target, expected="a file name", found=found)
        yield
    except FnnetError:  # of what is written, too, which may be read meanwhile
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be written: {reason}", where=target, fix="choose another place") from None


def name_beside(target: Path) -> str:
    """Return the path of a temporary file in the folder of `target`, which no other writer has.

    It is text, as a signal may come while a path is made text to remove the file.
    """
    # A name has at most 255 bytes, and that of the target may have as many.
    name = os.fsdecode(os.fsencode(target.name)[:NAME_BYTES])
    return os.fspath(target.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part"))


def _create(temporary: str, target: Path, disk: FileSystem) -> int:
    """Create an empty file with the mode of `target`, or of a new file if there is none; return its descriptor."""
    descriptor = disk.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    with contextlib.suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(os.lstat(target).st_mode))
    return descriptor
