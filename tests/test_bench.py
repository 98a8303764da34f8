"""The programs that measure: their tables are the README's, their workers do what they say."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bench import peers, works
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_readme_has_the_rows_of_this_program():
    assert peers.check(README) == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda text: text.replace(peers.BEGIN, ""), "has no table"),
        (lambda text: text.replace("| answer 1 image, 784-10-10 |", "| answer one image |"), "is not that of"),
    ],
)
def test_a_readme_with_other_rows_fails(spoil, fault):
    assert fault in " ".join(peers.check(spoil(README)))


def test_a_program_with_other_rows_fails(monkeypatch):
    monkeypatch.setattr(peers, "WORKS", works.WORKS[:-1])
    assert "other rows" in " ".join(peers.check(README))


def test_no_losing_row_is_hidden():
    """Every row of the JSON is in the README, with its ratio, good or bad."""
    results = json.loads(peers.RESULTS.read_text())
    assert len(results["rows"]) == len(works.WORKS)
    for row in results["rows"]:
        assert f"| {row['work']} |" in README
        assert f"**{row['ratio']:.2f}**" in README
        assert row["ratio"] == pytest.approx(min(row["peers"].values()) / row["fnnet"])


@pytest.mark.parametrize("peer", ["fnnet", "NumPy", "scikit-learn", "peak"])
def test_a_worker_answers(peer):
    """Each kind of work that the peer can do, on a few images; the others are refused."""
    numbers = [0, 10, 11, 13, len(works.WORKS)]
    questions = [question for number in numbers for question in ({"work": number, "count": 300}, {})]
    done = subprocess.run(
        [sys.executable, "-m", "bench.workers", peer, "1"],
        input="".join(json.dumps(question) + "\n" for question in questions),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    able = [answers[i]["able"] for i in range(0, 8, 2)]
    assert able == {"NumPy": [False, True, True, True], "scikit-learn": [True, False, True, True]}.get(peer, [True] * 4)
    for i in range(0, 8, 2):
        assert ("seconds" in answers[i + 1]) == answers[i]["able"]
        if answers[i]["able"]:
            assert answers[i + 1]["seconds"] > 0
    assert answers[8]["able"] is False
    assert "IndexError" in answers[8]["error"]


def test_works_have_images_like_digits(monkeypatch):
    monkeypatch.setattr(works, "_mnist", lambda: None)
    x, labels = works.images_and_labels(works.WORKS[0], 500)
    assert x.dtype == np.uint8
    assert 0.1 < np.count_nonzero(x) / x.size < 0.25
    assert labels.min() >= 0
    assert labels.max() <= 9
    x, _ = works.images_and_labels(works.WORKS[5], 500)
    assert x.dtype == np.float32
    assert np.count_nonzero(x) > 0.99 * x.size


def test_operations_are_counted():
    assert works.WORKS[0].gflop(60_000) == pytest.approx(60_000 * (6 * 7940 - 2 * 7840) / 1e9)


def test_scale_measures_a_point(tmp_path):
    from bench import scale

    found = scale.measured("images", 500, "numba")
    assert found["seconds"] > 0
    assert found["mib"] > 0
    rows = {axis: [dict.fromkeys(scale.KERNELS, found) for _ in values] for axis, values in scale.AXES.items()}
    scale.draw(rows, tmp_path / "scale.svg")
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")
