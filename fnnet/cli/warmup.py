"""`fnnet warmup`."""

from __future__ import annotations

import time
from typing import Any

import click

from fnnet.cli.common import COMPILING, notifier, print_json, say
from fnnet.cli.options import json_option, quiet_option
from fnnet.errors import FnnetError, StorageError


@click.command(short_help="Compile the kernels now, once on this machine.")
@click.option("--double", is_flag=True, help="Also compile the kernels for float64.")
@json_option
@quiet_option
def warmup(double: bool, as_json: bool, quiet: bool) -> None:
    """Compile the kernels that --jit uses and keep them in your cache folder, so that no later run waits for them.

    FNNET_CACHE names another folder. Without this command the first run with --jit does the same.
    """
    notify, began = notifier(quiet), time.perf_counter()
    where = _warm(["float32", "float64"] if double else ["float32"], notify)
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
            library.load_parts(list(PARTS), dtype, lambda: notify(COMPILING), _refuse)
        return cache.folder()
    except ImportError as error:
        raise FnnetError("no compiled kernels", found=str(error), fix="pip install numba") from None


def _refuse(notice: str) -> None:
    raise StorageError(notice)
