"""`fnnet suspects`."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    console,
    data_inputs,
    describe,
    is_streamed,
    load_data,
    load_kernels,
    print_json,
    say,
)
from fnnet.cli.help import Grouped
from fnnet.cli.mismatch import naming_options
from fnnet.cli.options import (
    Count,
    FileName,
    class_weights_option,
    compiled_options,
    data_options,
    json_option,
    picture_option,
    quiet_option,
    reading_options,
    recipe_option,
    seed_option,
)
from fnnet.cli.outputs import check_picture, say_replaced
from fnnet.cli.plan_options import plan_options, settings_of
from fnnet.cli.streams import echo
from fnnet.errors import UsageError, counted

if TYPE_CHECKING:
    from fnnet.data import Dataset
    from fnnet.training.suspects import Suspects

TABLE: Final = "suspects.csv"
"""The file of the table, unless another is named."""
SHEET: Final = "suspects.png"
SHOWN: Final = 100
"""Images on the sheet."""
LISTED: Final = 10
"""Suspects in the terminal."""
CORRECTIONS: Final = {"leave-out": "leave-out", "suggested": "suggested", "none": ""}
"""What --correction names -> what stands in the column."""


@click.command(cls=Grouped, short_help="Which labels may be wrong? Networks judge images that they have not seen.")
@compiled_options("Train")
@data_options
@reading_options
@recipe_option
@plan_options(without=("--members", "--window", "--local-steps"))
@class_weights_option
@click.option(
    "--folds", type=Count(2, 100), default=5, show_default=True, help="Parts of the images, and networks to train."
)
@click.option(
    "--correction",
    type=click.Choice([*CORRECTIONS]),
    default="leave-out",
    show_default=True,
    help="What the column of that name says at first: the image is left out, takes the suggested class, or stays.",
)
@seed_option
@click.option("--out", type=FileName(), help=f"The table of suspects, CSV.  [default: {TABLE}, if there is none]")
@picture_option("--sheet", SHEET, "Picture of the suspects, the most doubtful first, with label and suggestion.")
@json_option
@quiet_option
def suspects(recipe: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Find images for training whose labels may be wrong, by networks of the same recipe that were trained on others.

    The table has file, index, label, suggested class, probabilities and correction. Look at the images, edit the
    column `correction` (a class, leave-out, or nothing), and train with it:

    \b
    fnnet suspects --data scans --jit --sheet
    fnnet train --data scans --jit --corrections suspects.csv
    """
    from fnnet.files.endings import check_ending

    settings, notify, out, sheet = settings_of(options), Notices(quiet), options["out"], options["sheet"]
    outputs: dict[str, Any] = {"files": {"--out": out or TABLE}, "pictures": {"--sheet": sheet}}
    check_outputs(inputs=data_inputs(options), **outputs)
    check_ending(out or TABLE, "CSV", "--out")
    _check_new(out)
    _check_memory(options)
    begin_loading_kernels(options["jit"], options["threads"])
    from fnnet.data.tables import refuse_table
    from fnnet.training import session

    with naming_options():
        session.check_settings(recipe, settings, class_weights=options["class_weights"])
    replaced = check_picture(sheet, "--sheet", notify) if sheet == SHEET else []
    dataset = load_data(options, notify)
    if sheet:
        refuse_table(dataset, "--sheet", "images, which can be drawn", "leave it out")
    count = len(dataset.train.labels)
    if not quiet:
        echo(describe(dataset, {"train": count}), err=as_json)
    found, compiled = _find(dataset, recipe, settings, options, notify, quiet)
    _write(out or TABLE, found, dataset, options["correction"])
    if sheet:
        _draw(sheet, found, dataset)
    if as_json:
        about = {"dataset": dataset.name, "images": count, "recipe": recipe, "folds": options["folds"]}
        about |= {"jit": compiled, "seed": options["seed"], "accuracy": found.accuracy}
        written = {"out": out or TABLE, "sheet": sheet, "notes": notify.notes}
        print_json({**about, "suspects": _entries(found, dataset), **written})
        return
    if quiet:
        say_replaced(replaced)
    _print(found, dataset, quiet)
    for path in (out or TABLE, sheet):
        if path:
            say(f"saved {path}")


