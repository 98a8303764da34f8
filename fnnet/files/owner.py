"""Who holds a lock: what its file says of a process, and whether that process may still be alive."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from fnnet.errors import FnnetError
from fnnet.files import strictjson

BOOT: Final = "/proc/sys/kernel/random/boot_id"
MACHINE: Final = "/etc/machine-id"
SPACE: Final = "/proc/self/ns/pid"


class Where(Enum):
    """Where the process of an owner runs, or ran."""

    HERE = "under this system's kernel, perhaps in another container"
    ENDED = "on this machine before it was started again"
    ELSEWHERE = "on another machine, or perhaps there"


class Owner(NamedTuple):
    """A process, as the file of a lock names it.

    host              name of the host.
    started           when it took the lock, for people.
    boot, machine     digests of the identity of the running kernel and of the machine; empty where there is none.
    space             the space in which `pid` has its meaning: containers have their own.
    """

    pid: int
    host: str
    started: str = ""
    boot: str = ""
    machine: str = ""
    space: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" since {self.started}" if self.started else "")


def this_process() -> Owner:
    """Return this process as the owner of a lock that it takes now."""
    space = ""
    with contextlib.suppress(OSError):
        space = str(os.stat(SPACE).st_ino)
    return Owner(os.getpid(), platform.node(), now(), _digest(BOOT), _digest(MACHINE), space)


def now() -> str:
    """Return the time as text, for people; no decision depends on it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _digest(path: str) -> str:
    """Return a digest of the content of a file; empty where there is no such file."""
    content = b""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        content = file.read(100).strip()
    # Its identity is nobody else's business: a digest tells two machines apart as well.
    return hashlib.sha256(b"fnnet " + content).hexdigest()[:16] if content else ""


def owner_in(content: bytes) -> Owner | None:
    """Return the owner that the content of a lock's file names; None if it names none."""
    with contextlib.suppress(FnnetError, ValueError, RecursionError):
        found: Any = strictjson.loads(content)
        if isinstance(found, dict) and type(found.get("pid")) is int and isinstance(found.get("host"), str):
            texts = {name: found.get(name) for name in ("host", "started", "boot", "machine", "space")}
            return Owner(found["pid"], **{name: text for name, text in texts.items() if isinstance(text, str)})
    return None


def where_is(owner: Owner) -> Where:
    """Return where the process of an owner runs or ran; the names of hosts decide only where kernels are unknown."""
    me = this_process()
    if not (owner.boot and me.boot):
        return Where.HERE if owner.host == me.host else Where.ELSEWHERE
    if owner.boot == me.boot:
        return Where.HERE
    # Names alone do not tell machines apart: containers and copies of machines share them.
    same = owner.host == me.host and owner.machine == me.machine != ""
    return Where.ENDED if same else Where.ELSEWHERE


def is_alive(owner: Owner) -> bool | None:
    """Return True if a process that runs HERE is alive, or if that cannot be found out safely; None if its number is
    one of another container."""
    if owner.space not in ("", this_process().space):
        return None
    if os.name == "nt":  # pragma: no cover
        return True
    try:
        os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def is_within_reach(owner: Owner) -> bool:
    """Return True if the number of a process that is alive names that process, and no other, to this one too."""
    return where_is(owner) is Where.HERE and is_alive(owner) is True
