"""Pictures as files (PNG, SVG or PDF), through matplotlib: curves of training, sheets of images."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet.apps.report.runs import RunCurves, has_dev, points, smallest_error
from fnnet.core.params import Array
from fnnet.core.state import EpochReport
from fnnet.errors import FnnetError, UsageError
from fnnet.files.disk import write_file

SUFFIXES: Final = (".png", ".svg", ".pdf")
SHEET_COLUMNS: Final = 10
TRAIN, DEV, WRONG = "#0b7285", "#c2255c", "#c92a2a"
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of the curves of runs; also distinct to colour-blind readers (Okabe and Ito 2008), without their yellow."""
MOST_NUMBERS: Final = 60
"""Classes of a confusion matrix whose cells have numbers."""
MARKERS: Final = "os^Dv"
BEYOND: Final = 2.5
"""Factor by which the axes of runs extend beyond the best value on dev images, so that they show at least one tick."""


def check_plot(path: str | os.PathLike[str], option: str = "--plot") -> None:
    """Raise an error before the work if no picture can be made: for its name, or for a missing matplotlib."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(
            "not the name of a picture", where=option, expected=" or ".join(SUFFIXES), found=repr(str(path))
        )
    figure_class()


def plot_curves(path: str | os.PathLike[str], reports: Sequence[EpochReport], title: str = "") -> None:
    """Draw loss and accuracy over the epochs, train and dev."""
    figure = figure_class()(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    epochs = [report.epoch for report in reports]
    marker = "o" if len(reports) <= 30 else None
    for axes, what, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True):
        for part, colour in (("train", TRAIN), ("dev", DEV)):
            values = [getattr(report, f"{part}_{what}") for report in reports]
            if values and None not in values:
                values = [scale * value for value in values]
                axes.plot(epochs, values, color=colour, marker=marker, markersize=3, label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean cross-entropy, nats" if what == "loss" else "accuracy, %")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    save_figure(figure, path)


def plot_runs(path: str | os.PathLike[str], runs: Sequence[RunCurves], title: str = "") -> None:
    """Draw loss and accuracy of several runs over their epochs, dev solid, train dashed.

    Both axes are logarithmic, that of the accuracy in its distance from 100%. They end a little beyond the values on
    the dev images, as those on the training images may approach 0.
    """
    figure = figure_class()(figsize=(11, 4.4), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    left, right = figure.subplots(1, 2)
    left.set(xlabel="epoch", ylabel="mean cross-entropy, nats", yscale="log")
    right.set(xlabel="epoch", ylabel="accuracy, %", yscale="log")
    least = smallest_error(runs)
    for axes, what in ((left, "loss"), (right, "accuracy")):
        ends = []
        for number, run in enumerate(runs):
            for part in ("train", "dev"):
                epochs, values = points(run, f"{part}_{what}")
                if what == "accuracy":
                    values = [100 * max(1 - value, least) for value in values]
                _draw(axes, epochs, values, number, dashed=part == "train")
                ends += [value for value in values if value > 0] if part == "dev" or not has_dev(run) else []
        if ends:
            axes.set_ylim(bottom=min(ends) / BEYOND)
    right.invert_yaxis()
    _tick(left, lambda loss, _: f"{loss:g}")
    _tick(right, lambda error, _: f"{100 - error:g}")
    _legend_of_runs(figure, runs)
    save_figure(figure, path)


def _draw(axes: Any, epochs: Sequence[int], values: Sequence[float], number: int, *, dashed: bool) -> None:
    """Draw the curve of run number `number`."""
    marker = MARKERS[number // len(COLOURS) % len(MARKERS)] if len(epochs) <= (1 if dashed else 30) else None
    look = {"linestyle": "--", "linewidth": 1, "alpha": 0.7} if dashed else {"linestyle": "-", "linewidth": 1.5}
    axes.plot(epochs, values, color=COLOURS[number % len(COLOURS)], marker=marker, markersize=3, **look)


def _tick(axes: Any, form: Callable[[float, Any], str]) -> None:
    """Put ticks at whole epochs on the x axis, at 1, 2 and 5 times each power of ten on the y axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(form))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _legend_of_runs(figure: Any, runs: Sequence[RunCurves]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=COLOURS[number % len(COLOURS)]) for number in range(len(runs))]
    names = [run.label for run in runs]
    if any(map(has_dev, runs)):
        handles += [Line2D([], [], color="grey", linestyle=style) for style in ("-", "--")]
        names += ["dev", "train"]
    legend = figure.legend(handles, [" "] * len(names), loc="outside right upper", frameon=False)
    # A label is set on the text, as a name that starts with _ would be left out.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def plot_lr_find(
    path: str | os.PathLike[str],
    rates: Sequence[float],
    losses: Sequence[float],
    suggestion: float | None,
    *,
    raw: Sequence[float] = (),
    title: str = "",
) -> None:
    """Draw the smoothed losses of a learning-rate range test, the suggestion, and `raw` losses as dots."""
    figure = figure_class()(figsize=(7, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    axes = figure.subplots()
    if raw:
        axes.plot(rates, raw, ".", color=TRAIN, markersize=2.5, alpha=0.35, label="loss of the batch")
    axes.plot(rates, losses, color=TRAIN, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color=DEV, linestyle="--", linewidth=1.2, label=f"suggestion {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="mean cross-entropy, nats")
    if losses:
        axes.set_ylim(0, 1.15 * max(losses))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_figure(figure, path)


def plot_sheet(
    path: str | os.PathLike[str],
    images: Sequence[Array],
    captions: Sequence[str],
    wrong: Sequence[bool] | None = None,
    title: str = "",
) -> None:
    """Draw images (height, width) with captions in rows of SHEET_COLUMNS; the wrong ones in red."""
    columns = min(SHEET_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    width = max(columns * 1.05, 0.085 * len(title) if len(images) < SHEET_COLUMNS else 0)
    figure = figure_class()(figsize=(width, rows * 1.3 + (0.4 if title else 0)), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(panels.flat):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if number >= len(images):
            continue
        axes.imshow(images[number], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        mistake = bool(wrong is not None and wrong[number])
        axes.set_title(captions[number], fontsize=9, pad=3, parse_math=False, color=WRONG if mistake else "black")
        if mistake:
            axes.spines[:].set(visible=True, color=WRONG, linewidth=2.5)
    save_figure(figure, path)


def plot_confusion(path: str | os.PathLike[str], matrix: Array, classes: Sequence[str], title: str = "") -> None:
    """Draw a confusion matrix: counts, and as colour the share of the images of each row's class.

    matrix   int (classes, classes): rows are classes, columns predictions.
    """
    count = len(classes)
    side = min(30.0, max(4.0, 0.42 * count + 1.6))
    figure = figure_class()(figsize=(side, side), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    rotation = 90 if max(map(len, classes)) > 3 else 0
    size = 9 if count <= 40 else 6
    for set_names, turned in ((axes.set_xticks, rotation), (axes.set_yticks, 0)):
        set_names(range(count), [*classes], rotation=turned, fontsize=size, parse_math=False)
    axes.set(xlabel="predicted", ylabel="class")
    for row, column in np.argwhere(matrix > 0).tolist() if count <= MOST_NUMBERS else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=7, color=colour)
    save_figure(figure, path)


def figure_class() -> Any:
    """Return matplotlib's Figure, which needs no global state and no display; raise FnnetError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        expected, fix = "the library matplotlib", "pip install 'fnnet[plot]'"
        raise FnnetError("pictures need matplotlib", expected=expected, found=str(error), fix=fix) from None
    return Figure


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure as the file `path`, in the format of its suffix; the same figure makes the same bytes."""
    kind = Path(path).suffix.lower().removeprefix(".")
    # No date and a fixed salt: both would differ from run to run.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": "fnnet"}}.get(kind)
    buffer = io.BytesIO()
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "fnnet", "savefig.facecolor": "white"}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font lacks are drawn as boxes
        figure.savefig(buffer, format=kind, dpi=130, metadata=metadata)
    write_file(path, buffer.getvalue())
