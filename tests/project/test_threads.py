"""Independent tasks on several threads: results in order, the first error, fewer threads than asked for."""

import threading

import pytest

from fnnet.threads import run_each


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
