"""A share of each campaign against the store; the whole of them is `python -m tests.faults`."""

import os
import subprocess
import sys

import pytest

from fnnet import runlog, runs
from fnnet.errors import DataError, FnnetError, StorageError
from fnnet.files import write_file
from tests import crash, disks, faults
from tests.conftest import ROOT


def test_f52_killed_before_any_call_it_resumes():
    assert faults.run("calls", 100)[0] == 100


def test_f51_f54_f55_a_disk_that_fails_loses_nothing():
    assert faults.run("disk", 200)[0] == 200


def test_f53_after_a_loss_of_power_it_is_the_old_or_the_new():
    assert faults.run("power", 600)[0] == 600


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(("name", "cases"), [("system", 60), ("training", 100)])
def test_f52_kill_9_at_any_moment_loses_nothing(name, cases):
    if tool := faults.tool_for(name):
        pytest.skip(f"needs {tool}")
    command = [sys.executable, "-m", "tests.faults", name, "--cases", str(cases)]
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


# The log


def test_f53_a_synced_line_is_there_after_a_loss_of_power(tmp_path):
    recording = disks.Recording(tmp_path)
    runlog.append(tmp_path, {"event": "epoch", "epoch": 1}, sync=False, disk=recording.disk)
    assert disks.after_power_loss(recording.log, None, "none") == {}
    runlog.append(tmp_path, {"event": "stop"}, sync=True, disk=recording.disk)
    assert disks.after_power_loss(recording.log, None, "none") == {"log.jsonl": (tmp_path / "log.jsonl").read_bytes()}


@pytest.mark.parametrize("torn", [b"{", b'{"event": "epoch", "epo', b"\0" * 3_000_000, b"x" * 2**20])
def test_f54_what_was_torn_is_cut_off_before_the_next_line(torn, tmp_path):
    for before in (b"", runlog.line_of({"event": "start"}) + b"\n"):
        (tmp_path / "log.jsonl").write_bytes(before + torn)
        runlog.append(tmp_path, {"event": "stop"}, sync=False)
        assert (tmp_path / "log.jsonl").read_bytes() == before + runlog.line_of({"event": "stop"}) + b"\n"


def test_f39_every_flipped_bit_and_every_truncation_of_the_log_is_found(tmp_path):
    log, events = tmp_path / "log.jsonl", [{"event": "start", "seed": 1}, {"event": "epoch", "epoch": 1, "loss": 0.5}]
    runlog.rewrite(tmp_path, events)
    whole = log.read_bytes()
    for at in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        log.write_bytes(damaged)
        if at // 8 == len(whole) - 1:
            assert [event["event"] for event in runlog.read_log(tmp_path)] in (["start"], ["start", "epoch"])
            continue
        with pytest.raises(DataError, match=r"log.jsonl: line [12]: damaged log"):
            runlog.read_log(tmp_path)
    for size in range(len(whole)):
        log.write_bytes(whole[:size])
        assert len(runlog.read_log(tmp_path)) == whole[: size + 1].count(b"\n")


def test_a_disk_that_takes_nothing_is_no_endless_loop(tmp_path):
    disk = disks.around(lambda name, real, *arguments: 0 if name == "write" else real(*arguments))
    with pytest.raises(StorageError, match="nothing was written"):
        write_file(tmp_path / "file", b"content", disk=disk)
    assert list(tmp_path.iterdir()) == []
