"""`fnnet warmup`."""

import os

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
    run("warmup").failed(1, tmp_path / "file", "cannot be kept", "set FNNET_CACHE")


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
