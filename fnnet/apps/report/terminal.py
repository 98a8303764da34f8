"""Digits, curves and tables as text, with colour and block characters if the console can show them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fnnet.apps.report import loss_text
from fnnet.apps.report.chart import Line, chart, key
from fnnet.apps.report.runs import RunCurves, has_dev, points, smallest_error
from fnnet.apps.report.screen import Console, Table, Text
from fnnet.core.params import Array
from fnnet.core.state import EpochReport

if TYPE_CHECKING:
    from fnnet.training.lr_find import RangeTest

ROWS_SHOWN: Final = 24
COLOURS: Final = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442", "#0072b2")
"""Of the curves in a chart; also distinct to colour-blind readers (Okabe and Ito 2008), the brighter ones first."""
MARKS: Final = "*o+x#@%"
TINY: Final = 1e-12
"""The value that a logarithmic axis of losses shows for 0."""
INK: Final = 96
"""Grey level from which a pixel counts as ink if there are no shades."""


def unicode_ok(console: Console) -> bool:
    """True if the console shows block and box characters."""
    return console.encoding.lower().startswith("utf")


def has_colour(console: Console) -> bool:
    """True if the console shows colours: a terminal that has them, unless NO_COLOR is set."""
    return console.is_terminal and not console.no_color and console.color_system is not None


def draw(image: Array, console: Console) -> list[Text]:
    """Return an image, uint8 (height, width), as lines of text, each of two rows of pixels."""
    if image.shape[0] % 2:
        image = np.vstack([image, np.zeros((1, image.shape[1]), np.uint8)])
    pairs = list(zip(image[::2], image[1::2], strict=True))
    if has_colour(console) and console.color_system in ("truecolor", "256") and unicode_ok(console):
        return [
            Text.assemble(*(("▀", f"rgb({t},{t},{t}) on rgb({b},{b},{b})") for t, b in zip(top, bottom, strict=True)))
            for top, bottom in pairs
        ]
    marks = " ▄▀█" if unicode_ok(console) else " .'#"
    return [
        Text("".join(marks[2 * int(t >= INK) + int(b >= INK)] for t, b in zip(top, bottom, strict=True)))
        for top, bottom in pairs
    ]


def shrink(image: Array) -> Array:
    """Return the image at half size, means of 2x2 pixels; as it is if a side has only one pixel."""
    if min(image.shape) < 2:
        return image
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2)
    shrunk: Array = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return shrunk


def draw_sheet(images: Sequence[Array], captions: Sequence[str], console: Console, each: int | None = None) -> None:
    """Print images side by side at half size, as many in a row as fit, with captions beneath.

    each   number of images that belong in one row; those that do not fit are left out.
    """
    small = [draw(shrink(image), console) for image in images]
    width = small[0][0].cell_len + 2
    fit = max(1, console.width // width)
    per_row = fit if each is None else min(fit, each)
    for first in range(0, len(small), each or per_row):
        row = small[first : first + per_row]
        for lines in zip(*row, strict=True):
            console.print(Text("  ").join(lines), no_wrap=True, overflow="crop")
        names = captions[first : first + per_row]
        console.print(Text("".join(name.center(width - 2) + "  " for name in names)), style="bold", no_wrap=True)


def bars(probs: Array, classes: Sequence[str], console: Console, most: int) -> list[Text]:
    """Return a line for each class, at most `most` wide: its name, a bar of its probability, the probability."""
    full = "█" if unicode_ok(console) else "#"
    best, longest = int(probs.argmax()), max(map(len, classes))
    width = max(1, min(24, most - longest - 11))
    lines = []
    for number, (name, p) in enumerate(zip(classes, probs.tolist(), strict=True)):
        bar = full * round(width * p)
        lines.append(
            Text(f"{name:>{longest}}  {bar:<{width}} {p:7.2%}", style="bold green" if number == best else "dim")
        )
    return lines


def draw_prediction(image: Array, probs: Array, classes: Sequence[str], console: Console) -> None:
    """Print an image, uint8 (height, width), beside the probabilities of its classes, (classes,); below if narrow."""
    picture = draw(image, console)
    width = console.width - image.shape[1] - 3
    if width >= max(map(len, classes)) + 15:
        beside(picture, bars(probs, classes, console, width), console)
        return
    for line in [*picture, *bars(probs, classes, console, console.width)]:
        console.print(line, no_wrap=True, overflow="crop")


def beside(left: list[Text], right: list[Text], console: Console) -> None:
    """Print two columns of lines, the shorter one centred."""
    width = max(line.cell_len for line in left)
    top = max(0, (len(left) - len(right)) // 2)
    right = [Text("")] * top + right
    for number in range(max(len(left), len(right))):
        line = left[number].copy() if number < len(left) else Text("")
        line.append(" " * (width - line.cell_len + 3))
        line.append_text(right[number] if number < len(right) else Text(""))
        line.rstrip()
        console.print(line, no_wrap=True, overflow="crop")


def table(*headings: str, left: str = "") -> Table:
    """Return an empty table without lines, its columns aligned right except the one headed `left`."""
    empty = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        empty.add_column(heading, justify="left" if heading == left else "right")
    return empty


def epoch_table(reports: Sequence[EpochReport], console: Console) -> None:
    """Print the reports as a table, with seconds since the start; of many, every 2nd, 5th, 10th... and the ends."""
    rows = table("epoch", "train loss", "train acc", "dev loss", "dev acc", "seconds")
    strides = (factor * 10**power for power in itertools.count() for factor in (1, 2, 5))
    stride = next(stride for stride in strides if len(reports) <= stride * ROWS_SHOWN)
    for number, report in enumerate(reports):
        if (number + 1) % stride and number not in (0, len(reports) - 1):
            continue
        seconds = sum(each.seconds for each in reports[: number + 1])
        rows.add_row(
            f"{report.epoch:,}",
            loss_text(report.train_loss),
            f"{report.train_accuracy:.2%}",
            "" if report.dev_loss is None else loss_text(report.dev_loss),
            "" if report.dev_accuracy is None else f"{report.dev_accuracy:.2%}",
            f"{seconds:.2f}",
        )
    console.print(rows)


def network_table(networks: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print networks of one training, each as in the JSON document, as a table."""
    rows = table("seed", "epochs", "train loss", "dev loss", "dev acc", "test loss", "test acc")
    for network in networks:
        seed = str(network.get("init_seed", network["seed"]))
        if "error" in network:
            rows.add_row(seed, *[""] * 5, "diverged")
            continue
        last = network["epochs"][-1] if network["epochs"] else {}
        losses = [last.get("train_loss"), last.get("dev_loss"), network["test_loss"]]
        train, dev, test = ("" if loss is None else loss_text(loss) for loss in losses)
        dev_share, test_share = (
            "" if share is None else f"{share:.2%}" for share in (last.get("dev_accuracy"), network["test_accuracy"])
        )
        rows.add_row(seed, f"{last.get('epoch', 0):,}", train, dev, dev_share, test, test_share)
    console.print(rows)


