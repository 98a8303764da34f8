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
from collections.abc import Collection
from typing import Any

SILENT = 4.0
"""Seconds after which a rank that says nothing is taken for stopped: it says something every half second..."""
BEGINNING = 30.0
"""... and before its first exchange: while libraries are loaded and files decoded, no other thread may run."""
STUCK = 7.0
"""Seconds after which a rank that neither computes nor comes to where the others wait is taken for stuck..."""
SLOW = 300.0
"""... and one that computes, reads or writes for so long, or all if each waits for the others."""
KNOWN = 3
"""Steps of a rank after which it is known how long one takes..."""
TIMES = 10.0
"""... and how many times as long one may take, which is STUCK at least: a loop without an end computes, too."""
BUSY = 0.2
"""A rank computes if its processor time grows by this part of the time."""
STARTING = 120.0
"""Seconds that ranks have to connect."""
ENDING = 1.0
"""Seconds that ranks have to end by themselves."""
LOOK = 0.2
"""Seconds between two looks for a lost rank."""
HELD_UP = 2.0
"""Seconds between two looks after which it was the watcher that did not run, and so perhaps no process of the machine:
one that a scheduler has suspended, or a container that was paused."""
FILES = 32
"""Files that the process needs beside a connection for each rank."""
LINE = 4096
"""Bytes of the longest line that a rank says."""
WORKS, WAITS, IS_SLOW, COMPUTES = 0, 1, 2, 3
"""What a rank does: it makes a step, or is about to; it waits for others; it reads, writes, or waits for a process; it
computes what may take longer than any step before."""


class Rank:
    """What is known of one rank."""

    def __init__(self, connection: socket.socket, about: dict[str, Any]) -> None:
        self.connection, self.number = connection, int(about["rank"])
        self.process, self.machine = int(about["process"]), str(about["machine"])
        self.heard = self.since = time.monotonic()
        self.count, self.does, self.computed, self.at_since = 0, WORKS, 0.0, 0.0
        self.steps, self.longest = 0, 0.0
        self.ended = self.aborts = False

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return f"rank {self.number} (process {self.process} on {self.machine})"

    def hear(self, line: bytes) -> None:
        """Take what it says: a word, or its count of exchanges, what it does, its processor time, the steps that it has
        made, and the seconds of its longest work between exchanges.

        END     it ends, as all do.
        ABORT   it ends all, and has given the reason.
        """
        self.heard = time.monotonic()
        if line in (b"END", b"ABORT"):
            self.ended, self.aborts, self.does, self.since = True, line == b"ABORT", WAITS, self.heard
            return
        count, does, computed, steps, longest = line.split()
        self.computed, self.steps, self.longest = float(computed), int(steps), float(longest)
        if (int(count), int(does)) != (self.count, self.does):
            self.count, self.does, self.since, self.at_since = int(count), int(does), self.heard, self.computed

    def lost(self, all_wait: bool, some_wait: bool, first: float, last: float) -> str:
        """Return why the rank is taken for lost; "" if it is not.

        all_wait, some_wait   whether all ranks wait, and whether some do.
        first, last           when the first and the last began what they do.
        """
        now = time.monotonic()
        silent = SILENT if self.count else BEGINNING
        if now - self.heard > silent:
            return f"has not answered for {silent:.0f} seconds: it is stopped, or its machine is gone"
        at, computed = now - self.since, self.computed - self.at_since
        if self.does == WAITS:  # so may all, once a message is lost; the one that waits longest is the furthest behind
            stalled = all_wait and self.since == first and now - last > SLOW
            return f"and all others have waited for {now - last:.0f} seconds" if stalled else ""
        limit = SLOW if self.does == IS_SLOW or computed > BUSY * at else STUCK
        if self.does == WORKS and self.steps >= KNOWN:
            limit = min(limit, max(STUCK, TIMES * self.longest))
        if some_wait and at > limit:
            return f"is stuck: the others have waited for it for {at:.0f} seconds"
        return ""

    def pass_over(self, seconds: float) -> None:
        """Do not count some seconds in which nobody listened."""
        now = time.monotonic()
        self.heard, self.since = min(now, self.heard + seconds), min(now, self.since + seconds)

    def is_there(self) -> bool:
        """Return True as long as its connection is open: then its process is there, and its number not another's."""
        try:
            while self.connection.recv(LINE):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


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
    """Listens to `size` ranks until all have ended or one is lost.

    here   the ranks whose processes it may end: their numbers have the same meaning to it.
    """

    def __init__(self, listener: socket.socket, size: int, here: Collection[int], token: str, hint: str) -> None:
        self._listener, self._size, self._here, self._token, self._hint = listener, size, here, token, hint
        self._ranks: dict[int, Rank] = {}
        self._ready = selectors.DefaultSelector()
        self._ready.register(listener, selectors.EVENT_READ)

    def run(self) -> int:
        """Return the exit code: 1 if a rank was lost."""
        last, looked = time.monotonic() + STARTING, time.monotonic()
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
                looked = time.monotonic()
                continue
            now = time.monotonic()
            if now - looked >= LOOK:  # not for each word: a thousand ranks say two thousand in a second
                if now - looked > HELD_UP:
                    for rank in self._ranks.values():
                        rank.pass_over(now - looked)
                looked = now
                lost, why = self._lost()
                if lost:
                    return self._end(lost.name, why)
        return 0

    def _lost(self) -> tuple[Rank | None, str]:
        """Return a rank that is taken for lost, and why."""
        ranks = self._ranks.values()
        waits, since = [rank.does == WAITS for rank in ranks], [rank.since for rank in ranks]
        about = all(waits), any(waits), min(since), max(since)
        found = ((rank, rank.lost(*about)) for rank in ranks if not rank.ended)
        return next((each for each in found if each[1]), (None, ""))

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
        for rank in self._ranks.values():
            if rank.number in self._here and not rank.ended and rank.is_there():
                try:
                    os.kill(rank.process, signal.SIGKILL)
                except OSError:
                    continue
        return 1


def _may_open(files: int) -> bool:
    """Return whether this process may have `files` files open; the system's limit is raised as far as it may be."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= files:
            return True
        most = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (ImportError, OSError, ValueError):
        return True
    return most >= files


def main() -> int:
    """Listen on a port of the machine, or of this host alone; without a word where there is none."""
    given = json.loads(sys.stdin.readline())
    if not _may_open(given["size"] + FILES):
        return 1
    try:
        listener = socket.create_server(("127.0.0.1" if given["alone"] else "", 0), backlog=given["size"])
    except OSError:
        return 1
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.close()
    sys.stdout.close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return Watcher(listener, given["size"], given["here"], given["token"], given["hint"]).run()


if __name__ == "__main__":
    sys.exit(main())
