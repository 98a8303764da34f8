"""MNIST is read ahead of the command that needs it: with the same result, and only where it will be needed."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fnnet.cli import ahead
from fnnet.data import mnist
from tests.conftest import ROOT, start

LAUNCH = "import sys, threading, time; sys.argv = ['fnnet', *sys.argv[1:]]; from fnnet.cli import launch\n"


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["train"], True),
        (["train", "--jit", "--recipe", "quick", "--dev-data", "a"], True),
        (["train", "--out", "x", "--lr", "wrong"], True),
        ([], False),
        (["--version"], False),
        (["predict", "model.safetensors", "train"], False),
        (["gradcheck"], False),
        (["train", "--data", "digits"], False),
        (["train", "--data=digits"], False),
        (["train", "--jit", "--data-dir", "a"], False),
        (["train", "--data-dir=a"], False),
        (["train", "--help"], False),
        (["train", "-h"], False),
    ],
)
def test_it_begins_only_where_mnist_will_be_read(arguments, needed, monkeypatch):
    begun = []
    monkeypatch.setattr(mnist, "begin", lambda: begun.append(True))
    ahead.begin(arguments)
    assert begun == [True] * needed
    monkeypatch.setenv("_FNNET_COMPLETE", "bash_complete")
    ahead.begin(arguments)
    assert begun == [True] * needed


def test_what_fails_ahead_is_told_by_the_command(monkeypatch):
    def fail():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(mnist, "begin", fail)
    ahead.begin(["train"])


STARTED = """
names, begin = [], threading.Thread.start
def note(thread):
    names.append(type(thread).__name__)
    begin(thread)
threading.Thread.start = note
try:
    launch()
finally:
    print(names.count("_Collecting"), "numpy" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(["train", "--epochs", "x"], 1), (["train", "--epochs", "x", "--data", "digits"], 0), (["--version"], 0)],
)
def test_the_program_starts_one_thread_or_none(arguments, count, idx_folder, tmp_path):
    """Before the usage error, and so before NumPy."""
    env = {**os.environ, "FNNET_DATA": str(idx_folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LAUNCH + STARTED, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.splitlines()[-1] == f"{count} False"


def test_a_command_that_a_host_calls_starts_none(run, idx_folder, monkeypatch):
    monkeypatch.setenv("FNNET_DATA", str(idx_folder))
    monkeypatch.setattr(mnist, "begin", lambda: pytest.fail("began"))
    run("train", "--epochs", 1).failed(1, "not MNIST's content")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(bytes(content))


FAULTS = {
    "other content": lambda folder: None,
    "damaged": lambda folder: flip(folder / "train-images-idx3-ubyte.gz"),
    "cut short": lambda folder: os.truncate(folder / "t10k-images-idx3-ubyte.gz", 30),
    "several": lambda folder: [path.write_bytes(b"<html>404") for path in folder.iterdir()],
    "an archive": lambda folder: (folder / "mnist.npz").write_bytes(b"PK"),
    "missing files": lambda folder: [path.unlink() for path in folder.iterdir()],
    "no folder": lambda folder: folder.rename(folder.with_name("gone")),
    "a usage error first": lambda folder: flip(folder / "train-images-idx3-ubyte.gz"),
    "no variable": None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_told_is_the_same(fault, run, idx_folder, tmp_path, monkeypatch):
    """Line by line, with the exit code, as by a command that reads nothing ahead."""
    for path in list(idx_folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    if FAULTS[fault]:
        FAULTS[fault](idx_folder)
        monkeypatch.setenv("FNNET_DATA", str(idx_folder))
    arguments = ["train", "--epochs", "1", "--quiet", *(["--dev", "-3"] if "usage" in fault else [])]
    usual = run(*arguments)
    command = [sys.executable, str(ROOT / "cli.py"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (usual.code, usual.err)
    assert usual.code == {"missing files": 0, "no folder": 0, "no variable": 0, "a usage error first": 2}.get(fault, 1)


def test_the_model_is_the_same_and_little_is_imported(run, mnist_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FNNET_DATA", mnist_folder)
    arguments = ["train", "--epochs", "1", "--seed", "3", "--json"]
    usual = run(*arguments).json
    (tmp_path / "model.safetensors").unlink()  # replaced, it would be noted
    code = LAUNCH + "try:\n    launch()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout)
    times = [name for name in usual if name.endswith("seconds")]
    for each in (usual, found):
        each["epochs"][0].pop("seconds")
    assert {name: found[name] for name in found if name not in times} == {
        name: usual[name] for name in usual if name not in times
    }
    modules = {*done.stderr.splitlines()[-1].split()}
    assert "fnnet.data.idx" in modules
    needless = {"email", "importlib.metadata", "fnnet.files.lock", "fnnet.data.formats", "llvmlite"}
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # NumPy 1 imports it itself
        needless.add("numpy.ma")
    assert not needless & modules


SLOW = """
import os
from fnnet.data import mnist
def read(path):
    os.write(1, b"reading\\n")  # whole, though two threads read
    time.sleep(60)
mnist._read = read
launch()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="os.kill ends the process on this system")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.5])
def test_f56_a_signal_while_it_reads(number, code, seconds, idx_folder, tmp_path):
    """While the command is imported, and while it waits: it ends at once."""
    env = {**os.environ, "FNNET_DATA": str(idx_folder), "PYTHONPATH": str(ROOT)}
    with start([sys.executable, "-c", LAUNCH + SLOW, "train"], tmp_path, env) as process:
        assert process.stdout.readline() == "reading\n"
        time.sleep(seconds)
        sent = time.monotonic()
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == f"error: {'interrupted' if code == 130 else 'terminated'}\n"
    assert time.monotonic() - sent < 20
    assert not (tmp_path / "model.safetensors").exists()
