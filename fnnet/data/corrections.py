"""Corrections of labels: a table of images by their numbers, each with another label, or to be left out.

`fnnet suspects` writes one, its user edits it, and `fnnet train --corrections` reads it. Its columns are `index`, the
number of an image for training from 0; `label`, its class in the data; `correction`, another class, `leave-out`, or
nothing for the image as it is; of pictures, `file`; and `data`, by which data in another order are known. Other columns
are not read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from fnnet.core.params import freeze
from fnnet.core.state import Examples, unit_of
from fnnet.data.dataset import Dataset
from fnnet.data.listed import rows_of
from fnnet.data.mnist import Notify
from fnnet.data.notes import Note
from fnnet.errors import UsageError, counted
from fnnet.files.disk import refuse
from fnnet.limits import whole_number

LEAVE_OUT: Final = "leave-out"
"""What stands in place of a class for an image that is not trained on."""
COLUMNS: Final = ("index", "label", "correction")
FILE: Final = "file"
DATA: Final = "data"
CODE: Final = "corrected"
OPTION: Final = "--corrections"
OTHERS: Final = "corrections of other data"
WHOLE: Final = "give the data that 'fnnet suspects' read"


def corrected(dataset: Dataset, path: str | os.PathLike[str], notify: Notify = lambda notice: None) -> Dataset:
    """Return a data set with the labels of its images for training corrected by a table, or images left out.

    path     of the table, CSV.
    notify   called with a note of what was corrected.
    Raises   UsageError for a stream; DataError naming the row for a table that is not of these data: another file or
             label at a number, a class that is not one of them, an image twice.
    """
    check_memory(isinstance(dataset, Dataset))
    place = Path(path)
    rows, labels, kept = rows_in(place), dataset.train.labels.copy(), np.ones(len(dataset.train.labels), bool)
    seen: set[int] = set()
    changed, digest = 0, digest_of_labels(dataset)
    for number, row in enumerate(rows, 2):
        at = _image(row, dataset, digest, place, f"row {number}")
        if at in seen:
            refuse("image twice", place, f"row {number}", "each image once", row["index"], "remove one of the rows")
        seen.add(at)
        wanted = row["correction"]
        if wanted == LEAVE_OUT:
            kept[at] = False
        elif wanted and wanted != row["label"]:
            labels[at] = _class(wanted, dataset.classes, place, f"row {number}")
            changed += 1
    if not kept.any():
        refuse("leaves all images out", place, "the table", "an image to train on", "none", f"edit {COLUMNS[-1]}")
    train = Examples(freeze(dataset.train.x[kept]), freeze(labels[kept]))
    files = tuple(file for file, stays in zip(dataset.files[0], kept.tolist(), strict=False) if stays)
    out = counted(int((~kept).sum()), unit_of(dataset.preprocessing))
    note = Note(CODE, f"{place}: {counted(changed, 'label')} corrected, {out} left out")
    notify(note)
    return dataset._replace(
        train=train, files=(files, dataset.files[1]), notes=(*dataset.notes, note),
        origin=dataset.origin._replace(corrections=os.fsdecode(path)),
    )  # fmt: skip


def digest_of_labels(dataset: Dataset) -> str:
    """Return what tells data whose labels for training are others, or in another order; no number to a spreadsheet."""
    return f"sha256:{hashlib.sha256(dataset.train.labels.astype('<i8').tobytes()).hexdigest()[:12]}"


def check_memory(is_held: bool) -> None:
    """Raise UsageError unless the images are held in memory, rather than read piece by piece."""
    if not is_held:
        raise UsageError("are of images in memory", where=OPTION, expected="no stream", found="a stream")


def rows_in(path: Path) -> list[Mapping[str, str]]:
    """Return the rows of a table by the names of its columns; DataError for another table, StorageError without one."""
    table = rows_of(path)
    header = [name.lower() for name in table[0]] if table else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        seen = ", ".join(header[:8]) or "no such table"
        fix = "write it by 'fnnet suspects'"
        refuse("not a table of corrections", path, "line 1", f"columns {', '.join(COLUMNS)}", seen, fix)
    for number, row in enumerate(table[1:], 2):
        if len(row) != len(header):
            refuse("cells", path, f"row {number}", f"{len(header)} cells", f"{len(row)}", "correct the row")
    return [dict(zip(header, row, strict=True)) for row in table[1:]]


def _image(row: Mapping[str, str], dataset: Dataset, digest: str, path: Path, place: str) -> int:
    """Return the number of the image of a row; DataError unless it has the label and the file of that row, and all
    labels have its digest.
    """
    labels, files, at = dataset.train.labels, dataset.files[0], whole_number(row["index"])
    if at is None or not 0 <= at < len(labels):
        refuse(OTHERS, path, f"{place}, column index", f"0 to {len(labels) - 1}", repr(row["index"]), WHOLE)
    label = dataset.classes[labels[at]]
    if row["label"] != label.strip():  # cells of a table are read without blanks around them
        refuse(OTHERS, path, f"{place}, column label", f"{label}, as image {at} has", repr(row["label"]), WHOLE)
    if (known := row.get(DATA)) and known != digest:
        expected = f"{digest}, of all labels of these data"
        refuse(OTHERS, path, f"{place}, column {DATA}", expected, repr(known), f"{WHOLE}, rows in the same order")
    if files and (name := row.get(FILE)) and Path(name).name != Path(files[at]).name:
        refuse(OTHERS, path, f"{place}, column {FILE}", f"{files[at]}, which is image {at}", name, WHOLE)
    return at


def _class(name: str, classes: Sequence[str], path: Path, place: str) -> int:
    names = [each.strip() for each in classes]
    if name not in names:
        expected = f"{', '.join(classes[:12])}, {LEAVE_OUT} or nothing"
        refuse("not a class", path, f"{place}, column correction", expected, repr(name), "correct the cell")
    return names.index(name)
