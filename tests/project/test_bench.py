"""The programs that measure: their tables are those of the pages, their workers do what they say."""

import json
import os
import subprocess
import sys
import unittest

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.utils import estimator_checks

from bench import accuracy, accuracy_picture, batches, engines, estimator, peers, published, streams, workers, workloads
from fnnet import data
from fnnet.data.expand import expand
from tests.conftest import ROOT

PAGES = {page: page.read_text() for page in peers.sections()}
README, PAGE, ENGINES_PAGE = PAGES.values()


def test_the_tables_have_the_rows_of_this_program():
    assert peers.check(PAGES) == []


@pytest.mark.parametrize("which", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda text: text.replace(peers.BEGIN, ""), "has no table"),
        (lambda text: text.replace(" 784-10-10 |", " 784-10 |"), "is not that of"),
    ],
)
def test_a_page_with_other_rows_fails(which, spoil, fault):
    (found,) = peers.check({**PAGES, which: spoil(PAGES[which])})
    assert fault in found
    assert str(which.relative_to(ROOT)) in found


@pytest.mark.parametrize("name", ["WORKLOADS", "PREDICTIONS"])
def test_a_program_with_other_rows_fails(monkeypatch, name):
    measured = json.loads(peers.RESULTS.read_text()), *json.loads(peers.ENGINES_RESULTS.read_text())
    gone = measured[name == "PREDICTIONS"]["rows"][0]["work"]
    monkeypatch.setattr(peers, name, [work for work in getattr(workloads, name) if work.name != gone])
    assert peers.check(PAGES) == [f"the program has other rows: {[gone]}"]


def test_rows_that_a_machine_lacks_are_named(monkeypatch):
    monkeypatch.setattr(peers, "PREDICTIONS", (*workloads.PREDICTIONS, workloads.prediction("one", (784, 10), "bytes")))
    assert peers.check(PAGES) == ["the table of docs/engines.md is not that of its JSON"]
    text = peers.engines_section(json.loads(peers.ENGINES_RESULTS.read_text()))
    assert "1 image, bytes, 784-10.\n" in text.partition("Not measured on this machine: ")[2]


def test_no_losing_row_is_hidden():
    """Every row of the JSON is in the page, with its ratio, good or bad; the README has some of both."""
    results = json.loads(peers.RESULTS.read_text())
    assert len(results["rows"]) == len(workloads.WORKLOADS)
    for row in results["rows"]:
        assert f"| {row['work']} |" in PAGE
        assert f"**{row['ratio']:.2f}**" in PAGE
        assert (f"{row['work']} ({row['fastest']} {row['ratio']:.2f})" in PAGE) == (row["ratio"] < 1)
        assert (f"| {row['work']} |" in README) == (row["work"] in peers.TELLING)
        assert row["ratio"] == pytest.approx(min(row["peers"].values()) / row["fnnet"])


def test_no_losing_row_of_an_engine_is_hidden():
    """Rows in which fnnet is slower are counted and named, too."""
    for machine in json.loads(peers.ENGINES_RESULTS.read_text()):
        inside = ENGINES_PAGE.partition(f"## {machine['cpu']}\n")[2].partition("\n## ")[0]
        for row in machine["rows"]:
            equals = {name: value for name, value in row["peers"].items() if name not in row.get("lower", {})}
            assert row["ratio"] == pytest.approx(min(equals.values()) / row["fnnet"])
            assert f"| {row['work']} |" in inside
            assert f"**{row['ratio']:.2f}**" in inside
            assert (f"{row['work']} ({row['fastest']} {row['ratio']:.2f})" in inside) == (row["ratio"] < 1)


ROW = {"work": "10,000 images, bytes, 784-10-10", "fnnet": 2e-3, "ratio": 1.5, "target": 2.2}


def test_a_lower_precision_is_named_and_does_not_count(monkeypatch):
    lower = {"OpenVINO": {"precision": "bfloat16", "wrong": 11}}
    row = peers._row(workloads.PREDICTIONS[6], 2e-3, {"OpenVINO": 1e-3, "NumPy": 3e-3}, lower)
    assert (row["fastest"], row["ratio"]) == ("NumPy", pytest.approx(1.5))
    text = peers.table([row], workloads.PREDICTIONS, peers.ENGINES)
    heads, _, cells = text.splitlines()
    assert heads == "| work | fnnet | OpenVINO | NumPy | fnnet is faster by | target |"
    assert "| 2.00 ms | 1.00 ms, bfloat16: 11 of 1,000 differ | 3.00 ms | **1.50** | 2.2 |" in cells


