"""Formats whose libraries decode in C are read in a child process, with limits of memory and time.

A damaged file may crash such a library or make it take all memory: the child ends, and the reader raises a DataError.
The child gets the open file, and returns what it holds; see `child_main` for its side.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BufferedReader
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

import numpy as np

from fnnet import errors
from fnnet.core.params import Array, freeze
from fnnet.data import bounds
from fnnet.data.grey import POINTS
from fnnet.data.notes import Note
from fnnet.data.opened import AGAIN, AnyPath, Packed
from fnnet.data.reader import Content, Wanted
from fnnet.errors import FnnetError
from fnnet.files.disk import MAX_FILE_BYTES, refuse
from fnnet.limits import available_bytes

OWN: Final = 512 * 2**20
"""Bytes of memory that the libraries themselves may take."""
COPIES: Final = 3
"""How often the numbers of a file are in memory at most: as stored, in another order, as bytes."""
START: Final = 10
"""Seconds of processor time for any file."""
SPEED: Final = 2**24
"""Bytes that are unpacked in a second at least."""
WAIT: Final = 10
"""Seconds on the clock for each second of processor time: other programs and slow disks take their share."""
MAX_HEADER: Final = 2**26
"""Bytes of the description of a content: a million names of classes."""
ALONE: Final = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "HDF5_PLUGIN_PRELOAD": "::",
}  # fmt: skip
"""Environment of the child: one thread, memory that is counted, no filters of HDF5 that a file names."""
ERRORS: Final = {
    each.__name__: each for each in (errors.DataError, errors.StorageError, errors.UsageError, errors.FnnetError)
}
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    np.dtype(each).str: np.dtype(each) for each in (np.uint8, np.int64, np.float64)
}
"""The dtypes of images, labels and the rows of tables."""

inside = False
"""True in a child, where files are read directly."""
_kept = threading.local()


class Limits(NamedTuple):
    """What reading a file may take: bytes of memory, seconds of processor time."""

    memory: int
    seconds: int


class Reader:
    """The function `read` of a format: reads the file in a child with the function `read` of a module.

    name     of the format, for messages.
    module   that has the function `read`.
    """

    def __init__(self, name: str, module: str) -> None:
        self.name, self.module = name, module

    def __call__(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        """Return what the file holds; see `read_in_child`."""
        return self.direct(file, path, wanted) if inside else read_in_child(self, file, path, wanted)

    def direct(self, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
        """Return what the file holds, read in this process.

        Raises   DataError for whatever a library raises: a file that it does not expect.
        """
        read: Callable[[BufferedReader, AnyPath, Wanted], Content] = import_module(self.module).read
        try:
            return read(file, path, wanted)
        except (FnnetError, ImportError, MemoryError):
            raise
        except Exception as error:
            found = str(error).partition("\n")[0][:120] or type(error).__name__
            problem, expected = f"damaged or unsupported {self.name} file", f"a whole {self.name} file"
            refuse(problem, path, "the file", expected, found, AGAIN)


def read_in_child(reader: Reader, file: BufferedReader, path: AnyPath, wanted: Wanted) -> Content:
    """Return what an open file holds.

    Raises   the error of the reader; DataError if the child ends, or needs more memory or time than the file's size
             allows; ImportError if the library is missing.
    """
    if not isinstance(path, Packed):
        return _read_open(reader, file, path, wanted)
    with tempfile.TemporaryFile() as copy:  # the child gets a file, which a cell of a frame is not
        copy.write(path.content)
        copy.seek(0)
        return _read_open(reader, copy, path, wanted)


def _read_open(reader: Reader, file: BufferedReader | BinaryIO, path: AnyPath, wanted: Wanted) -> Content:
    """Do as `read_in_child`, for a file of the system."""
    packed = bounds.bytes_on_disk(file.fileno())
    request = {
        "module": reader.module,
        "name": reader.name,
        "path": os.fsdecode(path),
        "wanted": wanted._asdict(),
    }
    with _child() as child:
        limits = limits_of(packed, child.available)
        request |= limits._asdict()
        header, arrays = child.ask(request, file.fileno(), limits, packed, path, reader.name)
    if "missing" in header:
        raise ImportError(header["missing"])
    if "error" in header:
        kind, problem, parts = header["error"]
        raise ERRORS[kind](problem, **parts)
    if "memory" in header:
        _refuse_memory(limits, path)
    return content_of(header["content"], iter(arrays))


def limits_of(packed: int, available: int) -> Limits:
    """Return what reading a file of `packed` bytes may take, of the bytes of memory that are available."""
    most = min(max(bounds.FREE, bounds.RATIO * packed), MAX_FILE_BYTES)
    return Limits(min(OWN + COPIES * most, available), START + most // SPEED)


def _refuse_memory(limits: Limits, path: AnyPath) -> NoReturn:
    expected = f"at most {limits.memory:,} bytes, by the size of the file and of this machine's memory"
    refuse("takes too much memory to read", path, "the file", expected, "more", "fetch the file again, or split it")


@contextlib.contextmanager
def kept(given: list[Child] | None = None) -> Iterator[None]:
    """Let one child read all files that this thread reads in the block: starting one takes 0.3 seconds.

    given   takes the child, and has that of blocks before; whoever gives it closes it. None to close it with the block.
    """
    before = getattr(_kept, "children", None)
    children: list[Child] = []
    _kept.children = given if given is not None else children if before is None else before
    try:
        yield
    finally:
        _kept.children = before
        for child in children:
            child.close()


@contextlib.contextmanager
def _child() -> Iterator[Child]:
    """Yield a child: that of the block `kept`, or one that ends with this block. One that failed is ended."""
    children: list[Child] | None = getattr(_kept, "children", None)
    child = children.pop() if children else Child()
    if child.process.poll() is not None or child.owner != os.getpid():  # it ended with the thread that started it
        child.close()
        child = Child()
    try:
        yield child
    except BaseException:
        child.close()
        raise
    if children is None:
        child.close()
    else:
        children.append(child)


class Child:
    """A process that reads files.

    owner   the process that started it, which alone uses and ends it: not one that was forked from that.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        there = available_bytes()
        self.available = there[0] if there else sys.maxsize
        ours, theirs = socket.socketpair()
        self.socket = ours
        number = theirs.fileno()
        # Modules are found as here; not in the current folder unless they are here. In a group of its own, Ctrl-C does
        # not reach the child: this process ends it.
        paths = os.pathsep.join(dict.fromkeys(each for each in sys.path if each))
        command = [sys.executable, "-P", "-W", "ignore", "-m", "fnnet.data.child_main"]
        command += [str(number), str(os.getpid())]
        null = subprocess.DEVNULL
        try:
            self.process = subprocess.Popen(
                command, env={**os.environ, **ALONE, "PYTHONPATH": paths}, pass_fds=(number,),
                process_group=0, stdin=null, stdout=null, stderr=null,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            ours.close()
            problem, where = "the process that reads the file cannot be started", "sys.executable"
            expected, fix = "the path of Python", "run Python from its own folder"
            raise FnnetError(problem, where=where, expected=expected, found=str(error), fix=fix) from None
        finally:
            theirs.close()

    def close(self) -> None:
        """End the process, if it is this one's."""
        self.socket.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()

    def ask(
        self, request: dict[str, Any], descriptor: int, limits: Limits, packed: int, path: AnyPath, name: str
    ) -> tuple[dict[str, Any], list[Array]]:
        """Return the header and the arrays of the answer."""
        self.end = time.monotonic() + WAIT * limits.seconds
        try:
            message = json.dumps(request).encode()
            self._in_time()
            socket.send_fds(self.socket, [len(message).to_bytes(4, "little")], [descriptor])
            self.socket.sendall(message)
            size = int.from_bytes(self._receive(np.empty(4, np.uint8)), "little")
            if size > MAX_HEADER:
                refuse("description too long", path, "the file", f"at most {MAX_HEADER:,} bytes", f"{size:,}", AGAIN)
            header = json.loads(self._receive(np.empty(size, np.uint8)).tobytes())
            sizes = [(DTYPES[dtype], tuple(shape)) for dtype, shape in header["arrays"]]
            total = sum(dtype.itemsize * math.prod(shape) for dtype, shape in sizes)
            bounds.check_expansion(total, packed, path, "the file")
            return header, [self._array(dtype, shape) for dtype, shape in sizes]
        except TimeoutError:
            self._refuse_time(limits, path)
        except (ConnectionError, EOFError):
            self._refuse_end(limits, path, name)

    def _in_time(self) -> None:
        self.socket.settimeout(max(0.001, self.end - time.monotonic()))

    def _receive(self, into: Array) -> Array:
        view, filled = into.data.cast("B"), 0
        while filled < len(view):
            self._in_time()
            count = self.socket.recv_into(view[filled:])
            if not count:
                raise EOFError
            filled += count
        return into

    def _array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        array = np.empty(shape, dtype)
        self._receive(array.reshape(-1))
        return array

    def _refuse_time(self, limits: Limits, path: AnyPath) -> NoReturn:
        expected, fix = f"at most {limits.seconds:,} seconds of computing, by its size", "fetch the file again"
        refuse("takes too long to read", path, "the file", expected, "more", fix)

    def _refuse_end(self, limits: Limits, path: AnyPath, name: str) -> NoReturn:
        """Raise the error for a child that ended before it answered."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(START)
        code = self.process.returncode
        if code == -signal.SIGXCPU:
            self._refuse_time(limits, path)
        if code == -signal.SIGKILL:
            _refuse_memory(limits, path)
        if code is None or code >= 0:
            problem, expected, found = "the process that reads the file ended", "an answer", f"exit code {code}"
            raise FnnetError(problem, where=path, expected=expected, found=found, fix="install fnnet again")
        found, fix = signal.Signals(-code).name, f"{AGAIN}, or write it in another format"
        refuse(f"the library that reads {name} crashed", path, "the file", f"a whole {name} file", found, fix)


# What a file holds, as JSON and arrays.


def described(content: Content, arrays: list[Array]) -> dict[str, Any]:
    """Return a content as JSON; its arrays are appended to `arrays`."""
    arrays.append(np.ascontiguousarray(content.x))
    if content.labels is not None:
        arrays.append(np.ascontiguousarray(content.labels, np.int64))
    if content.colours is not None:
        arrays.append(np.ascontiguousarray(content.colours))
    if content.ink is not None:
        arrays.append(np.ascontiguousarray(content.ink))
    fields: dict[str, Any] = content._asdict() | {
        name: getattr(content, name) is not None for name in ("colours", "ink")
    }
    fields |= {"x": True, "labels": content.labels is not None, "notes": [[note.code, note] for note in content.notes]}
    return fields | {"test": content.test and described(content.test, arrays)}


def content_of(fields: dict[str, Any], arrays: Iterator[Array]) -> Content:
    """Return the content that `described` describes."""
    x = next(arrays)
    labels = next(arrays) if fields["labels"] else None
    colours = next(arrays) if fields["colours"] else None
    ink = next(arrays) if fields["ink"] else None
    height, width = fields["image_shape"]
    kind = np.uint8 if fields["columns"] is None else np.float64
    if x.dtype != kind or x.shape[1:] != (height * width,) or (labels is not None and labels.shape != (len(x),)):
        raise FnnetError("the process that reads the file answers in another form", found=f"shape {x.shape}")
    notes = tuple(Note(code, text) for code, text in fields["notes"])
    test = fields["test"] and content_of(fields["test"], arrays)
    values = {"x": freeze(x), "labels": labels, "image_shape": (height, width), "notes": notes, "test": test}
    if colours is not None and (colours.dtype != np.uint8 or colours.shape != (POINTS, POINTS, 3)):
        raise FnnetError("the process that reads the file answers in another form", found=f"shape {colours.shape}")
    if ink is not None and (ink.dtype != np.uint8 or ink.shape != (len(x),)):
        raise FnnetError("the process that reads the file answers in another form", found=f"shape {ink.shape}")
    ranges: dict[str, Any] = {name: tuple(fields[name]) for name in ("pixel_ranges", "one_part")}
    ranges["columns"] = None if fields["columns"] is None else tuple(fields["columns"])
    return Content(**fields | values | {"colours": colours, "ink": ink, "classes": tuple(fields["classes"]), **ranges})
