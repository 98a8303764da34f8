"""Locks of other hosts: a dead one's is taken over without a person, a live one's never, whatever the clocks say.

Other hosts are processes with another name, kernel and machine. Where the locks of the system are to stay on each host,
as over some network file systems, `_flock` succeeds for everybody or is not there at all.
"""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

import fnnet.files.owner
from fnnet.errors import StorageError
from fnnet.files import heartbeat, lock
from fnnet.files.owner import Where, is_within_reach, owner_in, this_process, where_is
from fnnet.files.runs import open_run
from tests.conftest import ROOT
from tests.tools.disks import around
from tests.tools.running import CONFIG, make, names

BEAT, QUIET, LOOK = 0.05, 2.0, 0.02

OTHER_HOST = f"""
import os, platform, sys, time
sys.path.insert(0, {str(ROOT)!r})
from fnnet.files import heartbeat, lock, owner
from fnnet.files.runs import open_run
from tests.tools.disks import around
from tests.tools.running import CONFIG, make
heartbeat.BEAT, heartbeat.QUIET, heartbeat.LOOK = {BEAT}, {QUIET}, {LOOK}
platform.node = lambda: "far-away"
owner._digest = lambda path: path[::-1]
if sys.argv[2] != "flock":
    lock._flock = lambda descriptor: {{"local": True, "none": None}}[sys.argv[2]]
exec(sys.argv[3])
with open_run(sys.argv[1], CONFIG, resume=True) as run:
    print("held", flush=True)
    number = 0
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        number += 1
        run.save(make(number))
        print("saved", flush=True)
"""


@pytest.fixture
def quick(monkeypatch):
    for name, value in (("BEAT", BEAT), ("QUIET", QUIET), ("LOOK", LOOK)):
        monkeypatch.setattr(heartbeat, name, value)


@pytest.fixture(params=["local", "none"])
def locks(request, monkeypatch):
    """Locks that do not leave their host, or none."""
    monkeypatch.setattr(lock, "_flock", lambda descriptor: {"local": True, "none": None}[request.param])
    return request.param


@contextlib.contextmanager
def other_host(folder, locks="flock", more=""):
    """A holder on another host; `more` changes what it does."""
    command = [sys.executable, "-c", OTHER_HOST, str(folder), locks, more]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout.readline() == "held\n", process.stderr.read()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()


def says(process, line):
    """What the holder answers when it is told to save."""
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline()


def opened(folder, notices=None):
    notify = [].append if notices is None else notices.append
    return open_run(folder, CONFIG, resume=True, notify=notify)


BUSY = """
import threading
def busy():
    while True:
        pass
threading.Thread(target=busy, daemon=True).start()
"""
"""Another thread of the holder computes, in Python, all the time."""
SKEWED = """
import itertools
utime, times = os.utime, itertools.count({start}, 7)
os.utime = lambda file: utime(file, (next(times),) * 2)
heartbeat.os.supports_fd.add(os.utime)
"""
BACKWARDS = SKEWED.replace("7)", "-7)")
KEPT = "os.utime = lambda file: None\nheartbeat.os.supports_fd.add(os.utime)"
FAILING = """
def utime(file): raise OSError(1, "Operation not permitted")
os.utime = utime
heartbeat.os.supports_fd.add(os.utime)
"""


@pytest.mark.parametrize(
    "more",
    [
        "",
        BUSY,
        SKEWED.format(start=10**6),
        SKEWED.format(start=4 * 10**9),
        BACKWARDS.format(start=10**9),
        KEPT,
        FAILING,
    ],
    ids=[
        "plain",
        "busy",
        "clock of the past",
        "clock of the future",
        "clock backwards",
        "times ignored",
        "times refused",
    ],
)
def test_f61_f65_f68_a_live_holder_of_another_host_is_never_taken_over(more, folder, quick, locks):
    """Also where its clock, or that of the file system, is years off, and where times of files cannot be set."""
    with other_host(folder, locks, more) as holder:
        for _ in range(6):
            with pytest.raises(StorageError, match=f"found process {holder.pid} on far-away since"), opened(folder):
                pass
        assert says(holder, "save") == "saved\n"
    assert [name for name in names(folder) if name.endswith(".part")] == []


