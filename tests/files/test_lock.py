"""One trainer for a run directory: the second is refused by the name of the first, a dead one's lock taken over."""

import json
import os
import platform
import subprocess
import sys

import pytest

from fnnet.errors import StorageError
from fnnet.files import lock
from fnnet.files.disk import DISK
from fnnet.files.runs import open_run
from tests.conftest import ROOT
from tests.tools.running import CONFIG, failing, names, train

HOLD = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from fnnet.files.runs import open_run
with open_run(sys.argv[1], {{}}) as run:
    print("held", flush=True)
    time.sleep(60)
"""


def test_f61_a_second_trainer_is_refused_by_the_name_of_the_first(folder):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "held\n"
            for again in (False, True):
                with pytest.raises(StorageError) as caught, open_run(folder, {}, resume=again):
                    pass
                assert f"in use by another training; found process {other.pid} on {platform.node()}" in str(
                    caught.value
                )
        finally:
            other.kill()
    assert names(folder) == ["lock"]
    with open_run(folder, {}):
        assert json.loads((folder / "lock").read_text())["pid"] == os.getpid()
    assert names(folder) == []


@pytest.fixture(params=["flock", "no flock"])
def with_and_without_flock(request, monkeypatch):
    if request.param == "no flock":
        monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    return request.param == "flock"


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_f61_the_same_process_is_refused_too(folder, with_and_without_flock):
    with open_run(folder, CONFIG):
        with pytest.raises(StorageError, match=f"process {os.getpid()} on"), open_run(folder, CONFIG):
            pass
        assert names(folder) == ["lock"]
    assert names(folder) == []
    train(folder, 1)


def test_f61_a_lock_left_by_a_dead_process_is_taken_over(folder, with_and_without_flock, dead):
    folder.mkdir(parents=True)
    (folder / "lock").write_text(json.dumps({"pid": dead, "host": platform.node(), "started": "long ago" * 100}))
    with open_run(folder, CONFIG):
        assert json.loads((folder / "lock").read_text())["pid"] == os.getpid()
        assert names(folder) == ["lock"]


def test_f61_a_lock_taken_while_its_owner_leaves_is_tried_again(folder, monkeypatch):
    is_at, answers = lock._is_at, [False]
    monkeypatch.setattr(lock, "_is_at", lambda *arguments: answers.pop() if answers else is_at(*arguments))
    train(folder, 1)
    assert answers == []


def test_f61_a_process_of_another_user_lives(folder, monkeypatch):
    def denied(pid, number):
        raise PermissionError(1, "Operation not permitted")

    folder.mkdir(parents=True)
    (folder / "lock").write_text(json.dumps({"pid": 1, "host": platform.node()}))
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    monkeypatch.setattr(os, "kill", denied)
    with pytest.raises(StorageError, match="found process 1 on"):
        train(folder, 1)


def test_f61_a_lock_that_cannot_be_written_is_not_left_behind(folder):
    with pytest.raises(StorageError, match="cannot be locked"), open_run(folder, {}, disk=failing("write", 1, 28)):
        pass
    assert names(folder) == []


def test_f47_a_lock_that_is_no_file(folder, tmp_path):
    folder.mkdir(parents=True)
    (tmp_path / "victim").write_bytes(b"precious")
    (folder / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="cannot be locked"):
        train(folder, 1)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    (folder / "lock").unlink()
    (folder / "lock").mkdir()
    with pytest.raises(StorageError, match="cannot be locked"):
        train(folder, 1)


@pytest.mark.parametrize("content", [b"my own notes\n", b'{"a": 1}', b"\x7fELF"])
def test_another_file_of_that_name_is_left_alone(content, folder):
    folder.mkdir(parents=True)
    (folder / "lock").write_bytes(content)
    with pytest.raises(StorageError, match=r"lock: not a lock of fnnet; .*move lock away"), open_run(folder, {}):
        pass
    assert (folder / "lock").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b'{"pid": 12', b'{"p'])
def test_what_a_killed_process_left_of_its_lock_is_taken_over(content, folder):
    folder.mkdir(parents=True)
    (folder / "lock").write_bytes(content)
    with open_run(folder, {}):
        pass
    assert names(folder) == []


def test_a_lock_whose_owner_has_removed_it_meanwhile(tmp_path):
    """Of several that wait, one puts it aside; the others find nothing there, and leave nothing."""
    path = tmp_path / "lock"
    path.write_bytes(b"{}")
    with path.open("rb") as seen:
        path.unlink()
        lock._put_aside(seen.fileno(), path, DISK)
    assert names(tmp_path) == []
