"""The child that reads files, `python -m fnnet.data.child_main DESCRIPTOR PARENT`: of a socket, and the number of the
process that starts it; see `child`.

A request is its length in 4 bytes, with the descriptor of an open file, and JSON. The answer is the length in 4 bytes,
JSON and the arrays.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
from io import BufferedReader, FileIO
from typing import Any, Final

from fnnet.core.params import Array
from fnnet.data import child
from fnnet.data.reader import Wanted
from fnnet.errors import FnnetError
from fnnet.limits import DATA, in_use

PR_SET_PDEATHSIG: Final = 1


def main(descriptor: str, parent: str) -> None:
    """Answer requests until the other end of the socket is closed."""
    child.inside = True
    end_with_parent(int(parent))
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file
    with socket.socket(fileno=int(descriptor)) as connection, contextlib.suppress(ConnectionError):
        serve(connection)


def end_with_parent(parent: int) -> None:
    """Have Linux end this process when the thread that started it ends, however that ends; end if it has ended."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def serve(connection: socket.socket) -> None:
    """Answer requests until there are no more."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
        if not head:
            return
        head += _receive(connection, 4 - len(head))
        request = json.loads(_receive(connection, int.from_bytes(head, "little")))
        limit(request["memory"], request["seconds"])
        arrays: list[Array] = []
        with BufferedReader(FileIO(descriptors[0])) as file:
            header = answer(request, file, arrays)  # type: ignore[arg-type]
        header["arrays"] = [(each.dtype.str, each.shape) for each in arrays]
        text = json.dumps(header).encode()
        connection.sendall(len(text).to_bytes(4, "little") + text)
        for each in arrays:
            connection.sendall(each.reshape(-1).data)


def _receive(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise ConnectionError("cut short")
        found += piece
    return found


def limit(memory: int, seconds: int) -> None:
    """Let this process take `memory` bytes and `seconds` more, where the system has such limits."""
    with contextlib.suppress(ImportError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        for what, most in ((resource.RLIMIT_DATA, in_use(DATA) + memory), (resource.RLIMIT_CPU, int(used) + seconds)):
            hard = resource.getrlimit(what)[1]
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def answer(request: dict[str, Any], file: BufferedReader, arrays: list[Array]) -> dict[str, Any]:
    """Return what a file holds, or the error, as JSON; the arrays are appended to `arrays`."""
    wanted = Wanted(**request["wanted"])
    shape = wanted.shape and (wanted.shape[0], wanted.shape[1])
    rows = tuple((first, stop) for first, stop in wanted.rows)
    wanted = wanted._replace(shape=shape, names=tuple(wanted.names), groups=tuple(wanted.groups), rows=rows)
    wanted = wanted._replace(columns=tuple(wanted.columns))
    path = os.fsdecode(os.fsencode(request["path"]))
    try:
        file.seek(0)
        content = child.Reader(request["name"], request["module"]).direct(file, path, wanted)
        return {"content": child.described(content, arrays)}
    except FnnetError as error:
        kind = next(name for name, each in child.ERRORS.items() if isinstance(error, each))
        parts = {name: getattr(error, name) for name in ("where", "place", "expected", "found", "fix")}
        shown = {name: value if value is None else str(value) for name, value in parts.items()}
        return {"error": [kind, error.problem, shown]}
    except ImportError as error:
        return {"missing": str(error)}
    except MemoryError:
        arrays.clear()
        return {"memory": True}


if __name__ == "__main__":  # pragma: no cover - only in a child
    main(*sys.argv[1:])
