"""`python -m tests.campaigns.fuzz.keep [--work DIR]` adds what the fuzzer found to the corpus.

That is the smallest input of each kind of outcome: an error apart from its numbers and quotations, or the shape of a
value. Kinds that a file of the corpus shows already are left out.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.campaigns.fuzz.__main__ import CORPUS, ROOT, WORK
from tests.campaigns.fuzz.worker import MODULES

PER_READER = 6
MAX_BYTES = 600


def kind_of(outcome):
    """Return what outcomes of one kind have in common."""
    says = (
        outcome["says"].split(": ", 1)[-1] if outcome["ends"] == "error" else re.sub(r"[^\[\](,]", "", outcome["says"])
    )
    return outcome["ends"], re.sub(r"\W+", " ", re.sub(r"'.*?'|\".*?\"|[0-9a-f]{64}|\d[\d,.x]*", "", says))[:90]


def outcomes(paths):
    """Return the outcome of each file; if Python crashes, those of the files before."""
    command = [sys.executable, "-m", "tests.campaigns.fuzz.replay", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def keep(reader, work):
    """Add to the corpus of one reader."""
    folder = CORPUS / reader
    known = {kind_of(outcome) for outcome in outcomes(sorted(folder.iterdir()))}
    found = [path for path in Path(work, "corpus", reader).iterdir() if path.stat().st_size <= MAX_BYTES]
    found.sort(key=lambda path: (path.stat().st_size, path.name))
    left = PER_READER - len(list(folder.glob("found-*")))
    # replay knows the reader by the folder's name.
    for path, outcome in zip(found, outcomes(found), strict=False):
        if left <= 0:
            break
        if kind_of(outcome) not in known:
            known.add(kind_of(outcome))
            content, left = path.read_bytes(), left - 1
            (folder / f"found-{hashlib.sha256(content).hexdigest()[:8]}").write_bytes(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m tests.campaigns.fuzz.keep")
    parser.add_argument("--work", type=Path, default=WORK)
    for each in MODULES:
        keep(each, parser.parse_args().work)
