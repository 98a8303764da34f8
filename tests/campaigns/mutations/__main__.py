"""Plant a seeded sample of mutants and run the tests that execute their lines; go on where the last run ended.

A first run traces which test functions execute which lines. For each mutant those tests run, quickest first, until one
fails; then, if all pass, the other tests of its room that are quick. Each mutant is a fork of a process that has the
libraries imported, but nothing of fnnet; `--jobs` such processes share the sample.
"""

import argparse
import collections
import contextlib
import gc
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from tests.campaigns.mutations import hook
from tests.campaigns.mutations.mutants import ROOMS, ROOT, sample

FOLDER = ROOT / "build" / "mutations"
TRACES, STORED = FOLDER / "traces.json", FOLDER / "results.jsonl"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
"""Mutants that change nothing that can be seen, one a line, each after a line with the reason."""
TESTED = ("tests/core", "tests/data", "tests/files", "tests/training", "tests/kernels", "tests/apps", "tests/cli")
SLOW = "bombs or no_bytes or twenty_new or f39_every or levels or older_processors"
FAULT = 99
FIRST_SECONDS, MOST_SECONDS, AGAIN_SECONDS = 1.5, 6.0, 24.0
"""How long the tests take: those of one file that run first, all that execute the line, and the same where a mutant
that survived is tried again. Others of the module, and of its room, take a third as long each.
"""
AT_IMPORT = 2
"""Of the tests that execute a line there are fewer if it is executed at import."""
LIMIT, SLOWER = 60.0, 4.0
"""Tests that have not ended after LIMIT seconds and SLOWER times their own never end."""
QUIET = ("-q", "-x", "--tb=native", "-p", "no:cacheprovider", "-p", "no:xdist",
         "-p", "no:unraisableexception", "--no-header",
         "--benchmark-disable",
         "-W", "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
CONTROLS = 4
"""Mutants whose tests run without them first: they must pass, else everything would count as caught."""


def trace(traced, paths):
    """Run the tests in `paths`, and store for each function its seconds and the lines that it executes."""
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
    pytest.main([*(each for each in QUIET if each != "-x"), "-k", f"not ({SLOW})", *paths], plugins=[Plugin()])
    measured.stop()
    files = _test_files()
    kept = {each for each in traced["seconds"] if each.split("::")[0] in files and each.split("::")[0] not in paths}
    lines = collections.defaultdict(
        list, {at: [each for each in tests if each in kept] for at, tests in traced["lines"].items()}
    )
    data = measured.get_data()
    for path in data.measured_files():
        name = Path(path).relative_to(ROOT).as_posix()
        for line, contexts in data.contexts_by_lineno(path).items():
            lines[f"{name}:{line}"] += sorted(each for each in contexts if each and each not in failed)
    TRACES.write_text(json.dumps({
        "files": files,
        "seconds": {each: traced["seconds"][each] for each in kept} | seconds,
        "lines": lines,
        "failed": sorted(failed.union(kept.intersection(traced["failed"]))),
    }))  # fmt: skip
    return 0


def _test_files():
    """Each file of tests and the checksum of its content."""
    paths = sorted(path for folder in TESTED for path in (ROOT / folder).rglob("test_*.py"))
    return {path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def traces():
    """What the tests execute; those of files that have changed are traced again."""
    empty = {"files": {}, "seconds": {}, "lines": {}, "failed": []}
    traced = json.loads(TRACES.read_text()) if TRACES.exists() else empty
    changed = [path for path, checksum in _test_files().items() if traced["files"].get(path) != checksum]
    if changed:
        forked(lambda: trace(traced, changed), 3600)
    return json.loads(TRACES.read_text())


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
    """Two lists: quick tests of one file that execute the mutant's line, and all that are tried after them.

    The first begin soonest, as one file of tests is imported, and most mutants fail there. The others are those that
    execute the line, those that execute others of its module, and those of the room, which may start processes. A line
    that is executed at import, as that of a constant, is traced in no test: those of the module stand for it.
    """
    seconds, lines = traced["seconds"], traced["lines"]
    room, own = mutant.file.split("/")[1], f"/test_{Path(mutant.file).stem}.py"
    known = [each for each in seconds if each not in traced["failed"]]
    of_module = {each for line, tests in lines.items() if line.startswith(f"{mutant.file}:") for each in tests}
    of_line = set(lines.get(f"{mutant.file}:{mutant.line}", ()))
    if len(of_line) < AT_IMPORT:
        of_line |= of_module
    near, module, others = (
        sorted(tests, key=seconds.__getitem__)
        for tests in (
            [each for each in known if each in of_line],
            [each for each in known if each in of_module and each not in of_line],
            [each for each in known if each.startswith(f"tests/{room}/") and each not in of_module],
        )
    )
    files = collections.Counter(each.split("::")[0] for each in near)
    file = max(files, key=lambda each: (each.endswith(own), f"/{room}/" in each, files[each]), default="")
    first = _within([each for each in near if each.startswith(file)], seconds, FIRST_SECONDS)
    rest = [each for each in near if each not in first]
    after = (_within(tests, seconds, part) for tests, part in ((rest, most), (module, most / 3), (others, most / 3)))
    return first, [each for tests in after for each in tests]


def _within(tests, seconds, most):
    chosen, total = [], 0.0
    for each in tests:
        total += seconds[each]
        if total > most and chosen:
            break
        chosen.append(each)
    return chosen


def fails(mutant, tests, seconds):
    """How one of the tests fails with the mutant, or does not come to an end; "" if all pass. None plants nothing."""
    if not tests:
        return ""

    def work():
        import pytest

        os.environ[hook.VARIABLE] = mutant.name if mutant else ""
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests/campaigns/mutations/site"), str(ROOT)])
        hook.install()
        return pytest.main([*QUIET, *tests])

    code = forked(work, LIMIT + SLOWER * sum(seconds[each] for each in tests))
    if code == FAULT:
        raise SystemExit(f"a fault of the driver: see {output_file(os.getpid())}")
    if code in (2, 3, 4, 5):  # pytest could not even begin, as the mutant fails at import
        return "import"
    return "timeout" if code is None else "caught" if code else ""


def check_controls(chosen, traced):
    """End if tests fail that have no mutant."""
    for mutant in chosen[:CONTROLS]:
        for tests in tests_of(mutant, traced, MOST_SECONDS):
            if outcome := fails(None, tests, traced["seconds"]):
                raise SystemExit(f"{outcome} without a mutant: see {output_file(os.getpid())}")


def try_each(mutants, traced, most, jobs, ends):
    """Store what becomes of each mutant; `jobs` processes take them one by one, and none after `ends`."""
    context = multiprocessing.get_context("fork")
    taken = context.Value("i", 0)

    def work():
        while time.monotonic() < ends:
            with taken.get_lock():
                at, taken.value = taken.value, taken.value + 1
            if at >= len(mutants):
                return
            mutant = mutants[at]
            outcomes = (fails(mutant, tests, traced["seconds"]) for tests in tests_of(mutant, traced, most))
            outcome = next(filter(None, outcomes), "survived")
            with STORED.open("a") as out:
                out.write(json.dumps({"name": mutant.name, "outcome": outcome}) + "\n")

    workers = [context.Process(target=work) for _ in range(jobs)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    if any(each.exitcode for each in workers):
        raise SystemExit("a process that tries mutants failed")


def stored():
    """What became of each mutant that was tried, by name."""
    lines = STORED.read_text().splitlines() if STORED.exists() else []
    return {each["name"]: each["outcome"] for each in map(json.loads, lines)}


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
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the mutants")
    parser.add_argument("--room", choices=ROOMS, help="only the mutants of the sample in this folder")
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--list", action="store_true", help="print what is known, and try none")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen, results, known = sample(options.count, options.seed), stored(), equivalents()
    if options.list:
        return report(results, chosen)
    os.chdir(ROOT)
    traced, ends = traces(), time.monotonic() + options.seconds
    import_libraries()
    check_controls(chosen, traced)

    def wanted(mutant):
        outcome = results.get(mutant.name)
        again = options.again and outcome == "survived" and mutant.name not in known
        return (outcome is None or again) and (not options.room or f"/{options.room}/" in mutant.file)

    most = AGAIN_SECONDS if options.again else MOST_SECONDS
    try_each([each for each in chosen if wanted(each)], traced, most, options.jobs, ends)
    return report(stored(), chosen)


LIBRARIES = (
    "hypothesis.stateful", "click", "requests", "rich.table", "rich.progress", "PIL.Image", "pytest", "threadpoolctl",
    "llvmlite.binding", "unittest.mock", "_hypothesis_pytestplugin", "pytest_benchmark.plugin",
)  # fmt: skip


def import_libraries():
    """Import what most tests need before the process forks, and keep the collector of garbage from copying it."""
    import importlib

    from _pytest.config import default_plugins

    for name in (*LIBRARIES, *(f"_pytest.{plugin}" for plugin in default_plugins)):
        importlib.import_module(name)
    assert not any(name.split(".")[0] == "fnnet" for name in sys.modules)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main() > 0)
