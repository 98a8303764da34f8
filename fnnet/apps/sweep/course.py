"""The course of a sweep: trials are chosen, made and kept until its time is over or there are enough, or no others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from fnnet.apps.sweep import space as spaces
from fnnet.apps.sweep.space import Space
from fnnet.apps.sweep.study import TRAINED, Result, Study, Trial
from fnnet.errors import UsageError
from fnnet.training.session import StoppedError

AT_ONCE: Final = 8
"""Trials that are chosen at a time: what they share is done once, and of fewer Optuna learns sooner."""
OUT_OF_TIME: Final = "out of time"
ENOUGH: Final = "enough trials"
ALL_KNOWN: Final = "all combinations tried"

Check = Callable[[], str | None]
Objective = Callable[[Sequence[Mapping[str, Any]], Check], Iterable[tuple[int, Result]]]
"""Takes the values of each trial, and a function to be called now and then: where that returns a reason, it is to stop
with a StoppedError of it. Yields the place of each trial and its Result, as soon as it is known."""


def search(
    study: Study,
    space: Space,
    objective: Objective,
    *,
    seconds: float | None = None,
    trials: int | None = None,
    stop: Check = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make trials of `study`, and return the reason why it ends.

    seconds   that it may take; what is being made then is stopped, to be made again in the next sweep of this study.
    trials    of the study at most, with those that were there.
    stop      called now and then, returns a reason to stop.
    """
    if seconds is None and trials is None:
        raise UsageError("without an end", where="seconds", expected="a number, or one of `trials`", found="neither")
    began, each = clock(), 0.0

    def left() -> float:
        return float("inf") if seconds is None else seconds - (clock() - began)

    def check() -> str | None:
        return stop() or (OUT_OF_TIME if left() <= 0 else None)

    while not (reason := check()):
        wanted = AT_ONCE if trials is None else min(AT_ONCE, trials - study.made())
        if wanted <= 0:
            return ENOUGH
        if seconds is not None:
            # The first alone: how long one takes is not known before.
            wanted = 1 if not each else min(wanted, int(left() / each))
            if not wanted:
                return OUT_OF_TIME
        begun = clock()
        asked = study.ask(wanted)
        if not asked:
            return ALL_KNOWN
        if reason := _made(study, space, objective, asked, check):
            return reason
        each = max((clock() - begun) / len(asked), 1e-9)
    return reason


def _made(study: Study, space: Space, objective: Objective, asked: Sequence[Trial], check: Check) -> str:
    """Make trials; return the reason if they were stopped, else ""."""
    open_trials = dict(enumerate(asked))
    try:
        for place, result in objective([spaces.values(space, trial.point) for trial in asked], check):
            study.tell(open_trials.pop(place), result)
    except StoppedError as error:
        study.give_back([*open_trials.values()])
        return error.problem
    except Exception:
        study.give_back([*open_trials.values()], again=False)
        raise
    except BaseException:  # a signal
        study.give_back([*open_trials.values()])
        raise
    return ""


def best(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the highest score, of several that with the lowest loss; None if none was trained."""
    return max((each for each in trials if each.state == TRAINED), key=rank, default=None)


def rank(trial: Trial) -> tuple[float, float]:
    """Return what orders trials that were trained, the better the higher."""
    score = float("-inf") if trial.score is None else trial.score
    return score, -trial.figures.get("dev_loss", 0.0)
