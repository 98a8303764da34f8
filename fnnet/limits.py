"""What the system lets this process have: threads that run at once, and memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

SPACE, RESIDENT, DATA = 0, 1, 5
"""Fields of /proc/self/statm, in pages: the whole address space, what is in memory, data and stack."""


def available_threads() -> int:
    """How many threads can run at once: the processors this process may use, or what its control group grants."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, int(_quota(processors))))


def available_bytes() -> tuple[int, str] | None:
    """How many bytes this process may still claim, and what sets that limit; None where nothing is known of any."""
    found = [limit for limits in (_own_limits(), _group_limits(), _machine_limit()) for limit in limits]
    return min((max(0, most), what) for most, what in found) if found else None


def address_space() -> int | None:
    """How many bytes of addresses `ulimit -v` leaves this process; None where it sets no limit."""
    return next((most for most, what in _own_limits() if what == "ulimit -v"), None)


def _own_limits() -> Iterator[tuple[int, str]]:
    """ulimit -v and ulimit -d, less what is in use of them."""
    try:
        import resource
    except ImportError:
        return
    for name, field, what in (("RLIMIT_AS", SPACE, "ulimit -v"), ("RLIMIT_DATA", DATA, "ulimit -d")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - _in_use(field), what


def _group_limits() -> Iterator[tuple[int, str]]:
    """What the control groups that hold this process grant it, less what it has."""
    own = _in_use(RESIDENT)
    for folder in _groups("memory"):
        limit = _read(folder / "memory.max").strip() or _read(folder / "memory.limit_in_bytes").strip()
        if limit.isdecimal():
            yield int(limit) - own, "the control group"


def _in_use(field: int) -> int:
    """Bytes that this process has by one of statm's fields; 0 where the system tells none."""
    fields = _read(Path("/proc/self/statm")).split()
    return int(fields[field]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > field else 0


def _machine_limit() -> Iterator[tuple[int, str]]:
    """What is free or can be freed, and the swap."""
    said = dict(re.findall(r"^(MemAvailable|SwapFree):\s+(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE))
    if "MemAvailable" in said:
        yield 1024 * sum(map(int, said.values())), "the machine's memory"


def _quota(otherwise: float) -> float:
    """Processors granted by the control group of this process or one above it (version 2, else 1)."""
    granted = [otherwise]
    for folder in _groups("cpu"):
        limit = _read(folder / "cpu.max").split()
        if not limit:
            limit = [_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()]
        if len(limit) == 2 and all(number.isdecimal() for number in limit) and int(limit[1]):
            granted.append(int(limit[0]) / int(limit[1]))
    return min(granted)


def _groups(controller: str, root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """The folders of the control groups with this controller that hold this process, from the root down."""
    folders = [root, root / controller]
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            place = root if controllers == "" else root / controller
            for part in Path(path.lstrip("/")).parts:
                place = place / part
                folders.append(place)
    return folders


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode(errors="replace")
    except OSError:
        return ""
