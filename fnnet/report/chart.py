"""Small line charts as text.

Our own, after two libraries: uniplot imports numba wherever it is installed (0.5 s, and `train` without --jit must
not); plotext keeps its figure in global state and broke its interface in version 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from rich.text import Text

from fnnet.params import Array

DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot in a braille character (U+2800 on), by row and column."""


class Line(NamedTuple):
    """One curve: its name, its colour, its mark where there is no colour, its values."""

    name: str
    style: str
    mark: str
    values: Sequence[float]


def chart(
    title: str,
    xs: Sequence[float],
    lines: Sequence[Line],
    *,
    form: str = "{:.2f}",
    width: int = 28,
    height: int = 8,
    colour: bool = False,
    box: bool = True,
) -> list[Text]:
    """Curves over `xs` as lines of text, `height` rows high, with a title, limits on both axes and a legend.

    colour   draw in braille dots and tell curves apart by colour, else draw marks.
    box      whether box-drawing characters can be shown.
    """
    low = min(min(line.values) for line in lines)
    high = max(max(line.values) for line in lines)
    cells = [[Text(" ") for _ in range(width)] for _ in range(height)]
    for line in lines:
        dots = _dots(xs, line.values, low, high, (4 * height, 2 * width) if colour else (height, width))
        for row in range(height):
            for column in range(width):
                mark = _braille(dots, row, column) if colour else line.mark * bool(dots[row, column])
                if mark:
                    cells[row][column] = Text(mark, style=line.style if colour else "")
    labels = {0: form.format(high), height - 1: form.format(low)}
    margin = max(map(len, labels.values()))
    side, corner, base = ("│", "└", "─") if box else ("|", "+", "-")
    left, right = f"{xs[0]:,}", f"{xs[-1]:,}"
    head = Text(f"{title} ")
    for line in lines:
        head.append(f"  {'━━' if colour else line.mark * 2} {line.name}", style=line.style if colour else "")
    return [
        Text(" " * (margin + 1)).append_text(head),
        *(
            Text(f"{labels.get(row, ''):>{margin}}{side}").append_text(Text("").join(cells[row]))
            for row in range(height)
        ),
        Text(" " * margin + corner + base * width),
        Text(" " * (margin + 1) + left + " " * max(1, width - len(left) - len(right)) + right),
    ]


def _dots(xs: Sequence[float], values: Sequence[float], low: float, high: float, shape: tuple[int, int]) -> Array:
    """Which of `shape` (rows, columns) dots a curve covers: each column from its neighbour's height to its own."""
    rows, columns = shape
    at = np.interp(np.linspace(xs[0], xs[-1], columns), xs, values)
    heights = np.rint((high - at) / max(high - low, 1e-12) * (rows - 1)).astype(int)
    dots = np.zeros(shape, bool)
    for column, row in enumerate(heights):
        first, last = sorted((heights[max(column - 1, 0)], row))
        dots[row, column] = True
        dots[first + 1 : last, column] = True
    return dots


def _braille(dots: Array, row: int, column: int) -> str:
    block = dots[4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
    bits = sum(DOTS[r][c] for r, c in np.argwhere(block))
    return chr(0x2800 + bits) if bits else ""
