"""Edges of what is kept on disk: each test fails with one small change that no other test noticed."""

import errno
import fcntl
import json
import os
import platform
import secrets
from pathlib import Path

import numpy as np
import pytest

import fnnet
from fnnet.errors import DataError, ModelError, StorageError
from fnnet.files import checkpoints, container, disk, heartbeat, lock, log, model, owner, runs, strictjson
from fnnet.files.model import Model
from tests.tools.disks import around
from tests.tools.running import names, train

MIB = 2**20


@pytest.mark.parametrize(
    ("limit", "documented"),
    [
        (checkpoints.CHECKPOINT, ("checkpoint", 1, 64 * MIB, 0)),
        (model.MODEL, ("model", 6, MIB, 1)),
        (runs.KEPT, 2),
        (disk.MAX_FILE_BYTES, 4096 * MIB),
        (log.MAX_BYTES, 256 * MIB),
        (lock.MAX_BYTES, 4096),
    ],
)
def test_limits_stay(limit, documented):
    """A file that one version writes is read by the next."""
    assert limit == documented


def test_a_run_keeps_two_checkpoints(tmp_path):
    train(tmp_path, 1, 2, 3, 4)
    assert [name for name in names(tmp_path) if name.startswith("step-")] == [
        "step-000000000003.safetensors",
        "step-000000000004.safetensors",
    ]


@pytest.mark.parametrize("at", [-1, -4, -20])
def test_a_flipped_bit_of_a_weight_is_the_checksum_s_to_see(at, tmp_path):
    """The weight is a finite number all the same."""
    path = tmp_path / "m.safetensors"
    fnnet.save_model(path, Model(fnnet.init((4, 3, 2), 1), classes=("cat", "dog"), image_shape=(2, 2)))
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"checksum: damaged file; expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        fnnet.load_model(path)


@pytest.mark.parametrize(
    ("error", "wanted"), [(errno.EWOULDBLOCK, False), (errno.EACCES, False), (errno.ENOLCK, None), (errno.EIO, None)]
)
def test_what_flock_says(error, wanted, tmp_path, monkeypatch):
    """Another process holds the lock, or the file system has none."""

    def refuse(descriptor, operation):
        assert operation == fcntl.LOCK_EX | fcntl.LOCK_NB
        raise OSError(error, "")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("w") as file:
        assert lock._flock(file.fileno()) is wanted


def test_a_lock_taken_by_another_as_this_one_ends_stays(tmp_path):
    """Between the end of the lock and the last look at its file."""

    def call(name, real, *arguments):
        found = real(*arguments)
        if name == "close":
            (tmp_path / "lock").write_bytes(b"another's")
        return found

    with lock.lock(tmp_path, around(call)):
        pass
    assert (tmp_path / "lock").read_bytes() == b"another's"


def test_a_dead_lock_is_taken_over_and_leaves_nothing(tmp_path, monkeypatch):
    """Without flock its file is moved aside first."""
    (tmp_path / "lock").write_text(json.dumps({"pid": 2**22 + 1, "host": platform.node()}))  # above any process
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    with lock.lock(tmp_path):
        assert names(tmp_path) == ["lock"]
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert names(tmp_path) == []


def test_on_windows_no_process_is_asked_whether_it_lives(monkeypatch):
    """os.kill would end it there."""

    def kill(pid, number):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        patch.setattr(os, "kill", kill)
        alive = owner.is_alive(owner.Owner(1, platform.node()))
    assert alive is True


