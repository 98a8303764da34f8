"""A signal at any moment of writing a file leaves the file as it was, or whole, and nothing beside it."""

import contextlib
import sys

import pytest

from fnnet.files import disk

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
