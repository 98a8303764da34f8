"""A program that calls the command line keeps its streams, descriptors, environment and random numbers."""

import contextlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import threading

import pytest

from fnnet.cli import main, streams
from tests.conftest import ROOT

WRONG = ["train", "--data", "nowhere"]
CHECK = ["gradcheck", "--sizes", "4,3,2"]
INFO = ["data", "info", "--data", "digits"]


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
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], WRONG, CHECK])
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
    ("arguments", "code"),
    [(["--version"], 0), (["train", "-h"], 0), (WRONG, 1), (["-x"], 2), (CHECK, 0), (INFO, 0), (["data"], 0)],
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


def raising(error):
    def raise_it(*given):
        raise error

    return raise_it


class Least(OnlyWrite):
    """All that `print` asks of a stream, and what programs leave out of it."""

    flush, closed, encoding, errors = None, False, None, None

    def isatty(self):
        return False


def like(name, **attributes):
    """A kind of stream that differs from `Least` in these attributes, functions among them."""
    wrapped = {key: staticmethod(value) if callable(value) else value for key, value in attributes.items()}
    return type(name, (Least,), wrapped)


BROKEN = {
    type(error).__name__: error
    for error in (
        RuntimeError("the window is closed"), TypeError("x"), AttributeError("x"), KeyError("x"), EOFError(),
        MemoryError(), StopIteration(), ValueError("x"), OSError(28, "No space left on device"), LookupError("x"),
    )
}  # fmt: skip
FAIL = [
    *(like(f"write raises {name}", write=raising(error)) for name, error in BROKEN.items()),
    *(like(f"flush raises {name}", flush=raising(error)) for name, error in BROKEN.items()),
    type("no attributes", (), {"__getattr__": raising(RuntimeError("the proxy is dead"))}),
    io.BytesIO,
]
SHOW = [
    Least,
    like("isatty true", isatty=True),
    like("isatty false", isatty=False),
    like("isatty none", isatty=None),
    like("isatty raises", isatty=raising(RuntimeError("x"))),
    like("closed is a method", closed=lambda: False),
    like("unknown encoding", encoding="no such encoding"),
    like("number for an encoding", encoding=3),
    type("encoding raises", (Least,), {"encoding": property(raising(RuntimeError("x")))}),
]
IGNORE = [like("write is none", write=None), object, int, str, like("closed for good", closed=True)]


