"""Standard output and error, where they may be closed, full or gone. Light: it is needed before the commands are."""

from __future__ import annotations

import os
import sys

from fnnet.errors import one_line


def prepare() -> None:
    """Streams that take any text, also where the shell closed them (>&-)."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def tell_error(message: str) -> None:
    """The one line of error that a command ends with."""
    try:
        sys.stderr.write(f"error: {one_line(message)}\n")
        sys.stdout.flush()
    except OSError:
        abandon_stdout()


def abandon_stdout() -> None:
    """Standard output is full or gone; what is left for it must not fail once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
