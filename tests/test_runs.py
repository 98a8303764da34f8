"""Run directories: nothing saved is lost, nothing damaged is resumed, one trainer at a time; and signals that wait."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fnnet
from fnnet import locks, runlog
from fnnet.checkpoints import Checkpoint
from fnnet.cli import signals
from fnnet.cli.signals import STOPPED, Interrupts
from fnnet.errors import DataError, ModelError, StorageError, UsageError
from fnnet.files import append_line, write_file
from fnnet.filesystem import DISK
from fnnet.runlog import read_log
from fnnet.runs import open_run
from fnnet.train import EpochReport, TrainState
from tests.conftest import ROOT
from tests.disks import around

CONFIG = {"recipe": "classic", "plan": {"epochs": 3, "learning_rate": 0.1}}


def make(step):
    history = tuple(EpochReport(epoch, 0.5, 1 / epoch, 0.5, None, None, 0.1)._asdict() for epoch in range(1, step + 1))
    return Checkpoint(TrainState(fnnet.init((4, 3, 2), step), (), step, 1), None, history)


def train(folder, *steps, resume=False):
    """A run that saves at these steps, an epoch each."""
    with open_run(folder, CONFIG, resume=resume) as run:
        if not resume:
            run.log("start", config=CONFIG)
        for step in steps:
            run.log("epoch", **make(step).history[-1])
            run.save(make(step))
    return folder


def resume(folder, config=CONFIG):
    """The step that a run would go on from, and the notices."""
    notices = []
    with open_run(folder, config, resume=True, notify=notices.append) as run:
        found = run.latest()
    return found and found.state.step, notices


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def file(folder, step):
    return folder / f"step-{step:012d}.safetensors"


def events(folder):
    keys = ("epoch", "step", "reason")
    return [(event["event"], *(event[key] for key in keys if key in event)) for event in read_log(folder)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "a"


# Saving and resuming


def test_a_run_from_its_start_over_a_stop_to_its_end(folder):
    train(folder, 1, 2)
    assert names(folder) == ["log.jsonl", "step-000000000001.safetensors", "step-000000000002.safetensors"]
    with open_run(folder, CONFIG, resume=True) as run:
        found = run.latest()
        assert found.config == run.config == {"recipe": "classic", "plan": {"epochs": 3, "learning_rate": 0.1}}
        assert found.history == make(2).history
        np.testing.assert_array_equal(found.state.params.layers[0].W, make(2).state.params.layers[0].W)
        run.log("epoch", epoch=3, dev_loss=float("nan"))
        assert run.save(make(3)) == file(folder, 3)
        run.log("stop", reason="done")
    first, second = ("epoch", 1), ("epoch", 2)
    assert events(folder) == [
        ("start",), first, ("checkpoint", 1), second, ("checkpoint", 2),
        ("resume", 2), ("epoch", 3), ("checkpoint", 3), ("stop", "done"),
    ]  # fmt: skip
    assert read_log(folder)[6]["dev_loss"] is None
    assert read_log(folder)[7]["file"] == file(folder, 3).name


def test_f67_the_last_two_checkpoints_stay(folder):
    train(folder, 1, 2, 3, 10, 1000)
    assert names(folder)[1:] == [file(folder, 10).name, file(folder, 1000).name]
    assert resume(folder) == (1000, [])


def test_f65_steps_decide_and_no_clock(folder):
    train(folder, 9, 10)
    os.utime(file(folder, 10), (0, 0))
    assert resume(folder) == (10, [])


def test_steps_of_any_size(folder):
    train(folder, 1)
    with open_run(folder, CONFIG, resume=True) as run:
        run.save(make(1)._replace(state=make(1).state._replace(step=10**12)))
    assert resume(folder)[0] == 10**12


def test_the_same_step_is_replaced_and_an_older_one_refused(folder):
    with open_run(train(folder, 5), CONFIG, resume=True) as run:
        run.save(make(5)._replace(progress={"images": 1}))
        assert run.latest().progress == {"images": 1}
        with pytest.raises(UsageError, match=r"not the newest step.*at least 5, found 4"):
            run.save(make(4))


def test_a_run_is_not_overwritten(folder):
    with pytest.raises(UsageError, match="holds a run already; go on with --resume"):
        train(train(folder, 1), 2)
    (folder / "log.jsonl").unlink()
    with pytest.raises(UsageError, match="holds a run already"):
        train(folder, 2)
    assert resume(folder)[0] == 1


def test_resume_without_a_run_starts_anew_and_says_so(folder):
    step, notices = resume(folder)
    assert step is None
    assert notices == [f"{folder}: no checkpoint to resume, starting anew"]
    with open_run(folder, CONFIG) as run:
        run.log("start")
    assert len(resume(folder)[1]) == 1
    assert read_log(folder) == ()


def test_other_files_in_the_folder_are_left_alone(folder):
    folder.mkdir(parents=True)
    theirs = [".hidden.part", "step-1.safetensors", "model.safetensors", ".step-000000000001.safetensors.part"]
    for name in theirs:
        (folder / name).write_bytes(b"theirs")
    train(folder, 1, 2, 3)
    assert set(theirs) < set(names(folder))


def test_f52_leftovers_of_killed_writers_are_removed(folder):
    train(folder, 1)
    disk = failing("replace", 1, 5)._replace(unlink=lambda path: None)
    with pytest.raises(StorageError):
        write_file(file(folder, 2), b"half", disk=disk)
    assert len([name for name in names(folder) if name.endswith(".part")]) == 1
    assert resume(folder) == (1, [])
    assert names(folder) == ["log.jsonl", file(folder, 1).name]


# Damage


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [
    flip,
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(bytes(path.stat().st_size)),
    lambda path: shutil.copy(file(path.parent, 3), path),
    lambda path: fnnet.save_model(path, fnnet.Model(fnnet.init((4, 10)), image_shape=(2, 2))),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["flip", "cut", "empty", "zeros", "other step", "model", "folder"])  # fmt: skip
def test_f53_a_damaged_checkpoint_is_named_kept_and_not_resumed(damage, folder):
    damage(file(train(folder, 3, 4), 4))
    step, (notice,) = resume(folder)
    assert step == 3
    assert notice.startswith(f"{file(folder, 4)}: ")
    assert notice.endswith(f"kept as {file(folder, 4).name}.damaged, going back to step 3")
    assert events(folder)[-1] == ("resume", 3)
    assert ("epoch", 4) not in events(folder)
    assert resume(folder) == (3, [])
    train(folder, 4, resume=True)
    assert resume(folder) == (4, [])
    assert f"{file(folder, 4).name}.damaged" in names(folder)


def test_where_no_checkpoint_is_whole_nothing_is_begun(folder):
    train(folder, 3, 4)
    before = names(folder)
    flip(file(folder, 3))
    flip(file(folder, 4))
    with pytest.raises(ModelError, match=r"no checkpoint is whole.*0004.safetensors.*another folder"):
        resume(folder)
    assert names(folder) == before


def test_f45_a_newer_format_is_not_taken_for_damage(folder, monkeypatch):
    train(folder, 3)
    from fnnet import checkpoints

    monkeypatch.setattr(checkpoints, "CHECKPOINT", checkpoints.CHECKPOINT._replace(version=0))
    with pytest.raises(ModelError, match="written by a newer fnnet"):
        resume(folder)
    assert file(folder, 3).exists()


# The log


def test_the_log_agrees_with_the_checkpoint(folder):
    train(folder, 1, 2)
    with open_run(folder, CONFIG, resume=True) as run:
        for epoch in (3, 4):
            run.log("epoch", epoch=epoch)
        run.log("stop", reason="SIGTERM")
    runlog.append(folder, {"event": "checkpoint", "step": 3}, sync=False)
    with open(folder / "log.jsonl", "ab") as log:
        log.write(b'{"event": "epoch", "epo')
    assert events(folder)[-1] == ("checkpoint", 3)
    resume(folder)
    assert [event for event in events(folder) if event[0] == "epoch"] == [("epoch", 1), ("epoch", 2)]
    assert events(folder)[-3:] == [("resume", 2), ("stop", "SIGTERM"), ("resume", 2)]
    assert (folder / "log.jsonl").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    "content", [None, b"", b"\0" * 100, b'{"event": "epoch", "epoch": 1}\n\xff\n[1]\n{"event": "epoch"}\n']
)
def test_what_the_log_lost_comes_back_from_the_checkpoint(content, folder):
    train(folder, 1, 2)
    (folder / "log.jsonl").unlink()
    if content is not None:
        (folder / "log.jsonl").write_bytes(content)
    assert resume(folder) == (2, [])
    assert events(folder) == [("epoch", 1), ("epoch", 2), ("resume", 2)]


@pytest.mark.parametrize(
    "text", ["[1]", '{"a": 1}', '{"event": 1}', '{"event": "a", "a": 1e999}', '{"event": "a", "a": }']
)
def test_a_sealed_line_that_is_no_event_is_damage(text, folder):
    folder.mkdir(parents=True)
    head = text[:-1].encode()
    line = head + b', "sha256": "' + hashlib.sha256(head).hexdigest().encode() + b'"}'
    (folder / "log.jsonl").write_bytes(line + b"\n")
    with pytest.raises(DataError, match=r"log.jsonl: line 1: damaged log.*; going on with --resume"):
        read_log(folder)


def test_a_whole_last_line_without_its_end_counts(folder):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(runlog.line_of({"event": "start"}))
    assert read_log(folder) == ({"event": "start"},)


def test_a_damaged_log_is_named_by_its_line(folder):
    train(folder, 1)
    lines = (folder / "log.jsonl").read_bytes().split(b"\n")
    (folder / "log.jsonl").write_bytes(b"\n".join([lines[0], b"oops", *lines[1:]]))
    with pytest.raises(DataError, match=r"log.jsonl: line 2: damaged log.*oops"):
        read_log(folder)
    with pytest.raises(StorageError, match="No such file"):
        read_log(folder.parent)


def test_values_that_json_cannot_hold_are_refused(folder):
    with open_run(folder, CONFIG) as run:
        with pytest.raises(TypeError):
            run.log("start", value={1})
        assert names(folder) == ["lock"]
    with pytest.raises(UsageError, match=r"config.*what JSON can hold"), open_run(folder, {"a": {1}}):
        pass


# What must be the same


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "recipe": "quick"}, 'recipe is not the run\'s; expected "classic", found "quick"'),
        ({**CONFIG, "plan": {"epochs": 5, "learning_rate": 0.1}}, "plan.epochs is not the run's; expected 3, found 5"),
        ({**CONFIG, "plan": {"epochs": 3}}, "plan.learning_rate is not the run's; expected 0.1, found nothing"),
        ({**CONFIG, "more": None}, "more is not the run's; expected nothing, found null"),
        ({**CONFIG, "plan": {}}, "plan is not the run's; expected nothing, found {}"),
    ],
)
def test_f70_another_config_is_refused_by_its_key(config, message, folder):
    train(folder, 1)
    before = (folder / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"resume with .*, or train into another folder") as caught:
        resume(folder, config)
    assert message in str(caught.value)
    assert (folder / "log.jsonl").read_bytes() == before


def test_the_same_config_in_other_clothes_is_the_same(folder):
    train(folder, 1)
    assert resume(folder, {"plan": {"learning_rate": np.float64(0.1), "epochs": 3}, "recipe": "classic"})[0] == 1


# Failures of the system


def failing(name, number, error):
    """A disk whose call `name` fails at its call `number`, counted from 1, and from then on."""
    calls = []

    def call(called, real, *arguments):
        calls.extend([called] * (called == name))
        if called == name and len(calls) >= number:
            raise OSError(error, os.strerror(error))
        return real(*arguments)

    return around(call)


@pytest.mark.parametrize("error", [28, 5])
@pytest.mark.parametrize(("name", "number"), [
    ("fsync", 1), ("fsync", 2), ("sync_folder", 1), ("replace", 1), ("write", 1), ("open", 1), ("close", 1),
])  # fmt: skip
def test_f51_f55_a_failed_save_leaves_the_old_checkpoints(name, number, error, folder):
    with open_run(train(folder, 1, 2), CONFIG, resume=True) as run:
        run._disk = failing(name, number, error)
        with pytest.raises(StorageError, match=os.strerror(error)):
            run.save(make(3))
        run._disk = DISK
        left = {file(folder, 1).name, file(folder, 2).name, file(folder, 3).name, "lock", "log.jsonl"}
        assert set(names(folder)) <= left
        assert file(folder, 2).exists()
        assert run.latest().state.step in (2, 3)
        run.save(make(4))
    assert resume(folder) == (4, [])
    read_log(folder)


def test_a_line_that_fails_half_way_is_taken_back(folder):
    train(folder, 1)
    before, calls = (folder / "log.jsonl").read_bytes(), []

    def half(name, real, *arguments):
        if name == "write":
            calls.append(arguments)
            if len(calls) > 1:
                raise OSError(28, "No space left on device")
            return real(arguments[0], arguments[1][:5])
        return real(*arguments)

    with pytest.raises(StorageError, match="No space left"):
        append_line(folder / "log.jsonl", b'{"event": "epoch"}', disk=around(half))
    assert len(calls) == 2
    assert (folder / "log.jsonl").read_bytes() == before


def test_f58_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in ("file", "file/run", "a\0b", "n" * 300):
        with pytest.raises(StorageError, match=r"cannot be made|cannot be locked"), open_run(tmp_path / place, CONFIG):
            pass
    with (
        pytest.raises(StorageError, match="cannot be locked: Read-only file system; choose"),
        open_run(tmp_path, CONFIG, disk=failing("open", 1, 30)),
    ):
        pass


def test_f66_a_folder_that_is_taken_away(folder):
    with open_run(folder, CONFIG) as run:
        run.save(make(1))
        shutil.rmtree(folder)
        for call in (lambda: run.save(make(2)), lambda: run.log("epoch", epoch=1), run.latest):
            with pytest.raises(StorageError, match="moved, deleted or unlocked"):
                call()
    assert not folder.exists()
    with open_run(folder, CONFIG) as run:
        shutil.rmtree(folder)
        with open_run(folder, CONFIG) as other:
            with pytest.raises(StorageError, match="moved, deleted or unlocked"):
                run.save(make(1))
            other.save(make(1))


# One trainer


HOLD = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from fnnet.runs import open_run
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
        monkeypatch.setattr(locks, "_flock", lambda descriptor: None)
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


def test_f61_f68_a_lock_left_by_another_host_is_not(folder, with_and_without_flock, dead):
    folder.mkdir(parents=True)
    (folder / "lock").write_text(json.dumps({"pid": dead, "host": "far-away"}))
    with (
        pytest.raises(StorageError, match=f"process {dead} on far-away; wait for it, or remove lock"),
        open_run(folder, {}),
    ):
        pass
    assert names(folder) == ["lock"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "1", "host": 2}', b"\xff\0" * 5000])
def test_f61_a_lock_that_names_nobody(content, folder, with_and_without_flock):
    folder.mkdir(parents=True)
    (folder / "lock").write_bytes(content)
    if with_and_without_flock:
        train(folder, 1)
        return
    with pytest.raises(StorageError, match=r"another process; .*remove lock"):
        train(folder, 1)


def test_f61_a_lock_taken_while_its_owner_leaves_is_tried_again(folder, monkeypatch):
    is_at, answers = locks._is_at, [False]
    monkeypatch.setattr(locks, "_is_at", lambda *arguments: answers.pop() if answers else is_at(*arguments))
    train(folder, 1)
    assert answers == []


def test_f61_a_process_of_another_user_lives(folder, monkeypatch):
    def denied(pid, number):
        raise PermissionError(1, "Operation not permitted")

    folder.mkdir(parents=True)
    (folder / "lock").write_text(json.dumps({"pid": 1, "host": platform.node()}))
    monkeypatch.setattr(locks, "_flock", lambda descriptor: None)
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


# Signals


@pytest.fixture
def handlers(monkeypatch):
    """The signals' handlers as a command has them: each keeps the number in a list."""
    numbers, got = [getattr(signal, name) for name in STOPPED if hasattr(signal, name)], []
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, frame: got.append(number))
    yield got
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", list(STOPPED))
def test_f56_the_first_signal_is_noted_and_the_second_handled_as_before(name, handlers):
    number = getattr(signal, name, None) or pytest.skip(f"no {name} on this system")
    with Interrupts() as interrupts:
        assert (interrupts.received, interrupts.exit_code, interrupts.word) == (None, 0, "")
        signal.raise_signal(number)
        assert (interrupts.received, handlers) == (number, [])
        assert (interrupts.word, interrupts.exit_code) == STOPPED[name]
        signal.raise_signal(signal.SIGTERM)
        assert handlers == [signal.SIGTERM]
        assert interrupts.received == number
    signal.raise_signal(number)
    assert handlers == [signal.SIGTERM, number]


