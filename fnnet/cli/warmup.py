"""`fnnet warmup`."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fnnet.cli.bars import compiling_bar
from fnnet.cli.common import Notices, print_json, say
from fnnet.cli.options import FileName, json_option, quiet_option
from fnnet.errors import FnnetError, StorageError


@click.command(short_help="Compile the kernels now, once on this machine.")
@click.option("--double", is_flag=True, help="Also compile the kernels for float64.")
@click.option("--to", type=FileName(), metavar="DIR", help="Keep them in DIR, where other users may read them.")
@json_option
@quiet_option
def warmup(double: bool, to: str | None, as_json: bool, quiet: bool) -> None:
    """Compile the kernels that --jit uses and keep them in your cache folder, so that no later run waits for them.

    FNNET_CACHE names another folder. Without this command the first run with --jit does the same.

    With --to DIR the folder is for others, as in the build of an image: who runs with FNNET_CACHE=DIR reads it if it
    belongs to root or to himself, and nobody else may write it. It serves processors like this one; FNNET_CPU, set here
    and there, names a level that several have.
    """
    notify, began = Notices(quiet), time.perf_counter()
    dtypes = ["float32", "float64"] if double else ["float32"]
    if to:
        _check_own(Path(to))
    try:
        where, files = _warm(dtypes, to, notify)
    except StorageError as error:
        raise (error.at(error.where, fix="name a folder that only you may write with --to") if to else error) from None
    if to:
        _open_to_read(where, files)
    seconds = time.perf_counter() - began
    if as_json:
        print_json({"cache": str(where), "compile_seconds": seconds})
    else:
        say(f"compiled kernels ready in {where} ({seconds:.2f} s)")


def _warm(dtypes: list[str], to: str | None, notify: Any) -> tuple[Path, list[Path]]:
    """Compile the kernels, keep them in `to` or the user's folder, and return the folder and the files.

    Raises   FnnetError if they cannot be compiled or kept.
    """
    files: list[Path] = []
    try:
        from fnnet.kernels import cache, library
        from fnnet.kernels.signatures import PARTS

        folder = cache.folder(to)
        for dtype in dtypes:
            with compiling_bar(notify) as (on_compile, on_part):

                def begin(on_compile: Callable[[], None] = on_compile) -> None:
                    if to and folder:
                        _make_parents(folder)
                    cache.check_folder(folder)  # before minutes of work that could not be kept
                    on_compile()

                files += library.keep_parts(list(PARTS), dtype, folder, begin, _refuse, on_part)
        return folder or cache.check_folder(folder), files
    except ImportError as error:
        raise FnnetError("no compiled kernels", found=str(error), fix="pip install numba") from None


def _check_own(folder: Path) -> None:
    """Raise StorageError if a folder holds other files: every user could then read them."""
    from fnnet.files.disk import TEMPORARY
    from fnnet.kernels import cache

    others: list[str] = []
    with contextlib.suppress(OSError):
        own = {path.name for path in cache.files(folder)}
        others = [path.name for path in folder.iterdir() if path.name not in own]
    others = [name for name in others if not TEMPORARY.fullmatch(name)]
    if others:
        expected, fix = "compiled kernels alone", "name a new folder with --to"
        raise StorageError("holds other files", where=folder, expected=expected, found=min(others), fix=fix)


def _make_parents(folder: Path) -> None:
    """Make the missing folders above `folder`, open to every user whatever the umask; existing ones keep their modes.

    What cannot be made, `cache.check_folder` reports.
    """
    with contextlib.suppress(OSError, ValueError):
        for parent in reversed(folder.parents):
            if not parent.exists():
                with contextlib.suppress(FileExistsError):  # another process made it now: its mode is not ours to set
                    parent.mkdir()
                    parent.chmod(0o755)


def _open_to_read(folder: Path, files: list[Path]) -> None:
    """Let every user read a folder and its files, which may be another's if they are open already."""
    from fnnet.kernels import cache

    try:
        for file in files:
            cache.open_to_read(file)
        if stat.S_IMODE(folder.stat().st_mode) != 0o755:
            folder.chmod(0o755)
    except OSError as error:
        raise StorageError(f"cannot be opened to read: {error.strerror}", where=folder) from None


def _refuse(notice: str) -> None:
    raise StorageError(notice)
