"""Where compiled code is kept between processes: a private folder, files that prove themselves, and no failure.

A file is named by what its code depends on: fnnet's source, the versions of Numba and of Python, the processor. It is
taken only from a folder and a file that belong to this user and that nobody else may write, and only if its checksum is
right; anything else is as if it were not there. Not being able to write is no failure either.
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

from fnnet.errors import FnnetError
from fnnet.files import read_bytes, write_file
from fnnet.kernels.machine import machine

MAGIC: Final = b"fnnet compiled code 1\n"
KEPT: Final = 24
"""Files kept in the folder, the last used ones."""
MAX_BYTES: Final = 64 * 2**20


def folder() -> Path | None:
    """The folder of compiled code, FNNET_CACHE or a place in the user's cache; None where there is no home."""
    from platformdirs import user_cache_path

    if chosen := os.environ.get("FNNET_CACHE"):
        return Path(chosen)
    try:
        return user_cache_path("fnnet", appauthor=False) / "kernels"
    except (OSError, RuntimeError):
        return None


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
        "../rng.py",
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


def write(path: Path | None, code: bytes) -> bool:
    """Keep `code`; whether that was possible."""
    if path is None:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_private(path.parent):
            return False
        write_file(path, MAGIC + _digest(path, code) + code)
        os.chmod(path, 0o600)
        _prune(path)
    except (FnnetError, OSError):
        return False
    return True


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
    files = sorted(newest.parent.glob("*.o"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEPT:]:
        if file != newest:
            file.unlink(missing_ok=True)