def _check_new(out: str | None) -> None:
    """Raise UsageError for a table of the default name, which may have been edited."""
    if out is None and os.path.lexists(TABLE):
        fix = "name a file: --out FILE"
        raise UsageError(
            "would replace a file", where="--out", expected=f"no {TABLE}", found="one, perhaps edited", fix=fix
        )


def _check_memory(options: dict[str, Any]) -> None:
    if is_streamed(options):
        found, fix = f"{options['data_choice']}, a stream", "give pictures or a table that fit in memory"
        raise UsageError("reads all images at once", where="--data", expected="no stream", found=found, fix=fix)


def _find(
    dataset: Dataset, recipe: str, settings: dict[str, Any], options: dict[str, Any], notify: Notices, quiet: bool
) -> tuple[Suspects, bool]:
    from fnnet.cli.watch import watched
    from fnnet.training import session
    from fnnet.training.suspects import find_suspects

    given = {"seed": options["seed"], "class_weights": options["class_weights"]}
    with naming_options():
        job = session.prepare(dataset, recipe, settings, **given)
    kernels, _ = load_kernels(options["jit"], options["threads"], notify, ["infer", *job.plan.kernel_parts])
    with watched(job, quiet) as watch, naming_options():
        found = find_suspects(
            dataset, recipe, settings, folds=options["folds"], kernels=kernels, on_block=watch.on_block,
            during=watch.interrupts, **given,
        )  # fmt: skip
    return found, kernels.compiled


def _write(path: str, found: Suspects, dataset: Dataset, correction: str) -> None:
    from fnnet.files.disk import write_file
    from fnnet.training.suspects import rows_of_table

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows_of_table(found, dataset, CORRECTIONS[correction]))
    write_file(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _entries(found: Suspects, dataset: Dataset) -> list[dict[str, Any]]:
    files, labels, classes = dataset.files[0], dataset.train.labels, dataset.classes
    return [
        {
            "index": row,
            "file": files[row] if files else None,
            "label": classes[labels[row]],
            "suggested": classes[other],
            "probability": float(found.probs[row, other]),
            "label_probability": float(found.probs[row, labels[row]]),
        }
        for row, other in zip(found.rows.tolist(), found.suggested.tolist(), strict=True)
    ]


def _draw(path: str, found: Suspects, dataset: Dataset) -> None:
    from fnnet.apps.report.plots import plot_sheet

    entries = _entries(found, dataset)[:SHOWN]
    if not entries:
        return
    images = [dataset.train.x[each["index"]].reshape(dataset.image_shape) for each in entries]
    captions = [f"{each['label']}, or {each['suggested']}?\n{each['index']}" for each in entries]
    title = f"{dataset.name}: {len(entries)} of {counted(len(found.rows), 'suspect')}: label, or suggestion? index"
    plot_sheet(path, images, captions, None, title)


def _print(found: Suspects, dataset: Dataset, quiet: bool) -> None:
    from fnnet.core.state import unit_of

    entries, unit = _entries(found, dataset), unit_of(dataset.preprocessing)
    if entries and not quiet:
        from fnnet.apps.report import terminal
        from fnnet.apps.report.measured import probability_text

        rows = terminal.table(unit, "label", "probability", "suggested", "probability", left=unit)
        for each in entries[:LISTED]:
            name = each["file"] or f"{each['index']:,}"
            likely = [probability_text(each[key]) for key in ("label_probability", "probability")]
            rows.add_row(name, each["label"], likely[0], each["suggested"], likely[1])
        console().print(rows)
        if len(entries) > LISTED:
            say(f"... and {len(entries) - LISTED:,} more")
    images = counted(len(dataset.train.labels), unit)
    say(f"{counted(len(entries), 'suspect')} of {images}; networks agree with {found.accuracy:.2%} of the labels")
