"""`python -m tests.campaigns.fuzz [READER...] --seconds N | --runs N [--jobs K]`: fuzz the readers.

Each reader runs in a process of its own. Findings are kept between calls in the folder that --work names;
`tests.campaigns.fuzz.keep` puts them into tests/campaigns/fuzz/corpus.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.fuzz.decoded import CONTAINED
from tests.campaigns.fuzz.worker import MEMORY_FOLDER, MODULES

ROOT = Path(__file__).resolve().parents[3]
CORPUS = Path(__file__).parent / "corpus"
WORK = Path(tempfile.gettempdir(), "fnnet-fuzz")
MAX_BYTES = 4096
RUNS = 200_000
"""Executions in one process: the fuzzer's own memory grows, and the limits apply to the whole process."""
STUCK = 20
"""Seconds after which an input that has not been read is a breach, in compiled code too."""


def fuzz(reader, work, runs, seconds):
    """Fuzz one reader in one process after another; return its line of results and the breaches."""
    corpus = Path(work, "corpus", reader)
    corpus.mkdir(parents=True, exist_ok=True)
    start, done, found, contained = time.monotonic(), 0, [], 0
    while done < runs if runs else time.monotonic() - start < seconds:
        left = seconds and max(1, int(seconds - (time.monotonic() - start)))
        limit = f"-runs={min(RUNS, runs - done)}" if runs else f"-max_total_time={left}"
        ran, breaches, crashes = _fuzz_once(reader, work, corpus, limit)
        done, found, contained = done + ran, found + breaches, contained + crashes
        if breaches or not ran:
            break
    speed, files = done / (time.monotonic() - start), len(list(corpus.iterdir()))
    line = f"{reader}: {done:,} executions, {speed:,.0f}/s, {files:,} corpus files, {len(found)} breaches"
    return line + (f", {contained} crashes of the library that the child process contains" if contained else ""), found


def _fuzz_once(reader, work, corpus, limit):
    """Return how often one process executed the reader, the breaches that it found, and crashes contained in use."""
    breaches, log = Path(work, "breaches"), Path(work, f"{reader}.log")
    breaches.mkdir(exist_ok=True)
    seeds = [CORPUS / reader] if (CORPUS / reader).is_dir() else []
    flags = [f"-max_len={MAX_BYTES}", f"-timeout={STUCK}", f"-artifact_prefix={breaches}/{reader}-"]
    with tempfile.TemporaryDirectory(prefix="fnnet-fuzz-", dir=MEMORY_FOLDER) as folder:
        command = [sys.executable, "-m", "tests.campaigns.fuzz.worker", reader, folder, breaches, *flags]
        with open(log, "w") as file:
            done = subprocess.run([*command, limit, corpus, *seeds], cwd=ROOT, stdout=file, stderr=file, check=False)
    text = log.read_text(errors="replace")
    found = re.findall(r"^BREACH (.*)$", text, re.MULTILINE)
    scouted = re.findall(r"^CRASH (.*)$", text, re.MULTILINE)
    escaped = _escaped(scouted)
    crashes = len(scouted) - len(escaped)
    found += [f"{each}: not contained" for each in escaped]
    if done.returncode:
        artifact = re.findall(r"Test unit written to (\S+)", text)
        if artifact and reader in CONTAINED and _is_contained(artifact[-1]):
            crashes += 1
            # A library that reads what is not its own crashes now and then: the corpus may have taken the input before.
            (corpus / Path(artifact[-1]).name.rpartition("-")[2]).unlink(missing_ok=True)
        else:
            found.append(f"{artifact[-1] if artifact else log}: the process ended with {done.returncode}, see {log}")
    ran = max([crashes, *(int(number) for number in re.findall(r"^(?:#|Done )(\d+)", text, re.MULTILINE))])
    return ran, found, crashes


def _escaped(paths):
    """Return those of the files which ended a scout that the product makes neither a value nor an error of."""
    if not paths:
        return []
    command = [sys.executable, "-m", "tests.campaigns.fuzz.replay", "--child", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    held = {json.loads(line)["name"] for line in done.stdout.splitlines()}
    return [path for path in paths if Path(path).name not in held]


def _is_contained(artifact):
    """Return True if the child process makes an error of the crash that a file causes."""
    command = [sys.executable, "-m", "tests.campaigns.fuzz.replay", "--child", artifact]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode == 0 and json.loads(done.stdout)["ends"] == "error"


def main():
    """Fuzz the readers that the command line names; return 1 for breaches, 2 for wrong usage."""
    parser = argparse.ArgumentParser("python -m tests.campaigns.fuzz", description="Fuzz fnnet's readers.")
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"{', '.join(MODULES)}; default all")
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--seconds", type=int, metavar="N", help="of each reader")
    limit.add_argument("--runs", type=int, metavar="N", help="of each reader")
    parser.add_argument("--jobs", type=int, default=1, metavar="K", help="readers at a time (default 1)")
    parser.add_argument("--work", type=Path, default=WORK, metavar="DIR", help=f"what is kept (default {WORK})")
    chosen = parser.parse_args()
    unknown = [reader for reader in chosen.readers if reader not in MODULES]
    if unknown:
        parser.error(f"unknown reader {unknown[0]!r}; choose from {', '.join(MODULES)}")
    if importlib.util.find_spec("atheris") is None:
        print("error: the fuzzer is not installed; pip install atheris", file=sys.stderr)
        return 2
    failed = False
    with ThreadPoolExecutor(max(1, chosen.jobs)) as pool:
        for line, found in pool.map(
            lambda reader: fuzz(reader, chosen.work, chosen.runs, chosen.seconds), chosen.readers or MODULES
        ):
            print(line, *(f"  {each}" for each in found), sep="\n", flush=True)
            failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
