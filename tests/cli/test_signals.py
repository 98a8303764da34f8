"""Signals: the first is noted, the second handled as before; none is lost."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from fnnet.cli import signals
from fnnet.cli.signals import STOPPED, Interrupts, code_of
from tests.conftest import ROOT, start


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
        assert (interrupts.received, interrupts.word) == (None, "")
        signal.raise_signal(number)
        assert (interrupts.received, handlers) == (number, [])
        assert (interrupts.word, code_of(interrupts.word)) == STOPPED[name]
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
    signals._outside.clear()


def import_and_wait():
    import swallows  # noqa: F401

    time.sleep(10)


def arrive_before():
    pytest.fail("began its work")


def lose_and_begin():
    with contextlib.suppress(signals.Stopped):
        signal.raise_signal(signal.SIGTERM)
    with Interrupts():
        pytest.fail("began its work")


@pytest.mark.parametrize("work", [import_and_wait, lose_and_begin, arrive_before])
def test_f56_a_signal_that_is_lost_ends_the_command_a_little_later(work, installed):
    if work is arrive_before:
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(signals.Stopped, match="SIGTERM"):
        signals.stoppable(work)


def test_a_signal_that_comes_while_no_thread_can_be_started_ends_the_command(installed, monkeypatch):
    def start(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", start)
    with pytest.raises(signals.Stopped, match="SIGTERM"):
        signals.stoppable(lambda: import_and_begin())


def import_and_begin():
    import swallows  # noqa: F401

    signals.check()


def test_a_command_in_another_thread_is_not_stopped(handlers):
    """Signals are for the command of the main thread, which alone can handle them."""
    found = []

    def work():
        with signals.installed():
            found.append(signals.stoppable(lambda: signals.check() or 0))

    with signals.installed():
        with contextlib.suppress(signals.Stopped):
            signals.stoppable(lambda: signal.raise_signal(signal.SIGTERM))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with pytest.raises(signals.Stopped, match="SIGTERM"):
            signals.stoppable(lambda: 0)
    assert found == [0]


def test_a_signal_after_the_work_goes_to_the_handler_from_before(handlers):
    with signals.installed():
        assert signals.stoppable(lambda: 7) == 7
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert handlers == []
    assert handlers == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handlers_that_raise_while_others_are_put_back(number, handlers, monkeypatch):
    """All are put back, and what the host's handler raises comes out."""

    def fail(number, frame):
        raise KeyboardInterrupt

    signal.signal(number, fail)
    before = {each: signal.getsignal(each) for each in signals._heeded()}
    real, sent = signal.signal, []

    def set_and_send(which, handler):
        found = real(which, handler)
        if which == number and handler is fail and len(sent) < 3:
            sent.append(which)
            signal.raise_signal(number)
        return found

    with pytest.raises(KeyboardInterrupt), signals.installed():
        monkeypatch.setattr("fnnet.cli.signals.signal.signal", set_and_send)
    monkeypatch.undo()
    assert {each: signal.getsignal(each) for each in signals._heeded()} == before


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


# Of a whole process.


HOST = """
import os, signal, sys, threading, time
import fnnet.cli
got = []
def mine(number, frame):
    got.append(signal.Signals(number).name)
names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1") if hasattr(signal, name)]
for name in names:
    signal.signal(getattr(signal, name), mine)
"""

TIMER = (
    HOST
    + """
began = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 30)
class Sender:
    def find_spec(self, name, *more):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Sender())
try:
    fnnet.cli.main(sys.argv[2:])
except SystemExit as end:
    print("ended", end.code)
left = signal.getitimer(signal.ITIMER_REAL)[0]
print("timer", abs(left + time.monotonic() - began - 30) < 1)
print("handlers", all(signal.getsignal(getattr(signal, name)) is mine for name in names), got)
"""
)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.parametrize("module", ["click", "fnnet.cli.train", "fnnet.training.session"])
def test_a_signal_in_an_import_leaves_the_timer_of_a_program_that_calls(module, idx_folder, tmp_path):
    command = [sys.executable, "-c", TIMER, module, "train", "--data", str(idx_folder), "--epochs", "10000000"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-3:] == ["ended 143", "timer True", "handlers True []"]


IMPORTED = """
import fnnet.cli, sys
try:
    fnnet.cli.main(sys.argv[1:])
except SystemExit as end:
    print("ended", end.code, flush=True)
"""