def test_only_engines_of_equal_precision_set_the_pace():
    class Taken:
        threads = 1

        def __init__(self, name):
            self.name = name

    team = [Taken(name) for name in ("fnnet", "peak", "OpenVINO", "LiteRT", "MNN", "JAX")]
    seconds = {(each.name, 1): [taken] for each, taken in zip(team, (9.0, 9.0, 1.0, 4.0, 7.0, 8.0), strict=True)}
    left = [each.name for each in peers._in_the_race(team, seconds, {"OpenVINO"})]
    assert left == ["fnnet", "peak", "OpenVINO", "LiteRT", "MNN"]


@pytest.mark.parametrize("shape", ["784", "784-0-10", "784-x-10", "28-10-10", "784-10-11", ""])
def test_a_shape_that_is_no_network_for_mnist_is_refused(shape):
    done = CliRunner().invoke(peers.main, ["--shape", shape])
    assert done.exit_code == 2
    assert "is not a network from 784 pixels to 10 classes: 784-128-10" in done.output


@pytest.mark.parametrize("options", [["--merge"], ["--merge", "--shape", "784-10-10", "--only", "bytes"]])
def test_merge_needs_rows_of_the_table(options):
    done = CliRunner().invoke(peers.main, options)
    assert done.exit_code == 2
    assert "--merge goes with --only" in done.output


@pytest.mark.parametrize(("options", "cpu"), [((), "one"), (("--predict",), None)])
def test_rows_of_other_libraries_are_not_replaced(tmp_path, options, cpu):
    """Nor those of another machine, where the file has one machine."""
    path, before = tmp_path / "before.json", {"cpu": cpu or peers.cpu_name(), "threads": 0, "rounds": 5, "versions": {}}
    path.write_text(json.dumps([{**before, "rows": []}] if options else {**before, "rows": []}))
    done = CliRunner().invoke(peers.main, [*options, "--only", "784-10-10", "--merge", "--out", str(path)])
    assert done.exit_code == 2
    assert "is of another machine, or of other libraries or rounds" in " ".join(done.output.split())


def test_rows_that_there_are_not_are_refused():
    done = CliRunner().invoke(peers.main, ["--only", "784-11-10"])
    assert done.exit_code == 2
    assert "no row has a name that contains 784-11-10" in done.output


def measured(works, names, only, rounds, threads):
    return [
        {**ROW, "work": work.name, "fnnet": float(rounds), "peers": {}, "peak_gflops": 1.0}
        for work in works
        if only in work.name
    ]


def test_each_machine_keeps_its_rows(tmp_path, monkeypatch):
    """Measuring again replaces the rows of this machine; --only writes with --merge alone; --shape never writes."""
    monkeypatch.setattr(peers, "_rows", measured)
    path = tmp_path / "engines.json"
    path.write_text(json.dumps([{"cpu": "one", "threads": 2, "rounds": 5, "versions": {}, "rows": []}]))

    def run(*options):
        done = CliRunner().invoke(peers.main, ["--predict", "--out", str(path), *options], catch_exceptions=False)
        assert done.exit_code == 0
        return json.loads(path.read_text())

    (other, ours) = run("--only", "10,000 images", "--merge", "--rounds", "3")
    assert [row["work"] for row in ours["rows"]] == [work.name for work in workloads.PREDICTIONS[6:]]
    assert run("--only", "1 image", "--merge", "--rounds", "3") == run("--rounds", "3")
    other, ours = run("--rounds", "3")
    assert (other["cpu"], ours["cpu"]) == ("one", peers.cpu_name())
    assert [row["work"] for row in ours["rows"]] == [work.name for work in workloads.PREDICTIONS]
    assert run("--only", "1 image", "--rounds", "4") == [other, ours]
    assert run("--shape", "784-20-10") == [other, ours]
    monkeypatch.setattr(peers, "_rows", lambda *given: [row | {"fnnet": 7.0} for row in measured(*given)])
    _, merged = run("--only", "1 image, bytes", "--merge", "--rounds", "3")
    assert [row["fnnet"] for row in merged["rows"]] == [
        7.0 if row["work"].startswith("1 image, bytes") else 3.0 for row in ours["rows"]
    ]


