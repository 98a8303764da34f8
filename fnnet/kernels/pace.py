"""How many threads train on a machine that others use too: as many as make the most steps in a second.

Threads that meet at every step wait for one that does not run. Where they fall asleep over it often and for long, fewer
are tried; where a thread alone has its processor to itself, more are. What is faster stays, and the next trial comes
later. While another thread of the program computes beside them, one that reads the next images, it has a processor,
and the team is as small as that leaves it: 784-10-10, whose threads meet 30,000 times a second, trained on a stream on
two processors in 0.85 of the time. The bits of the result do not depend on the number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fnnet import limits
from fnnet.threads import beside

SLEEPS: Final = 6
"""How often a team falls asleep before it looks whether fewer threads are faster."""
OFTEN: Final = 80.0
"""A team that falls asleep more often in a second has threads that do not run; now and then it is chance. On a quiet
machine a team fell asleep 10 to 100 times a second, mostly where a block of steps begins."""
TRIAL: Final = 0.02
"""Seconds of a trial: some slices of time that a busy machine gives."""
SLOW: Final = 0.8
"""A trial that is slower by this factor after half of its time ends there."""
PIECE: Final = 0.05
"""Seconds between looks at the machine with fewer threads than there are."""
FIRST_WAIT, LAST_WAIT = 0.1, 1.6
"""Seconds until the next trial, after the first that brought nothing, and at most."""
GAIN: Final = 1.03
"""A trial brings something if it is faster by this factor."""
BUSY: Final = 0.75
"""A first thread that computes a smaller part of the time waits for threads that do not run. On a quiet machine it
computed 0.79 to 0.99 of it, beside as many busy loops as processors 0.1 to 0.5, whatever the network. Sleeps alone say
less: large layers, whose threads wait for the last piece of each, made trials that cost 4 % of a quiet epoch."""
FREE: Final = 0.9
"""A thread has a processor to itself if it runs this part of the time."""
NEVER: Final = 2**62


class Turn(NamedTuple):
    """What to run next: the threads, the most steps, and how often threads may fall asleep until it ends early."""

    threads: int
    steps: int
    sleeps: int


class Measured(NamedTuple):
    """What a turn took: steps made, seconds on the clock and of the first thread's computing, sleeps of the team."""

    steps: int
    seconds: float
    computing: float
    sleeps: int


class Pace:
    """Chooses the threads of each turn, by what the turns before it took.

    most         the threads that there are.
    processors   that the program may use; None for those of the system.
    """

    def __init__(self, most: int, processors: int | None = None) -> None:
        self._processors = limits.granted(len(limits.processors())) if processors is None else processors
        self._fewer, self._fewer_rate = 0, 0.0
        self._levels = sorted({most, -(-most * 3 // 4), -(-most // 2), -(-most // 4), 1}, reverse=True)
        self._at, self._from = 0, 0
        self._rates: dict[int, float] = {}
        self._now, self._next, self._wait = 0.0, 0.0, FIRST_WAIT
        self._trial: list[Measured] | None = None
        self._seen: list[Measured] = []
        self._used = self._spent = 0.0

    @property
    def used(self) -> float:
        """The mean number of threads over all the time."""
        return self._used / self._spent if self._spent else float(self._levels[0])

    def turn(self, left: int) -> Turn:
        """Return what to run next, of the `left` steps."""
        threads = self._levels[self._at]
        left_over = max(1, self._processors - beside.count)
        self._fewer = left_over if beside.count and left_over < threads and self._trial is None else 0
        if self._fewer:
            return Turn(left_over, max(1, min(left, int(self._fewer_rate * TRIAL / 4))), NEVER)
        sleeps = SLEEPS if threads > 1 and (self._trial is not None or self._now >= self._next) else NEVER
        if self._at == 0 and self._trial is None:
            return Turn(threads, left, sleeps)
        rate = self._rates.get(self._at) or self._rates.get(self._from, 0.0)
        seconds = PIECE if self._trial is None else TRIAL / 4
        return Turn(threads, max(1, min(left, int(rate * seconds))), sleeps)

    def note(self, found: Measured) -> None:
        """Take what the turn took into account."""
        self._now += found.seconds
        self._used += found.seconds * (self._fewer or self._levels[self._at])
        self._spent += found.seconds
        if self._fewer:
            self._fewer_rate = _rate([found])
            return
        if len(self._levels) == 1:
            return
        if self._trial is not None:
            self._trial.append(found)
            self._judge(self._trial, found)
            return
        self._seen.append(found)
        seconds, sleeps = sum(each.seconds for each in self._seen), sum(each.sleeps for each in self._seen)
        # Short turns say little: much of their time passes until all threads run.
        if seconds < TRIAL / 2 or (sleeps < SLEEPS and seconds < SLEEPS / OFTEN):
            return
        often = sleeps > OFTEN * seconds and sum(each.computing for each in self._seen) < BUSY * seconds
        self._rates[self._at], self._seen = _rate(self._seen), []
        if self._now < self._next:
            return
        if often and self._at + 1 < len(self._levels):
            self._try(self._at + 1)
        elif self._at and (found.computing > FREE * found.seconds if self._levels[self._at] == 1 else not often):
            self._try(self._at - 1)

    def _try(self, level: int) -> None:
        self._from, self._at, self._trial = self._at, level, []

    def _judge(self, trial: list[Measured], last: Measured) -> None:
        """End a trial that took long enough: stay where it was faster, go back where not."""
        seconds, rate, before = sum(each.seconds for each in trial), _rate(trial), self._rates[self._from]
        self._rates[self._at] = rate
        over = last.sleeps >= SLEEPS or (seconds > TRIAL / 2 and rate < SLOW * before)
        if seconds < TRIAL * 3 / 4 and not over:
            return
        self._trial = None
        if rate > GAIN * before:
            # What helped once may help again at once.
            self._next, self._wait = self._now, FIRST_WAIT
            return
        self._at = self._from
        self._next, self._wait = self._now + self._wait, min(2 * self._wait, LAST_WAIT)


def _rate(turns: list[Measured]) -> float:
    """Return the steps in a second."""
    return sum(each.steps for each in turns) / max(1e-9, sum(each.seconds for each in turns))
