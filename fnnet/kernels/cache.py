"""Where compiled code is kept between processes: a private folder, files that prove themselves, and no failure.

A file is named by what its code depends on: fnnet's source, the versions of Numba and of Python, the processor. It is
taken only from a folder and a file that belong to this user and that nobody else may write, and only if its checksum is
right; anything else is as if it were not there. Where nothing can be kept, the work goes on without.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from fnnet.errors import FnnetError, StorageError
from fnnet.files.disk import read_bytes, write_file
from fnnet.kernels.machine import machine

MAGIC: Final = b"fnnet compiled code 1\n"
KEPT: Final = 24
"""Files kept in the folder, the last used ones."""
MAX_BYTES: Final = 64 * 2**20
FIX: Final = "set FNNET_CACHE to a folder that only you may write"


def folder() -> Path | None:
    """The folder of compiled code, FNNET_CACHE or a place in the user's cache; None where there is no home."""
    from platformdirs import user_cache_path

    try:
        if chosen := os.environ.get("FNNET_CACHE"):
            return Path(os.path.realpath(chosen))
        place = user_cache_path("fnnet", appauthor=False) / "kernels"
    except (OSError, RuntimeError):
        return None
    # A user without a home folder has one of the name "~", wherever the program happens to run.
    return place if place.is_absolute() else None


@functools.cache
def _key() -> str:
    """The digest of all that compiled code depends on."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in (
        "build.py",
        "layout.py",
        "machine.py",
        "library.py",
        "../names.py",
        "../core/rng.py",
        "../core/operations.py",
        *sorted(f"native/{each}" for each in os.listdir(here / "native")),
    ):
        if name.endswith(".py"):
            digest.update(name.encode() + b"\0" + read_bytes(here / name))
    versions = [metadata.version("numba"), metadata.version("llvmlite"), sys.version, sys.platform]
    digest.update("\0".join([*versions, *map(str, machine())]).encode())
    return digest.hexdigest()


def place(part: str, dtype: str) -> Path | None:
    """The file for the code of `part` for `dtype`."""
    where = folder()
    return where and where / f"{part}-{dtype}-{_key()[:32]}.o"


def read(path: Path | None) -> bytes | None:
    """The code in a file, or None where there is none that can be trusted."""
    if path is None or not (_is_private(path.parent) and _is_private(path)):
        return None
    try:
        content = read_bytes(path, MAX_BYTES)
    except (FnnetError, OSError):
        return None
    head = len(MAGIC) + 32
    code = content[head:]
    if content[:head] != MAGIC + _digest(path, code):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return code


def write(path: Path | None, code: bytes) -> None:
    """Keep `code`.

    Raises   StorageError where there is no folder that only this user may write.
    """
    if path is None:
        raise StorageError("no folder to keep compiled kernels in", fix=FIX)
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be made: {reason}", where=folder, fix=FIX) from None
    if not _is_private(folder):
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise StorageError("cannot be made: File exists", where=folder, fix=FIX)
        said = f"mode {stat.S_IMODE(found.st_mode):o} of user {found.st_uid}"
        raise StorageError("others may write it", where=folder, expected="a folder of your own", found=said, fix=FIX)
    _clear(path)
    write_file(path, MAGIC + _digest(path, code) + code)
    with contextlib.suppress(OSError):
        os.chmod(path, 0o600)
    _prune(path)


def _clear(path: Path) -> None:
    """Make room where something lies that is no file of ours; a folder that is not empty stays."""
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            os.rmdir(path)
        elif not stat.S_ISREG(mode) or not _is_private(path):
            os.unlink(path)


def _digest(path: Path, code: bytes) -> bytes:
    """SHA-256 over the name and the code: a file that was renamed is not taken for another."""
    return hashlib.sha256(path.name.encode() + b"\0" + code).digest()


def _is_private(path: Path) -> bool:
    """Whether `path` is there, belongs to this user, is no link, and nobody else may write it."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return True
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _prune(newest: Path) -> None:
    """Remove all but the files used last."""
    used: list[tuple[float, Path]] = []
    for file in newest.parent.glob("*.o"):
        # Another process may remove it, too.
        with contextlib.suppress(OSError):
            used.append((file.lstat().st_mtime, file))
    for _, file in sorted(used, reverse=True)[KEPT:]:
        if file != newest:
            with contextlib.suppress(OSError):
                file.unlink()
