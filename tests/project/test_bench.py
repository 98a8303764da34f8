"""The programs that measure: their tables are the README's, their workers do what they say."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bench import accuracy, accuracy_picture, peers, published, workers, workloads
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_readme_has_the_rows_of_this_program():
    assert peers.check(README) == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda text: text.replace(peers.BEGIN, ""), "has no table"),
        (lambda text: text.replace("| predict 1 image, 784-10-10 |", "| predict one image |"), "is not that of"),
    ],
)
def test_a_readme_with_other_rows_fails(spoil, fault):
    assert fault in " ".join(peers.check(spoil(README)))


def test_a_program_with_other_rows_fails(monkeypatch):
    monkeypatch.setattr(peers, "WORKLOADS", workloads.WORKLOADS[:-1])
    assert "other rows" in " ".join(peers.check(README))


def test_no_losing_row_is_hidden():
    """Every row of the JSON is in the README, with its ratio, good or bad."""
    results = json.loads(peers.RESULTS.read_text())
    assert len(results["rows"]) == len(workloads.WORKLOADS)
    for row in results["rows"]:
        assert f"| {row['work']} |" in README
        assert f"**{row['ratio']:.2f}**" in README
        assert row["ratio"] == pytest.approx(min(row["peers"].values()) / row["fnnet"])


KINDS = {"fnnet": (0, 10, 11, 13), "NumPy": (10, 11, 13), "scikit-learn": (0, 11, 13)}
"""The numbers of workloads, one of each kind, that a library can run."""


@pytest.mark.parametrize("peer", KINDS)
def test_libraries_run_what_they_can(peer):
    """Each kind of workload, on a few images."""
    for number in (0, 10, 11, 13):
        run = workers.PEERS[peer](workloads.WORKLOADS[number], 300, 1)
        assert (run is not None) == (number in KINDS[peer])
        assert run is None or workers.settled(run, 0) > 0


def test_a_worker_answers():
    """What it cannot run, and what goes wrong, are answers too."""
    numbers = [0, 11, len(workloads.WORKLOADS)]
    questions = [question for number in numbers for question in ({"work": number, "count": 300}, {})]
    done = subprocess.run(
        [sys.executable, "-m", "bench.workers", "NumPy", "1"],
        input="".join(json.dumps(question) + "\n" for question in questions),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    cannot, nothing, can, measured, wrong, nothing_again = map(json.loads, done.stdout.splitlines())
    assert cannot == {"able": False}
    assert can == {"able": True}
    assert measured["seconds"] > 0
    assert measured["mib"] > 10
    assert wrong["able"] is False
    assert "IndexError" in wrong["error"]
    assert nothing == nothing_again == {}


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


def run_of(what, accuracy, seconds, seed=0, process=1.0):
    machine = {"cpu": "one", "threads": 2, "versions": {"numpy": "2"}}
    figures = {"accuracy": accuracy, "seconds": seconds} if accuracy else {}
    return {"what": what, "seed": seed, "process": process, "machine": machine, **figures}


GOOD = [
    *(run_of("quick", 0.982, 0.5, seed) for seed in range(3)),
    run_of("accurate", 0.9941, 60.0),
    run_of("record", 0.9955, 2000.0),
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
    assert [run["what"] for run in runs] == ["quick"] * 3 + ["import torch", "accurate", "record"]
    assert runs[-1]["accuracy"] == 0.99
    assert accuracy.check([], "")[:3] == ["quick: no runs", "accurate: no runs", "record: no runs"]


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
