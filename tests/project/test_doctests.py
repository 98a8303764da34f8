"""The examples in docstrings: each public function has one, and all of them run."""

import doctest
import importlib
import inspect
import re

import pytest

import fnnet
import fnnet.data
from tests.conftest import ROOT

FILES = [path for path in sorted((ROOT / "fnnet").rglob("*.py")) if ">>> " in path.read_text()]
FUNCTIONS = {f"fnnet.{name}": getattr(fnnet, name) for name in fnnet.__all__ if inspect.isroutine(getattr(fnnet, name))}
FUNCTIONS["fnnet.data.load"] = fnnet.data.load

NOT_YET: frozenset[str] = frozenset()
"""Public functions still without an example."""


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_docstrings_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(module_of(path))
    assert found.attempted == len(re.findall("^ *>>> ", path.read_text(), re.MULTILINE)), "some were not found"
    assert not found.failed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_public_function_has_an_example(name):
    names = {name.rpartition(".")[2], FUNCTIONS[name].__name__}
    examples = doctest.DocTestFinder(recurse=False).find(FUNCTIONS[name], name)[0].examples
    shown = any(each in example.source for each in names for example in examples)
    assert shown != (name in NOT_YET), "has an example: take it off NOT_YET" if shown else "no example"


def test_not_yet_names_public_functions():
    assert FUNCTIONS.keys() >= NOT_YET
