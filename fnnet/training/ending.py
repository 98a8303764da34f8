"""How a training ends: what it has reached is kept; the error of one that cannot go on says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Never

from fnnet.core.params import weights_sha256
from fnnet.core.shards import Ranks
from fnnet.core.state import EpochReport, Model, Training
from fnnet.errors import DivergedError, FnnetError, StorageError
from fnnet.training import epochs
from fnnet.training.advice import advise, advise_diverged
from fnnet.training.plan import Plan

GENERAL: Final = "train with a smaller `learning_rate` or with `clip_norm`"
"""What to do about divergence without a cause that shows."""

if TYPE_CHECKING:
    from fnnet.training.record import Record
    from fnnet.training.session import Job


class StoppedError(FnnetError):
    """Training was stopped by a callback: the problem is its reason, the place the step that was reached.

    training   what was reached, of one network; None of others.
    """

    training: Training | None = None


def stopped(reason: str, training: Training, record: Record | None, ranks: Ranks) -> Never:
    """Keep a training that a callback stopped, and raise its error; `record` as in `finished`."""

    def end() -> str:
        if record is None:
            return "nothing is kept without `run_dir`"
        record.end(training, reason)
        return "go on with `resume`"

    error = StoppedError(reason, place=f"step {training.state.step}", fix=ranks.of_first(end))
    error.training = training
    raise error


def finished(training: Training, plan: Plan, record: Record | None, ranks: Ranks) -> None:
    """Log what proves the success, whatever a launcher of ranks makes of their exit codes: all have the same weights.

    record   of the first rank; None in the others, or to keep nothing.
    """
    if record is None and ranks.size == 1:
        return
    digest = weights_sha256(epochs.trained_params(training, plan))
    _check_alike(ranks.gather(digest))

    def log() -> None:
        if record:
            record.end(training, "finished", weights_sha256=digest)

    ranks.of_first(log)


def _check_alike(digests: Sequence[str]) -> None:
    """Raise FnnetError at the rank whose weights, of which each has a digest, are not those of most."""
    ((most, _),) = Counter(digests).most_common(1)
    for rank, found in enumerate(digests):
        if found != most:
            fix = "train again, without its machine: it computes otherwise, and what the run keeps may be wrong, too"
            problem, expected = "other weights than those of other ranks", f"SHA-256 {most[:12]}..."
            raise FnnetError(problem, where=f"rank {rank}", expected=expected, found=f"{found[:12]}...", fix=fix)


def judged(job: Job, model: Model, history: Sequence[EpochReport], notify: Callable[[str], None]) -> Model:
    """Return the model of a training that has ended, and notify of what went wrong in it, if anything did."""
    if found := advise(job, model, history):
        notify(found.note)
    return model


def diverged(error: DivergedError, job: Job, training: Training, record: Record | None) -> DivergedError:
    """Keep a training that diverged, and return its error with what was kept, the likely cause and what to try."""
    if record is None:
        return explained(error, job)
    from fnnet.files.runs import DIVERGED

    record.end(training, DIVERGED)
    kept = f"step {training.state.step}, the last good one, is kept"
    found = advise_diverged(job, training.history)
    if found is None:
        fix = f"{kept}: go on with `resume` and a smaller `learning_rate`, or with `clip_norm`"
    elif found.option == "learning_rate":
        fix = f"{kept}; {found.cause}: go on with `resume` and `learning_rate` {found.value:g}"
    else:
        fix = f"{kept}; {found.cause}: {found.remedy}, into another folder"
    return error.at(record.path, fix=fix)


def explained(error: DivergedError, job: Job, more: str = "") -> DivergedError:
    """Return the error of a training of `job` that diverged with the likely cause and what to try, and `more`."""
    found = advise_diverged(job, ())
    return error.at(error.where, fix=f"{f'{found.cause}: {found.remedy}' if found else GENERAL}{more}")


def unreadable(error: FnnetError, training: Training, record: Record | None) -> FnnetError:
    """Keep a training whose images cannot be read on, and return the error with what was kept: it goes on if the file
    is put back as it was, and else the error says what to do.
    """
    if record is None:
        return error
    from fnnet.data.parquet_files import CHANGED
    from fnnet.data.stream_files import DAMAGED

    record.end(training, "unreadable data")
    kept = f"step {training.state.step} is kept in {record.path}"
    damaged = error.problem.startswith("damaged") or error.fix == DAMAGED or error.problem == CHANGED
    if not (damaged or isinstance(error, StorageError)):
        return error.at(error.where, fix=f"{kept}; {error.fix}")
    others = "train without it, with `skip_damaged`, into another folder"
    return error.at(error.where, fix=f"{kept}: put the file back as it was and go on with `resume`, or {others}")