def curves(reports: Sequence[EpochReport], console: Console) -> None:
    """Print small curves of loss and accuracy over the epochs, train and dev."""
    if len(reports) < 2:
        return
    epochs = [report.epoch for report in reports]
    colour = has_colour(console) and unicode_ok(console)
    panels = []
    for what, form, scale in (("loss", "{:.2f}", 1.0), ("accuracy", "{:.1f} %", 100.0)):
        lines = [
            Line(part, style, mark, epochs, [scale * getattr(report, f"{part}_{what}") for report in reports])
            for part, style, mark in (("train", "cyan", "*"), ("dev", "magenta", "o"))
            if getattr(reports[0], f"{part}_{what}") is not None
        ]
        panels.append(chart(what, lines, form=form.format, colour=colour, box=unicode_ok(console)))
    _print_panels(panels, console)


def run_curves(runs: Sequence[RunCurves], console: Console) -> None:
    """Print loss and accuracy of several runs in one chart, on dev images, or on training images if there are none.

    The axis of the loss is logarithmic, and so is that of the accuracy in its distance from 100%.
    """
    colour, least = has_colour(console) and unicode_ok(console), smallest_error(runs)
    scales: dict[str, tuple[Callable[[float], float], Callable[[float], str]]] = {
        "loss": (lambda loss: math.log10(max(loss, TINY)), lambda y: f"{10**y:.3g}"),
        "accuracy": (lambda share: -math.log10(max(1 - share, least)), lambda y: f"{100 * (1 - 10**-y):.2f} %"),
    }
    panels: list[list[Text]] = []
    names: dict[str, Line] = {}
    for what, (scale, form) in scales.items():
        lines = []
        for number, run in enumerate(runs):
            part = "dev" if has_dev(run) else "train"
            epochs, values = points(run, f"{part}_{what}")
            if epochs:
                name = run.label if part == "dev" else f"{run.label} (train)"
                style, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
                lines.append(Line(name, style, mark, epochs, [scale(value) for value in values]))
        if lines:
            panels.append(chart(what, lines, form=form, colour=colour, box=unicode_ok(console), legend=False))
            names.update({line.name: line for line in lines})
    _print_panels(panels, console)
    for line in names.values():
        text = Text(f"{key(line, colour)} {line.name}", style=line.style if colour else "")
        console.print(text, no_wrap=True, overflow="ellipsis")


def rate_curve(test: RangeTest, console: Console) -> None:
    """Print the smoothed loss of a learning-rate range test over the logarithm of the rate."""
    colour = has_colour(console) and unicode_ok(console)
    line = Line("", "cyan", "*", [math.log10(rate) for rate in test.rates], test.smoothed)
    panel = chart(
        "smoothed loss over the learning rate",
        [line],
        x_form=lambda x: f"{10**x:.3g}",
        width=min(60, max(20, console.width - 10)),
        height=10,
        colour=colour,
        box=unicode_ok(console),
        legend=False,
    )
    _print_panels([panel], console)


def _print_panels(panels: Sequence[list[Text]], console: Console) -> None:
    """Print one panel, or two side by side where they fit."""
    console.print()
    if len(panels) == 2 and console.width >= 2 * 40:
        beside(panels[0], panels[1], console)
    else:
        for line in itertools.chain(*panels):
            console.print(line, no_wrap=True, overflow="crop")
    console.print()
