"""A share of each campaign against the store; the whole of them is `python -m tests.campaigns`."""

import os
import subprocess
import sys

import pytest

from fnnet.errors import FnnetError
from fnnet.files import runs
from tests.campaigns import __main__ as faults
from tests.campaigns import crash
from tests.conftest import ROOT
from tests.tools import disks


def test_f52_killed_before_any_call_it_resumes():
    assert faults.run("calls", 50)[0] == 50


def test_f51_f54_f55_a_disk_that_fails_loses_nothing():
    assert faults.run("disk", 100)[0] == 100


def test_f53_after_a_loss_of_power_it_is_the_old_or_the_new():
    assert faults.run("power", 300)[0] == 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(("name", "cases"), [("system", 30), ("training", 40)])
def test_f52_kill_9_at_any_moment_loses_nothing(name, cases):
    if tool := faults.tool_for(name):
        pytest.skip(f"needs {tool}")
    command = [sys.executable, "-m", "tests.campaigns.__main__", name, "--cases", str(cases)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{cases} cases, all held" in done.stdout


# The campaigns object


@pytest.mark.parametrize("kind", ["fsync", "sync_folder"])
def test_a_disk_that_forgets_to_sync_is_found_out(kind, monkeypatch):
    note = disks.Recording._note
    monkeypatch.setattr(disks.Recording, "_note", lambda self, *entry: None if entry[0] == kind else note(self, *entry))
    crash.recorded.cache_clear()
    try:
        with pytest.raises((AssertionError, FnnetError)):
            faults.run("power", 200)
    finally:
        crash.recorded.cache_clear()


def test_checkpoints_removed_too_early_are_found_out(monkeypatch):
    save = runs.save_checkpoint

    def too_early(path, checkpoint, disk):
        for other in path.parent.glob("step-*"):
            disk.unlink(other)
        save(path, checkpoint, disk)

    monkeypatch.setattr(runs, "save_checkpoint", too_early)
    for name in ("calls", "disk", "power"):
        with pytest.raises((AssertionError, FnnetError)):
            faults.run(name, 100)


def test_other_weights_are_found_out(monkeypatch):
    training_of = crash.training_of
    monkeypatch.setattr(crash, "training_of", lambda found: training_of(found)._replace(history=()))
    with pytest.raises(AssertionError):
        faults.run("calls", 100)
