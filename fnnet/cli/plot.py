"""`fnnet plot`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fnnet.cli.common import check_outputs, console, notifier, print_json, say
from fnnet.cli.options import FileName, json_option, quiet_option
from fnnet.errors import DataError

if TYPE_CHECKING:
    from fnnet.apps.report.runs import Run


@click.command(short_help="Training curves of several runs over one another.")
@click.argument("folders", metavar="RUN_DIR...", nargs=-1, required=True, type=FileName())
@click.option("--output", "-o", type=FileName(), help="The curves as PNG, SVG or PDF (extra plot).")
@json_option
@quiet_option
def plot(folders: tuple[str, ...], output: str | None, as_json: bool, quiet: bool) -> None:
    """Draw the training curves of runs over one another, from the logs that `fnnet train --run-dir` writes.

    The axis of the loss is logarithmic, that of the accuracy in its distance from 100%. A run that is still going on
    can be drawn too.
    """
    from fnnet.apps.report.runs import read_runs
    from fnnet.files.log import LOG

    check_outputs(inputs=[f"{folder}/{LOG}" for folder in folders], pictures={"--output": output})
    notify = notifier(quiet)
    found = read_runs(folders)
    runs = [run for run in found if run.epochs]
    for run in found:
        if not run.epochs:
            notify(f"{run.name} has no epochs yet and is left out")
    if not runs:
        raise DataError("nothing to draw", where=folders[0], expected="a log with epochs", found="no epoch yet")
    if output:
        from fnnet.apps.report.plots import plot_runs

        plot_runs(output, runs)
    if as_json:
        each = [
            {"run": run.name, **_figures(run), "epochs": [report._asdict() for report in run.epochs]} for run in runs
        ]
        print_json({"runs": each, "output": output})
        return
    if not quiet:
        _print_runs(runs)
    if output:
        say(f"saved {output}")


def _figures(run: Run) -> dict[str, Any]:
    """What the table shows of a run; None for what its log does not tell."""
    from fnnet.apps.report.runs import has_dev, points

    sizes, part = run.start.get("sizes"), "dev" if has_dev(run) else "train"
    whole = isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)
    epochs, accuracies = points(run, f"{part}_accuracy")
    best = max(range(len(epochs)), key=accuracies.__getitem__, default=None)
    losses = points(run, f"{part}_loss")[1]
    return {
        "recipe": str(run.start["recipe"]) if "recipe" in run.start else None,
        "sizes": sizes if whole else None,
        "seconds": sum(points(run, "seconds")[1]),
        "best_accuracy": None if best is None else accuracies[best],
        "best_epoch": None if best is None else epochs[best],
        "lowest_loss": min(losses, default=None),
        "measured_on": part,
    }


def _print_runs(runs: Sequence[Run]) -> None:
    from fnnet.apps.report import terminal
    from fnnet.errors import one_line

    table = terminal.table("run", "recipe", "sizes", "epochs", "seconds", "best acc", "at", "least loss", left="run")
    for run in runs:
        figures = _figures(run)
        accuracy, loss = figures["best_accuracy"], figures["lowest_loss"]
        table.add_row(
            run.name if figures["measured_on"] == "dev" else f"{run.name} (train)",
            one_line(figures["recipe"] or ""),
            "-".join(map(str, figures["sizes"] or [])),
            f"{run.epochs[-1].epoch:,}",
            f"{figures['seconds']:.1f}",
            "" if accuracy is None else f"{accuracy:.2%}",
            "" if accuracy is None else f"{figures['best_epoch']:,}",
            "" if loss is None else f"{loss:.4f}",
        )
    screen = console()
    screen.print(table)
    terminal.run_curves(runs, screen)
