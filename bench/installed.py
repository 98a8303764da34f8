"""The size of fnnet with what it requires, and of each extra, as installed here.

python -m bench.installed           a table
python -m bench.installed --write   also into docs/install.md

Sizes are those of the files that each distribution installed, in MB of 10**6 bytes. Byte code does not count, as it is
made here, nor do pip and setuptools, which fnnet does not require. A file is larger on the disk: by 2 KB on average.
"""

from __future__ import annotations

import platform
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.common import ROOT, markdown_table, rewrite

MOST: Final = 300 * 10**6
"""Bytes that fnnet may take without extras."""
PAGE: Final = ROOT / "docs" / "install.md"
BEGIN: Final = "<!-- bench.installed -->\n\n"
END: Final = "\n<!-- /bench.installed -->"
NAMED: Final = 6
"""Distributions of an extra that the table names, the largest first."""

Sizes = Mapping[str, int | None]
"""Distribution -> bytes of its files; None if it is not installed."""


def requirements() -> dict[str, list[str]]:
    """Return extra -> its requirements, as pyproject.toml has them; those of fnnet without extras are under ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def sizes(wanted: Iterable[str]) -> Sizes:
    """Return the size of each distribution that these requirements install, those that they require included."""
    own = requirements()
    waiting = [(Requirement(each), "") for each in wanted]
    found: dict[str, int | None] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        new = {(name, each) for each in ("", *requirement.extras)} - seen
        seen |= new
        for _, inside in new:
            if name == "fnnet":
                waiting += [(Requirement(each), "") for each in own[inside]]
                continue
            try:
                distribution = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                found[name] = None
                continue
            found[name] = size_of(distribution)
            waiting += [(Requirement(each), inside) for each in distribution.requires or ()]
    return found


def size_of(distribution: metadata.Distribution) -> int:
    """Return the bytes of a distribution's files, byte code left out."""
    files = (Path(str(each.locate())) for each in distribution.files or () if each.suffix != ".pyc")
    return sum(file.stat().st_size for file in files if file.is_file())


def size_of_fnnet() -> int:
    """Return the bytes of the package itself."""
    files = (file for file in (ROOT / "fnnet").rglob("*") if file.is_file() and file.suffix != ".pyc")
    return sum(file.stat().st_size for file in files)


def core() -> Sizes:
    """Return the size of fnnet without extras, and of each distribution that it requires."""
    return {"fnnet": size_of_fnnet(), **sizes(requirements()[""])}


def _row(name: str, found: Sizes) -> tuple[str, str, str]:
    """Return the cells of a row: what is installed, MB, the largest of it."""
    known = sorted(((size, each) for each, size in found.items() if size is not None), reverse=True)
    largest = ", ".join(f"{each} {_megabytes(size)}" for size, each in known[:NAMED])
    more = len(known) - NAMED
    absent = [each for each, size in found.items() if size is None]
    parts = [largest + (f" and {more} more" if more > 0 else "")] if known else []
    if absent:
        parts.append(f"not installed here: {', '.join(sorted(absent))}")
    total = _megabytes(sum(size for size, _ in known))
    return name, f"over {total}" if absent else total, "; ".join(parts)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g}" if size < 1e8 else f"{size / 1e6:.0f}"


def table() -> str:
    """Return the table: fnnet, and what each extra adds to it."""
    base = core()
    rows = [_row("fnnet", base)]
    for extra, wanted in requirements().items():
        if extra:
            added = {name: size for name, size in sizes(wanted).items() if name not in base}
            rows.append(_row(f"`{extra}`", added))
    versions = f"Python {platform.python_version()}, {sys.platform} {platform.machine()}"
    heads = ("installed", "MB", "the largest parts, MB")
    return f"{markdown_table(heads, rows)}\n{versions}. Written by `python -m bench.installed --write`.\n"


@click.command()
@click.option("--write", is_flag=True, help="Write the table into docs/install.md.")
def main(write: bool) -> None:
    """Print how much fnnet and each extra take on the disk; exit code 1 if fnnet alone takes more than it may."""
    text = table()
    print(text)
    if write:
        rewrite(PAGE, BEGIN, text, END)
    taken = sum(size or 0 for size in core().values())
    print(f"fnnet without extras: {taken / 1e6:.0f} MB of at most {MOST / 1e6:.0f}")
    sys.exit(taken > MOST)


if __name__ == "__main__":
    main()
