"""What is kept of compiled code: believed only if it proves itself, kept only where nobody else may write."""

import faulthandler
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fnnet
from fnnet import kernels
from fnnet.errors import StorageError
from fnnet.kernels import cache, library, machine
from tests.campaigns import cache as campaign
from tests.conftest import ROOT, forked, held_elsewhere

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def fresh(monkeypatch, tmp_path, numba_kernels):
    """A process that has loaded nothing, an empty cache, and a compiler that takes no time: it gives what is there."""
    parts = {part: cache.read(cache.place(part, "float32")) for part in library.PARTS}
    assert all(parts.values())
    compiled = []

    def compile_them(names, dtype, on_part):
        compiled.extend(names)
        return {name: parts[name] for name in names}

    monkeypatch.setattr(library, "_libraries", {})
    monkeypatch.setattr(library, "_compile", compile_them)
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "kernels"))
    return compiled


def load_again(monkeypatch, notify=pytest.fail):
    monkeypatch.setattr(library, "_libraries", {})
    table = kernels.load("numba", parts=tuple(library.PARTS), notify=notify)
    x = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(table.affine(x, x.T.copy(), np.zeros(3, np.float32)), np.full((3, 3), 4))


def test_it_is_compiled_once(fresh, monkeypatch):
    load_again(monkeypatch)
    assert sorted(fresh) == sorted(library.PARTS)
    load_again(monkeypatch)
    assert len(fresh) == len(library.PARTS)
    folder = cache.folder()
    assert len(list(folder.iterdir())) == len(library.PARTS)
    if os.name == "posix":
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_not_used_is_not_compiled(fresh, monkeypatch):
    """Predictions need neither training, deformation nor int8; a table's own operations wait for their first use."""
    table = kernels.load("numba", parts=["infer"])
    assert sorted(fresh) == ["infer", "products", "sparse"]
    params, x = fnnet.init((9, 4, 3), 1), np.arange(45, dtype=np.uint8).reshape(5, 9)
    np.testing.assert_allclose(fnnet.scores(params, x, kernels=table), fnnet.scores(params, x), rtol=1e-5, atol=1e-6)
    assert sorted(fresh) == ["infer", "products", "sparse"]
    table.relu(np.ones(3, np.float32))
    assert sorted(fresh) == ["infer", "operations", "products", "sparse"]
    kernels.load("numba")
    assert sorted(set(library.PARTS) - set(fresh)) == ["augment", "clip", "quantised"]
    assert len(fresh) == len(set(fresh)), "each once"


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-1],
    "cut to its head": lambda content: content[:40],
    "longer": lambda content: content + b"\0",
    "one bit in the code": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "one bit in the checksum": lambda content: content[:30] + bytes([content[30] ^ 1]) + content[31:],
    "another's": lambda content: b"\x80\x04K\x01.",
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_f85_a_damaged_file_is_replaced(damage, fresh, monkeypatch):
    load_again(monkeypatch)
    place = cache.place("infer", "float32")
    good = place.read_bytes()
    place.write_bytes(DAMAGE[damage](good))
    fresh.clear()
    load_again(monkeypatch)
    assert fresh == ["infer"]
    assert place.read_bytes() == good


def test_f85_f86_a_file_under_another_name_is_not_believed(fresh, monkeypatch):
    """As after a change of version: the name holds the key, and the checksum the name."""
    load_again(monkeypatch)
    os.replace(cache.place("infer", "float32"), cache.place("train", "float32"))
    fresh.clear()
    load_again(monkeypatch)
    assert sorted(fresh) == ["infer", "train"]


@pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX")
def test_f59_a_file_that_others_may_write_is_replaced(fresh, monkeypatch):
    load_again(monkeypatch)
    place = cache.place("infer", "float32")
    os.chmod(place, 0o777)
    fresh.clear()
    load_again(monkeypatch)
    load_again(monkeypatch)
    assert fresh == ["infer"]
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX")
@pytest.mark.parametrize("whose", ["anybody's", pytest.param("another's", marks=pytest.mark.skipif(
    not AS_ROOT, reason="only root can give a folder away"))])  # fmt: skip
