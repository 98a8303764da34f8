"""Public names of a package that are imported at their first use: `fnnet --help` then does not load NumPy (0.25 s)."""

import sys
from collections.abc import Callable, Mapping
from typing import Any


def importers(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package whose public names are defined in its modules.

    homes   public name -> the module below `package`, with the name it has there behind a colon if it differs.
    """
    names = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        module, _, original = homes[name].partition(":")
        value = names[name] = getattr(import_module(f"{package}.{module}"), original or name)
        return value

    return get, lambda: sorted({*names, *homes})
