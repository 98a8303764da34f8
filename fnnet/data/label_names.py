"""Labels that are names: text in a column of a table. One rule for all formats: classes are ordered as folders are."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set, Sized
from typing import Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.csv_columns import NUMBERS
from fnnet.data.csv_lines import Lines, check_text
from fnnet.data.csv_numbers import NUMBER, is_name
from fnnet.data.listing import natural
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Content, Wanted
from fnnet.files.disk import refuse
from fnnet.names import composed, is_printable, names_of_labels

MISSING: Final = frozenset({
    "", "?", "#N/A N/A", "#N/A", "N/A", "n/a", "NA", "<NA>", "#NA", "NULL", "null", "NaN", "-NaN", "nan", "-nan",
    "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
})  # fmt: skip
"""What pandas reads as missing, and ARFF's and UCI's mark."""
WHOLE: Final = re.compile("[-+]?[0-9]{1,300}")
"""A whole number, which is not rounded."""
FEW: Final = 10
"""Up to FEW names may all differ; more are classes if they are at most half as many as the rows."""
IN_TEXT: Final = frozenset({"", "nan", "None", "<NA>"})
"""What Python writes for a missing value among text: arrays of text have no other."""
FIX: Final = "correct the cell, or remove the row"
NO_LABEL: Final = dict.fromkeys(MISSING, FIX)
MISSING_FIX: Final = f"{FIX}; if it is a class, say --class-names with all of them"


def labels_of(
    texts: Sequence[str],
    path: AnyPath,
    column: str,
    wanted: Wanted,
    *,
    typed: bool = False,
    missing: Set[str] = MISSING,
) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return labels, int64 (n,), the names of their classes, and notes; no names if all texts are numbers: the labels.

    Names that the user or a model gives keep their order, those that are numbers too; others are in the order of class
    folders. Texts beside numbers may be names as these are: see `_are_names_alike`.
    typed     True if the column or array is of text by its type. Numbers are then names, too, if some that occur more
              than once are not those of classes.
    missing   what stands for no label.
    Raises   DataError for names beside numbers, for missing names, and for names that hardly ever occur twice.
    """
    stripped = [composed(text.strip()) for text in texts]
    found = Counter(stripped)
    numbers = [name for name in found if NUMBER.fullmatch(name)]
    called = set(found) <= set(wanted.names)
    plain = tuple(wanted.names) == names_of_labels(0, len(wanted.names))
    all_numbers = len(numbers) == len(found)
    if all_numbers and (plain or wanted.first_label or not called):  # the first of numbers is given
        if not (typed and plain and not wanted.known and not wanted.first_label and _are_names(found, wanted.names)):
            labels = _as_numbers(stripped, path, column, wanted.most_label)
            return labels, (), merged(texts, labels, path, column)
        whole = whole_names(stripped)
        stripped = [whole[text] for text in stripped]
        classes = in_order([*{*stripped}])
    elif called:
        classes = tuple(wanted.names)
    else:
        if wanted.labelled:
            fixes = {name: MISSING_FIX if wanted.names and name else FIX for name in missing}
            stray = [] if _are_names_alike(found, numbers, typed=typed) else numbers
            _check(stripped, found, stray, path, column, fixes)
        classes = in_order([*found])
    labels = _places(stripped, classes)
    return labels, classes, merged(texts, labels, path, column)


def named_labels(texts: Sequence[str], path: AnyPath, column: str) -> tuple[Array, tuple[str, ...], list[Note]]:
    """Return labels of pictures, int64 (n,), the names of their classes, and notes: numbers are names, too.

    Raises   DataError as `labels_of`, except for names that are numbers.
    """
    found = Counter(texts)
    numbers = [name for name in found if NUMBER.fullmatch(name)]
    if len(numbers) < len(found):
        _check(texts, found, () if _are_names_alike(found, numbers) else numbers, path, column)
        names = {name: name for name in found}
    else:
        wrong = next((number for number in numbers if not float(number).is_integer()), None)
        if wrong is not None:
            place, fix = f"row {texts.index(wrong) + 1}, column {column}", "correct the cell, or say --label-column"
            refuse("not a label", path, place, "a whole number, or a name", repr(wrong[:40]), fix)
        names = whole_names(texts)
    classes = in_order([*{*names.values()}])
    labels = _places([names[text] for text in texts], classes)
    return labels, classes, merged(texts, labels, path, column)


def _places(names: Sequence[str], classes: Sequence[str]) -> Array:
    places = {name: number for number, name in enumerate(classes)}
    return np.array([places[name] for name in names], np.int64)


def merged(texts: Sequence[str], labels: Array, path: AnyPath, column: str) -> list[Note]:
    """Return a note if texts that differ are one label, as `a` and `a ` or `1` and `01` are."""
    written: dict[int, dict[str, None]] = {}
    for text, label in zip(texts, labels.tolist(), strict=True):
        written.setdefault(label, {})[composed(text)] = None
    several = next((each for each in written.values() if len(each) > 1), None)
    if several is None:
        return []
    some = " and ".join(repr(text[:40]) for text in [*several][:3])
    return [Note("same-label", f"{os.fsdecode(path)}: column {column}: {some} are read as one label")]