def test_f59_a_folder_that_others_may_write_is_refused_and_it_is_said_once(whose, fresh, monkeypatch):
    load_again(monkeypatch)
    folder = cache.folder()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    os.chmod(folder, 0o777) if whose == "anybody's" else os.chown(folder, 12345, -1)
    fresh.clear()
    said = []
    load_again(monkeypatch, said.append)
    assert sorted(fresh) == sorted(library.PARTS)
    assert len(said) == 1
    found = f"mode 777 of user {os.geteuid()}" if whose == "anybody's" else "mode 700 of user 12345"
    problem = "others may write it" if whose == "anybody's" else "belongs to another user"
    reason = f"{folder}: {problem}; expected a folder of your own, found {found}; set FNNET_CACHE to a folder"
    assert said[0].startswith(f"compiled kernels cannot be kept, each process compiles them again: {reason}")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    kernels.load("numba", notify=pytest.fail)


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a file away")
def test_f59_a_file_of_another_s_is_replaced(fresh, monkeypatch):
    load_again(monkeypatch)
    os.chown(cache.place("infer", "float32"), 12345, -1)
    fresh.clear()
    load_again(monkeypatch)
    assert fresh == ["infer"]


def test_f59_a_link_is_replaced(fresh, monkeypatch, tmp_path):
    load_again(monkeypatch)
    place = cache.place("infer", "float32")
    moved = tmp_path / "elsewhere.o"
    os.replace(place, moved)
    place.symlink_to(moved)
    fresh.clear()
    load_again(monkeypatch)
    load_again(monkeypatch)
    assert fresh == ["infer"]
    assert not place.is_symlink()
    assert moved.exists()


def no_home(monkeypatch):
    """A user whom the system does not know, without HOME."""
    monkeypatch.delenv("FNNET_CACHE")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])


@pytest.mark.skipif(os.name != "posix", reason="homes as POSIX has them")
@pytest.mark.parametrize("place", ["file", "file/x", "no home", "home is a file", "home is relative", "/proc/1/x"])
def test_f58_where_nothing_can_be_kept_it_works_and_is_said(place, fresh, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    if "home" in place:
        no_home(monkeypatch)
        if place != "no home":
            monkeypatch.setenv("HOME", "home" if place == "home is relative" else str(tmp_path / "file"))
    else:
        monkeypatch.setenv("FNNET_CACHE", str(tmp_path / place))
    said = []
    load_again(monkeypatch, said.append)
    load_again(monkeypatch, said.append)
    assert len(fresh) == 2 * len(library.PARTS)
    assert len(said) == 2
    assert all("cannot be kept" in each and "set FNNET_CACHE to a folder" in each for each in said)
    assert os.listdir(tmp_path) == ["file"], "no folder of the name ~ or of a home that is relative"


def test_f58_a_full_disk_is_no_failure(fresh, monkeypatch):
    def full(path, content):
        raise StorageError("cannot be written: No space left on device")

    monkeypatch.setattr(cache, "write_file", full)
    said = []
    load_again(monkeypatch, said.append)
    assert len(fresh) == len(library.PARTS)
    assert len(said) == 1
    assert "No space left" in said[0]


def test_f58_a_linked_folder_serves(fresh, monkeypatch, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "link"))
    load_again(monkeypatch)
    load_again(monkeypatch)
    assert len(fresh) == len(library.PARTS) == len(os.listdir(tmp_path / "real"))


def test_only_the_last_files_are_kept(fresh, monkeypatch):
    folder = cache.folder()
    folder.mkdir(mode=0o700)
    for number in range(60):
        for name in (f"old-float32-{number:032x}.o", f"mine{number}.o", f"{number}.txt"):
            old = folder / name
            old.write_bytes(b"")
            os.utime(old, (number, number))
    load_again(monkeypatch)
    left = {file.name for file in folder.iterdir()}
    theirs = {f"mine{number}.o" for number in range(60)} | {f"{number}.txt" for number in range(60)}
    assert theirs <= left
    left -= theirs
    assert len(left) == cache.KEPT
    assert {cache.place(part, "float32").name for part in library.PARTS} <= left
    assert f"old-float32-{0:032x}.o" not in left


