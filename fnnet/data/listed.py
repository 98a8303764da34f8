"""Pictures in one folder whose classes a table beside them names, as Kaggle has them: labels.csv, train.csv.

Which column names the pictures is found by evidence: every cell is the name of a picture, with or without its ending.
Labels are the names of classes, as those of class folders are, whether they are numbers or not.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import numpy as np

from fnnet.core.params import Array
from fnnet.data.label_names import FEW, in_order, labels_of
from fnnet.data.layout import pictures
from fnnet.data.listing import entries, shown
from fnnet.data.notes import Note
from fnnet.data.opened import Opened
from fnnet.data.reader import Wanted
from fnnet.data.roles import LABELS, part_in, part_of
from fnnet.data.splits import divides, refuse_column
from fnnet.errors import counted
from fnnet.files.disk import refuse
from fnnet.names import composed

SUFFIXES: Final = (".csv", ".tsv")
WIDEST: Final = 64
"""Columns of such a table at most: more may be pixels."""
MOST_BYTES: Final = 2**26
NAMES: Final = (*LABELS, "class", "classes", "category", "categories")
"""What a column of labels is called among others, in lower case."""
FOLDERS: Final = "put the pictures of each class into a folder that is called as the class"

PARTS: Final = "put the pictures of each part and class into a folder: train/cat, test/cat"


class Listed(NamedTuple):
    """The pictures that a table names.

    table     its path.
    files     the pictures, in the order of the table.
    labels    int64 (n,).
    classes   their names.
    notes     how the table was read, and what is not used.
    """

    table: Path
    files: list[Path]
    labels: Array
    classes: tuple[str, ...]
    notes: tuple[Note, ...]


def find_listed(folder: Path) -> Listed | None:
    """Return the pictures of a folder without class folders that a table in it names, with their classes.

    The pictures lie in the folder itself, or in those in it, of training or of no part. None if there is no such table.
    Raises   DataError for a table that names some pictures, and is not of one name and one label a row.
    """
    inside = entries(folder)
    tables = [path for path in inside if path.suffix.lower() in SUFFIXES and path.is_file()]
    folders = [path for path in inside if path.is_dir()] if tables else []
    if not tables or len([path for path in folders if not part_of(path.name)]) > 1:
        return None
    if any(each.is_dir() for path in folders for each in entries(path)):
        return None
    there = pictures(inside) + [
        each for path in folders if part_of(path.name) in ("", "train") for each in pictures(entries(path))
    ]
    named = _named(there, folder) if there else {}
    found = [(path, rows, at) for path in tables if (rows := _rows(path)) and (at := _best(rows, named)) is not None]
    for parts in (("train",), ("train", "")):  # a table of the test set, which may have no labels, is the last choice
        found = [each for each in found if part_in(each[0].stem) in parts] or found
    if not found:
        return None
    if len(found) > 1:
        seen = shown([path.name for path, *_ in found])
        refuse(
            "several tables of pictures", folder, "the folder", "one table of names and labels", seen, "move one away"
        )
    path, rows, at = found[0]
    return _listed(path, rows, at, named, len(there), [each.name for each in tables if each != path])


def _named(there: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Return the names that a table may have for each picture -> the picture; none that is of several."""
    named: dict[str, Path] = {}
    twice = set()
    for path in there:
        place = path.relative_to(folder)
        for name in {str(place), path.name, str(place.with_suffix("")), path.stem}:
            if named.setdefault(composed(name), path) != path:
                twice.add(composed(name))
    return {name: path for name, path in named.items() if name not in twice}


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of a table of a few columns of text, without blank lines; none of other files."""
    with Opened(path) as file:
        content = file.read(MOST_BYTES + 1)
    try:
        lines = content.decode("utf-8-sig").splitlines()
        first = next((line for line in lines if line.strip()), "")
        separator = max("\t;,", key=first.count)
        rows = [row for row in csv.reader(lines, delimiter=separator, strict=True) if any(row)]
    except (UnicodeDecodeError, csv.Error):
        return []
    few = len(content) <= MOST_BYTES and len(rows) > 1 and 2 <= len(rows[0]) <= WIDEST
    return [[composed(cell.strip()) for cell in row] for row in rows] if few else []


def _best(rows: Sequence[Sequence[str]], named: dict[str, Path]) -> int | None:
    """Return the column with the most names of pictures, each of them once; None if no column has any."""
    columns = range(len(rows[0]))
    cells = [[row[at] for row in rows[1:] if at < len(row)] for at in columns]
    counts = [len({*column} & named.keys()) for column in cells]
    most = max(counts)
    return counts.index(most) if most > len(rows) // 2 else None


def _listed(
    path: Path, rows: list[list[str]], at: int, named: dict[str, Path], there: int, others: Sequence[str]
) -> Listed:
    """Return the pictures of a table whose column `at` names them."""
    headed = rows[0][at] not in named
    header = rows.pop(0) if headed else [str(number) for number in range(1, len(rows[0]) + 1)]
    label = _label_column(path, header, rows, at, named)
    files: list[Path] = []
    for number, row in enumerate(rows, 1 + headed):
        if len(row) != len(header):
            _refuse(path, f"row {number}", f"{len(header)} cells", f"{len(row)}")
        if row[at] not in named:
            _refuse(path, f"row {number}, column {header[at]}", "the name of a picture", repr(row[at][:40]))
        files.append(named[row[at]])
    beside = _beside(path, header, rows, at, label)
    if len({*files}) < len(files):
        twice, count = Counter(files).most_common(1)[0]
        _refuse(path, f"column {header[at]}", "each picture once", f"{twice.name} {count} times")
    labels, classes = _labels([row[label] for row in rows], path, header[label])
    text = f"{path}: column {header[at]} names the pictures, column {header[label]} their classes"
    notes = [Note("labels-in-table", text)]
    left = [f"{counted(there - len(files), 'picture')} that it does not name"] if there > len(files) else []
    unused = [*(f"column {name}" for name in beside), *others, *left]
    notes += [Note("not-used", f"{path}: not used: {shown(unused)}")] if unused else []
    return Listed(path, files, labels, classes, tuple(notes))


def _beside(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], at: int, label: int) -> list[str]:
    """Return the other columns, which are not used; DataError for one that says that the pictures are of several parts.

    One that is called as labels are is, whatever its values are: there may be a class called test.
    """
    columns = {number: {row[number] for row in rows} for number in range(len(header)) if number != at}
    for number, values in columns.items():
        name = header[number] if number != label else ""
        if divides(name, values) and not (number == label and header[number].lower() in NAMES):
            refuse_column(path, f"column {header[number]}", values, f"keep only the rows of one part, or {PARTS}")
    return [header[number] for number in columns if number != label and header[number]]


def _label_column(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], at: int, named: dict[str, Path]
) -> int:
    """Return the column of labels: the only other one, or the only one of them that is called so."""
    others = [number for number in range(len(header)) if number != at]
    called = [number for number in others if header[number].lower() in NAMES]
    label = others[0] if len(others) == 1 else called[0] if len(called) == 1 else None
    if label is None:
        seen = ", ".join(header[number] for number in others[:8])
        _refuse(path, "line 1", f"one column of labels beside {header[at]}", seen)
    if all(len(row) > label and row[label] in named for row in rows) and len({row[label] for row in rows}) == len(rows):
        seen = f"{header[at]} and {header[label]}"
        _refuse(path, "line 1", "one column of names of pictures, and one of labels", seen)
    return label


def _labels(texts: Sequence[str], path: Path, column: str) -> tuple[Array, tuple[str, ...]]:
    """Return labels as places of their names, and these; numbers are names, too."""
    labels, classes = labels_of(texts, path, column, Wanted(True))
    if not classes:
        classes = in_order([*{*texts}])
        if len(classes) > max(FEW, len(texts) // 2):
            _refuse(path, f"column {column}", "names of classes", f"{len(classes):,} numbers in {len(texts):,} rows")
        places = {name: number for number, name in enumerate(classes)}
        labels = np.array([places[text] for text in texts], np.int64)
    if len(classes) < 2:
        _refuse(path, f"column {column}", "at least two classes", classes[0])
    return labels, classes


def _refuse(path: Path, place: str, expected: str, found: str) -> NoReturn:
    refuse("a table beside pictures", path, place, expected, found, f"correct the table, or {FOLDERS}")
