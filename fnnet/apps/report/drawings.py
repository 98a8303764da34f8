"""Figures of a report as HTML: curves of training, the confusion matrix, classes, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

import numpy as np

from fnnet.apps.pages.figures import figure, heat
from fnnet.apps.report.measured import bin_name, figures_text, interval_text
from fnnet.core.judging import Calibration, wilson
from fnnet.core.metrics import per_class
from fnnet.core.params import Array

WIDTH: Final = 480.0
HEIGHT: Final = 280.0
LEFT: Final = 58.0
RIGHT: Final = 50.0
TOP: Final = 16.0
BOTTOM: Final = 44.0
MOST_CLASSES: Final = 30
"""Classes of a confusion matrix that is a table; one of more is an image."""
MOST_PAIRS: Final = 20


class Curve(NamedTuple):
    """A curve of a chart: the part of the images that it is of, `train` or `dev`; its values may be NaN."""

    part: str
    epochs: Sequence[int]
    values: Sequence[float]


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, three to seven of them.

    >>> ticks(0.0, 2.3), ticks(85.0, 99.0)
    ([0.0, 0.5, 1.0, 1.5, 2.0], [86.0, 88.0, 90.0, 92.0, 94.0, 96.0, 98.0])
    """
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span))
    step = next(factor * power for factor in (0.1, 0.2, 0.5, 1.0, 2.0) if span / (factor * power) < 7.5)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _place(x: tuple[float, float], y: tuple[float, float]) -> Callable[[float, float], tuple[float, float]]:
    """Return what places a point on a chart whose axes have these ends."""

    def place(at: float, value: float) -> tuple[float, float]:
        across, up = (at - x[0]) / ((x[1] - x[0]) or 1), (value - y[0]) / ((y[1] - y[0]) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (1 - up) * (HEIGHT - TOP - BOTTOM)

    return place


def _grid(x: tuple[float, float], y: tuple[float, float], names: tuple[str, str], form: Callable[[float], str]) -> str:
    """Return lines and numbers of both axes.

    names   of the axis below, which has whole numbers unless it ends at 1, and of that on the left.
    form    of the numbers on the left.
    """
    place, parts = _place(x, y), []
    for value in ticks(*y):
        left, at = place(x[0], value)
        parts.append(f'<path d="M{left:.1f} {at:.1f}H{WIDTH - RIGHT:.1f}"/>')
        parts.append(f'<text x="{left - 8:.1f}" y="{at + 4:.1f}" text-anchor="end">{escape(form(value))}</text>')
    for value in ticks(*x):
        if x[1] > 1 and value % 1:
            continue
        at, bottom = place(value, y[0])
        number = f"{value:,.0f}" if x[1] > 1 else form(value)
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{number}</text>')
    middle, bottom = place((x[0] + x[1]) / 2, y[0])
    left, top = place(x[0], y[1])
    parts.append(f'<path class="axis" d="M{left:.1f} {top:.1f}V{bottom:.1f}H{WIDTH - RIGHT:.1f}"/>')
    parts.append(f'<text x="{middle:.1f}" y="{bottom + 36:.1f}" text-anchor="middle">{escape(names[0])}</text>')
    return "".join(parts)


def _chart(drawing: str, about: str) -> str:
    box = f'viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escape(about)}"'
    return f'<svg class="chart" {box}>{drawing}</svg>'


def curves_figure(title: str, curves: Sequence[Curve], form: Callable[[float], str]) -> str:
    """Return the curves of one figure over the epochs; "" if none has a value."""
    points = [
        (curve.part, [(epoch, value) for epoch, value in zip(*curve[1:], strict=True) if math.isfinite(value)])
        for curve in curves
    ]
    points = [(part, each) for part, each in points if each]
    if not points:
        return ""
    epochs, values = zip(*(pair for _, each in points for pair in each), strict=True)
    low, high = min(values), max(values)
    low = 0.0 if low < high / 2 else low - (high - low) / 20
    x, y = (min(epochs) if min(epochs) < max(epochs) else 0, max(*epochs, 2)), (low, high or 1.0)
    place, drawn, ends = _place(x, y), [], dict[str, tuple[float, float]]()
    for part, each in points:
        line = " ".join(f"{at:.1f},{up:.1f}" for at, up in (place(*pair) for pair in each))
        drawn.append(f'<polyline class="{part}" points="{line}"/>')
        if len(each) == 1:
            at, up = place(*each[0])
            drawn.append(f'<circle cx="{at:.1f}" cy="{up:.1f}" r="4"/>')
        ends[part] = place(*each[-1])
    heights = _apart([up for _, up in ends.values()])
    for (part, (at, _)), up in zip(ends.items(), heights, strict=True):
        drawn.append(f'<text class="name {part}-name" x="{at + 6:.1f}" y="{up + 4:.1f}">{part}</text>')
    last = "; ".join(f"{part} {form(each[-1][1])}" for part, each in points)
    about = f"{title} over {max(epochs)} epochs; at the end: {last}"
    return figure(escape(title), _chart(_grid(x, y, ("epoch", title), form) + "".join(drawn), about))


def _apart(heights: list[float]) -> list[float]:
    """Return heights of texts, none of which lies upon another."""
    if len(heights) == 2 and abs(heights[0] - heights[1]) < 15:
        middle, sign = sum(heights) / 2, 1 if heights[0] >= heights[1] else -1
        return [middle + 8 * sign, middle - 8 * sign]
    return heights


def class_table(matrix: Array, classes: Sequence[str], unit: str) -> str:
    """Return the figures of each class as a table, the interval of its recall drawn, too."""
    known = [*zip(classes, per_class(matrix), matrix.diagonal().tolist(), strict=True)]
    least = min((wilson(correct, row.images)[0] for _, row, correct in known if row.images), default=0.0)
    left, rows = min(math.floor(10 * least) / 10, 0.9), []
    for number, (name, row, correct) in enumerate(known):
        drawn = ""
        if row.images:
            low, high, value = ((end - left) / (1 - left) for end in (*wilson(correct, row.images), row.recall))
            style = f"--l:{low:.4f};--h:{high:.4f};--v:{value:.4f}"
            drawn = f'<span class="range" style="{style}"><i></i><b></b></span>'
        interval = interval_text(correct, row.images)
        recall, precision, f1 = figures_text(matrix, number, row)
        figures = (f"{row.images:,}", recall, interval, precision, f1)
        cells = "".join(f"<td>{each}</td>" for each in figures)
        rows.append(f'<tr><th scope="row" class="left">{escape(name)}</th>{cells}<td class="left">{drawn}</td></tr>')
    names = (f"{unit}s", "recall", "95% interval of recall", "precision", "F1")
    heads = "".join(f'<th scope="col">{each}</th>' for each in names)
    drawn = f'<th scope="col" class="left">recall, {left:.0%} to 100%</th>'
    head = f'<thead><tr><th scope="col" class="left">class</th>{heads}{drawn}</tr></thead>'
    body = f'<table class="list"><caption>Figures of each class</caption>{head}<tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide" tabindex="0" role="group" aria-label="Figures of each class">{body}</div>'


def confusion_figure(matrix: Array, classes: Sequence[str]) -> str:
    """Return the confusion matrix as a table; of many classes, as an image and a list of what is confused most."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    if len(classes) > MOST_CLASSES:
        off = np.where(np.eye(len(classes), dtype=bool), shares, -shares)
        image = f'<img class="heat" src="{heat(off, 1.0)}" alt="Confusion matrix" style="width:26rem">'
        return image + _pairs(matrix, classes)
    lines, most = [], float((shares * (1 - np.eye(len(classes)))).max()) or 1.0
    for row, name in enumerate(classes):
        cells = []
        for column, count in enumerate(matrix[row].tolist()):
            kind = "right" if row == column else "wrong" if count else "none"
            share = shares[row, column] if row == column else math.sqrt(shares[row, column] / most)
            cells.append(f'<td class="{kind}" style="--v:{share:.3f}">{count or "&middot;"}</td>')
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in classes)
    caption = "<caption>Confusion: a row for each class, a column for each prediction</caption>"
    table = f'<table class="confusion">{caption}<thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(lines)}</tbody>'
    return f'<div class="wide" tabindex="0" role="group" aria-label="Confusion matrix">{table}</table></div>'


def _pairs(matrix: Array, classes: Sequence[str]) -> str:
    """Return the pairs of classes that are confused most, as a list."""
    off = matrix * (1 - np.eye(len(classes), dtype=matrix.dtype))
    worst = [place for place in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS].tolist() if off.flat[place]]
    pairs = [(divmod(place, len(classes)), int(off.flat[place])) for place in worst]
    items = "".join(
        f"<li>{escape(classes[row])} as {escape(classes[column])}: {n:,}</li>" for (row, column), n in pairs
    )
    return f"<p>Confused most:</p><ol>{items}</ol>"


def calibration_figure(found: Calibration, unit: str) -> str:
    """Return the reliability diagram, the interval of each share drawn, beside its table."""
    place = _place((0.0, 1.0), (0.0, 1.0))
    (left, bottom), (right, top) = place(0, 0), place(1, 1)
    drawn = [f'<path class="ideal" d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"/>']
    rows = []
    for each in found.bins:
        if not each.images:
            continue
        correct = round(each.accuracy * each.images)
        low, high = wilson(correct, each.images)
        at, up = place(each.confidence, each.accuracy)
        ends = f"M{at:.1f} {place(0, low)[1]:.1f}V{place(0, high)[1]:.1f}"
        drawn.append(f'<path class="whisker" d="{ends}"/><circle cx="{at:.1f}" cy="{up:.1f}" r="5"/>')
        figures = (f"{each.images:,}", f"{each.confidence:.1%}", f"{each.accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        cells = "".join(f"<td>{text}</td>" for text in figures)
        rows.append(f'<tr><th scope="row" class="left">{bin_name(each.low, each.high)}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col">{each}</th>' for each in (f"{unit}s", "mean", "correct", "95% interval"))
    head = f'<thead><tr><th scope="col" class="left">confidence</th>{heads}</tr></thead>'
    table = f'<table class="list"><caption>Calibration</caption>{head}<tbody>{"".join(rows)}</tbody></table>'

    def form(share: float) -> str:
        return f"{share:.0%}"

    names = ("confidence", "correct")
    chart = _chart(
        _grid((0.0, 1.0), (0.0, 1.0), names, form) + "".join(drawn), "Share of correct predictions over confidence"
    )
    drawing = figure(f"Correct, of {unit}s predicted with a confidence", chart)
    return f'<div class="beside">{drawing}<div class="wide" tabindex="0">{table}</div></div>'
