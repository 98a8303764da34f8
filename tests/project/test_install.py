"""What is installed: how large it is, from what, and without a network."""

import json
import os
import re
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import pytest

import fnnet
import fnnet.core
import fnnet.data
import fnnet.errors
from bench import installed
from fnnet.errors import FnnetError
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
FOLDERS = (".ci", "bench", "docs", "examples", "findings", "fnnet", "tests")
FILES = (
    ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "SECURITY.md", "cli.py",
    "conftest.py", "pyproject.toml",
)  # fmt: skip
MADE = ignore_patterns("__pycache__", "*.pyc", "code")
"""What is made in these folders: byte code, and code for a wheel."""
WITHOUT = {"scipy", "scikit-learn", "matplotlib"}
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def test_fnnet_without_extras_is_small():
    found = installed.core()
    assert None not in found.values()
    assert found["fnnet"] > 10**6
    assert {"numpy", "numba", "llvmlite", "requests", "urllib3"} <= found.keys()
    assert not WITHOUT & found.keys()
    assert sum(found.values()) <= installed.MOST


def test_an_extra_adds_what_it_requires():
    wanted = installed.requirements()
    assert {"scipy", "numpy"} == set(installed.sizes(wanted["lbfgs"]))
    assert {"matplotlib", "fonttools", "numpy"} <= set(installed.sizes(wanted["plot"]))
    nested = installed.sizes(["fnnet[plot]"])
    assert installed.core().keys() - {"fnnet"} | {"matplotlib"} <= nested.keys()
    assert installed.sizes(["no-such-distribution"]) == {"no-such-distribution": None}


def test_the_table_names_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(installed, "requirements", lambda: {"": ["click"], "big": ["no-such-distribution", "click"]})
    rows = installed.table().splitlines()
    assert rows[3] == "| `big` | over 0 | not installed here: no-such-distribution |"


def test_byte_code_does_not_count(tmp_path, monkeypatch):
    about = tmp_path / "small-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
    (tmp_path / "small.py").write_bytes(b"#" * 100)
    (tmp_path / "small.pyc").write_bytes(b"#" * 1000)
    (about / "RECORD").write_text("small.py,,\nsmall.pyc,,\nsmall-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed.sizes(["small"]) == {"small": 100 + (about / "METADATA").stat().st_size}


def test_the_page_has_a_row_for_each_extra():
    table = PAGE.partition(installed.BEGIN)[2].partition(installed.END)[0]
    rows = re.findall(r"^\| `?(\w+)`? \|", table, re.MULTILINE)
    assert rows[1:] == ["fnnet", *filter(None, installed.requirements())]
    purposes = PAGE.partition("| extra |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", purposes, re.MULTILINE)) == {*filter(None, installed.requirements())}


