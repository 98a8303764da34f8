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

from fnnet import strictjson
from fnnet.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fnnet.errors import ArgumentTypeError, DataError, ModelError, StorageError, UsageError
from fnnet.files import append_line, list_folder, make_folder, read_bytes, remove_leftovers, write_file
from fnnet.locks import Lock, lock, now
from fnnet.params import frozen

LOG: Final = "log.jsonl"
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

    def __init__(self, path: Path, config: Mapping[str, Any], held: Lock, notify: Callable[[str], None]) -> None:
        self.path, self.config = path, config
        self._lock, self._notify = held, notify

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint with the run's config, read it back, log it, and remove all but the last two.

        Returns  the file.
        Raises   StorageError if it cannot be written, ModelError if it could not be loaded again, UsageError if there
                 is a newer one; what was saved before stays as it was.
        """
        self._lock.check()
        step = checkpoint.state.step
        target = self.path / f"step-{step:012d}.safetensors"
        newest = max(_checkpoints(self.path), default=step)
        if newest > step:
            raise UsageError("not the newest step", where=target, expected=f"at least {newest}", found=step)
        save_checkpoint(target, checkpoint._replace(config=self.config))
        self.log("checkpoint", step=step, file=target.name)
        _prune(self.path, step, self._notify)
        return target

    def latest(self) -> Checkpoint | None:
        """The checkpoint of the highest step that is whole; None where there is none at all.

        Damaged ones above it are renamed to `<name>.damaged`, with a notice.
        Raises   ModelError where there are checkpoints and none is whole.
        """
        self._lock.check()
        damaged: list[tuple[Path, Exception]] = []
        for step, path in sorted(_checkpoints(self.path).items(), reverse=True):
            try:
                checkpoint = load_checkpoint(path)
                if checkpoint.state.step != step:
                    raise ModelError("step", where=path, expected=step, found=checkpoint.state.step)
            except (ModelError, StorageError) as error:
                damaged.append((path, error))
                continue
            for other, problem in damaged:
                self._notify(f"{problem}; kept as {other.name}.damaged, going back to step {step}")
                with contextlib.suppress(OSError):
                    os.replace(other, f"{other}.damaged")
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
        line = strictjson.dumps({"event": event, "time": now(), **strictjson.without_nan(values)})
        append_line(self.path / LOG, line, sync=event in {"checkpoint", "stop"})


@contextlib.contextmanager
def open_run(
    path: str | os.PathLike[str],
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    mends: Collection[str] = (),
    notify: Callable[[str], None] = lambda notice: None,
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
    make_folder(folder)
    with lock(folder) as held:
        remove_leftovers(folder)
        run = Run(folder, config, held, notify)
        if resume:
            _resume(run, mends, notify)
        elif _checkpoints(folder) or (folder / LOG).exists():
            fix = "go on with --resume, or choose another folder"
            raise UsageError("holds a run already", where=folder, fix=fix)
        yield run


def read_log(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """The events in the log of the run directory `path`; a last line that was cut short is left out.

    Raises   StorageError where there is no log, DataError for a line that is no JSON object with an event.
    """
    log = Path(path, LOG)
    events = []
    for number, line in enumerate(_lines(log)[:-1], 1):
        event = _event(line)
        if event is None:
            expected = 'a JSON object with an "event"'
            raise DataError("damaged log", where=log, place=f"line {number}", expected=expected, found=line[:40])
        events.append(event)
    return tuple(events)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = strictjson.loads(line)
    except (DataError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Step -> file, for all that is named like a checkpoint."""
    named = ((STEP.fullmatch(path.name), path) for path in list_folder(folder))
    return {int(match[1]): path for match, path in named if match}


def _prune(folder: Path, good: int, notify: Callable[[str], None]) -> None:
    """Remove the checkpoints below that of step `good`, which is whole, but for the last of them."""
    below = sorted((step, path) for step, path in _checkpoints(folder).items() if step < good)
    for _, path in below[: max(0, len(below) + 1 - KEPT)]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            notify(f"{path}: cannot be removed: {error.strerror}")


def _resume(run: Run, mends: Collection[str], notify: Callable[[str], None]) -> None:
    found, log = run.latest(), run.path / LOG
    if found is None:
        if log.exists():
            write_file(log)
        notify(f"{run.path}: no checkpoint to resume, starting anew")
        return
    lines = _lines(log) if log.exists() else []
    ends = [event for event in map(_event, lines) if event and event["event"] in {"checkpoint", "stop"}]
    diverged = bool(ends) and ends[-1].get("reason") == DIVERGED
    _check_config(run.path, found.config, run.config, mends if diverged else ())
    _prune(run.path, found.state.step, notify)
    epochs = {report.get("epoch"): report for report in found.history}
    kept = [event for event in map(_event, lines) if event and _agrees(event, epochs, found.state.step)]
    logged = [event["epoch"] for event in kept if event["event"] == "epoch"]
    missing = [{"event": "epoch", **report} for epoch, report in epochs.items() if epoch not in logged]
    write_file(log, *(strictjson.dumps(event).encode() + b"\n" for event in (*kept, *missing)))
    run.log("resume", step=found.state.step)


def _lines(log: Path) -> list[bytes]:
    """The lines of the log, the last of them what was not ended."""
    return [] if log.exists() and not log.stat().st_size else read_bytes(log).split(b"\n")


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
