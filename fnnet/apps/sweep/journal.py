"""The folder of a sweep, in which several processes may be at work: its journal, its locks, and what it is.

The journal is Optuna's: a JSON object a line, which Optuna's own tools read. It is written here, as a process that is
killed in the midst of a line would leave Optuna's file unreadable for ever: the beginning of a line is not read, and
the next writer cuts it off.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fnnet.errors import DataError, StorageError, UsageError
from fnnet.files import runs, strictjson
from fnnet.files.disk import append_line, make_folder, read_bytes, write_file
from fnnet.files.lock import InUseError, lock
from fnnet.files.log import LOG

ABOUT: Final = "sweep.json"
JOURNAL: Final = "journal.log"
PROCESSES: Final = "processes"
PATIENCE: Final = 120.0
"""Seconds to wait for another process, which has its turn for milliseconds."""
MAX_BYTES: Final = 2**30
Notify = Callable[[str], None]


class _Elsewhere(Exception):  # noqa: N818 - no error: the lock is that of another host
    """A lock can only be watched for signs of life."""


def _do_not_watch(notice: str) -> None:
    raise _Elsewhere


class Journal:
    """Optuna's backend of a journal in a folder. It has the methods that Optuna calls, whose class need not be loaded.

    folder   of the sweep; it exists.
    notify   takes the notice that a lock is watched for signs of life.
    """

    def __init__(self, folder: str | os.PathLike[str], notify: Notify = lambda notice: None) -> None:
        self.folder, self._notify = Path(folder), notify
        self._path = self.folder / JOURNAL
        self._ends = [0]
        self._turns, self._written = 0, False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the entries of the journal from a number on; the beginning of a line is not read yet."""
        if not self._path.exists():
            return
        content = read_bytes(self._path, MAX_BYTES, empty=True)[self._ends[log_number_from] :]
        for number, line in enumerate(content.split(b"\n")[:-1], log_number_from + 1):
            if number == len(self._ends):
                self._ends.append(self._ends[-1] + len(line) + 1)
            yield self._entry(line, number)

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            found = json.loads(line)
            if isinstance(found, dict):
                return found
        except (ValueError, RecursionError):
            pass
        expected, shown = "a JSON object", repr(line[:40].decode("utf-8", "replace"))
        fix = "sweep into another folder"
        raise DataError(
            "damaged journal", where=self._path, place=f"line {number}", expected=expected, found=shown, fix=fix
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries; they are on the disk when the turn ends."""
        with self.turn():
            lines = [json.dumps(each, separators=(",", ":")).encode() for each in logs]
            append_line(self._path, b"\n".join(lines))
            self._written = True

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only process that writes; inside it, again at once."""
        if self._turns:
            yield
            return
        with contextlib.ExitStack() as stack:
            self._wait(stack)
            self._turns += 1
            try:
                yield
            finally:
                self._turns -= 1
                if self._written:
                    self._written = False
                    _sync(self._path)

    def _wait(self, stack: contextlib.ExitStack) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                stack.enter_context(lock(self.folder, notify=self._notify))
                return
            except InUseError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.02)

    @contextlib.contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Be a process of the sweep, by a name that no other one has: while it is alive, its trials are its own."""
        folder = self.folder / PROCESSES / name
        make_folder(folder)
        try:
            with lock(folder, notify=self._notify):
                yield
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def has_ended(self, name: str, wait: bool) -> bool:
        """Return True if the process of this name has ended, False if it may be alive.

        wait   whether a process of another host, which the system's locks may not reach, is watched for signs of life.
        """
        folder = self.folder / PROCESSES / name
        if not folder.is_dir():
            return True
        try:
            with lock(folder, notify=self._notify if wait else _do_not_watch):
                pass
        except (InUseError, _Elsewhere):
            return False
        with contextlib.suppress(OSError):
            folder.rmdir()
        return True


def _sync(path: Path) -> None:
    """Have the system write a file to the disk."""
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=path, fix="check the disk") from None


def open_journal(
    folder: str | os.PathLike[str], config: Mapping[str, Any], *, resume: bool, notify: Notify = lambda notice: None
) -> Journal:
    """Return the journal of the sweep in `folder`, which is begun if it is not there.

    config   JSON values of all that decides about the results; what comes first is named first where it differs.
    Raises   UsageError if there is a sweep and not `resume`, or the run of a training; OtherRunError if another sweep.
    """
    make_folder(folder)
    path = Path(folder)
    check_place(path, resume=True)
    journal = Journal(path, notify)
    with journal.turn():
        check_place(path, resume)
        if not (path / ABOUT).exists():
            write_file(path / ABOUT, strictjson.dumps(strictjson.without_nan(config)).encode() + b"\n")
            return journal
    check_sweep(path, config)
    return journal


def check_place(folder: str | os.PathLike[str], resume: bool) -> None:
    """Raise UsageError if the folder holds a sweep, unless it is resumed, or the run of a training."""
    path = Path(folder)
    if (path / LOG).exists():
        raise UsageError("holds the run of a training", where=path, fix="choose another folder")
    if (path / ABOUT).exists() and not resume:
        fix = "go on with `resume`, or choose another folder"
        raise UsageError("holds a sweep already", where=path, fix=fix)
    if (path / JOURNAL).exists() and not (path / ABOUT).exists():
        problem, fix = f"holds a {JOURNAL} that is not one of fnnet's", "choose another folder"
        raise UsageError(problem, where=path, expected=f"{ABOUT} beside it", found="none", fix=fix)


def check_sweep(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise OtherRunError, a UsageError, if the sweep in `folder` is another one; DataError if that is damaged."""
    path = folder / ABOUT
    try:
        stored = strictjson.loads(read_bytes(path, MAX_BYTES))
        if not isinstance(stored, dict):
            raise ValueError
    except (DataError, ValueError, RecursionError):
        expected, fix = "a JSON object", "sweep into another folder"
        raise DataError("damaged description", where=path, expected=expected, fix=fix) from None
    runs.check_config(folder, stored, strictjson.loads(strictjson.dumps(strictjson.without_nan(config))))
