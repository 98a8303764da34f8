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
    load_kept_model,
    load_kernels,
    model_file_of,
    print_json,
    say,
    without_skipping,
)
from fnnet.cli.for_model import load_fitting
from fnnet.cli.options import (
    FileName,
    compiled_options,
    first_index_option,
    image_option,
    json_option,
    label_column_option,
    model_data_options,
    quiet_option,
    seed_option,
    transpose_option,
)
from fnnet.cli.outputs import check_picture, say_replaced
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
PICTURE: Final = "evaluation.png"
"""Its file, unless another is named."""


class _Measured(NamedTuple):
    """What was measured, of which images; fields as `_results` returns them."""

    dataset: Dataset | StreamedDataset
    examples: Examples | Stream
    kernels: Kernels
    results: list[Evaluation]
    result: Evaluation | Totals
    matrix: Array
    digest: str


@click.command(short_help="How good is a model, class by class?")
@click.argument("model_path", metavar="MODEL", type=FileName())
@model_data_options
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
    flag_value=PICTURE,
    help=f"Picture of test images with predictions and labels, mistakes marked.  [{PICTURE}]",
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
    """Measure MODEL, a file or the folder of a run, on the test images, class by class.

    Without --data these are those that it was tested on when it was trained, found where its data were; of other data
    they are the test set, or all labelled images if there is none. A share that was held out of the data to test on is
    that of --data, too. Those of a folder that 'data expand' wrote, and of Parquet of 34 MB and more, are read piece by
    piece.
    """
    from fnnet.data.stream import Stream

    notify, model_path = Notices(quiet), model_file_of(model_path)
    check_outputs(inputs=[model_path, *data_inputs(options)], pictures={"--plot": plot})
    begin_loading_kernels(jit, threads)
    model, is_int8 = load_kept_model(model_path, notify), precision == "int8"
    if is_int8:
        _check_int8(model)
    replaced = check_picture(plot, "--plot", notify) if plot == PICTURE else []
    given: dict[str, Any] = {"plot": plot, "jit": jit, "threads": threads, "quiet": quiet, "as_json": as_json}
    found = _measure(model, model_path, options, notify, precision=precision, **given)
    if as_json:
        print_json(_document(model, model_path, found, precision) | {"plot": plot, "notes": notify.notes})
    else:
        if quiet:
            say_replaced(replaced)
        _print(model, found, quiet)
    if plot and not isinstance(found.examples, Stream):
        _plot_sheet(plot, model, found.dataset, found.examples, found.results[-1], seed)
        if not as_json:
            say(f"saved {plot}")


