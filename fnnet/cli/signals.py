"""Signals: the first one stops a training at the end of its block, any other ends the command at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

STOPPED: Final = {"SIGINT": ("interrupted", 130), "SIGTERM": ("terminated", 143), "SIGHUP": ("terminated", 143)}
"""Signal -> the word for it and the exit code."""


ALARM: Final = getattr(signal, "SIGALRM", None)
AGAIN: Final = 0.02
"""Seconds after which a signal that came during an import is handled again."""


class Stopped(BaseException):
    """One of the signals arrived. Not a KeyboardInterrupt, which some libraries catch."""


_arrived: list[str] = []
"""The names of the signals that `stop` handled; the first is reported."""


def stop(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise Stopped, during an import as soon as that has ended.

    Imports call back from C, where an exception is lost (16 of 274 early signals were).
    """
    if number != ALARM:
        _arrived.append(signal.Signals(number).name)
    if ALARM is not None and _is_importing(frame):
        signal.signal(ALARM, stop)
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        check()


def check() -> None:
    """Raise Stopped if a signal has come. To be called before long work, in case the exception was lost."""
    if _arrived:
        _disarm()
        raise Stopped(_arrived[0])


def settle(code: int) -> None:
    """Let any further signal end the process at once with this exit code; to be called at the end of a command."""
    _disarm()
    for number in _heeded():
        signal.signal(number, lambda number, frame: os._exit(code))


def _disarm() -> None:
    """Cancel the second handling of a signal that came during an import."""
    if ALARM is not None and signal.getsignal(ALARM) is stop:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # Python complains of a signal on its way whose handler is gone.
        signal.signal(ALARM, lambda number, frame: None)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def install() -> None:
    """Handle each of the signals by `stop`, except those that this process ignores, as under nohup."""
    _arrived.clear()
    for number in _heeded():
        signal.signal(number, stop)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Context manager: the signals are handled by `stop`, and as before after the block."""
    with contextlib.ExitStack() as before:  # it goes on where a signal comes between two of them
        heeded = _heeded()
        for number in [*heeded, ALARM] if heeded and ALARM else heeded:
            before.callback(signal.signal, number, signal.getsignal(number))
        before.callback(_disarm)
        install()
        yield


def _heeded() -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []  # only the main thread may set handlers
    known = [getattr(signal, name) for name in STOPPED if hasattr(signal, name)]
    # None is a handler that was not set from Python and could not be put back.
    return [number for number in known if signal.getsignal(number) not in (signal.SIG_IGN, None)]


class Interrupts:
    """A context manager that only notes the first signal; the second is handled as before.

    For the main thread. The handlers are restored at the end.

    received    the number of the signal noted, None before one comes. To be read after each block of steps.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        check()
        for number in _heeded():
            self._before[number] = signal.getsignal(number)
            signal.signal(number, self._note)
        return self

    def __exit__(self, *failure: object) -> None:
        self._restore()

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 130 or 143, 0 if no signal came."""
        return 0 if self.received is None else STOPPED[signal.Signals(self.received).name][1]

    @property
    def word(self) -> str:
        """The word for the line of error: "interrupted" or "terminated"; empty if no signal came."""
        return "" if self.received is None else STOPPED[signal.Signals(self.received).name][0]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
