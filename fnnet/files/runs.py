"""Run directories: checkpoints by step, a log of JSON lines, one trainer at a time, and going on after any end.

RUN_DIR/lock                              who trains here now
RUN_DIR/log.jsonl                         what happened, a JSON object on each line
RUN_DIR/step-000000012345.safetensors     the last two checkpoints

The newest checkpoint is the one of the highest step, whatever the clocks say. A checkpoint is removed only when two
newer ones have been written and read back; one that turns out damaged is kept under another name and never loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fnnet.errors import ArgumentTypeError, ModelError, StorageError, UsageError
from fnnet.files import log, strictjson
from fnnet.files.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fnnet.files.disk import DISK, TEMPORARY, FileSystem, list_folder, make_folder, remove_leftovers
from fnnet.files.lock import NAME as LOCK
from fnnet.files.lock import Lock, lock, now
from fnnet.files.log import LOG
from fnnet.files.strictjson import frozen

KEPT: Final = 2
"""Checkpoints kept: the last, and the one before it should the disk lose the last."""

STEP: Final = re.compile(r"step-(\d{12,})\.safetensors")
ABSENT: Final = "nothing"
DIVERGED: Final = "diverged"
"""The reason of a "stop" in the log after which some values may change."""


class OtherRunError(UsageError):
    """A run directory holds a run of another config.

    differences   of each value that differs, as "outer.inner", the JSON texts of the run's and the given one, None
                  where there is none; causes before their effects, as the config has them.
    """

    differences: Mapping[str, tuple[str | None, str | None]] = MappingProxyType({})


class Run:
    """A run directory that this process alone writes. Made by `open_run`."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], held: Lock, notify: Callable[[str], None], disk: FileSystem
    ) -> None:
        self.path, self.config = path, config
        self._lock, self._notify, self._disk = held, notify, disk

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint with the run's config, read it back, log it, and remove all but the last two.

        Returns  the file.
        Raises   StorageError if it cannot be written, ModelError if it could not be loaded again, UsageError if there
                 is a newer one; what was saved before stays as it was.
        """
        self._lock.check()
        step = checkpoint.state.step
        target = self.path / f"step-{step:012d}.safetensors"
        newest = max(_checkpoints(self.path, self._disk), default=step)
        if newest > step:
            raise UsageError("not the newest step", where=target, expected=f"at least {newest}", found=step)
        save_checkpoint(target, checkpoint._replace(config=self.config), self._disk)
        self.log("checkpoint", step=step, file=target.name)
        _prune(self.path, step, self._notify, self._disk)
        return target

    def latest(self) -> Checkpoint | None:
        """The checkpoint of the highest step that is whole; None where there is none at all.

        Damaged ones above it are renamed to `<name>.damaged`, with a notice.
        Raises   ModelError where there are checkpoints and none is whole, StorageError where one cannot be read.
        """
        self._lock.check()
        damaged: list[tuple[Path, Exception]] = []
        for step, path in sorted(_checkpoints(self.path, self._disk).items(), reverse=True):
            try:
                checkpoint = load_checkpoint(path, self._disk)
                if checkpoint.state.step != step:
                    raise ModelError("step", where=path, expected=step, found=checkpoint.state.step)
            except (ModelError, StorageError) as error:
                if isinstance(error, StorageError) and path.is_file():
                    # It may be whole: no rights, or a disk that fails now.
                    fix = "see to its permissions and the disk, or move it away to go on from the one before"
                    raise error.at(path, fix=fix) from None
                damaged.append((path, error))
                continue
            for other, problem in damaged:
                self._notify(f"{problem}; kept as {other.name}.damaged, going back to step {step}")
                with contextlib.suppress(OSError):
                    self._disk.replace(other, f"{other}.damaged")
            return checkpoint
        if damaged:
            raise ModelError(
                "no checkpoint is whole", where=self.path, found=damaged[0][1], fix="choose another folder"
            )
        return None

    def log(self, event: str, **values: Any) -> None:
        """Add a line to the log: the event, the time, and `values`, with NaN and infinity as null.

        A line of "checkpoint" or "stop" is on the disk, with all before it, when this returns; others may be lost
        with the power. Raises StorageError if it cannot be written.
        """
        self._lock.check()
        line = {"event": event, "time": now(), **values}
        log.append(self.path, line, sync=event in {"checkpoint", "stop"}, disk=self._disk)


@contextlib.contextmanager
def open_run(
    path: str | os.PathLike[str],
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    mends: Collection[str] = (),
    notify: Callable[[str], None] = lambda notice: None,
    disk: FileSystem = DISK,
) -> Iterator[Run]:
    """The run directory at `path`, made where it is not there, locked for this process until the end of the block.

    With `resume` it is put in order first: temporary files of killed runs are removed, and the log is cut back to the
    last whole checkpoint, `Run.latest()`.

    config   JSON values that a resumed run must share with the one that it goes on with.
    mends    of them those, as "outer.inner", that may be others where the run came to its end by divergence.
    notify   takes notices: of a run that starts anew, of damaged checkpoints.
    Raises   StorageError where another trainer holds the directory, or it cannot be made or written; UsageError where
             it holds a run already and `resume` is False, OtherRunError, one of those, where it holds one of another
             config; ModelError where no checkpoint in it is whole.
    """
    folder = Path(path)
    try:
        config = frozen(strictjson.loads(strictjson.dumps(strictjson.without_nan(config))))
    except TypeError as error:
        raise ArgumentTypeError("config", expected="what JSON can hold", found=str(error)) from None
    make_folder(folder, disk)
    with lock(folder, disk) as held:
        remove_leftovers(folder, disk)
        run = Run(folder, config, held, notify, disk)
        if resume:
            _resume(run, mends, notify, disk)
        elif _checkpoints(folder, disk) or (folder / LOG).exists():
            fix = "go on with --resume, or choose another folder"
            raise UsageError("holds a run already", where=folder, fix=fix)
        yield run


def is_ours(name: str) -> bool:
    """Whether a run directory has, or may come to have, a file of this name for itself."""
    return name in (LOG, LOCK) or bool(STEP.fullmatch(name.removesuffix(".damaged")) or TEMPORARY.fullmatch(name))


def _checkpoints(folder: Path, disk: FileSystem) -> dict[int, Path]:
    """Step -> file, for all that is named like a checkpoint."""
    named = ((STEP.fullmatch(path.name), path) for path in list_folder(folder, disk))
    return {int(match[1]): path for match, path in named if match}


def _prune(folder: Path, good: int, notify: Callable[[str], None], disk: FileSystem) -> None:
    """Remove the checkpoints below that of step `good`, which is whole, but for the last of them."""
    below = sorted((step, path) for step, path in _checkpoints(folder, disk).items() if step < good)
    for _, path in below[: max(0, len(below) + 1 - KEPT)]:
        try:
            disk.unlink(path)
        except OSError as error:
            notify(f"{path}: cannot be removed: {error.strerror}")


def _resume(run: Run, mends: Collection[str], notify: Callable[[str], None], disk: FileSystem) -> None:
    found = run.latest()
    if found is None:
        if (run.path / LOG).exists():
            log.rewrite(run.path, (), disk)
        notify(f"{run.path}: no checkpoint to resume, starting anew")
        return
    events = log.whole_events(run.path, disk)
    ends = [event for event in events if event["event"] in {"checkpoint", "stop"}]
    diverged = bool(ends) and ends[-1].get("reason") == DIVERGED
    _check_config(run.path, found.config, run.config, mends if diverged else ())
    _prune(run.path, found.state.step, notify, disk)
    epochs = {report.get("epoch"): report for report in found.history}
    kept = [event for event in events if _agrees(event, epochs, found.state.step)]
    logged = [event["epoch"] for event in kept if event["event"] == "epoch"]
    missing = [{"event": "epoch", **report} for epoch, report in epochs.items() if epoch not in logged]
    log.rewrite(run.path, (*kept, *missing), disk)
    run.log("resume", step=found.state.step)


def _agrees(event: Mapping[str, Any], epochs: Container[Any], step: int) -> bool:
    """Whether a line of the log is about these epochs, a checkpoint up to `step`, or neither."""
    if event["event"] == "epoch":
        return isinstance(event.get("epoch"), int) and event["epoch"] in epochs
    if event["event"] == "checkpoint":
        return isinstance(event.get("step"), int) and event["step"] <= step
    return True


def _check_config(path: Path, stored: Mapping[str, Any], given: Mapping[str, Any], free: Collection[str]) -> None:
    """OtherRunError for the values, but those `free`, that differ between two descriptions of a run."""
    before, after = dict(_flat(stored)), dict(_flat(given))
    keys = (*after, *(key for key in before if key not in after))
    values = {key: (before.get(key), after.get(key)) for key in keys if key not in free}
    differences = {key: (old, new) for key, (old, new) in values.items() if old != new}
    if not differences:
        return
    key, values_of_it = next(iter(differences.items()))
    old, new = (ABSENT if value is None else value for value in values_of_it)
    fix = f"resume with {key} {old}, or train into another folder"
    error = OtherRunError(f"{key} is not the run's", where=path, expected=old, found=new, fix=fix)
    error.differences = MappingProxyType(differences)
    raise error


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The values inside as ("outer.inner", JSON text)."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else key)
    else:
        yield name, strictjson.dumps(strictjson.without_nan(value))
