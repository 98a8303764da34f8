"""A rank under the eyes of a watcher: a thread says twice in a second what the rank is doing, see `watcher`."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from fnnet.files import owner
from fnnet.training.distributed.watcher import COMPUTES, IS_SLOW, WAITS, WORKS

BEAT: Final = 0.5
"""Seconds between two words."""
LOST: Final = 1
"""The exit code of a rank that ends as another is lost."""
HINT: Final = "a run with --run-dir goes on with --resume"
Place = tuple[str, int, str]
"""The host of the watcher, its port, and the word that it knows the ranks by."""


class Watch:
    """The word that a rank keeps with the watcher.

    count     of the exchanges with other ranks that it has begun.
    does      WORKS, WAITS, IS_SLOW or COMPUTES.
    steps     that it has made.
    longest   seconds of its longest work from one exchange to the next since the first step, nothing slow between.
    note      why the ranks are not watched; "" if they are.
    """

    def __init__(self, comm: Any, alone: bool) -> None:
        self.count, self.does, self.steps, self.longest = 0, WORKS, 0, 0.0
        self._between, self._began = WORKS, 0.0
        place: Place | None = None
        self._process: subprocess.Popen[bytes] | None = None
        owners = comm.allgather(owner.this_process())
        if comm.Get_rank() == 0:
            here = [rank for rank, each in enumerate(owners) if owner.is_within_reach(each)]
            self._process, place = _start(comm.Get_size(), alone, here)
        host, port, token = comm.bcast(place)
        self._over, self._connection = threading.Event(), _connected(host, port)
        about = {"rank": comm.Get_rank(), "process": os.getpid(), "machine": socket.gethostname(), "token": token}
        self._say(json.dumps(about))
        unwatched = [each for each in comm.allgather("" if self._connection else socket.gethostname()) if each]
        where = f"{host}, port {port}" if port else f"{host}, which opens no port"
        self.note = f"ranks are not watched: {unwatched[0]} cannot connect to {where}" if unwatched else ""
        if unwatched:
            self._over.set()
            if self._process:
                self._process.kill()
                self._process.wait()
            return
        for work in (self._speak, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def enter(self, step: bool = False) -> None:
        """Note that the rank comes to an exchange with others, of a step or another, or gets on in it."""
        if self._began:
            self.longest, self._began = max(self.longest, time.monotonic() - self._began), 0.0
        self.count, self.steps = self.count + 1, self.steps + step
        self.does = WAITS

    def leave(self) -> None:
        """Note that it goes on."""
        self.does = self._between
        if self.steps and self.does == WORKS:
            self._began = time.monotonic()

    @contextlib.contextmanager
    def slow(self, computes: bool) -> Iterator[None]:
        """Context manager: what the rank does may take long: it waits or, if it `computes`, computes."""
        before = self._between
        self.does = self._between = COMPUTES if computes else IS_SLOW
        self._began = 0.0
        try:
            yield
        finally:
            self.does = self._between = before

    def end(self) -> None:
        """Take leave: the rank ends, as all do."""
        self._end("END")
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # so that the thread that listens ends
            self._connection.close()
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(BEAT)

    def abort(self) -> None:
        """Have all ranks end; this one has given the reason."""
        self._end("ABORT")

    def _end(self, word: str) -> None:
        self._over.set()
        self._say(word)

    def _say(self, line: str) -> None:
        try:
            if self._connection:
                self._connection.sendall(f"{line}\n".encode())
        except OSError:
            self._over.set()  # the watcher is gone; the rank goes on without

    def _speak(self) -> None:
        while not self._over.wait(BEAT):
            self._say(f"{self.count} {self.does} {time.process_time():.3f} {self.steps} {self.longest:.3f}")

    def _listen(self) -> None:
        assert self._connection
        try:
            word = self._connection.recv(16)
        except OSError:
            word = b""
        if word and not self._over.is_set():
            os._exit(LOST)


def _connected(host: str, port: int) -> socket.socket | None:
    if not port:
        return None
    try:
        connection = socket.create_connection((host, port), timeout=10)
    except OSError:
        return None
    connection.settimeout(None)
    return connection


def _start(size: int, alone: bool, here: Collection[int]) -> tuple[subprocess.Popen[bytes] | None, Place]:
    """Start the watcher; return it with its place, whose port is 0 if it could not start.

    alone   whether all ranks are of this machine.
    here    those whose processes it may end, by their numbers.
    """
    token, host = secrets.token_hex(16), "127.0.0.1" if alone else socket.gethostname()
    process: subprocess.Popen[bytes] | None = None
    given = {"size": size, "alone": alone, "here": [*here], "token": token, "hint": HINT}
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("watcher.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        with process.stdin as said, process.stdout as answer:
            said.write(f"{json.dumps(given)}\n".encode())
            said.close()
            return process, (host, int(answer.readline() or 0), token)
    except OSError:  # no more processes, or it ended at once
        return process, (host, 0, token)
