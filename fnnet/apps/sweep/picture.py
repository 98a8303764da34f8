"""The picture of a sweep: what its trials reached, in their order and over each option that was tried."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from fnnet.apps.report.plots import DEV, TRAIN, figure_class, save_figure
from fnnet.apps.sweep.course import rank
from fnnet.apps.sweep.space import Choices, Range, Space
from fnnet.apps.sweep.study import TRAINED, Trial

COLUMNS: Final = 3


def plot_sweep(path: str | os.PathLike[str], space: Space, trials: Sequence[Trial], by: str, title: str = "") -> None:
    """Draw the figures of trials with their spread, the best one marked.

    by   "accuracy" or "loss".
    """
    trained = [each for each in trials if each.state == TRAINED]
    columns = min(COLUMNS, len(space) + 1)
    rows = -(-(len(space) + 1) // columns)
    figure = figure_class()(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    panels = [*figure.subplots(rows, columns, squeeze=False, sharey=True).flat]
    numbers: list[Any] = [each.number + 1 for each in trained]
    _panel(panels[0], numbers, trained, by)
    panels[0].set_xlabel("trial")
    panels[0].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axes, (name, tried) in zip(panels[1:], space.items(), strict=False):
        axes.set_xlabel(name.replace("_", "-"), parse_math=False)
        if isinstance(tried, Range):
            _panel(axes, [tried.number(each.point[name]) for each in trained], trained, by)
            axes.set_xscale("log" if tried.log else "linear")
        else:
            _panel(axes, [tried.names.index(each.point[name]) for each in trained], trained, by)
            _name_choices(axes, tried)
    for axes in panels[len(space) + 1 :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("dev accuracy, %" if by == "accuracy" else "dev loss, nats")
    save_figure(figure, path)


def _panel(axes: Any, places: Sequence[Any], trained: Sequence[Trial], by: str) -> None:
    """Draw each trial at its place, and the best one again."""
    scale = 100 if by == "accuracy" else 1
    values = [scale * each.figures[f"dev_{by}"] for each in trained]
    spreads = [scale * (each.figures[f"dev_{by}_spread"] or 0) for each in trained]
    axes.errorbar(places, values, spreads, fmt="o", color=TRAIN, markersize=4, elinewidth=1, alpha=0.8)
    if trained:
        top = max(range(len(trained)), key=lambda number: rank(trained[number]))
        axes.plot(places[top], values[top], "o", color=DEV, markersize=8, fillstyle="none", markeredgewidth=1.8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _name_choices(axes: Any, tried: Choices) -> None:
    axes.set_xticks(range(len(tried.names)), [name or "none" for name in tried.names], parse_math=False)
    axes.set_xlim(-0.5, len(tried.names) - 0.5)
    if sum(map(len, tried.names)) > 30:
        axes.tick_params(axis="x", rotation=30)
