"""Headers that another reader made of the first image of a table."""

from __future__ import annotations

import re
from typing import Final

IS_NUMBER: Final = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")
READ_AS_NAME: Final = re.compile(r"(X?[0-9]+(?:\.[0-9]+)?)(?:\.|_duplicated_)([0-9]{1,6})")


def made_of_an_image(cells: list[str]) -> bool:
    """Return True if a reader made these names of numbers: it numbers those that occur again.

    >>> made_of_an_image(["7", "0", "0.1", "0.2", "18", "0.3"])  # pandas
    True
    >>> made_of_an_image(["7", "0", "0_duplicated_0"]), made_of_an_image(["X7", "X0", "X0.1"])  # Polars, R
    (True, True)
    >>> made_of_an_image(["7", "0", "0", "0.1"])
    False
    """
    seen: dict[str, int] = {}
    again = 0
    for cell in map(str.strip, cells):
        match = READ_AS_NAME.fullmatch(cell)
        if match and seen.get(match[1]) == int(match[2]) + ("_" in cell):
            seen[match[1]] += 1
            again += 1
        elif cell in seen or not IS_NUMBER.fullmatch(cell.removeprefix("X")):
            return False
        else:
            seen[cell] = 1
    return again > 0