def test_f61_f68_a_lock_of_the_system_that_reaches_other_hosts_decides_at_once(folder):
    """Held, also by a process that is stopped, it is alive: nobody watches."""
    notices = []
    with other_host(folder) as holder:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            holder.send_signal(number)
            with pytest.raises(StorageError, match=f"process {holder.pid} on far-away since"), opened(folder, notices):
                pass
        assert says(holder, "save") == "saved\n"
    assert notices == []


def test_f61_f68_a_killed_holder_of_another_host_is_taken_over_without_a_person(folder, quick, locks):
    with other_host(folder, locks) as holder:
        assert says(holder, "save") == "saved\n"
        holder.kill()
        holder.wait()
        notices, began = [], time.monotonic()
        with opened(folder, notices) as run:
            assert time.monotonic() - began >= QUIET
            assert run.latest().state.step == 1
            run.save(make(2))
            assert owner_in((folder / "lock").read_bytes()).pid == os.getpid()
    (notice,) = notices
    assert notice.startswith(f"{folder / 'lock'}: left by process {holder.pid} on far-away since ")
    assert notice.endswith("; waiting up to 2 s for a sign of life")
    assert "lock" not in names(folder)


def test_f61_f66_a_holder_that_was_stopped_finds_itself_without_its_lock(folder, quick, locks):
    """It writes nothing into what is another's run, and ends in one line; the other does not notice."""
    with other_host(folder, locks) as holder:
        assert says(holder, "save") == "saved\n"
        holder.send_signal(signal.SIGSTOP)
        with opened(folder) as run:
            assert run.latest().state.step == 1
            run.save(make(5))
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            holder.send_signal(signal.SIGCONT)
            time.sleep(3 * BEAT)
            assert says(holder, "save") == ""
            holder.stdin.close()
            holder.wait()
            told = holder.stderr.read().strip().splitlines()[-1]
            assert f"{folder}: the folder was moved, deleted or unlocked" in told
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
            run.save(make(6))
            assert run.latest().state.step == 6


def test_f61_a_holder_that_leaves_while_it_is_watched_leaves_the_folder_free(folder, monkeypatch, locks):
    for name, value in (("QUIET", 20), ("LOOK", LOOK)):
        monkeypatch.setattr(heartbeat, name, value)
    with other_host(folder, locks, "heartbeat.BEAT = 1000") as holder:
        leave = threading.Timer(0.3, holder.stdin.close)
        leave.start()
        with opened(folder):
            assert holder.wait() == 0
        leave.join()


