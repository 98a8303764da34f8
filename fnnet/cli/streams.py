"""Standard output and error, which may be closed, full or gone. Light, as it is imported before the commands."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from fnnet.errors import one_line


def prepare() -> None:
    """Make both streams take any text, also where the shell closed them (>&-)."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not isinstance(sys.stderr, Dispensable):
        sys.stderr = Dispensable(sys.stderr)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Context manager: the streams are prepared, and as before after the block."""
    before = sys.stdout, sys.stderr
    errors = [getattr(stream, "errors", None) for stream in before]
    prepare()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, kept in zip(before, errors, strict=True):
            with contextlib.suppress(OSError, ValueError):  # full or closed
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors=kept)


class Dispensable:
    """Standard error, whose failure stops nothing: what cannot be written is lost, and so is all that follows."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, or lose it."""
        return self._try(lambda: self._stream.write(text)) or len(text)

    def flush(self) -> None:
        """Write what is buffered, or lose it."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (OSError, ValueError):  # ValueError: closed by the program that called this one
            with contextlib.suppress(OSError, ValueError):
                _abandon(self._stream)
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def fitted(line: str) -> str:
    """Return a line for standard error, folded at its spaces to the width of the terminal if it is one."""
    if not sys.stderr.isatty():
        return line
    import shutil
    import textwrap

    # Names of files and options stay whole, so that they can be copied.
    return textwrap.fill(
        line, shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def print_aside(kind: str, message: str) -> None:
    """Print a message on standard error: one line, folded on a terminal, that begins with its kind."""
    sys.stderr.write(fitted(f"{kind}: {one_line(message)}") + "\n")


def print_error(message: str) -> None:
    """Print the one line of error that a command ends with."""
    try:
        print_aside("error", message)
        sys.stdout.flush()
    except OSError:
        abandon_stdout()


def missing(error: ModuleNotFoundError) -> str:
    """Return the message for a library that is not installed."""
    library = (error.name or "a library").partition(".")[0]
    return f"{library} is not installed; activate the environment of fnnet, or run pip install -e . in its folder"


def abandon_stdout() -> None:
    """Give up standard output, full or gone, so that the rest does not fail again when the interpreter exits."""
    _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
