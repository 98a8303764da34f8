"""Signals: the first one stops a training at the end of its block, any other ends the command at once."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

STOPPED: Final = {"SIGINT": ("interrupted", 130), "SIGTERM": ("terminated", 143), "SIGHUP": ("terminated", 143)}
"""Signal -> the word for it and the exit code."""


def code_of(word: str) -> int:
    """Return the exit code for the word of a signal, which another process may have got; 1 for any other reason."""
    return dict(STOPPED.values()).get(word, 1)


AGAIN: Final = 0.02
"""Seconds after which a signal that came during an import is handled again."""


class Stopped(BaseException):
    """One of the signals arrived. Not a KeyboardInterrupt, which some libraries catch."""


_arrived: list[int] = []
"""The signals that came in the work of the command; the first is reported."""
_outside: list[int] = []
"""Those that came before or after it."""
_awaited: list[object] = []
"""The ticket of the thread that will send a signal again, if there is one."""
_lock: Final = threading.RLock()  # handlers run at any place, also where the main thread holds it


def stoppable(work: Callable[[], int]) -> int:
    """Return what `work` returns. Raises Stopped where a signal comes, but never once it has returned or raised."""
    check()
    return work()


def stop(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise Stopped in the work of the command, during an import of it as soon as that has ended.

    Imports call back from C, where an exception is lost (16 of 274 early signals were). Only frames tell where an
    exception will be caught: a flag is set a little too late or too early.
    """
    inside, importing = _place(frame)
    if not inside:
        _outside.append(number)
        return
    _arrived.append(number)
    if not (importing and _send_again(number)):
        check()


def check() -> None:
    """Raise Stopped if a signal has come. To be called before long work, in case the exception was lost."""
    if threading.current_thread() is not threading.main_thread():
        return  # signals are for the command that runs there
    while _outside:  # those that came before the work
        _arrived.append(_outside.pop(0))
    if _arrived:
        _disarm()
        raise Stopped(signal.Signals(_arrived[0]).name)


def settle(code: int) -> None:
    """Let any further signal end the process at once with this exit code; to be called at the end of a command."""
    _disarm()
    for number in _heeded():
        signal.signal(number, lambda number, frame: os._exit(code))


def _place(frame: FrameType | None) -> tuple[bool, bool]:
    """Return whether a frame is in the work of the command, and whether in an import that began there."""
    importing = False
    while frame is not None:
        if frame.f_code is stoppable.__code__:
            return True, importing
        importing = importing or frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return False, False


def _send_again(number: int) -> bool:
    """Send a signal to the main thread again in a moment; return whether it will be.

    A timer would do without a thread, but a process has only one, which may be in use.
    """
    ticket, receiver = object(), threading.main_thread().ident

    def send() -> None:
        time.sleep(AGAIN)
        with _lock:
            if ticket not in _awaited:
                return
            _awaited.clear()
            if receiver is not None and hasattr(signal, "pthread_kill"):
                signal.pthread_kill(receiver, number)  # it also ends a system call that waits
            else:
                signal.raise_signal(number)

    with _lock:
        if not _awaited:
            try:
                _thread.start_new_thread(send, ())  # `threading` may be at work in the frame that was interrupted
            except RuntimeError:  # no more threads
                return False
            _awaited.append(ticket)
        return True


def _disarm() -> None:
    """Cancel the second handling of a signal that came during an import."""
    with _lock:
        _awaited.clear()


def install() -> list[tuple[signal.Signals, Any]]:
    """Handle each of the signals by `stop`, except those that this process ignores, as under nohup.

    Returns  what handled them before.
    """
    before: list[tuple[signal.Signals, Any]] = []
    heeded = _heeded()
    if heeded:
        _arrived.clear()
        _outside.clear()
    try:
        for number in heeded:
            before.append((number, signal.getsignal(number)))
            signal.signal(number, stop)
    except BaseException:  # a handler that was there raises
        _put_back(before)
        raise
    return before


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Context manager: the signals are handled by `stop`, and as before after the block.

    A signal that comes in the block after the work of the command is sent again at the end, to its handler from before.
    """
    before = install()
    try:
        yield
    finally:
        if before:
            _disarm()
            _arrived.clear()
            try:
                _put_back(before)
            finally:
                for number in dict.fromkeys(_outside):
                    signal.raise_signal(number)


def _put_back(before: list[tuple[signal.Signals, Any]]) -> None:
    """Set the handlers that were there before, all of them, even where one that is set already raises meanwhile."""
    try:
        while before:
            signal.signal(*before[-1])
            before.pop()
    finally:
        if before:
            _put_back(before)


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
    def word(self) -> str:
        """The word for the line of error: "interrupted" or "terminated"; empty if no signal came."""
        return "" if self.received is None else STOPPED[signal.Signals(self.received).name][0]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
