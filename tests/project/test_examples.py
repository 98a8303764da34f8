"""The programs in examples/ run, are short, and reach the accuracy that only a right update reaches."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "examples").glob("*.py"))}
LINES = {"from_scratch.py": 40, "own_optimizer.py": 50}
LEAST = 0.9
SPOILED = {
    "from_scratch.py": ("params = fnnet.update(params, grads, LEARNING_RATE)", "fnnet.update(params, grads, 0.1)"),
    "own_optimizer.py": ("np.sign(v)", "v"),
}
"""A line of each program, and a mistake in its place."""


def accuracy(program, folder):
    """The test accuracy that a program prints at its end."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return float(re.fullmatch(r"test accuracy: ([\d.]+)%", done.stdout.splitlines()[-1])[1]) / 100


def test_all_examples_are_known():
    assert EXAMPLES.keys() == LINES.keys() == SPOILED.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run_and_learn(name, tmp_path):
    assert accuracy(EXAMPLES[name], tmp_path) > LEAST


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_update_misses_the_bound(name, tmp_path):
    right, wrong = SPOILED[name]
    assert EXAMPLES[name].count(right) == 1
    assert accuracy(EXAMPLES[name].replace(right, wrong), tmp_path) < LEAST


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_short_and_say_how_to_run_them(name):
    assert len(EXAMPLES[name].splitlines()) <= LINES[name]
    assert f"python examples/{name}" in EXAMPLES[name].split('"""')[1]
