"""Small line charts as text.

Written here because uniplot imports numba if it is installed (0.5 s, and `train` without --jit must not), and plotext
keeps its figure in global state and broke its interface in version 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from fnnet.apps.report.screen import Text
from fnnet.core.params import Array

DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot in a braille character (U+2800 on), by row and column."""


class Line(NamedTuple):
    """One curve: its name, its colour, its mark if there is no colour, and its values over the increasing `xs`."""

    name: str
    style: str
    mark: str
    xs: Sequence[float]
    values: Sequence[float]


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    form: Callable[[float], str] = "{:.2f}".format,
    x_form: Callable[[float], str] = "{:,}".format,
    width: int = 28,
    height: int = 8,
    colour: bool = False,
    box: bool = True,
    legend: bool = True,
) -> list[Text]:
    """Return curves as lines of text, `height` rows high, with a title, a legend and the limits of both axes.

    form, x_form   format the limits of values and xs; for a logarithmic axis pass logarithms and forms that undo them.
    colour         draw in braille dots of different colours, else in marks.
    box            whether box-drawing characters can be shown.
    """
    low = min(min(line.values) for line in lines)
    high = max(max(line.values) for line in lines)
    first, last = min(line.xs[0] for line in lines), max(line.xs[-1] for line in lines)
    cells = [[Text(" ") for _ in range(width)] for _ in range(height)]
    for line in lines:
        dots = _dots(line, (first, last), (low, high), (4 * height, 2 * width) if colour else (height, width))
        for row in range(height):
            for column in range(width):
                mark = _braille(dots, row, column) if colour else line.mark * bool(dots[row, column])
                if mark:
                    cells[row][column] = Text(mark, style=line.style if colour else "")
    labels = {0: form(high), height - 1: form(low) if low < high else ""}
    margin = max(map(len, labels.values()))
    side, corner, base = ("│", "└", "─") if box else ("|", "+", "-")
    left, right = x_form(first), x_form(last)
    below = left + " " * max(1, width - len(left) - len(right)) + right
    if first == last:
        below = " " * (width // 2 - len(left) // 2) + left
    head = Text(f"{title} ")
    for line in lines if legend else ():
        head.append(f"  {key(line, colour)} {line.name}", style=line.style if colour else "")
    return [
        Text(" " * (margin + 1)).append_text(head),
        *(
            Text(f"{labels.get(row, ''):>{margin}}{side}").append_text(Text("").join(cells[row]))
            for row in range(height)
        ),
        Text(" " * margin + corner + base * width),
        Text(" " * (margin + 1) + below),
    ]


def key(line: Line, colour: bool) -> str:
    """Return the symbol of a curve in a legend."""
    return "━━" if colour else line.mark * 2


def _dots(line: Line, span: tuple[float, float], limits: tuple[float, float], shape: tuple[int, int]) -> Array:
    """Return which of `shape` (rows, columns) dots a curve covers: from one column's height to the next one's."""
    rows, columns = shape
    (first, last), (low, high) = span, limits
    if first == last:
        first, last = first - 1.0, last + 1.0  # one point, in the middle
    at = np.linspace(first, last, columns)
    # A curve covers at least the column that its only point is nearest to.
    reach = (last - first) / max(columns - 1, 1) / 2 * (1 + 1e-9)
    inside = (at >= line.xs[0] - reach) & (at <= line.xs[-1] + reach)
    values = np.interp(at, line.xs, line.values)
    heights = np.rint((high - values) / max(high - low, 1e-12) * (rows - 1)).astype(int)
    dots = np.zeros(shape, bool)
    for column in np.flatnonzero(inside):
        row = heights[column]
        before = heights[column - 1] if column and inside[column - 1] else row
        dots[row, column] = True
        dots[min(before, row) + 1 : max(before, row), column] = True
    return dots


def _braille(dots: Array, row: int, column: int) -> str:
    block = dots[4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
    bits = sum(DOTS[r][c] for r, c in np.argwhere(block))
    return chr(0x2800 + bits) if bits else ""
