"""`fnnet warmup`."""

import os

from fnnet.kernels import cache, library


def test_f58_warmup(run, tmp_path, numba_kernels, monkeypatch):
    document = run("warmup", "--json").json
    assert list(document) == ["cache", "compile_seconds"]
    assert document["cache"] == os.environ["FNNET_CACHE"]
    assert document["compile_seconds"] < 5
    assert run("warmup").out.startswith(f"compiled kernels ready in {document['cache']}")
    codes = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", lambda parts, dtype: {part: codes[part] for part in parts})
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "file"))
    run("warmup").failed(1, tmp_path / "file", "cannot be kept", "set FNNET_CACHE")
