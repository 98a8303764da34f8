"""Figures of a trace as HTML: images and heat maps as PNG in the page, small arrays as tables, bars, the loss's curve.

In a heat map the colour is the sign of a number, and its opacity the size: 0 is the page itself, light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

import numpy as np

from fnnet.apps.pages.figures import figure, heat, legend, unit_images
from fnnet.apps.pages.numbers import MINUS, TIMES, cells, number, scale_of, signed, size_of, summary
from fnnet.apps.trace.steps import Step
from fnnet.apps.trace.typeset import name_of, size_text
from fnnet.core.params import Array

WHOLE: Final = 144
"""Elements of an array that is a table; of wider ones than COLUMNS a third."""
COLUMNS: Final = 12
SIDE: Final = 96
"""Rows and columns of a heat map at most: of larger arrays each cell is the largest of several numbers."""
WIDTH: Final = 26.0
HEIGHT: Final = 20.0
"""Of a heat map at most, in rem; its cells are squares of at most one, or lower in a high matrix."""
STRIP: Final = 64
"""Numbers in a row of a long vector."""
SOME: Final = 6
"""Elements that a table of a large array lists."""


def array_figure(
    caption: str, text: str, array: Array, image_shape: tuple[int, int] | None, top: float | None = None
) -> str:
    """Return a figure of an array: a table of its numbers, or a heat map.

    caption       as HTML; `text` is the same as text.
    image_shape   (height, width) if the rows of a large matrix may be pixels; None if not.
    top           the size of the numbers that are opaque; None for the largest of the array.
    """
    top, rows = size_of(array) if top is None else top, np.atleast_2d(array)
    head = f"{caption} <small>{size_text(array)}</small>"
    if not np.any(array):
        return figure(head, "<p>All 0.</p>")
    if rows.size <= (WHOLE if rows.shape[1] <= COLUMNS else WHOLE // 3):
        return figure(head, matrix_table(rows, top, text))
    about = f"{text}, {signed(summary(_known(array)))}"
    if image_shape is not None and len(rows) == math.prod(image_shape):
        return figure(head, unit_images(rows, image_shape, top, about), legend(top))
    if len(rows) == 1:
        padded = np.zeros(-(-rows.size // STRIP) * STRIP)
        padded[: rows.size] = rows[0]
        rows = padded.reshape(-1, STRIP)
    shown = shrunk(rows)
    cell = min(1.0, WIDTH / shown.shape[1])
    style = f"width:{cell * shown.shape[1]:.1f}rem;height:{min(HEIGHT, cell * shown.shape[0]):.1f}rem"
    image = f'<img class="heat" src="{heat(shown, top)}" alt="{escape(about)}" style="{style}">'
    note = "" if shown.shape == rows.shape else "<p>Each cell shows the largest of several numbers.</p>"
    return figure(head, image, note + legend(top))


def _known(array: Array) -> Array:
    """Return the numbers of an array that are known."""
    known: Array = array[~np.isnan(array)]
    return known if known.size else np.zeros(1)


def shrunk(array: Array) -> Array:
    """Return a matrix with at most SIDE rows and columns, each cell the number of the largest size in a block."""
    height, width = (-(-size // SIDE) for size in array.shape)
    if height == width == 1:
        return array
    rows, columns = -(-array.shape[0] // height), -(-array.shape[1] // width)
    padded = np.zeros((rows * height, columns * width))
    padded[: array.shape[0], : array.shape[1]] = np.nan_to_num(array)
    blocks = padded.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    best = abs(blocks).argmax(axis=2)
    found: Array = np.take_along_axis(blocks, best[..., None], axis=2)[..., 0]
    return found


def matrix_table(rows: Array, top: float, name: str) -> str:
    """Return a small matrix as a table of coloured cells, in units of its scale."""
    scale = scale_of(rows)
    head = "".join(f'<th scope="col">{column}</th>' for column in range(rows.shape[1]))
    lines = []
    for number_, (texts, values) in enumerate(zip(cells(rows, scale), rows.tolist(), strict=True)):
        side = "" if len(rows) == 1 else f'<th scope="row">{number_}</th>'
        lines.append(f"<tr>{side}{''.join(map(_cell, texts, values, [top] * len(texts)))}</tr>")
    units = f" in units of 10 to the {signed(str(scale))}" if scale else ""
    corner = "" if len(rows) == 1 else "<td></td>"
    caption = f"<caption>{escape(name)}{units}</caption>"
    shown = f'<p class="scale">{TIMES}10<sup>{signed(str(scale))}</sup></p>' if scale else ""
    body = f"<thead><tr>{corner}{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    table = f'<table class="matrix">{caption}{body}</table>'
    return f'{shown}<div class="wide" tabindex="0" role="group" aria-label="{escape(name)}">{table}</div>'


def _cell(text: str, value: float, top: float) -> str:
    share = 0.0 if math.isnan(value) or not top else min(1.0, abs(value) / top)
    kind = "pos" if value > 0 else "neg"
    style = f' class="{kind}" style="--v:{share:.2f}"' if share >= 0.005 else ""
    return f"<td{style}>{signed(text)}</td>"


def element_table(step: Step) -> str:
    """Return what `Step.elements` does of a large array as a table."""
    names, columns = step.elements(SOME)
    lines = [
        f'<tr><th scope="row">{escape(name)}</th>'
        f"{''.join(f'<td>{signed(column[at])}</td>' for column in columns.values())}</tr>"
        for at, name in enumerate(names)
    ]
    titles = "".join(f'<th scope="col">{escape(title or step.name)}</th>' for title in columns)
    body = f"<thead><tr><td></td>{titles}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<table class="elements"><caption>Elements that count most</caption>{body}</table>' if names else ""


def probability_bars(title: str, probs: Array, classes: Sequence[str], label: int) -> str:
    """Return the probabilities of one image as bars, that of its label marked."""
    lines = []
    for at, (name, p) in enumerate(zip(classes, probs.tolist(), strict=True)):
        mark = ' class="label"' if at == label else ""
        note = " (label)" if at == label else ""
        bar = f'<td><span class="bar" style="--v:{p:.4f}"></span></td>'
        lines.append(f'<tr{mark}><th scope="row">{escape(name)}{note}</th>{bar}<td>{p:.2%}</td></tr>')
    return figure(escape(title), f'<table class="bars"><tbody>{"".join(lines)}</tbody></table>')


def loss_curve(points: Sequence[tuple[str, float]]) -> str:
    """Return the curve of -log p with points on it, each a name and the probability of the label."""
    width, height, most = 320.0, 180.0, 5.0

    def at(p: float, loss: float) -> tuple[float, float]:
        return 40 + p * (width - 60), 15 + (height - 45) * (1 - min(loss, most) / most)

    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(p, -math.log(p)) for p in np.linspace(0.0068, 1, 80).tolist()))
    (left, bottom), (right, top) = at(0, 0), at(1, most)
    axes = f'<path class="axis" d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}"/>'
    marks, line = [], 0.0
    for name, p in sorted(points, key=lambda point: point[1]):
        x, y = at(p, -math.log(max(p, 1e-300)))
        line = max(line + 15, y - 6)  # no text upon another
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        marks.append(f'<text x="{min(x + 10, width - 60):.1f}" y="{line:.1f}">{escape(name)}</text>')
    texts = (
        f'<text x="{left - 8:.0f}" y="{bottom + 4:.0f}" text-anchor="end">0</text>'
        f'<text x="{left - 8:.0f}" y="{top + 4:.0f}" text-anchor="end">{most:.0f}</text>'
        f'<text x="{left:.0f}" y="{height - 10:.0f}" text-anchor="middle">0</text>'
        f'<text x="{right:.0f}" y="{height - 10:.0f}" text-anchor="middle">1</text>'
    )
    about = "; ".join(f"{name}: probability {number(p)}" for name, p in points)
    drawing = f'{axes}<polyline points="{curve}"/>{"".join(marks)}{texts}'
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(about)}"'
    image = f'<svg class="curve" {box}>{drawing}</svg>'
    return figure(f"{MINUS}log of the probability of the label", image)


def value_figure(name: str, value: Any) -> str:
    """Return a figure of one number."""
    return figure(name_of(name), f'<p class="number">{signed(number(value))}</p>')
