"""Independent tasks on several threads, which wait for more: starting one takes 60 us, on a busy machine 400.

A child of a fork has none of its parent's threads: neither those that wait, nor one that held a lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_free: list[Helper] = []
"""Threads that wait."""


class Lock:
    """A lock of a module, which a thread may take again, and which is free in a child of a fork whoever held it.

    It lives as long as the process.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Context manager: hold the lock. A thread that forks inside leaves it in the child, too."""
        with self._lock:  # the one of now: in a child, another may be in its place when it is let go
            yield


class Beside:
    """Counts the threads that compute beside a team."""

    def __init__(self) -> None:
        self.count, self._lock = 0, Lock()

    @contextlib.contextmanager
    def work(self) -> Iterator[None]:
        """Context manager: this thread computes beside a team."""
        with self._lock.held():
            self.count += 1
        try:
            yield
        finally:
            with self._lock.held():
                self.count -= 1


beside = Beside()


class Helper:
    """A thread that does what it is given, and then waits for more: as concurrent.futures, whose import takes 5 ms."""

    def __init__(self) -> None:
        self._given: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        threading.Thread(target=self._serve, name="fnnet", daemon=True).start()

    def begin(self, work: Callable[[], None]) -> None:
        """Do `work`, which raises nothing."""
        self._given.put(work)

    def wait(self) -> None:
        """Wait for the end of the work."""
        self._ended.get()
        _free.append(self)

    def _serve(self) -> None:
        while True:
            work = self._given.get()
            work()
            del work  # or what it holds would live until the next
            self._ended.put(None)


def run_each(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Run independent tasks on at most `threads` threads, this one and others, and return their results in order.

    Where the system grants fewer threads, those that there are run all tasks. Tasks begin in order, and none once one
    has raised. When all that had begun have ended, a signal that came is raised, else the error of the first in order.
    """
    if len(tasks) == 1 or threads == 1:
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    left: deque[int] = deque(range(len(tasks)))
    failures: dict[int, BaseException] = {}

    def work() -> None:
        while left and not failures:
            try:
                number = left.popleft()
            except IndexError:
                return
            try:
                results[number] = tasks[number]()
            except BaseException as error:
                failures[number] = error

    helpers: list[Helper] = []
    try:
        for helper in free_helpers(min(threads, len(tasks)) - 1):
            helper.begin(work)
            helpers.append(helper)  # last: one that has not begun would never end
        work()
    finally:
        left.clear()  # a signal may have come between two tasks
        for helper in helpers:
            helper.wait()
    if failures:
        raise failures[min(failures, key=lambda number: (isinstance(failures[number], Exception), number))]
    return results


def free_helpers(count: int) -> Iterator[Helper]:
    """Yield `count` threads that do nothing, or as many as the system grants."""
    with contextlib.suppress(RuntimeError):
        for _ in range(count):
            try:
                yield _free.pop()
            except IndexError:
                yield Helper()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free.clear)
    os.register_at_fork(after_in_child=lambda: setattr(beside, "count", 0))
