"""A training, of one network or of many, under a progress bar; the first signal stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from fnnet.cli.bars import progress_bar
from fnnet.cli.mismatch import naming_options, noting_options
from fnnet.cli.ranks import ranks
from fnnet.cli.signals import Interrupts, code_of
from fnnet.core.state import Progress
from fnnet.errors import FnnetError
from fnnet.training.session import StoppedError

if TYPE_CHECKING:
    from fnnet.core.table import Kernels
    from fnnet.training.session import Job

T = TypeVar("T")


class Watch:
    """What a training is given: `on_block`, and `interrupts` to be entered while steps are made."""

    def __init__(self, show: Callable[[Progress], None] | None) -> None:
        self.interrupts = Interrupts()
        self._threads: dict[int, float | None] = {}
        self._show, self._lock = show, threading.Lock()

    @property
    def threads(self) -> float | None:
        """The mean number of compiled threads up to the last block, of members the mean; None if NumPy trains."""
        known = [threads for threads in self._threads.values() if threads is not None]
        return sum(known) / len(known) if known else None

    def on_block(self, progress: Progress) -> str:
        """Show a block, which any thread has made; return the reason to stop, if a signal came."""
        with self._lock:
            self._threads[progress.member] = progress.threads
            if self._show:
                self._show(progress)
        return self.interrupts.word


@contextmanager
def watched(job: Job, quiet: bool, run_dir: str | None = None) -> Iterator[Watch]:
    """Yield the Watch of a training; its errors name options, and that it was stopped has a signal's exit code."""
    with progress_bar(job.plan.epochs, job.images, not quiet, job.members) as show:
        watch = Watch(show)
        try:
            with naming_options(job.dataset.source, only_in_text=True):
                yield watch
        except StoppedError as stopped:
            fix = f"go on with --run-dir {run_dir} --resume" if run_dir else stopped.fix
            error = FnnetError(stopped.problem, place=stopped.place, fix=fix)
            error.exit_code = code_of(stopped.problem)
            raise error from None


def train_watched(
    train: Callable[..., T],
    job: Job,
    kernels: Kernels,
    options: Mapping[str, Any],
    quiet: bool,
    notify: Callable[[str], None],
) -> tuple[T, float | None]:
    """Train a job, by `train` of `session` or of `committee`; the first signal stops it after the block it comes in.

    Returns  what `train` returns, and the mean number of compiled threads, None if NumPy trained.
    """
    run_dir = options["run_dir"]
    with watched(job, quiet, run_dir) as watch:
        found = train(
            job,
            kernels=kernels,
            run_dir=run_dir,
            resume=options["resume"],
            on_block=watch.on_block,
            # An iteration of L-BFGS may take seconds and is not kept: a signal need not wait for its end.
            during=watch.interrupts if job.plan.is_stepwise else nullcontext(),
            notify=noting_options(notify),
            ranks=ranks(),
        )
    return found, watch.threads
