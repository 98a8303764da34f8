"""Plant a seeded sample of mutants and run the tests that execute their lines; go on where the last run ended.

A first run traces which test functions execute which lines. For each mutant those tests run, quickest first, until one
fails; then, if all pass, the other tests of its room that are quick. Each mutant is a fork of one process that has the
libraries imported, but nothing of fnnet.
"""

import argparse
import collections
import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from tests.campaigns.mutations import hook
from tests.campaigns.mutations.mutants import ROOMS, ROOT, sample

FOLDER = ROOT / "build" / "mutations"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
"""Mutants that change nothing that can be seen, one a line, each after a line with the reason."""
TESTED = ("tests/core", "tests/data", "tests/files", "tests/training", "tests/kernels", "tests/apps", "tests/cli")
SLOW = "bombs or no_bytes or twenty_new or f39_every or levels or older_processors"
FAULT = 99
MOST_SECONDS, AGAIN_SECONDS, LIMIT = 12.0, 60.0, 200
"""Of the tests that execute the line, and of the others of the room, as they took; the same where a mutant that
survived is tried again; for all of them on a busy machine."""
QUIET = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--benchmark-disable", "-W",
         "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
CONTROLS = 4
"""Mutants whose tests run without them first: they must pass, else everything would count as caught."""


def trace(out):
    """Run all tests once, and store for each function its seconds and the lines that it executes."""
    import coverage
    import pytest

    measured = coverage.Coverage(data_file=None, include=[str(ROOT / "fnnet" / room / "*") for room in ROOMS])
    seconds, failed = collections.Counter(), set()

    class Plugin:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item):
            measured.switch_context(item.nodeid.split("[")[0])
            return (yield)

        def pytest_runtest_logreport(self, report):
            name = report.nodeid.split("[")[0]
            seconds[name] += report.duration
            if report.failed:
                failed.add(name)

    measured.start()
    pytest.main([*(each for each in QUIET if each != "-x"), "-k", f"not ({SLOW})", *TESTED], plugins=[Plugin()])
    measured.stop()
    lines, data = collections.defaultdict(list), measured.get_data()
    for path in data.measured_files():
        name = Path(path).relative_to(ROOT).as_posix()
        for line, contexts in data.contexts_by_lineno(path).items():
            lines[f"{name}:{line}"] = sorted(each for each in contexts if each and each not in failed)
    out.write_text(json.dumps({"seconds": seconds, "lines": lines, "failed": sorted(failed)}))


def output_file(pid):
    """What the tests of the latest mutant of a driver printed."""
    return FOLDER / f"output-{pid}.txt"


def forked(work, seconds):
    """The exit code of `work` in a fork with a group of its own; None if it took longer."""
    pid = os.fork()
    if not pid:
        os.setsid()
        with output_file(os.getppid()).open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        code = FAULT
        try:
            code = int(work())
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    ends = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > ends:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what a test left behind
    return os.waitstatus_to_exitcode(status)


def tests_of(mutant, traced, most):
    """The tests that execute the mutant's line, those of its module first, and those of its room that do not."""
    seconds = traced["seconds"]
    near = traced["lines"].get(f"{mutant.file}:{mutant.line}", ())
    room, own = mutant.file.split("/")[1], f"/test_{Path(mutant.file).stem}.py"
    rest = [each for each in seconds if each.startswith(f"tests/{room}/") and each not in near]
    rest = [each for each in rest if each not in traced["failed"]]
    near, rest = (sorted(tests, key=lambda each: (own not in each, seconds[each])) for tests in (near, rest))
    return _within(near, seconds, most), _within(rest, seconds, most / 3)


def _within(tests, seconds, most):
    chosen, total = [], 0.0
    for each in tests:
        total += seconds[each]
        if total > most and chosen:
            break
        chosen.append(each)
    return chosen


