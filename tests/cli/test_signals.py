"""Signals: the first is noted, the second handled as before; none is lost."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fnnet.cli import signals
from fnnet.cli.signals import STOPPED, Interrupts
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


# Of a whole process.


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
