"""The documents name files, folders and tests that exist."""

import re

import pytest

from fnnet.core import operations
from tests.campaigns.__main__ import FAULTS
from tests.conftest import ROOT
from tests.project.test_project import GROUND, LAYERS

DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text()
HOUSE = (ROOT / "docs" / "house.md").read_text()
TESTS = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}

NOT_YET = frozenset()
"""Paths still to come."""


def paths(text):
    """The paths in backticks: with a folder, or of a Python file."""
    return {
        name
        for name in re.findall(r"`([\w./-]+)`", text)
        if re.fullmatch(r"(?:[\w-]+/)*\w+\.(?:py|md)|(?:[\w-]+/)+|(?:fnnet|tests|docs|bench|examples)/[\w/.-]+", name)
    }


def exists(name):
    return any((root / name).exists() for root in (ROOT, ROOT / "fnnet", ROOT / "docs")) or name in TESTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_paths_exist(path):
    waited_for = {fault.waits_for for fault in FAULTS.values()}
    assert not {name for name in paths(path.read_text()) if not exists(name)} - NOT_YET - waited_for


def test_not_yet_names_paths_that_do_not_exist():
    assert not {name for name in NOT_YET if exists(name)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_mathematics_of_the_readme_is_in_the_code():
    section = re.search(r"## The mathematics\n(.*?)\n## ", README, re.DOTALL)[1]
    functions = re.findall(r"\| `(\w+)` \|$", section, re.MULTILINE)
    assert len(functions) == 8
    for name in functions:
        assert callable(getattr(operations, name)), name
        backward = f"{name}_backward"
        assert backward in functions or not hasattr(operations, backward), backward


def test_tests_that_documents_name_exist():
    for path in DOCUMENTS:
        for file, name in re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", path.read_text()):
            assert file in TESTS, file
            assert not name or f"def {name}(" in TESTS[file].read_text(), name


def test_the_map_has_the_folders_of_the_one_rule():
    (line,) = re.findall(r"^```text\n(.*)\n```$", HOUSE, re.MULTILINE)
    ground, *layers = line.split(" < ")
    assert tuple(ground.split(", ")) == GROUND
    assert tuple(layers) == LAYERS
    rows = re.findall(r"^\| (`[^|]+`) \|", HOUSE, re.MULTILINE)
    assert rows == [", ".join(f"`{name}.py`" for name in GROUND), *(f"`{name}/`" for name in LAYERS)]
    assert {path.name for path in (ROOT / "fnnet").iterdir() if any(path.glob("*.py"))} == set(LAYERS)


def test_the_map_is_one_page():
    assert 60 <= len(HOUSE.splitlines()) <= 90


def test_the_map_names_most_modules_it_leads_to():
    assert len({name for name in paths(HOUSE) if name.endswith(".py")}) >= 30