def test_a_shape_has_a_row_for_each_kind_of_rows():
    rows = workloads.predictions((784, 20, 10))
    assert [row.name for row in rows[:3]] == [
        f"1 image, {each}, 784-20-10" for each in ("bytes", "floats", "dense floats")
    ]
    assert {(row.kind, row.data) for row in rows} == {
        (k, d) for k in ("one", "many") for d in ("bytes", "floats", "dense")
    }
    assert set(workloads.PREDICTIONS) > set(workloads.predictions((784, 10, 10))[3:])


KINDS = {"fnnet": (0, 10, 11, 13), "NumPy": (10, 11, 13), "scikit-learn": (0, 11, 13)}
"""The numbers of workloads, one of each kind, that a library can run."""


@pytest.mark.parametrize("peer", KINDS)
def test_libraries_run_what_they_can(peer):
    """Each kind of workload, on a few images."""
    for number in (0, 10, 11, 13):
        run, notes = workers.prepared(peer, workloads.WORKLOADS[number], 300, 1)
        assert (run is not None) == (number in KINDS[peer])
        assert run is None or workers.settled(run, 0) > 0
        assert notes == ({"precision": "float32", "wrong": 0} if run and number > 10 else {})


LIBRARIES = {
    "LiteRT": "ai_edge_litert", "MNN": "MNN", "OpenVINO": "openvino", "OpenVINO, float32": "openvino",
    "ONNX Runtime": "onnxruntime", "JAX": "jax", "PyTorch": "torch",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in engines.ENGINES if name != "PyTorch compiled"])
@pytest.mark.parametrize("data", ["bytes", "floats", "dense"])
def test_engines_answer_as_numpy(name, data):
    """Those that are installed, one image and many, in two hidden layers; a wrong answer raises."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason=f"needs {LIBRARIES[name]}: pip install -e '.[peers]'")
    for kind in ("one", "many"):
        work = workloads.prediction(kind, (784, 20, 16, 10), data)
        run, notes = workers.prepared(name, work, 300, 1)
        assert run() > 0
        assert notes["wrong"] < 15


def answering(precision, change):
    """An engine whose scores are NumPy's, changed."""
    work = workloads.prediction("many", (784, 20, 10), "dense")
    x, _ = workloads.images_and_labels(work, 400)
    task = engines.task_of(work, x, 1)
    exact = engines.numpy_engine(task).answer
    return engines.checked(engines.Engine(lambda rows: change(exact(rows).copy()), precision), task, x)


def swapped(rows):
    def change(scores):
        scores[:rows] = -scores[:rows]
        return scores

    return change


def test_wrong_answers_are_not_timed():
    assert answering("float32", lambda scores: scores) == (0, pytest.approx(0, abs=1e-6))
    assert answering("float32", lambda scores: scores.argmax(axis=1)) == (0, None)
    assert answering("bfloat16", swapped(9)).wrong == 9
    for precision, change in (
        ("float32", swapped(1)),
        ("float32", lambda scores: swapped(1)(scores).argmax(axis=1)),
        ("float32", lambda scores: scores * np.float32(1.001)),
        ("bfloat16", swapped(21)),
    ):
        with pytest.raises(ArithmeticError, match=f"of 400 answers differ from NumPy's in {precision}"):
            answering(precision, change)


PROGRAM = """#!/bin/sh
echo "$@" >> calls
case "$OUT" in none) echo nothing;; *) echo "fp time = 0.0$4";; esac
"""