def fails(mutant, tests):
    """How one of the tests fails with the mutant, or does not come to an end; "" if all pass. None plants nothing."""

    def work():
        import pytest

        os.environ[hook.VARIABLE] = mutant.name if mutant else ""
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests/campaigns/mutations/site"), str(ROOT)])
        hook.install()
        return pytest.main([*QUIET, *tests])

    code = forked(work, LIMIT)
    if code == FAULT:
        raise SystemExit(f"a fault of the driver: see {output_file(os.getpid())}")
    if code in (2, 3, 4, 5):  # pytest could not even begin, as the mutant fails at import
        return "import"
    return "timeout" if code is None else "caught" if code else ""


def check_controls(chosen, traced):
    """End if tests fail that have no mutant."""
    for mutant in chosen[:CONTROLS]:
        for tests in tests_of(mutant, traced, MOST_SECONDS):
            if tests and (outcome := fails(None, tests)):
                raise SystemExit(f"{outcome} without a mutant: see {output_file(os.getpid())}")


def try_one(mutant, traced, most):
    """What became of a mutant."""
    for tests in tests_of(mutant, traced, most):
        if tests and (outcome := fails(mutant, tests)):
            return outcome
    return "survived"


def equivalents():
    """The names of the mutants that are known to be equivalent."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def report(results, chosen):
    """Print the counts and the survivors."""
    known = equivalents()
    done = [(mutant, results[mutant.name]) for mutant in chosen if mutant.name in results]
    alive = [mutant for mutant, outcome in done if outcome == "survived"]
    same = [mutant for mutant in alive if mutant.name in known]
    for mutant in alive:
        if mutant.name not in known:
            print(f"survived: {mutant.file}:{mutant.line}: {mutant.name}")
    caught, rest = len(done) - len(alive), len(alive) - len(same)
    share = caught / max(1, caught + rest)
    print(f"mutations: {len(done):,} of {len(chosen):,} tried, {caught:,} caught, {rest:,} survived, "
          f"{len(same):,} equivalent: {share:.1%} of those that are not equivalent caught")  # fmt: skip
    return rest


def main():
    parser = argparse.ArgumentParser(description="Plant mutants and see whether a test fails.")
    parser.add_argument("--count", type=int, default=1000, help="mutants of the sample")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no mutant after so many seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", choices=ROOMS, help="only the mutants of the sample in this folder")
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--list", action="store_true", help="print what is known, and try none")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    traces, stored = FOLDER / "traces.json", FOLDER / "results.jsonl"
    chosen = sample(options.count, options.seed)
    lines = stored.read_text().splitlines() if stored.exists() else []
    results = {each["name"]: each["outcome"] for each in map(json.loads, lines)}
    if options.list:
        return report(results, chosen)
    os.chdir(ROOT)
    if not traces.exists():
        forked(lambda: trace(traces), 3600)
    traced, ends = json.loads(traces.read_text()), time.monotonic() + options.seconds
    import_libraries()
    check_controls(chosen, traced)
    for mutant in chosen:
        tried = results.get(mutant.name)
        if time.monotonic() > ends or (options.room and f"/{options.room}/" not in mutant.file):
            continue
        if tried and not (options.again and tried == "survived" and mutant.name not in equivalents()):
            continue
        results[mutant.name] = outcome = try_one(mutant, traced, AGAIN_SECONDS if options.again else MOST_SECONDS)
        with stored.open("a") as out:
            out.write(json.dumps({"name": mutant.name, "outcome": outcome}) + "\n")
    return report(results, chosen)


def import_libraries():
    """Import what most tests need before the process forks."""
    import importlib

    for name in (
        *(
            "numpy",
            "scipy.special",
            "scipy.optimize",
            "hypothesis.extra.numpy",
            "click",
            "requests",
        ),
        *("rich.table", "rich.progress", "PIL.Image", "pytest", "threadpoolctl", "llvmlite.binding"),
    ):
        importlib.import_module(name)
    assert not any(name.split(".")[0] == "fnnet" for name in sys.modules)


if __name__ == "__main__":
    sys.exit(main() > 0)
