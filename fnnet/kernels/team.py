"""Teams of threads that run compiled calls at once, and the rows that each of them takes."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fnnet.kernels.library import Call

T = TypeVar("T")


def shares(n: int, threads: int, least: int) -> list[tuple[int, int]]:
    """Cut n rows into shares (first, last), at most one for each thread, and no more than n / least of them."""
    count = max(1, min(threads, n // least))
    return list(itertools.pairwise(n * i // count for i in range(count + 1)))


def run_team(calls: Sequence[Call]) -> None:
    """Run calls of one function at once, a thread each.

    Where the function has an argument `threads`, its calls wait for one another: none starts before all threads run,
    and if the system grants fewer threads, only those calls run and `threads` is set to their number. Other calls are
    independent, and all of them run.
    """
    if len(calls) == 1:
        calls[0]()
        return
    team, go = "threads" in calls[0].at, threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        go.wait()
        try:
            if number < running[0]:
                calls[number]()
        except BaseException as error:
            failures.append(error)

    running = [1]
    helpers = []
    try:
        for number in range(1, len(calls)):
            helper = threading.Thread(target=work, args=(number,), daemon=True)
            helper.start()
            helpers.append(helper)
    except RuntimeError:
        if team:
            for call in calls:
                call.words[call.at["threads"]] = len(helpers) + 1
    running[0] = len(helpers) + 1
    go.set()
    calls[0]()
    if not team:
        for call in calls[running[0] :]:
            call()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]


def run_each(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Run independent tasks on at most `threads` threads, this one and others, and return their results in order.

    The first task that raises decides: its error is raised when all that had begun have ended, and no more begin.
    """
    if len(tasks) == 1 or threads == 1:
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    left: deque[int] = deque(range(len(tasks)))
    failures: list[BaseException] = []

    def work() -> None:
        while left and not failures:
            try:
                number = left.popleft()
            except IndexError:
                return
            try:
                results[number] = tasks[number]()
            except BaseException as error:
                failures.append(error)

    helpers: list[threading.Thread] = []
    with contextlib.suppress(RuntimeError):  # the system grants no more threads
        for _ in range(min(threads, len(tasks)) - 1):
            helper = threading.Thread(target=work, daemon=True)
            helper.start()
            helpers.append(helper)
    work()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
    return results