def test_a_program_of_libxsmm_is_timed_where_it_is(tmp_path, monkeypatch):
    """In its folder, once for each size of blocks, then with the fastest; what it prints is a batch's time."""
    work = workloads.WORKLOADS[2]
    assert workers.prepared("libxsmm-dnn", work, 60_000, 1) == (None, {})
    monkeypatch.setenv("PEERS_BIN", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        workers.prepared("libxsmm-dnn", work, 60_000, 1)
    (tmp_path / "mlp_mnist").write_text(PROGRAM)
    (tmp_path / "mlp_mnist").chmod(0o755)
    run, _ = workers.prepared("libxsmm-dnn", work, 60_000, 1)
    assert run() == pytest.approx(0.016 * 1200)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 10
    assert (calls[0], calls[-1]) == ("1 50 32 16 28 0 300 100", "4 50 32 16 28 0 300 100")
    assert workers.prepared("libxsmm-dnn", workloads.WORKLOADS[11], 1000, 1) == (None, {})
    monkeypatch.setenv("OUT", "none")
    with pytest.raises(ValueError, match="prints no 'fp time': 'nothing'"):
        run()


def test_a_worker_answers(tmp_path):
    """What it cannot run, a library that is not there, and what goes wrong, are answers too."""
    (tmp_path / "ai_edge_litert.py").write_text("raise ImportError('not here')")

    def answers(name, *works):
        questions = [question for work in works for question in ({"work": work, "count": 300}, {})]
        done = subprocess.run(
            [sys.executable, "-m", "bench.workers", name, "1"],
            input="".join(json.dumps(question) + "\n" for question in questions),
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return list(map(json.loads, done.stdout.splitlines()))

    works = workloads.WORKLOADS[0], workloads.WORKLOADS[11], ["no workload"]
    cannot, nothing, can, measured, wrong, nothing_again = answers("NumPy", *works)
    assert cannot == {"able": False}
    assert can == {"able": True, "precision": "float32", "wrong": 0}
    assert measured["seconds"] > 0
    assert measured["mib"] > 10
    assert wrong["able"] is False
    assert "ValueError" in wrong["error"]
    assert nothing == nothing_again == {}
    without, _ = answers("LiteRT", workloads.PREDICTIONS[0])
    assert without["able"] is False
    assert "ImportError: not here" in without["error"] or "flatbuffers" in without["error"]


def test_the_most_that_the_machine_can_do():
    """A time, in seconds, of 33 million operations, however busy the machine is."""
    assert 1e-5 < workers.peak_run(1, 256)() < 60


def test_works_have_images_like_digits(monkeypatch):
    monkeypatch.setattr(workloads, "_mnist", lambda: None)
    x, labels = workloads.images_and_labels(workloads.WORKLOADS[0], 500)
    assert x.dtype == np.uint8
    assert 0.1 < np.count_nonzero(x) / x.size < 0.25
    assert labels.min() >= 0
    assert labels.max() <= 9
    floats, _ = workloads.images_and_labels(workloads.prediction("many", (784, 10), "floats"), 500)
    assert floats.dtype == np.float32
    assert np.array_equal(np.rint(floats * 255), x)
    x, _ = workloads.images_and_labels(workloads.WORKLOADS[5], 500)
    assert x.dtype == np.float32
    assert np.count_nonzero(x) > 0.99 * x.size


def test_operations_are_counted():
    assert workloads.WORKLOADS[0].gflop(60_000) == pytest.approx(60_000 * (6 * 7940 - 2 * 7840) / 1e9)


def test_scale_measures_a_point(tmp_path):
    from bench import scale

    found = scale.measured("images", 500, "numba")
    assert found["seconds"] > 0
    assert found["mib"] > 0
    rows = {axis: [dict.fromkeys(scale.KERNELS, found) for _ in values] for axis, values in scale.AXES.items()}
    scale.draw(rows, tmp_path / "scale.svg")
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")


def test_less_talking_is_read_on_images_that_are_held_out():
    from bench import less_talking

    found = less_talking.accuracies("quick", less_talking.WAYS["8 shards, 8 local steps"], range(2), 1000)
    assert all(50 < each <= 100 and each / 100 * 200 == pytest.approx(round(each / 100 * 200)) for each in found)
    assert len(found) == 2


def run_of(what, accuracy, seconds, seed=0, process=1.0):
    machine = {"cpu": "one", "threads": 2, "versions": {"numpy": "2"}}
    figures = {"accuracy": accuracy, "seconds": seconds} if accuracy else {}
    return {"what": what, "seed": seed, "process": process, "machine": machine, **figures}


GOOD = [
    *(run_of("quick", 0.982, 0.5, seed) for seed in range(3)),
    run_of("accurate", 0.9941, 60.0),
    run_of("record", 0.9955, 2000.0),
    run_of("committee", 0.9965, 7000.0),
    run_of("import torch", None, None, process=1.5),
]


def page_of(runs):
    return accuracy.BEGIN + accuracy.section(runs) + accuracy.END


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ([], None),
        ([run_of("quick", 0.979, 0.5)], "quick: missed"),
        ([run_of("quick", 0.99, 0.5), run_of("quick", 0.99, 1.01, 1)], "quick: missed"),
        ([run_of("accurate", 0.9929, 60.0)], "accurate: missed"),
        ([run_of("record", 0.9955, 3601.0)], "record: missed"),
        ([run_of("committee", 0.9959, 7000.0)], "committee: missed"),
        ([run_of("quick", 0.99, 0.5, process=1.6)], "the whole process"),
    ],
)
def test_what_the_recipes_must_reach(change, fault):
    runs = accuracy.merge(GOOD, change)
    found = accuracy.check(runs, page_of(runs))
    assert fault in found[0] if fault else found == []
    assert ("missed" in accuracy.table(runs)) == (fault is not None and "missed" in fault)


