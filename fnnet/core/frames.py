"""Tables of pandas and Polars as arrays, without importing either: objects with columns, their dtypes and `to_numpy`.

The index of a frame or series is ignored: rows are taken in their order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import PIXEL_NAMES

if TYPE_CHECKING:
    from fnnet.core.params import Array

PIXELS: Final = tuple(map(re.compile, PIXEL_NAMES))
NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,6})", re.DOTALL)
WIDE: Final = frozenset({"Int128", "UInt128"})
"""Integers of Polars that NumPy does not have."""
FILL: Final = "fill them in, or leave their rows out"


def is_frame(given: Any) -> bool:
    """Return True for a data frame of pandas or Polars, or one that has the same attributes."""
    return all(hasattr(given, name) for name in ("to_numpy", "columns", "dtypes"))


def is_series(given: Any) -> bool:
    """Return True for a series of pandas or Polars, or one that has the same attributes."""
    return all(hasattr(given, name) for name in ("to_numpy", "name", "dtype")) and not hasattr(given, "columns")


def names_of(frame: Any) -> list[str]:
    """Return the names of the columns as text."""
    columns = frame.columns  # one by one, pandas' own take 4 us each
    return [str(name) for name in (columns.tolist() if hasattr(columns, "tolist") else columns)]


def check_series(problem: str, series: Any, expected: str) -> None:
    """Raise ArgumentTypeError for a series with missing values."""
    if series.isna().any() if hasattr(series, "isna") else series.null_count():
        place = f"series {str(series.name)[:40]!r}"
        raise ArgumentTypeError(problem, place=place, expected=expected, found="missing values", fix=FILL)


def numbers_of(problem: str, frame: Any, *, truth: bool = False) -> Array:
    """Return the numbers of a frame, (n, columns).

    truth    True to take truth values as 0 and 1.
    Raises   ArgumentTypeError, with the name of the column, for text, objects, truth values, dates and missing values.
    """
    dtypes = [*frame.dtypes]
    several = {id(dtype): dtype for dtype in dtypes}  # few objects, of hundreds of columns
    known = {at: "b" if truth and is_truth(dtype) else _kind(dtype) for at, dtype in several.items()}
    kinds = [known[id(dtype)] for dtype in dtypes]
    if "" in kinds:
        at = kinds.index("")
        found, fix = str(dtypes[at]), "convert the column, or leave it out"
        expected = "numbers of at most 64 bits" if found in WIDE else "numbers"
        raise ArgumentTypeError(problem, place=_column(names_of(frame)[at]), expected=expected, found=found, fix=fix)
    missing = frame.isna().to_numpy().any(axis=0) if hasattr(frame, "isna") else np.array(frame.null_count().row(0))
    if missing.any():
        place, expected = _column(names_of(frame)[int(missing.astype(bool).argmax())]), "a number in every row"
        raise ArgumentTypeError(problem, place=place, expected=expected, found="missing values", fix=FILL)
    numbers: Array = frame.to_numpy()
    if numbers.dtype.kind not in "fiu":  # columns that may have missing values are objects, unless a dtype is given
        numbers = frame.to_numpy(dtype=np.float64 if "f" in kinds else np.int64)
    return numbers


def pixels_of(problem: str, frame: Any, expected: str) -> Array:
    """Return the rows of a frame as a network takes them: floats, or bytes where integers are pixels without a guess.

    Integers of another dtype than uint8 are pixels if the names of the columns are, such as pixel0, pixel1...
    Raises   ArgumentTypeError, UsageError for all that is not certain, with the name of the column.
    """
    names = names_of(frame)
    numbers_in = [_pixel(name) for name in names]
    named = [number for number in numbers_in if number is not None]
    if named and len(named) < len(names):
        at, fix = numbers_in.index(None), "leave it out, or make a data set with fnnet.data.from_frame"
        raise UsageError(
            "a column beside the pixels", place=_column(names[at]), expected="pixels", found=names[at], fix=fix
        )
    numbered = named or _numbered(names)
    if numbered != sorted(numbered) or len(set(named)) < len(named):
        fix = "put them in order, or make a data set with fnnet.data.from_frame"
        fix += "" if named else "; frame.to_numpy() takes them as they stand"
        in_order = [names[at] for at in sorted(range(len(names)), key=numbered.__getitem__)]
        expected, found = (", ".join(each[:4]) for each in (in_order, names))
        raise UsageError("columns of pixels are not in order", expected=expected, found=found, fix=fix)
    numbers = numbers_of(problem, frame)
    dtypes = [*frame.dtypes]
    kinds = [_kind(dtype) for dtype in dtypes]
    if len(set(kinds)) > 1:
        at = next(column for column, kind in enumerate(kinds) if kind != kinds[0])
        one, other = str(dtypes[0]), str(dtypes[at])
        fix = "convert all columns to one dtype"
        raise ArgumentTypeError("integers beside floats", place=_column(names[at]), expected=one, found=other, fix=fix)
    if kinds[:1] == ["f"] or numbers.dtype == np.uint8:
        return np.ascontiguousarray(numbers)
    if not named:
        fix = "give uint8 columns for pixels from 0 to 255 (pandas: astype('uint8'), Polars: cast(pl.UInt8)), or floats"
        raise ArgumentTypeError(problem, expected=expected, found=str(dtypes[0]), fix=fix)
    wrong = (numbers < 0) | (numbers > 255)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        place = f"row {row}, {_column(names[column])}"
        raise UsageError("pixel out of range", place=place, expected="0 to 255", found=numbers[row, column])
    return np.ascontiguousarray(numbers, np.uint8)


def _pixel(name: str) -> tuple[int, ...] | None:
    """Return the numbers in the name of a pixel; None for another name."""
    found = next((match for each in PIXELS if (match := each.fullmatch(name.strip().lower()))), None)
    return tuple(map(int, found.groups())) if found else None


def _numbered(names: list[str]) -> list[tuple[int, ...]]:
    """Return the numbers of columns that are all called by one word and a number, without gaps; else an empty list."""
    found = [NUMBERED.fullmatch(name.strip()) for name in names]
    if len({match[1] if match else None for match in found}) != 1:
        return []
    numbers = [int(match[2]) for match in found if match]
    gaps = len(set(numbers)) < len(names) or max(numbers, default=0) - min(numbers, default=0) >= len(names)
    return [] if gaps else [(number,) for number in numbers]


def is_truth(dtype: Any) -> bool:
    """Return True for the dtype of truth values: NumPy's, pandas' or Polars'."""
    return str(dtype).lower() in ("bool", "boolean", "bool[pyarrow]")


def _column(name: str) -> str:
    return f"column {name[:40]!r}"


def _kind(dtype: Any) -> str:
    """Return "i" for integers, "f" for floats, "" for all else."""
    kind = getattr(dtype, "kind", None)  # NumPy's, and pandas' own
    if kind is None and hasattr(dtype, "is_integer") and str(dtype) not in WIDE:  # Polars'
        return "i" if dtype.is_integer() else "f" if dtype.is_float() else ""
    return {"i": "i", "u": "i", "f": "f"}.get(kind or "", "")
