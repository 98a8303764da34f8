"""`fnnet evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    console,
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
    picture_option,
    quiet_option,
    seed_option,
)
from fnnet.cli.outputs import check_picture, say_replaced
from fnnet.errors import UsageError, counted
from fnnet.names import PRECISIONS

if TYPE_CHECKING:
    from fnnet.cli.measuring import Measured
    from fnnet.core.metrics import Evaluation
    from fnnet.core.state import Examples, Model
    from fnnet.data import Dataset, StreamedDataset

SHEET: Final = 100
"""Images in the picture."""
MOST_MISTAKES: Final = 1000
PICTURE: Final = "evaluation.png"
"""Its file, unless another is named."""


@click.command(short_help="How good is a model, class by class?")
@click.argument("model_path", metavar="MODEL", type=FileName())
@model_data_options
@column_options
@compiled_options("Evaluate")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float",
    show_default=True,
    help="int8: weights and hidden values in whole numbers of eight bits, and the accuracy that this loses.",
)
@picture_option("--plot", PICTURE, "Picture of test images with predictions and labels, mistakes marked.")
@click.option(
    "--worst",
    type=Count(0, MOST_MISTAKES),
    default=5,
    show_default=True,
    help="The worst mistakes to list, of the largest loss first: file or number of the image, class, prediction.",
)
@click.option("--confusion", type=FileName(), metavar="FILE", help="Confusion matrix as PNG, SVG or PDF.")
@seed_option
@json_option
@quiet_option
def evaluate(
    model_path: str,
    plot: str | None,
    worst: int,
    confusion: str | None,
    jit: bool,
    threads: int | None,
    precision: str,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure MODEL, a file or the folder of a run, on the test images: class by class, with the confusion matrix, the
    worst mistakes, and how far its probabilities can be relied on.

    Of the accuracy, and of each class's recall, the 95% confidence interval is given, by Wilson's score.

    Without --data these are those that it was tested on when it was trained, found where its data were; of other data
    they are the test set, or all labelled images if there is none. A share that was held out of the data to test on is
    that of --data, too. Those of a folder that 'data expand' wrote, and of Parquet of 34 MB and more, are read piece by
    piece.
    """
    from fnnet.data.stream import Stream

    notify, model_path = Notices(quiet), model_file_of(model_path)
    outputs: dict[str, Any] = {"pictures": {"--plot": plot, "--confusion": confusion}}
    check_outputs(inputs=[model_path, *data_inputs(options)], **outputs)
    begin_loading_kernels(jit, threads)
    model, is_int8 = load_kept_model(model_path, notify), precision == "int8"
    if is_int8:
        _check_int8(model)
    replaced = check_picture(plot, "--plot", notify) if plot == PICTURE else []
    given: dict[str, Any] = {"plot": plot, "outputs": outputs, "jit": jit, "threads": threads, "quiet": quiet}
    found = measure(model, model_path, options, notify, precision=precision, worst=worst, as_json=as_json, **given)
    if as_json:
        more = {"plot": plot, "confusion_plot": confusion, "notes": notify.notes}
        print_json(_document(model, model_path, found, precision) | more)
    else:
        if quiet:
            say_replaced(replaced)
        _print(model, found, quiet)
    if plot and not isinstance(found.examples, Stream):
        _plot_sheet(plot, model, found.dataset, found.examples, found.results[-1], seed)
    if confusion:
        from fnnet.apps.report.plots import plot_confusion

        title = f"{found.dataset.name}: {found.result.accuracy:.2%} of {counted(found.images, found.unit)} correct"
        plot_confusion(confusion, found.matrix, model.classes, title)
    for path in (plot, confusion) if not as_json else ():
        if path:
            say(f"saved {path}")


def _document(model: Model, model_path: str, found: Measured, precision: str) -> dict[str, Any]:
    """Return the JSON document, except the pictures and the notes."""
    from fnnet.apps.report.measured import calibration_json, classes_json, mistakes_json
    from fnnet.core.judging import wilson

    return {
        "model": model_path,
        "dataset": found.dataset.name,
        "images": found.images,
        "jit": found.kernels.compiled,
        "precision": precision,
        "accuracy_lost": found.results[0].accuracy - found.result.accuracy if precision == "int8" else None,
        "loss": found.result.loss,
        "accuracy": found.result.accuracy,
        "interval": wilson(int(found.matrix.trace()), found.images),
        "classes": classes_json(found.matrix, model.classes),
        "confusion": found.matrix.tolist(),
        "mistakes": mistakes_json(found.tally, model.classes, found.file_of),
        "calibration": calibration_json(found.tally),
    }


def _print(model: Model, found: Measured, quiet: bool) -> None:
    from fnnet.apps.report import loss_text
    from fnnet.apps.report.measured import interval_text

    if not quiet:
        from fnnet.apps.report import tables

        screen, classes = console(), model.classes
        tables.class_table(found.matrix, classes, found.unit, screen)
        tables.confusion_table(found.matrix, classes, screen)
        tables.mistake_table(found.tally, classes, found.file_of, found.dataset.source, found.unit, screen)
        tables.calibration_table(found.tally, found.unit, screen)
        screen.print()
    images = counted(found.images, found.unit)
    measured = f"accuracy {found.result.accuracy:.2%}, loss {loss_text(found.result.loss)} on {images}"
    say(f"{measured}; 95% interval {interval_text(int(found.matrix.trace()), found.images)}")
    if len(found.results) > 1:
        floats, whole = found.results
        _say_what_is_lost(floats, whole, found.unit)


def _check_int8(model: Model) -> None:
    """Raise UsageError, before data is read, for a model that has no int8 form."""
    from fnnet.core import int8
    from fnnet.core.state import networks_of

    try:
        for network in networks_of(model.params):
            int8.quantise(network, model.activation)
    except UsageError as error:
        raise error.at("--precision", fix="leave the option out") from None


def _say_what_is_lost(floats: Evaluation, whole: Evaluation, unit: str) -> None:
    from fnnet.apps.report import loss_text

    lost = 100 * (floats.accuracy - whole.accuracy)
    less = f"{abs(lost):.2f} points {'less' if lost > 0 else 'more'}" if lost else "as"
    differ = counted(int((floats.predicted != whole.predicted).sum()), unit)
    by_floats = f"{floats.accuracy:.2%}, loss {loss_text(floats.loss)}"
    say(f"int8: {less} accurate {'than' if lost else 'as'} floats ({by_floats}); {differ} classed otherwise")


def _plot_sheet(
    path: str, model: Model, dataset: Dataset | StreamedDataset, examples: Examples, result: Evaluation, seed: int
) -> None:
    """Draw images chosen by the seed, up to a quarter of them mistakes so that some can be seen."""
    import numpy as np

    from fnnet.apps.report.plots import plot_sheet
    from fnnet.core import rng

    order = rng.order(seed, "show", len(examples.labels))
    wrong = result.predicted != examples.labels
    mistakes = order[wrong[order]][: SHEET // 4]
    right = order[~wrong[order]][: SHEET - len(mistakes)]
    shown = np.concatenate([mistakes, right])
    images = [examples.x[i].reshape(dataset.image_shape) for i in shown]
    captions = [
        f"{model.classes[result.predicted[i]]} (is {model.classes[examples.labels[i]]})"
        if wrong[i]
        else model.classes[result.predicted[i]]
        for i in shown
    ]
    first = f"first {len(mistakes)} of {counted(int(wrong.sum()), 'mistake')}, then correct predictions"
    title = f"{dataset.name}: {result.accuracy:.2%} correct; {first}"
    plot_sheet(path, images, captions, [bool(wrong[i]) for i in shown], title)