def test_what_is_added_to_a_file_while_it_is_read_is_left_out(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345678")

    def call(name, real, *arguments):
        if name != "read":
            return real(*arguments)
        found = real(arguments[0], min(arguments[1], 3))
        with path.open("ab") as file:
            file.write(b"9")
        return found

    assert disk.read_bytes(path, disk=around(call)) == b"12345678"


def test_the_key_that_is_stored_twice_is_named():
    with pytest.raises(DataError, match="key stored twice; expected each key once, found 'b'"):
        strictjson.loads('{"a": 1, "b": 2, "c": 3, "b": 4}')


def test_an_append_to_whole_lines_cuts_nothing(tmp_path):
    calls = []

    def call(name, real, *arguments):
        calls.append(name)
        return real(*arguments)

    for line in (b"1", b"2"):
        disk.append_line(tmp_path / "a", line, disk=around(call))
    assert "truncate" not in calls
    (tmp_path / "a").write_bytes(b"1\n2\n3")
    disk.append_line(tmp_path / "a", b"4", disk=around(call))
    assert calls.count("truncate") == 1
    assert (tmp_path / "a").read_bytes() == b"1\n2\n4\n"


def test_an_append_where_the_first_line_is_empty(tmp_path):
    (tmp_path / "a").write_bytes(b"\n12")
    disk.append_line(tmp_path / "a", b"3")
    assert (tmp_path / "a").read_bytes() == b"\n3\n"


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="needs a folder of the open files")
def test_nothing_stays_open(tmp_path):
    before = os.listdir("/dev/fd")
    with lock.lock(tmp_path):
        disk.write_file(tmp_path / "a", b"1")
        disk.append_line(tmp_path / "a", b"2", sync=True)
        assert disk.read_bytes(tmp_path / "a") == b"2\n"  # 1 was no whole line
        disk.check_writable(tmp_path / "a")
    with pytest.raises(StorageError):
        disk.open_regular("/dev/null")
    assert os.listdir("/dev/fd") == before


def test_a_lock_that_is_held_stays_whomever_its_file_names(tmp_path):
    """A process that was forked holds it on when the one that is named has ended."""
    content = json.dumps({"pid": 2**22 + 1, "host": platform.node()})
    (tmp_path / "lock").write_text(content)
    with (tmp_path / "lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match=f"in use by another training; found process {2**22 + 1} on"):
            lock.lock(tmp_path).__enter__()
    assert (tmp_path / "lock").read_text() == content


def test_numbers_of_8_bytes_lie_first_and_all_are_aligned(tmp_path):
    arrays = {"a": np.ones(3, np.float32), "b": np.full(2, 2.0), "c": np.ones(1, np.float32), "d": np.full(1, 3.0)}
    kind = container.Kind("test", 1, MIB)
    container.save(tmp_path / "a", kind, {}, arrays, lambda about, found: None)
    content = (tmp_path / "a").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert size % 8 == 0
    assert {name: header[name]["data_offsets"] for name in arrays} == {
        "a": [24, 36],
        "b": [0, 16],
        "c": [36, 40],
        "d": [16, 24],
    }
    found = container.load(tmp_path / "a", kind, lambda about, found: found)
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


def test_without_flock_a_lock_that_is_being_written_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    (tmp_path / "lock").write_bytes(b'{"pid": ')
    about = {"pid": os.getpid(), "host": platform.node()}
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: (tmp_path / "lock").write_text(json.dumps(about)))
    with pytest.raises(StorageError, match=f"found process {os.getpid()} on"):
        lock.lock(tmp_path).__enter__()


@pytest.mark.parametrize("held", [True, None])
def test_a_lock_that_names_nobody_is_waited_for(held, tmp_path, monkeypatch):
    """Its creator may be about to write, on a host that the locks of this one do not reach."""
    monkeypatch.setattr(lock, "_flock", lambda descriptor: held)
    (tmp_path / "lock").write_bytes(b'{"pid": ')
    sleeps, watched = [], []
    monkeypatch.setattr(lock.time, "sleep", sleeps.append)
    monkeypatch.setattr(heartbeat, "watch", lambda path: watched.append(path) or heartbeat.Seen.QUIET)
    with lock.lock(tmp_path):
        assert sleeps == [0.01] * 9
        assert watched == [tmp_path / "lock"] * (held is None)


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [([True, 2], [0, 8]), ([2.0], [0, 8]), ([-1, -2], [0, 8]), ([2], [False, 8]), ([2], [0, 8.0]), ([2], [-8, 0])],
)
def test_sizes_and_offsets_of_tensors_are_whole_numbers(shape, offsets):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert container._arrays({"a": entry}, memoryview(bytes(8)))["a"].tolist() == [0, 0]
    with pytest.raises(ModelError, match="a: invalid tensor; expected F32 or F64, offsets without gaps that fit"):
        container._arrays({"a": entry | {"shape": shape, "data_offsets": offsets}}, memoryview(bytes(8)))


