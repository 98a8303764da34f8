"""The log of a run: whole lines, each proven, and in step with the checkpoints."""

import hashlib

import pytest

from fnnet.errors import DataError, StorageError, UsageError
from fnnet.files import log
from fnnet.files.disk import write_file
from fnnet.files.log import read_log
from fnnet.files.runs import open_run
from tests.tools import disks
from tests.tools.running import CONFIG, events, names, resume, train


def test_the_log_agrees_with_the_checkpoint(folder):
    train(folder, 1, 2)
    with open_run(folder, CONFIG, resume=True) as run:
        for epoch in (3, 4):
            run.log("epoch", epoch=epoch)
        run.log("stop", reason="SIGTERM")
    log.append(folder, {"event": "checkpoint", "step": 3}, sync=False)
    with open(folder / "log.jsonl", "ab") as file:
        file.write(b'{"event": "epoch", "epo')
    assert events(folder)[-1] == ("checkpoint", 3)
    resume(folder)
    assert [event for event in events(folder) if event[0] == "epoch"] == [("epoch", 1), ("epoch", 2)]
    assert events(folder)[-3:] == [("resume", 2), ("stop", "SIGTERM"), ("resume", 2)]
    assert (folder / "log.jsonl").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    "content", [None, b"", b"\0" * 100, b'{"event": "epoch", "epoch": 1, "sha256": "0"}\n{"event": "epo\n']
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
    with pytest.raises(DataError, match=r"log.jsonl: line 1: damaged log.*; give another folder"):
        read_log(folder)


def test_a_whole_last_line_without_its_end_counts(folder):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_bytes(log.line_of({"event": "start"}))
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
    with pytest.raises(UsageError, match=r"config.*JSON values"), open_run(folder, {"a": {1}}):
        pass


def test_f53_a_synced_line_is_there_after_a_loss_of_power(tmp_path):
    recording = disks.Recording(tmp_path)
    log.append(tmp_path, {"event": "epoch", "epoch": 1}, sync=False, disk=recording.disk)
    assert disks.after_power_loss(recording.log, None, "none") == {}
    log.append(tmp_path, {"event": "stop"}, sync=True, disk=recording.disk)
    assert disks.after_power_loss(recording.log, None, "none") == {"log.jsonl": (tmp_path / "log.jsonl").read_bytes()}


@pytest.mark.parametrize("torn", [b"{", b'{"event": "epoch", "epo', b"\0" * 3_000_000, b"x" * 2**20])
def test_f54_what_was_torn_is_cut_off_before_the_next_line(torn, tmp_path):
    for before in (b"", log.line_of({"event": "start"}) + b"\n"):
        (tmp_path / "log.jsonl").write_bytes(before + torn)
        log.append(tmp_path, {"event": "stop"}, sync=False)
        assert (tmp_path / "log.jsonl").read_bytes() == before + log.line_of({"event": "stop"}) + b"\n"


def test_f39_every_flipped_bit_and_every_truncation_of_the_log_is_found(tmp_path):
    file, events = tmp_path / "log.jsonl", [{"event": "start", "seed": 1}, {"event": "epoch", "epoch": 1, "loss": 0.5}]
    log.rewrite(tmp_path, events)
    whole = file.read_bytes()
    for at in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        file.write_bytes(damaged)
        if at // 8 == len(whole) - 1:
            assert [event["event"] for event in log.read_log(tmp_path)] in (["start"], ["start", "epoch"])
            continue
        with pytest.raises(DataError, match=r"log.jsonl: line [12]: damaged log"):
            log.read_log(tmp_path)
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert len(log.read_log(tmp_path)) == whole[: size + 1].count(b"\n")


def test_a_disk_that_takes_nothing_is_no_endless_loop(tmp_path):
    disk = disks.around(lambda name, real, *arguments: 0 if name == "write" else real(*arguments))
    with pytest.raises(StorageError, match="nothing was written"):
        write_file(tmp_path / "file", b"content", disk=disk)
    assert list(tmp_path.iterdir()) == []
