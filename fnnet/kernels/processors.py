"""Processors of their own for the threads of a team.

Linux sometimes leaves threads that wake one another on one processor, beside one that is idle: each then sleeps
while the other runs, and a team of two took longer than one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from typing import Final

_own_processor: Final = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None
"""Returns the processor on which the calling thread runs, or -1."""


class Places:
    """The processors that the threads of a team have taken, each of which calls `take` once."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Move this thread to a free processor if another one has taken that on which it runs.

        It may run everywhere afterwards, as before: the system decides as ever, only from a better start.
        """
        own = _own_processor() if _own_processor else -1
        if own < 0:
            return
        with self._lock:
            if own not in self._taken:
                self._taken.add(own)
                return
            with contextlib.suppress(OSError):  # a sandbox may forbid it
                allowed = os.sched_getaffinity(0)
                if free := allowed - self._taken:
                    self._taken.add(min(free))
                    os.sched_setaffinity(0, {min(free)})
                    os.sched_setaffinity(0, allowed)
