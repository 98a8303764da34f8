"""What the programs that measure share: where the checkout is, what the machine is, how a time is written."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
UNITS: Final = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
PACKAGES: Final = ("numpy", "numba", "torch", "jax", "scikit-learn", "onnxruntime", "ai-edge-litert", "mnn", "openvino")


def cpu_name() -> str:
    """Return the processor's name from /proc/cpuinfo, followed by LLVM's name for it."""
    from fnnet.kernels.machine import machine

    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} ({machine().cpu})"
    return f"{platform.machine()} ({machine().cpu})"


def versions() -> dict[str, str]:
    """Return the installed version of each library that is compared."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def rewrite(page: Path, begin: str, inside: str, end: str) -> None:
    """Replace the text between two marks of a page."""
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + inside + end + rest.split(end)[1])


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells as a page has it."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def time_text(seconds: float) -> str:
    """Return a time with three digits and its unit: 1.23 s, 45.6 ms, 789 us."""
    seconds = float(f"{seconds:.3g}")
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"
