"""Standard output and error, which may be closed, full or gone. Light, as it is imported before the commands."""

from __future__ import annotations

import os
import sys

from fnnet.errors import one_line


def prepare() -> None:
    """Make both streams take any text, also where the shell closed them (>&-)."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_error(message: str) -> None:
    """Print the one line of error that a command ends with."""
    try:
        sys.stderr.write(f"error: {one_line(message)}\n")
        sys.stdout.flush()
    except OSError:
        abandon_stdout()


def abandon_stdout() -> None:
    """Give up standard output, full or gone, so that the rest does not fail again when the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