def test_why_a_folder_cannot_be_made(tmp_path):
    """In the words of the system, or of Python where that refuses the path."""
    (tmp_path / "a").write_bytes(b"")
    for path, reason in (("a", "Not a directory"), ("b\0", "embedded null byte")):
        with pytest.raises(StorageError, match=f"cannot be made: {reason}; expected a folder"):
            disk.make_folder(tmp_path / path)
    with pytest.raises(StorageError, match="cannot be made: Not a directory; expected a folder"):
        disk.check_folder(tmp_path / "a" / "b")
    disk.check_folder(tmp_path / "c" / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_where_no_file_may_be_made(tmp_path, monkeypatch):
    """As where a disk is read-only; for whoever may write anywhere, the system's answer is put in its place."""

    def refused(path, *rest):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(StorageError, match="cannot be made: Permission denied; expected a folder"):
        disk.check_folder(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_the_temporary_file_of_another_writer_stays(tmp_path, monkeypatch):
    """Should two writers draw one name: the file that is there is not removed."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: "00000000")
    theirs = Path(disk.name_beside(tmp_path / "a"))
    theirs.write_bytes(b"theirs")
    with pytest.raises(StorageError):
        disk.write_file(tmp_path / "a", b"ours")
    assert [(path, path.read_bytes()) for path in tmp_path.iterdir()] == [(theirs, b"theirs")]


def test_the_largest_file_is_one_that_can_be_read(tmp_path, monkeypatch):
    arrays, kind = {"a": np.ones(3, np.float32)}, container.Kind("test", 1, MIB)
    container.save(tmp_path / "a", kind, {}, arrays, lambda about, found: None)
    size = (tmp_path / "a").stat().st_size
    monkeypatch.setattr(container, "MAX_FILE_BYTES", size)
    container.save(tmp_path / "a", kind, {}, arrays, lambda about, found: None)
    monkeypatch.setattr(container, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(ModelError, match=f"too large; .* found {size - 20:,} and {size:,}"):
        container.save(tmp_path / "a", kind, {}, arrays, lambda about, found: None)
    monkeypatch.setattr(container, "MAX_FILE_BYTES", size)
    container.save(tmp_path / "a", kind._replace(max_header=size - 20), {}, arrays, lambda about, found: None)
    with pytest.raises(ModelError, match="too large"):
        container.save(tmp_path / "a", kind._replace(max_header=size - 21), {}, arrays, lambda about, found: None)


def test_flags_that_a_system_does_not_have_are_left_out(tmp_path, monkeypatch):
    """As on Windows, where neither is defined."""
    flags = []

    def call(name, real, *arguments):
        if name == "open":
            flags.append(arguments[1])
        return real(*arguments)

    monkeypatch.delattr(os, "O_NOFOLLOW")
    monkeypatch.delattr(os, "O_NONBLOCK")
    recording = around(call)
    with lock.lock(tmp_path, recording):
        disk.write_file(tmp_path / "a", b"1\n", disk=recording)
        disk.append_line(tmp_path / "a", b"2", disk=recording)
        assert disk.read_bytes(tmp_path / "a", disk=recording) == b"1\n2\n"
    new = os.O_CREAT | os.O_EXCL
    assert flags == [os.O_RDWR | new, os.O_RDWR | new, os.O_RDWR | os.O_CREAT, os.O_RDONLY]


def test_new_files_have_the_rights_that_the_user_s_mask_leaves(tmp_path):
    old = os.umask(0)
    try:
        disk.write_file(tmp_path / "a", b"1")
        disk.append_line(tmp_path / "b", b"1")
        with lock.lock(tmp_path):
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"a": 0o666, "b": 0o666, "lock": 0o666}


@pytest.mark.parametrize(("at", "shape"), [("W", (4, 2)), ("W", (3, 3)), ("b", (2,)), ("b", (3, 1))])
def test_either_array_of_a_layer_must_fit_its_sizes(at, shape):
    tensors = {"layers.0.W": np.ones((4, 3)), "layers.0.b": np.ones(3)}
    assert model.params_of("layers", tensors, (4, 3)).layers[0].b.tolist() == [1, 1, 1]
    with pytest.raises(ModelError, match="wrong shape; expected W"):
        model.params_of("layers", tensors | {f"layers.0.{at}": np.ones(shape)}, (4, 3))


@pytest.mark.parametrize("sign", [None, 2.0, 3.0, 4.0])
def test_a_lock_is_watched_for_as_long_as_is_said(tmp_path, monkeypatch, sign):
    """A look each second, by the clock of this process; the last one when the time is over."""
    now, path = [100.0], tmp_path / "lock"
    path.write_text("held")

    def sleep(seconds):
        now[0] += seconds
        if sign == now[0] - 100:
            path.write_text("still held")

    monkeypatch.setattr(heartbeat, "QUIET", 3.0)
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(heartbeat.time, "sleep", sleep)
    alive = sign is not None and sign <= 3
    assert heartbeat.watch(path) is (heartbeat.Seen.ALIVE if alive else heartbeat.Seen.QUIET)
    assert now[0] - 100 == (sign if alive else 3)


def test_without_signs_of_life_a_lock_of_elsewhere_is_never_taken_over(tmp_path, monkeypatch):
    """As on Windows, where the time of an open file cannot be changed: nobody there gives any."""
    holder = {**owner.this_process()._asdict(), "host": "far-away", "machine": "another", "boot": "another"}
    (tmp_path / "lock").write_text(json.dumps(holder) + "\n")
    assert owner.where_is(owner.owner_in((tmp_path / "lock").read_bytes())) is owner.Where.ELSEWHERE
    monkeypatch.setattr(os, "supports_fd", os.supports_fd - {os.utime})
    monkeypatch.setattr(heartbeat, "watch", lambda path: heartbeat.Seen.QUIET)
    with pytest.raises(StorageError, match=r"in use by another training.*far-away"), lock.lock(tmp_path):
        pass
    assert json.loads((tmp_path / "lock").read_text()) == holder


@pytest.mark.parametrize(
    ("line", "others"),
    [
        (b"note of mine", 1),
        (b"note\0of mine", 0),
        (b"\0\0note of mine\0", 1),
        (b"", 0),
        (b" \t\0", 0),
        (b'{"event": "other", "at": 1}', 1),
        (b'{"event": "oth\0\0\0\0 1}', 0),
        (b'{"event": "epoch", "epo', 0),
        (b'{"event": "epoch", "epoch": 1}', 1),
    ],
)
def test_a_line_with_zeros_in_it_is_damaged_and_nobody_else_s(line, others, tmp_path):
    content = b'{"event": "epo\n' + line + b"\n"
    (tmp_path / log.LOG).write_bytes(content)
    count, name = log.keep_others(tmp_path)
    assert count == others
    assert (tmp_path / name).read_bytes() == content if others else not name
    assert log.is_foreign(tmp_path) == bool(others)


def test_an_error_of_what_is_written_is_told_as_it_is(tmp_path):
    """Pieces may be made of files that are read meanwhile: the file to write is not at fault."""

    def pieces():
        yield b"some"
        raise DataError("damaged", where="a.parquet", fix="fetch it again")

    with pytest.raises(DataError, match=r"^a\.parquet: damaged; fetch it again$"):
        disk.write_pieces(tmp_path / "a.csv", pieces())
    assert [*tmp_path.iterdir()] == []


def test_pieces_are_made_once_and_read_back_a_little_at_a_time(tmp_path, monkeypatch):
    """Answers on any number of images fit in memory."""
    made, asked = [], []

    def pieces():
        for number in range(3):
            made.append(number)
            yield bytes([number]) * (disk.PIECE + 7)

    watched = disk.DISK._replace(read=lambda descriptor, count: asked.append(count) or os.read(descriptor, count))
    disk.write_pieces(tmp_path / "a", pieces(), disk=watched)
    assert made == [0, 1, 2]
    assert max(asked) == disk.PIECE
    assert (tmp_path / "a").read_bytes() == b"".join(bytes([number]) * (disk.PIECE + 7) for number in range(3))


@pytest.mark.parametrize("damage", ["changed", "longer", "shorter"])
def test_what_is_read_back_otherwise_is_found(damage, tmp_path):
    def read(descriptor, count):
        found = os.read(descriptor, count)
        if not found:
            return b"more" if damage == "longer" else b""
        return {"changed": found[:-1] + b"!", "longer": found, "shorter": b""}[damage]

    with pytest.raises(StorageError, match="what was read back differs"):
        disk.write_pieces(tmp_path / "a", iter([b"some", b"bytes"]), disk=disk.DISK._replace(read=read))
    assert [*tmp_path.iterdir()] == []