@pytest.mark.skipif(os.name != "posix", reason="modes, links and FIFOs are POSIX")
def test_f85_damaged_caches(numba_kernels, capsys):
    """A share of the campaign's two hundred."""
    assert campaign.run(70) == (70, 0, 0), capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_f85_the_check_of_damaged_caches_can_fail(numba_kernels, monkeypatch):
    """A cache that believes whatever has its head."""

    def credulous(path):
        content = path.read_bytes() if path.is_file() else b""
        return content[len(cache.MAGIC) + 32 :] if content[:22] == cache.MAGIC else None

    monkeypatch.setattr(cache, "read", credulous)
    monkeypatch.setattr(campaign, "RACES", 0)

    def work():
        faulthandler.disable()  # it may well come to run what is no code
        assert campaign.run(20) == (20, 0, 0)

    assert not forked(work)


OTHERS = {
    "numba": lambda patch: patch.setattr(cache, "version", lambda name: "0.0"),
    "python": lambda patch: patch.setattr(cache.sys, "version", "4.0"),
    "processor": lambda patch: patch.setattr(cache, "machine", lambda: machine.machine()._replace(cpu="z80")),
    "its features": lambda patch: patch.setattr(cache, "machine", lambda: machine.machine()._replace(features="+none")),
    "level": lambda patch: patch.setattr(cache, "machine", lambda: machine.machine()._replace(vector_bytes=8)),
}


@pytest.mark.parametrize("what", sorted(OTHERS))
def test_f86_the_key_is_of_versions_and_the_processor(what, monkeypatch):
    before = cache._key()
    OTHERS[what](monkeypatch)
    assert cache._key.__wrapped__() != before
    monkeypatch.undo()
    assert cache._key.__wrapped__() == before


