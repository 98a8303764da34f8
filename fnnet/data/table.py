"""CSV as Kaggle's digit recogniser has it: an optional header, `label`, then one column per pixel, 0 to 255."""

from __future__ import annotations

import csv
import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

import numpy as np
from numpy.typing import DTypeLike

from fnnet.data.npz import MAX_LABEL
from fnnet.errors import DataError
from fnnet.files import looks_like_html, open_regular, read_head, show_bytes
from fnnet.params import Array

MAX_LINE: Final = 65536
PIXEL: Final = re.compile(r"pixel(\d{1,6})|(\d{1,4})x(\d{1,4})")


def read_csv(path: str | os.PathLike[str]) -> tuple[Array, Array | None]:
    """The pixels, uint8 (n, pixels), and the labels, integers (n,), or None where the file has no label column.

    Columns are placed by their header's names where there is one (`pixel0`... or `1x1`..., `label` anywhere); without
    one, a square number of fields is pixels, one more has the label first.
    Raises   DataError with line and column; a number is never coerced.
    """
    head = read_head(path, MAX_LINE)
    _check_text(head, path)
    first_line = re.split(r"\r\n|\r|\n", head.decode("utf-8-sig", "replace"), maxsplit=1)[0]
    first = next(csv.reader([first_line]), [])
    if not first:
        raise DataError("first line is empty", where=path, place="line 1", expected="a header or numbers")
    named = not any(_is_number(field) for field in first)
    label_at, pixels_at = _columns_by_name(first, path) if named else _columns_by_count(len(first), path)
    try:
        table = _load(path, named, np.uint8)
    except (ValueError, DeprecationWarning) as error:
        if label_at is not None and (found := _with_large_labels(path, named, label_at, pixels_at)):
            return found
        raise _explain(path, len(first), named, label_at) or DataError(str(error), where=path) from None
    if table.size == 0:
        raise DataError("empty dataset", where=path, expected="at least 1 row of numbers", found="0 rows")
    if table.shape[1] != len(first):
        raise _explain(path, len(first), named, label_at) or DataError("uneven rows", where=path)
    in_order = pixels_at == list(range(pixels_at[0], pixels_at[0] + len(pixels_at)))
    pixels = table[:, pixels_at[0] : pixels_at[-1] + 1] if in_order else table[:, pixels_at]
    return np.ascontiguousarray(pixels), None if label_at is None else table[:, label_at].copy()


def _load(path: str | os.PathLike[str], named: bool, dtype: DTypeLike, columns: Sequence[int] | None = None) -> Array:
    """The numbers of some columns, or of all."""
    with open(open_regular(path), encoding="utf-8-sig", newline=None) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty table is told by its size
        warnings.simplefilter("error", DeprecationWarning)  # NumPy before 2.3 reads NaN as 0 and only warns
        found: Array = np.loadtxt(
            file, dtype, delimiter=",", comments=None, quotechar='"', skiprows=int(named), usecols=columns, ndmin=2
        )
    return found


def _with_large_labels(
    path: str | os.PathLike[str], named: bool, label_at: int, pixels_at: list[int]
) -> tuple[Array, Array] | None:
    """Pixels and labels where some label is beyond a byte; None where that is not all."""
    try:
        pixels, labels = _load(path, named, np.uint8, pixels_at), _load(path, named, np.int64, [label_at])[:, 0]
    except (ValueError, DeprecationWarning):
        return None
    # Of chosen columns NumPy counts no fields.
    with open(open_regular(path), encoding="utf-8-sig", newline=None) as file:
        uneven = any(line.count(",") != len(pixels_at) for line in _lines(file) if line.strip())
    return None if uneven or labels.min() < 0 or labels.max() > MAX_LABEL else (pixels, labels)


