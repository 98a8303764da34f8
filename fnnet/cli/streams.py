"""Standard output and error, which may be closed, full or gone. Light, as it is imported before the commands."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from fnnet.errors import one_line

_own: Final[list[Any]] = []
"""Standard output of a process whose program is fnnet."""
_lock: Final = threading.RLock()
"""Held where the streams of a host program are replaced and put back."""


def prepare() -> None:
    """Make the streams of this process, whose program is fnnet, take any text, also where the shell closed them."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    _own.append(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not isinstance(sys.stderr, Dispensable):
        sys.stderr = Dispensable(sys.stderr)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Context manager: the streams of a host program take any text, and are as before after the block.

    Blocks in several threads may overlap: the first one replaces the streams, the last one puts them back.
    """
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stack.callback(_give_back, name, _borrow(name))
        yield


def _borrow(name: str) -> Borrowed:
    with _lock:
        found = getattr(sys, name)
        if not isinstance(found, Borrowed):
            found = Borrowed(found, needed=name == "stdout")
            setattr(sys, name, found)
        found.users += 1
        return found


def _give_back(name: str, borrowed: Borrowed) -> None:
    with _lock:
        borrowed.users -= 1
        # The host may have put another stream in its place meanwhile, and may have taken it back since.
        while isinstance(found := getattr(sys, name), Borrowed) and not found.users:
            setattr(sys, name, found.stream)


class Borrowed:
    """A stream of a host program, of any kind: only how it is written to differs, the stream itself is left as it is.

    What its encoding lacks is escaped. All is lost where it is closed, and what fails unless `needed`.

    users   how many blocks of `prepared` use it.
    """

    # Without weak references, as click would keep every one for good.
    __slots__ = ("needed", "stream", "users")

    def __init__(self, stream: Any, needed: bool) -> None:
        self.stream, self.needed, self.users = stream, needed, 0

    def write(self, text: str) -> int:
        """Write `text`."""
        if not isinstance(text, str):
            raise TypeError(f"expected str, found {type(text).__name__}")  # click tries whether bytes can be written

        def write() -> None:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                encoding = getattr(self.stream, "encoding", None) or "ascii"
                self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

        self._try(write)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if the stream has a buffer."""
        self._try(getattr(self.stream, "flush", lambda: None))

    def isatty(self) -> bool:
        """Whether it is known to be a terminal."""
        try:
            return bool(self.stream.isatty())
        except (AttributeError, OSError, ValueError):
            return False

    def _try(self, action: Callable[[], Any]) -> None:
        if _is_closed(self.stream):
            return
        try:
            action()
        except (OSError, ValueError):
            if self.needed:
                raise

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes written there would pass by the encoding
            raise AttributeError(name)
        return getattr(self.stream, name)


def _is_closed(stream: Any) -> bool:
    try:
        return not hasattr(stream, "write") or bool(getattr(stream, "closed", False))
    except ValueError:  # detached from its buffer
        return True


class Dispensable:
    """Standard error of a process whose program is fnnet. Its failure stops nothing: the rest is lost."""

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
    sys.stderr.flush()  # a host's may be buffered, and it may end without it


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
    """Give up standard output, full or gone, so that the rest does not fail again when the interpreter exits.

    That of a host program stays as it is: the disk may have space again, and the host decides what to do.
    """
    if any(sys.stdout is stream for stream in _own):
        _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
