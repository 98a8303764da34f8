"""What is in a folder, in natural order. Light: a folder of IDX files needs no reader of other formats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fnnet.data.reader import listed
from fnnet.files.disk import list_folder

LEFT: Final = frozenset({
    "__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "$recycle.bin", "system volume information", "lost+found",
    "@eadir", "@recycle", "#recycle", "@tmp", "#snapshot", "__pycache__",
})  # fmt: skip
"""Names, in lower case, of what systems and stores leave in folders; names that begin with a dot are left by them
too."""
SHOWN: Final = 5
"""Names in a message at most."""


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder in natural order, `2.png` before `10.png`, without what systems leave there."""
    there = [path for path in list_folder(folder) if path.name[0] != "." and path.name.lower() not in LEFT]
    return sorted(there, key=lambda path: natural(path.name))


def below(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and in the folders in it, in natural order, without these: those of a folder first."""
    waiting, known = [folder], {folder.resolve()}
    while waiting:
        folders: list[Path] = []
        for path in entries(waiting.pop()):
            if path.is_dir() and (real := path.resolve()) not in known:  # links may lead back
                folders.append(path)
                known.add(real)
            else:
                yield path
        waiting += reversed(folders)


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a key that sorts names with the numbers in them by value.

    >>> sorted(["10.png", "2.png", "a"], key=natural)
    ['2.png', '10.png', 'a']
    """
    pieces = re.split(r"(\d+)", name)
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], name


def shown(names: Sequence[str]) -> str:
    """Return the first names as a phrase, and how many more there are."""
    more = len(names) - SHOWN
    return f"{', '.join(names[:SHOWN])} and {more:,} more" if more > 0 else listed(names).replace(" or ", " and ")
