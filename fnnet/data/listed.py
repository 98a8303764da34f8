"""Pictures in one folder whose classes a table beside them names, as Kaggle has them: labels.csv, train.csv.

Which column names the pictures is found by evidence: every cell is the name of a picture, with or without its ending.
Labels are the names of classes, as those of class folders are, whether they are numbers or not.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from fnnet.core.params import Array
from fnnet.data.csv_columns import OPTION, column_said
from fnnet.data.kinds import AS_UTF8, UTF16, kind_of
from fnnet.data.label_names import FEW, named_labels
from fnnet.data.layout import pictures
from fnnet.data.listed_names import Column, Pictures, column_like_names, column_of_names
from fnnet.data.listing import entries, shown
from fnnet.data.notes import Note
from fnnet.data.opened import Opened
from fnnet.data.reader import HEAD, Wanted
from fnnet.data.roles import called_labels, part_in, part_of
from fnnet.data.splits import divides, refuse_column
from fnnet.data.unpacked import unpacked
from fnnet.errors import counted
from fnnet.files.disk import read_head, refuse, show_bytes
from fnnet.names import composed

SUFFIXES: Final = (".csv", ".tsv")
WIDEST: Final = 64
"""Columns of such a table at most: more may be pixels."""
MOST_BYTES: Final = 2**26
FOLDERS: Final = "put the pictures of each class into a folder that is called as the class"

OTHER_PARTS: Final = ("test", "val")
PARTS: Final = "put the pictures of each part and class into a folder: train/cat, test/cat"


class Listed(NamedTuple):
    """The pictures that a table names.

    table     its path.
    files     the pictures, in the order of the table.
    labels    int64 (n,).
    classes   their names.
    column    the name of the column of labels.
    notes     how the table was read, and what is not used.
    """

    table: Path
    files: list[Path]
    labels: Array
    classes: tuple[str, ...]
    column: str
    notes: tuple[Note, ...]


class Table(NamedTuple):
    """A table that names pictures.

    path     its path.
    rows     its cells.
    names    the column of the names.
    there    all pictures that it might name.
    aside    the pictures of other parts than training, by their folders.
    others   the names of other tables beside it.
    """

    path: Path
    rows: list[list[str]]
    names: Column
    there: Pictures
    aside: list[Path]
    others: list[str]


def find_listed(folder: Path, label_column: str | None = None) -> Listed | None:
    """Return the pictures of a folder without class folders that a table in it names, with their classes.

    The pictures lie in the folder itself, or in those in it, of training or of no part. None if there is no such table.
    label_column   the column of labels, as `Reading` has it; None to find it.
    Raises   DataError for a table that names some pictures, and is not of one name and one label a row.
    """
    table = find_table(folder)
    return table and listed_of(table, label_column)


def find_table(folder: Path) -> Table | None:
    """Return the table of `find_listed`, whatever else is in it.

    Raises   DataError for several such tables, and if names in a table are those of no pictures.
    """
    inside = entries(folder)
    tables = [path for path in inside if (is_table(path) or _is_unicode_text(path)) and path.is_file()]
    folders = [path for path in inside if path.is_dir()] if tables else []
    if not tables or len([path for path in folders if not part_of(path.name)]) > 1:
        return None
    if any(each.is_dir() for path in folders for each in entries(path)):
        return None
    parts: dict[str, list[Path]] = {"": pictures(inside)}
    for path in folders:
        parts.setdefault(part_of(path.name), []).extend(pictures(entries(path)))
    paths = parts[""] + parts.get("train", [])
    if not paths:
        return None
    there, aside = Pictures(paths, folder), parts.get("test", []) + parts.get("val", [])
    read = [(path, rows) for path in tables if (rows := rows_of(path))]
    found = [Table(path, rows, best, there, aside, []) for path, rows in read if (best := column_of_names(rows, there))]
    others = [each for each in found if _is_of_others(each.path, parts)]
    found = [each for each in found if each not in others]
    for wanted in (("train",), ("train", "")):  # a table of the test set, which may have no labels, is the last choice
        found = [each for each in found if part_of_table(each.path) in wanted] or found
    if not found:
        _check_texts({*tables} - {path for path, _ in read})
        _check_names([each for each in read if each[0] not in {other.path for other in others}], there, aside, folder)
        _check_part(others)
        return None
    return only_table(found, tables, folder)


def only_table(found: Sequence[Table], tables: Sequence[Path], folder: Path) -> Table:
    """Return the only one of the tables that name pictures, with the names of the others beside it.

    Raises   DataError if there are several.
    """
    if len(found) > 1:
        seen = shown([each.path.name for each in found])
        refuse(
            "several tables of pictures", folder, "the folder", "one table of names and labels", seen, "move one away"
        )
    return found[0]._replace(others=[each.name for each in tables if each != found[0].path])


def is_table(path: Path) -> bool:
    """Return True for the name of such a table, which gzip may have packed."""
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def part_of_table(path: Path) -> str:
    """Return the part that the name of a table says; what is submitted to Kaggle is of the test set."""
    return "test" if "submission" in path.name.lower() else part_in(path.stem)


def _is_of_others(table: Path, parts: Mapping[str, Sequence[Path]]) -> bool:
    """Return True if a table is of another part than training, by its name, and pictures of training or of its part
    are known by their folders: names in several parts are often alike.

    parts   the part of folders -> the pictures in them.
    """
    part = part_of_table(table)
    return part in OTHER_PARTS and bool(parts.get("train") or parts.get(part))


def _check_part(others: Sequence[Table]) -> None:
    """Raise DataError if all tables that name the pictures of training are of other parts."""
    for path, rows, (at, named, *_), *_ in others:
        first = next(iter(named.values())).relative_to(path.parent)
        expected, found = f"a table for {first} and the others, such as train.csv", "one of another part by its name"
        _refuse(path, f"column {rows[0][at][:40]}", expected, found, "add it; if this is that table, rename it")


def _check_names(
    read: Sequence[tuple[Path, list[list[str]]]], there: Pictures, aside: Sequence[Path], folder: Path
) -> None:
    """Raise DataError for a table with a column like one of names of pictures, which no reader of tables takes."""
    for path, rows in read:
        at = column_like_names(rows)
        if at is not None:
            cells = [row[at] for row in rows[1:] if at < len(row)]
            other = next((cell for cell in cells if there.find(cell) is None), None)
            if other is None:
                found = f"{counted(len({*cells}), 'name')} in {counted(len(cells), 'row')}"
                _refuse(path, f"column {rows[0][at][:40]}", "each picture once", found)
            _check_aside(path, f"column {rows[0][at][:40]}", other, there, aside)
            expected = f"names of pictures in {folder.name or folder}, such as {there.there[0].relative_to(folder)}"
            _refuse(path, f"column {rows[0][at][:40]}", expected, f"{other[:80]!r}, which is the name of none")


def _check_aside(path: Path, place: str, cell: str, there: Pictures, aside: Sequence[Path]) -> None:
    """Raise DataError for a cell that names a picture of another part than training.

    there, aside   the pictures of training, and those of other parts.
    """
    found = Pictures(aside, path.parent).find(cell)
    if found is not None:
        expected = f"names of pictures of training, such as {there.there[0].relative_to(path.parent)}"
        seen = f"{cell[:40]!r}, which is {found.relative_to(path.parent)}, of another part by its folder"
        refuse("a table beside pictures", path, place, expected, seen, f"keep only the rows of training, or {PARTS}")


def _is_unicode_text(path: Path) -> bool:
    """Return True for a table as Excel writes it by that name."""
    return path.suffix.lower() == ".txt" and path.is_file() and read_head(path, 2) in UTF16


def _check_texts(tables: Collection[Path]) -> None:
    """Raise DataError for a table without rows that is not UTF-8."""
    for path in sorted(tables):
        content = _content(path)
        if len(content) > MOST_BYTES:
            continue
        known, at = kind_of(content[:HEAD]), content.find(b"\0")
        try:
            content.decode()
        except UnicodeDecodeError as error:
            at = error.start if at < 0 else min(at, error.start)
        if at >= 0:
            found = known[0] if known else f"the bytes {show_bytes(content[at:])}"
            _refuse(path, f"byte {at}", "text in UTF-8", found, known[1] if known else AS_UTF8)


def _content(path: Path) -> bytes:
    """Return the content of a table, unpacked, or its first bytes, one more than it may have."""
    content = b""
    with Opened(path) as file, unpacked(file, path) as source:
        while len(content) <= MOST_BYTES and (piece := source.read(MOST_BYTES + 1 - len(content))):
            content += piece
    return content


def rows_of(path: Path) -> list[list[str]]:
    """Return the rows of a table of a few columns of text, without blank lines; none of other files."""
    content = _content(path)
    if b"\0" in content:
        return []
    try:
        lines = content.decode("utf-8-sig").splitlines()
        first = next((line for line in lines if line.strip()), "")
        separator = max("\t;,", key=first.count)
        if len(content) > MOST_BYTES or first.count(separator) >= WIDEST:
            return []
        rows = [row for row in csv.reader(lines, delimiter=separator, strict=True) if any(row)]
    except (UnicodeDecodeError, csv.Error):
        return []
    few = len(rows) > 1 and 2 <= len(rows[0]) <= WIDEST
    return [[composed(cell.strip()) for cell in row] for row in rows] if few else []


def listed_of(table: Table, label_column: str | None) -> Listed:
    """Return the pictures of a table."""
    path, rows, (at, named, alike, rivals) = table.path, [*table.rows], table.names
    first = table.there.find(rows[0][at])
    if first is None:
        header = rows.pop(0)
    else:
        header, named = [str(number) for number in range(1, len(rows[0]) + 1)], {**named, rows[0][at]: first}
    if alike:
        seen = shown([header[number] for number in sorted((at, *alike))])
        _refuse(path, "line 1", "one column of names of pictures", seen, "leave the other names out")
    label = _label_column(table, header, rows, label_column)
    files: list[Path] = []
    for number, row in enumerate(rows, 1 + (first is None)):
        if len(row) != len(header):
            _refuse(path, f"row {number}", f"{len(header)} cells", f"{len(row)}")
        if row[at] not in named:
            _check_aside(path, f"row {number}, column {header[at]}", row[at], table.there, table.aside)
            _refuse(path, f"row {number}, column {header[at]}", "the name of a picture", repr(row[at][:40]))
        files.append(named[row[at]])
    beside = _beside(path, header, rows, at, label)
    if len({*files}) < len(files):
        twice, count = Counter(files).most_common(1)[0]
        _refuse(path, f"column {header[at]}", "each picture once", f"{twice.name} {count} times")
    labels, classes, merged = _labels([row[label] for row in rows], path, header[label])
    part = part_of_table(path)
    of = f"; by its name it is of {part}" if part in OTHER_PARTS else ""
    text = f"{path}: column {header[at]} names the pictures, column {header[label]} their classes{of}"
    notes = [Note("labels-in-table", text), *merged]
    more = len(table.there.there) - len(files)
    left = [f"{counted(more, 'picture')} that it does not name"] if more else []
    too = {header[number] for number in rivals}
    unused = [
        *(f"column {name}{' (of pictures, too)' * (name in too)}" for name in beside),
        *table.others,
        *left,
    ]
    notes += [Note("not-used", f"{path}: not used: {shown(unused)}")] if unused else []
    return Listed(path, files, labels, classes, header[label], tuple(notes))


def _beside(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], at: int, label: int) -> list[str]:
    """Return the other columns, which are not used; DataError for one that says that the pictures are of several parts.

    One that is called as labels are is, whatever its values are: there may be a class called test.
    """
    columns = {number: {row[number] for row in rows} for number in range(len(header)) if number != at}
    for number, values in columns.items():
        name = header[number] if number != label else ""
        if divides(name, values) and not (number == label and header[number].lower() in called_labels(header)):
            refuse_column(path, f"column {header[number]}", values, f"keep only the rows of one part, or {PARTS}")
    return [header[number] for number in columns if number != label and header[number]]


def _label_column(table: Table, header: Sequence[str], rows: Sequence[Sequence[str]], label_column: str | None) -> int:
    """Return the column of labels: that which the user says, the only other one, or the only one that is called so."""
    path, at = table.path, table.names.at
    if label_column is not None:
        told = column_said([*header], "line 1", path, Wanted(True, label_column=label_column))
        if told is None or told == at:
            seen = f"--label-column {label_column}"
            _refuse(path, "line 1", f"a column of labels beside {header[at]}", seen, "name another")
        return told
    others = [number for number in range(len(header)) if number != at]
    names = called_labels(header[number] for number in others)
    called = [number for number in others if header[number].lower() in names]
    label = others[0] if len(others) == 1 else called[0] if len(called) == 1 else None
    if label is None:
        seen = ", ".join(header[number] for number in others[:8])
        _refuse(path, "line 1", f"one column of labels beside {header[at]}", seen, OPTION)
    cells = {row[label] for row in rows if label < len(row)}
    if len(cells) == len(rows) and all(table.there.find(cell) for cell in cells):
        seen = f"{header[at]} and {header[label]}"
        _refuse(path, "line 1", "one column of names of pictures, and one of labels", seen)
    return label


def _labels(texts: Sequence[str], path: Path, column: str) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return labels as places of their names, these, and notes; numbers are names, too."""
    labels, classes, notes = named_labels(texts, path, column)
    if len(classes) > max(FEW, len(texts) // 2):
        _refuse(path, f"column {column}", "names of classes", f"{len(classes):,} numbers in {len(texts):,} rows")
    if len(classes) < 2:
        _refuse(path, f"column {column}", "at least two classes", classes[0])
    return labels, classes, notes


def _refuse(path: Path, place: str, expected: str, found: str, fix: str = "correct the table") -> NoReturn:
    refuse("a table beside pictures", path, place, expected, found, f"{fix}, or {FOLDERS}")