@pytest.mark.parametrize("kept", ["a file", "with what was installed"])
def test_f86_the_key_is_of_the_version_that_is_installed(kept, tmp_path, monkeypatch):
    """Wherever a package keeps its version, another one gives another key; one that is not there is an ImportError."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        (tmp_path / "packed").mkdir()
        (tmp_path / "packed" / "__init__.py").write_text("raise SystemExit('imported')")
        about = tmp_path / "packed-1.dist-info" / "METADATA"
        about.parent.mkdir()
        file = tmp_path / "packed" / "_version.py" if kept == "a file" else about
        for number in ("1.0", "2.0"):
            about.write_text("Metadata-Version: 2.1\nName: packed\nVersion: 0.5\n")
            file.write_text(f"Metadata-Version: 2.1\nName: packed\nVersion: {number}\n")
            assert number in cache.version("packed")
    with pytest.raises(ImportError, match="no_such_package"):
        cache.version("no_such_package")
    assert cache.version("numba") != cache.version("llvmlite")


def test_f86_the_key_is_of_every_source_that_is_compiled(monkeypatch):
    """Every module of ours that the compiler imports, as it reports them itself, and no others; an edit in any of them
    gives another key."""
    code = "import sys; from fnnet.kernels import build\n"
    code += "[build.native(name, f) for part in build.PARTS.values() for name, f in part.items()]\n"
    code += "print(*[m.__file__ for n, m in sys.modules.items() if n == 'fnnet' or n.startswith('fnnet.')])"
    env = {**os.environ, "NUMBA_OPT": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    package = Path(cache.__file__).parents[1]
    imported = {Path(file).relative_to(package).as_posix() for file in done.stdout.split()}
    assert {"__init__.py", "kernels/build.py", "kernels/native/block.py"} <= imported
    listed = {file.relative_to(package).as_posix() for file in cache.sources()}
    assert sorted(imported - listed) == [], "imported by the compiler: belongs in cache.SOURCES"
    assert sorted(listed - imported) == [], "not imported by the compiler: does not belong in cache.SOURCES"
    sources = [package / name for name in imported]
    before, read = cache._key(), cache.read_bytes
    for source in sources:

        def edited(path, source=source):
            return read(path) + (b"# edited" if Path(path).resolve() == source.resolve() else b"")

        monkeypatch.setattr(cache, "read_bytes", edited)
        assert cache._key.__wrapped__() != before, source


@pytest.mark.parametrize("when", ["never", "before the key", "while it is compiled"])
def test_f86_files_that_change_in_a_running_process_are_not_compiled(when, tmp_path):
    """An edit that is taken back meanwhile, too: the compiler had read it, and its code was kept under the old key."""
    shutil.copytree(Path(cache.__file__).parents[1], tmp_path / "fnnet", ignore=shutil.ignore_patterns("__pycache__"))
    code = """if True:
        import sys
        from pathlib import Path
        import fnnet
        from fnnet.errors import FnnetError
        from fnnet.kernels import cache, compiler, library
        def edit(when):
            if when == sys.argv[1]:
                path = cache.ROOT / "kernels" / "native" / "gradient.py"
                text = path.read_text()
                path.write_text("raise SystemExit")
                path.write_text(text)
        def compile_parts(parts, dtype, on_part):
            edit("while it is compiled")
            return {part: b"code" for part in parts}
        compiler.compile_parts = compile_parts
        library.Library.add = lambda self, codes: None
        edit("before the key")
        try:
            fnnet.load_kernels("numba", parts=["products"], notify=print)
        except FnnetError as error:
            print(error)
        print(*(each.read_bytes()[-4:] for each in Path("cache").glob("*")))
    """
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "FNNET_CACHE": "cache"}
    done = subprocess.run(
        [sys.executable, "-c", code, when], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    problem = f"{tmp_path / 'fnnet'}: the files of fnnet were changed while it was running; expected"
    assert done.stdout.startswith(problem) == (when != "never"), done.stdout
    assert ("kernels/native/gradient.py, written since" in done.stdout) == (when != "never")
    assert done.stdout.endswith("b'code'\n" if when == "never" else "start it again\n\n"), done.stdout


def test_f86_another_version_s_code_is_not_taken(fresh, monkeypatch):
    load_again(monkeypatch)
    key = cache._key()
    monkeypatch.setattr(cache, "_key", lambda: key[::-1])
    fresh.clear()
    load_again(monkeypatch)
    assert sorted(fresh) == sorted(library.PARTS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_f88_a_child_that_is_forked_while_another_thread_loads(fresh, monkeypatch):
    """Its copy of the lock would never be let go of."""
    with held_elsewhere(library._lock):
        assert forked(lambda: load_again(monkeypatch))


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")
@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda folder, file: None, True),
        (lambda folder, file: file.chmod(0o666), False),
        (lambda folder, file: folder.chmod(0o777), False),
        (lambda folder, file: folder.parent.chmod(0o777), False),
        (lambda folder, file: folder.parent.chmod(0o1777), True),
        (lambda folder, file: os.chown(file, 54321, -1), False),
        (lambda folder, file: os.chown(folder.parent, 54321, -1), False),
        (lambda folder, file: os.chown(folder.parent, 12345, -1), True),
    ],
)
def test_what_root_left_is_used_where_nobody_else_can_write_it(spoil, wanted, fresh, monkeypatch, tmp_path):
    """As in an image whose build warmed the cache, and whose program runs as another user."""
    monkeypatch.setenv("FNNET_CACHE", str(tmp_path / "built" / "kernels"))
    load_again(monkeypatch)
    fresh.clear()
    for file in cache.folder().iterdir():
        spoil(cache.folder(), file)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    notices = []
    load_again(monkeypatch, notices.append)
    assert (fresh == []) == wanted
    assert len(notices) == (not wanted)


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user")
def test_a_folder_of_another_user_is_said_to_be_one(fresh, monkeypatch, tmp_path):
    (tmp_path / "kernels").mkdir(mode=0o755)
    os.chown(tmp_path / "kernels", 54321, -1)
    notices = []
    load_again(monkeypatch, notices.append)
    assert "belongs to another user" in notices[0]
