"""Threads of a team begin on processors of their own."""

import os
import threading

import pytest

from fnnet.kernels import processors
from fnnet.kernels.processors import Places
from fnnet.threads import Helper

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the system does not say where threads run"
)


@pytest.fixture
def moves(monkeypatch):
    """Three processors, on which threads run as the list says; returns it and the masks that are set."""
    running, masks = [], []
    monkeypatch.setattr(processors, "_own_processor", lambda: running.pop(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, mask: masks.append(mask))
    return running, masks


def test_threads_on_different_processors_stay(moves):
    running, masks = moves
    running[:] = [1, 0]
    places = Places()
    places.take(), places.take()
    assert masks == []


def test_a_thread_on_a_processor_that_is_taken_moves_and_may_run_everywhere_afterwards(moves):
    running, masks = moves
    running[:] = [0, 0, 0]
    places = Places()
    places.take(), places.take(), places.take()
    assert masks == [{1}, {0, 1, 2}, {2}, {0, 1, 2}]


def test_more_threads_than_processors_and_a_system_that_does_not_say_where_change_nothing(moves):
    running, masks = moves
    running[:] = [0, 1, 2, 1, -1]
    places = Places()
    for _ in range(5):
        places.take()
    assert masks == []


def test_a_sandbox_that_forbids_it_is_no_error(moves, monkeypatch):
    def forbidden(_, mask):
        raise PermissionError(1, "Operation not permitted")

    running, _ = moves
    running[:] = [0, 0]
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    places = Places()
    places.take(), places.take()


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: ())(0)) < 2, reason="one processor")
def test_a_thread_that_was_put_beside_another_leaves_its_processor():
    places, allowed, found, done = Places(), os.sched_getaffinity(0), [], threading.Event()

    def beside():
        (taken,) = places._taken
        os.sched_setaffinity(0, {taken})
        os.sched_setaffinity(0, allowed)
        before = processors._own_processor()
        places.take()
        found.extend([before == taken, len(places._taken), os.sched_getaffinity(0)])
        done.set()

    places.take()
    helper = Helper()
    helper.begin(beside)
    assert done.wait(10)
    helper.wait()
    assert found[1:] == [2, allowed]