def left(folder, **parts):
    """A lock that a process left behind, like one of this process but for `parts`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(this_process()._replace(**parts)._asdict()).encode()
    (folder / "lock").write_bytes(content)
    return owner_in(content)


@pytest.fixture(scope="module")
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(not os.path.exists(fnnet.files.owner.BOOT), reason="needs an identity of the kernel")
def test_f61_the_kernel_decides_at_once_whatever_the_host_is_called(folder, dead):
    """A container that was started again has another name; a machine that was started again has another kernel."""
    for parts in ({"host": "5f2b7c"}, {"host": "5f2b7c", "space": "4026530000"}, {}):
        assert where_is(left(folder, pid=dead, **parts)) is Where.HERE
        with opened(folder):
            pass


def test_f61_who_is_where(monkeypatch, folder):
    identity = {"BOOT": "kernel", "MACHINE": "machine"}
    monkeypatch.setattr(
        fnnet.files.owner,
        "_digest",
        lambda path: next(v for k, v in identity.items() if getattr(fnnet.files.owner, k) == path),
    )
    me, other = platform.node(), "far-away"
    for host, boot, machine, where in (
        (me, "kernel", "machine", Where.HERE), (other, "kernel", "", Where.HERE), (me, "", "", Where.HERE),
        (other, "", "", Where.ELSEWHERE), (me, "before", "machine", Where.ENDED),
        # Copies of a machine, and containers of one name on two machines.
        (me, "before", "another", Where.ELSEWHERE), (me, "before", "", Where.ELSEWHERE),
        (other, "before", "machine", Where.ELSEWHERE),
    ):  # fmt: skip
        assert where_is(left(folder, host=host, boot=boot, machine=machine)) is where
    identity["MACHINE"] = ""
    assert where_is(left(folder, host=me, boot="before", machine="")) is Where.ELSEWHERE
    identity["BOOT"] = ""
    assert where_is(left(folder, host=me, boot="before")) is Where.HERE


def test_f61_a_machine_that_was_started_again_left_a_dead_lock(folder, monkeypatch, locks):
    monkeypatch.setattr(fnnet.files.owner, "_digest", lambda path: path)
    left(folder, boot="before", pid=os.getpid())
    with opened(folder):
        pass


def test_f61_a_number_of_another_container_is_nobody_s_here(folder, monkeypatch, quick, dead):
    """Without locks of the system, neither a living nor a dead process of that number means anything."""
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    for pid in (dead, os.getpid()):
        left(folder, pid=pid, space="4026530000")
        notices = []
        with opened(folder, notices):
            assert "waiting up to 2 s" in notices[0]
    left(folder, pid=dead, space="4026530000")
    alive = threading.Timer(0.2, os.utime, [folder / "lock"])
    alive.start()
    with pytest.raises(StorageError, match=f"found process {dead} on"), opened(folder):
        pass
    alive.join()


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": "1", "host": 2}'])
def test_f61_a_lock_that_names_nobody(content, folder, quick, monkeypatch):
    """With locks of the system, nobody holds it; without them it may be somebody who is about to write."""
    for flock, watched in ((lock._flock, 0), (lambda descriptor: None, 1)):
        monkeypatch.setattr(lock, "_flock", flock)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").write_bytes(content)
        notices = []
        with opened(folder, notices):
            assert len(notices) == watched + 1  # the run begins
    assert "left by a process without a name; waiting" in notices[0]


def test_f61_of_several_that_take_a_lock_over_one_has_it(folder, locks):
    """All of them see the same silence, each on a host of its own."""
    left(folder, pid=1, host="gone", boot="gone", machine="gone")
    hold = OTHER_HOST.replace("number = 0", "time.sleep(3); sys.exit()")
    apart = "platform.node = lambda: str(os.getpid())\nowner._digest = lambda path: path + str(os.getpid())\n"
    apart += "print('ready', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", hold, str(folder), locks, apart]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    several = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(process.communicate(timeout=60), process.returncode) for process in several]
    won = [out for (out, _), _ in ends if out == "held\n"]
    lost = [err for (out, err), _ in ends if not out]
    assert len(won) == 1, ends
    assert all("in use by another training; found process" in err for err in lost)


def test_f61_a_lock_that_another_took_over_meanwhile_is_put_back(folder, quick, monkeypatch):
    monkeypatch.setattr(lock, "_flock", lambda descriptor: True)
    left(folder, pid=1, host="gone", boot="gone")
    watch = heartbeat.watch

    def overtaken(path):
        found = watch(path)
        path.unlink()
        left(folder, pid=2, host="quicker", boot="quicker")
        monkeypatch.setattr(heartbeat, "watch", lambda path: heartbeat.Seen.ALIVE)
        return found

    monkeypatch.setattr(heartbeat, "watch", overtaken)
    with pytest.raises(StorageError, match="found process 2 on quicker"), opened(folder):
        pass
    assert names(folder) == ["lock"]


def test_f61_a_lock_that_is_replaced_while_it_is_watched_is_the_new_holder_s(folder, quick, locks, monkeypatch):
    left(folder, pid=1, host="gone", boot="gone")

    def replaced():
        left(folder / "other", pid=2, host="quicker", boot="quicker")
        os.replace(folder / "other" / "lock", folder / "lock")
        while not done.wait(BEAT):
            os.utime(folder / "lock")

    monkeypatch.setattr(lock, "_put_aside", lambda *arguments: pytest.fail("a lock of somebody else was taken away"))
    done, other = threading.Event(), threading.Timer(0.2, replaced)
    other.start()
    with pytest.raises(StorageError, match="found process 2 on quicker"), opened(folder):
        pass
    done.set()
    other.join()


def test_a_file_that_cannot_be_read_while_it_is_locked_is_watched_by_its_times(folder, quick, monkeypatch):
    """As over SMB, where locks keep all other open files from reading."""
    left(folder, pid=1, host="gone", boot="gone")
    read = os.read

    def denied(descriptor, count):
        if os.fstat(descriptor).st_ino == (folder / "lock").stat().st_ino:
            raise PermissionError(13, "Permission denied")
        return read(descriptor, count)

    monkeypatch.setattr(heartbeat.os, "read", denied)
    assert heartbeat.watch(folder / "lock") is heartbeat.Seen.QUIET
    alive = threading.Timer(0.2, os.utime, [folder / "lock"])
    left(folder)
    alive.start()
    assert heartbeat.watch(folder / "lock") is heartbeat.Seen.ALIVE
    alive.join()
    (folder / "lock").unlink()
    assert heartbeat.watch(folder / "lock") is heartbeat.Seen.GONE


def test_f61_a_holder_whose_name_cannot_be_read_is_refused_all_the_same(folder):
    def denied(name, real, *arguments):
        if name == "read" and os.fstat(arguments[0]).st_ino == (folder / "lock").stat().st_ino:
            raise PermissionError(13, "Permission denied")
        return real(*arguments)

    with (
        open_run(folder, CONFIG),
        pytest.raises(StorageError, match="found another process; wait for it"),
        open_run(folder, CONFIG, disk=around(denied)),
    ):
        pass


@pytest.mark.parametrize("refused", [False, True])
def test_a_sign_of_life_where_times_cannot_be_set(refused, folder, monkeypatch):
    def utime(file):
        if refused:
            raise OSError(1, "Operation not permitted")

    folder.mkdir(parents=True)
    (folder / "lock").write_bytes(b"content")
    before = (folder / "lock").stat().st_mtime_ns
    monkeypatch.setattr(os, "utime", utime)
    with open(folder / "lock", "r+b") as file:
        time.sleep(0.02)
        heartbeat.touch(file.fileno())
    assert (folder / "lock").stat().st_mtime_ns > before
    assert (folder / "lock").read_bytes() == b"content"


def test_a_heartbeat_ends_with_its_lock(folder, quick, monkeypatch):
    def beats():
        return [thread for thread in threading.enumerate() if thread.name == "fnnet lock"]

    with open_run(folder, CONFIG):
        assert len(beats()) == 1
        first = (folder / "lock").stat().st_mtime_ns
        time.sleep(4 * BEAT)
        assert (folder / "lock").stat().st_mtime_ns > first
    assert beats() == []

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(StorageError, match="no thread that keeps the lock: can't start new thread"), opened(folder):
        pass
    assert "lock" not in names(folder)


def test_a_sign_of_life_that_fails_is_tried_again(folder, quick, monkeypatch):
    failed = []

    def touch(descriptor):
        failed.append(1)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched, open_run(folder, CONFIG):
        patched.setattr(heartbeat, "touch", touch)
        time.sleep(6 * BEAT)
    assert len(failed) > 1


def test_a_number_names_a_process_under_one_kernel_and_in_one_container(dead):
    me = this_process()
    assert is_within_reach(me)
    assert not is_within_reach(me._replace(boot="other", machine="other"))
    assert not is_within_reach(me._replace(space="1"))
    assert not is_within_reach(me._replace(pid=dead))
