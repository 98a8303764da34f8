"""Independent tasks on several threads, which wait for more: starting one takes 60 us, on a busy machine 400."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

from fnnet.limits import MAX_THREADS

T = TypeVar("T")
_pools: list[ThreadPoolExecutor] = []


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

    helpers: list[Future[None]] = []
    try:
        with contextlib.suppress(RuntimeError):  # the system grants no more threads, or the program ends
            for _ in range(min(threads, len(tasks)) - 1):
                helpers.append(_pool().submit(work))  # noqa: PERF401 - one may be refused
        work()
    finally:
        left.clear()  # a signal may have come between two tasks
        for helper in helpers:
            # All threads may be at work for others, or for the caller of this.
            if not helper.cancel():
                helper.result()
    if failures:
        raise failures[min(failures, key=lambda number: (isinstance(failures[number], Exception), number))]
    return results


def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # 5 ms

    if not _pools:
        _pools.append(ThreadPoolExecutor(MAX_THREADS, "fnnet"))
    return _pools[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a child has none of its parent's threads
