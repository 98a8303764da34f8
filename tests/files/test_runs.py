"""Run directories: nothing saved is lost, nothing damaged is resumed, one trainer at a time; and signals that wait."""

import os
import shutil

import numpy as np
import pytest

import fnnet
from fnnet.errors import DataError, ModelError, StorageError, UsageError
from fnnet.files import runs
from fnnet.files.checkpoints import load_checkpoint
from fnnet.files.disk import DISK, append_line, write_file
from fnnet.files.log import read_log
from fnnet.files.runs import AS_IT_WAS, Terms, is_ours, member_folders, open_run
from tests.tools.disks import around
from tests.tools.running import CONFIG, events, failing, file, make, names, resume, train

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


def test_f67_an_old_checkpoint_that_cannot_be_removed_is_noted(folder):
    notices = []
    with open_run(train(folder, 1, 2), CONFIG, resume=True, notify=notices.append) as run:
        run._disk = failing("unlink", 1, 13)
        run.save(make(3))
        run._disk = DISK
    assert notices == [f"{file(folder, 1)}: cannot be removed: Permission denied"]
    assert resume(folder) == (3, [])
    assert not file(folder, 1).exists()


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
    with pytest.raises(UsageError, match="holds a run already; go on with `resume`"):
        train(train(folder, 1), 2)
    (folder / "log.jsonl").unlink()
    with pytest.raises(UsageError, match="holds a run already"):
        train(folder, 2)
    assert resume(folder)[0] == 1


def test_resume_without_a_run_starts_anew_and_says_so(folder):
    step, notices = resume(folder)
    assert step is None
    assert notices == [f"{folder}: no checkpoint to resume, starting from the beginning"]
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
    with pytest.raises(ModelError, match=r"no checkpoint is intact.*0004.safetensors.*another folder"):
        resume(folder)
    assert names(folder) == before


def test_f45_a_newer_format_is_not_taken_for_damage(folder, monkeypatch):
    train(folder, 3)
    from fnnet.files import checkpoints

    monkeypatch.setattr(checkpoints, "CHECKPOINT", checkpoints.CHECKPOINT._replace(version=0))
    with pytest.raises(ModelError, match="written by a newer fnnet"):
        resume(folder)
    assert file(folder, 3).exists()


# What must be the same


OTHERS = pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "recipe": "quick"}, 'recipe differs from the run; expected "classic", found "quick"'),
        (
            {**CONFIG, "plan": {"epochs": 5, "learning_rate": 0.1}},
            "plan.epochs differs from the run; expected 3, found 5",
        ),
        ({**CONFIG, "plan": {"epochs": 3}}, "plan.learning_rate differs from the run; expected 0.1, found none"),
        ({**CONFIG, "more": None}, "more differs from the run; expected none, found null"),
        ({**CONFIG, "plan": {}}, "plan differs from the run; expected none, found {}"),
    ],
)


@OTHERS
def test_f70_another_config_is_refused_by_its_key(config, message, folder):
    train(folder, 1)
    before = (folder / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"resume with .*, or train into another folder") as caught:
        resume(folder, config)
    assert message in str(caught.value)
    assert (folder / "log.jsonl").read_bytes() == before


@OTHERS
def test_what_is_known_of_another_config_is_refused_before_all_of_it_is_known(config, message, folder):
    key = message.split()[0]
    train(folder, 1)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = runs.newest(folder)
    with pytest.raises(UsageError) as caught:
        runs.check_resumable(folder, found, config, unknown=["reci", "plan.epoch"])
    assert message in str(caught.value)
    for unknown in (key, key.partition(".")[0]):
        runs.check_resumable(folder, found, config, unknown=[unknown, "plan"])
    runs.check_resumable(folder, found, CONFIG)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_is_looked_at_without_a_change(folder):
    for _ in range(2):  # missing, then empty
        runs.check_new(folder)
        assert runs.newest(folder) is None
        folder.mkdir(parents=True, exist_ok=True)
    train(folder, 1, 2)
    with open_run(folder, CONFIG, resume=True):  # as another process would
        assert runs.newest(folder).state.step == 2
        with pytest.raises(UsageError, match="holds a run already; go on with `resume`"):
            runs.check_new(folder)
    file(folder, 2).write_bytes(b"damaged")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert runs.newest(folder).state.step == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    file(folder, 1).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="no checkpoint is intact"):
        runs.newest(folder)
    (folder / "log.jsonl").write_text("my own\n")
    for look in (runs.newest, runs.check_new):
        with pytest.raises(UsageError, match="not a log of fnnet"):
            look(folder)


def test_a_checkpoint_that_another_process_removes_meanwhile_is_not_damaged(folder, monkeypatch):
    train(folder, 1)
    real = runs._checkpoints
    monkeypatch.setattr(runs, "_checkpoints", lambda *given: real(*given) | {9: file(folder, 9)})
    assert runs.newest(folder).state.step == 1
    file(folder, 1).unlink()
    assert runs.newest(folder) is None


