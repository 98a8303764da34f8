"""The programs in examples/ run, are short, and reach the accuracy that only a right update reaches."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "examples").glob("*.py"))}
LINES = {
    "from_scratch.py": 40,
    "input_gradient.py": 50,
    "jax_and_optax.py": 60,
    "one_call.py": 40,
    "own_loss.py": 60,
    "own_optimizer.py": 50,
    "search.py": 60,
}
NEEDS = {"jax_and_optax.py": ("jax", "optax"), "search.py": ("joblib",)}
LEAST = 0.9
SPOILED = {
    "from_scratch.py": ("params = fnnet.update(params, grads, LEARNING_RATE)", "fnnet.update(params, grads, 0.1)"),
    "own_optimizer.py": ("np.sign(v)", "v"),
    "own_loss.py": ("dprobs = 2 *", "dprobs = -2 *"),
    "input_gradient.py": ("rows, 32, 0.1)", "rows, 32, 0.0)"),
    "one_call.py": ("hidden=(64,), epochs=40", "hidden=(1,), epochs=1"),
    "search.py": ("key=lambda each: each[1]", "key=lambda each: -each[1]"),
    "jax_and_optax.py": ("apply_updates(params, updates), state", "apply_updates(updates, updates), state"),
}
"""A line of each program, and a mistake in its place."""


def printed(name, program, folder):
    """What a program prints; skipped without the libraries that it needs."""
    for library in NEEDS.get(name, ()):
        pytest.importorskip(library, reason=f"needs {library}: pip install {library}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def accuracy(name, program, folder):
    """The test accuracy that a program prints at its end."""
    last = printed(name, program, folder).splitlines()[-1]
    return float(re.fullmatch(r"test accuracy: ([\d.]+)%", last)[1]) / 100


def test_all_examples_are_known():
    assert EXAMPLES.keys() == LINES.keys() == SPOILED.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run_and_learn(name, tmp_path):
    assert accuracy(name, EXAMPLES[name], tmp_path) > LEAST


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_update_misses_the_bound(name, tmp_path):
    right, wrong = SPOILED[name]
    assert EXAMPLES[name].count(right) == 1
    assert accuracy(name, EXAMPLES[name].replace(right, wrong), tmp_path) < LEAST


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_short_and_say_how_to_run_them(name):
    assert len(EXAMPLES[name].splitlines()) <= LINES[name]
    assert f"python examples/{name}" in EXAMPLES[name].split('"""')[1]


def test_what_the_examples_show(tmp_path):
    """A gradient that is checked, predictions that a step along the gradient changes, a loss that JAX computes too."""
    name = "own_loss.py"
    assert "gradient right: True\n" in printed(name, EXAMPLES[name], tmp_path)
    wrong = EXAMPLES[name].replace("dprobs = 2 *", "dprobs = 2.0001 *")
    assert wrong != EXAMPLES[name]
    assert "gradient right: False\n" in printed(name, wrong, tmp_path)
    name = "input_gradient.py"
    found = re.search(r"accuracy after the step: ([\d.]+)%", printed(name, EXAMPLES[name], tmp_path))
    assert float(found[1]) < 50


def test_jax_and_fnnet_compute_one_loss(tmp_path):
    name = "jax_and_optax.py"
    found = re.search(r"loss by JAX ([\d.]+), by fnnet ([\d.]+)", printed(name, EXAMPLES[name], tmp_path))
    assert float(found[1]) == pytest.approx(float(found[2]), abs=2e-4)


README = (ROOT / "README.md").read_text()


def test_the_examples_pass_mypy_strict(tmp_path):
    """Those of the README too."""
    pytest.importorskip("mypy", reason="needs mypy: pip install mypy")
    programs = [str(ROOT / "examples" / name) for name in EXAMPLES if all(map(find_spec, NEEDS.get(name, ())))]
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)):
        (tmp_path / f"readme_{number}.py").write_text(block)
        programs.append(str(tmp_path / f"readme_{number}.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), *programs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
