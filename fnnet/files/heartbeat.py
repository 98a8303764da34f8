"""Signs of life of the holder of a lock, for hosts that the system's locks do not reach.

Locks of the system do not always leave the host: over NFS with the mount options nolock and local_lock, over SMB with
Linux before 5.5, in shared folders of virtual machines, and between an exported folder and its server. So the holder
touches the file of its lock every BEAT seconds, and whoever would take it over watches the file for QUIET seconds by
its own monotonic clock. Any change is a sign of life; times of files are only compared for equality, as clocks differ.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from enum import Enum
from pathlib import Path
from typing import Any, Final

from fnnet.errors import StorageError

BEAT: Final = 10.0
"""Seconds between two signs of life."""
QUIET: Final = 90.0
"""Seconds without one after which the holder has ended. NFS shows attributes of files up to a minute late."""
LOOK: Final = 1.0
"""Seconds between two looks at a lock."""
MAX_BYTES: Final = 4096


class Seen(Enum):
    """What became of a lock that was watched."""

    ALIVE = "its holder gave a sign of life"
    GONE = "the file was removed or replaced"
    QUIET = "no sign of life"


class Heartbeat:
    """Touches an open file every BEAT seconds, in a thread, until it is stopped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._stopped = descriptor, threading.Event()
        self._thread = threading.Thread(target=self._run, name="fnnet lock", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            fix = "raise the limit of threads (ulimit -u)"
            raise StorageError(f"no thread that keeps the lock: {error}", fix=fix) from None

    def stop(self) -> None:
        """Return when the file is no longer touched."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT):
            with contextlib.suppress(OSError):
                touch(self._descriptor)


def touch(descriptor: int) -> None:
    """Change the time of an open file, or write its content again where the file system does not keep times."""
    before = os.fstat(descriptor).st_mtime_ns
    with contextlib.suppress(OSError):
        os.utime(descriptor)
    if os.fstat(descriptor).st_mtime_ns == before:
        os.pwrite(descriptor, os.pread(descriptor, MAX_BYTES, 0), 0)
        os.fsync(descriptor)


def watch(path: Path) -> Seen:
    """Watch the file of a lock until something happens to it, at most QUIET seconds."""
    first, began = _look(path), time.monotonic()
    while first and time.monotonic() - began < QUIET:
        time.sleep(min(LOOK, QUIET))
        found = _look(path)
        if not found or found[0] != first[0]:
            return Seen.GONE
        if found != first:
            return Seen.ALIVE
    return Seen.QUIET if first else Seen.GONE


def _look(path: Path) -> tuple[Any, ...] | None:
    """Return what identifies the file, and what a sign of life changes; None without a file.

    It is opened each time, as NFS asks the server only then.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(descriptor)
        content = b""
        with contextlib.suppress(PermissionError):  # over SMB, the lock of this process keeps its other files out too
            content = os.read(descriptor, MAX_BYTES)
        return (found.st_dev, found.st_ino), found.st_mtime_ns, content
    finally:
        os.close(descriptor)