def test_the_page_explains_each_variable():
    """Those of the code, but the one by which shells ask for completions."""
    code = "".join(path.read_text() for path in (ROOT / "fnnet").rglob("*.py"))
    used = set(re.findall(r'"(FNNET_[A-Z]+)"', code))
    assert used == set(re.findall(r"^\| `(FNNET_[A-Z]+)` \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize("module", [fnnet, fnnet.core, fnnet.data], ids=lambda module: module.__name__)
def test_the_page_lists_the_public_names(module):
    (listed,) = re.findall(rf"^`{re.escape(module.__name__)}`: (.*?)\n$", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`(\w+)`", listed) == sorted(module.__all__)


def test_the_page_lists_the_errors():
    def below(kind):
        return {kind.__name__}.union(*map(below, kind.__subclasses__()))

    (listed,) = re.findall(r"^`fnnet\.errors`: (.*?)\n$", PAGE, re.MULTILINE | re.DOTALL)
    named = {name for name in below(FnnetError) if hasattr(fnnet.errors, name)}
    assert re.findall(r"`(\w+)`", listed) == sorted(named)


def test_the_repository_is_what_a_source_distribution_has():
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository: this is a source distribution")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {path.split("/")[0] for path in tracked} <= {*FOLDERS, *FILES}


def run(command, cwd, **environment):
    """Run a program without this one's settings of Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=900, check=False
    )


def passed(command, cwd, **environment):
    done = run(command, cwd, **environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def pip(*arguments, cwd, **environment):
    return passed([sys.executable, "-m", "pip", *arguments], cwd, PIP_DISABLE_PIP_VERSION_CHECK="1", **environment)


@pytest.fixture
def place(tmp_path):
    """A folder that does not stay: pytest would keep half a gigabyte of each of its last three runs."""
    yield tmp_path
    rmtree(tmp_path)


@pytest.fixture
def backend(place):
    """A folder with setuptools, from pip's index."""
    if find_spec("pip") is None:
        pytest.skip("needs pip")
    fetched = place / "fetched"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "0", "--timeout", "10"]
    done = run([*command, "-d", fetched, "setuptools>=77"], place)
    if done.returncode:
        pytest.skip(f"needs an index of packages: pip has none here ({done.stderr.strip().splitlines()[-1][:100]})")
    folder = place / "backend"
    pip("install", "-q", "--no-index", "--find-links", fetched, "--target", folder, "setuptools", cwd=place)
    return folder


@pytest.fixture
def source(place, backend):
    """The source distribution, made of a copy: setuptools writes into the folder that it builds."""
    copy = place / "copy"
    for name in FOLDERS:
        copytree(ROOT / name, copy / name, ignore=MADE)
    for name in FILES:
        (copy / name).write_bytes((ROOT / name).read_bytes())
    code = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    passed([sys.executable, "-c", code, place / "dist"], copy, PYTHONPATH=str(backend))
    (archive,) = (place / "dist").iterdir()
    return archive


def unpacked(archive, into):
    with tarfile.open(archive) as file:
        file.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


TESTS = ("tests/core/test_params.py", "tests/data/test_digits.py", "tests/files/test_model.py")
"""A sample of a few seconds; docs/install.md says how to run all."""


def test_a_source_distribution_holds_everything_and_its_tests_pass(source, place):
    folder = unpacked(source, place / "unpacked")
    assert folder.name == f"fnnet-{fnnet.__version__}"
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    copy = place / "copy"
    wanted = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    wanted = {name for name in wanted if ".egg-info/" not in name}
    assert wanted <= held
    assert {name for name in held - wanted if ".egg-info/" not in name} == {"PKG-INFO", "setup.cfg"}
    for name in wanted:
        assert (folder / name).read_bytes() == (copy / name).read_bytes(), name
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    assert " passed" in passed(command, folder, PYTHONPATH=str(folder))


def test_a_room_without_network(source, place):
    """The recipe of docs/install.md: wheels are made where there is a network, and installed where there is none."""
    wheels, room, folder = place / "wheels", place / "room", place / "work"
    folder.mkdir()
    pip("wheel", "-q", "-w", wheels, source, cwd=folder)
    names = {path.name.split("-")[0].lower().replace("_", "-") for path in wheels.iterdir()}
    assert {path.suffix for path in wheels.iterdir()} == {".whl"}
    assert names == {name.lower() for name in installed.core()}
    passed([sys.executable, "-m", "venv", room], folder)
    programs = room / ("Scripts" if os.name == "nt" else "bin")
    alone = {**NO_NETWORK, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    alone["FNNET_CACHE"] = str(place / "cache")
    command = ("install", "-q", "--no-index", "--find-links", wheels, "fnnet")
    passed([programs / "python", "-m", "pip", *command], folder, **alone)
    _check_room(programs, folder, alone)
    _check_the_wheel(wheels, source, place)


def _check_room(programs, folder, alone):
    """What is installed there is small, and does what needs no extra; what needs one says which, in one line."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(passed([programs / "python", "-c", code], folder).strip())
    tools = re.compile("_?(pip|setuptools|distutils|pkg_resources)")
    there = [path for path in packages.iterdir() if not tools.match(path.name)]
    assert not {re.split("[-.]", path.name)[0].lower() for path in there} & {"scipy", "sklearn", "matplotlib"}
    files = [file for path in there for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    assert 10**8 < sum(file.stat().st_size for file in files if file.suffix != ".pyc") <= installed.MOST
    train = [programs / "fnnet", "train", "--data", "digits", "--hidden", "8", "--activation", "gelu", "--epochs", "2"]
    for kernels in ("--no-jit", "--jit"):
        document = json.loads(passed([*train, kernels, "--json"], folder, **alone))
        assert document["jit"] == (kernels == "--jit")
        assert document["test_accuracy"] > 0.2
    passed([programs / "fnnet", "evaluate", "model.safetensors"], folder, **alone)
    for options, line in (
        (("--optimizer", "lbfgs"), "--optimizer lbfgs needs SciPy; .*; pip install 'fnnet[lbfgs]'"),
        (("--plot", "a.png"), "pictures need matplotlib; .*; pip install 'fnnet[plot]'"),
    ):
        done = run([*train[:4], "--out", "other.safetensors", *options], folder, **alone)
        assert done.returncode == 1
        assert re.fullmatch(re.escape(f"error: {line}\n").replace(r"\.\*", ".*"), done.stderr), done.stderr


def _check_the_wheel(wheels, source, place):
    """The package alone, without a checkout: the tests of the source distribution pass with it."""
    (wheel,) = wheels.glob("fnnet-*.whl")
    site, folder = place / "site", unpacked(source, place / "tests")
    pip("install", "-q", "--no-deps", "--no-index", "--target", site, wheel, cwd=place)
    (folder / "fnnet").rename(place / "left-out")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    where = "import fnnet; print(fnnet.__file__)"
    assert passed([sys.executable, "-c", where], folder, PYTHONPATH=str(site)).startswith(str(site))
    assert " passed" in passed(command, folder, PYTHONPATH=str(site))