def test_new_runs_take_the_place_of_those_of_their_name():
    runs = accuracy.merge(GOOD, [run_of("record", 0.99, 10.0)])
    assert [run["what"] for run in runs] == ["quick"] * 3 + ["import torch", "accurate", "record", "committee"]
    assert runs[-2]["accuracy"] == 0.99
    assert accuracy.check([], "")[:4] == [f"{name}: no runs" for name in ("quick", "accurate", "record", "committee")]


def test_the_page_of_recipes_is_that_of_the_json():
    runs = json.loads(accuracy.RESULTS.read_text())
    assert accuracy.section(runs) in accuracy.PAGE.read_text()
    assert {run["what"] for run in runs} >= {"classic", *accuracy.TARGETS}


def test_a_committee_is_run_in_a_folder_and_counted_whole(monkeypatch):
    """Its row has all members, and the folder that a stopped run goes on from."""
    commands = []

    def timed(command, folder):
        commands.append(command)
        members = [{"epochs": [{"epoch": 3}]}] * 4
        found = {"test_accuracy": 0.99, "train_seconds": 8.0, "sizes": [784, 9, 10], "parameters": 7165}
        return json.dumps(found | {"members": members}), 2.0

    monkeypatch.setattr(accuracy, "timed", timed)
    run = accuracy.run_recipe("committee", 7, "elsewhere", "runs")
    assert commands[0][-3:] == ["--run-dir", os.path.abspath("runs/committee-7"), "--resume"]
    assert (run["members"], run["epochs"], run["process"]) == (4, 3, 8.0)
    assert "--run-dir" not in (accuracy.run_recipe("committee", 7, "elsewhere") and commands[1])
    row = accuracy.table([run | {"machine": None}]).splitlines()[-1]
    assert row.startswith("| committee | 4 times 784-9-10 | 28,660 | 3 | 1 | **99.00** % |")


def test_multiply_adds_count_each_product_once():
    """Forward, gradient and, behind the first layer, backward: 784-10-10 by hand, and in proportion to the images."""
    assert published.multiply_adds((784, 10, 10), 1, 1) == 784 * 10 + 784 * 10 + 3 * 10 * 10
    assert published.multiply_adds((4, 3), 7, 5) == 7 * 5 * 2 * 12
    one, two = (published.multiply_adds((5, 4, 3, 2), 1, images) for images in (1, 2))
    assert (one, two) == (2 * 20 + 3 * 12 + 3 * 6, 2 * one)


def test_the_picture_has_our_runs_and_published_ones(tmp_path):
    runs = [run | {"sizes": (784, 10, 10), "epochs": 2} for run in GOOD if "accuracy" in run]
    runs.append(run_of("committee", 0.9965, 2400.0) | {"sizes": (784, 10, 10), "epochs": 2, "members": 10})
    accuracy_picture.draw(accuracy.by_name(runs), tmp_path / "accuracy.svg")
    assert all(run.seconds or run.epochs for run in published.PUBLISHED)
    assert all(run.source and 0 < run.errors < 10 for run in published.PUBLISHED)
    assert (tmp_path / "accuracy.svg").stat().st_size > 10_000


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_the_memory_of_a_stream_does_not_grow_with_its_images(tmp_path, numba_kernels):
    """A small case of `bench.streams`: in memory the larger takes 90 MB more, or twice as much."""
    digits = data.load("digits")
    work = streams.Work((10,), 64, window=2000)
    found = []
    for times in (4, 84):
        expand(digits, tmp_path / f"{times}", times)
        found.append(streams.measure(tmp_path / f"{times}", work, streamed=True, epochs=1))
    loaded = streams.measure(tmp_path / "84", work, streamed=False, epochs=1)
    assert found[1].sha256 == loaded.sha256
    assert abs(found[1].megabytes - found[0].megabytes) < 15
    assert loaded.megabytes > found[1].megabytes + 80


