"""`pytest --benchmark-only`: one short table, and every option of pytest-benchmark."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bench import bench_operations, bench_prediction, bench_training
from bench.comparison import PLUGIN_OPTIONS, Comparison, plugin_table_wanted, table
from tests.conftest import ROOT
from tests.tools import cases

PLANTED = """
def pytest_configure(config):
    from tests.tools import cases
    right = cases.assert_equal
    def assert_equal(call, case, found):
        assert (call, case.name) != ("tanh", "strided"), "planted"
        right(call, case, found)
    cases.assert_equal = assert_equal
"""
ONLY = ("--benchmark-only", "--benchmark-max-time=0.001", "--benchmark-min-rounds=2")


def start(folder, *options):
    """Start pytest in the checkout; what the plugin keeps goes to `folder`."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--benchmark-storage={folder}", *options]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    env = {**own, "COLUMNS": "80", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


FEW = "relu-wide or relu_backward-wide or -1-128 or None"


@pytest.fixture(scope="module")
def started(tmp_path_factory, numba_kernels):
    """Several runs at once, each with a folder of its own."""
    options = {
        "plain": [*ONLY, "-k", FEW, "--benchmark-save=first"],
        "planted": [
            "bench/bench_operations.py",
            *ONLY,
            "-p",
            "planted",
            "--benchmark-all-cases",
            "-k",
            "tanh-wide or softmax-float64",
        ],
    }
    folders = {name: tmp_path_factory.mktemp(name) for name in options}
    (folders["planted"] / "planted.py").write_text(PLANTED)
    options["plain"].append(f"--benchmark-json={folders['plain']}/all.json")
    runs = {name: start(folders[name], *options[name]) for name in options}
    yield {name: (run, folders[name]) for name, run in runs.items()}
    for run in runs.values():
        run.kill()
        run.communicate()


@pytest.fixture(scope="module")
def plain(started):
    """What the run with the table prints, and the folder of what it saved."""
    return ended(started["plain"][0]), started["plain"][1]


def ended(run, code=0):
    printed, _ = run.communicate(timeout=120)
    assert run.returncode == code, printed
    return printed


def lines_of_table(printed):
    """The lines of the table from its title to its legend."""
    return printed[printed.index(" NumPy and Numba, ") :].splitlines()[:-1]


def seconds(text):
    value, unit = text.split()
    return float(value) * {"s": 1, "ms": 1e-3, "us": 1e-6}[unit]


def test_one_table_ends_it(plain):
    _, head, *lines = lines_of_table(plain[0])
    ends = next(number for number, line in enumerate(lines) if line.startswith("Fastest rounds; ratio: NumPy / Numba"))
    rows, legend = lines[:ends], lines[ends:]
    assert len(legend) == 1 or legend[1].startswith("Below 1 in one part only: ")  # as these rounds may be
    assert head.split() == ["NumPy", "Numba", "ratio", "equal"]
    assert [line[:25].strip() for line in rows] == [
        "Training on 2,048 images", "SGD", "Prediction", "1 image", "Operations", "relu + backward",
        "leaky_relu + backward",
    ]  # fmt: skip
    for line in rows:
        if line.startswith("  "):
            found = re.search(r" ([\d.]+ [mu]?s) +([\d.]+ [mu]?s) +([\d.]+)(<?) +yes$", line)
            assert found, line
            numpy, numba = map(seconds, found.group(1, 2))
            assert float(found[3]) == pytest.approx(numpy / numba, rel=0.02)
            name = line[2:].partition("  ")[0].partition(" + ")[0]
            partly = re.search(rf"[:,] {re.escape(name)} ", " ".join(legend[1:])) is not None
            assert (found[4] == "<") == (float(found[3]) < 1 or partly)
    assert "Name (time in" not in plain[0]


def test_what_was_measured_is_saved(plain):
    for path in (plain[1] / "all.json", *plain[1].rglob("0001_first.json")):
        found = json.loads(path.read_text())["benchmarks"]
        assert len(found) == 12
        assert all(each["extra_info"]["equal"] for each in found)
        assert {each["params"]["kernels"] for each in found} == {"numpy", "numba"}


def test_a_comparison_with_what_was_saved_is_the_plugin_s(plain):
    """Against a saved run that took no time at all, everything has become slower."""
    (saved,) = plain[1].rglob("0001_first.json")
    saved.write_text(re.sub(r'"min": [^,]*', '"min": 1e-12', saved.read_text()))
    options = [
        "bench/bench_operations.py",
        "-k",
        "relu-wide",
        "--benchmark-compare",
        "--benchmark-compare-fail=min:5%",
        "--benchmark-columns=min",
    ]
    printed = ended(start(plain[1], *ONLY, *options), code=1)
    assert "Performance has regressed" in printed
    assert "Name (time in" in printed
    assert "(0001_first)" in printed
    assert "NumPy and Numba, " not in printed


def test_operations_that_differ_are_not_measured(started):
    """One case differs, another one was to be measured."""
    printed = ended(started["planted"][0], code=1)
    tanh, softmax = (next(line for line in lines_of_table(printed) if name in line) for name in ("tanh", "softmax"))
    assert tanh.split() == ["tanh", "wide,", "128", "x", "128", "NO"]
    assert softmax.endswith(" yes")
    assert "float64, 33 x 12" in softmax
    assert "strided: planted" in printed


@pytest.mark.parametrize(
    ("arguments", "variable", "wanted"),
    [
        (
            ["--benchmark-only", "-k", "relu", "--benchmark-json=a", "--benchmark-save=b", "--benchmark-max-time=1"],
            "",
            False,
        ),
        (["--benchmark-only"], "--benchmark-autosave --benchmark-min-rounds=9", False),
        (["--benchmark-only"], "-v --benchmark-sort=name", True),
        *[(["bench", f"--benchmark-{option}", "x"], "", True) for option in PLUGIN_OPTIONS],
    ],
)
def test_who_asks_for_the_plugin_s_table_has_it(arguments, variable, wanted, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", variable)
    config = SimpleNamespace(invocation_params=SimpleNamespace(args=arguments))
    assert plugin_table_wanted(config) == wanted


def full_table(every, spoil=()):
    """The table of all benchmarks, each of which took a second, ten with the kernels in `spoil`."""
    comparison = Comparison()
    rows = [
        *(bench_training.row_of(*workload) for workload in bench_training.WORKLOADS),
        bench_training.DEFORM,
        *(bench_prediction.row_of(*workload) for workload in bench_prediction.WORKLOADS),
        *(bench_operations.row_of(*each) for each in bench_operations.grid(every)),
    ]
    for section, operation, shape, *part in rows:
        info = {"section": section, "operation": operation, "shape": shape, "part": "".join(part), "equal": True}
        for kernels in ("numpy", "numba"):
            comparison.add(info, kernels, 10.0 if kernels in spoil or (kernels, operation, *part) in spoil else 1.0)
    return [line for line, _ in table(comparison.sections)]


def test_the_table_is_read_at_a_glance():
    lines = full_table(every=False)
    assert len(lines) + 1 <= 45
    assert max(map(len, lines)) < 80
    text = "\n".join(lines)
    assert all(cases.operation(call).removesuffix("_backward") in text for call in cases.CALLS)
    assert "<" not in "".join(lines[:-1])
    assert all(
        "<" in line
        for line in full_table(every=False, spoil=("numba",))
        if line.startswith("  ") and "ratio" not in line
    )


def test_a_part_that_is_slower_is_not_hidden_by_a_faster_one():
    spoil = (("numba", "tanh"), ("numpy", "tanh", "backward"), ("numpy", "tanh", "backward"))
    lines = full_table(every=False, spoil=[*spoil, ("numpy", "elu", "backward")])
    assert [line.split()[0] for line in lines if "<" in line and not line.startswith("Fastest")] == ["tanh"]
    assert lines[-1] == "Below 1 in one part only: tanh 0.10."


def test_every_case_is_there_on_demand():
    lines = full_table(every=True)
    names = {re.split(" +|,", line)[2] for line in lines if line.startswith("  affine ")}
    assert names == {case.name for case in cases.CASES}
    assert len(bench_operations.grid(every=True)) == len(cases.GRID)


def test_the_option_is_named_where_nothing_matches():
    written = []
    reporter = SimpleNamespace(write_line=written.append)
    options = {"benchmark_quiet": False, "benchmark_only": True}
    config = SimpleNamespace(getoption=options.get)
    Comparison().pytest_terminal_summary(reporter, pytest.ExitCode.NO_TESTS_COLLECTED, config)
    assert "--benchmark-all-cases" in written[0]


@pytest.mark.parametrize(
    ("only", "arguments", "tests", "benchmarks"),
    [
        (False, [], True, False),
        (False, ["-k", "relu"], True, False),
        (True, [], False, True),
        (False, ["bench"], True, True),
        (False, ["bench/bench_training.py::bench_deform"], True, True),
    ],
)
def test_benchmarks_run_only_on_demand(only, arguments, tests, benchmarks, request, monkeypatch):
    monkeypatch.chdir(ROOT)
    plugin = request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))
    params = SimpleNamespace(args=arguments)
    config = SimpleNamespace(getoption=lambda name, default=False: only, invocation_params=params)
    for path, wanted in ((ROOT / "tests/files/test_log.py", tests), (ROOT / "bench/bench_training.py", benchmarks)):
        assert (plugin.pytest_ignore_collect(path, config) is None) == wanted
