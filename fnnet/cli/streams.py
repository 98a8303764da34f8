"""Standard output and error, which may be closed, full or gone. Light, as it is imported before the commands.

A command writes by `echo`, or to `out()` and `err()`: the streams that the program had when it called. `sys.stdout` and
`sys.stderr` of a host program are never replaced, so that it, or another thread of it, may redirect them meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from fnnet.errors import one_line


class OutputError(OSError):
    """Standard output cannot be written.

    gone   whether its reader has left: `fnnet predict ... | head`.
    """

    # Not a BrokenPipeError, at which rich closes the process's standard output, even that of a host.
    def __init__(self, error: Exception) -> None:
        super().__init__(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        self.gone = isinstance(error, BrokenPipeError)


class Stream:
    """A stream of any kind: only how it is written to differs, the stream itself is left as it is.

    What its encoding lacks is escaped. All is lost where it is closed.

    needed   whether OutputError is raised where it fails, whatever it raises; else what fails is lost.
    own      whether it is that of a process whose program is fnnet, which gives it up where it fails.
    above    prints a line above a bar, while there is one.
    """

    def __init__(self, stream: Any, needed: bool, own: bool = False) -> None:
        self.stream, self.needed, self.own = stream, needed, own
        self.above: Callable[[str], None] | None = None

    def write(self, text: str) -> int:
        """Write `text`."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if the stream has a buffer."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether it is known to be a terminal."""
        try:
            found = getattr(self.stream, "isatty", False)
            return bool(found() if callable(found) else found)
        except Exception:
            return False

    @property
    def encoding(self) -> str:
        """The encoding that the stream names, "utf-8" if it names none."""
        try:
            found = getattr(self.stream, "encoding", None)
        except Exception:
            return "utf-8"
        return found if isinstance(found, str) and found else "utf-8"

    def abandon(self) -> None:
        """Give up the stream, full or gone, so that it does not fail again when the interpreter exits.

        That of a host program stays as it is: the disk may have space again, and the host decides what to do.
        """
        if self.own:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.stream.fileno())
                os.close(null)

    def _try(self, name: str, *text: str) -> None:
        try:
            method = None if self._is_closed() else getattr(self.stream, name, None)
            if not callable(method):
                return
            try:
                method(*text)
            except UnicodeEncodeError:
                method(*map(self._escaped, text))
        except Exception as error:  # that of a host may be anything: a window, a socket, a log
            if self.needed:
                raise OutputError(error) from error
            self.abandon()

    def _is_closed(self) -> bool:
        try:
            return getattr(self.stream, "closed", False) is True
        except ValueError:  # detached from its buffer
            return True

    def _escaped(self, text: str) -> str:
        encoding = getattr(self.stream, "encoding", None)
        try:
            return text.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
        except (LookupError, TypeError):  # no encoding that Python knows
            return text.encode("ascii", "backslashreplace").decode("ascii")

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self.stream, name)
        except Exception:
            raise AttributeError(name) from None


_used: Final[ContextVar[tuple[Stream, Stream] | None]] = ContextVar("streams", default=None)
"""Standard output and error of the command that runs in this thread."""


def prepare() -> None:
    """Make the streams of this process, whose program is fnnet, take any text, also where the shell closed them."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    error = Stream(sys.stderr, needed=False, own=True)
    _used.set((Stream(sys.stdout, needed=True, own=True), error))
    # The interpreter flushes it at its end, and fails if that does.
    sys.stderr = error


def flush_all() -> bool:
    """Flush the streams of the process; return whether nothing is left in them."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except Exception:
        return False
    return True


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Context manager: commands write to the streams that a host program has now, whatever it puts there meanwhile."""
    before = _used.set(_found())
    try:
        yield
    finally:
        _used.reset(before)


def _found() -> tuple[Stream, Stream]:
    return Stream(getattr(sys, "stdout", None), needed=True), Stream(getattr(sys, "stderr", None), needed=False)


def out() -> Stream:
    """Return standard output of the command."""
    return (_used.get() or _found())[0]


def err() -> Stream:
    """Return standard error of the command."""
    return (_used.get() or _found())[1]


def echo(text: str, err: bool = False) -> None:
    """Print a line, or lines, on standard output, or with `err` on standard error."""
    stream = (_used.get() or _found())[err]
    if stream.above:
        stream.above(text)
    else:
        stream.write(f"{text}\n")
        stream.flush()  # a host's may be buffered, and it may end without it


def fitted(line: str) -> str:
    """Return a line for standard error, folded at its spaces to the width of the terminal if it is one."""
    if not err().isatty():
        return line
    import shutil
    import textwrap

    # Names of files and options stay whole, so that they can be copied.
    return textwrap.fill(
        line, shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def print_aside(kind: str, message: str) -> None:
    """Print a message on standard error: one line, folded on a terminal, that begins with its kind."""
    echo(fitted(f"{kind}: {one_line(message)}"), err=True)


def print_error(message: str) -> None:
    """Print the one line of error that a command ends with."""
    print_aside("error", message)
    try:
        out().flush()
    except OutputError:
        out().abandon()


def missing(error: ModuleNotFoundError) -> str:
    """Return the message for a library that is not installed."""
    library = (error.name or "a library").partition(".")[0]
    return f"{library} is not installed; activate the environment of fnnet, or run pip install -e . in its folder"
