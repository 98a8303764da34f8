"""Draw docs/accuracy.svg: errors on the test images over seconds of training, and over multiply-adds, which hold on any
machine; a circle for each of our runs, a diamond and a number for each published one of `bench.published`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from bench.published import PUBLISHED, multiply_adds
from fnnet.apps.report.plots import figure_class, save_figure

COLOURS: Final = {
    "classic": "#56b4e9",
    "quick": "#0072b2",
    "quick by PyTorch": "#d55e00",
    "accurate": "#009e73",
    "record": "#cc79a7",
    "committee": "#e69f00",
}
GREY: Final = "#777777"


def draw(groups: Mapping[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw the runs of each name, where they have an accuracy."""
    figure = figure_class()(figsize=(11, 5.2), layout="constrained")
    by_time, by_work = figure.subplots(1, 2, sharey=True)
    known = {name: runs for name, runs in groups.items() if "accuracy" in runs[0]}
    _runs(by_time, known, lambda run: run["seconds"])
    # PyTorch's is the network of `quick`, with the same operations.
    sized = {name: runs for name, runs in known.items() if "sizes" in runs[0]}
    _runs(by_work, sized, lambda run: run.get("members", 1) * multiply_adds(run["sizes"], run["epochs"]))
    labels = []
    for number, run in enumerate(PUBLISHED, 1):
        labels.append(f"{number}  {run.name}, {'-'.join(map(str, run.sizes))}: {run.errors:g} %, {run.device}")
        if run.seconds:
            _published(by_time, run.seconds, run.errors, number)
        if run.epochs:
            _published(by_work, multiply_adds(run.sizes, run.epochs), run.errors, number)
    figure.supxlabel("\n".join(labels), fontsize=8, color=GREY, x=0.06, ha="left", linespacing=1.5)
    by_time.set(xlabel="training, seconds", ylabel="errors on the 10,000 test images, %")
    by_work.set(xlabel="training, multiply-adds")
    for axes in (by_time, by_work):
        axes.set(xscale="log", yscale="log")
        axes.margins(x=0.2, y=0.15)
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    ticks = [10, 5, 2, 1, 0.5, 0.3]
    by_time.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    save_figure(figure, path)


def _runs(axes: Any, groups: Mapping[str, list[dict[str, Any]]], place: Callable[[dict[str, Any]], float]) -> None:
    for name, some in groups.items():
        errors, places = [100 * (1 - run["accuracy"]) for run in some], [place(run) for run in some]
        torch, above = "PyTorch" in name, "PyTorch" in name or name in {"record", "committee"}
        axes.scatter(places, errors, s=28, color=COLOURS[name], marker="s" if torch else "o", alpha=0.75, linewidths=0)
        # Labels below would cover the points of quick, and published ones.
        edge, shift = (max(errors), 8) if above else (min(errors), -14)
        shift += 13 * (name == "committee")  # it lies beside record
        label, at = f"{name}, {mean(errors):.2f} %", (median(places), edge)
        axes.annotate(label, at, (0, shift), textcoords="offset points", ha="center", color=COLOURS[name])


def _published(axes: Any, place: float, errors: float, number: int) -> None:
    axes.scatter([place], [errors], s=26, color=GREY, marker="D", alpha=0.8, linewidths=0)
    # Left and right in turn: two of them are neighbours.
    beside, side = (-7, "right") if number % 2 == 0 else (7, "left")
    axes.annotate(
        str(number), (place, errors), (beside, -3), textcoords="offset points", ha=side, color=GREY, fontsize=8
    )  # fmt: skip
