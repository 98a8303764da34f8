"""Public names of a package that are imported at their first use: `fnnet --help` then does not load NumPy (0.25 s)."""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def importers(
    package: str, homes: Mapping[str, str], packages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package whose public names are defined in its modules.

    homes   public name -> the module below `package`, with the name it has there behind a colon if it differs.
    packages   the packages below it that are public as well.
    """
    names = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in homes and name not in packages:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        if name in packages:
            return import_module(f"{package}.{name}")
        module, _, original = homes[name].partition(":")
        value = names[name] = getattr(import_module(f"{package}.{module}"), original or name)
        return value

    return get, lambda: sorted({*names, *homes, *packages})
