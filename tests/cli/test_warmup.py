"""`fnnet warmup`."""

import contextlib
import os
import shutil
import threading
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
    for place in (os, Path):
        monkeypatch.setattr(place, "chmod", lambda path, mode: pytest.fail("changed what belongs to another"))
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


@pytest.fixture
def codes(numba_kernels, monkeypatch):
    """The code of each part, from which it is compiled at once."""
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", lambda parts, dtype, on_part: {part: codes[part] for part in parts})
    return codes


def test_calls_that_overlap_keep_the_kernels_each_in_its_folder(run, tmp_path, codes, monkeypatch):
    from fnnet import cli

    places = [None, *(tmp_path / name for name in "abc")]
    own = tmp_path / "own"
    monkeypatch.setenv("FNNET_CACHE", str(own))
    together, ends = threading.Barrier(len(places)), []
    monkeypatch.setattr(library._lock, "held", contextlib.nullcontext)
    compile_now = library._compile

    def compile_together(*given):
        together.wait(60)  # all have begun, and none has kept anything
        return compile_now(*given)

    monkeypatch.setattr(library, "_compile", compile_together)

    def work(place):
        try:
            cli.main(["warmup", "-q", *(["--to", str(place)] if place else [])])
        except SystemExit as end:
            ends.append((place, end.code, os.environ["FNNET_CACHE"]))

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(place, 0, str(own)) for place in places} == {*ends}
    for place in places:
        assert len(cache.files(place or own)) == len(library.PARTS)


def as_text(place):
    """A file's kind, mode and content."""
    found = place.lstat()
    return found.st_mode, place.read_bytes() if place.is_file() else None


def symbolic(inside, outside):
    inside.symlink_to(outside)


def hard(inside, outside):
    os.link(outside, inside)


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX")
@pytest.mark.parametrize("link", [symbolic, hard])
@pytest.mark.parametrize("kept", ["the code", "another content"])
@pytest.mark.parametrize("current", [True, False])
def test_what_a_link_of_its_names_leads_to_is_left_alone(link, kept, current, run, tmp_path, codes):
    folder, outside = tmp_path / "kernels", tmp_path / "outside"
    run("warmup", "--to", folder)
    place = cache.place("infer", "float32", folder)
    shutil.copy(place, outside)
    if kept != "the code":
        outside.write_bytes(b"secret")
    outside.chmod(0o600)
    if not current:
        place = place.with_name(f"infer-float32-{'0' * 32}.o")
    place.unlink(missing_ok=True)
    link(place, outside)
    before = as_text(outside)
    assert run("warmup", "--to", folder).code == 0
    assert as_text(outside) == before
    for part in library.PARTS:
        file = cache.place(part, "float32", folder)
        assert cache.read(file) == codes[part]
        assert not file.is_symlink()
        assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_what_is_code_of_now_is_opened_to_read(run, tmp_path, codes):
    """A file may have the name that code had once, and other content."""
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o700)
    other = folder / f"train-float64-{'0' * 32}.o"
    other.write_bytes(b"secret")
    other.chmod(0o600)
    assert run("warmup", "--to", folder).code == 0
    assert as_text(other) == (0o100600, b"secret")


@pytest.mark.parametrize(
    "command",
    ["warmup --to kernels", "train --epochs 1 --jit --run-dir run --plot curves.svg", "gradcheck", "-h"],
)
def test_no_command_changes_the_environment_at_any_time(command, run, idx_folder, codes, monkeypatch):
    """Other threads, and the processes that they start, would see it."""
    import threadpoolctl  # noqa: F401 - it does, when it is imported

    words = command.split()
    words += ["--data", str(idx_folder)] if words[0] == "train" else []
    monkeypatch.delenv("FNNET_CACHE")
    for name in ("__setitem__", "__delitem__"):
        monkeypatch.setattr(type(os.environ), name, lambda *given: pytest.fail(f"changed {given[1]}"))
    code = run(*words).code
    monkeypatch.undo()
    assert code == 0


@pytest.fixture(params=[0o077, 0o027, 0o022, 0o002])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_every_user_reaches_what_is_kept_for_others(umask, run, tmp_path, codes):
    """The folders that it makes are open; one that was there keeps its mode."""
    top = tmp_path / "there"
    top.mkdir()
    top.chmod(0o710)
    assert run("warmup", "--to", top / "a" / "b" / "c").code == 0
    assert mode(top) == 0o710
    assert [mode(top / each) for each in ("a", "a/b", "a/b/c")] == [0o755] * 3
    run("warmup", "--to", top / "d")
    assert mode(top / "d") == 0o755


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("how", ["warmup", "train"])
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_what_is_written_anew_is_for_whom_the_folder_is(
    how, folder_mode, file_mode, umask, run, tmp_path, codes, idx_folder, monkeypatch
):
    """In a cache that was handed over, and in a private one."""
    folder = tmp_path / "kernels"
    run("warmup", "--to", folder)
    folder.chmod(folder_mode)
    place = cache.place("products", "float32", folder)
    monkeypatch.setenv("FNNET_CACHE", str(folder))
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"damaged")):
        spoil(place)
        monkeypatch.setattr(library, "_libraries", {})
        words = ["train", "--jit", "--epochs", 1, "--data", idx_folder] if how == "train" else ["warmup"]
        assert run(*words).code == 0
        assert cache.read(place) == codes["products"]
        assert mode(place) == file_mode
    assert mode(folder) == folder_mode