def test_a_module_that_calls_it_while_it_is_imported_can_be_interrupted(idx_folder, tmp_path):
    (tmp_path / "calls.py").write_text(IMPORTED)
    words = ["lr-find", "--data", str(idx_folder), "--steps", "1000000", "--low", "1e-30", "--high", "1e-29"]
    command = [sys.executable, "-c", "import calls", *words]
    with start(command, tmp_path, {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}) as process:
        assert process.stdout.readline().startswith("data: ")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert out.splitlines()[-1] == "ended 130"


STRESS = (
    HOST
    + """
import collections, random
import fnnet.cli.program
ours = sys.stdout, sys.stderr = open(os.devnull, "w"), open(os.devnull, "w")
ends, busy = collections.Counter(), True
def send():
    while busy:
        time.sleep(random.uniform(0.0002, 0.004))
        os.kill(os.getpid(), random.choice([signal.SIGINT, signal.SIGTERM]))
thread = threading.Thread(target=send)
thread.start()
until = time.monotonic() + 2
while time.monotonic() < until:
    try:
        fnnet.cli.main(["--version"])
    except SystemExit as end:
        ends[str(end.code)] += 1
    except BaseException as error:
        ends[repr(error)] += 1
    for name in names:
        ends["handler lost"] += signal.getsignal(getattr(signal, name)) is not mine
    ends["stream lost"] += (sys.stdout, sys.stderr) != ours
busy = False
thread.join()
print(*(key for key, count in sorted(ends.items()) if count), file=sys.__stdout__)
"""
)


EVERYWHERE = (
    HOST
    + """
import collections, contextlib
import fnnet.cli.program
from fnnet.cli import signals, streams
ours = sys.stdout, sys.stderr = open(os.devnull, "w"), open(os.devnull, "w")
files = {each.__file__ for each in (fnnet.cli, signals, streams, contextlib)}
ends = collections.Counter()
place = events = 0
def trace(frame, event, argument):
    global events
    if frame.f_code.co_filename not in files:
        return None
    events += 1
    if events == place:
        signal.raise_signal(signal.SIGTERM)
    return trace
while events >= place:
    place, events = place + 1, 0
    try:
        sys.settrace(trace)
        fnnet.cli.main(["--version"])
    except SystemExit as end:
        sys.settrace(None)
        code = str(end.code)
    except BaseException as error:
        sys.settrace(None)
        code = repr(error)
    ends[code] += 1
    ends["lost"] += events >= place and (code == "143") == bool(got)
    ends["handler lost"] += any(signal.getsignal(getattr(signal, name)) is not mine for name in names)
    ends["stream lost"] += (sys.stdout, sys.stderr) != ours
    got.clear()
    if place > 10000:
        break
print(*(key for key, count in sorted(ends.items()) if count), place > 250, file=sys.__stdout__)
"""
)


def test_wherever_a_signal_comes_it_ends_with_an_exit_code_and_puts_all_back(tmp_path):
    """At each line of the modules that install and restore, one after the other. Who began last is told of it."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYWHERE], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["0", "143", "True"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="os.kill ends the process on this system")
def test_whenever_signals_come_it_ends_with_an_exit_code_and_puts_all_back(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STRESS], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["0", "130", "143"]


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
@pytest.mark.parametrize("how", ["--no-jit", "--jit", "compiling"])
def test_f56_signals_end_it_cleanly(number, code, how, idx_folder, tmp_path, numba_kernels):
    """In training, and while the kernels are being compiled, which leaves no compiler behind."""
    if not hasattr(signal, number):
        pytest.skip(f"no {number} on this system")
    jit = "--no-jit" if how == "--no-jit" else "--jit"
    command = [sys.executable, str(ROOT / "cli.py"), "train", jit, "--data", str(idx_folder), "--epochs", "10000000"]
    env = {**os.environ, "FNNET_CACHE": str(tmp_path / "cold")} if how == "compiling" else None
    with start(command, tmp_path, env) as process:
        assert process.stdout.readline().startswith("data: ")
        time.sleep(1.0)
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    word = "interrupted" if code == 130 else "terminated"
    lines = [rf"error: step \d+: {word}; nothing is kept without --run-dir"]
    if how == "compiling":
        lines = ["note: compiling, once on this machine", f"error: {word}"]
    assert re.fullmatch("\n".join(lines), err.strip())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")
def test_f56_nohup_is_respected(idx_folder, tmp_path):
    """A process that is to ignore SIGHUP goes on after it."""
    command = [sys.executable, str(ROOT / "cli.py"), "train", "--data", str(idx_folder), "--epochs", "10000000"]
    with start(command, tmp_path, ignored=[signal.SIGHUP]) as process:
        assert process.stdout.readline().startswith("data: ")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
