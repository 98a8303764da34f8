"""The contract of a reader for any bytes: a correct value or one complete FnnetError, and no side effect."""

import contextlib
import functools
import importlib
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

from fnnet.data import child
from fnnet.errors import DataError, FnnetError, ModelError, StorageError, one_line

SECONDS, WAIT = 2.0, 10.0
"""Seconds of computing, and of waiting: a busy machine is not a breach."""
MEMORY = 96 * 2**20
ADDRESS_SPACE = 512 * 2**20
"""Additional memory, and additional address space, that one process of readers may take."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {f"os.{name}" for name in ("chmod", "link", "mkdir", "remove", "rename", "rmdir", "symlink", "truncate")}
CHANGES |= {"os.exec", "os.system", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class"}
PRODUCT = str(Path(__file__).parents[3] / "fnnet")


class BreachError(AssertionError):
    """A breach of the contract, in one line. `signature` is the same for breaches of one cause."""

    def __init__(self, outcome, signature=""):
        super().__init__(outcome)
        self.signature = signature or outcome


class _Watch:
    """Record what is written, started or unpickled while `seen` is a list. One hook for all: it cannot be removed."""

    seen = None

    @classmethod
    @functools.cache
    def install(cls):
        sys.addaudithook(cls.hook)

    @classmethod
    def hook(cls, event, arguments):
        if cls.seen is None:
            return
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            cls.seen.append(f"{event} {arguments[0]!r}")


def check(read, path, hold=lambda value: None, memory=MEMORY):
    """Return the value of `read(path)`, which `hold` must accept, or the FnnetError that it raised.

    hold     raises BreachError (or any exception) for a value that is not what the file holds.
    Raises   BreachError for any other outcome: another exception, a warning, a write, an incomplete error, more than 2
             seconds of computing or 10 of waiting, more than `memory` bytes.
    """
    _Watch.install()
    before, start, began, written = _peak(), time.process_time(), time.monotonic(), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _Watch.seen = written
        try:
            outcome = read(path)
        except FnnetError as error:
            outcome = error
        except BreachError:
            raise
        except Exception as error:
            place = _innermost(error)
            name = type(error).__name__
            raise BreachError(f"{name} at {place}: {str(error)[:200]}", f"{name} at {place}") from error
        finally:
            _Watch.seen = None
        seconds, waited = time.process_time() - start, time.monotonic() - began
    if written:
        raise BreachError(f"wrote: {written[0]}", "wrote")
    if seconds > SECONDS or waited > WAIT:
        raise BreachError(f"took {seconds:.1f} s of {waited:.1f} s", "slow")
    if _peak() - before > memory:
        raise BreachError(f"took {(_peak() - before) >> 20} MiB", "memory")
    if isinstance(outcome, FnnetError):
        check_error(outcome, path)
    else:
        try:
            hold(outcome)
        except BreachError:
            raise
        except Exception as error:
            name, place = type(error).__name__, _innermost(error)
            raise BreachError(
                f"the value does not hold: {name} at {place}: {error}"[:400], f"{name} at {place}"
            ) from error
    return outcome


def check_error(error, path):
    """Raise BreachError unless `error` is about a file: one printable line with the file and every part."""
    text = str(error)
    parts = {
        "the kind of a file's error": isinstance(error, (DataError, ModelError, StorageError)),
        "one printable line": text == one_line(text),
        "the file": str(path) in text and str(error.where).startswith(str(path)),
        "the problem": bool(error.problem),
        "what was expected or found": error.expected is not None or error.found is not None,
        "the place": bool(error.place) or isinstance(error, StorageError),
        "what to do": bool(error.fix),
    }
    lacks = [name for name, there in parts.items() if not there]
    if lacks:
        raise BreachError(f"an error without {', '.join(lacks)}: {text}", f"{error.problem.split(' (')[0]}: {lacks}")


def must(fact, what, found=""):
    """Raise BreachError for a value that is not what the file holds."""
    if not fact:
        raise BreachError(f"the value does not hold: {what} {found}".rstrip(), what)


def _innermost(error):
    """Return the last place of a traceback inside fnnet, as file:line."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if frame.filename.startswith(PRODUCT)] or frames
    return f"{Path(inside[-1].filename).name}:{inside[-1].lineno}"


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def afresh():
    """Continue in a forked child, whose peak of memory is its own: a program inherits that of its parent."""
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def read_here():
    """Have this process read the formats of the child process, with libraries that are loaded before limits apply."""
    for name in ("h5py", "pyarrow.parquet", "scipy.io", "PIL.TiffImagePlugin"):
        importlib.import_module(name)
    child.inside = True


@contextlib.contextmanager
def limited(extra=ADDRESS_SPACE):
    """Allow at most `extra` bytes of additional address space until the end of the block."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
