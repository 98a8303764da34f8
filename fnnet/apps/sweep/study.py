"""The trials of a sweep, which Optuna keeps and chooses: the only module that imports it.

What Optuna leaves to its callers is done here. Each process, and each start of one, draws with a seed of its own, which
is kept: with the same seed after a resume Optuna draws the same trials again. A trial whose process has ended is marked
and taken up again: it would stay "running" for ever. A point of a small space is not trained twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from fnnet.apps.sweep import space as spaces
from fnnet.apps.sweep.journal import Journal
from fnnet.apps.sweep.space import Space
from fnnet.errors import FnnetError

NAME: Final = "fnnet"
"""Of the study in the journal."""
START: Final = "start "
"""What the names of the study's entries about its starts begin with."""
MOST_TRIES: Final = 3
"""Times that a trial may end its process: with too little memory, it would end the next one, too."""
TRAINED, DIVERGED, REFUSED, KILLED, STOPPED, REPEATED = (
    "trained", "diverged", "refused", "killed", "stopped", "repeated",
)  # fmt: skip
"""Outcomes of trials: refused by a training, ended with their process, stopped to be taken up again, known already."""
RUNNING, WAITING = "running", "waiting"


class Result(NamedTuple):
    """What an objective finds at a point.

    score     the larger, the better; None if it has none.
    figures   of the trial, JSON values.
    outcome   TRAINED, or why there is no score: DIVERGED or REFUSED.
    problem   what was wrong, one line.
    """

    score: float | None
    figures: Mapping[str, Any] = {}
    outcome: str = TRAINED
    problem: str = ""


class Trial(NamedTuple):
    """A point of the space, and what became of it.

    number   from 0 on, in the order in which trials were begun; some numbers are missing.
    state    one of the outcomes above, RUNNING or WAITING.
    start    the start of a process that it belongs to, from 0 on; None if it has none.
    again    the number of the trial that it takes up again, or None.
    """

    number: int
    state: str
    point: Mapping[str, Any]
    score: float | None = None
    figures: Mapping[str, Any] = {}
    problem: str = ""
    start: int | None = None
    again: int | None = None


def library() -> Any:
    """Return Optuna; raise FnnetError without it."""
    try:
        import optuna
    except ImportError as error:
        expected, fix = "the library optuna", "pip install 'fnnet[sweep]'"
        raise FnnetError("a sweep needs optuna", expected=expected, found=str(error), fix=fix) from None
    return optuna


def sampler_seed(seed: int, start: int) -> int:
    """Return the seed, below 2**32, of what a start draws: it depends on the sweep's seed and on the start."""
    return int.from_bytes(hashlib.sha256(f"fnnet sweep {seed} {start}".encode()).digest()[:4], "big")


