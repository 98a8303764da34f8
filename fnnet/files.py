"""Files: read without trusting them (regular, of bounded size), written whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from fnnet.errors import DataError, StorageError, one_line

MAX_FILE_BYTES: Final = 4 * 2**30
PIECE: Final = 2**20
TEMPORARY: Final = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.part", re.DOTALL)
"""The names of `write_file`'s temporary files."""


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor of the regular file at `path` for reading; StorageError for what cannot be opened or is no file."""
    try:
        # Without O_NONBLOCK a FIFO would wait for a writer before it could be refused.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = path if isinstance(path, (str, os.PathLike)) else repr(path)
        fix = "check the path and its permissions"
        expected = "a file that can be read"
        raise StorageError("cannot be opened", where=where, expected=expected, found=reason, fix=fix) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise StorageError("cannot be read", where=path, expected="a regular file", found=kind, fix="name a file")
    return descriptor


def read_bytes(path: str | os.PathLike[str], cap: int = MAX_FILE_BYTES) -> bytes:
    """The whole content of the regular file at `path`; DataError beyond `cap` bytes or when empty."""
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > cap:
            expected, found = f"at most {cap:,} bytes", f"{size:,}"
            fix = "name another file"
            raise DataError("file too large", where=path, place="size", expected=expected, found=found, fix=fix)
        try:
            content = file.read(size)  # what a writer adds meanwhile is left; reading `cap` would claim 4 GiB
        except OSError as error:
            raise unreadable(path, error) from None
    if not content:
        raise DataError(
            "file is empty", where=path, place="byte 0", expected="data", found="0 bytes", fix="get it anew"
        )
    return content


def read_head(path: str | os.PathLike[str], count: int = 512) -> bytes:
    """The first bytes of the regular file at `path`, at most `count`."""
    with open(open_regular(path), "rb") as file:
        try:
            return file.read(count)
        except OSError as error:
            raise unreadable(path, error) from None


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


def list_folder(path: str | os.PathLike[str]) -> list[Path]:
    """The entries of a folder, sorted by name; StorageError where it cannot be listed."""
    try:
        return sorted(Path(path).iterdir())
    except OSError as error:
        fix = "check the path and its permissions"
        raise StorageError(f"cannot be listed: {error.strerror}", where=path, fix=fix) from None


def write_file(path: str | os.PathLike[str], *chunks: bytes | memoryview) -> None:
    """The bytes of `chunks` as the file `path`, all of them or nothing.

    A temporary file beside it, fsync, what was written read back and compared, rename, fsync of the folder.
    Raises   StorageError, leaving what was there before.
    """
    target = Path(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target)
        try:
            with open(descriptor, "w+b") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                if not all(map(functools.partial(_reads, file), chunks)) or file.read(1):
                    raise StorageError("reads back otherwise than it was written", where=target, fix="check the disk")
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)


def _reads(file: IO[bytes], chunk: bytes | memoryview) -> bool:
    """Whether the next bytes of `file` are these."""
    view = memoryview(chunk)
    pieces = (view[start : start + PIECE] for start in range(0, len(view), PIECE))
    return all(file.read(len(piece)) == bytes(piece) for piece in pieces)


def append_line(path: str | os.PathLike[str], line: str, *, sync: bool = False) -> None:
    """Add one line of text to the file `path`, which is made if it is not there; with `sync` also onto the disk.

    Raises   StorageError, with what was written of the line taken back if that can be.
    """
    target, left = Path(path), memoryview(line.encode() + b"\n")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with _writing(target):
        descriptor = os.open(target, flags, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
                if sync:
                    os.fsync(descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def make_folder(path: str | os.PathLike[str]) -> None:
    """A folder at `path`, made with its parents unless it is there; StorageError where that cannot be."""
    folder = Path(path)
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            _sync_folder(each.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be made: {reason}", where=path, expected="a folder", fix="choose another") from None


def remove_leftovers(folder: str | os.PathLike[str]) -> int:
    """Remove the temporary files that killed writers left in `folder`, where nobody else writes now; how many."""
    left = [path for path in list_folder(folder) if TEMPORARY.fullmatch(path.name)]
    for path in left:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(left)


def check_writable(path: str | os.PathLike[str]) -> None:
    """StorageError now rather than after the work, if a file at `path` could not be written."""
    target = Path(path)
    with _writing(target):
        descriptor, temporary = _create_beside(target)
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


def _create_beside(target: Path) -> tuple[int, Path]:
    """A new empty file in the folder of `target`, with that file's mode or the one that a new file gets there."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    with contextlib.suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(os.lstat(target).st_mode))
    return descriptor, temporary


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
