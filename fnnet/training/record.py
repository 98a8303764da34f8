"""The record of a training in its run directory: checkpoints, and a log of what happened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from fnnet.core.state import Model, Training
from fnnet.data.origin import as_json
from fnnet.files.checkpoints import checkpoint_of, training_of
from fnnet.files.log import read_log
from fnnet.files.run_folder import check_place
from fnnet.files.runs import Run, Terms, open_run
from fnnet.training.going_on import terms

if TYPE_CHECKING:
    from fnnet.training.session import Job

CHANGEABLE_AFTER_DIVERGENCE: Final = ("plan.learning_rate", "plan.clip_norm")
FRACTION_SPENT_SAVING: Final = 0.1
"""The time between checkpoints is such that saving takes at most this fraction of it."""
WITHIN_EPOCH: Final = 300.0
"""Seconds of an epoch after which what it has reached is kept, too: that of a stream may take hours."""


class Record:
    """Keeps a training in a run directory. Made by `open_record`."""

    def __init__(self, run: Run, start: Mapping[str, Any], model: Model | None, notify: Callable[[str], None]) -> None:
        self._run, self._start, self._model, self._notify = run, start, model, notify
        self._saved_step, self._next_save, self._within_epoch = -1, 0.0, time.monotonic() + WITHIN_EPOCH
        self.path = run.path

    @property
    def config(self) -> Mapping[str, Any]:
        """The config of the run, which may have been resumed for more epochs."""
        return self._run.config

    def latest(self, training: Training) -> Training:
        """Return the training to go on from: the last that was kept, else `training`, which is kept now."""
        if self._model:
            self._run.keep_start(self._model)
        checkpoint = self._run.latest()
        if checkpoint:
            self._saved_step = checkpoint.state.step
            self._notify_of_version()
            return training_of(checkpoint)
        self._run.log("start", **self._start)
        self.keep(training)
        return training

    def _notify_of_version(self) -> None:
        """Notify if another version began the run: only the same version promises the same bits."""
        begun, now = [event for event in read_log(self.path) if event["event"] == "start"], self._start["version"]
        if begun and begun[-1].get("version") != now:
            self._notify(f"{self.path}: begun by fnnet {begun[-1].get('version')}, going on with {now}")

    def report(self, training: Training, *, last: bool) -> None:
        """Log the last report of `training`, and keep it at the end or when enough time has passed."""
        self._run.log("epoch", **training.history[-1]._asdict())
        if last or time.monotonic() >= self._next_save:
            self.keep(training)

    @property
    def is_due(self) -> bool:
        """True if what an epoch has reached is worth keeping before its end."""
        return time.monotonic() >= max(self._next_save, self._within_epoch)

    def keep_model(self, model: Model) -> None:
        """Keep the trained model in the run directory."""
        self._run.keep_model(model)

    def keep(self, training: Training) -> None:
        """Keep `training` in a checkpoint."""
        began = time.monotonic()
        self._run.save(checkpoint_of(training))
        ended = time.monotonic()
        self._saved_step, self._next_save = training.state.step, ended + (ended - began) / FRACTION_SPENT_SAVING
        self._within_epoch = ended + WITHIN_EPOCH

    def end(self, training: Training, reason: str, **more: Any) -> None:
        """Keep `training`, unless it is kept already, and log the reason why it ended, and `more`."""
        if training.state.step != self._saved_step:
            self.keep(training)
        self._run.log("stop", reason=reason, step=training.state.step, **more)


def record_of(
    job: Job,
    config: Mapping[str, Any],
    run_dir: str | os.PathLike[str],
    resume: bool,
    notify: Callable[[str], None] = lambda notice: None,
) -> AbstractContextManager[Record]:
    """Open the run directory of a job for this process alone, until the end of the block; arguments as `session.train`.

    config   of the job: the JSON values that a resumed run must share with the one that it goes on with.
    Raises   as `files.runs.open_run`; UsageError if a file that is not the run's has the name of its model.
    """
    data = as_json(job.dataset.origin, job.dataset.numbered)
    about = {"dataset": job.dataset.name, **({"data": data} if data else {})}
    given: dict[str, Any] = {"terms": terms(job.plan, job.given), "start": job.start, "notify": notify}
    return _open(run_dir, config, about, resume=resume, **given)


@contextmanager
def _open(
    run_dir: str | os.PathLike[str],
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    *,
    resume: bool,
    terms: Terms,
    start: Model | None,
    notify: Callable[[str], None],
) -> Iterator[Record]:
    """Open a run directory.

    config   as in `record_of`; what may differ from it is in `terms`.
    data     what is logged of the data beside it.
    start    the model that training starts from, which is kept there.
    """
    from fnnet import __version__

    sizes = [config["images"]["pixels"], *config["hidden"], config["images"]["classes"]]
    about = {"recipe": config["recipe"], "sizes": sizes, "seed": config["seed"], **data}
    changeable = CHANGEABLE_AFTER_DIVERGENCE
    options: dict[str, Any] = {"resume": resume, "terms": terms, "notify": notify}
    with open_run(run_dir, config, changeable_after_divergence=changeable, **options) as run:
        check_place(run_dir, resume)
        yield Record(run, about | {"version": __version__, "config": config}, start, notify)
