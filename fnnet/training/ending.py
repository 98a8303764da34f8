"""How a training that cannot go on ends: what it has reached is kept, and its error says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnnet.core.state import Training
from fnnet.errors import DivergedError, FnnetError, StorageError

if TYPE_CHECKING:
    from fnnet.training.record import Record


def diverged(error: DivergedError, training: Training, record: Record | None) -> DivergedError:
    """Keep a training that diverged, and return its error with what was kept."""
    if record is None:
        return error
    from fnnet.files.runs import DIVERGED

    record.end(training, DIVERGED)
    kept = f"step {training.state.step}, the last good one, is kept"
    return error.at(record.path, fix=f"{kept}: go on with `resume` and a smaller `learning_rate`, or with `clip_norm`")


def unreadable(error: FnnetError, training: Training, record: Record | None) -> FnnetError:
    """Keep a training whose images cannot be read on, and return the error with what was kept: it goes on if the file
    is put back as it was, and else the error says what to do.
    """
    if record is None:
        return error
    from fnnet.data.parquet_files import CHANGED
    from fnnet.data.stream_folder import DAMAGED

    record.end(training, "unreadable data")
    kept = f"step {training.state.step} is kept in {record.path}"
    damaged = error.problem.startswith("damaged") or error.fix == DAMAGED or error.problem == CHANGED
    if not (damaged or isinstance(error, StorageError)):
        return error.at(error.where, fix=f"{kept}; {error.fix}")
    others = "train without it, with `skip_damaged`, into another folder"
    return error.at(error.where, fix=f"{kept}: put the file back as it was and go on with `resume`, or {others}")