class Study:
    """The trials of a sweep, for one start of one process. A context manager: at its end, the process has left.

    journal   of the folder that keeps them; None to keep them in memory.
    """

    def __init__(self, space: Space, seed: int = 0, journal: Journal | None = None) -> None:
        spaces.check_space(space)
        self._optuna = library()
        self._space, self._seed, self._journal = space, seed, journal
        self._size = spaces.count(space)
        self._stack = contextlib.ExitStack()
        self.start = 0

    def __enter__(self) -> Self:
        optuna, journal = self._optuna, self._journal
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        if journal:
            self._stack.enter_context(journal.at_work(name))
        try:
            with self._turn(), _quiet(optuna):
                kinds = optuna.storages
                self._storage = kinds.JournalStorage(journal) if journal else kinds.InMemoryStorage()
                options = {"study_name": NAME, "direction": "maximize", "load_if_exists": True}
                self._study = optuna.create_study(storage=self._storage, **options)
                self._id = self._storage.get_study_id_from_name(NAME)
                self.start = len(self.starts())
                drawn = sampler_seed(self._seed, self.start)
                self._study.set_user_attr(f"{START}{self.start}", {"process": name, "sampler_seed": drawn})
                self._study.sampler = optuna.samplers.TPESampler(seed=drawn)
                self._random = random.Random(drawn)
                self._distributions = {name: self._distribution(tried) for name, tried in self._space.items()}
                self._take_up(wait=True)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def starts(self) -> list[dict[str, Any]]:
        """Return what is kept of each start: the name of its process and the seed of what it draws."""
        known = self._study.user_attrs
        return [known[f"{START}{number}"] for number in range(len(known))]

    def trials(self) -> list[Trial]:
        """Return all trials but those that were known already."""
        found = (self._trial(each) for each in self._study.get_trials(deepcopy=False))
        return [each for each in found if each.state != REPEATED]

    def made(self) -> int:
        """Return the number of trials that are trained, diverged, refused or running."""
        return sum(each.state in (TRAINED, DIVERGED, REFUSED, KILLED, RUNNING) for each in self._last())

    def _last(self) -> list[Trial]:
        """Return the trials that are not taken up again by another one."""
        trials = self.trials()
        again = {each.again for each in trials}
        return [each for each in trials if each.number not in again]

    def ask(self, count: int) -> list[Trial]:
        """Return up to `count` trials to be made: those to be taken up again first; none if all points are known."""
        found: list[Trial] = []
        with self._turn():
            self._take_up(wait=False)
            while len(found) < count and (trial := self._next()) is not None:
                found.append(trial)
        return found

    def tell(self, trial: Trial, result: Result) -> None:
        """Keep what was found at a trial of this start; that of a trial that is no longer its own is dropped."""
        states = self._optuna.trial.TrialState
        if result.score is None:
            self._close(trial.number, states.PRUNED, result)
        else:
            self._close(trial.number, states.COMPLETE, result)

    def give_back(self, trials: Sequence[Trial], *, again: bool = True) -> None:
        """Mark trials as stopped and, unless not `again`, have them made again."""
        with self._turn():
            for trial in trials:
                found = self._study.get_trials(deepcopy=False)[trial.number]
                self._end(found, STOPPED, "" if again else "an error", again=again)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._journal.turn() if self._journal else contextlib.nullcontext():
            yield

    def _distribution(self, tried: Any) -> Any:
        """Return Optuna's description of Choices or a Range."""
        kinds = self._optuna.distributions
        if isinstance(tried, spaces.Choices):
            return kinds.CategoricalDistribution(tried.names)
        if tried.whole:
            return kinds.IntDistribution(int(tried.low), int(tried.high), log=tried.log)
        return kinds.FloatDistribution(tried.low, tried.high, log=tried.log)

    def _next(self) -> Trial | None:
        """Begin a trial: one that waits, or a point that is not known; None if there is neither."""
        waiting, known = self._known()
        small = self._size is not None
        if small and not waiting and len(known) == self._size:
            return None
        asked = self._ask()
        if waiting or not small or _key(asked.params) not in known:
            return self._trial(self._frozen(asked.number))
        self._close(asked.number, self._optuna.trial.TrialState.FAIL, Result(None, outcome=REPEATED))
        others = [point for point in spaces.points(self._space) if _key(point) not in known]
        self._study.enqueue_trial(self._random.choice(others))
        return self._trial(self._frozen(self._ask().number))

    def _ask(self) -> Any:
        trial = self._study.ask(self._distributions)
        trial.set_user_attr("start", self.start)
        return trial

    def _known(self) -> tuple[bool, set[tuple[Any, ...]]]:
        """Return whether a trial waits, and the points that need not be made."""
        trials = self._last()
        waiting = any(each.state == WAITING for each in trials)
        return waiting, {_key(each.point) for each in trials if each.state != STOPPED}

    def _take_up(self, wait: bool) -> None:
        """Mark the trials whose process has ended, and have them made again."""
        if self._journal is None:
            return
        starts, ended = self.starts(), {}
        for found in self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            start = found.user_attrs.get("start")  # without it, the process ended as soon as it had begun the trial
            if start == self.start:
                continue
            if start is not None and start not in ended:
                ended[start] = self._journal.has_ended(starts[start]["process"], wait)
            if start is None or ended[start]:
                self._end(found, KILLED, "its process ended", again=True)

    def _end(self, found: Any, outcome: str, problem: str, *, again: bool) -> None:
        """Mark a running trial as ended, and have its point made again, unless it has ended too many processes."""
        states, storage = self._optuna.trial.TrialState, self._storage
        if found.state != states.RUNNING:
            return
        tries = found.user_attrs.get("tries", 1)
        if outcome == KILLED and tries >= MOST_TRIES:
            self._close(found.number, states.PRUNED, Result(None, {}, KILLED, f"{problem}, {tries} times"))
            return
        if again and found.params.keys() == self._space.keys():
            # First, as this process may be killed in between: a second time would be seen by the number.
            taken = {each.user_attrs.get("again") for each in self._study.get_trials(deepcopy=False)}
            if found.number not in taken:
                about = {"again": found.number, "tries": tries + (outcome == KILLED)}
                self._study.enqueue_trial(dict(found.params), user_attrs=about)
        storage.set_trial_user_attr(found._trial_id, "outcome", outcome)
        storage.set_trial_user_attr(found._trial_id, "problem", problem)
        storage.set_trial_state_values(found._trial_id, states.FAIL)

    def _close(self, number: int, state: Any, result: Result) -> None:
        """Keep a result and end its trial, unless it has been ended."""
        with self._turn():
            found = self._frozen(number)
            if found.state != self._optuna.trial.TrialState.RUNNING:
                return
            about = {"outcome": result.outcome, "problem": result.problem, "figures": dict(result.figures)}
            for name, value in about.items():
                if value:
                    self._storage.set_trial_user_attr(found._trial_id, name, value)
            self._study.tell(number, result.score, state=state)

    def _frozen(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number]

    def _trial(self, found: Any) -> Trial:
        states, about = self._optuna.trial.TrialState, found.user_attrs
        state = {states.RUNNING: RUNNING, states.WAITING: WAITING}.get(found.state) or about.get("outcome", STOPPED)
        point = found.params or found.system_attrs.get("fixed_params", {})
        figures, problem = about.get("figures", {}), about.get("problem", "")
        given = {"start": about.get("start"), "again": about.get("again")}
        return Trial(found.number, state, dict(point), found.value, figures, problem, **given)


def _key(point: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(point.items()))


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Have Optuna log no more than warnings, and then as before: it reports each new study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