def _measure(
    model: Model,
    model_path: str,
    options: dict[str, Any],
    notify: Notices,
    *,
    precision: str,
    plot: str | None,
    jit: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> _Measured:
    """Return what is found of the data that options name, or of the model's own."""
    from fnnet.cli import own_data
    from fnnet.data.holdout import hold_out_again
    from fnnet.data.reader import only_at_once
    from fnnet.data.stream import count_of
    from fnnet.data.tables import refuse_table

    own, is_int8, test = options["data_choice"] is None, precision == "int8", own_data.about_test(model)
    tested = own_data.own_test_set(options, model, model_path, notify) if own else None
    if own and not tested:
        options = own_data.with_own_data(options, model, model_path)
        check_outputs(inputs=data_inputs(options), pictures={"--plot": plot})

    def measured(streamed: bool) -> _Measured:
        dataset = tested or hold_out_again(load_fitting(options, model, model_path, notify, streamed), test)
        part, examples = ("test", dataset.test) if dataset.test else ("labelled", dataset.train)
        _check_streamed(examples, precision, plot)
        if plot:
            refuse_table(dataset, "--plot", "images, which can be drawn", "leave it out")
        if not quiet:
            line = describe(dataset, {part: count_of(examples)})
            notify.in_turn(lambda: echo(line, err=as_json))
        kernels, _ = load_kernels(jit, threads, notify, ["infer", *["quantised"] * is_int8])
        return _Measured(dataset, examples, kernels, *_results(model, examples, is_int8, kernels, quiet))

    streamed = not tested and is_streamed(options)
    at_once = tested or streamed or plot or is_int8 or (own and test.get("held_out"))
    large = not at_once and is_streamed(options, large=True)
    try:
        with without_skipping(), notify.held(large):
            found = measured(large or streamed)
    except DataError as error:
        if not (large and only_at_once(error)):
            raise
        found = measured(streamed=False)
    if note := own_data.note_of_others(model, found.dataset, count_of(found.examples), found.digest, own):
        notify(note)
    return found


def _document(model: Model, model_path: str, found: _Measured, precision: str) -> dict[str, Any]:
    """Return the JSON document, except the picture and the notes."""
    from fnnet.core import metrics
    from fnnet.data.stream import count_of

    figures = zip(model.classes, metrics.per_class(found.matrix), strict=True)
    return {
        "model": model_path,
        "dataset": found.dataset.name,
        "images": count_of(found.examples),
        "jit": found.kernels.compiled,
        "precision": precision,
        "accuracy_lost": found.results[0].accuracy - found.result.accuracy if precision == "int8" else None,
        "loss": found.result.loss,
        "accuracy": found.result.accuracy,
        "classes": [{"class": name, **row._asdict()} for name, row in figures],
        "confusion": found.matrix.tolist(),
    }


def _print(model: Model, found: _Measured, quiet: bool) -> None:
    from fnnet.apps.report import loss_text
    from fnnet.core.state import unit_of
    from fnnet.data.stream import count_of

    if not quiet:
        _print_classes(model, found.matrix)
    unit = unit_of(model.preprocessing)
    images = counted(count_of(found.examples), unit)
    say(f"accuracy {found.result.accuracy:.2%}, loss {loss_text(found.result.loss)} on {images}")
    if len(found.results) > 1:
        floats, whole = found.results
        _say_what_is_lost(floats, whole, unit)


def _results(
    model: Model, examples: Examples | Stream, is_int8: bool, kernels: Kernels, quiet: bool
) -> tuple[list[Evaluation], Evaluation | Totals, Array, str]:
    """Return what is found by floats and, if wanted, by int8, of images in memory; the last result; the confusion; and
    the digest of the images."""
    from fnnet.core import metrics
    from fnnet.data.stream import Stream, fingerprint_of

    if isinstance(examples, Stream):
        total, digest = _evaluate_stream(model, examples, kernels, quiet)
        return [], total, total.confusion, digest
    results = [
        metrics.evaluate(model.params, *examples, activation=model.activation, precision=each, kernels=kernels)
        for each in ("float", "int8")[: 1 + is_int8]
    ]
    matrix = metrics.confusion(results[-1].predicted, examples.labels, len(model.classes))
    return results, results[-1], matrix, fingerprint_of(examples)


def _check_streamed(examples: Examples | Stream, precision: str, plot: str | None) -> None:
    """Raise UsageError for what needs all images at once, of a stream."""
    from fnnet.data.stream import Stream

    if not isinstance(examples, Stream):
        return
    for where, given, expected in (("--precision", precision == "int8", "float"), ("--plot", plot, "no picture")):
        if given:
            fix = "leave it out, or evaluate on a stream with a test set"
            raise UsageError("reads all images at once", where=where, expected=expected, found="a stream", fix=fix)


def _evaluate_stream(model: Model, stream: Stream, kernels: Kernels, quiet: bool) -> tuple[Totals, str]:
    """Return the figures of all images of a stream, which are read piece by piece, and their digest."""
    from fnnet.core import metrics
    from fnnet.core.public import CHUNK
    from fnnet.data.stream import Fingerprint

    fingerprint = Fingerprint()

    def batches(show: Callable[[float], None]) -> Iterator[Examples]:
        done = 0
        for each in stream.batches(CHUNK):
            fingerprint.add(each)
            yield each
            done += len(each.labels)
            show(done / stream.images)

    with share_bar("evaluating", not quiet) as show:
        given: dict[str, Any] = {"activation": model.activation, "kernels": kernels}
        found = metrics.evaluate_in(model.params, batches(show), len(model.classes), **given)
    return found, fingerprint.hexdigest()


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
    from fnnet.core.state import unit_of

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
