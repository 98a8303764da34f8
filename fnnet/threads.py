"""Independent tasks on several threads."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


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

    helpers: list[threading.Thread] = []
    try:
        with contextlib.suppress(RuntimeError):  # the system grants no more threads
            for _ in range(min(threads, len(tasks)) - 1):
                helper = threading.Thread(target=work, daemon=True)
                helper.start()
                helpers.append(helper)
        work()
    finally:
        left.clear()  # a signal may have come between two tasks
        for helper in helpers:
            helper.join()
    if failures:
        raise failures[min(failures, key=lambda number: (isinstance(failures[number], Exception), number))]
    return results
