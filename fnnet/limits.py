"""Limits: the ranges of values that options and arguments take, and the threads and memory that the system allows.

Light, as `--help` imports it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple


class Range(NamedTuple):
    """A range of finite numbers: `words` describe it in messages, `contains` tests a number."""

    words: str
    contains: Callable[[Any], bool]


FINITE: Final = Range("a finite number", lambda number: True)
POSITIVE: Final = Range("a finite number > 0", lambda number: number > 0)
NONNEGATIVE: Final = Range("a finite number >= 0", lambda number: number >= 0)
FRACTION: Final = Range("0 or more and less than 1", lambda number: 0 <= number < 1)
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")
DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:nan|inf)", re.IGNORECASE)
MAX_THREADS: Final = 1024
MOST_SHARDS: Final = 4096
MOST_LOCAL_STEPS: Final = 10_000
MOST_NETWORKS: Final = 10_000
MOST_TIMES: Final = 10**6
MOST_WINDOW: Final = 2**31 - 1
MOST_MEMBERS: Final = 500
"""Of a committee: a model file describes each, and its description has 1 MiB."""
MAX_CLASSES: Final = 10**6
MAX_SIZE: Final = 512
"""Height and width that pictures are scaled to, at most."""
MIN_RANGE_TEST_STEPS: Final = 10
"""The fewest steps of a learning-rate range test; a shorter curve gives no suggestion."""

THREAD_LIMITS: Final = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables by which users and schedulers of clusters limit the threads of programs."""
BLAS_LIMITS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Those by which NumPy's BLAS goes when it is loaded, the first first; without them it takes all processors."""

SPACE, RESIDENT, DATA = 0, 1, 5
"""Fields of /proc/self/statm, in pages: the whole address space, resident memory, data and stack."""
LAUNCHED: Final = (
    ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
    ("MPI_LOCALNRANKS", "MPI_LOCALRANKID", "MPI_LOCALRANKID"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
)
"""Variables in which launchers of MPI tell a process how many were started, which it is, and which on its machine."""


def whole_number(text: str) -> int | None:
    """Return the number that a text of decimal digits writes, with or without a sign; None for any other text.

    Python would take 1_000 and the digits of every script, too, which data files refuse.
    """
    return int(text) if WHOLE.fullmatch(text.strip()) else None


def decimal_number(text: str) -> float | None:
    """Return the number that a text writes with decimal digits, a point or an exponent; None for any other text.

    "nan" and "inf" are numbers here, which no range contains: messages then name the range.
    """
    return float(text) if DECIMAL.fullmatch(text.strip()) else None


def available_threads() -> int:
    """Return how many threads can run at once: the processors of this process, or the share of its control group.

    At most as many as the variables of THREAD_LIMITS allow.
    """
    wanted = [os.environ.get(name, "").split(",")[0].strip() for name in THREAD_LIMITS]
    limits = [int(number) for number in wanted if number.isascii() and number.isdecimal() and int(number)]
    return min([granted(len(processors())), *limits])


def processors() -> set[int]:
    """Return the numbers of the processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {*range(os.cpu_count() or 1)}


def granted(processors: int) -> int:
    """Return how many threads can run at once on some processors: fewer where the control group has only a share."""
    return max(1, int(_quota(processors)))


def launched() -> int:
    """Return with how many processes a launcher of MPI started this one; 1 if none did.

    It imports no MPI: a process that was started by hand never loads it.
    """
    if "mpi4py.MPI" in sys.modules:
        return int(sys.modules["mpi4py.MPI"].COMM_WORLD.Get_size())
    return max([1, *(size for size, *_ in _told())])


def launched_as() -> tuple[int, int]:
    """Return which of these processes this is, and which of those on its machine, before MPI knows it, from 0 on."""
    return next(((rank, local) for _, rank, local in _told()), (0, 0))


def _told() -> Iterator[tuple[int, int, int]]:
    """Yield what each launcher that started this process says, as LAUNCHED has it."""
    heirs = () if _is_open(os.environ.get("PMI_FD")) else ("PMI_", "MPI_")  # the launcher started a parent of this one
    for names in LAUNCHED:
        if names[0].startswith(heirs) or (names[0].startswith("SLURM_") and "PMIX_RANK" not in os.environ):
            continue  # Slurm's tasks are ranks where PMIx numbers them, and else may be anything
        told = [os.environ.get(name, "") for name in names]
        size, rank, local = (int(each) if each.isascii() and each.isdecimal() else None for each in told)
        if size is not None:
            yield size, rank or 0, (rank or 0) if local is None else local


def _is_open(handle: str | None) -> bool:
    """Return False if this is the number of a handle that is not open in this process."""
    try:
        os.fstat(int(handle or ""))
    except (OSError, OverflowError):
        return False
    except ValueError:
        return True
    return True


def available_bytes() -> tuple[int, str] | None:
    """Return the bytes this process may still allocate and the name of the limit; None if no limit is known."""
    found = [limit for limits in (_own_limits(), _group_limits(), _machine_limit()) for limit in limits]
    return min((max(0, most), what) for most, what in found) if found else None


def address_space() -> int | None:
    """Return the bytes of addresses that `ulimit -v` leaves to this process; None if it sets no limit."""
    return next((most for most, what in _own_limits() if what == "ulimit -v"), None)


def _own_limits() -> Iterator[tuple[int, str]]:
    """Yield `ulimit -v` and `ulimit -d`, less what the process uses of them."""
    try:
        import resource
    except ImportError:
        return
    for name, field, what in (("RLIMIT_AS", SPACE, "ulimit -v"), ("RLIMIT_DATA", DATA, "ulimit -d")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - in_use(field), what


def _group_limits() -> Iterator[tuple[int, str]]:
    """Yield the memory limits of the control groups of this process, less its resident memory."""
    own = in_use(RESIDENT)
    for folder in _groups("memory"):
        limit = _read(folder / "memory.max").strip() or _read(folder / "memory.limit_in_bytes").strip()
        if limit.isdecimal():
            yield int(limit) - own, "the control group"


def in_use(field: int) -> int:
    """Return the bytes in one of statm's fields; 0 where the system has no statm."""
    fields = _read(Path("/proc/self/statm")).split()
    return int(fields[field]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > field else 0


def _machine_limit() -> Iterator[tuple[int, str]]:
    """Yield the memory that is free or can be freed, swap included."""
    found = dict(re.findall(r"^(MemAvailable|SwapFree):\s+(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE))
    if "MemAvailable" in found:
        yield 1024 * sum(map(int, found.values())), "the machine's memory"


def _quota(otherwise: float) -> float:
    """Return the processors granted by the control group of this process or one above it (version 2, else 1)."""
    granted = [otherwise]
    for folder in _groups("cpu"):
        limit = _read(folder / "cpu.max").split()
        if not limit:
            limit = [_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()]
        if len(limit) == 2 and all(number.isdecimal() for number in limit) and int(limit[1]):
            granted.append(int(limit[0]) / int(limit[1]))
    return min(granted)


def _groups(controller: str, root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Return the folders of the control groups of this process that have this controller, from the root down."""
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
