"""Files that a child process reads: limits, crashes, what is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from fnnet import data
from fnnet.data import bounds, child, child_main, formats
from fnnet.data.opened import Opened
from fnnet.data.reader import Content, Format, Wanted, joined_ink, read_as
from fnnet.errors import DataError, FnnetError, StorageError, UsageError
from tests.conftest import ROOT, start
from tests.tools.faulty import DOES
from tests.tools.samples import SAMPLES, SHAPE, missing_parts, write

READER = child.Reader("faulty", "tests.tools.faulty")
FORMAT = Format("faulty", lambda head, path: True, READER, extra="fnnet[faulty]")


@pytest.fixture
def started(monkeypatch):
    """The processes that a test starts, all of which must have ended."""
    found, begin = [], child.Child.__init__

    def noted(self):
        begin(self)
        found.append(self.process)

    monkeypatch.setattr(child.Child, "__init__", noted)
    yield found
    assert all(each.returncode is not None for each in found)


@pytest.fixture
def alone(monkeypatch):
    """No child of other tests is kept."""
    monkeypatch.delattr(child._kept, "children", raising=False)


pytestmark = pytest.mark.usefixtures("alone")


def read(tmp_path, does, labelled=True):
    return read_as((FORMAT,), write(tmp_path / "file", does.encode()), Wanted(labelled))


def pid(tmp_path):
    return int(read(tmp_path, "own process").labels[0])


def test_what_a_child_reads_comes_back_whole(started, tmp_path):
    content = read(tmp_path, "fine")
    assert (content.x.tolist(), content.x.dtype, content.x.flags.writeable) == ([[7] * 4], np.uint8, False)
    assert (content.labels.tolist(), content.image_shape, content.classes) == ([0], (1, 4), ("a", "b"))
    assert [(note.code, note) for note in content.notes] == [("a", "b")]
    content = read(tmp_path, "no labels")
    assert content.labels is None
    assert (content.test.labels.tolist(), content.test.test) == ([3], None)
    assert read(tmp_path, "fine", labelled=False).labels is None
    assert read(tmp_path, "print").x.tolist() == [[7] * 4]
    assert len(started) == 4


def test_a_child_imports_little(tmp_path):
    assert read(tmp_path, "imported").labels[0] == 0


FAULTS = {
    "crash": r"file: the file: the library that reads faulty crashed; .* a whole faulty file, found SIGSEGV; fetch",
    "abort": r"the library that reads faulty crashed; expected a whole faulty file, found SIGABRT; fetch",
    "killed": r"takes too much memory to read; expected at most [\d,]+ bytes",
    "memory": r"file: the file: takes too much memory to read; expected at most [\d,]+ bytes, .* found more; fetch",
    "many": r"expands to far more than its size on disk; expected at most 67,108,864 bytes",
    "raise": r"damaged or unsupported faulty file; expected a whole faulty file, found one line; fetch the file again",
    "raise nothing": r"damaged or unsupported faulty file; expected a whole faulty file, found RuntimeError; fetch",
    "missing": r"faulty needs an optional library; expected fnnet\[faulty\], found No module named 'other'; pip",
    "refuse": r"^where: place: problem; expected 1, found \['found'\]; fix$",
    "write": r"damaged or unsupported faulty file; .* found \[Errno 2\] No usable temporary directory",
}


@pytest.mark.parametrize("does", FAULTS)
def test_what_goes_wrong_in_a_child_is_one_line(does, started, tmp_path):
    with pytest.raises(DataError, match=FAULTS[does]) as raised:
        read(tmp_path, does)
    assert missing_parts(raised.value) == []
    assert len(started) == 1


@pytest.mark.parametrize(
    ("does", "kind", "message"),
    [
        ("storage", StorageError, "^a: disk$"),
        ("usage", UsageError, "^--image: option$"),
        ("plain", FnnetError, "^plain$"),
        ("exit", FnnetError, "file: the process that reads the file ended; expected an answer, found exit code 3"),
        ("other form", FnnetError, "answers in another form"),
    ],
)
def test_errors_of_other_kinds(does, kind, message, started, tmp_path):
    with pytest.raises(kind, match=message) as raised:
        read(tmp_path, does)
    assert type(raised.value) is kind


def test_a_child_that_computes_for_too_long_is_ended(monkeypatch, started, tmp_path):
    monkeypatch.setattr(child, "START", 1)
    monkeypatch.setattr(child, "SPEED", 2**40)
    with pytest.raises(DataError, match="takes too long to read; expected at most 1 seconds of computing") as raised:
        read(tmp_path, "loop")
    assert missing_parts(raised.value) == []
    monkeypatch.setattr(child, "WAIT", 0.5)
    with pytest.raises(DataError, match="takes too long to read"):
        read(tmp_path, "sleep")
    assert len(started) == 2


def test_limits_follow_the_size_of_the_file_and_the_memory_of_the_machine():
    small = child.limits_of(1000, 2**40)
    assert small == (child.OWN + child.COPIES * bounds.FREE, child.START + bounds.FREE // child.SPEED)
    large = child.limits_of(2**27, 2**40)
    assert (large.memory, large.seconds) == (child.OWN + child.COPIES * 2**32, child.START + 2**32 // child.SPEED)
    assert child.limits_of(2**27, 2**20).memory == 2**20


def test_an_unknown_amount_of_memory_is_no_limit(monkeypatch, started, tmp_path):
    monkeypatch.setattr(child, "available_bytes", lambda: None)
    assert read(tmp_path, "fine").labels[0] == 0


def test_a_description_that_is_too_long(monkeypatch, started, tmp_path):
    monkeypatch.setattr(child, "MAX_HEADER", 9_999)
    with pytest.raises(DataError, match=r"description too long; expected at most 9,999 bytes, found 1\d,\d{3}"):
        read(tmp_path, "long")


@pytest.mark.parametrize("program", ["/nowhere/python", ""])
def test_a_child_that_cannot_be_started(program, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(FnnetError, match="the process that reads the file cannot be started; expected"):
        read(tmp_path, "fine")


def test_another_program_in_place_of_python(monkeypatch, started, tmp_path):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        FnnetError, match="the process that reads the file ended; expected an answer, found exit code 1"
    ):
        read(tmp_path, "fine")


def test_a_child_that_closes_the_socket_and_goes_on(monkeypatch, started, tmp_path):
    """As a program that is not Python would."""
    write(tmp_path / "python", b'#!/bin/bash\nexec 0<&- 1>&- 2>&-\neval "exec ${@: -2:1}<&-"\nsleep 60\n').chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(child, "START", 1)
    with pytest.raises(
        FnnetError, match="the process that reads the file ended; expected an answer, found exit code None"
    ):
        read(tmp_path, "fine")


def test_an_interrupt_ends_the_child(monkeypatch, started, tmp_path):
    def interrupted(self, into):
        raise KeyboardInterrupt

    monkeypatch.setattr(child.Child, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, "sleep")
    assert len(started) == 1


def test_one_child_reads_all_files_of_a_block(started, tmp_path):
    with child.kept():
        first = pid(tmp_path)
        with pytest.raises(DataError, match="problem"):
            read(tmp_path, "refuse")
        with child.kept():
            assert pid(tmp_path) == first
        with pytest.raises(DataError, match="crashed"):
            read(tmp_path, "crash")
        second = pid(tmp_path)
        assert second != first
        others = []
        thread = threading.Thread(target=lambda: others.append(pid(tmp_path)))
        thread.start()
        thread.join()
        assert others[0] not in (first, second)
        assert pid(tmp_path) == second
    assert pid(tmp_path) != second
    assert len(started) == 4


def test_a_kept_child_has_the_limits_of_each_file(monkeypatch, started, tmp_path):
    monkeypatch.setattr(child, "OWN", 2**28)
    with child.kept():
        for _ in range(3):
            with pytest.raises(DataError, match="takes too much memory"):
                read(tmp_path, "memory")
            assert read(tmp_path, "fine").labels[0] == 0
    assert len(started) == 1


SCRIPT = """
import sys
from fnnet import data
print(data.read_images(sys.argv[1], (2, 3)).tolist())
"""
"""A program that does not guard its main part, as multiprocessing would require."""


def test_in_a_program_without_a_guard_and_beside_modules_of_the_libraries_names(tmp_path):
    path = write(tmp_path / "a.h5", SAMPLES["hdf5"].content)
    (tmp_path / "here").mkdir()
    for name in ("h5py", "numpy", "json"):
        write(tmp_path / "here" / f"{name}.py", b"raise SystemExit('of the current folder')")
    (tmp_path / "program").mkdir()
    script = write(tmp_path / "program" / "a.py", SCRIPT.encode())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", script, path],
        capture_output=True, text=True, check=False, cwd=tmp_path / "here", env=environment,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"{SAMPLES['hdf5'].x.tolist()}\n", "")


INTERRUPTED = """
import sys, tests.data.test_child as test
from fnnet.data.reader import Wanted, read_as
print("started", flush=True)
read_as((test.FORMAT,), sys.argv[1], Wanted(True))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left(number, tmp_path):
    """Ctrl-C does not reach the child, which is left to the parent."""
    path = write(tmp_path / "a", b"sleep")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with start([sys.executable, "-c", INTERRUPTED, str(path)], tmp_path, environment) as process:
        assert process.stdout.readline() == "started\n"
        deadline = time.monotonic() + 30
        while not (children := children_of(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        # It leaves the group between fork and exec, and may be seen before: whoever interrupts it then ends it.
        while os.getpgid(children[0]) != children[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.getpgid(children[0]) == children[0] != os.getpgid(process.pid)
        time.sleep(0.5)
        process.send_signal(number)
        process.wait(30)
    deadline = time.monotonic() + 30
    while is_running(children[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(children[0])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("group", [False, True])
def test_no_process_is_left_by_an_interrupt_while_it_starts(group, tmp_path):
    """Of the parent alone, or of its group, in which the child may still be."""
    path = write(tmp_path / "a", b"sleep")
    command = [sys.executable, "-c", f"import os; os.setpgid(0, 0){INTERRUPTED}", str(path)]
    for _ in range(3):
        with start(command, tmp_path, os.environ | {"PYTHONPATH": str(ROOT)}) as process:
            assert process.stdout.readline() == "started\n"
            deadline = time.monotonic() + 30
            while not (children := children_of(process.pid)) and time.monotonic() < deadline:
                pass
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
            process.wait(30)
        while is_running(children[0]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(children[0])


def is_running(number):
    """A process that has ended stays in the list until its parent asks for it, and the first process may be slow."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(parent):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found


# The other side of the socket, in this process.


@pytest.fixture
def limits(monkeypatch):
    found = []
    monkeypatch.setattr(child_main, "limit", lambda *each: found.append(each))
    return found


def test_the_child_answers_until_the_socket_is_closed(limits, tmp_path):
    ours, theirs = socket.socketpair()
    asker = child.Child.__new__(child.Child)
    asker.socket, found = ours, []

    def ask():
        for does in DOES:
            if does in ("fine", "no labels", "refuse", "usage", "missing", "raise"):
                with Opened(write(tmp_path / does, does.encode())) as file:
                    request = {"module": READER.module, "name": "x", "path": "a", "wanted": Wanted(True)._asdict()}
                    request |= {"memory": 1, "seconds": 2}
                    header, arrays = asker.ask(request, file.fileno(), child.Limits(1, 2), 9, "a", "x")
                    found.append((does, sorted(header), len(arrays)))
        ours.close()

    thread = threading.Thread(target=ask)
    thread.start()
    with theirs:
        child_main.serve(theirs)
    thread.join()
    assert found == [
        ("fine", ["arrays", "content"], 2),
        ("raise", ["arrays", "error"], 0),
        ("missing", ["arrays", "missing"], 0),
        ("refuse", ["arrays", "error"], 0),
        ("usage", ["arrays", "error"], 0),
        ("no labels", ["arrays", "content"], 3),
    ]
    assert limits == [(1, 2)] * 6


def test_a_request_that_is_cut_short_ends_the_child(limits, monkeypatch):
    resource = pytest.importorskip("resource")
    given = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: given.append(what))
    monkeypatch.setattr(child, "inside", False)
    monkeypatch.setattr(child_main, "end_with_parent", lambda parent: None)
    ours, theirs = socket.socketpair()
    ours.sendall(b"\x09\0\0\0{")
    ours.close()
    child_main.main(str(theirs.detach()), "1")
    assert given == [resource.RLIMIT_CORE, resource.RLIMIT_FSIZE]
    assert child.inside


def test_the_child_ends_with_its_parent_where_the_system_can_do_it(monkeypatch):
    class Library:
        def __init__(self, name):
            self.prctl = lambda *each: asked.append(each)

    asked = []
    monkeypatch.setattr(child_main.ctypes, "CDLL", Library)
    child_main.end_with_parent(os.getppid())
    monkeypatch.setattr(child_main.ctypes, "CDLL", lambda name: object())
    child_main.end_with_parent(os.getppid())
    assert asked == [(1, signal.SIGKILL)]
    # One that ended before the child asked for it, whose request would be answered, however long that takes.
    with pytest.raises(SystemExit):
        child_main.end_with_parent(os.getppid() + 1)


@pytest.mark.parametrize("hard", [-1, 7])
def test_the_limits_of_the_child_are_within_those_of_the_user(hard, monkeypatch):
    resource = pytest.importorskip("resource")
    given = {}
    monkeypatch.setattr(resource, "getrlimit", lambda what: (-1, hard))
    monkeypatch.setattr(resource, "setrlimit", given.__setitem__)
    monkeypatch.setattr(child_main, "in_use", lambda field: 100)
    child_main.limit(1000, 10**6)
    assert given[resource.RLIMIT_DATA] == (1100 if hard < 0 else 7, hard)
    assert given[resource.RLIMIT_CPU][0] >= 10**6 if hard < 0 else given[resource.RLIMIT_CPU] == (7, 7)


def test_a_memory_error_leaves_no_arrays(monkeypatch):
    monkeypatch.setattr(child, "described", lambda content, arrays: arrays.append(1) or exec_memory())
    arrays = []
    request = {"module": READER.module, "name": "x", "path": "a", "wanted": Wanted(True, (1, 2))._asdict()}
    assert child_main.answer(request, BytesIO(b"fine"), arrays) == {"memory": True}
    assert arrays == []


def exec_memory():
    raise MemoryError


def test_an_optional_library_that_is_missing(tmp_path, monkeypatch):
    """The line names what to install, whichever process found it missing."""
    monkeypatch.setattr(child, "inside", True)
    for name, library in (("hdf5", "h5py"), ("matlab 7.3", "h5py"), ("matlab", "scipy.io"), ("parquet", "pyarrow")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            path = write(tmp_path / "a", SAMPLES[name].content)
            with pytest.raises(DataError, match=r"needs an optional library; expected fnnet\[formats\]"):
                data.read_images(path, SHAPE)


def test_every_format_of_a_child_says_so():
    inside = [each for each in formats.FORMATS if isinstance(each.read, child.Reader) or hasattr(each.read, "reader")]
    assert [each.name for each in inside] == ["HDF5", "MATLAB", "Parquet", "Arrow", "TIFF"]
    assert {each.extra for each in inside} == {"fnnet[formats]", ""}


@pytest.mark.parametrize("colours", [None, np.arange(768, dtype=np.uint8).reshape(16, 16, 3)])
def test_the_colours_of_a_picture_come_through(colours):
    content = Content(
        np.zeros((1, 4), np.uint8),
        None,
        (2, 2),
        colours=colours,
        ink=np.array([1], np.uint8) if colours is None else None,
    )
    arrays = []
    found = child.content_of(json.loads(json.dumps(child.described(content, arrays))), iter(arrays))
    assert found.ink == content.ink
    assert (found.colours is None) if colours is None else np.array_equal(found.colours, colours)


def test_kinds_of_ink_of_another_form_are_refused():
    content = Content(np.zeros((1, 4), np.uint8), None, (2, 2), ink=np.zeros(2, np.uint8))
    arrays = []
    fields = child.described(content, arrays)
    with pytest.raises(FnnetError, match=r"answers in another form; found shape \(2,\)"):
        child.content_of(fields, iter(arrays))


def test_kinds_of_ink_are_joined_where_any_part_has_them():
    assert joined_ink([(None, 2), (None, 1)]) is None
    assert joined_ink([(None, 2), (np.array([1], np.uint8), 1)]).tolist() == [0, 0, 1]


def test_colours_of_another_form_are_refused():
    content = Content(np.zeros((1, 4), np.uint8), None, (2, 2), colours=np.zeros((2, 2, 3), np.uint8))
    arrays = []
    fields = child.described(content, arrays)
    with pytest.raises(FnnetError, match=r"answers in another form; found shape \(2, 2, 3\)"):
        child.content_of(fields, iter(arrays))
