"""One small file of every format and variant, written by the library that people use, and what fnnet reads in it.

`python -m tests.campaigns.data` writes the table to docs/data.md; `tests/data/test_table.py` runs every row.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fnnet import data
from fnnet.data import preprocess
from fnnet.data.digits import load_digits
from fnnet.data.preprocess import Reading
from fnnet.errors import FnnetError, one_line

COUNT = 60
"""Images in a file."""
_X, _LABELS = load_digits()
X, LABELS = _X[:COUNT], _LABELS[:COUNT].astype(np.int64)
IMAGES = X.reshape(-1, 28, 28)
CLASSES = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""Names of the classes."""
BY_NAME = np.argsort(np.argsort(WORDS))
"""The place of each in alphabetical order, which classes have whose names nobody gave."""


class Case(NamedTuple):
    """A row of the table.

    group      the heading that it stands under.
    what       the variant.
    by         the library that wrote the file; "" if bytes were written as the format's description says.
    write      folder -> the path to load.
    reading    what the user says: fields of `Reading`, or arguments of `data.load`.
    expected   the pixels (n, height x width) and labels that are right; None for X and LABELS. A function of the path
               and the data set for what only the library can tell.
    refused    words of the error, if it is to be refused.
    codes      the codes of the notes that come.
    images     True if the file has no labels: it is read as images to predict.
    """

    group: str
    what: str
    by: str
    write: Callable[[Path], Any]
    reading: Mapping[str, Any] = MappingProxyType({})
    expected: Any = None
    refused: str = ""
    codes: tuple[str, ...] = ()
    images: bool = False

    @property
    def missing(self) -> str:
        """The library that this row needs and that is not installed."""
        return next((name for name in self.by.split("+") if name and importlib.util.find_spec(name) is None), "")


class Outcome(NamedTuple):
    """What happened: whether that was right, and a sentence for the table."""

    right: bool
    text: str


def run(case: Case, folder: Path) -> Outcome:
    """Write the file of a row into an empty folder, and read it."""
    path = case.write(folder)
    try:
        found = _images(path, case) if case.images else _load(path, case)
    except FnnetError as error:
        line = one_line(str(error)).replace(str(folder), "...").replace("|", "\\|")
        return Outcome(bool(case.refused) and case.refused in line, f"refused: {line}")
    if case.refused:
        return Outcome(False, "read")
    x, labels, notes, known = found
    wanted = case.expected(path, known) if callable(case.expected) else (case.expected or (X, LABELS))
    codes = tuple(note.code for note in notes)
    right = np.array_equal(x, wanted[0]) and (labels is None or np.array_equal(labels, wanted[1]))
    text = "the bytes of Pillow" if case.expected is of_pillow else "the right bytes" if right else "other bytes"
    said = f"; noted: {', '.join(codes)}" if codes else ""
    return Outcome(right and codes == case.codes, text + said)


def _load(path: Any, case: Case) -> tuple[Any, Any, Any, Any]:
    fields = {name: value for name, value in case.reading.items() if name in Reading._fields}
    rest = {name: value for name, value in case.reading.items() if name not in fields}
    found = data.load(str(path), reading=Reading(**fields), **rest)
    return found.train.x, found.train.labels, found.notes, found


def _images(path: Any, case: Case) -> tuple[Any, Any, Any, Any]:
    notes: list[Any] = []
    shape = case.expected[2] if isinstance(case.expected, tuple) and len(case.expected) > 2 else (28, 28)
    return data.read_images(path, shape, notify=notes.append), None, notes, None


def by_class(x: Any = X, labels: Any = LABELS) -> tuple[Any, Any]:
    """Return images and labels in the order of class folders."""
    order = np.argsort(labels, kind="stable")
    return x[order], labels[order]


def of_pillow(path: Path, known: Any) -> tuple[Any, Any]:
    """Return the pictures of class folders as Pillow reads them, blank pixels of lossy formats blank again."""
    from PIL import Image, ImageOps

    rows, labels = [], []
    for number, name in enumerate(sorted(each.name for each in path.iterdir())):
        for file in sorted((path / name).iterdir()):
            with Image.open(file) as image:
                rows.append(np.asarray(ImageOps.exif_transpose(image).convert("L")).ravel())
            labels.append(number)
    return np.take(preprocess.table(known.preprocessing), np.array(rows)), np.array(labels)


def cases() -> list[Case]:
    """Return all rows, in the order of the table."""
    from tests.campaigns.data import arrays, columns, extras, lines, pictures, strangers, tables

    pages = (tables, arrays, pictures, columns, extras, lines, strangers)
    return [case for page in pages for case in page.cases()]
