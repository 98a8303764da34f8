"""Pictures as files (PNG, SVG or PDF), through matplotlib: curves of training, sheets of images."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fnnet.errors import FnnetError, UsageError
from fnnet.files import write_file
from fnnet.params import Array
from fnnet.train import EpochReport

SUFFIXES: Final = (".png", ".svg", ".pdf")
TRAIN, DEV, WRONG = "#0b7285", "#c2255c", "#c92a2a"


def check_plot(path: str | os.PathLike[str], option: str = "--plot") -> None:
    """Fail before the work where no picture could be made: UsageError for its name, FnnetError without matplotlib."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError("not a picture's name", where=option, expected=" or ".join(SUFFIXES), found=repr(str(path)))
    _figure_class()


def plot_curves(path: str | os.PathLike[str], reports: Sequence[EpochReport], title: str = "") -> None:
    """Loss and accuracy over the epochs, train beside dev."""
    figure = _figure_class()(figsize=(9, 3.6), layout="constrained")
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
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    _save(figure, path)


def plot_sheet(
    path: str | os.PathLike[str],
    images: Sequence[Array],
    captions: Sequence[str],
    wrong: Sequence[bool] | None = None,
    title: str = "",
) -> None:
    """Images (height, width) in rows of ten with a caption each; the wrong ones framed and captioned in red."""
    columns = min(10, len(images))
    rows = -(-len(images) // columns)
    figure = _figure_class()(figsize=(columns * 1.05, rows * 1.3 + (0.4 if title else 0)), layout="constrained")
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
    _save(figure, path)


def _figure_class() -> Any:
    # Figure without pyplot: no global state, no display, no backend to choose.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = "pip install 'fnnet[plot]'"
        raise FnnetError("pictures need matplotlib", expected="matplotlib", found=str(error), fix=fix) from None
    return Figure


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    kind = Path(path).suffix.lower().removeprefix(".")
    # No date and a fixed salt, so that the same run makes the same bytes.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    buffer = io.BytesIO()
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "fnnet", "savefig.facecolor": "white"}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font lacks are drawn as boxes
        figure.savefig(buffer, format=kind, dpi=130, metadata=metadata)
    write_file(path, buffer.getvalue())
