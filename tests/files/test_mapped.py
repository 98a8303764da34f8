"""Files that processes of one machine map: memory that they share."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from fnnet.errors import FnnetError
from fnnet.files import mapped


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_is_written_is_read_even_when_the_file_is_gone(folder):
    path = mapped.make(10_000)
    with mapped.written(path) as view:
        view[:3], view[-1:] = b"abc", b"z"
    found = mapped.read(path)
    mapped.drop(path)
    assert [*folder.iterdir()] == []
    assert (len(found), found[:4].tobytes(), found[-1:].tobytes()) == (10_000, b"abc\0", b"z")
    assert found.readonly
    with pytest.raises(TypeError, match="read-only"):
        found[0] = 1


@pytest.mark.parametrize("made", [True, False])
def test_a_full_disk_is_named_before_anything_is_written(made, folder, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "posix_fallocate") if made else (tempfile, "mkstemp")), full)
    with pytest.raises(FnnetError) as caught:
        mapped.make(5 * 2**20)
    expected = "expected 5 MiB free for data that processes share, found No space left on device"
    assert str(caught.value) == f"{folder}: disk is too full; {expected}; free some of it, or set TMPDIR"
    assert [*folder.iterdir()] == []


def test_what_is_gone_may_be_dropped_again():
    mapped.drop(mapped.make(1))
    mapped.drop("")
    assert not Path("").is_file()


@pytest.mark.skipif(not mapped.CAN_SHARE, reason="needs memfd_create and /proc")
def test_memory_is_shared_while_it_is_mapped():
    handle, name = mapped.make_memory(5000)
    one, other = (mapped.memory(os.getpid(), handle, name, 5000) for _ in range(2))
    with pytest.raises(OSError, match="other memory"):
        mapped.memory(os.getpid(), handle, mapped.make_memory(1)[1], 5000)
    os.close(handle)
    one[4999] = 7
    assert (len(other), other[4999], other[0]) == (5000, 7, 0)
    other[0] = 9
    assert one[0] == 9