def test_batches_of_all_forms_are_measured_once():
    done = CliRunner().invoke(batches.main, ["--once"], catch_exceptions=False)
    assert done.exit_code == 0
    for row in batches.ROWS:
        assert f"| {row.name.format(1 if row.name == batches.MANY_ARRAYS else 10)} |" in done.output
    assert CliRunner().invoke(batches.main, ["--once", "--write"]).exit_code == 2


def test_the_page_on_batches_has_the_rows_of_this_program():
    text = batches.PAGE.read_text().partition(batches.BEGIN)[2].partition(batches.END)[0]
    names = [row.name.format("1,000" if row.name == batches.SOME_FRAMES else 10) for row in batches.ROWS]
    assert [line.split(" | ")[0][2:] for line in text.splitlines() if line.startswith("| ")][1:9] == names


def test_what_a_call_costs_is_what_parts_take_beyond_the_whole():
    seconds = dict.fromkeys((row.name for row in batches.ROWS), 0.1)
    seconds |= {batches.MANY_ARRAYS: 1.099, batches.SOME_FRAMES: 0.19}
    found = batches.Found(10_000, seconds, (200, 400_000))
    assert batches.calls(found) == pytest.approx((0.001, 0.01))
    text = batches.section(found)
    assert "A call costs 1.00 ms for an array, and 10.0 ms for a frame of 784 columns" in " ".join(text.split())
    assert "| one array | 100 ms | 100,000 |" in text
    assert "| computing, arrays | 10.0 us an image | 28 core hours |" in text
    assert "One core takes 78 MB of images a second, so 16 cores are as fast" in " ".join(text.split())


def test_the_classifier_is_measured_once_beside_the_other():
    done = CliRunner().invoke(estimator.main, ["--once", "--processor"], catch_exceptions=False)
    assert done.exit_code == 0
    assert all(
        f"| {shape._replace(rows=min(300, shape.rows)).name} | 1 | " in done.output for shape in estimator.SHAPES
    )
    assert "| digits | " in done.output
    assert "processor time of one thread" in done.output
    assert "`GridSearchCV` over 1 settings of digits" in done.output
    assert "| FNNetClassifier | 3 | 0 | 0 |" in done.output
    assert CliRunner().invoke(estimator.main, ["--once", "--write"]).exit_code == 2


def test_the_page_on_the_classifier_has_the_rows_of_this_program():
    text = estimator.PAGE.read_text().partition(estimator.BEGIN)[2].partition(estimator.END)[0]
    names = [line.split(" | ")[0][2:] for line in text.splitlines() if line.startswith("| ")]
    compared = [which.name if isinstance(which, estimator.Shape) else which for which in estimator.COMPARED]
    sides = ["FNNetClassifier", "MLPClassifier"]
    heads = ["table", *(shape.name for shape in estimator.SHAPES), "table", *compared, "checks of scikit-learn", *sides]
    assert names == heads
    assert np.prod([len(values) for values in estimator.GRID.values()]) == 24


def test_a_ratio_is_that_of_turns_and_checks_are_counted():
    assert estimator.ratio([(1.0, 2.0), (1.0, 5.0), (4.0, 12.0)]) == 3
    calls = []
    size = estimator.ONCE._replace(turns=2)
    found = estimator.turns([lambda: calls.append(0), lambda: calls.append(1)], size)
    assert calls == [1, 0, 0, 1]
    assert all(seconds > 0 for pair in found for seconds in pair)


def test_failures_of_checks_are_counted(monkeypatch):
    def skip(one):
        raise unittest.SkipTest

    checks = [len, skip, skip, str, lambda one: one + "", lambda one: one / 0, lambda one: one[9]]
    monkeypatch.setattr(estimator_checks, "estimator_checks_generator", lambda one: ((one, check) for check in checks))
    assert estimator.outcomes("any", None) == {"passed": 3, "skipped": 2, "failed": 2}
    assert estimator.outcomes("any", 2) == {"passed": 1, "skipped": 1, "failed": 0}
