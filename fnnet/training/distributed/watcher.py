"""A process that watches ranks, and ends all of them when one is lost: `watch` starts it, for the first rank.

It belongs to no launcher of MPI: it outlives the ranks that a launcher kills, and can still say which was the first.
It imports nothing of fnnet. It prints the port that it listens on; each rank connects, says its number, process and
machine in a line of JSON, and then every BEAT seconds what it is doing.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any

SILENT = 4.0
"""Seconds after which a rank that says nothing is taken for stopped: it says something every half second."""
STUCK = 7.0
"""Seconds after which a rank that neither computes nor comes to where the others wait is taken for stuck..."""
SLOW = 300.0
"""... and one that computes for so long."""
BUSY = 0.2
"""A rank computes if its processor time grows by this part of the time."""
STARTING = 120.0
"""Seconds that ranks have to connect."""
ENDING = 1.0
"""Seconds that ranks have to end by themselves."""
LINE = 4096
"""Bytes of the longest line that a rank says."""


class Rank:
    """What is known of one rank."""

    def __init__(self, connection: socket.socket, about: dict[str, Any]) -> None:
        self.connection, self.number = connection, int(about["rank"])
        self.process, self.machine = int(about["process"]), str(about["machine"])
        self.heard = self.since = time.monotonic()
        self.count, self.waits, self.computed, self.at_since = -1, False, 0.0, 0.0
        self.ended = self.aborts = False

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return f"rank {self.number} (process {self.process} on {self.machine})"

    def hear(self, line: bytes) -> None:
        """Take what it says: a word, or its count of exchanges, whether it waits in one, and its processor time.

        END     it ends, as all do.
        ABORT   it ends all, and has given the reason.
        """
        self.heard = time.monotonic()
        if line in (b"END", b"ABORT"):
            self.ended, self.aborts = True, line == b"ABORT"
            return
        count, waits, computed = line.split()
        if (int(count), waits == b"1") != (self.count, self.waits):
            self.count, self.waits, self.since, self.at_since = int(count), waits == b"1", self.heard, float(computed)
        self.computed = float(computed)

    def lost(self, others_wait: bool) -> str:
        """Return why the rank is taken for lost; "" if it is not."""
        now = time.monotonic()
        if now - self.heard > SILENT:
            return f"has not answered for {SILENT:.0f} seconds: it is stopped, or its machine is gone"
        at, computed = now - self.since, self.computed - self.at_since
        if others_wait and not self.waits and at > (SLOW if computed > BUSY * at else STUCK):
            return f"is stuck: the others have waited for it for {at:.0f} seconds"
        return ""


class Speaker:
    """A connection: the line that has not come whole yet, and the rank that it has shown to be."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection, self.rest = connection, b""
        self.rank: Rank | None = None

    def hear(self, found: bytes, token: str) -> None:
        """Take the bytes that came; raise ValueError, KeyError or TypeError if they are not those of a rank."""
        *lines, self.rest = (self.rest + found).split(b"\n")
        for line in lines:
            if self.rank:
                self.rank.hear(line)
                continue
            about = json.loads(line)
            if about["token"] != token:
                raise ValueError
            self.rank = Rank(self.connection, about)
        if len(self.rest) > LINE:
            raise ValueError


class Watcher:
    """Listens to `size` ranks until all have ended or one is lost."""

    def __init__(self, listener: socket.socket, size: int, token: str, hint: str) -> None:
        self._listener, self._size, self._token, self._hint = listener, size, token, hint
        self._ranks: dict[int, Rank] = {}
        self._ready = selectors.DefaultSelector()
        self._ready.register(listener, selectors.EVENT_READ)

    def run(self) -> int:
        """Return the exit code: 1 if a rank was lost."""
        last = time.monotonic() + STARTING
        while len(self._ranks) < self._size or not all(rank.ended for rank in self._ranks.values()):
            for key, _ in self._ready.select(0.25):
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._ready.register(connection, selectors.EVENT_READ, Speaker(connection))
                    continue
                why, rank = self._listen(key.data), key.data.rank
                if why and rank:
                    return self._end(rank.name, why)
                if rank and rank.aborts:
                    return self._end()
            if len(self._ranks) < self._size:
                if time.monotonic() > last:
                    missing = [str(each) for each in range(self._size) if each not in self._ranks]
                    return self._end(f"rank {' and '.join(missing)}", f"did not start within {STARTING:.0f} seconds")
                continue
            for rank in self._ranks.values():
                others = [other for other in self._ranks.values() if other is not rank]
                if not rank.ended and (why := rank.lost(any(other.waits for other in others))):
                    return self._end(rank.name, why)
        return 0

    def _listen(self, speaker: Speaker) -> str:
        """Take what a rank says, with its first line too; return why it is lost, "" if it is not."""
        try:
            found = speaker.connection.recv(4096)
        except BlockingIOError:
            return ""
        except OSError:
            found = b""
        if found:
            try:
                speaker.hear(found, self._token)
            except (ValueError, KeyError, TypeError):
                found = b""
        if speaker.rank:
            self._ranks[speaker.rank.number] = speaker.rank
        if found:
            return ""
        self._ready.unregister(speaker.connection)
        if speaker.rank:
            return "" if speaker.rank.ended else "ended without a word: it was killed, or left early"
        speaker.connection.close()
        return ""

    def _end(self, name: str = "", why: str = "") -> int:
        """Say which rank is lost, unless that is known, and end the others."""
        if name:
            sys.stderr.write(f"error: {name} {why}; all ranks end; {self._hint}\n")
            sys.stderr.flush()
        for rank in self._ranks.values():
            try:
                rank.connection.send(b"END\n")
            except OSError:
                continue
        time.sleep(ENDING)
        here = socket.gethostname()
        for rank in self._ranks.values():
            if rank.machine == here and not rank.ended:
                try:
                    os.kill(rank.process, signal.SIGKILL)
                except OSError:
                    continue
        return 1


def main() -> int:
    """Listen on a port of the machine, or of this host alone."""
    given = json.loads(sys.stdin.readline())
    listener = socket.create_server(("127.0.0.1" if given["alone"] else "", 0), backlog=given["size"])
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.close()
    sys.stdout.close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return Watcher(listener, given["size"], given["token"], given["hint"]).run()


if __name__ == "__main__":
    sys.exit(main())
