"""Processes that measure: workers that are asked again and again, and whole programs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


class Worker:
    """A process that answers JSON lines with JSON lines, with a number of threads for every library."""

    def __init__(self, name: str, command: Sequence[str], threads: int, cwd: Path, env: Mapping[str, str]) -> None:
        self.name, self.threads = name, threads
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **limits, "KMP_BLOCKTIME": "0", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if threads == 1 and hasattr(os, "sched_setaffinity"):
            # JAX has no other way to limit its threads.
            os.sched_setaffinity(self._process.pid, {min(os.sched_getaffinity(0))})

    def send(self, question: dict[str, Any]) -> None:
        """Ask, without waiting for the answer."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the worker's answer; that of a process that died has `able` False."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"able": False, "error": "the process died"}
        return answer

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self.send(question)
        return self.answer()

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()


def run_program(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Run a program to its end; return its seconds and its peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise click.ClickException(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss / 1024
