"""Columns of Parquet and Arrow beside images and labels: not used, but one that says the part of each is refused."""

from __future__ import annotations

import re
from typing import Any, Final

from fnnet.data.arrow_types import is_number, is_text
from fnnet.data.listing import shown
from fnnet.data.notes import Note
from fnnet.data.opened import AnyPath
from fnnet.data.splits import MOST, divides, part_called, part_named, plain, refuse_column, says_parts

INDEX: Final = re.compile(r"__index_level_[0-9]+__")
"""How pandas names the numbers of the rows."""
FILES: Final = "keep only the rows of one part, or write each part into a file: train.parquet, test.parquet"


class Beside:
    """The columns beside those of images and labels.

    read     the names of those whose values are looked at: by their names or as text, they may say parts.
    """

    def __init__(self, schema: Any, path: AnyPath, images: str, labels: str) -> None:
        self.path, self.images, self.labels = path, images, labels
        self.there = [each for each in schema.names if each not in (images, labels) and not INDEX.fullmatch(each)]
        self.read = [name for name in self.there if _may_divide(name, schema.field(name).type)]
        self.values: dict[str, set[object]] = {name: set() for name in self.read}

    def look(self, batch: Any) -> None:
        """Look at the values in some rows; a column with one that is of no part is not looked at again."""
        for name, values in [*self.values.items()]:
            values.update(map(plain, batch.column(name).to_pylist()))
            if len(values) > MOST or not (says_parts(name) or all(map(_may_be_part, values))):
                del self.values[name]

    def check(self) -> None:
        """Raise DataError if a column says that the images are of several parts."""
        for name, values in self.values.items():
            if divides(name, values):
                refuse_column(self.path, f"column {name}", values, FILES)

    def one_part(self) -> tuple[str, ...]:
        """Return the columns that say of which one part all images are, as `Content` has them."""
        alone = {name: next(iter(values)) for name, values in self.values.items() if len(values) == 1}
        return tuple(f"{name}: {part_named(value)}" for name, value in alone.items() if value is not None)

    def notes(self) -> list[Note]:
        """Return a note of the columns, if there are any."""
        if not self.there:
            return []
        text = f"{shown(self.there)} not used: {self.images} holds the images, {self.labels} their classes"
        return [Note("not-used", text)]


def _may_divide(name: str, kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return is_text(kind) or (says_parts(name) and is_number(kind))


def _may_be_part(value: object) -> bool:
    return value is None or (isinstance(value, str) and part_called(value) != "")
