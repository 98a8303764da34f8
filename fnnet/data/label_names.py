"""Labels that are names: text in a column of a table. One rule for all formats: classes are ordered as folders are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.csv_columns import NUMBERS
from fnnet.data.csv_lines import Lines, check_text
from fnnet.data.csv_numbers import NUMBER, is_name
from fnnet.data.listing import natural, shown
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Wanted
from fnnet.files.disk import refuse
from fnnet.names import composed, names_of_labels

MISSING: Final = frozenset({
    "", "?", "#N/A N/A", "#N/A", "N/A", "n/a", "NA", "<NA>", "#NA", "NULL", "null", "NaN", "-NaN", "nan", "-nan",
    "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
})  # fmt: skip
"""What pandas reads as missing, and ARFF's and UCI's mark."""
WHOLE: Final = re.compile("[-+]?[0-9]{1,300}")
"""A whole number, which is not rounded."""
FEW: Final = 10
"""Up to FEW names may all differ; more are classes if they are at most half as many as the rows."""
FIX: Final = "correct the cell, or remove the row"


def labels_of(texts: Sequence[str], path: AnyPath, column: str, wanted: Wanted) -> tuple[Array, tuple[str, ...]]:
    """Return labels, int64 (n,), and the names of their classes; none if all texts are numbers, which are labels.

    Names that the user or a model gives keep their order, those that are numbers too; others are in the order of class
    folders.
    Raises   DataError for names beside numbers, for missing names, and for names that hardly ever occur twice.
    """
    stripped = [composed(text.strip()) for text in texts]
    found = dict.fromkeys(stripped)
    numbers = [name for name in found if NUMBER.fullmatch(name)]
    called = set(found) <= set(wanted.names)
    plain = tuple(wanted.names) == names_of_labels(0, len(wanted.names))
    if len(numbers) == len(found) and (plain or wanted.first_label or not called):  # the first of numbers is given
        return _as_numbers(stripped, path, column, wanted.most_label), ()
    if called:
        classes = tuple(wanted.names)
    else:
        if wanted.labelled:
            _check(stripped, found, numbers, path, column)
        classes = in_order([*found])
    places = {name: number for number, name in enumerate(classes)}
    return np.array([places[name] for name in stripped], np.int64), classes


def named_labels(texts: Sequence[str], path: AnyPath, column: str) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return labels of pictures, int64 (n,), the names of their classes, and notes: numbers are names, too.

    Raises   DataError as `labels_of`, except for names beside numbers that are hardly a mistake: each in several rows.
    """
    found = dict.fromkeys(texts)
    numbers = [name for name in found if NUMBER.fullmatch(name)]
    notes: list[Note] = []
    if len(numbers) < len(found):
        _check(texts, found, () if _are_mixed(texts, numbers) else numbers, path, column)
        names = {name: name for name in found}
    else:
        wrong = next((number for number in numbers if not float(number).is_integer()), None)
        if wrong is not None:
            place, fix = f"row {texts.index(wrong) + 1}, column {column}", "correct the cell, or say --label-column"
            refuse("not a label", path, place, "a whole number, or a name", repr(wrong[:40]), fix)
        names = whole_names(texts)
        notes = _alike(names, path, column)
    classes = in_order([*{*names.values()}])
    places = {name: number for number, name in enumerate(classes)}
    return np.array([places[names[text]] for text in texts], np.int64), classes, notes


def _are_mixed(texts: Sequence[str], numbers: Sequence[str]) -> bool:
    """Return True for several numbers and several names, as digits and letters are, both in a tenth of the rows."""
    rows = [text in numbers for text in texts]
    several = len(numbers) > 1 and len({*texts}) - len(numbers) > 1
    return several and len(texts) <= 10 * sum(rows) <= 9 * len(texts)


def _alike(names: dict[str, str], path: AnyPath, column: str) -> list[Note]:
    """Return a note of numbers that are written in several ways, and are one class."""
    written: dict[str, list[str]] = {}
    for text, name in names.items():
        written.setdefault(name, []).append(text)
    several = [f"{shown(each)} as {name}" for name, each in written.items() if len(each) > 1]
    if not several:
        return []
    text = f"{os.fsdecode(path)}: column {column}: labels that are the same number are one class: {shown(several)}"
    return [Note("labels-alike", text)]


def _as_numbers(texts: Sequence[str], path: AnyPath, column: str, most: int) -> Array:
    values = np.array([float(text) for text in texts])
    wrong = ~((values >= 0) & (values <= most) & (values == np.floor(values)))
    if wrong.any():
        row = int(wrong.argmax())
        place, expected = f"row {row + 1}, column {column}", f"a whole number from 0 to {most}"
        refuse("not a label", path, place, expected, repr(texts[row][:40]), FIX)
    return values.astype(np.int64)


