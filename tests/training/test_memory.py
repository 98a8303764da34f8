"""Memory: reckoned before training starts, refused with the number, and running out of it is one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fnnet import limits
from fnnet.training import memory
from fnnet.training.plan import Plan
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc of Linux")
PLAN = Plan(epochs=1, batch_size=32, learning_rate=0.1)


def limited(kilobytes, cwd, *arguments):
    """A command under `ulimit -v`."""
    command = ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "bash", sys.executable, str(ROOT / "cli.py")]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("megabytes", [60, 300, 590])
def test_f69_too_little_to_start_is_refused_with_the_number(megabytes, idx_folder, tmp_path):
    """Below it libraries cannot be loaded, or OpenBLAS waits for ever for room."""
    done = limited(1000 * megabytes, tmp_path, "train", "--data", idx_folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ulimit -v: too little memory; expected at least 600 MB, found ")
    assert done.stderr.endswith(" MB; raise the limit\n")
    assert os.listdir(tmp_path) == ["idx"]


def test_f69_what_training_needs_is_refused_with_the_number_before_it_starts(idx_folder, tmp_path):
    done = limited(1_200_000, tmp_path, "train", "--data", idx_folder, "--hidden", 200_000, "--quiet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: not enough memory; expected at most ")
    assert "MB, as ulimit -v leaves, found at least 3,148 MB; use a smaller --hidden or" in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["idx"]
    done = limited(1_200_000, tmp_path, "train", "--data", idx_folder, "--epochs", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sizes"] == [784, 10, 10]


def test_f69_memory_that_runs_out_on_the_way_is_one_line(run, idx_folder, tmp_path, monkeypatch):
    from fnnet.training import blocks

    core = np._core if hasattr(np, "_core") else np.core  # before NumPy 2

    def fail(*arguments):
        raise core._exceptions._ArrayMemoryError((2**40,), np.dtype("f4"))

    monkeypatch.setattr(blocks.Loop, "run", fail)
    result = run("train", "--data", idx_folder, "--quiet", "--run-dir", "kept")
    result.failed(1, "out of memory; found Unable to allocate 4.00 TiB", "--batch-size")
    assert not (tmp_path / "model.safetensors").exists()
    assert not [name for name in os.listdir(tmp_path / "kept") if name.startswith(".") or name == "lock"]


@pytest.mark.parametrize("error", [
    MemoryError(), ImportError("x.so: failed to map segment from shared object"), OSError(12, "Cannot allocate memory"),
])  # fmt: skip
def test_f69_every_kind_of_too_little_memory_is_told_as_that(error, run, idx_folder, monkeypatch):
    from fnnet.training import epochs

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(epochs, "epochs", fail)
    run("train", "--data", idx_folder, "--quiet").failed(1, "out of memory", "use a smaller --batch-size")


def test_f69_the_reckoning_grows_with_what_is_kept():
    def needed(plan=PLAN, sizes=(784, 1000, 10), images=1000, compiled=False, **more):
        return memory.of_training(sizes, images, plan, compiled=compiled, **more)

    count, first = 4 * (785 * 1000 + 1001 * 10), 16 * 785 * 1000
    assert needed() == count + first, "the largest layer is drawn in float64"
    assert 7 * count <= needed(PLAN._replace(optimizer="adam")) <= 8 * count
    assert needed(PLAN._replace(optimizer="adam", ema=0.9)) == needed(PLAN._replace(optimizer="adam")) + 2 * count
    assert needed(PLAN._replace(batch_size=None), images=10**5) > 10**5 * 4 * 784
    assert needed(PLAN._replace(optimizer="adam"), compiled=True) >= 9 * count
    assert needed(PLAN._replace(optimizer="lbfgs")) > 40 * count
    for plan, compiled in (
        (PLAN, False),
        (PLAN._replace(optimizer="adam"), True),
        (PLAN._replace(optimizer="lbfgs"), 0),
    ):
        assert needed(plan, compiled=compiled, members=5) == needed(plan, compiled=compiled) + 4 * count


def test_f69_a_committee_too_large_is_refused_before_it_is_trained(run, idx_folder, monkeypatch):
    monkeypatch.setattr(limits, "available_bytes", lambda: (60_000_000, "the test"))
    assert run("train", "--data", idx_folder, "--epochs", 1, "--hidden", 1000, "--members", 5).code == 0
    run("train", "--data", idx_folder, "--epochs", 1, "--hidden", 1000, "--members", 50).failed(
        1, "expected at most 60 MB, as the test leaves, found at least ", "use fewer --members or a smaller --hidden or"
    )


def test_f69_f88_the_least_limit_is_named(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("1000000000\n")
    monkeypatch.setattr(limits, "_groups", lambda controller: [tmp_path])
    most, what = limits.available_bytes()
    assert what == "the control group"
    assert 0 <= most < 1_000_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert limits.available_bytes()[1] == "the machine's memory"
    monkeypatch.setattr(limits, "_read", lambda path: "")
    monkeypatch.setattr(limits, "_own_limits", lambda: ())
    assert limits.available_bytes() is None
