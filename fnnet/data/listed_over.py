"""A table beside several folders that names the pictures in them: are the folders classes, or parts of one collection?

HAM10000 has HAM10000_images_part_1, HAM10000_images_part_2 and HAM10000_metadata.csv; others have images, masks and
train.csv. Folders whose names say that they are not classes are read as the table says. Folders are classes, too, where
a column of the table says the same. Else the user says which it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from fnnet.data.label_names import FEW
from fnnet.data.layout import Layout, class_folder, pictures
from fnnet.data.listed import OTHER_PARTS, Listed, Table, is_table, listed_of, only_table, part_of_table, rows_of
from fnnet.data.listed_names import FILE_NAMES, Pictures, column_of_names
from fnnet.data.listing import entries, shown
from fnnet.data.roles import called_labels
from fnnet.errors import counted
from fnnet.files.disk import refuse

OF_IMAGES: Final = frozenset({"images", "image", "imgs", "img", "pictures", "pics", "photos"})
"""What a folder of the pictures of all classes is called, in lower case."""
PIECES: Final = frozenset({*OF_IMAGES, "part", "parts", "piece", "chunk", "batch", "shard"})
"""Words in the names of folders that differ in a number, and are pieces of one collection."""
OF_FOLDERS: Final = frozenset({"folder", "subfolder", "dir", "subdir", "directory", "path"})
"""What a column of the folders of pictures is called, in lower case."""
NUMBER: Final = re.compile("[0-9]+|(?<![a-z])[a-z]$")


def find_table_over(folder: Path, layout: Layout, *, given: bool = False) -> Table | None:
    """Return the table beside class folders that says what the pictures in them are; None if the folders do.

    folder   that of the data set; the table lies in it, or in that of the training set.
    given     True if the user names its column of labels.
    Raises   DataError for several such tables, and where either may say it.
    """
    inside = [path for where in dict.fromkeys((folder, layout.train)) for path in entries(where)]
    tables = [path for path in inside if is_table(path) and path.is_file() and part_of_table(path) not in OTHER_PARTS]
    if not tables:
        return None
    found = {name: path for name in layout.classes if (path := class_folder(layout.train, name))}
    there = {name: pictures(entries(path)) for name, path in found.items()}
    read = [(path, rows) for path in tables if (rows := rows_of(path))]
    for names in _groups(there):
        some = {name: there[name] for name in names}
        over = [table for each in read if (table := _named(*each, some, folder, alone=len(some) < len(there)))]
        plainly = given or len(names) == 1 or _are_pieces(names)
        over = [each for each in over if plainly or not _says_the_same(each)]
        if over and plainly:
            left = [f"folder {name}" for name in there if name not in names]
            left += [f"folder {layout.test.name}"] if layout.test else []
            table = only_table(over, tables, folder)
            return table._replace(others=[*table.others, *left])
        if over:
            _refuse(over[0])
    return None


def find_listed_over(folder: Path, layout: Layout, label_column: str | None) -> Listed | None:
    """Return the pictures of `find_table_over` with their classes; None if the folders are the classes.

    label_column   as `find_listed` takes it.
    """
    table = find_table_over(folder, layout, given=label_column is not None)
    return table and listed_of(table, label_column)


def _groups(there: Mapping[str, Sequence[Path]]) -> Iterator[list[str]]:
    """Yield the names of folders that a table may be of: the pieces of one collection, that of images alone, all."""
    families: dict[str, list[str]] = {}
    for name in there:
        families.setdefault(NUMBER.sub("#", name.lower()), []).append(name)
    yield from (names for names in families.values() if 1 < len(names) < len(there) and _are_pieces(names))
    yield from ([name] for name in there if name.lower() in OF_IMAGES)
    yield [*there]


def _are_pieces(names: Sequence[str]) -> bool:
    """Return True for names that differ in a number or a last letter alone, and say that they are pieces."""
    [first, *others] = {NUMBER.sub("#", name.lower()) for name in names}
    return not others and not PIECES.isdisjoint(re.split("[^a-z]+", first))


def _named(
    path: Path, rows: list[list[str]], there: Mapping[str, Sequence[Path]], folder: Path, *, alone: bool
) -> Table | None:
    """Return a table that names most of the pictures in folders, and may have labels; None for others.

    alone   True if it must name no others.
    """
    paths = [each for inside in there.values() for each in inside]
    names = Pictures(paths, folder)
    column = column_of_names(rows, names)
    if column is None or 2 * len({*column.named.values()}) <= len(paths):
        return None
    if alone and not all(row[column.at] in column.named for row in rows[1:] if column.at < len(row)):
        return None
    called = rows[0][column.at].lower() in FILE_NAMES or names.find(rows[0][column.at]) is not None
    if not called and all(cell.isdecimal() for cell in column.named):
        return None  # numbers of anything
    table = Table(path, rows, column, names, [], [])
    return table if _may_be_labels(table) else None


def _may_be_labels(table: Table) -> list[str]:
    """Return the names of the columns that have few values, each of several pictures."""
    found = []
    for at, name in enumerate(_header(table)):
        values = {row[at] for row in table.rows[1:] if at < len(row)}
        if at != table.names.at and 1 < len(values) <= max(FEW, len(table.rows) // 2):
            found.append(name)
    return found


def _header(table: Table) -> list[str]:
    """Return the names of the columns, their numbers in a table without a header."""
    [first, *_] = table.rows
    return first if table.there.find(first[table.names.at]) is None else [str(at + 1) for at in range(len(first))]


def _says_the_same(table: Table) -> bool:
    """Return True if a column of labels, or any if none is called so, has one value for each folder, and others for
    others."""
    at, named, *_ = table.names
    header = [name.lower() for name in _header(table)]
    called = called_labels(header)
    columns = [
        column
        for column, name in enumerate(header)
        if column != at and (name in called if called else name not in OF_FOLDERS)
    ]
    rows = [row for row in table.rows[1:] if len(row) == len(header) and row[at] in named]
    for column in columns:
        pairs = {(named[row[at]].parent, row[column]) for row in rows}
        folders, values = ({pair[side] for pair in pairs} for side in (0, 1))
        if 1 < len(pairs) == len(folders) == len(values):
            return True
    return False


def _refuse(table: Table) -> NoReturn:
    named = {*table.names.named.values()}
    folders = [*dict.fromkeys(path.parent.name for path in table.there.there if path in named)]
    seen = f"names of {counted(len(named), 'picture')} in {shown(folders)}"
    expected = "class folders, or a table of the classes of pictures"
    fix = (
        f"if a column is the classes, such as {shown(_may_be_labels(table))}, say --label-column; if the folders are, "
        "move the table away"
    )
    place = f"column {_header(table)[table.names.at][:40]}"
    refuse("the folders or the table may say the classes", table.path, place, expected, seen, fix)
