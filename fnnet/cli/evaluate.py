"""`fnnet evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from fnnet.cli.bars import share_bar
from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    console,
    data_inputs,
    describe,
    is_streamed,
    load_kernels,
    print_json,
    say,
    unit_of,
    without_skipping,
)
from fnnet.cli.for_model import load_fitting
from fnnet.cli.options import (
    FileName,
    compiled_options,
    data_options,
    first_index_option,
    image_option,
    json_option,
    label_column_option,
    quiet_option,
    seed_option,
    transpose_option,
)
from fnnet.cli.streams import echo
from fnnet.errors import DataError, UsageError, counted
from fnnet.names import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fnnet.core.metrics import Evaluation, Totals
    from fnnet.core.params import Array
    from fnnet.core.state import Examples, Model
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset, StreamedDataset
    from fnnet.data.stream import Stream

SHEET: Final = 100
"""Images in the picture."""


class _Measured(NamedTuple):
    """What was measured, of which images; fields as `_results` returns them."""

    dataset: Dataset | StreamedDataset
    examples: Examples | Stream
    kernels: Kernels
    results: list[Evaluation]
    result: Evaluation | Totals
    matrix: Array


@click.command(short_help="How good is a model, class by class?")
@click.argument("model_path", metavar="MODEL", type=FileName())
@data_options
@label_column_option
@image_option
@first_index_option
@transpose_option
@compiled_options("Evaluate")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float",
    show_default=True,
    help="int8: weights and hidden values in whole numbers of eight bits, and the accuracy that this loses.",
)
@click.option(
    "--plot",
    type=FileName(),
    metavar="[FILE]",
    is_flag=False,
    flag_value="evaluation.png",
    help="Picture of test images with predictions and labels, mistakes marked.  [evaluation.png]",
)
@seed_option
@json_option
@quiet_option
def evaluate(
    model_path: str,
    plot: str | None,
    jit: bool,
    threads: int | None,
    precision: str,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure MODEL on the test images, class by class; on all labelled images if there is no test set.

    Those of a folder that 'data expand' wrote, and of Parquet of 34 MB and more, are read piece by piece.
    """
    from fnnet.apps.report import loss_text
    from fnnet.core import metrics
    from fnnet.data.reader import only_at_once
    from fnnet.data.stream import Stream, count_of
    from fnnet.data.tables import refuse_table
    from fnnet.files.model import load_model

    check_outputs(inputs=[model_path, *data_inputs(options)], pictures={"--plot": plot})
    notify = Notices(quiet)
    begin_loading_kernels(jit, threads)
    model, is_int8 = load_model(model_path), precision == "int8"
    if is_int8:
        _check_int8(model)

    def measured(streamed: bool) -> _Measured:
        dataset = load_fitting(options, model, model_path, notify, streamed)
        part, examples = ("test", dataset.test) if dataset.test else ("labelled", dataset.train)
        _check_streamed(examples, precision, plot)
        if plot:
            refuse_table(dataset, "--plot", "images, which can be drawn", "leave it out")
        if not quiet:
            line = describe(dataset, {part: count_of(examples)})
            notify.in_turn(lambda: echo(line, err=as_json))
        kernels, _ = load_kernels(jit, threads, notify, ["infer", *["quantised"] * is_int8])
        return _Measured(dataset, examples, kernels, *_results(model, examples, is_int8, kernels, quiet))

    streamed = is_streamed(options)
    large = not (streamed or plot or is_int8) and is_streamed(options, large=True)
    try:
        with without_skipping(), notify.held(large):
            found = measured(large or streamed)
    except DataError as error:
        if not (large and only_at_once(error)):
            raise
        found = measured(streamed=False)
    dataset, examples, kernels, results, result, matrix = found
    images, unit = count_of(examples), unit_of(model.preprocessing)
    lost = results[0].accuracy - result.accuracy if is_int8 else None
    if as_json:
        figures = zip(model.classes, metrics.per_class(matrix), strict=True)
        document = {
            "model": model_path,
            "dataset": dataset.name,
            "images": images,
            "jit": kernels.compiled,
            "precision": precision,
            "accuracy_lost": lost,
            "loss": result.loss,
            "accuracy": result.accuracy,
            "classes": [{"class": name, **row._asdict()} for name, row in figures],
            "confusion": matrix.tolist(),
            "plot": plot,
            "notes": notify.notes,
        }
        print_json(document)
    else:
        if not quiet:
            _print_classes(model, matrix)
        say(f"accuracy {result.accuracy:.2%}, loss {loss_text(result.loss)} on {counted(images, unit)}")
        if is_int8:
            _say_what_is_lost(*results, unit)
    if plot and not isinstance(examples, Stream):
        _plot_sheet(plot, model, dataset, examples, results[-1], seed)
        if not as_json:
            say(f"saved {plot}")


def _results(
    model: Model, examples: Examples | Stream, is_int8: bool, kernels: Kernels, quiet: bool
) -> tuple[list[Evaluation], Evaluation | Totals, Array]:
    """Return what is found by floats and, if wanted, by int8, of images in memory; the last result; the confusion."""
    from fnnet.core import metrics
    from fnnet.data.stream import Stream

    if isinstance(examples, Stream):
        total = _evaluate_stream(model, examples, kernels, quiet)
        return [], total, total.confusion
    results = [
        metrics.evaluate(model.params, *examples, activation=model.activation, precision=each, kernels=kernels)
        for each in ("float", "int8")[: 1 + is_int8]
    ]
    return results, results[-1], metrics.confusion(results[-1].predicted, examples.labels, len(model.classes))


def _check_streamed(examples: Examples | Stream, precision: str, plot: str | None) -> None:
    """Raise UsageError for what needs all images at once, of a stream."""
    from fnnet.data.stream import Stream

    if not isinstance(examples, Stream):
        return
    for where, given, expected in (("--precision", precision == "int8", "float"), ("--plot", plot, "no picture")):
        if given:
            fix = "leave it out, or evaluate on a stream with a test set"
            raise UsageError("reads all images at once", where=where, expected=expected, found="a stream", fix=fix)


def _evaluate_stream(model: Model, stream: Stream, kernels: Kernels, quiet: bool) -> Totals:
    """Return the figures of all images of a stream, which are read piece by piece."""
    from fnnet.core import metrics
    from fnnet.core.public import CHUNK

    def batches(show: Callable[[float], None]) -> Iterator[Examples]:
        done = 0
        for each in stream.batches(CHUNK):
            yield each
            done += len(each.labels)
            show(done / stream.images)

    with share_bar("evaluating", not quiet) as show:
        given: dict[str, Any] = {"activation": model.activation, "kernels": kernels}
        return metrics.evaluate_in(model.params, batches(show), len(model.classes), **given)


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


def _print_classes(model: Model, matrix: Array) -> None:
    from fnnet.apps.report import terminal
    from fnnet.core import metrics

    last = "most often predicted as"
    units = f"{unit_of(model.preprocessing)}s"
    table = terminal.table("class", units, "precision", "recall", "F1", last, left=last)
    for number, (name, row) in enumerate(zip(model.classes, metrics.per_class(matrix), strict=True)):
        wrong = matrix[number].copy()
        wrong[number] = 0
        mistaken = f"{model.classes[int(wrong.argmax())]} ({counted(int(wrong.max()), 'time')})" if wrong.any() else ""
        table.add_row(name, f"{row.images:,}", f"{row.precision:.2%}", f"{row.recall:.2%}", f"{row.f1:.2%}", mistaken)
    console().print(table)


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
