"""A signal at any moment of writing a file leaves the file as it was, or whole, and nothing beside it."""

import contextlib
import os
import shutil
import sys

import numpy as np
import pytest

from fnnet.core.state import Examples
from fnnet.data import Dataset
from fnnet.data.convert import convert
from fnnet.files import disk, lock

OLD, NEW = b"old", b"new and longer"


class Came(BaseException):
    """What the handler of a signal raises."""


class SignalAt:
    """Raises `Came` at moment number `at`: CPython runs handlers as a function begins and as one in C returns."""

    def __init__(self, at):
        self.at, self.seen = at, 0

    def __call__(self, frame, event, argument):
        if event in ("call", "c_return") and argument is not sys.setprofile:
            self.seen += 1
            if self.seen == self.at:
                sys.setprofile(None)
                raise Came

    def run(self, function, *arguments):
        """Return True if the signal came."""
        before = sys.getprofile()
        with contextlib.suppress(Came):
            try:
                sys.setprofile(self)
                function(*arguments)
            finally:
                sys.setprofile(before)
        return self.seen >= self.at


def write(path):
    disk.write_file(path, NEW)


def on_folder(path):
    disk.check_folder(path.parent / "of" / "runs")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("function", "allowed"), [(write, {OLD, NEW}), (disk.check_writable, {OLD}), (on_folder, {OLD})]
)
def test_a_signal_at_any_moment_leaves_nothing_behind(function, allowed, tmp_path):
    path, moments = tmp_path / "model", 0
    came = True
    while came:
        path.write_bytes(OLD)
        moments += 1
        came = SignalAt(moments).run(function, path)  # which a generator that ends may keep to itself
        assert [each.name for each in tmp_path.iterdir()] == ["model"], moments
        assert path.read_bytes() in allowed, moments
    assert moments > 20
    assert path.read_bytes() == (NEW if NEW in allowed else OLD)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("replaced", [False, True], ids=["of one that ended", "of one that took it over"])
def test_f61_a_signal_as_a_lock_is_put_aside_leaves_no_other_file(replaced, tmp_path):
    path, moments = tmp_path / lock.NAME, 0
    came = True
    while came:
        path.write_bytes(OLD)
        with open(path, "rb") as seen:
            if replaced:
                (tmp_path / "new").write_bytes(NEW)
                os.replace(tmp_path / "new", path)
            moments += 1
            came = SignalAt(moments).run(lock._put_aside, seen.fileno(), path, disk.DISK)
        there = [each.name for each in tmp_path.iterdir()]
        assert there in ([lock.NAME], []), moments
        if replaced:
            assert path.read_bytes() == NEW, moments
    assert moments > 20
    assert there == [lock.NAME] * replaced


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_as_a_folder_is_converted_leaves_the_folder_or_nothing(tmp_path):
    x, labels = np.arange(8, dtype=np.uint8).reshape(2, 4), np.arange(2)
    dataset = Dataset("a", "a", Examples(x, labels), None, ("a", "b"), (2, 2))
    moments, came = 0, True
    while came:
        moments += 1
        came = SignalAt(moments).run(convert, dataset, tmp_path / "out", "idx")
        there = [each.name for each in tmp_path.iterdir()]
        assert there in (["out"], []), moments
        shutil.rmtree(tmp_path / "out", ignore_errors=came)
    assert moments > 200
    assert there == ["out"]
