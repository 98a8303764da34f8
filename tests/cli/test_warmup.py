"""`fnnet warmup`."""

import os
import shutil
from pathlib import Path

import pytest

from fnnet.kernels import cache, library


def test_f58_warmup(run, tmp_path, numba_kernels, monkeypatch):
    document = run("warmup", "--json").json
    assert list(document) == ["cache", "compile_seconds"]
    assert document["cache"] == os.environ["FNNET_CACHE"]
    assert document["compile_seconds"] < 5
    assert run("warmup").out.startswith(f"compiled kernels ready in {document['cache']}")
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", lambda parts, dtype, on_part: {part: codes[part] for part in parts})
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "file"))
    run("warmup").failed(1, tmp_path / "file", "cannot be made", "set FNNET_CACHE")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_warmup_for_others(run, tmp_path, numba_kernels, monkeypatch):
    """A folder that others may read, and only its owner write."""
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", lambda parts, dtype, on_part: {part: codes[part] for part in parts})
    folder, before = tmp_path / "kernels", os.environ["FNNET_CACHE"]
    assert run("warmup", "--to", folder, "--json").json["cache"] == str(folder)
    assert os.environ["FNNET_CACHE"] == before
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    assert len(list(folder.iterdir())) == len(library.PARTS)
    monkeypatch.setenv("FNNET_CACHE", str(folder))
    assert all(cache.read(cache.place(part, "float32")) == code for part, code in codes.items())


def no_compiling(parts, dtype, on_part):
    pytest.fail("compiled what cannot be kept")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that nobody can write")
@pytest.mark.parametrize("place", ["file", "file/inside", "/proc/self/inside"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(place, run, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", no_compiling)
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "empty"))
    (tmp_path / "file").write_bytes(b"")
    run("warmup", "--to", tmp_path / place).failed(
        1, os.path.realpath(tmp_path / place), "cannot be ", "name a folder", "with --to"
    )
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / place))
    run("warmup").failed(1, os.path.realpath(tmp_path / place), "cannot be ", "set FNNET_CACHE to a folder")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_what_is_open_already_is_left_to_its_owner(run, tmp_path, numba_kernels, monkeypatch):
    folder = shutil.copytree(os.environ["FNNET_CACHE"], tmp_path / "kernels")
    run("warmup", "--to", folder)
    monkeypatch.setattr(Path, "chmod", lambda path, mode: pytest.fail("changed what belongs to another"))
    monkeypatch.setattr(library, "_libraries", {})
    assert run("warmup", "--to", folder).code == 0


def test_a_folder_with_other_files_is_left_alone(run, tmp_path):
    """Every user could then read what is in it."""
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    for number in range(60):
        (folder / f"mine{number}.o").write_bytes(b"1")
    run("warmup", "--to", folder).failed(1, folder, "holds other files", "mine0.o", "new folder")
    assert len(list(folder.iterdir())) == 60
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_process_that_has_loaded_kernels_keeps_them_where_it_is_told(run, tmp_path, numba_kernels, monkeypatch):
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_compile", lambda parts, dtype, on_part: {part: codes[part] for part in parts})
    library.load_parts(list(library.PARTS), "float32")
    for way in ("--to", "FNNET_CACHE"):
        folder = tmp_path / way
        if way == "--to":
            run("warmup", "--to", folder)
        else:
            monkeypatch.setenv(way, str(folder))
            run("warmup")
        assert len(cache.files(folder)) == len(library.PARTS)