def test_the_same_config_in_other_clothes_is_the_same(folder):
    train(folder, 1)
    assert resume(folder, {"plan": {"learning_rate": np.float64(0.1), "epochs": 3}, "recipe": "classic"})[0] == 1


@pytest.mark.parametrize("notice", ["longer", ""])
def test_a_resumed_run_may_differ_by_its_terms(notice, folder):
    """It is another from its next checkpoint on; a history that is shorter shortens the log."""
    longer, notices = {**CONFIG, "plan": {"epochs": 5, "learning_rate": 0.1}}, []

    def adapt(found, config):
        return found._replace(config=config, history=found.history[:-1]), notice

    def go_on(config, *steps):
        terms = Terms(lambda stored: ["plan.epochs"] if stored["plan"]["epochs"] < 5 else [], adapt)
        with open_run(folder, config, resume=True, terms=terms, notify=notices.append) as run:
            assert run.config == run.latest().config == config
            assert len(run.latest().history) == 1
            for step in steps:
                run.save(make(step))

    train(folder, 1, 2)
    go_on(longer)
    assert [event for event in read_log(folder) if event["event"] == "epoch"][-1]["epoch"] == 1
    assert read_log(folder)[-1].get("note", "") == notice
    assert notices == [notice][: len(notice)]
    assert resume(folder)[0] == 2
    assert events(folder).count(("epoch", 2)) == 1
    with pytest.raises(UsageError, match=r"plan\.learning_rate differs"):
        go_on({**CONFIG, "plan": {"epochs": 5, "learning_rate": 1.0}})
    go_on(longer, 3)
    assert load_checkpoint(file(folder, 3)).config == longer
    with pytest.raises(UsageError, match=r"plan\.epochs differs from the run; expected 5, found 3"):
        go_on(CONFIG)


def test_terms_that_cannot_be_met_leave_the_run_as_it_is(folder):
    def adapt(found, config):
        raise UsageError("too few", expected="7 or more", found=3)

    before = (train(folder, 1) / "log.jsonl").read_bytes()
    terms = AS_IT_WAS._replace(adapt=adapt)
    with (
        pytest.raises(UsageError, match=f"^{folder}: too few; expected 7 or more, found 3$"),
        open_run(folder, CONFIG, resume=True, terms=terms),
    ):
        pass
    assert (folder / "log.jsonl").read_bytes() == before


def test_the_model_that_a_run_started_from_is_kept_once(folder):
    first, other = (fnnet.Model(fnnet.init((4, 10), seed), image_shape=(2, 2)) for seed in (1, 2))
    with open_run(folder, CONFIG) as run:
        run.keep_start(first)
        run.keep_start(other)
    assert names(folder) == ["start.safetensors"]
    kept = fnnet.load_model(folder / "start.safetensors")
    np.testing.assert_array_equal(kept.params.layers[0].W, first.params.layers[0].W)
    assert is_ours("start.safetensors")
    with pytest.raises(UsageError, match="holds a run already"), open_run(folder, CONFIG):
        pass
    with open_run(folder, CONFIG, resume=True) as run:
        (folder / "start.safetensors").unlink()
        run._disk = failing("write", 1, 28)
        with pytest.raises(StorageError, match="No space left"):
            run.keep_start(first)
    assert names(folder) == []


# Failures of the system


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


@pytest.mark.parametrize("name", ["open", "read"])
def test_f53_f67_a_checkpoint_that_cannot_be_read_now_is_not_taken_for_damaged(name, folder):
    before = names(train(folder, 3, 4))
    with (
        pytest.raises(StorageError, match=r"0004.safetensors: .*; .*move it away to go on from the one before"),
        open_run(folder, CONFIG, resume=True, disk=of_checkpoints(name, 13)),
    ):
        pass
    assert names(folder) == before
    assert resume(folder) == (4, [])


def of_checkpoints(name, error):
    """A disk on which `name` fails for files that are named like checkpoints."""
    theirs = set()

    def call(called, real, *arguments):
        if called == "open" and "step-" in str(arguments[0]) and name == "open":
            raise OSError(error, os.strerror(error))
        if called == "read" and arguments[0] in theirs:
            raise OSError(error, os.strerror(error))
        result = real(*arguments)
        if called == "open" and "step-" in str(arguments[0]):
            theirs.add(result)
        return result

    return around(call)


def test_f47_the_names_that_a_run_uses(folder):
    train(folder, 1)
    own = [*names(folder), "lock", f"{file(folder, 2).name}.damaged", f".{file(folder, 2).name}.7-0123abcd.part"]
    own += ["member-01", "member-123", "model.safetensors"]
    assert all(map(is_ours, own))
    assert not any(map(is_ours, ["models.safetensors", "step-1.safetensors", "log.json", "locks", "member-1"]))


