"""A reader that does what its file says: for tests of the child process."""

import os
import signal
import sys
import tempfile
import time

import numpy as np

from fnnet.data.notes import Note
from fnnet.data.reader import Content
from fnnet.errors import FnnetError, StorageError, UsageError
from fnnet.files.disk import refuse


def content(number=0, pixels=4):
    x = np.full((1, pixels), 7, np.uint8)
    return Content(x, np.array([number]), (1, pixels), notes=(Note("a", "b"),), classes=("a", "b"))


def _raise(error):
    raise error


def _loop():
    while True:
        pass


def _imported():
    heavy = {"numba", "llvmlite", "matplotlib", "requests"} & sys.modules.keys()
    return content(len(heavy))


def _print():
    print("to standard output", flush=True)
    os.write(1, b"\0" * 10_000)
    os.write(2, b"to standard error")
    return content()


def _write():
    with tempfile.TemporaryFile() as file:
        file.write(b"1" * 10_000)
        file.flush()
    return content()


DOES = {
    "fine": content,
    "own process": lambda: content(os.getpid()),
    "imported": _imported,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "loop": _loop,
    "sleep": lambda: time.sleep(600),
    "memory": lambda: content(len(bytearray(2**33))),
    "many": lambda: content(pixels=2**27),
    "raise": lambda: _raise(RuntimeError("one line\nanother")),
    "raise nothing": lambda: _raise(RuntimeError()),
    "missing": lambda: _raise(ImportError("No module named 'other'")),
    "refuse": lambda: refuse("problem", "where", "place", 1, ["found"], "fix"),
    "storage": lambda: _raise(StorageError("disk", where="a")),
    "usage": lambda: _raise(UsageError("option", where="--image", expected=None)),
    "plain": lambda: _raise(FnnetError("plain")),
    "other form": lambda: content()._replace(image_shape=(5, 5)),
    "no labels": lambda: content()._replace(labels=None, test=content(3)),
    "long": lambda: content()._replace(labels_at="a" * 10_000),
    "print": _print,
    "write": _write,
}


def read(file, path, wanted):
    found = DOES[file.read().decode()]()
    return found if wanted.labelled else found._replace(labels=None)