def _check_text(head: bytes, path: str | os.PathLike[str]) -> None:
    if not head:
        raise DataError("file is empty", where=path, expected="data", found="0 bytes")
    if looks_like_html(head):
        raise DataError("an HTML page, not data", where=path, place="byte 0", found=show_bytes(head))
    if b"\x00" in head:
        place, kind = f"byte {head.index(0)}", "UTF-8 text, IDX, gzip, NPZ or PNG"
        raise DataError("unknown kind of file", where=path, place=place, expected=kind, found=show_bytes(head))
    if len(head) == MAX_LINE and not re.search(rb"[\r\n]", head):
        raise DataError("line too long", where=path, place="line 1", expected=f"at most {MAX_LINE:,} bytes")


def _is_number(field: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*", field) is not None


def _columns_by_name(header: list[str], path: str | os.PathLike[str]) -> tuple[int | None, list[int]]:
    names = [name.strip().lower() for name in header]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError("column named twice", where=path, place="line 1", found=repr(twice))
    places = {}
    for column, name in enumerate(names):
        match = PIXEL.fullmatch(name)
        if match:
            number, row, of_row = match.groups()
            places[(int(number),) if number else (int(row), int(of_row))] = column
        elif name != "label":
            expected = "label, pixel0, pixel1... (or 1x1, 1x2...), separated by commas"
            place = f"line 1, column {column + 1}"
            raise DataError(
                "unknown column", where=path, place=place, expected=expected, found=repr(header[column][:40])
            )
    if not places or len({len(place) for place in places}) > 1:
        raise DataError("no pixel columns", where=path, place="line 1", expected="label, pixel0, pixel1...")
    if len(places) != len(names) - ("label" in names):
        raise DataError("pixel named twice", where=path, place="line 1", expected="each pixel once")
    spans = [max(numbers) - min(numbers) + 1 for numbers in zip(*places, strict=True)]
    if math.prod(spans) != len(places):
        expected = f"{math.prod(spans)} columns, without gaps"
        raise DataError("pixel columns missing", where=path, place="line 1", expected=expected, found=len(places))
    return (names.index("label") if "label" in names else None), [places[place] for place in sorted(places)]


def _columns_by_count(count: int, path: str | os.PathLike[str]) -> tuple[int | None, list[int]]:
    if math.isqrt(count) ** 2 == count:
        return None, list(range(count))
    if math.isqrt(count - 1) ** 2 == count - 1:
        return 0, list(range(1, count))
    expected = "a square number of pixels, such as 784, or one more with the label first"
    raise DataError(
        "no header and an odd number of fields", where=path, place="line 1", expected=expected, found=f"{count} fields"
    )


def _explain(path: str | os.PathLike[str], fields: int, named: bool, label_at: int | None) -> DataError | None:
    """The first place at which a CSV file is not what it should be, found by reading it once more, slowly."""
    with open(open_regular(path), encoding="utf-8-sig", errors="replace", newline=None) as file:
        for number, line in enumerate(_lines(file), 1):
            if len(line) > MAX_LINE:
                expected = f"at most {MAX_LINE:,} characters"
                return DataError("line too long", where=path, place=f"line {number}", expected=expected)
            cells = next(csv.reader([line.rstrip("\n")]), [])
            if number <= named or not cells:
                continue
            if len(cells) != fields:
                expected = f"{fields} fields"
                return DataError(
                    "wrong number of fields", where=path, place=f"line {number}", expected=expected, found=len(cells)
                )
            for column, cell in enumerate(cells):
                kind, most = ("label", MAX_LABEL) if column == label_at else ("pixel", 255)
                # Digits enough for any of them: Python reads no number of thousands.
                if not (re.fullmatch(r"[ \t]*\+?0*[0-9]{1,9}[ \t]*", cell) and int(cell) <= most):
                    return DataError(
                        f"not a {kind}",
                        where=path,
                        place=f"line {number}, column {column + 1}",
                        expected=f"a whole number from 0 to {most}",
                        found=repr(cell[:40]),
                    )
    return None


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_LINE + 2):
        yield line
