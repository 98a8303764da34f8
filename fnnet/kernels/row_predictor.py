"""What compiled inference of floats and of int8 has in common: rows in units by a team of threads, one in its place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.kernels.layout import COUNTERS, aligned
from fnnet.kernels.library import RETURNED, Call, failed, library, put
from fnnet.threads import run_each


class _Place:
    """Buffers for one row and its scores, with calls that have them as arguments.

    Its attributes are slots, and the calls are bare: each step of Python is as much as a tenth of an answer.
    """

    __slots__ = ("_calls", "as_bytes", "as_floats", "best", "logits", "run_bytes", "run_floats", "words_bytes",
        "words_floats")  # fmt: skip

    def __init__(self, as_bytes: Array, as_floats: Array, logits: Array, best: Array, calls: Sequence[Call]) -> None:
        self.as_bytes, self.as_floats, self.logits, self.best = as_bytes, as_floats, logits, best
        self._calls = calls  # kept: they own what the words point to
        (self.run_bytes, self.words_bytes), (self.run_floats, self.words_floats) = (call.bare for call in calls)


class _Team(NamedTuple):
    """Calls for many rows, a thread each, with workspaces that are made once: making them took as long as 300 rows."""

    calls: list[Call]
    counters: Array


class RowPredictor:
    """A network ready to predict. Calls from several threads do not disturb one another.

    function    the compiled function, of this part; `dtype` is that of its floats.
    unit_rows   rows that go through the network at once.
    team_work   the fewest multiply-adds for a second thread.
    """

    def __init__(
        self, sizes: Sequence[int], dtype: Any, threads: int, part: str, function: str, unit_rows: int, team_work: int
    ) -> None:
        self.sizes, self.dtype = tuple(sizes), np.dtype(dtype)
        self._threads, self._work = threads, sum(a * b for a, b in itertools.pairwise(sizes))
        self._library, self._function = library(part, self.dtype), function
        self._unit_rows, self._team_work = unit_rows, team_work
        self._places: list[_Place] = []
        self._teams: dict[tuple[int, int], list[_Team]] = {}

    def _arguments(self, rows: int, threads: int) -> dict[str, Any]:
        """Return the arguments that are the network, and a workspace of each thread for units of `rows` rows."""
        raise NotImplementedError

    def _unit(self, n: int) -> int:
        """Return how many of n rows go through the network at once."""
        return self._unit_rows if n > 1 else 1

    def scores(self, x: Array) -> tuple[Array, Array]:
        """Return logits (n, classes), and the best class of each row (n,), -1 where it has no scores.

        x   (n, inputs), contiguous, uint8 or floats of `dtype`.
        """
        n = len(x)
        logits, best = np.empty((n, self.sizes[-1]), self.dtype), np.empty(n, np.int64)
        if n == 1:
            place = self._score_one(x)
            logits[...], best[...] = place.logits, place.best
            self._places.append(place)
            return logits, best
        threads = max(1, min(self._threads, -(-n // self._unit_rows), n * self._work // self._team_work))
        free = self._teams.setdefault((threads, self._unit(n)), [])
        try:
            team = free.pop()
        except IndexError:
            team = self._team(threads, self._unit(n))
        team.counters[:] = 0
        put(team.calls, {"threads": threads, "n": n, **self._rows(x), "logits": logits.reshape(-1), "best": best})
        # None waits for another: rows are taken in units, and who comes late finds fewer, or none.
        run_each(team.calls, threads)
        put(team.calls, {})
        free.append(team)
        return logits, best

    def best(self, x: Array) -> Array:
        """Return only the best class of each row; for one row twice as fast as `scores`."""
        return self.scores(x)[1] if len(x) > 1 else self.best_of_one(x)

    def best_of_one(self, x: Array) -> Array:
        """Return `best` of one row."""
        place = self._score_one(x)
        found = place.best.copy()
        self._places.append(place)
        return found

    def _score_one(self, x: Array) -> _Place:
        """Score one row in buffers that no other call is using; the caller gives them back."""
        try:
            place = self._places.pop()
        except IndexError:
            place = self._place()
        if x.itemsize == 1:
            place.as_bytes[...] = x
            status = place.run_bytes(place.words_bytes)
        else:
            place.as_floats[...] = x
            status = place.run_floats(place.words_floats)
        if status not in RETURNED:
            raise failed()
        return place

    def _place(self) -> _Place:
        """Return buffers for one more row at a time."""
        as_bytes, as_floats = (np.zeros((1, self.sizes[0]), dtype) for dtype in (np.uint8, self.dtype))
        logits, best = np.zeros((1, self.sizes[-1]), self.dtype), np.zeros(1, np.int64)
        found = {"logits": logits.reshape(-1), "best": best}
        shared = self._shared(1, 1)
        calls = [self._bind(rank=0, n=1, **shared, **self._rows(x), **found) for x in (as_bytes, as_floats)]
        return _Place(as_bytes, as_floats, logits, best, calls)

    def _team(self, threads: int, rows: int) -> _Team:
        """Return calls and their workspaces for one more team, for units of `rows` rows."""
        shared, nothing = self._shared(rows, threads), np.empty(0, self.dtype)
        found = {"logits": nothing, "best": np.empty(0, np.int64)}
        calls = [self._bind(rank=rank, n=0, **shared, **self._rows(nothing), **found) for rank in range(threads)]
        return _Team(calls, shared["counters"])

    def _shared(self, rows: int, threads: int) -> dict[str, Any]:
        """Return the arguments that the calls of a team share."""
        given = {"threads": threads, "counters": aligned(COUNTERS, np.int64), "unit_rows": rows}
        return given | self._arguments(rows, threads)

    def _rows(self, x: Array) -> dict[str, Array]:
        """Return rows as the arguments that they are: as bytes or as floats."""
        if x.dtype == np.uint8:
            return {"x_bytes": x.reshape(-1), "x_floats": np.empty(0, self.dtype)}
        return {"x_bytes": np.empty(0, np.uint8), "x_floats": x.reshape(-1)}

    def _bind(self, **arguments: Any) -> Call:
        return self._library.bind(self._function, **arguments)
