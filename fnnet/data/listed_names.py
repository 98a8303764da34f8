"""Which picture a cell of a table names: by its path, as another machine or system writes it, too, or by its number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fnnet.data.ids import NAMES as IDS
from fnnet.data.layout import pictures
from fnnet.data.roles import part_in
from fnnet.names import composed

NUMBER: Final = re.compile("[0-9]+$")
Named = dict[str, Path]
"""Cells of a column -> the pictures that they name."""
FILE_NAMES: Final = frozenset({*IDS, "file", "filename", "file_name", "path", "image", "name"})
"""What a column of names is called among others, in lower case."""


class Pictures:
    """Pictures in a folder, and the names that a table may have for them; a name of several counts for none."""

    def __init__(self, there: Sequence[Path], folder: Path) -> None:
        self.there, self.folder = there, folder.resolve().name
        self.named = _one_each(
            (name, path)
            for path in there
            for place in (path.relative_to(folder).as_posix(),)
            for name in (place, path.name, place.removesuffix(path.suffix), path.stem)
        )
        self.any_case = _one_each((_lower_ending(name), path) for name, path in self.named.items())

    def find(self, cell: str, *, moved: bool = True) -> Path | None:
        """Return the picture that a cell names, None if it names none for certain.

        moved   True if folders before it may be those of another machine, where what is behind them names one picture;
                those of a test set are not.
        """
        if cell in self.named:
            return self.named[cell]
        pieces = [piece for piece in cell.replace("\\", "/").split("/") if piece not in ("", ".")]
        for first in range(len(pieces) if moved else min(1, len(pieces))):
            name = "/".join(pieces[first:])
            found = self.named.get(name) or self.any_case.get(_lower_ending(name))
            if found:
                return None if self._is_of_others(pieces[:first]) else found
        return None

    def _is_of_others(self, folders: Sequence[str]) -> bool:
        """Return True if the last of the folders before a name that says a part says one that is not of training.

        Those up to one that is called as this folder are, on another machine, what lies above it.
        """
        for folder in reversed(folders):
            part = part_in(NUMBER.sub("", folder)) or part_in(folder)
            if folder == self.folder or part:
                return folder != self.folder and part != "train"
        return False

    def find_all(self, cells: Iterable[str]) -> Named:
        """Return the pictures that the cells of a column name: by their names or, if these do not show all, by numbers.

        Numbers are those in the names, 0 for 000.png, if each cell has that of one picture and each picture is named.
        """
        different = dict.fromkeys(cells)
        for moved in (False, True):  # where some are in place, the folders before others mean something else
            found = {cell: path for cell in different if (path := self.find(cell, moved=moved)) is not None}
            if found:
                break
        return found if len(found) == len(different) else self._by_number(different) or found

    def _by_number(self, cells: Iterable[str]) -> Named:
        stems = [path.stem for path in self.there]
        if not all(each.isascii() and each.isdecimal() for each in (*cells, *stems)):
            return {}
        numbers = {int(stem): path for stem, path in zip(stems, self.there, strict=True)}
        found = {cell: numbers.get(int(cell)) for cell in cells}
        there = {cell: path for cell, path in found.items() if path is not None}
        return there if len({*there.values()}) == len(found) == len(stems) else {}


class Column(NamedTuple):
    """A column of names of pictures.

    at       its number, from 0.
    named    the names in it -> the pictures.
    alike    other columns that name other pictures, and are as likely to be those of the rows.
    others   other columns that name other pictures, but are not called as those of names.
    """

    at: int
    named: Named
    alike: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


def column_of_names(rows: Sequence[Sequence[str]], there: Pictures) -> Column | None:
    """Return the column with the most names of pictures, each of them once, with these; None if no column has any.

    Names with the endings of pictures come before others, then those in a column that is called so: the numbers of the
    rows may be names of pictures, too. Other numbers are names in a table of two columns, or in one that is called so.
    """
    columns: dict[int, tuple[tuple[bool, bool, int], Named]] = {}
    for at, name in enumerate(rows[0]):
        cells = [row[at] for row in rows[1:] if at < len(row)]
        found = there.find_all(cells)
        by_number = any(there.find(cell) is None for cell in found)
        if by_number and len(rows[0]) > 2 and name.lower() not in IDS:
            continue  # numbers of the rows, perhaps
        count = len({*found.values()})
        if count > len(rows) // 2:
            rank = (2 * count > len(rows) and _have_endings(found), name.lower() in FILE_NAMES, count)
            columns[at] = rank, found
    if not columns:
        return None
    at, (rank, found) = max(columns.items(), key=lambda column: column[1][0])  # the first of several
    rivals = {
        other: called
        for other, ((endings, called, _), named) in columns.items()
        if endings == rank[0] and any(named.get(row[other]) != found.get(row[at]) for row in _whole(rows[1:], rows[0]))
    }
    alike, others = (
        tuple(at for at, called in rivals.items() if (called == rank[1]) is each) for each in (True, False)
    )
    return Column(at, found, alike, others)


def _whole(rows: Iterable[Sequence[str]], header: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the rows with as many cells as the header."""
    return (row for row in rows if len(row) == len(header))


def _have_endings(names: Iterable[str]) -> bool:
    return bool(pictures([Path(name) for name in [*names][:1]]))


def column_like_names(rows: Sequence[Sequence[str]]) -> int | None:
    """Return the first column of paths with endings of pictures, or that is called as one of names; None without."""
    columns = range(len(rows[0]))
    ending = [at for at in columns if _have_endings(row[at] for row in rows[1:2] if at < len(row))]
    called = [at for at in columns if rows[0][at].lower() in FILE_NAMES]
    return next(iter((*ending, *called)), None)


def _one_each(pairs: Iterable[tuple[str, Path]]) -> Named:
    """Return names with their pictures; none that is of several."""
    named: Named = {}
    twice = set()
    for name, path in pairs:
        if named.setdefault(composed(name), path) != path:
            twice.add(composed(name))
    return {name: path for name, path in named.items() if name not in twice}


def _lower_ending(name: str) -> str:
    """Return a name with its ending in lower case."""
    stem, dot, ending = name.rpartition(".")  # a path's suffix took three times as long
    return f"{stem}{dot}{ending.lower()}" if stem and "/" not in ending else name
