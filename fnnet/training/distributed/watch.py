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
from pathlib import Path
from typing import Any, Final

BEAT: Final = 0.5
"""Seconds between two words."""
LOST: Final = 1
"""The exit code of a rank that ends as another is lost."""
HINT: Final = "a run with --run-dir goes on with --resume"


class Watch:
    """The word that a rank keeps with the watcher.

    count   of the exchanges with other ranks that it has begun.
    waits   True while it waits in one.
    note    why the ranks are not watched; "" if they are.
    """

    def __init__(self, comm: Any, alone: bool) -> None:
        self.count, self.waits = 0, False
        place: tuple[str, int, str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if comm.Get_rank() == 0:
            self._process, place = _start(comm.Get_size(), alone)
        host, port, token = comm.bcast(place)
        self._over, self._connection = threading.Event(), _connected(host, port)
        about = {"rank": comm.Get_rank(), "process": os.getpid(), "machine": socket.gethostname(), "token": token}
        self._say(json.dumps(about))
        unwatched = [each for each in comm.allgather("" if self._connection else socket.gethostname()) if each]
        self.note = f"ranks are not watched: {unwatched[0]} cannot connect to {host}, port {port}" if unwatched else ""
        if unwatched:
            self._over.set()
            if self._process:
                self._process.kill()
                self._process.wait()
            return
        for work in (self._speak, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def enter(self) -> None:
        """Note that the rank comes to an exchange with others."""
        self.count += 1
        self.waits = True

    def leave(self) -> None:
        """Note that it goes on."""
        self.waits = False

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
            self._say(f"{self.count} {int(self.waits)} {time.process_time():.3f}")

    def _listen(self) -> None:
        assert self._connection
        try:
            word = self._connection.recv(16)
        except OSError:
            word = b""
        if word and not self._over.is_set():
            os._exit(LOST)


def _connected(host: str, port: int) -> socket.socket | None:
    try:
        connection = socket.create_connection((host, port), timeout=10)
    except OSError:
        return None
    connection.settimeout(None)
    return connection


def _start(size: int, alone: bool) -> tuple[subprocess.Popen[bytes], tuple[str, int, str]]:
    """Start the watcher; return it with its host, its port and the word that it knows the ranks by."""
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("watcher.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    given = {"size": size, "alone": alone, "token": token, "hint": HINT}
    process.stdin.write(f"{json.dumps(given)}\n".encode())
    process.stdin.close()
    port = int(process.stdout.readline())
    process.stdout.close()
    return process, ("127.0.0.1" if alone else socket.gethostname(), port, token)