def test_the_folders_of_members_are_below_that_of_their_committee(folder):
    folders = member_folders(folder, 12)
    assert folders[0] == folder / "member-01"
    assert (folders[11], len(folders)) == (folder / "member-12", 12)
    assert not folder.exists()
    train(folders[1], 1)
    assert member_folders(folder, 12) == folders
    for call in (lambda: runs.check_new(folder), lambda: runs.newest(folder), lambda: resume(folder)):
        with pytest.raises(UsageError, match="holds the run of a committee; expected the run of one network"):
            call()
    assert names(folder) == ["member-02"]


def test_a_run_of_one_network_is_not_that_of_a_committee(folder):
    train(folder, 1)
    with pytest.raises(UsageError, match="holds the run of one network; expected the run of a committee; choose"):
        member_folders(folder, 3)


@pytest.mark.parametrize(
    "content",
    [
        b'{"my": "log"}\n',
        b"started\nstopped\n",
        b"no newline",
        b'{"event": "login"}\n',
        b'{"event": "a"}\n{"event": "b"}\n',
    ],
)
def test_a_log_that_fnnet_did_not_write_is_left_alone(content, folder):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(content)
    for again in (True, False):
        with pytest.raises(UsageError, match=r"log.jsonl: not a log of fnnet"), open_run(folder, {}, resume=again):
            pass
        assert (folder / "log.jsonl").read_bytes() == content
    (folder / "log.jsonl").write_bytes(content + b"\n")
    with pytest.raises(DataError, match=r"log.jsonl: line 1: damaged log; .*; give another folder"):
        read_log(folder)  # resuming would not repair it


def test_a_log_that_is_not_fnnets_beside_checkpoints_is_left_alone(folder):
    train(folder, 2)
    (folder / "log.jsonl").write_bytes(b"my own\nnotes\n")
    with pytest.raises(UsageError, match=r"log.jsonl: not a log of fnnet"), open_run(folder, {}, resume=True):
        pass
    assert (folder / "log.jsonl").read_bytes() == b"my own\nnotes\n"


@pytest.mark.parametrize(
    "lines",
    [
        [b"a note of mine"],
        [b'{"event": "comment", "text": "mine"}'],
        [b'{"event": "upload", "file": "x", "sha256": "abc"}'],
        [b'{"event": "keepme"},'],
        [b'{"event": "keepme"}  # mine'],
        [b'{"event": "epoch", "epoch": 1, "sha256": "%s"} and a note' % (b"0" * 64)],
        [b'{"my": "log"}', b"text", b"\xff"],
    ],
)
@pytest.mark.parametrize("checkpoints", [True, False])
def test_lines_that_are_not_fnnets_are_kept_and_said(lines, checkpoints, folder):
    train(folder, 2)
    told, log = [], folder / "log.jsonl"
    for step in () if checkpoints else folder.glob("step-*"):
        step.unlink()
    before = log.read_bytes()
    first, rest = before.split(b"\n", 1)
    content = b"\n".join([first, *lines, rest])
    log.write_bytes(content)
    with open_run(folder, CONFIG, resume=True, notify=told.append):
        pass
    count = "1 line is" if len(lines) == 1 else "3 lines are"
    assert told[0] == f"{log}: {count} not fnnet's; kept in log.jsonl.before, going on without"
    assert (folder / "log.jsonl.before").read_bytes() == content
    assert log.read_bytes().startswith(before) == checkpoints


def test_the_last_line_may_be_cut_and_every_copy_has_a_name_of_its_own(folder):
    train(folder, 2)
    log, told = folder / "log.jsonl", []
    for name in ("before", "before-2", "before-3"):
        content = log.read_bytes() + f"notes for {name}".encode()
        log.write_bytes(content)
        with open_run(folder, CONFIG, resume=True, notify=told.append):
            pass
        assert (folder / f"log.jsonl.{name}").read_bytes() == content
        assert is_ours(f"log.jsonl.{name}")
        assert told.pop() == f"{log}: 1 line is not fnnet's; kept in log.jsonl.{name}, going on without"


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX")
def test_a_link_in_the_place_of_a_copy_is_left_as_it_is(folder, tmp_path):
    train(folder, 1)
    with open(folder / "log.jsonl", "ab") as log:
        log.write(b"my notes\n")
    (folder / "log.jsonl.before").symlink_to(tmp_path / "elsewhere")
    assert resume(folder)[0] == 1
    assert (folder / "log.jsonl.before").is_symlink()
    assert not (tmp_path / "elsewhere").exists()
    assert b"my notes" in (folder / "log.jsonl.before-2").read_bytes()


@pytest.mark.parametrize("content", [b"", b'{"event": "epo', b"\0" * 40])
def test_what_a_killed_process_left_of_its_log_is_begun_anew(content, folder):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(content)
    with open_run(folder, {}, resume=True):
        pass
    assert (folder / "log.jsonl").read_bytes() == b""
