"""Independent tasks on several threads: results in order, the first error, fewer threads than asked for."""

import os
import subprocess
import sys
import threading

import pytest

from fnnet.threads import Lock, beside, run_each
from tests.conftest import ROOT, forked, held_elsewhere


def test_tasks_run_in_order_of_results_and_the_first_error_ends_them():
    assert run_each([lambda n=n: n * n for n in range(20)], 3) == [n * n for n in range(20)]
    begun = []

    def task(number):
        begun.append(number)
        if number == 2:
            raise ValueError("it diverged")

    with pytest.raises(ValueError, match="it diverged"):
        run_each([lambda n=n: task(n) for n in range(1000)], 2)
    assert len(begun) < 1000


def test_without_more_threads_one_does_all(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("fnnet.threads._free", [])
    monkeypatch.setattr("threading.Thread.start", refuse)
    assert run_each([lambda n=n: n for n in range(5)], 4) == list(range(5))


def test_of_two_errors_the_first_in_order_is_raised_whenever_they_come():
    second = threading.Event()

    def first_task():
        assert second.wait(60)
        raise ValueError("first")

    def second_task():
        second.set()
        raise ValueError("second")

    with pytest.raises(ValueError, match="first"):
        run_each([first_task, second_task], 2)


def test_a_signal_goes_before_errors():
    interrupted = threading.Event()

    def fail():
        assert interrupted.wait(60)
        raise ValueError("an error")

    def interrupt():
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_each([fail, interrupt], 2)


@pytest.mark.parametrize("threads", [1, 2, 9])
def test_no_tasks_have_no_results(threads):
    assert run_each([], threads) == []


def test_threads_are_used_again(monkeypatch):
    monkeypatch.setattr("fnnet.threads._free", [])
    both = threading.Barrier(2, timeout=60)

    def name():
        both.wait()
        return threading.current_thread().ident

    first, second = ({*run_each([name, name], 2)} for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_tasks_may_have_tasks_of_their_own():
    def several(depth):
        return sum(run_each([lambda: several(depth - 1)] * 3, 3)) if depth else 1

    assert several(4) == 81


FORKED = """
import os, threading
from fnnet.threads import run_each

def both():
    barrier = threading.Barrier(2, timeout=20)
    return run_each([barrier.wait, barrier.wait], 2)

both()
child = os.fork()
if not child:
    os._exit(len(both()) - 2)
assert os.waitpid(child, 0)[1] == 0
print(len(both()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_has_threads_of_its_own():
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_lock_is_free_in_a_child_of_a_fork_whoever_held_it():
    lock = Lock()

    def take():
        with lock.held(), lock.held():
            pass

    with held_elsewhere(lock):
        assert forked(take, 20)
    with lock.held():  # the thread that forks holds it itself
        assert forked(take, 20)
    take()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_nothing_computes_beside_in_a_child_of_a_fork():
    def look():
        assert beside.count == 0

    with beside.work():
        assert forked(look, 20)
        assert beside.count == 1


def test_a_lock_keeps_others_out():
    lock, seen = Lock(), []

    def enter():
        with lock.held():
            seen.append(1)

    with lock.held():
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.2)
        assert not seen
    thread.join()
    assert seen == [1]


def test_what_a_fork_changes_is_in_one_place():
    found = [path.name for path in (ROOT / "fnnet").rglob("*.py") if "register_at_fork" in path.read_text()]
    assert found == ["threads.py"]
