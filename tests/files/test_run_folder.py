"""Run directories looked at from outside: where a model is, who trains, and what must not be replaced."""

import json
import os
import platform

import pytest

import fnnet
from fnnet.errors import ModelError, UsageError
from fnnet.files import container, lock, runs
from fnnet.files.flat import differences
from fnnet.files.model import MODEL, is_model
from fnnet.files.owner import this_process
from fnnet.files.run_folder import check_place, is_behind, is_run, last_step, members_in, model_file, runs_in
from fnnet.files.runs import is_ours, open_run
from tests.tools.running import CONFIG, file, names, train

SMALL = fnnet.Model(fnnet.init((4, 3, 2), 1), classes=("a", "b"), image_shape=(2, 2), training={"steps": 2})


def keep(folder, model=SMALL):
    with open_run(folder, CONFIG, resume=True) as run:
        run.keep_model(model)
    return folder / "model.safetensors"


def test_the_model_of_a_run_is_found_in_its_folder(folder):
    kept = keep(train(folder, 1, 2))
    assert model_file(folder) == str(kept)
    assert model_file(str(kept)) == str(kept)
    assert model_file("nowhere.safetensors") == "nowhere.safetensors"
    assert fnnet.load_model(model_file(folder)).params == SMALL.params
    assert is_ours("model.safetensors")


def test_a_model_is_written_completely_or_not_at_all(folder):
    kept = keep(train(folder, 1))
    before = kept.read_bytes()
    with open_run(folder, CONFIG, resume=True) as run, pytest.raises(ModelError):
        run.keep_model(SMALL._replace(classes=("a",)))
    assert kept.read_bytes() == before
    assert not [name for name in names(folder) if name.endswith(".part")]


def test_a_folder_that_was_taken_away_gets_no_model(folder):
    with open_run(train(folder, 1), CONFIG, resume=True) as run:
        (folder / "lock").unlink()
        with pytest.raises(OSError, match="moved, deleted or unlocked"):
            run.keep_model(SMALL)
    assert "model.safetensors" not in names(folder)


def test_a_run_that_is_not_finished_is_refused_with_its_step(folder):
    train(folder, 1, 12)
    said = (
        r"holds no model yet; expected model.safetensors, .* found a run at step 12; go on with 'fnnet train --run-dir"
    )
    with pytest.raises(ModelError, match=said):
        model_file(folder)
    with open_run(folder, CONFIG, resume=True), pytest.raises(ModelError, match="step 12; wait for its end"):
        model_file(folder)


def test_a_committee_without_a_model_says_how_many_are_begun(tmp_path):
    train(tmp_path / "member-01", 1)
    with pytest.raises(ModelError, match="found a committee of which 1 member is begun"):
        model_file(tmp_path)
    train(tmp_path / "member-02", 1)
    with pytest.raises(ModelError, match="2 members are begun"):
        model_file(tmp_path)


