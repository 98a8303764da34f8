"""Draw docs/scaling-model.svg: the predicted time of an epoch over the number of ranks, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.scaling_model import NETWORKS, RING, TREE, WINDOW, Machine, Work, epoch
from fnnet.apps.report.plots import figure_class, save_figure

COLOURS: Final = {"shared memory": "#009e73", "10 Gb/s": "#d55e00", "25 Gb/s": "#cc79a7", "100 Gb/s": "#0072b2"}
GREY: Final = "#777777"
TICKS: Final = (1, 4, 16, 64, 256, 1024)
SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def draw(works: Sequence[Work], machine: Machine, results: dict[str, Any], path: Path) -> None:
    """Draw a panel for each work: a column for each network, a row for each batch."""
    columns, rows = (list(dict.fromkeys(getattr(work, name) for work in works)) for name in ("hidden", "batch"))
    figure = figure_class()(figsize=(4 * len(columns), 3.7 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    for work, each in zip(works, results["works"], strict=True):
        axes = panels[rows.index(work.batch)][columns.index(work.hidden)]
        _lines(axes, work, machine)
        _points(axes, each["two"])
        axes.set_title(work.name, fontsize=11)
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(TICKS, [f"{ranks:,}" for ranks in TICKS])
        low, high = axes.get_ylim()
        axes.set_yticks([each for each in SECONDS if low <= each <= high], minor=False)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for row in panels:
        row[0].set_ylabel("an epoch, seconds")
    for axes in panels[-1]:
        axes.set_xlabel("ranks of one thread")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    save_figure(figure, path)


def _lines(axes: Any, work: Work, machine: Machine) -> None:
    ranks = list(work.computing)
    axes.plot(ranks, list(work.computing.values()), color=GREY, linestyle=":", label="computing alone")
    shared = [epoch(work, machine, size, WINDOW) for size in ranks]
    axes.plot(ranks, shared, color=COLOURS["shared memory"], label="shared memory")
    for link in NETWORKS:
        for how, style, name in ((TREE, "-", link.name), (RING, "--", f"{link.name}, a ring")):
            times = [epoch(work, machine, size, how, link) for size in ranks]
            axes.plot(ranks, times, color=COLOURS[link.name], linestyle=style, label=name)


def _points(axes: Any, two: dict[str, float]) -> None:
    for how, marker, name in ((WINDOW, "o", "measured, shared memory"), (TREE, "x", "measured, messages here")):
        if how in two:
            axes.scatter([2], [two[how]], color="black", marker=marker, s=28, zorder=3, label=name)
