"""Teams of threads that run compiled calls at once, and the rows that each of them takes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

from fnnet.kernels.library import Call
from fnnet.threads import run_each


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
    if len(calls) == 1 or "threads" not in calls[0].at:
        run_each(calls, len(calls))
        return
    go = threading.Event()
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
        for call in calls:
            call.words[call.at["threads"]] = len(helpers) + 1
    running[0] = len(helpers) + 1
    go.set()
    calls[0]()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