def _are_names_alike(found: Counter[str], numbers: Sequence[str], *, typed: bool = False) -> bool:
    """Return True if numbers and other texts are names alike, as digits and letters are, and neither are faults.

    There are several of both, each in a tenth of the rows or more; or most different ones are other texts; or the
    array is of text by its type, and none of them is much rarer than others are in the mean. What occurs once is a
    fault.
    """
    if not numbers:
        return True
    others = [name for name in found if name not in numbers]
    number, rarest = max(found[name] for name in numbers), min(found[name] for name in others)
    share = sum(found[name] for name in numbers) / found.total()
    several = min(len(numbers), len(others)) > 1 and 0.1 <= share <= 0.9
    often = typed and rarest > 1 and 10 * rarest * len(found) >= found.total()
    return several or (number > 1 and (2 * len(others) > len(found) or often))


def _are_names(found: Counter[str], known: Sequence[str]) -> bool:
    """Return True if whole numbers, stored as text, are names of classes: not those that are known, which are places.

    A few that occur once each are faults, and so are more different ones than there are classes.
    """
    whole = {text: as_whole(text) for text in found}
    others = [text for text, name in whole.items() if name not in known]
    several = 2 * len(others) > len(found) or any(found[text] > 1 for text in others)
    return (
        bool(others) and several and all(map(str.isdecimal, whole.values())) and not _hardly_twice(found, found.total())
    )


def _hardly_twice(found: Sized, rows: int) -> bool:
    return len(found) > max(FEW, rows // 2)


def _as_numbers(texts: Sequence[str], path: AnyPath, column: str, most: int) -> Array:
    values = np.array([float(text) for text in texts])
    wrong = ~((values >= 0) & (values <= most) & (values == np.floor(values)))
    if wrong.any():
        row = int(wrong.argmax())
        place, expected = f"row {row + 1}, column {column}", f"a whole number from 0 to {most}"
        refuse("not a label", path, place, expected, repr(texts[row][:40]), FIX)
    return values.astype(np.int64)


def _check(
    texts: Sequence[str],
    found: Mapping[str, object],
    numbers: Sequence[str],
    path: AnyPath,
    column: str,
    missing: Mapping[str, str] = NO_LABEL,
) -> None:
    for name in found:
        place = f"row {texts.index(name) + 1}, column {column}"
        if name in missing:
            refuse("a label is missing", path, place, "the name of a class", repr(name[:40]), missing[name])
        check_printable(name, path, place, "write the name")
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
    if _hardly_twice(found, len(texts)):
        some = f"{len(found):,} names in {len(texts):,} rows"
        fix = "say --label-column, or add rows of each class"
        refuse("names that hardly ever occur twice", path, f"column {column}", "names of classes", some, fix)


def check_printable(name: str, path: AnyPath, place: str, how: str) -> None:
    """Raise DataError for a name with a character that is not printed: two names may look alike by it.

    how   what to do to the name, an imperative.
    """
    if not is_printable(name):
        problem, fix = "the name of a class cannot be printed", f"{how} with plain spaces, without tabs and the like"
        refuse(problem, path, place, "printable characters", repr(name[:40]), fix)


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

    >>> as_whole("7.0"), as_whole("7e0"), as_whole("07"), as_whole("7.5"), as_whole("seven")
    ('7', '7', '7', '7.5', 'seven')
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
    """Return pieces of one set whose labels are names, with all names as the classes of each.

    Beside pieces whose names are numbers, numbers are names.
    """
    if any(each.named and all(map(str.isdecimal, each.classes)) for each in contents):
        contents = [each if each.classes or each.one_hot else _called_by_numbers(each) for each in contents]
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
    if content.named and not test.classes and test.labels is not None and not test.one_hot:
        plain = content.classes == names_of_labels(0, len(content.classes))
        test = _called_by_numbers(test) if plain else test  # names and places are then the same
    other = [name for name in test.classes if name not in content.classes]
    if other or content.named != test.named:
        expected = f"{', '.join(content.classes[:12]) or 'numbers'}, as in {os.fsdecode(content.labels_at)}"
        found = ", ".join(other[:12]) or "numbers"
        refuse("classes of test and train differ", where, "the labels", expected, found, "give both the same classes")
    return content._replace(test=_renumbered(test, content.classes) if test.classes else test)


def _called_by_numbers(content: Content) -> Content:
    """Return content whose labels, which are numbers, are the names of classes."""
    found, labels = np.unique(np.asarray(content.labels), return_inverse=True)
    return content._replace(labels=labels.astype(np.int64), classes=tuple(map(str, found.tolist())), named=True)


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
