"""`fnnet report`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    data_inputs,
    load_kept_model,
    model_file_of,
    print_json,
    say,
)
from fnnet.cli.measuring import measure
from fnnet.cli.options import (
    Count,
    FileName,
    column_options,
    compiled_options,
    json_option,
    model_data_options,
    quiet_option,
)
from fnnet.cli.outputs import check_page, say_replaced
from fnnet.errors import counted
from fnnet.names import MODEL_FILE

if TYPE_CHECKING:
    from fnnet.cli.measuring import Measured
    from fnnet.core.state import Model

PAGE: Final = "report.html"
"""The file of the page, unless another is named."""


@click.command(short_help="A page on a model or a run: curves, confusion, mistakes, calibration, origin.")
@click.argument("path", metavar="RUN|MODEL", type=FileName())
@click.option("--out", "-o", type=FileName(), help=f"File of the page, which needs no network.  [default: {PAGE}]")
@click.option("--worst", type=Count(0, 200), default=24, show_default=True, help="The worst mistakes to show.")
@model_data_options
@column_options
@compiled_options("Evaluate")
@json_option
@quiet_option
def report(
    path: str, out: str | None, worst: int, jit: bool, threads: int | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Write a page of HTML on a model, or on the run that it came from by its folder: the accuracy and its interval,
    curves of training, figures of each class, confusion, the worst mistakes, calibration, the hidden units as images,
    options, data, versions and hashes. The page is one file, opens without a network and runs no script.

    The model is measured as by 'evaluate', on the images that it was tested on unless --data names others.
    """
    from fnnet.files.endings import check_ending

    notify, file, place = Notices(quiet), model_file_of(path), out or PAGE
    check_ending(place, "HTML", "--out")
    outputs: dict[str, Any] = {"files": {"--out": place}}
    check_outputs(inputs=[file, *data_inputs(options)], **outputs)
    replaced = check_page(place, "--out", notify) if out is None else []
    begin_loading_kernels(jit, threads)
    about, model = _about(file, notify), load_kept_model(file, notify)
    given: dict[str, Any] = {"jit": jit, "threads": threads, "quiet": quiet, "as_json": as_json}
    found = measure(model, file, options, notify, worst=worst, outputs=outputs, **given)
    _write(place, about, model, found)
    if as_json:
        print_json({**_document(about, file, found), "out": place, "notes": notify.notes})
        return
    if quiet:
        say_replaced(replaced)
    say(f"saved {place}: accuracy {found.result.accuracy:.2%} on {counted(found.images, found.unit)}")


def _about(file: str, notify: Notices) -> dict[str, Any]:
    """Return what is known of a model, and of the run in whose folder it is; what is damaged there is noted."""
    from fnnet.apps.about import about_model, about_run
    from fnnet.data.notes import Note
    from fnnet.files.run_folder import is_run

    folder = os.path.dirname(file) or "."
    if os.path.basename(file) != MODEL_FILE or not is_run(folder):
        return about_model(file)
    about, problems = about_run(folder)
    for problem in problems:
        notify(Note("damaged", str(problem)))
    return about


def _document(about: Mapping[str, Any], file: str, found: Measured) -> dict[str, Any]:
    from fnnet.core.judging import calibration, wilson

    run = about["run"]
    return {
        "model": file,
        "run": run["folder"] if run else None,
        "dataset": found.dataset.name,
        "images": found.images,
        "loss": found.result.loss,
        "accuracy": found.result.accuracy,
        "interval": wilson(int(found.matrix.trace()), found.images),
        "expected_calibration_error": calibration(found.tally).error,
    }


def _write(place: str, about: Mapping[str, Any], model: Model, found: Measured) -> None:
    from fnnet.apps.report.page import Report, page_of
    from fnnet.files.disk import write_file

    result, dataset, run = found.result, found.dataset, about["run"]
    shown = Report(about, model, dataset.name, dataset.source, result.loss, found.matrix, found.tally, found.file_of)
    title = f"Report on {run['folder'] if run else os.path.basename(about['model'])}"
    write_file(place, page_of(shown, title).encode("utf-8", "backslashreplace"))
