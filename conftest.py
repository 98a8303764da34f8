"""What every run of pytest has in common: which folders it collects, and how many processes share the tests.

Plain `pytest` runs tests/ and leaves bench/ alone; `pytest --benchmark-only` runs bench/ and nothing else;
`pytest bench --benchmark-disable` runs every benchmark once, as a test.

Where pytest-xdist is installed, plain `pytest` shares all tests between processes. Tests that are chosen by a path, by
-k or by any other option run in one process: it starts sooner. `-n 0` and `-p no:xdist` run all of them in one, too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["bench.comparison"]
ROOT = Path(__file__).resolve().parent
BENCH = ROOT / "bench"
MOST_PROCESSES = 8
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if WORKER.startswith("gw") and hasattr(os, "sched_setaffinity"):
    # Each process has processors of its own: threads that wait for one another are not in the way of other tests.
    processors, count = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, processors[int(WORKER[2:]) :: count] or processors)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    inside = BENCH in (collection_path, *collection_path.parents)
    if config.getoption("benchmark_only", default=False):
        return True if collection_path.is_file() and not inside else None
    if not inside:
        return None  # without a look at each argument, of which there may be hundreds
    named = any(BENCH in (path, *path.parents) for path in map(_path, config.invocation_params.args))
    return None if named else True


def _path(argument: object) -> Path:
    return Path(str(argument).split("::", 1)[0]).resolve()


ALONE = (
    "benchmark_only", "keyword", "markexpr", "lf", "failedfirst", "newfirst", "stepwise", "usepdb", "trace",
    "collectonly", "setuponly", "setupshow", "setupplan", "showfixtures", "show_fixtures_per_test", "cacheshow",
    "hypothesis_seed", "deselect",
)  # fmt: skip
"""Options of a run that is not of all tests, or that is watched."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share a run of all tests between processes."""
    from fnnet.limits import available_threads

    count = min(available_threads(), MOST_PROCESSES)
    options = config.option
    if (
        count > 1
        and not hasattr(config, "workerinput")  # this hook runs in each of the processes, too
        and "PYTEST_CURRENT_TEST" not in os.environ  # and in a test that runs pytest
        and config.pluginmanager.hasplugin("xdist")
        and options.numprocesses is None
        and options.dist == "no"
        and not options.tx
        and options.capture != "no"
        and config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and not any(getattr(options, name, None) for name in ALONE)
    ):
        options.numprocesses, options.dist, options.benchmark_disable = count, "worksteal", True
        config.stash[SHARED] = True
        # Threads of matrix products wait for work by looking for it, which takes the processors from other processes.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


SHARED = pytest.StashKey[bool]()


COMPILE = """
import sys
from fnnet.kernels import build, cache, signatures
for part in signatures.PARTS:
    place = cache.place(part, sys.argv[1])
    if cache.read(place) is None:
        cache.write(place, build.build(part, sys.argv[1]))
"""
"""All parts for a dtype in one process: they have most functions in common, and Numba is imported once."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels before the processes start, on all processors; each would compile them otherwise."""
    if session.config.stash.get(SHARED, False):
        command, env = [sys.executable, "-c", COMPILE], {**os.environ, "NUMBA_OPT": "0"}
        running = [subprocess.Popen([*command, dtype], cwd=ROOT, env=env) for dtype in ("float32", "float64")]
        for process in running:
            process.wait()
