"""Names of the axes of arrays, which say whether the rows of an image come before its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

ROWS: Final = ("h", "height", "row", "rows", "y", "lat", "latitude")
COLUMNS: Final = ("w", "width", "col", "cols", "column", "columns", "x", "lon", "longitude")
BESIDE: Final = re.compile("(?:images?|img|pixels?|dim|axis|index|coord)|[^a-z]")
"""What says nothing beside the word of an axis: pixel_x, image_height."""


def axis_called(name: str) -> Literal["row", "column", ""]:
    """Return along what the axis of this name goes: it counts the rows or the columns of an image; "" for another.

    >>> axis_called("Height"), axis_called("x_pixel"), axis_called("sample")
    ('row', 'column', '')
    """
    word = BESIDE.sub("", name.lower())
    return "row" if word in ROWS else "column" if word in COLUMNS else ""


def order_called(names: Sequence[str]) -> Literal["rows first", "columns first", ""]:
    """Return the order that the names of all axes say; "" if they say none.

    >>> order_called(["n", "y", "x"]), order_called(["n", "width", "height"]), order_called(["n", "x", "dim_1"])
    ('rows first', 'columns first', '')
    """
    found = [kind for kind in map(axis_called, names) if kind]
    if sorted(found) != ["column", "row"]:
        return ""
    return "rows first" if found[0] == "row" else "columns first"