def test_a_folder_of_runs_and_any_other_folder_are_named_as_such(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: holds no model; expected a model, .* a folder without model.safet"):
        model_file(tmp_path / "empty")
    for name in ("b", "a"):
        train(tmp_path / name, 1)
    with pytest.raises(ModelError, match=r"holds no model; .* found a folder of 2 runs: a, b; name one of them"):
        model_file(tmp_path)
    for number in range(20):
        train(tmp_path / f"c{number:02}", 1)
    with pytest.raises(ModelError, match=r"22 runs: a, b, c00, .*, \.\.\.; name one"):
        model_file(tmp_path)


def test_which_folders_are_runs(tmp_path):
    train(tmp_path / "one", 1, 30)
    train(tmp_path / "committee" / "member-01", 1)
    (tmp_path / "other" / "deeper").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    assert [path.name for path in runs_in(tmp_path)] == ["committee", "one"]
    assert [is_run(tmp_path / name) for name in ("one", "committee", "other", "file", "none")] == [True, True] + [
        False
    ] * 3
    assert [path.name for path in members_in(tmp_path / "committee")] == ["member-01"]
    assert members_in(tmp_path / "one") == []
    assert (last_step(tmp_path / "one"), last_step(tmp_path / "other")) == (30, None)


def test_a_model_of_fewer_epochs_than_its_run_is_behind(folder, tmp_path):
    kept = keep(train(folder, 1, 2))
    assert is_behind(kept, SMALL) is None
    with open_run(folder, CONFIG, resume=True) as run:
        run.save(
            runs.load_checkpoint(file(folder, 2))._replace(
                state=runs.load_checkpoint(file(folder, 2)).state._replace(step=5)
            )
        )
    assert is_behind(kept, SMALL) == 5
    assert is_behind(kept, SMALL._replace(training={})) is None
    assert is_behind(tmp_path / "model.safetensors", SMALL) is None
    assert is_behind(kept.with_name("other.safetensors"), SMALL) is None


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_of_the_name_that_is_not_a_model_is_never_replaced(resume, folder):
    train(folder, 1)
    check_place(folder, resume)
    for content in (b"", b"mine", b"\xff" * 100, b'\x10\0\0\0\0\0\0\0{"a": 1}        ', b"PK\3\4"):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(UsageError, match=r"model.safetensors: would be replaced by the model; .*; move it away"):
            check_place(folder, resume)
        assert (folder / "model.safetensors").read_bytes() == content


def test_a_new_run_does_not_begin_where_a_model_is(folder, tmp_path):
    folder.mkdir(parents=True)
    fnnet.save_model(folder / "model.safetensors", SMALL)
    for resume in (False, True):  # there is no run to resume
        with pytest.raises(UsageError, match=r"holds a model already; .*; move it away, or choose another folder"):
            check_place(folder, resume)
    keep(train(tmp_path / "b", 1))
    check_place(tmp_path / "b", True)


def test_a_damaged_model_is_still_a_model(tmp_path):
    """The run that it is of writes it again."""
    path = tmp_path / "model.safetensors"
    fnnet.save_model(path, SMALL)
    assert is_model(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert is_model(path)
    path.write_bytes(content.replace(b"fnnet-model", b"other-model"))
    assert not is_model(path)
    path.unlink()
    assert not is_model(path)
    path.symlink_to(tmp_path / "elsewhere")
    assert not is_model(path)
    (tmp_path / "elsewhere").write_bytes(content)
    assert not is_model(path)


def test_a_checkpoint_is_not_a_model(folder):
    path = file(train(folder, 1), 1)
    assert container.form_of(path.read_bytes()) == ("checkpoint", "1")
    assert not is_model(path)
    assert container.form_of(b"") == container.form_of(b"\5\0\0\0\0\0\0\0[1,2]") == ("", "")
    for metadata in (
        {"format": 3, "version": "1"},
        {"format": "fnnet-model"},
        {"format": "fnnet-model", "version": 3},
        [],
    ):
        text = json.dumps({"__metadata__": metadata}).encode()
        assert container.form_of(len(text).to_bytes(8, "little") + text) == ("", "")


def test_a_header_that_is_too_long_is_not_read(tmp_path):
    path = tmp_path / "m"
    path.write_bytes((MODEL.max_header + 1).to_bytes(8, "little") + b"{" * 10)
    assert not is_model(path)


# Who trains


def write_lock(folder, **changes):
    about = this_process()._asdict() | changes
    (folder / "lock").write_text(json.dumps(about))


def test_the_holder_of_a_lock_is_known_and_stays(tmp_path):
    assert lock.holder(tmp_path) is None
    with lock.lock(tmp_path) as held:
        owner, alive = lock.holder(tmp_path)
        assert (owner.pid, alive) == (os.getpid(), True)
        held.check()
    assert lock.holder(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({"pid": 2**22 + 1}, False),  # above any process
        ({"boot": "another", "machine": this_process().machine}, False if this_process().machine else None),
        ({"boot": "another", "machine": "another", "host": "far-away"}, None),
        ({}, False),  # a number that is now another's: nobody holds the lock
    ],
)
def test_the_holder_of_a_lock_that_was_left(changes, alive, tmp_path):
    write_lock(tmp_path, **changes)
    owner, found = lock.holder(tmp_path)
    assert found is alive
    assert owner.host == changes.get("host", platform.node())
    assert (tmp_path / "lock").exists()


@pytest.mark.parametrize("content", [b"", b"nobody", b'{"pid": "x", "host": "a"}'])
def test_a_lock_that_names_nobody_has_no_holder(content, tmp_path):
    (tmp_path / "lock").write_bytes(content)
    assert lock.holder(tmp_path) is None


def test_without_flock_a_process_that_is_alive_holds_its_lock(tmp_path, monkeypatch):
    write_lock(tmp_path)
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    assert lock.holder(tmp_path)[1] is True


def test_a_lock_that_cannot_be_read_has_no_holder(tmp_path):
    (tmp_path / "lock").mkdir()
    assert lock.holder(tmp_path) is None


def test_differences_are_those_of_values_and_of_keys():
    assert differences({"a": 1}, {"a": 1.0}) == {"a": ("1", "1.0")}
    assert differences({"a": {}}, {"a": {"b": float("nan")}}) == {"a.b": (None, "null"), "a": ("{}", None)}
