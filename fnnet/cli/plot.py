"""`fnnet plot`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fnnet.cli.common import Notices, check_outputs, console, print_json, say
from fnnet.cli.options import FileName, json_option, quiet_option
from fnnet.errors import DataError

if TYPE_CHECKING:
    from fnnet.apps.report.runs import RunCurves


@click.command(short_help="Training curves of several runs in one chart.")
@click.argument("folders", metavar="RUN_DIR...", nargs=-1, required=True, type=FileName())
@click.option("--output", "-o", type=FileName(), help="The curves as PNG, SVG or PDF.")
@json_option
@quiet_option
def plot(folders: tuple[str, ...], output: str | None, as_json: bool, quiet: bool) -> None:
    """Draw the training curves of several runs in one chart, from the logs that `fnnet train --run-dir` writes.

    A folder of run directories stands for all in it. What differs between the options of the runs is named beside each.
    The axis of the loss is logarithmic, and so is that of the accuracy, in its distance from 100%. A run that is still
    going on can be drawn too.
    """
    from fnnet.apps.report.runs import compared, places, read_runs
    from fnnet.files.log import LOG

    logs = [f"{place.path}/{LOG}" for place in places(folders)]
    check_outputs(inputs=logs, pictures={"--output": output})
    notify = Notices(quiet)
    found = read_runs(folders, notify)
    runs = compared([run for run in found if run.epochs])
    for run in found:
        if not run.epochs:
            notify(f"{run.name} has no epochs yet and is left out")
    if not runs:
        raise DataError("nothing to draw", where=folders[0], expected="a log with epochs", found="0 epochs")
    if output:
        from fnnet.apps.report.plots import plot_runs

        plot_runs(output, runs)
    if as_json:
        each = [
            {
                "run": run.name,
                **_summary(run),
                "differs": dict(run.differs),
                "epochs": [report._asdict() for report in run.epochs],
            }
            for run in runs
        ]
        print_json({"runs": each, "differs": [*runs[0].differs], "output": output})
        return
    if not quiet:
        _print_runs(runs)
    if output:
        say(f"saved {output}")


def _summary(run: RunCurves) -> dict[str, Any]:
    """Return what the table shows of a run; None for what its log does not contain."""
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


def _print_runs(runs: Sequence[RunCurves]) -> None:
    from fnnet.apps.report import loss_text, terminal
    from fnnet.errors import one_line

    table = terminal.table("run", "recipe", "sizes", "epochs", "seconds", "best acc", "at", "least loss", left="run")
    for run in runs:
        summary = _summary(run)
        accuracy, loss = summary["best_accuracy"], summary["lowest_loss"]
        table.add_row(
            run.name if summary["measured_on"] == "dev" else f"{run.name} (train)",
            one_line(summary["recipe"] or ""),
            "-".join(map(str, summary["sizes"] or [])),
            f"{run.epochs[-1].epoch:,}",
            f"{summary['seconds']:.1f}",
            "" if accuracy is None else f"{accuracy:.2%}",
            "" if accuracy is None else f"{summary['best_epoch']:,}",
            "" if loss is None else loss_text(loss),
        )
    screen = console()
    screen.print(table)
    terminal.run_curves(runs, screen)
