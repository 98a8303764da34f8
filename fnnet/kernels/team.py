"""Teams of threads that run compiled calls at once, and the rows that each of them takes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from functools import partial

from fnnet.kernels.library import Call
from fnnet.kernels.processors import Places
from fnnet.threads import free_helpers, run_each


def shares(n: int, threads: int, least: int) -> list[tuple[int, int]]:
    """Cut n rows into shares (first, last), at most one for each thread, and no more than n / least of them."""
    count = max(1, min(threads, n // least))
    return list(itertools.pairwise(n * i // count for i in range(count + 1)))


def run_team(calls: Sequence[Call]) -> None:
    """Run calls of one function at once, a thread each.

    Where the function has an argument `threads`, its calls wait for one another: none starts before all threads run,
    each on a processor of its own where there are as many. `threads` is set, at every run, to the number that the
    system grants, and only that number of calls runs. Other calls are independent, and all of them run.
    """
    if "threads" not in calls[0].at:
        run_each(calls, len(calls))
        return
    helpers = [*free_helpers(len(calls) - 1)]
    for call in calls:
        call.words[call.at["threads"]] = len(helpers) + 1
    if not helpers:
        calls[0]()
        return
    go, places = threading.Event(), Places()
    failures: list[BaseException] = []

    def work(call: Call) -> None:
        go.wait()
        try:
            places.take()
            call()
        except BaseException as error:
            failures.append(error)

    for helper, call in zip(helpers, calls[1:], strict=False):
        helper.begin(partial(work, call))
    places.take()
    go.set()
    calls[0]()
    for helper in helpers:
        helper.wait()
    if failures:
        raise failures[0]