@pytest.fixture
def installed(handlers, tmp_path, monkeypatch):
    """The handlers of a command, and a module whose import sends a signal and loses what is raised there, as what
    imports call back from C does."""
    body = "import signal\ntry:\n    signal.raise_signal(signal.SIGTERM)\nexcept BaseException:\n    pass\n"
    (tmp_path / "swallows.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    signals.install()
    yield
    sys.modules.pop("swallows", None)
    signals._disarm()
    signals._arrived.clear()


def import_and_wait():
    import swallows  # noqa: F401

    time.sleep(10)


def lose_and_begin():
    with contextlib.suppress(signals.Stopped):
        signal.raise_signal(signal.SIGTERM)
    with Interrupts():
        pytest.fail("began its work")


@pytest.mark.parametrize("work", [import_and_wait, lose_and_begin])
def test_f56_a_signal_that_is_lost_ends_the_command_a_little_later(work, installed):
    with pytest.raises(signals.Stopped, match="SIGTERM"):
        work()


def test_handlers_are_put_back_and_ignored_signals_stay_ignored(handlers):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(ZeroDivisionError), Interrupts() as interrupts:
        assert signal.getsignal(signal.SIGINT) != before
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.received is None
        _ = 1 / 0
    assert signal.getsignal(signal.SIGINT) == before
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
