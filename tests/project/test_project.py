"""The rules of the code: who imports whom, what is public, what is documented; and that the README is true."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fnnet
from tests.campaigns import __main__ as campaigns
from tests.conftest import ROOT

PACKAGE = ROOT / "fnnet"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = ("core", "files", "kernels", "data", "training", "apps", "cli")
"""Each folder imports only from itself and from those before it; those of GROUND lie below all."""
GROUND = ("errors", "lazy", "names", "limits", "threads")
HEAVY = {
    "h5py",
    "llvmlite",
    "matplotlib",
    "mpi4py",
    "numba",
    "optuna",
    "PIL",
    "pyarrow",
    "requests",
    "scipy",
    "threadpoolctl",
}
OPTIONAL = {
    "scipy": {"training/lbfgs.py", "data/mat.py", "apps/estimator/scores.py"},
    "sklearn": {
        "apps/conversions.py",
        "apps/estimator/__init__.py",
        "apps/estimator/classifier.py",
        "apps/estimator/options.py",
    },
    "matplotlib": {"apps/report/plots.py"},
    "optuna": {"apps/sweep/study.py"},
}
"""Library that fnnet does without -> the modules that import it, where they need it: an estimator is a class of its."""
LIBRARIES = {"pillow": "PIL", "mpich": "mpi4py", "scikit-learn": "sklearn"}
"""Distribution -> the module that it installs, where the names differ, or that loads it."""
USED_EXTRAS = ("plot", "lbfgs", "formats", "sweep", "mpi", "sklearn")
"""Extras of libraries that fnnet imports."""
TOUCH_FILES = {"files", "data", "apps", "cli", "limits"}
COMPILED = ("kernels/cache.py", "kernels/shipped.py")
FILE_CALLS = {"open", "write_text", "read_text", "write_bytes", "read_bytes", "unlink", "mkdir", "remove", "rename"}


def folder_of(path):
    """The folder of a module below fnnet, or its own name if it is not in one."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_imports_whom(path):
    here, tree = folder_of(path), ast.parse(path.read_text())
    used = {name.split(".")[1] for name in imports(tree) if name.startswith("fnnet.")} - {here}
    if here in GROUND:
        assert used <= set(GROUND)
    elif here in LAYERS:
        assert used <= {*GROUND, *LAYERS[: LAYERS.index(here)], "__version__"}, used
    else:
        assert here in ("__init__", "__main__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_are_imported_inside_the_functions_that_need_them(path):
    if path.parent.name == "native" or path.name == "build.py":
        return
    top = ast.parse(path.read_text()).body
    names = {
        name.split(".")[0] for node in top if isinstance(node, (ast.Import, ast.ImportFrom)) for name in imports(node)
    }
    assert not names & HEAVY


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_of_extras_are_imported_only_where_they_are_needed(path):
    used = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
    here = path.relative_to(PACKAGE).as_posix()
    assert used & OPTIONAL.keys() == {library for library, modules in OPTIONAL.items() if here in modules}


def test_what_fnnet_requires_is_without_libraries_of_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any(re.match(r"scipy|scikit-learn|matplotlib|optuna", each) for each in project["dependencies"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_touched_only_where_they_belong(path):
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    calls = {func.id for func in called if isinstance(func, ast.Name)}
    calls |= {func.attr for func in called if isinstance(func, ast.Attribute)}
    assert not calls & FILE_CALLS or folder_of(path) in TOUCH_FILES or path.relative_to(PACKAGE).as_posix() in COMPILED


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_or_evaluated(path):
    text = path.read_text()
    assert not re.search(r"\b(pickle|eval|exec|marshal|shelve)\(|allow_pickle=True|import pickle", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_every_fault_has_a_test():
    assert list(campaigns.FAULTS) == list(range(1, 91))
    tests = campaigns.covered()
    assert set(tests) <= set(campaigns.FAULTS), "a test carries a number that docs/faults.md does not have"
    for number, fault in campaigns.FAULTS.items():
        assert bool(tests.get(number)) != bool(fault.waits_for), f"f{number:02}"


def test_faults_wait_only_for_parts_that_do_not_exist():
    waiting = [fault.waits_for for fault in campaigns.FAULTS.values() if fault.waits_for]
    assert len(waiting) == 2
    for path in waiting:
        assert path.startswith("fnnet/")
        assert not (ROOT / path).exists(), path


def test_the_list_of_faults_is_printed_with_its_tests(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["campaigns", "--list"])
    assert campaigns.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert "f07 The sizes in a header multiply to more than any memory" in lines
    assert "    Waits for `fnnet/apps/serve`" in lines
    for number, fault in campaigns.FAULTS.items():
        below = lines[lines.index(f"f{number:02} {fault.title}") + 1]
        assert fault.waits_for or re.match(rf"    test_\w+\.py::test_\w*f{number:02}_", below), below


def test_public_names():
    assert fnnet.__all__ == sorted(fnnet._HOMES)
    for name in fnnet.__all__:
        value = getattr(fnnet, name)
        assert value.__doc__, name
        assert name in dir(fnnet)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = fnnet.nonsense


def test_import_fnnet_is_enough_for_its_public_packages():
    code = "import fnnet, sys; print('numpy' in sys.modules, fnnet.data.load.__name__, fnnet.core.init.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False load init\n", done.stderr
    assert {"core", "data"} <= {*dir(fnnet)}


def test_type_checkers_see_the_names_that_are_imported_at_their_first_use():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            home = node.module.removeprefix("fnnet.")
            for alias in node.names:
                seen[alias.asname] = home if alias.asname == alias.name else f"{home}:{alias.name}"
        else:
            assert isinstance(node, ast.Assign)
            seen[node.targets[0].id] = seen.pop(node.value.id)
    assert seen == {**fnnet._HOMES, **dict.fromkeys(fnnet._PACKAGES, "fnnet")}


def test_importing_fnnet_alone_imports_no_numpy():
    code = "import sys, fnnet; assert 'numpy' not in sys.modules; fnnet.init; assert 'numpy' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_what_is_installed_is_what_is_imported():
    """No dependency that no code uses, and none that is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *(each for name in USED_EXTRAS for each in extras[name])]
    declared = {re.split("[<>=]", requirement)[0] for requirement in required}
    used = {name.split(".")[0] for path in FILES for name in imports(ast.parse(path.read_text()))}
    used -= {*sys.stdlib_module_names, "fnnet", "mpl_toolkits"}
    used -= {"keras", "torch"}  # of users who convert a network to theirs
    assert used == {LIBRARIES.get(name, name) for name in declared}
    assert used >= HEAVY
    assert extras.keys() == {*USED_EXTRAS, "engines", "test", "fuzz", "dev", "peers"}


def test_each_library_has_its_reason_in_the_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    table = (ROOT / "CHANGELOG.md").read_text().partition("### Libraries")[2]
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))))
    assert {re.split(r"[<>=\[]", each)[0] for each in required} - {"fnnet"} <= named


def test_an_editable_install_is_a_plain_path():
    """Where setuptools finds the package in the folder of `package-dir`, it writes one, which mypy reads."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert setup["package-dir"] == {"": "."}


def test_a_plain_path_is_found_before_a_folder_of_the_name(tmp_path):
    """As in the folder that holds the clone, which has the name of the package."""
    (tmp_path / "clone" / "fnnet").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "fnnet.pth").write_text(f"{ROOT}\n")
    code = f"import site; site.addsitedir({str(tmp_path / 'site')!r}); import fnnet; fnnet.init((4, 3))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path / "clone", env=env)


def test_the_version_is_the_same_everywhere():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{fnnet.__version__}"' in text
    assert f"## {fnnet.__version__}" in (ROOT / "CHANGELOG.md").read_text()


README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_readme_leads_with_two_commands_output_and_an_example():
    head = "\n".join(README.splitlines()[:20])
    assert "```console\n$ pip install -e . && python cli.py train --jit\n" in head
    commands = re.findall(r"^\$ (pip install .*)$", README, re.MULTILINE)
    assert commands == ["pip install -e . && python cli.py train --jit", "pip install -e '.[test]' && pytest"]
    assert "test accuracy" in blocks("console")[0]
    assert "fnnet.forward" in blocks("python")[0]


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_readme_example_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = blocks("python")[number]
    assert len(example.splitlines()) <= 14
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.85


def test_the_readme_names_files_that_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert Path(ROOT, target).exists(), target


def test_every_command_is_in_the_readme():
    from fnnet.cli.program import cli

    for name in cli.commands:
        assert f"`{name}" in README, name
