"""A program that calls the command line keeps its streams, descriptors, environment and random numbers."""

import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import threading

import pytest

from fnnet.cli import main, streams
from tests.conftest import ROOT

WRONG = ["train", "--data", "nowhere"]


def call(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def descriptors():
    """What each descriptor of this process is, where the system tells."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip(f"needs {folder}")
    numbers = [int(name) for name in os.listdir(folder)]
    found = {}
    for number in numbers:
        with contextlib.suppress(OSError):
            found[number] = os.readlink(f"{folder}/{number}")
    return found


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], WRONG, ["data", "info", "--data", "digits"]])
def test_a_full_disk_leaves_its_descriptors_as_they_are(name, arguments, monkeypatch):
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        other = "stderr" if name == "stdout" else "stdout"
        monkeypatch.setattr(sys, other, io.StringIO())
        monkeypatch.setattr(sys, name, full)
        before = descriptors()
        codes = {call(arguments) for _ in range(3)}
        assert codes == ({1} if name == "stdout" or arguments == WRONG else {0})
        assert descriptors() == before
        assert getattr(sys, name) is full


def test_what_it_writes_after_the_disk_has_space_again_is_there(monkeypatch):
    class Disk(io.StringIO):
        full = True

        def write(self, text):
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk, errors = Disk(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", disk)
    monkeypatch.setattr(sys, "stderr", errors)
    assert call(["--version"]) == 1
    assert errors.getvalue() == "error: standard output cannot be written: No space left on device\n"
    disk.full = False
    print("goes on")
    assert disk.getvalue() == "goes on\n"


class OnlyWrite:
    """The least that can be written to."""

    def __init__(self):
        self.written = ""

    def write(self, text):
        self.written += text


class WriteAndFlush(OnlyWrite):
    def flush(self):
        pass


class Failing:
    def write(self, text):
        raise OSError(28, "No space left on device")

    def flush(self):
        raise OSError(28, "No space left on device")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def closed_file():
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


def detached():
    stream = io.TextIOWrapper(io.BytesIO())
    stream.detach()
    return stream


def to_read():
    return io.TextIOWrapper(io.BufferedReader(io.BytesIO()))


LOST = [lambda: None, closed, closed_file, detached]
LEAST = [OnlyWrite, WriteAndFlush, io.StringIO]


@pytest.mark.parametrize("make", [*LOST, *LEAST], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (WRONG, 1), (["-x"], 2), (["data", "info", "--data", "digits"], 0)]
)
def test_streams_of_every_kind(arguments, code, name, make, monkeypatch):
    stream, other = make(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", other)
    monkeypatch.setattr(sys, "stderr", other)
    monkeypatch.setattr(sys, name, stream)
    assert call(arguments) == code
    assert getattr(sys, name) is stream
    shown = (name == "stdout") == (code == 0)
    if make in LEAST:
        text = stream.getvalue() if isinstance(stream, io.StringIO) else stream.written
        assert bool(text) == shown
    assert bool(other.getvalue()) == (not shown)


@pytest.mark.parametrize("make", [Failing, to_read])
def test_streams_that_fail(make, monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", make())
    monkeypatch.setattr(sys, "stderr", errors)
    assert call(["--version"]) == 1
    assert errors.getvalue().startswith("error: standard output cannot be written: ")
    assert "None" not in errors.getvalue()
    monkeypatch.setattr(sys, "stdout", errors)
    monkeypatch.setattr(sys, "stderr", make())
    assert call(WRONG) == 1
    assert call(["--version"]) == 0


def test_training_runs_with_the_least_streams(tmp_path, idx_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", OnlyWrite())
    monkeypatch.setattr(sys, "stderr", OnlyWrite())
    assert call(["train", "--data", str(idx_folder), "--epochs", "2"]) == 0
    assert "test accuracy" in sys.stdout.written
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
def test_what_a_stream_cannot_show_is_escaped_and_its_settings_are_left(encoding, monkeypatch):
    class Picky(OnlyWrite):
        def write(self, text):
            text.encode("ascii")
            super().write(text)

    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") if encoding else Picky()
    monkeypatch.setattr(sys, "stderr", stream)
    assert call(["train", "--data", "é中\udcff"]) == 1
    shown = stream.buffer.getvalue().decode(encoding) if encoding else stream.written
    assert {"utf-8": "é中", "latin-1": "é\\u4e2d"}.get(encoding, "\\xe9\\u4e2d") in shown
    assert getattr(stream, "errors", "strict") == "strict"


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_calls_that_overlap_put_the_streams_back_in_whatever_order_they_end(order, monkeypatch):
    ours = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", ours[0])
    monkeypatch.setattr(sys, "stderr", ours[1])
    blocks = [streams.prepared() for _ in range(3)]
    for block in blocks:
        block.__enter__()
    for number in order:
        assert isinstance(sys.stderr, streams.Borrowed)
        blocks[number].__exit__(None, None, None)
    assert (sys.stdout, sys.stderr) == ours


@pytest.mark.parametrize("order", [*itertools.permutations(["first", "second", "own"])], ids="-".join)
def test_a_stream_that_it_redirects_meanwhile_is_put_back_too(order, monkeypatch):
    ours, other = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", ours)
    blocks = {"first": streams.prepared(), "own": contextlib.redirect_stdout(other), "second": streams.prepared()}
    for block in blocks.values():
        block.__enter__()
    print("redirected")
    for name in order:
        blocks[name].__exit__(None, None, None)
    assert other.getvalue() == "redirected\n"
    if order[-1] == "own":  # it puts back what it found
        print("goes on")
        assert ours.getvalue() == "goes on\n"
        with streams.prepared():
            pass
    assert sys.stdout is ours


def test_calls_in_threads_leave_the_streams_as_they_were(monkeypatch):
    ours = io.TextIOWrapper(io.BytesIO(), "ascii", "strict"), io.TextIOWrapper(io.BytesIO(), "ascii", "strict")
    monkeypatch.setattr(sys, "stdout", ours[0])
    monkeypatch.setattr(sys, "stderr", ours[1])
    codes = []

    def work(arguments):
        try:
            main(arguments)
        except SystemExit as end:
            codes.append(end.code)

    jobs = [["gradcheck", "--json"], ["data", "info", "--data", "digits"], WRONG, ["--version"]] * 3
    threads = [threading.Thread(target=work, args=(each,)) for each in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0] * 9 + [1] * 3
    assert (sys.stdout, sys.stderr) == ours
    assert [stream.errors for stream in ours] == ["strict", "strict"]


LEFT = """
import contextlib, io, json, os, random, sys
import fnnet.cli
before = dict(os.environ), random.getstate()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    fnnet.cli.main(sys.argv[1:])
after = dict(os.environ), random.getstate()
print(json.dumps([name for name in {*before[0], *after[0]} if before[0].get(name) != after[0].get(name)]))
print("the same" if before[1] == after[1] else "other numbers", "rich" in sys.modules)
"""


@pytest.mark.parametrize("more", [["--plot", "curves.svg"], ["--json"], ["--quiet"]], ids=" ".join)
def test_training_leaves_the_environment_and_the_random_numbers(more, tmp_path, idx_folder):
    command = ["train", "--data", str(idx_folder), "--epochs", "2", *more]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("KMP_DUPLICATE_LIB_OK", None)
    for value in (None, "False"):
        env |= {"KMP_DUPLICATE_LIB_OK": value} if value else {}
        done = subprocess.run(
            [sys.executable, "-c", LEFT, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        changed, numbers = done.stdout.splitlines()
        assert json.loads(changed) == []
        assert numbers.startswith("the same")
        assert numbers.endswith(str(more[0] != "--quiet"))  # else nothing is tested
