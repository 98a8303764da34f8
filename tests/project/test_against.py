"""`python -m bench.against`: two checkouts in one interleaved run."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench import against, sides, workers
from bench.workloads import WORKLOADS
from tests.conftest import ROOT


def test_a_checkout_against_itself(tmp_path):
    """Both sides enter the same frames; nothing is compiled for it, and nothing left behind."""
    command = [sys.executable, "-m", "bench.against", str(ROOT), "--only", "frames", "--pairs", "2", "--itself"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=120)
    about, head, row = done.stdout.splitlines()
    assert str(ROOT) in about
    assert head.split() == ["work", "this", "other", "ratio", "quartiles", "pairs", "itself", "quartiles"]
    this, other, *rest = row.removeprefix(against.MEASURED[1].rows[0].name).split()
    assert int(this) == int(other) > 0
    assert rest == ["1.000", "1.000-1.000", "2", "1.000", "1.000-1.000"]
    assert list(tmp_path.iterdir()) == []


def test_every_row_of_the_readme_is_measured():
    rows = [row.name for each in against.MEASURED for row in each.rows]
    assert {work.name for work in WORKLOADS} < set(rows)
    assert len(rows) == len(set(rows))
    assert all(row.figure in against.FORMATS for each in against.MEASURED for row in each.rows)


@pytest.mark.parametrize("name", sides.NUMPY)
def test_the_bare_lines_are_the_same_mathematics(name):
    """Preparing compares them; what is measured is positive."""
    figures = sides.NUMPY[name]()()
    assert figures
    assert all(value > 0 for value in figures.values())


def test_bare_lines_of_other_mathematics_are_refused(monkeypatch):
    right = sides.bare_step
    monkeypatch.setattr(sides, "bare_step", lambda layers, x, labels, rate: right(layers, x, labels, 1.01 * rate))
    with pytest.raises(AssertionError):
        sides.step()


def test_pairs_alternate():
    """First the one, then the other side comes first."""
    asked = []
    asks = [lambda side=side: asked.append(side) or {"seconds": 2.0 - side} for side in (0, 1)]
    assert list(against._pairs(asks, range(2))) == [({"seconds": 2.0}, {"seconds": 1.0})] * 2
    assert asked == [1, 0, 0, 1]


def test_a_line():
    pairs = [({"seconds": a}, {"seconds": b}) for a, b in ((1e-3, 1e-3), (2e-3, 1e-3), (3e-3, 1e-3))]
    assert against.line(against.Row("work", "seconds"), pairs).split() == [
        "work", "2.00", "ms", "1.00", "ms", "2.000", "1.000-3.000", "3",
    ]  # fmt: skip
    again = [(this, other, {"seconds": 2e-3}) for this, other in pairs]
    assert against.line(against.Row("work", "seconds"), again).split()[-2:] == ["0.500", "0.500-0.500"]
    assert "1.000-1.000" in against.line(against.Row("work", "seconds"), pairs[:1])


def test_modules_are_found_at_their_new_and_at_their_old_path():
    assert workers.module("nowhere", "errors").__name__ == "fnnet.errors"
    assert workers.module("files.log", "errors").__name__ == "fnnet.files.log"
    with pytest.raises(ModuleNotFoundError, match="none of nowhere, neither"):
        workers.module("nowhere", "neither")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [(["--only", "nothing of this name"], "no row has a name that contains"), ([], "has no fnnet")],
)
def test_what_cannot_be_measured(tmp_path, arguments, fault):
    result = CliRunner().invoke(against.main, [str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert fault in result.output
