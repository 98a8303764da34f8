"""`fnnet warmup`."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
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
        with _cache_in(to):
            where = _warm(dtypes, notify)
    except StorageError as error:
        raise (error.at(error.where, fix="name a folder that only you may write with --to") if to else error) from None
    if to:
        _open_to_read(Path(where))
    seconds = time.perf_counter() - began
    if as_json:
        print_json({"cache": str(where), "compile_seconds": seconds})
    else:
        say(f"compiled kernels ready in {where} ({seconds:.2f} s)")


def _warm(dtypes: list[str], notify: Any) -> Any:
    """Compile the kernels and return their folder; raise FnnetError if they cannot be compiled or kept."""
    try:
        from fnnet.kernels import cache, library
        from fnnet.kernels.signatures import PARTS

        for dtype in dtypes:
            with compiling_bar(notify) as (on_compile, on_part):

                def begin(on_compile: Callable[[], None] = on_compile) -> None:
                    cache.check_folder(cache.folder())  # before minutes of work that could not be kept
                    on_compile()

                library.keep_parts(list(PARTS), dtype, begin, _refuse, on_part)
        return cache.folder()
    except ImportError as error:
        raise FnnetError("no compiled kernels", found=str(error), fix="pip install numba") from None


@contextlib.contextmanager
def _cache_in(folder: str | None) -> Iterator[None]:
    """Keep compiled code in `folder`, if it is not None, while the block runs."""
    before = os.environ.get("FNNET_CACHE")
    if folder is not None:
        os.environ["FNNET_CACHE"] = folder
    try:
        yield
    finally:
        if before is not None:
            os.environ["FNNET_CACHE"] = before
        elif folder is not None:
            del os.environ["FNNET_CACHE"]


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


def _open_to_read(folder: Path) -> None:
    """Let every user read a folder and its files, which may be another's if they are open already."""
    from fnnet.kernels import cache

    try:
        for path, mode in ((folder, 0o755), *((file, 0o644) for file in cache.files(folder))):
            if stat.S_IMODE(path.stat().st_mode) != mode:
                path.chmod(mode)
    except OSError as error:
        raise StorageError(f"cannot be opened to read: {error.strerror}", where=folder) from None


def _refuse(notice: str) -> None:
    raise StorageError(notice)
