"""Cells of the columns of Parquet and Arrow, and what they are read from and for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrow_types import is_bytes, is_number, is_text
from fnnet.data.bounds import check_expansion
from fnnet.data.csv_columns import NUMBERS, OPTION
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Wanted
from fnnet.files.disk import refuse, show_bytes
from fnnet.names import is_printable

SCHEMA: Final = "the schema"
EXTENSION, DESCRIPTION = b"ARROW:extension:name", b"ARROW:extension:metadata"
"""Where Arrow keeps the name of a type that is not its own, and what that type says of itself."""


class Source(NamedTuple):
    """What the columns of a file are read from and for.

    schema   pyarrow's.
    packed   the bytes of the file on disk.
    first    the number of the first row in messages.
    """

    schema: Any
    path: AnyPath
    wanted: Wanted
    packed: int
    first: int = 1

    def refuse_columns(self, problem: str, expected: str, names: Sequence[str], fix: str) -> None:
        """Raise DataError for the columns `names`."""
        refuse(problem, self.path, SCHEMA, expected, ", ".join(names[:8]) or "no columns", fix)

    def check_type(self, column: str) -> None:
        """Raise DataError for a type that is not Arrow's own: what its numbers stand for is not known."""
        field = self.schema.field(column)
        told = (field.metadata or {}).get(EXTENSION, b"").decode("utf-8", "replace")
        kind = getattr(field.type, "extension_name", told)
        if kind:
            fix = f"{NUMBERS}, or store them as text"
            refuse("not numbers", self.path, f"column {column}", "integers, floats, truth values or text", kind, fix)

    def check(self, needed: int) -> None:
        """Raise DataError if the bytes that are needed are far more than the file takes."""
        check_expansion(needed, self.packed, self.path, "the rows")


def numbers_in(array: Any, name: str, first: int, source: Source, label: bool = False, each: int = 1) -> Array:
    """Return the numbers of a column, `each` of a row; DataError for an empty cell and for anything else."""
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not is_number(array.type):
        expected = "integers, floats or truth values"
        fix = f"{NUMBERS}, or {OPTION}" if label else "store numbers from 0 to 255"
        refuse("not numbers", source.path, f"column {name}", expected, array.type, fix)
    if array.null_count:
        row, at = divmod(int(np.argmax(np.asarray(array.is_null()))), each)
        number = f", number {at + 1} of the list" if each > 1 else ""
        place = f"row {source.first + first + row}, column {name}{number}"
        refuse("an empty cell", source.path, place, "a number", "null", "fill it or remove the row")
    found: Array = array.to_numpy(zero_copy_only=False)
    return found


def texts_in(array: Any, name: str, first: int, source: Source) -> list[str] | None:
    """Return the labels in a column of text or truth values; None if it holds something else.

    Raises   DataError for an empty cell.
    """
    from pyarrow import types

    kind = array.type.value_type if types.is_dictionary(array.type) else array.type
    as_bytes = is_bytes(kind)
    if not (as_bytes or types.is_boolean(kind) or is_text(kind)):
        return None
    found = array.to_pylist()
    for row, each in enumerate(found, source.first + first):
        place, expected = f"row {row}, column {name}", "the name of a class"
        if each is None:
            refuse("an empty cell", source.path, place, expected, "null", "fill it or remove the row")
        if as_bytes and not _is_text(each):
            refuse("not a label", source.path, place, expected, show_bytes(each), OPTION)
    return [each.decode() if as_bytes else str(each) for each in found]


def _is_text(content: bytes) -> bool:
    try:
        return is_printable(content.decode())
    except UnicodeDecodeError:
        return False
