"""The cache of compiled code between processes: a private folder of files with checksums; no failure stops the work.

A file's name holds a digest of everything that its code depends on: fnnet's sources, the versions of Numba and of
Python, the processor. A file is read only if its checksum is right and nobody but this user can have written it, or
root where that holds for each folder up to the root folder, too; otherwise it is ignored, and the code compiled again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fnnet.errors import FnnetError, StorageError
from fnnet.files.disk import read_bytes, write_file
from fnnet.kernels.machine import machine

MAGIC: Final = b"fnnet compiled code 1\n"
NAME: Final = re.compile(r"[a-z]+-float(32|64)-[0-9a-f]{32}\.o")
KEPT: Final = 48
"""Files kept in the folder: the most recently used."""
MAX_BYTES: Final = 64 * 2**20
FIX: Final = "set FNNET_CACHE to a folder that only you may write"
ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = (
    "__init__.py",
    "errors.py",
    "lazy.py",
    "limits.py",
    "names.py",
    *(f"core/{name}.py" for name in ("__init__", "checks", "dropout", "erf", "frames", "operations", "params", "rng")),
    *(
        f"kernels/{name}.py"
        for name in ("__init__", "build", "int8_layout", "layout", "machine", "shipped", "shortcuts", "signatures")
    ),
    "kernels/native",
)
"""The modules and folders of fnnet that the compiler imports, and whose text is part of the key."""


def folder(named: str | None = None) -> Path | None:
    """Return the folder of compiled code: `named`, else FNNET_CACHE, else one in the user's cache.

    None if there is no home folder.
    """
    try:
        if chosen := named or os.environ.get("FNNET_CACHE"):
            return Path(os.path.realpath(chosen))
        from platformdirs import user_cache_path

        place = user_cache_path("fnnet", appauthor=False) / "kernels"
    except (OSError, RuntimeError):
        return None
    # For a user without a home folder the path begins with "~", relative to wherever the program runs.
    return place if place.is_absolute() else None


def sources() -> list[Path]:
    """Return the files of SOURCES."""
    paths = [ROOT / name for name in SOURCES]
    return [file for path in paths for file in ([path] if path.suffix else sorted(path.glob("*.py")))]


def _stamps() -> dict[str, tuple[int, int, int]]:
    """Return, for each of `sources`, what shows that it was written again."""
    found = {}
    for file in sources():
        with contextlib.suppress(OSError):
            about = os.stat(file)
            found[str(file)] = about.st_mtime_ns, about.st_size, about.st_ino
    return found


STAMPS: Final = _stamps()
"""Those when this module was imported, and with it the others of fnnet."""


class ChangedError(FnnetError):
    """The files of fnnet are not those that this process imported."""


def check_sources() -> None:
    """Raise ChangedError if fnnet's files were written since this process imported them, as an upgrade does.

    The modules in memory, the key and what the compiler reads would not be of one version; code that was compiled from
    some of both was kept under the key of one, and gave wrong numbers from then on.
    """
    if changed := dict(_stamps().items() ^ STAMPS.items()):
        problem, expected = "the files of fnnet were changed while it was running", "those that this process imported"
        found = f"{os.path.relpath(min(changed), ROOT)}, written since"
        raise ChangedError(problem, where=str(ROOT), expected=expected, found=found, fix="start it again")


def version(package: str) -> str:
    """Return what tells an installed package from its other versions; ImportError if it is not installed.

    The file that it keeps its version in, where it has one: reading what was installed with it takes 10 ms.
    """
    found = find_spec(package)
    file = Path(found.origin).with_name("_version.py") if found and found.origin else None
    if file and file.is_file():
        return file.read_text(encoding="utf-8")
    from importlib import metadata

    return metadata.version(package)


@functools.cache
def _key() -> str:
    """Return the digest of everything that compiled code depends on.

    Raises   ChangedError as `check_sources`.
    """
    digest = hashlib.sha256()
    for source in sources():
        digest.update(source.relative_to(ROOT).as_posix().encode() + b"\0" + read_bytes(source))
    check_sources()
    versions = [version("numba"), version("llvmlite"), sys.version, sys.platform]
    digest.update("\0".join([*versions, *map(str, machine())]).encode())
    return digest.hexdigest()


def place(part: str, dtype: str, where: Path | None = None) -> Path | None:
    """Return the file for the code of `part` for `dtype`, in the folder `where`; None for `folder()`."""
    where = where or folder()
    return where and where / f"{part}-{dtype}-{_key()[:32]}.o"


def read(path: Path | None) -> bytes | None:
    """Return the code in a file, or None if there is none that can be trusted."""
    if path is None or not ((_is_private(path.parent) and _is_private(path)) or _is_roots(path)):
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
    """Write `code` to the cache, for whom the mode of the folder lets read it.

    Raises   StorageError if there is no folder that only this user may write.
    """
    if path is None:
        check_folder(None)
        return
    check_folder(path.parent)
    _clear(path)
    write_file(path, MAGIC + _digest(path, code) + code)
    with contextlib.suppress(OSError):
        os.chmod(path, 0o600 | os.stat(path.parent).st_mode & 0o044)
    _prune(path)


def open_to_read(path: Path) -> None:
    """Let every user read a file of code that was read or written now, and nothing else that has another name.

    Raises   OSError if that is not possible.
    """
    if stat.S_IMODE(os.lstat(path).st_mode) == 0o644:
        return  # it may be another's
    if os.lstat(path).st_nlink > 1:  # a mode belongs to all names of a file
        write(path, read(path) or b"")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.chmod(descriptor if os.chmod in os.supports_fd else path, 0o644)
    finally:
        os.close(descriptor)


def check_folder(folder: Path | None) -> Path:
    """Return the folder of compiled code, made if it is missing.

    Raises   StorageError if there is none, or it is not one that this user, and nobody else, may write.
    """
    if folder is None:
        raise StorageError("no folder to keep compiled kernels in", fix=FIX)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"cannot be made: {reason}", where=folder, fix=FIX) from None
    if not _is_private(folder):
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise StorageError("cannot be made: File exists", where=folder, fix=FIX)
        owner = f"mode {stat.S_IMODE(found.st_mode):o} of user {found.st_uid}"
        others = found.st_mode & 0o022
        problem = "others may write it" if others else "belongs to another user"
        raise StorageError(problem, where=folder, expected="a folder of your own", found=owner, fix=FIX)
    import tempfile

    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=folder, fix=FIX) from None
    return folder


def _clear(path: Path) -> None:
    """Remove what lies at `path` unless it is a private file; a folder that is not empty stays."""
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            os.rmdir(path)
        elif not stat.S_ISREG(mode) or not _is_private(path):
            os.unlink(path)


def _digest(path: Path, code: bytes) -> bytes:
    """Return SHA-256 of the name and the code, so that a renamed file is not taken for another."""
    return hashlib.sha256(path.name.encode() + b"\0" + code).digest()


def _is_private(path: Path) -> bool:
    """Return True if `path` exists, is not a link, belongs to this user, and nobody else may write it."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return True
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is_roots(path: Path) -> bool:
    """Return True if none but root and this user can replace or change `path`, as the build of an image leaves it."""
    if not hasattr(os, "geteuid"):
        return False
    try:
        places = (path, *Path(os.path.realpath(path.parent), "x").parents)
        found = [os.lstat(place) for place in places]
    except OSError:
        return False
    return stat.S_ISREG(found[0].st_mode) and all(
        each.st_uid in (0, os.geteuid())
        and (not each.st_mode & 0o022 or (above > 1 and bool(each.st_mode & stat.S_ISVTX)))
        for above, each in enumerate(found)
    )


def files(folder: Path) -> list[Path]:
    """Return the files of compiled code in `folder`."""
    return [path for path in folder.iterdir() if NAME.fullmatch(path.name)]


def _prune(newest: Path) -> None:
    """Remove all but the most recently used files."""
    used: list[tuple[float, Path]] = []
    for file in files(newest.parent):
        # Another process may remove it as well.
        with contextlib.suppress(OSError):
            used.append((file.lstat().st_mtime, file))
    for _, file in sorted(used, reverse=True)[KEPT:]:
        if file != newest:
            with contextlib.suppress(OSError):
                file.unlink()
