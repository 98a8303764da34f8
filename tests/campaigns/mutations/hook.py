"""Plant a mutant when its module is imported: the files stay as they are. Imported before anything of fnnet is."""

import importlib.abc
import importlib.machinery
import os
import sys

VARIABLE = "FNNET_MUTANT"
"""FILE:SCOPE:CHANGE:NUMBER of the mutant that this process and those that it starts are to have."""


class Finder(importlib.abc.MetaPathFinder):
    """Finds the one module that the mutant is in."""

    def __init__(self, name):
        self._name, self._file = name, name.split(":", 1)[0]
        self._module = self._file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def find_spec(self, module, path, target=None):
        if module != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(module, path)
        if spec is not None:
            spec.loader = Loader(spec.loader.name, spec.loader.path, self._file, self._name)
        return spec


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles the mutated tree; nothing of it is cached."""

    def __init__(self, module, path, file, name):
        super().__init__(module, path)
        self._mutant = file, name

    def get_code(self, fullname):
        from tests.campaigns.mutations.mutants import mutated

        return compile(mutated(*self._mutant), self.path, "exec", dont_inherit=True)


def install():
    """Plant the mutant of the environment, if there is one."""
    if name := os.environ.get(VARIABLE):
        sys.meta_path.insert(0, Finder(name))
