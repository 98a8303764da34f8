"""Limits that the system sets to this process: threads that run at once, and memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

SPACE, RESIDENT, DATA = 0, 1, 5
"""Fields of /proc/self/statm, in pages: the address space, the resident memory, data and stack."""


def available_threads() -> int:
    """Return how many threads can run at once: this process's processors, at most the quota of its control group."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, int(_quota(processors))))


def available_bytes() -> tuple[int, str] | None:
    """Return the bytes this process may still allocate and the name of the limit; None if no limit is known."""
    found = [limit for limits in (_own_limits(), _group_limits(), _machine_limit()) for limit in limits]
    return min((max(0, most), what) for most, what in found) if found else None


def address_space() -> int | None:
    """Return the bytes of address space that `ulimit -v` leaves this process; None if it sets no limit."""
    return next((most for most, what in _own_limits() if what == "ulimit -v"), None)


def _own_limits() -> Iterator[tuple[int, str]]:
    """Yield `ulimit -v` and `ulimit -d`, less the memory in use."""
    try:
        import resource
    except ImportError:
        return
    for name, field, what in (("RLIMIT_AS", SPACE, "ulimit -v"), ("RLIMIT_DATA", DATA, "ulimit -d")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - _in_use(field), what


def _group_limits() -> Iterator[tuple[int, str]]:
    """Yield the memory limits of the control groups of this process, less its resident memory."""
    own = _in_use(RESIDENT)
    for folder in _groups("memory"):
        limit = _read(folder / "memory.max").strip() or _read(folder / "memory.limit_in_bytes").strip()
        if limit.isdecimal():
            yield int(limit) - own, "the control group"


def _in_use(field: int) -> int:
    """Return the bytes in a field of /proc/self/statm; 0 where the system has no such file."""
    fields = _read(Path("/proc/self/statm")).split()
    return int(fields[field]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > field else 0


def _machine_limit() -> Iterator[tuple[int, str]]:
    """Yield the memory that is free or can be freed, and the swap."""
    sizes = dict(re.findall(r"^(MemAvailable|SwapFree):\s+(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE))
    if "MemAvailable" in sizes:
        yield 1024 * sum(map(int, sizes.values())), "the machine's memory"


def _quota(processors: float) -> float:
    """Return the smallest quota of processors of this process's control groups (version 2, else 1), or `processors`."""
    granted = [processors]
    for folder in _groups("cpu"):
        limit = _read(folder / "cpu.max").split()
        if not limit:
            limit = [_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()]
        if len(limit) == 2 and all(number.isdecimal() for number in limit) and int(limit[1]):
            granted.append(int(limit[0]) / int(limit[1]))
    return min(granted)


def _groups(controller: str, root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Return the folders of this process's control groups that have this controller, from the root down."""
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
