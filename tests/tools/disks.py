"""File systems that count, fail, end the process or record: wrappers of `fnnet.files.disk.DISK`."""

import errno
import functools
import os
from pathlib import Path

from fnnet.files.disk import DISK, FileSystem

SECTOR = 512


class KilledError(BaseException):
    """The process has ended: no call after this takes effect."""


def around(call, disk=DISK):
    """`disk` with every call made by `call(name, real, *arguments)`."""
    return FileSystem(*(functools.partial(call, name, getattr(disk, name)) for name in FileSystem._fields))


class Kill:
    """Ends the process before call number `at`, counted from 1; a write leaves half of its bytes. `calls` counts."""

    def __init__(self, at=0):
        self.at, self.calls, self._dead, self._open = at, 0, False, set()
        self.disk = around(self._call)

    def _call(self, name, real, *arguments):
        self.calls += not self._dead
        if self._dead or self.calls == self.at:
            if name == "write" and not self._dead:
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            self._dead = True
            raise KilledError
        result = real(*arguments)
        if name == "open":
            self._open.add(result)
        elif name == "close":
            self._open.discard(arguments[0])
        return result

    def bury(self):
        """Close what the ended process had open, as the system does."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()


ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS")}


class Fault:
    """Fails at the call number `at`, or from it on: with an error of the system, or by writing and reading less."""

    def __init__(self, at, kind, lasting):
        self.at, self.kind, self.lasting, self.calls, self.hit = at, kind, lasting, 0, False
        self.disk = around(self._call)

    def _call(self, name, real, *arguments):
        self.calls += 1
        if not (self.calls == self.at or (self.lasting and self.calls > self.at)):
            return real(*arguments)
        if self.kind == "short":
            if name == "write" and len(arguments[1]) > 1:
                self.hit = True
                return real(arguments[0], bytes(arguments[1])[: -(-len(arguments[1]) // 3)])
            if name == "read" and arguments[1] > 1:
                self.hit = True
                return real(arguments[0], -(-arguments[1] // 3))
            return real(*arguments)
        self.hit = True
        if name == "close":  # the descriptor is gone all the same
            real(*arguments)
        raise OSError(ERRORS[self.kind], os.strerror(ERRORS[self.kind]))


class Recording:
    """Records what was done to files below `root`, which is empty at first, and may lose what was not synced."""

    def __init__(self, root):
        self.root, self.log, self._files, self._numbers = Path(root), [], {}, {}
        self.disk = around(self._call)

    def mark(self, value):
        """Note that by now the program has reported `value`."""
        self.log.append(("told", value))

    def _call(self, name, real, *arguments):
        if name == "open":
            return self._opened(real, *arguments)
        place = os.lseek(arguments[0], 0, os.SEEK_CUR) if name == "write" else None
        result = real(*arguments)
        if name == "write":
            self._note("write", self._files[arguments[0]], place, bytes(arguments[1])[:result])
        elif name in ("truncate", "fsync"):
            self._note(name, self._files[arguments[0]], *arguments[1:])
        elif name in ("replace", "unlink", "mkdir", "sync_folder"):
            self._note(name, *(os.path.relpath(path, self.root) for path in arguments))
        return result

    def _opened(self, real, path, flags, mode):
        there = os.path.lexists(path)
        descriptor = real(path, flags, mode)
        inode = os.fstat(descriptor).st_ino
        if not there:  # the system gives numbers of removed files again
            self._numbers[inode] = len(self.log)
            self._note("create", os.path.relpath(path, self.root), len(self.log))
        self._files[descriptor] = self._numbers[inode]
        return descriptor

    def _note(self, *entry):
        self.log.append(entry)


def told(log):
    """What the program had last reported at the end of this log; None if it had not."""
    return next((entry[1] for entry in reversed(log) if entry[0] == "told"), None)


def after_power_loss(log, rng, mode):
    """What the disk may hold when the power fails at the end of `log`: path -> bytes, None for a folder.

    What was synced is there. Of the rest, by `mode`: "none" nothing, "all" everything, "any" each call or not, and
    "torn" each write in part: by sectors some of which are lost, zeros or old.
    """
    keeps = {"none": lambda: False, "all": lambda: True}.get(mode, lambda: rng.random() < 0.5)
    synced_data, synced_names = _synced(log)
    contents, names = {}, {}
    for place, (kind, *arguments) in enumerate(log):
        if kind in ("write", "truncate"):
            content = contents.setdefault(arguments[0], bytearray())
            safe = place < synced_data.get(arguments[0], -1)
            if safe or keeps():
                _change(content, kind, arguments[1:], None if safe or mode != "torn" else rng)
        elif kind == "create":
            contents.setdefault(arguments[1], bytearray())
            if _is_safe(place, arguments[:1], synced_names) or keeps():
                names[arguments[0]] = arguments[1]
        elif kind in ("mkdir", "unlink", "replace") and (_is_safe(place, arguments, synced_names) or keeps()):
            _rename(names, kind, arguments)
    lost = [name for name in names if any(str(folder) not in names for folder in Path(name).parents[:-1])]
    return {name: None if names[name] is None else bytes(contents[names[name]]) for name in names if name not in lost}


def _synced(log):
    """Of each file the place in the log of its last fsync, and of each folder that of its last sync."""
    data, names = {}, {}
    for place, (kind, *arguments) in enumerate(log):
        if kind == "fsync":
            data[arguments[0]] = place
        elif kind == "sync_folder":
            names[arguments[0]] = place
    return data, names


def _is_safe(place, paths, synced):
    return all(place < synced.get(os.path.dirname(path) or ".", -1) for path in paths)


def _rename(names, kind, arguments):
    if kind == "mkdir":
        names[arguments[0]] = None
    elif arguments[0] in names:
        file = names.pop(arguments[0])
        if kind == "replace":
            names[arguments[1]] = file


def _change(content, kind, arguments, rng):
    if kind == "truncate":
        del content[arguments[0] :]
        return
    place, data = arguments
    content.extend(bytes(max(0, place + len(data) - len(content))))
    for start in range(0, len(data), SECTOR):
        sector = data[start : start + SECTOR]
        fate = rng.choice(["new", "new", "new", "old", "zeros", "half"]) if rng else "new"
        if fate == "zeros":
            sector = bytes(len(sector))
        elif fate == "half":
            sector = sector[: rng.randrange(len(sector) + 1)]
        if fate != "old":
            content[place + start : place + start + len(sector)] = sector


def lay_out(state, folder):
    """Write the files of a state into an empty folder."""
    for name in sorted(state):
        path = folder / name
        if state[name] is None:
            path.mkdir()
        else:
            path.write_bytes(state[name])