@pytest.mark.parametrize("make", [*FAIL, *SHOW, *IGNORE], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (WRONG, 1), (["-x"], 2), (CHECK, 0), (INFO, 0), (["data"], 0)]
)
def test_whatever_a_stream_lacks_or_raises_it_is_as_one_that_is_full(arguments, code, name, make, monkeypatch):
    """Standard error changes no exit code; without standard output, results are lost, and that is an error."""
    stream, other = make(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", other)
    monkeypatch.setattr(sys, "stderr", other)
    monkeypatch.setattr(sys, name, stream)
    fails = name == "stdout" and make in FAIL and not code
    assert call(arguments) == (1 if fails else code)
    assert getattr(sys, name) is stream
    if fails:
        assert other.getvalue().startswith("error: standard output cannot be written: ")
        assert other.getvalue().count("\n") == 1
    elif make in SHOW:
        assert bool(stream.written) == ((name == "stdout") == (not code))


@pytest.mark.parametrize("make", FAIL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("bar", [False, True])
def test_no_model_is_lost_with_standard_error(make, bar, tmp_path, idx_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if bar:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", make())
    assert call(["train", "--data", str(idx_folder), "--epochs", "2", "--batch-size", "50"]) == 0
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("errors", [io.StringIO, lambda: None])
def test_a_pipe_that_breaks_ends_a_command_and_leaves_the_streams(errors, monkeypatch):
    """click and rich would replace or close standard output."""
    streams = (
        like("pipe", write=raising(BrokenPipeError(32, "Broken pipe")), fileno=raising(AssertionError))(),
        errors(),
    )
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    for arguments in (["--version"], CHECK):
        assert call(arguments) == 1
        assert (sys.stdout, sys.stderr) == streams
    assert not (streams[1] and streams[1].getvalue())


class Seen(io.StringIO):
    """Text, and what the program's streams are while it is written."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def write(self, text):
        self.seen.append((sys.stdout, sys.stderr))
        return super().write(text)

    def isatty(self):
        return True


@pytest.mark.parametrize("command", ["--help", "--version", "-x", " ".join(CHECK), "train --epochs 2 --batch-size 9"])
def test_streams_are_the_programs_own_at_every_time(command, tmp_path, idx_folder, monkeypatch):
    """With bars on a terminal, too: rich would replace them for these."""
    monkeypatch.chdir(tmp_path)
    seen = []
    ours = Seen(seen), Seen(seen)
    monkeypatch.setattr(sys, "stdout", ours[0])
    monkeypatch.setattr(sys, "stderr", ours[1])
    words = command.split()
    call([*words, "--data", str(idx_folder)] if words[0] == "train" else words)
    assert seen
    assert set(seen) == {ours}
    assert "█" in ours[1].getvalue() or "━" in ours[1].getvalue() or words[0] != "train"


def test_a_note_is_printed_above_a_bar(monkeypatch):
    from fnnet.cli.bars import progress_bar

    terminal = Seen([])
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with streams.prepared():
        with progress_bar(3, 50, True):
            streams.print_aside("note", "[bold] of a run in 12 places :smile:")
        streams.print_aside("note", "after")
    assert "note: [bold] of a run in 12 places :smile:\n" in terminal.getvalue()
    assert terminal.getvalue().endswith("note: after\n")


def test_a_bar_over_members_says_which(monkeypatch):
    """It is as long as all of them together."""
    from fnnet.cli.bars import progress_bar
    from fnnet.core.state import Progress

    terminal = Seen([])
    monkeypatch.setattr(sys, "stderr", terminal)
    with streams.prepared(), progress_bar(4, 50, True, 3) as show:
        show(Progress(2, 25, 50.0, 20, lambda: None, member=3))
        streams.print_aside("note", "in it")
    assert "member 3/3 epoch 2/4" in terminal.getvalue()


ORDERS = [
    order for order in itertools.permutations(["main", "own", "end main", "end own"])
    if order.index("main") < order.index("end main") and order.index("own") < order.index("end own")
]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_streams_redirected_from_another_thread_are_as_the_program_wants_them(order, name, monkeypatch):
    """A command writes where the program wanted it when it called."""
    first, other = io.StringIO(), io.StringIO()
    for each in ("stdout", "stderr"):
        monkeypatch.setattr(sys, each, first)
    redirect = {"stdout": contextlib.redirect_stdout, "stderr": contextlib.redirect_stderr}[name](other)
    begun, go_on, codes = threading.Event(), threading.Event(), []

    def slow(*given, **options):
        begun.set()
        assert go_on.wait(60)
        raise RuntimeError("the end")

    monkeypatch.setattr("fnnet.core.gradcheck.check_gradients", slow)
    thread = threading.Thread(target=lambda: codes.append(call(CHECK)))
    for step in order:
        if step == "main":
            thread.start()
            assert begun.wait(60)
        elif step == "end main":
            go_on.set()
            thread.join()
        else:
            (redirect.__enter__ if step == "own" else lambda: redirect.__exit__(None, None, None))()
        inside = order.index("own") <= order.index(step) < order.index("end own")
        assert getattr(sys, name) is (other if inside else first)
    inside = order.index("own") < order.index("main") < order.index("end own") and name == "stderr"
    assert "the end" in (other if inside else first).getvalue()
    assert codes == [1]


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

    jobs = [["gradcheck", "--json"], CHECK, WRONG, ["--version"]] * 3
    threads = [threading.Thread(target=work, args=(each,)) for each in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0] * 9 + [1] * 3
    assert (sys.stdout, sys.stderr) == ours
    assert [stream.errors for stream in ours] == ["strict", "strict"]


AT_ONCE = """
import io, json, os, sys, threading, warnings
warnings.simplefilter("error")
from fnnet.cli import main, program
sys.setswitchinterval(1e-6)
codes = []

def work():
    try:
        main(["gradcheck", "--sizes", "4,3,2"])
    except SystemExit as end:
        codes.append(end.code)

out, sys.stdout = sys.stdout, io.StringIO()
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(codes, [len({*each.opts}) for each in program.cli.commands["gradcheck"].params].count(2), file=out)
"""


def test_commands_that_are_imported_by_several_threads_have_one_help_each(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", AT_ONCE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{[0] * 16} 1\n"
    assert not done.stderr


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


def test_every_command_prints_where_the_program_wants_it():
    """`print` and `click.echo` look at `sys.stdout`, which is not replaced."""
    for path in (ROOT / "fnnet" / "cli").glob("*.py"):
        words = path.read_text()
        if path.name != "streams.py":
            assert not re.search(r"click\.s?echo|(?m:^ *print\()|sys\.std(out|err)\.", words), path
