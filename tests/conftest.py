"""Fixtures: no test reaches the network, the user's caches, or MNIST unless it asks for it."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fnnet.kernels.signatures import PARTS
from fnnet.limits import available_threads

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = os.environ.get("FNNET_DATA")
HANDLE = signal.signal
"""As it is where the fixture `run` takes it away."""


def pytest_configure(config):
    """Compile the kernels once a session, in a folder of its own, unless FNNET_CACHE names one to share."""
    from hypothesis import settings

    # The same examples in every run, however busy the machine is; `--hypothesis-profile default` draws others.
    settings.register_profile("fnnet", deadline=None, derandomize=True)
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("fnnet")
    if "FNNET_CACHE" not in os.environ:
        config.compiled = tempfile.TemporaryDirectory(prefix="fnnet-kernels-")
        os.environ["FNNET_CACHE"] = config.compiled.name
    if "PYTEST_XDIST_WORKER" in os.environ:
        # As many workers as processors: threads of NumPy's BLAS would wait for one another, 4 times as long.
        from threadpoolctl import threadpool_limits

        config.blas = threadpool_limits(1, "blas")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """Offline, with a home folder that is empty at the start of each test."""
    folder = tmp_path_factory.mktemp("home")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    screen = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TERM")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(folder))
        for name in ("FNNET_DATA", "KERAS_HOME", "TFDS_DATA_DIR", *proxies, *screen):
            patch.delenv(name, raising=False)
        patch.setenv("FNNET_OFFLINE", "1")
        # Finding the fonts takes a second, once instead of in each process that draws.
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        yield folder


@pytest.fixture(autouse=True, scope="session")
def _no_note_of_pixels():
    """Numbers worked out by hand look like pixels: tests/core/test_finite_input.py looks at the note."""
    from fnnet.core import notes

    notes.turns = notes.turns_of_bytes = itertools.repeat(False)


@pytest.fixture(autouse=True)
def _empty_home(home):
    for left in home.iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _threads():
    """Two threads at least, on one processor too: what is tested is how they share the work."""
    return max(2, available_threads())


@pytest.fixture(scope="session")
def numba_kernels():
    from fnnet import kernels

    return kernels.load("numba", threads=_threads(), parts=tuple(PARTS))


@pytest.fixture(scope="session", params=["numpy", "numba"])
def kernels(request):
    from fnnet import kernels

    return kernels.load(request.param, threads=_threads(), parts=tuple(PARTS))


@pytest.fixture
def mnist_folder():
    """The real MNIST, where FNNET_DATA points to it."""
    if not REAL_DATA or not Path(ROOT, REAL_DATA).is_dir():
        pytest.skip("needs MNIST: set FNNET_DATA to its folder")
    return str(Path(ROOT, REAL_DATA).resolve())


@pytest.fixture
def folder(tmp_path):
    """Where a run directory is to be."""
    return tmp_path / "runs" / "a"


class Result:
    """What a run of the command line left: code, out, err."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def failed(self, code, *parts):
        """Assert an exit code and one line of error that holds every part, with no traceback."""
        assert self.code == code, (self.code, self.err)
        errors = [line for line in self.err.splitlines() if not line.startswith("note: ")]
        assert len(errors) == 1, self.err
        assert errors[0].startswith("error: ")
        for part in parts:
            assert str(part) in errors[0], (part, errors[0])


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in this process, in an empty folder."""
    from fnnet import cli

    monkeypatch.chdir(tmp_path)

    def run_cli(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(exit_info.value.code, captured.out, captured.err)

    return run_cli


@pytest.fixture
def run_process(tmp_path):
    """Run the command line as a user does, in a process of its own."""

    def run_it(*arguments, python=(), cwd=tmp_path, **environment):
        command = [sys.executable, *python, str(ROOT / "cli.py"), *map(str, arguments)]
        env = {**os.environ, "FNNET_OFFLINE": "1", **environment}
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=300, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    return run_it


@contextmanager
def start(command, cwd, env=None, ignored=()):
    """A process that heeds the signals even where this one ignores them, as in a background job, and that is gone at
    the end of the block."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        for number in numbers:
            HANDLE(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        process = subprocess.Popen(command, text=True, cwd=cwd, env=env, **pipes)
    finally:
        for number, handler in handlers.items():
            HANDLE(number, handler)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def fork():
    """os.fork, without the warnings of threads that other libraries left idle."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def forked(work, seconds=60):
    """Whether `work` comes to its end in a forked child, within a deadline."""
    pid = fork()
    if not pid:
        try:
            signal.alarm(seconds)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


@contextmanager
def held_elsewhere(lock):
    """Another thread holds a lock of a module."""
    held, go = threading.Event(), threading.Event()

    def hold():
        with lock.held():
            held.set()
            go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        yield
    finally:
        go.set()
        thread.join()


def idx_bytes(array):
    """An array of bytes as the content of an IDX file."""
    array = np.asarray(array, np.uint8)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


@pytest.fixture
def small_images():
    """60 easily told 28x28 images of ten classes, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    x = rng.integers(0, 40, (60, 28, 28))
    for image, label in zip(x, labels, strict=True):
        image[2 * label + 2 : 2 * label + 6, 4:24] += 180
    return x.astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture
def idx_folder(tmp_path, small_images):
    """A folder of four IDX files, 50 images to train and 10 to test."""
    x, labels = small_images
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, part in (("train", slice(0, 50)), ("t10k", slice(50, 60))):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(x[part]))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(labels[part]))
    return folder
