"""Run directories: checkpoints by step, a log of JSON lines, one trainer at a time, and resuming after any end.

RUN_DIR/lock                              the process that trains here now
RUN_DIR/log.jsonl                         what happened, a JSON object on each line
RUN_DIR/start.safetensors                 the model that training started from, if it started from one
RUN_DIR/step-000000012345.safetensors     the last two checkpoints
RUN_DIR/model.safetensors                 the trained model, once training is finished

RUN_DIR/member-01, member-02...           the run directories of a committee's members, in place of all but its model

The newest checkpoint is the one of the highest step; times do not matter. A checkpoint is removed only after two
newer ones have been written and read back; a damaged one is kept under another name and never loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.core.state import Model, frozen
from fnnet.errors import ArgumentTypeError, FnnetError, ModelError, StorageError, UsageError, counted
from fnnet.files import log, strictjson
from fnnet.files.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fnnet.files.disk import DISK, TEMPORARY, FileSystem, list_folder, make_folder, remove_leftovers
from fnnet.files.flat import differences
from fnnet.files.lock import NAME as LOCK
from fnnet.files.lock import Lock, lock
from fnnet.files.log import LOG, OTHER_LOG
from fnnet.files.model import save_model
from fnnet.files.owner import now
from fnnet.names import MODEL_FILE

KEPT: Final = 2
"""Checkpoints kept: the last, and the one before it in case the disk loses the last."""

START: Final = "start.safetensors"
STEP: Final = re.compile(r"step-(\d{12,})\.safetensors")
MEMBER: Final = re.compile(r"member-\d{2,}")
DIVERGED: Final = "diverged"
"""The reason of a "stop" in the log after which some config keys may change."""


class OtherRunError(UsageError):
    """A run directory holds a run of another config.

    differences   config key ("outer.inner") -> the JSON texts of the run's value and of the given one, None for a
                  missing one; in the order of the config, which has causes before their effects.
    """

    differences: Mapping[str, tuple[str | None, str | None]] = MappingProxyType({})


class Terms(NamedTuple):
    """What a resumed run may have otherwise than it was begun.

    changeable   takes the run's config; returns the keys ("outer.inner") that the given one may have otherwise.
    adapt        takes the run's last checkpoint and the given config, which agree in all other keys; returns the
                 checkpoint to go on from, with the run's config from now on, and a notice of what is new, or "".
    """

    changeable: Callable[[Mapping[str, Any]], Collection[str]]
    adapt: Callable[[Checkpoint, Mapping[str, Any]], tuple[Checkpoint, str]]


AS_IT_WAS: Final = Terms(lambda config: (), lambda found, config: (found._replace(config=config), ""))


class Run:
    """A run directory that this process alone writes. Made by `open_run`.

    config   what every checkpoint saved from now on has as its config.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        held: Lock,
        terms: Terms,
        notify: Callable[[str], None],
        disk: FileSystem,
    ) -> None:
        self.path, self.config = path, config
        self._lock, self._terms, self._notify, self._disk = held, terms, notify, disk

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint with the run's config, read it back, log it, and remove all but the last two.

        Returns  the file.
        Raises   StorageError if it cannot be written, ModelError if it could not be loaded again, UsageError if there
                 is a newer one; earlier checkpoints then stay as they are.
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
        """Load the intact checkpoint of the highest step, as the terms adapt it; None if there are no checkpoints.

        Damaged ones above it are renamed to `<name>.damaged`, with a notice.
        Raises   ModelError if there are checkpoints and all are damaged, StorageError if one cannot be read.
        """
        found = self._newest()
        return found and self._terms.adapt(found, self.config)[0]

    def _newest(self) -> Checkpoint | None:
        """Load the intact checkpoint of the highest step as it is."""
        self._lock.check()
        checkpoint, damaged = _intact(self.path, self._disk)
        if checkpoint:
            step = checkpoint.state.step
            for other, problem in damaged:
                self._notify(f"{problem}; kept as {other.name}.damaged, going back to step {step}")
                with contextlib.suppress(OSError):
                    self._disk.replace(other, f"{other}.damaged")
        elif damaged:
            raise _none_intact(self.path, damaged)
        return checkpoint

    def keep_start(self, model: Model) -> None:
        """Write the model that the run starts from, unless it is there.

        Raises   ModelError and StorageError as `save_model`.
        """
        self._lock.check()
        if not (self.path / START).exists():
            save_model(self.path / START, model, disk=self._disk)

    def keep_model(self, model: Model) -> None:
        """Write the trained model, in place of that of fewer epochs.

        Raises   ModelError and StorageError as `save_model`.
        """
        self._lock.check()
        save_model(self.path / MODEL_FILE, model, disk=self._disk)

    def log(self, event: str, **values: Any) -> None:
        """Add a line to the log: the event, the time, and `values`, with NaN and infinity as null.

        A line of "checkpoint" or "stop" is on the disk, with all lines before it, when this returns; others may be
        lost if the power fails.
        Raises   StorageError if it cannot be written.
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
    changeable_after_divergence: Collection[str] = (),
    terms: Terms = AS_IT_WAS,
    notify: Callable[[str], None] = lambda notice: None,
    disk: FileSystem = DISK,
) -> Iterator[Run]:
    """Open the run directory at `path`, created if it is missing, for this process alone until the end of the block.

    With `resume` it is put in order first: temporary files of killed runs are removed, and the log is cut back to the
    last intact checkpoint, `Run.latest()`.

    config   JSON values that a resumed run must share with the one that it goes on with.
    changeable_after_divergence   config keys ("outer.inner") that may change when a diverged run is resumed.
    terms    what else may change when a run is resumed.
    notify   takes notices: of a run that starts from its beginning, of damaged checkpoints, of what is new by `terms`.
    Raises   StorageError if another trainer holds the directory, or it cannot be created or written; UsageError if it
             holds a run already and `resume` is False; OtherRunError, a UsageError, if its run has another config;
             ModelError if all its checkpoints are damaged.
    """
    folder, config = Path(path), _as_json(config)
    make_folder(folder, disk)
    with lock(folder, disk, notify) as held:
        remove_leftovers(folder, disk)
        run = Run(folder, config, held, terms, notify, disk)
        if resume:
            _check_ours(folder, disk)
            _resume(run, changeable_after_divergence, terms, notify, disk)
        else:
            check_new(folder, disk)
        yield run


def _as_json(config: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return frozen(strictjson.loads(strictjson.dumps(strictjson.without_nan(config))))  # type: ignore[no-any-return]
    except TypeError as error:
        raise ArgumentTypeError("config", expected="JSON values", found=str(error)) from None


def _check_ours(folder: Path, disk: FileSystem) -> None:
    if log.is_foreign(folder, disk):
        fix = "move it away, or choose another folder"
        raise UsageError("not a log of fnnet", where=folder / LOG, fix=fix)
    if folder.exists() and any(MEMBER.fullmatch(path.name) for path in list_folder(folder, disk)):
        fix = "give the recipe or the `members` of that run, or choose another folder"
        raise UsageError("holds the run of a committee", where=folder, expected="the run of one network", fix=fix)


def _intact(folder: Path, disk: FileSystem) -> tuple[Checkpoint | None, list[tuple[Path, FnnetError]]]:
    """Load the intact checkpoint of the highest step; return it, if there is one, and the damaged ones above it."""
    damaged: list[tuple[Path, FnnetError]] = []
    for step, path in sorted(_checkpoints(folder, disk).items(), reverse=True):
        try:
            checkpoint = load_checkpoint(path, disk)
            if checkpoint.state.step != step:
                raise ModelError("step", where=path, expected=step, found=checkpoint.state.step)
        except (ModelError, StorageError) as error:
            if isinstance(error, StorageError) and path.is_file():
                # It may be intact: no rights, or a disk that fails now.
                fix = "check its permissions and the disk, or move it away to go on from the one before"
                raise error.at(path, fix=fix) from None
            damaged.append((path, error))
        else:
            return checkpoint, damaged
    return None, damaged


def _none_intact(folder: Path, damaged: Sequence[tuple[Path, FnnetError]]) -> ModelError:
    return ModelError("no checkpoint is intact", where=folder, found=damaged[0][1], fix="choose another folder")


def check_new(path: str | os.PathLike[str], disk: FileSystem = DISK) -> None:
    """Raise UsageError if the folder at `path` holds a run already, or a log that fnnet did not write."""
    folder = Path(path)
    _check_ours(folder, disk)
    if holds_run(folder, disk):
        fix = "go on with `resume`, or choose another folder"
        raise UsageError("holds a run already", where=folder, fix=fix)


def holds_run(folder: Path, disk: FileSystem = DISK) -> bool:
    """Return True if a folder holds the run of one network, finished or not."""
    files = (LOG, START)
    return folder.is_dir() and (bool(_checkpoints(folder, disk)) or any((folder / name).exists() for name in files))


def member_folders(path: str | os.PathLike[str], count: int, disk: FileSystem = DISK) -> list[Path]:
    """Return the run directories of the members of a committee, whose own is `path`.

    Raises   UsageError if it holds the run of one network.
    """
    folder = Path(path)
    if holds_run(folder, disk):
        expected, fix = "the run of a committee", "choose another folder"
        raise UsageError("holds the run of one network", where=folder, expected=expected, fix=fix)
    return [folder / f"member-{number:02}" for number in range(1, count + 1)]


def newest(path: str | os.PathLike[str], disk: FileSystem = DISK) -> Checkpoint | None:
    """Load the checkpoint that a run in the folder at `path` would go on from; None if there is none, or no folder.

    Nothing is changed, so that another process may be at work there.
    Raises   as `open_run`.
    """
    folder = Path(path)
    _check_ours(folder, disk)
    checkpoint, damaged = _intact(folder, disk) if folder.exists() else (None, [])
    if not checkpoint and damaged and all(other.exists() for other, _ in damaged):  # else another process removed it
        raise _none_intact(folder, damaged)
    return checkpoint


def check_resumable(
    path: str | os.PathLike[str],
    found: Checkpoint,
    config: Mapping[str, Any],
    *,
    unknown: Collection[str] = (),
    changeable_after_divergence: Collection[str] = (),
    terms: Terms = AS_IT_WAS,
    disk: FileSystem = DISK,
) -> None:
    """Raise what `open_run` would raise for a run that goes on from the checkpoint `found` with this config.

    unknown   config keys ("outer" or "outer.inner") whose values are not known yet.
    """
    events, config = log.whole_events(Path(path), disk), _as_json(config)
    _check_terms(Path(path), found, config, changeable_after_divergence, terms, events, unknown)
    _adapted(Path(path), found, config, terms)


def is_ours(name: str) -> bool:
    """True if a run directory has, or may come to have, a file of this name of its own."""
    named = name in (LOG, LOCK, START, MODEL_FILE) or STEP.fullmatch(name.removesuffix(".damaged"))
    return bool(named or any(pattern.fullmatch(name) for pattern in (OTHER_LOG, TEMPORARY, MEMBER)))


def _checkpoints(folder: Path, disk: FileSystem) -> dict[int, Path]:
    """Return step -> file, of all that are named like a checkpoint."""
    named = ((STEP.fullmatch(path.name), path) for path in list_folder(folder, disk))
    return {int(match[1]): path for match, path in named if match}


def _prune(folder: Path, good: int, notify: Callable[[str], None], disk: FileSystem) -> None:
    """Remove the checkpoints below that of step `good`, which is intact, except the last of them."""
    below = sorted((step, path) for step, path in _checkpoints(folder, disk).items() if step < good)
    for _, path in below[: max(0, len(below) + 1 - KEPT)]:
        try:
            disk.unlink(path)
        except OSError as error:
            notify(f"{path}: cannot be removed: {error.strerror}")


def _resume(
    run: Run, changeable: Collection[str], terms: Terms, notify: Callable[[str], None], disk: FileSystem
) -> None:
    others, kept_as = log.keep_others(run.path, disk)
    if others:
        lines = counted(others, "line is", "lines are")
        notify(f"{run.path / LOG}: {lines} not fnnet's; kept in {kept_as}, going on without")
    found = run._newest()
    if found is None:
        if (run.path / LOG).exists():
            log.rewrite(run.path, (), disk)
        notify(f"{run.path}: no checkpoint to resume, starting from the beginning")
        return
    events = log.whole_events(run.path, disk)
    _check_terms(run.path, found, run.config, changeable, terms, events)
    # Until the next checkpoint is saved, the run stays as it was.
    before = found.config
    found, notice = _adapted(run.path, found, run.config, terms)
    run.config = found.config
    _prune(run.path, found.state.step, notify, disk)
    epochs = {report.get("epoch"): report for report in found.history}
    kept = [event for event in events if _agrees(event, epochs, found.state.step)]
    logged = [event["epoch"] for event in kept if event["event"] == "epoch"]
    missing = [{"event": "epoch", **report} for epoch, report in epochs.items() if epoch not in logged]
    log.rewrite(run.path, (*kept, *missing), disk)
    changed = {} if run.config == before else {"config": run.config}
    run.log("resume", step=found.state.step, **({"note": notice} if notice else {}), **changed)
    if notice:
        notify(notice)


def _check_terms(
    path: Path,
    found: Checkpoint,
    config: Mapping[str, Any],
    changeable: Collection[str],
    terms: Terms,
    events: Sequence[Mapping[str, Any]],
    unknown: Collection[str] = (),
) -> None:
    """Raise OtherRunError if a config differs from that of a checkpoint where it may not, unless it is unknown."""
    ends = [event for event in events if event["event"] in {"checkpoint", "stop"}]
    diverged = bool(ends) and ends[-1].get("reason") == DIVERGED
    free = {*(changeable if diverged else ()), *terms.changeable(found.config)}
    check_config(path, found.config, config, free, unknown)


def _adapted(path: Path, found: Checkpoint, config: Mapping[str, Any], terms: Terms) -> tuple[Checkpoint, str]:
    """Return the checkpoint to go on from, and a notice or ""."""
    try:
        return terms.adapt(found, config)
    except UsageError as error:
        raise error.at(path) from None


def _agrees(event: Mapping[str, Any], epochs: Container[Any], step: int) -> bool:
    """True unless a line of the log is about an epoch that is not in `epochs`, or a checkpoint beyond `step`."""
    if event["event"] == "epoch":
        return isinstance(event.get("epoch"), int) and event["epoch"] in epochs
    if event["event"] == "checkpoint":
        return isinstance(event.get("step"), int) and event["step"] <= step
    return True


def check_config(
    path: Path, stored: Mapping[str, Any], given: Mapping[str, Any],
    free: Collection[str] = (), unknown: Collection[str] = (),
) -> None:  # fmt: skip
    """Raise OtherRunError if two configs differ in other keys than those in `free`, and in and below `unknown`."""
    found = {
        key: each
        for key, each in differences(stored, given).items()
        if key not in free and not any(f"{key}.".startswith(f"{name}.") for name in unknown)
    }
    if not found:
        return
    key, first = next(iter(found.items()))
    old, new = ("none" if value is None else value for value in first)
    fix = f"resume with {key} {old}, or train into another folder"
    error = OtherRunError(f"{key} differs from the run", where=path, expected=old, found=new, fix=fix)
    error.differences = found
    raise error
