"""Rows that scikit-learn refuses, in one line with the place."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnnet.core.checks import shown
from fnnet.errors import UsageError

TEXT = "could not convert string to float"


def clearer(error: ValueError, X: Any, name: str) -> ValueError:
    """Return scikit-learn's error about rows X, the argument `name`, or one of a line that names the row and column."""
    first = str(error).partition("\n")[0]
    if first.startswith("Input X contains"):
        place = _not_finite(X)
        fix = "fill in what is missing, as SimpleImputer does" if "NaN" in first else ""
        problem, expected = first.rstrip(".").replace("Input X", f"Input {name}", 1), "finite numbers"
        return UsageError(problem, place=place, expected=expected, fix=fix)
    if first.startswith(TEXT):
        found = _text(X)
        if found:
            fix = "make it numbers, as OneHotEncoder does"
            return UsageError("text", where=name, place=found[0], expected="numbers", found=found[1], fix=fix)
    return error


def _column(X: Any, number: int) -> str:
    """Return what a column is called in a message: by its name where there is one."""
    return f"column {X.columns[number]!r}" if hasattr(X, "columns") else f"column {number}"


def _not_finite(X: Any) -> str:
    """Return the place of the first number that is not finite; "" where X holds what NumPy does not make a float."""
    try:
        if hasattr(X, "tocoo"):
            kept = X.tocoo()
            wrong = np.flatnonzero(~np.isfinite(kept.data))
            row, column = (int(each[wrong[0]]) for each in (kept.row, kept.col)) if len(wrong) else (-1, -1)
        else:
            places = np.argwhere(~np.isfinite(np.asarray(X, np.float64)))
            row, column = map(int, places[0]) if len(places) else (-1, -1)
    except (TypeError, ValueError):
        return ""
    return f"row {row}, {_column(X, column)}" if row >= 0 else ""


def _text(X: Any) -> tuple[str, str] | None:
    """Return the place of the first column with text, and the text."""
    cells = np.asarray(X, object)
    for number in range(cells.shape[1] if cells.ndim == 2 else 0):
        for row, cell in enumerate(cells[:, number]):
            if isinstance(cell, str) and not _is_number(cell):
                return f"row {row}, {_column(X, number)}", shown(cell)
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
