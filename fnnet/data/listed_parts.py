"""Tables of pictures in the folders of parts, each beside its own: train/labels.csv, test/labels.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fnnet.data.layout import lacking, parts_in
from fnnet.data.listed import Listed, find_listed, find_table
from fnnet.data.listing import entries, shown
from fnnet.data.notes import Note
from fnnet.data.pieces import unused_part
from fnnet.files.disk import refuse


def find_listed_parts(folder: Path, label_column: str | None) -> tuple[Listed, Listed | None] | None:
    """Return the pictures that a table in the folder of training names, and those of the test set, if a table does.

    None if there is no folder of training, or no such table in it.
    label_column   as `find_listed` takes it.
    Raises   DataError for a class of the test set that the training set has not, and as `find_listed`.
    """
    folders = [path for path in entries(folder) if path.is_dir()]
    part_of_each = parts_in(folder, [path.name for path in folders])
    parts = {part: path for path in folders if (part := part_of_each[path.name])}
    if "train" not in parts or len(parts) < sum(map(bool, part_of_each.values())):
        return None
    train = find_listed(parts["train"], label_column)
    if train is None:
        return None
    test = _test(parts["test"], train) if "test" in parts else None
    notes = list(train.notes)
    if "test" in parts and test is None:
        text = f"{parts['test']}: not used: no table in it names its pictures and their {train.column}"
        notes.append(Note("unlabelled-part", text))
    if "val" in parts:
        notes.append(unused_part(parts["val"], "val"))
    others = [path.name for path in folders if path not in parts.values()]
    notes += [Note("not-used", f"{folder}: not used: folders {shown(others)}")] if others else []
    return train._replace(notes=tuple(notes)), test


def _test(folder: Path, train: Listed) -> Listed | None:
    """Return the pictures of the test set, their labels as places of the classes of training; None without labels."""
    table = find_table(folder)
    if table is None:
        return None
    has_header = table.there.find(table.rows[0][table.names.at]) is None
    if has_header and train.column.lower() not in map(str.lower, table.rows[0]):
        return None
    test = find_listed(folder, train.column if has_header else None)
    assert test is not None
    if not {*test.classes} <= {*train.classes}:
        expected, found = f"{shown(train.classes)}, as in {train.table}", shown(test.classes)
        fix = "give both the same classes"
        refuse("classes of test and train differ", test.table, f"column {test.column}", expected, found, fix)
    places = np.array([train.classes.index(name) for name in test.classes], np.int64)
    missing = [name for name in train.classes if name not in test.classes]
    notes = (*test.notes, *lacking(test.table, missing))
    return test._replace(labels=places[test.labels], classes=train.classes, notes=notes)
