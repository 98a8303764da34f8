"""`fnnet info`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from fnnet.cli.common import console, print_json
from fnnet.cli.options import FileName, json_option


@click.command(short_help="What is in a model, or in a run?")
@click.argument("path", metavar="MODEL|RUN", type=FileName())
@json_option
def info(path: str, as_json: bool) -> None:
    """Show what there is to know of a model, or of a run by its folder, which train --run-dir wrote.

    Sizes, parameters and activation, the data and how pixels are read, the recipe and every option that was in force,
    test figures, hashes and versions; of a run also whether it is finished, stopped, being trained or damaged, and its
    reports. Nothing is changed: a run that is being trained may go on.
    """
    from fnnet.apps.about import about_model, about_run
    from fnnet.files.run_folder import is_run, model_file

    if os.path.isdir(path) and is_run(path):
        about, problems = about_run(path)
    else:
        about, problems = about_model(model_file(path)), []
    if as_json:
        print_json(about)
    else:
        _print(about)
    if problems:
        raise problems[0]


def _print(about: Mapping[str, Any]) -> None:
    from fnnet.apps.report import terminal
    from fnnet.apps.report.facts import fact_table, member_table
    from fnnet.core.state import report_of

    screen = console()
    fact_table(about, screen)
    run = about["run"] or {}
    if run.get("members"):
        screen.print()
        member_table(run["members"], screen)
    elif run.get("epochs"):
        reports = [report_of(each) for each in run["epochs"]]
        screen.print()
        terminal.epoch_table(reports, screen)
        terminal.curves(reports, screen)
