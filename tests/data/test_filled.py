"""Arrays filled from files by several threads: the same bytes as by one, whatever the system grants."""

import os
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fnnet.data import filled

CONTENT = np.random.default_rng(0).integers(0, 256, 4000, np.uint8)
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def in_pieces(monkeypatch):
    monkeypatch.setattr(filled, "SHARE", 100)
    monkeypatch.setattr(filled, "available_threads", lambda: 3)


def fill(path, size, stored=None):
    path.write_bytes(CONTENT[: size if stored is None else stored].tobytes())
    payload = np.zeros(size, np.uint8)
    with open(path, "rb") as file:
        file.read(7)
        return filled.fill(file, payload), payload


@few
@given(st.integers(1, 4000), st.integers(0, 4000))
def test_every_byte_lies_where_it_lies_in_the_file(tmp_path, in_pieces, size, stored):
    count, payload = fill(tmp_path / "a", size, min(stored, size))
    assert count == min(stored, size)
    np.testing.assert_array_equal(payload[:count], CONTENT[:count])


@pytest.mark.parametrize("granted", [0, 1])
def test_where_no_more_threads_are_granted_this_one_reads_their_parts(tmp_path, in_pieces, granted, monkeypatch):
    start, left = threading.Thread.start, [granted]

    def refused(thread):
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    count, payload = fill(tmp_path / "a", 4000)
    assert count == 4000
    np.testing.assert_array_equal(payload, CONTENT)


def test_systems_without_reads_at_a_place_have_one_thread(tmp_path, in_pieces, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    monkeypatch.setattr(threading.Thread, "start", None)
    np.testing.assert_array_equal(fill(tmp_path / "a", 4000)[1], CONTENT)


def test_an_error_of_any_thread_is_raised(tmp_path, in_pieces, monkeypatch):
    read = os.preadv

    def fails(descriptor, into, at):
        if at >= 2500:
            raise OSError(5, "Input/output error")
        return read(descriptor, into, at)

    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(OSError, match="Input/output"):
        fill(tmp_path / "a", 4000)
