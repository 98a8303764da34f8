"""Files of the formats that need a child process are read by one for all tests: starting it takes 0.3 s."""

import pytest

from fnnet.data import child


@pytest.fixture(scope="session", autouse=True)
def _kept_child():
    with child.kept():
        yield


@pytest.fixture
def inside(monkeypatch):
    """Read every format in this process, where branches are counted."""
    monkeypatch.setattr(child, "inside", True)
