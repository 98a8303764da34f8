"""Compiling: processes that run `fnnet.kernels.build` side by side, and the object files that they write."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from fnnet.errors import FnnetError
from fnnet.kernels.signatures import SECONDS
from fnnet.limits import available_threads

Found = queue.SimpleQueue[tuple[str, bytes] | None]
"""A part and its object file; None where a process has ended."""


def compile_parts(
    parts: Sequence[str], dtype: str, on_part: Callable[[float], None] = lambda done: None
) -> dict[str, bytes]:
    """Return the object file of each part, compiled in processes of their own.

    These may be interrupted, may fail, and keep their settings apart.

    on_part   is called with the fraction of the work that is done, after each part.
    Raises   FnnetError if they cannot be started, or fail.
    """
    root = str(Path(__file__).resolve().parents[2])
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")])), "NUMBA_OPT": "0"}
    found: Found = queue.SimpleQueue()
    codes: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        running = [_start(some, dtype, env, found, stack) for some in shared_out(parts, available_threads())]
        waiting = len(running)
        while waiting:
            if (new := found.get()) is None:
                waiting -= 1
            else:
                codes[new[0]] = new[1]
                on_part(sum(SECONDS[part] for part in codes) / sum(SECONDS[part] for part in parts))
        for process, errors, drain in running:
            if process.wait() or len(codes) < len(parts):
                drain.join()
                last = b"".join(errors).decode(errors="replace").strip().splitlines()[-1:]
                reason = last[0] if last else f"exit code {process.returncode}"
                raise FnnetError("the kernels cannot be compiled", found=reason)
    return codes


def shared_out(parts: Sequence[str], processes: int) -> list[list[str]]:
    """Return `parts` shared out among at most `processes` lists, which take about as long as one another."""
    shares: list[list[str]] = [[] for _ in range(max(1, min(processes, len(parts))))]
    for part in sorted(parts, key=lambda part: -SECONDS[part]):
        min(shares, key=lambda share: sum(SECONDS[each] for each in share)).append(part)
    return [share for share in shares if share]


def _start(
    parts: Sequence[str], dtype: str, env: dict[str, str], found: Found, stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], list[bytes], threading.Thread]:
    """Start a process; return it, and what it writes to its standard error, complete once the thread has ended."""
    command, pipe = [sys.executable, "-m", "fnnet.kernels.build", dtype, *parts], subprocess.PIPE
    try:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise FnnetError("the compiler cannot be started", found=str(error)) from None
    errors: list[bytes] = []
    assert process.stdout
    assert process.stderr
    # Pipes rather than files, which need a folder; a thread for each, as a process would wait for one that is full.
    readers = [
        threading.Thread(target=_read, args=(parts, process.stdout, found), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True),
    ]
    stack.callback(_end, process, readers)
    for reader in readers:
        reader.start()
    return process, errors, readers[1]


def _read(parts: Sequence[str], stream: IO[bytes], found: Found) -> None:
    """Put each part's object file into `found`, as it comes: its size as 8 bytes, then the file."""
    try:
        for part in parts:
            size = int.from_bytes(stream.read(8), "little")
            code = stream.read(size)
            if not code or len(code) < size:
                break
            found.put((part, code))
    finally:
        found.put(None)


def _drain(stream: IO[bytes], errors: list[bytes]) -> None:
    errors.extend(stream)


def _end(process: subprocess.Popen[bytes], readers: Sequence[threading.Thread]) -> None:
    process.kill()
    process.wait()
    for reader in readers:
        if reader.ident is not None:
            reader.join()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
