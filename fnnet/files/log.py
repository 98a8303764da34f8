"""The log of a run: a JSON object per line, whose last entry is the SHA-256 of the line up to that entry."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fnnet.errors import DataError
from fnnet.files import strictjson
from fnnet.files.disk import DISK, FileSystem, append_line, read_bytes, write_file

LOG: Final = "log.jsonl"
"""The name of the log in its run directory."""
OTHER_LOG: Final = re.compile(r"log\.jsonl\.before(-[0-9]+)?")
"""Copies of logs with lines that fnnet did not write, which going on leaves out."""
MAX_BYTES: Final = 2**28
SEAL: Final = b', "sha256": "'
HEAD: Final = b'{"event": "'
EVENTS: Final = ("start", "epoch", "checkpoint", "resume", "stop")
OWN: Final = tuple(HEAD + event.encode() + b'"' for event in EVENTS)
"""How the events of a run begin."""
SEALED: Final = re.compile(rb'[0-9a-f]{0,64}("\}?)?')
"""What may follow SEAL."""
SEAL_BYTES: Final = len(SEAL) + 64 + len(b'"}')


def line_of(event: dict[str, Any]) -> bytes:
    """Return an event as a line without the newline; NaN and infinity become null.

    Raises   TypeError for a value that JSON cannot represent.
    """
    head = strictjson.dumps(strictjson.without_nan(event))[:-1].encode()  # without the closing brace
    return head + _seal(head)


def _seal(head: bytes) -> bytes:
    return SEAL + hashlib.sha256(head).hexdigest().encode() + b'"}'


def event_of(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line; None if the line is damaged or not an event."""
    head, seal = line[:-SEAL_BYTES], line[-SEAL_BYTES:]
    if seal != _seal(head):
        return None
    try:
        event = strictjson.loads(line)
    except (DataError, ValueError, RecursionError):
        return None
    if not (isinstance(event, dict) and isinstance(event.get("event"), str)):
        return None
    del event["sha256"]
    return event


def append(folder: Path, event: dict[str, Any], *, sync: bool, disk: FileSystem = DISK) -> None:
    """Append an event to the log in `folder`; with `sync`, it and all earlier events are on the disk on return."""
    append_line(folder / LOG, line_of(event), sync=sync, disk=disk)


def rewrite(folder: Path, events: Iterable[dict[str, Any]], disk: FileSystem = DISK) -> None:
    """Replace the log in `folder` by one of these events."""
    write_file(folder / LOG, b"".join(line_of(event) + b"\n" for event in events), disk=disk)


def whole_events(folder: Path, disk: FileSystem = DISK) -> list[dict[str, Any]]:
    """Return the undamaged events of the log in `folder`; an empty list without a log."""
    if not (folder / LOG).exists():
        return []
    return [event for _, event in _lines(folder / LOG, disk) if event]


def keep_others(folder: Path, disk: FileSystem = DISK) -> tuple[int, str]:
    """Copy the log in `folder` if it has lines that are not fnnet's; return how many, and the name of the copy.

    Damaged lines do not count: what a loss of power cuts or fills with zeros comes back from the checkpoint.
    """
    content = _content(folder, disk)
    others = sum(map(_is_others, content.split(b"\n")))
    if not others:
        return 0, ""
    names = (f"{LOG}.before{f'-{number}' if number > 1 else ''}" for number in itertools.count(1))
    name = next(name for name in names if not os.path.lexists(folder / name))
    write_file(folder / name, content, disk=disk)
    return others, name


def is_foreign(folder: Path, disk: FileSystem = DISK) -> bool:
    """Return True if the log in `folder` has lines that are not fnnet's and no undamaged event."""
    return any(map(_is_others, _content(folder, disk).split(b"\n"))) and not whole_events(folder, disk)


def _content(folder: Path, disk: FileSystem) -> bytes:
    return read_bytes(folder / LOG, MAX_BYTES, disk=disk, empty=True) if (folder / LOG).exists() else b""


def _is_others(line: bytes) -> bool:
    """True for a line that fnnet did not write: neither an event, nor damaged, nor the beginning of one.

    A damaged one has zeros, or begins as an event of a run does and ends within its seal, or before it.
    """
    text = line.strip(b"\0 \t\r")
    if not text or b"\0" in text:
        return False
    if not any(own.startswith(text[: len(own)]) for own in OWN):
        return True
    head, seal, rest = text.rpartition(SEAL)
    return not SEALED.fullmatch(rest) if seal else head.endswith(b"}") or rest.endswith(b"}")


def read_log(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """Return the events in the log of the run directory `path`.

    An incomplete last line, as a killed run leaves it, is skipped.
    Raises   StorageError without a log, DataError for a damaged line.
    """
    log = Path(path, LOG)
    events = []
    for number, (line, event) in enumerate(_lines(log, DISK), 1):
        if event is None:
            ours = not is_foreign(log.parent)  # a training refuses to go on with others'
            raise DataError(
                "damaged log",
                where=log,
                place=f"line {number}",
                expected='a JSON object with an "event" and its sha256',
                found=repr(line[:40].decode("utf-8", "replace")),
                fix="repair it from the last checkpoint with 'fnnet train --resume'" if ours else "give another folder",
            )
        events.append(event)
    return tuple(events)


def _lines(log: Path, disk: FileSystem) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Yield the lines of the log, each with its event; the last one only if it is complete."""
    *lines, last = read_bytes(log, MAX_BYTES, disk=disk, empty=True).split(b"\n")
    for line in lines:
        yield line, event_of(line)
    if event := event_of(last):
        yield last, event
