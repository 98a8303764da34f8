"""`python -m tests.campaigns.fuzz.replay FILE...` puts inputs through the contract once more.

One JSON line each: `reader`, `name`, `ends` ("value", "error" or "breach"), `says`. The reader is named by the folder,
or by the start of the file's name. With `--child`, files are read as in use, by the child process.
"""

import contextlib
import faulthandler
import json
import sys
import tempfile
from pathlib import Path

from fnnet.errors import FnnetError
from tests.campaigns.fuzz.contract import BreachError, afresh, check, check_error, limited, read_here
from tests.campaigns.fuzz.worker import MEMORY_FOLDER, Place


def replay(paths, in_child=False):
    """Yield the outcome of each file."""
    from tests.campaigns.fuzz.targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="fnnet-fuzz-", dir=MEMORY_FOLDER) as folder:
        for path in map(Path, paths):
            reader = path.parent.name if path.parent.name in TARGETS else path.name.split("-")[0]
            target = TARGETS[reader]
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                place = Place(inner, target.file)
                place.put(target.build(path.read_bytes()))
                ends, says = in_use(target, place.path) if in_child else outcome(target, place.path)
                place.close()
            yield {"reader": reader, "name": path.name, "ends": ends, "says": says}


def outcome(target, path):
    """Return how reading the file at `path` ends, and the value or the message."""
    try:
        found = check(target.read, path, lambda value: target.hold(value, path), target.memory)
    except BreachError as breach:
        return "breach", str(breach)
    return ("error" if isinstance(found, Exception) else "value"), str(found)[:200]


def in_use(target, path):
    """Return how reading the file ends where a child process may be started for it."""
    try:
        target.hold(found := target.read(path), path)
    except FnnetError as error:
        check_error(error, path)
        return "error", str(error)
    return "value", str(found)[:200]


if __name__ == "__main__":
    faulthandler.enable()
    in_child = sys.argv[1:2] == ["--child"]
    if not in_child:
        afresh()
        read_here()
    with contextlib.nullcontext() if in_child else limited():
        for line in replay(sys.argv[1 + in_child :], in_child):
            print(json.dumps(line), flush=True)
