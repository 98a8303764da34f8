"""What docs/reliability.md says, measured again.

python -m tests.campaigns [CAMPAIGN...] [--cases N] [--list]

The fuzzing of the readers is `python -m tests.campaigns.fuzz`.
"""

import argparse
import collections
import contextlib
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaigns import bombs, cache, crash, damage, emulated, failures, levels, lost_ranks

TESTS = Path(__file__).resolve().parents[1]


class Fault(NamedTuple):
    """A row of docs/faults.md: what can go wrong, and what fnnet does."""

    title: str
    answer: str

    @property
    def waits_for(self):
        """The path of the part of fnnet that the row is about, if that does not exist yet."""
        match = re.fullmatch("Waits for `(.+)`", self.answer)
        return match and match[1]


FAULTS = {
    int(number): Fault(title, answer)
    for number, title, answer in re.findall(
        r"^\| f(\d\d) \| (.+) \| (.+) \|$", (TESTS.parent / "docs" / "faults.md").read_text(), re.MULTILINE
    )
}
"""The rows of docs/faults.md by their numbers."""

ALL = sys.maxsize


class Campaign(NamedTuple):
    """cases   (folder, most) -> yields once for each case that held, raises for one that did not."""

    about: str
    cases: Any
    most: int


CAMPAIGNS = {
    "calls": Campaign("killed before each call of the file system, also while resuming", crash.kills_at_calls, ALL),
    "system": Campaign("kill -9 at each system call, by strace", crash.kills_at_system_calls, ALL),
    "disk": Campaign("the disk fails at each call: once, for good, while resuming", crash.disk_faults, ALL),
    "power": Campaign("different disks after the power went", crash.power_losses, 10_000),
    "training": Campaign("kill -9 at any moment of training, resumed to the same bits", crash.kills_in_training, 1_000),
    "ranks": Campaign("a rank is lost: all end, and others go on to the same bits", lost_ranks.losses, 100),
}

PROGRAMS = {
    "damage": damage.main,
    "bombs": bombs.main,
    "cache": cache.main,
    "levels": levels.main,
    "emulated": emulated.main,
    "failures": failures.main,
}
"""Campaigns that print figures of their own: given how many cases at most, they return whether something went wrong."""


def tool_for(name):
    """The program that a campaign needs and this machine lacks; None where nothing is missing."""
    if name == "ranks":
        return lost_ranks.missing()
    return "strace" if name == "system" and not shutil.which("strace") else None


def run(name, most=None):
    """How many cases of a campaign held, all of them or `most`, evenly spread; and the seconds."""
    campaign, began, count = CAMPAIGNS[name], time.monotonic(), 0
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        for _ in campaign.cases(folder, most or campaign.most):
            count += 1
    return count, time.monotonic() - began


def covered():
    """Number of a fault -> the tests that carry it."""
    tests = collections.defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in re.findall(r"^def (test_f\d\d_\w+)", path.read_text(), re.MULTILINE):
            for row in re.findall(r"(?<=_)f(\d\d)(?=_)", name):
                tests[int(row)].append(f"{path.name}::{name}")
    return tests


def main():
    parser = argparse.ArgumentParser(description="Measure what docs/reliability.md says.")
    names = [*CAMPAIGNS, *PROGRAMS]
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", choices=[*names, []], help=", ".join(names))
    parser.add_argument("--cases", type=int, help="so many, evenly spread, and not all of them")
    parser.add_argument("--list", action="store_true", help="print each fault of docs/faults.md with its tests")
    chosen = parser.parse_args()
    if chosen.list:
        tests = covered()
        for number, fault in FAULTS.items():
            print(f"f{number:02} {fault.title}", *tests[number] or [fault.answer], sep="\n    ")
        return 0
    wrong = False
    for name in chosen.campaigns or names:
        if name in PROGRAMS:
            wrong |= bool(PROGRAMS[name](chosen.cases or ALL))
            continue
        if tool := tool_for(name):
            print(f"{name}: left out, needs {tool}")
            continue
        count, seconds = run(name, chosen.cases)
        print(f"{name}: {CAMPAIGNS[name].about}: {count:,} cases, all held, {seconds:.0f} s", flush=True)
    return int(wrong)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