def _check(texts: Sequence[str], found: dict[str, None], numbers: Sequence[str], path: AnyPath, column: str) -> None:
    for name in found:
        place = f"row {texts.index(name) + 1}, column {column}"
        if name not in MISSING and not name.isprintable():
            expected, fix = "printable characters", "write the name without tabs and the like"
            refuse("a control character in the name of a class", path, place, expected, repr(name[:40]), fix)
        if name in MISSING:
            refuse("a label is missing", path, place, "the name of a class", repr(name[:40]), FIX)
    if numbers:
        other = next(name for name in found if name not in numbers)
        place = f"row {texts.index(other) + 1}, column {column}"
        refuse(
            "not a label",
            path,
            place,
            "a number, as in other rows",
            repr(other[:40]),
            f"correct the cell, or {NUMBERS}",
        )
    if len(found) > max(FEW, len(texts) // 2):
        some = f"{len(found):,} names in {len(texts):,} rows"
        fix = "say --label-column, or add rows of each class"
        refuse("names that hardly ever occur twice", path, f"column {column}", "names of classes", some, fix)


def whole_names(texts: Sequence[str]) -> dict[str, str]:
    """Return texts that are numbers -> the names of their classes: whole ones are called alike, 7 for 7.0 and 7.

    Digits alone are names as they are, 07 too, unless two are the same number. Other texts are what they are.
    """
    found = dict.fromkeys(texts)
    whole = {text: as_whole(text) for text in found}
    plain = all(text.isascii() and text.isdecimal() for text in found) and len({*whole.values()}) == len(found)
    return {text: text for text in found} if plain or not all(map(NUMBER.fullmatch, found)) else whole


def as_whole(text: str) -> str:
    """Return a whole number without point and exponent; other text as it is.

    >>> as_whole("7.0"), as_whole("7e0"), as_whole("7.5"), as_whole("seven")
    ('7', '7', '7.5', 'seven')
    """
    if WHOLE.fullmatch(text):
        return str(int(text))
    return str(int(float(text))) if NUMBER.fullmatch(text) and float(text).is_integer() else text


def in_order(classes: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes in natural order, as pictures are taken: numbers first, and those in names by value.

    >>> in_order(["k10", "k2", "10", "b", "9"])
    ('9', '10', 'b', 'k2', 'k10')
    """
    return tuple(sorted(classes, key=natural))


def joined(contents: Sequence[Content]) -> list[Content]:
    """Return pieces of one set whose labels are names, with all names as the classes of each."""
    if not all(each.named for each in contents):
        return [*contents]
    first = contents[0].classes
    if all(each.classes == first for each in contents):
        return [*contents]
    classes = in_order([*{name: None for each in contents for name in each.classes}])
    return [_renumbered(each, classes) for each in contents]


def with_test(content: Content, test: Content, where: AnyPath) -> Content:
    """Return a training set with its test set, whose labels are found by the names of training: each file may number
    the classes in an order of its own.

    Raises   DataError for a class that the training set has not.
    """
    other = [name for name in test.classes if name not in content.classes]
    if other or content.named != test.named:
        expected = f"{', '.join(content.classes[:12]) or 'numbers'}, as in {os.fsdecode(content.labels_at)}"
        found = ", ".join(other[:12]) or "numbers"
        refuse("classes of test and train differ", where, "the labels", expected, found, "give both the same classes")
    return content._replace(test=_renumbered(test, content.classes) if test.classes else test)


def _renumbered(content: Content, classes: tuple[str, ...]) -> Content:
    assert content.labels is not None
    places = np.array([classes.index(name) for name in content.classes])
    return content._replace(labels=places[content.labels], classes=classes)


class Texts:
    """The labels of lines of a table as text, taken out of them; 0 stands in their place."""

    def __init__(self, column: int, width: int, lines: Lines) -> None:
        self.column, self.width, self.lines = column, width, lines
        self.found: list[str] = []

    def begins_with_name(self, block: bytes, line: int) -> bool:
        """Return True if the label of the first line is neither a number nor empty."""
        cells = self.lines.cells(block.partition(b"\n")[0], line)
        return len(cells) == self.width and is_name(cells[self.column])

    def begins_without_label(self, block: bytes, line: int) -> bool:
        """Return True if the label of the first line is not a whole number from 0."""
        cells = self.lines.cells(block.partition(b"\n")[0], line)
        return len(cells) == self.width and not cells[self.column].isdecimal()

    def taken(self, block: bytes, line: int) -> bytes:
        """Return whole lines without the labels."""
        return b"\n".join(self._taken(each, number) for number, each in enumerate(block.split(b"\n"), line))

    def _taken(self, content: bytes, line: int) -> bytes:
        if self.lines.is_blank(content):
            return content
        separator = self.lines.separator.encode()
        if separator != b" " and b'"' not in content:
            cells = content.split(separator)
            if len(cells) != self.width:
                return content  # refused where cells are read
            self._take(cells[self.column].decode("utf-8", "surrogateescape"), line)
            cells[self.column] = b"0"
            return separator.join(cells)
        texts = self.lines.cells(content, line)
        if len(texts) != self.width:
            return content
        self._take(texts[self.column], line)
        texts[self.column] = "0"
        return separator.join(
            re.sub(r'["\s]', "_", each).encode("utf-8", "surrogateescape").replace(separator, b"_") for each in texts
        )

    def _take(self, label: str, line: int) -> None:
        self.found.append(check_text(label, f"line {line}, column {self.column + 1}", self.lines.path))

    def all_taken(self, pieces: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yield blocks of lines without the labels."""
        return ((line, self.taken(block, line)) for line, block in pieces)
