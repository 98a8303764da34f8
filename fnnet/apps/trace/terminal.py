"""A trace as text: each equation with its shapes and numbers, small arrays whole, of large ones what counts."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import numpy as np

from fnnet.apps.pages.numbers import cells, grey, number, scale_of, summary
from fnnet.apps.report.screen import Console, Text
from fnnet.apps.report.terminal import bars, beside, draw, unicode_ok
from fnnet.apps.trace.equations import NEW_LOSS, NEW_PROBS
from fnnet.apps.trace.steps import PARTS, Step, Trace
from fnnet.apps.trace.words import HEADINGS, sentence
from fnnet.apps.trace.worked import worked
from fnnet.core.params import Array

INDENT: Final = 4
CELL: Final = 7
"""Characters of a number in a matrix, and the space before it: ten of them fit in 80."""
WHOLE: Final = 120
"""Elements of a matrix that is shown whole; of one that is wider than the screen, a third of it."""
SOME: Final = 6
"""Elements that are shown of a larger array."""
MOST_BARS: Final = 40
"""Classes whose probabilities are drawn."""
STYLES: Final = {"right": "green", "WRONG": "bold red", "not decided": ""}
"""Of each verdict on a gradient."""
ASCII: Final = str.maketrans({"·": "*", "²": "^2"})
UNBROKEN: Final = "\u00a0"
"""The space at which no line is broken."""


def print_trace(trace: Trace, console: Console) -> None:
    """Print every step of a trace, at least 40 characters wide."""
    numbered = list(enumerate(trace.steps, 1))
    for part in PARTS:
        console.print(Text(HEADINGS[part], style="bold underline"), no_wrap=True, overflow="crop")
        console.print()
        for number_, step in numbered:
            if step.part == part:
                _print_step(number_, step, trace, console)


def _print_step(number_: int, step: Step, trace: Trace, console: Console) -> None:
    _print_equation(number_, step, console)
    _prose(_shapes(step), console, "dim")
    _prose(sentence(step, trace), console, "dim")
    if step.name == "x" and trace.image_shape is not None:
        _print_image(step, trace, console)
    elif step.name in ("probs", NEW_PROBS) and len(trace.classes) <= MOST_BARS:
        for line in bars(step.result[0], trace.classes, console, console.width - INDENT):
            console.print(Text(" " * INDENT) + line, no_wrap=True, overflow="crop")
    elif step.name == NEW_LOSS:
        _prose(f"{number(trace.loss)} before, {number(trace.new_loss)} after", console)
    else:
        _print_numbers(step, console)
    _prose(worked(step), console)  # nothing where there is no such equation
    console.print()


def _print_equation(number_: int, step: Step, console: Console) -> None:
    """Print number and equation, and at the right the function that computed it, or on the next line."""
    head = Text(f"{number_:>2}  ") + Text(_fitted(step.equation, console), style="bold")
    room = console.width - head.cell_len - len(step.function)
    if room >= 2:
        console.print(head + Text(" " * room) + Text(step.function, style="dim"), no_wrap=True, overflow="crop")
        return
    lines = textwrap.wrap(_fitted(step.equation, console), max(20, console.width - INDENT))
    for at, line in enumerate(lines):
        start = f"{number_:>2}  " if at == 0 else " " * INDENT
        console.print(Text(start) + Text(line, style="bold"), no_wrap=True, overflow="crop")
    _prose(step.function, console, "dim")


def _shapes(step: Step) -> str:
    """Return the shape of the result and of each operand; of a number, itself."""
    given = [f"{each.name} {each.shape or number(each.value)}" for each in step.operands]
    result = f"{step.name} {step.shape}" if step.shape else f"{step.name}, a number,"
    # A shape stays whole where the line is wrapped.
    return re.sub(r"(?<=\d), (?=\d+[,)])", f",{UNBROKEN}", f"{result} of {', '.join(given)}")


def _print_image(step: Step, trace: Trace, console: Console) -> None:
    """Draw the first image, what is known of it beside."""
    given = step.operands[0].value
    pixels = grey(np.asarray(given[0]))
    facts = [summary(step.result), f"label {trace.classes[trace.labels[0]]}"]
    if len(trace.labels) > 1:
        facts.append(f"the first of {len(trace.labels)} images")
    picture = [Text(" " * INDENT) + line for line in draw(pixels.reshape(trace.image_shape), console)]
    if picture[0].cell_len + 3 + max(map(len, facts)) <= console.width:
        beside(picture, [*map(Text, facts)], console)
        return
    for line in picture:
        console.print(line, no_wrap=True, overflow="crop")
    _prose("; ".join(facts), console)


def _print_numbers(step: Step, console: Console) -> None:
    """Print the weights that an equation takes and the result, central differences beside it."""
    if not step.shape:
        return
    fits = max(1, (console.width - INDENT) // CELL)
    for each in step.operands if step.function == "operations.affine" else ():
        if each.name[0] in "Wb":
            _print_weights(each.name, each.value, fits, console)
    array = np.asarray(step.result)
    lines = matrix(array, fits)
    if lines is None:
        _prose(summary(array), console)
        _print_elements(step, console)
    else:
        _print_matrix(step.name, array, lines, console)
        if step.difference:
            _print_matrix("central differences", step.difference.slopes, matrix(step.difference.slopes, fits), console)
    if step.difference:
        _prose(step.difference.words, console, STYLES[step.difference.verdict])


def _print_weights(name: str, array: Array, fits: int, console: Console) -> None:
    lines = matrix(array, fits)
    if lines is None or not array.any():
        _prose(f"{name}: {summary(array)}", console)
    else:
        _print_matrix(name, array, lines, console)


def _print_matrix(name: str, array: Array, lines: list[str] | None, console: Console) -> None:
    scale = scale_of(array)
    console.print(Text(" " * INDENT + name + (f", in units of 1e{scale:+03d}" if scale else "")))
    for line in lines or []:
        console.print(Text(" " * INDENT + line), no_wrap=True, overflow="crop")


def matrix(array: Array, fits: int) -> list[str] | None:
    """Return a small array as lines, in units of its scale; None for one that is not shown whole.

    fits   numbers in a line; those of a row that is longer go on in the next line.

    >>> matrix(np.array([[1.0, -0.5], [0.25, 20.0]]), 10)
    ['   1.00  -0.50', '   0.25  20.00']
    """
    if array.size > (WHOLE if array.shape[-1] <= fits else WHOLE // 3):
        return None
    rows = [[f"{text:>{CELL}}" for text in row] for row in cells(array, scale_of(array))]
    return ["".join(row[first : first + fits]) for row in rows for first in range(0, len(row), fits)]


def _print_elements(step: Step, console: Console) -> None:
    """Print what `Step.elements` returns of a large array."""
    names, columns = step.elements(SOME)
    widths = [max(map(len, [title, *column])) for title, column in columns.items()]
    left = max(map(len, names), default=0)
    head = "  ".join([" " * left, *(f"{title:>{width}}" for title, width in zip(columns, widths, strict=True))])
    lines = [head] if head.strip() and names else []
    for at, name in enumerate(names):
        row = [f"{column[at]:>{width}}" for column, width in zip(columns.values(), widths, strict=True)]
        lines.append("  ".join([f"{name:<{left}}", *row]))
    for line in lines:
        console.print(Text(" " * INDENT + line), no_wrap=True, overflow="crop")


def _prose(text: str, console: Console, style: str = "") -> None:
    for line in textwrap.wrap(_fitted(text, console), max(20, console.width - INDENT)):
        plain = line.replace(UNBROKEN, " ")
        console.print(Text(" " * INDENT + plain, style=style), no_wrap=True, overflow="crop")


def _fitted(text: str, console: Console) -> str:
    return text if unicode_ok(console) else text.translate(ASCII)
