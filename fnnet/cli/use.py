"""`fnnet evaluate` and `fnnet predict`: a trained model at work."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from fnnet.cli.options import FileName, compiled_options, data_options, json_option, quiet_option, seed_option
from fnnet.cli.output import (
    check_outputs,
    console,
    data_inputs,
    describe,
    load_data,
    load_kernels,
    notifier,
    print_json,
    say,
)
from fnnet.errors import DataError, FnnetError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fnnet.data import Dataset
    from fnnet.metrics import Evaluation
    from fnnet.network import Examples
    from fnnet.params import Array, Model

DRAWN: Final = 4
"""So many images at most are drawn by `predict`."""
SHEET: Final = 100


@click.command(short_help="How good is a model, class by class?")
@click.argument("model_path", metavar="MODEL", type=FileName())
@data_options
@compiled_options("Evaluate")
@click.option(
    "--plot",
    type=FileName(),
    metavar="[FILE]",
    is_flag=False,
    flag_value="evaluation.png",
    help="A sheet of test images with answers and labels, mistakes marked (extra plot).  [evaluation.png]",
)
@seed_option
@json_option
@quiet_option
def evaluate(
    model_path: str,
    plot: str | None,
    jit: bool,
    threads: int | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """How good is MODEL on the test images, class by class; on all labelled images where there is no test set."""
    from fnnet import metrics, storage

    check_outputs(inputs=[model_path, *data_inputs(options)], pictures={"--plot": plot})
    notify = notifier(quiet)
    model = storage.load_model(model_path)
    dataset = load_data(options, notify, model)
    _check_fit(model, dataset, model_path)
    part, examples = ("test", dataset.test) if dataset.test else ("labelled", dataset.train)
    if not quiet:
        say(describe(dataset, {part: len(examples.labels)}), err=as_json)
    kernels, _ = load_kernels(jit, threads, notify)
    result = metrics.evaluate(model.params, *examples, activation=model.activation, kernels=kernels)
    matrix = metrics.confusion(result.answers, examples.labels, len(model.classes))
    if as_json:
        figures = zip(model.classes, metrics.per_class(matrix), strict=True)
        document = {
            "model": model_path,
            "dataset": dataset.name,
            "images": len(examples.labels),
            "jit": kernels.trainer is not None,
            "loss": result.loss,
            "accuracy": result.accuracy,
            "classes": [{"class": name, **row._asdict()} for name, row in figures],
            "confusion": matrix.tolist(),
            "plot": plot,
        }
        print_json(document)
    else:
        if not quiet:
            _print_classes(model, matrix)
        say(f"accuracy {result.accuracy:.2%}, loss {result.loss:.4f} on {len(examples.labels):,} images")
    if plot:
        _plot_sheet(plot, model, dataset, examples, result, seed)
        if not as_json:
            say(f"saved {plot}")


def _check_fit(model: Model, dataset: Dataset, model_path: str) -> None:
    if model.image_shape != dataset.image_shape or model.classes != dataset.classes:
        expected, found = (
            f"{height}x{width} pixels and classes {', '.join(classes[:12])}"
            for (height, width), classes in (
                (model.image_shape, model.classes),
                (dataset.image_shape, dataset.classes),
            )
        )
        fix = "use the data that it was trained for"
        raise ModelError(f"does not fit {dataset.name}", where=model_path, expected=expected, found=found, fix=fix)


def _print_classes(model: Model, matrix: Array) -> None:
    from fnnet import metrics
    from fnnet.report import terminal

    last = "most often taken for"
    table = terminal.table("class", "images", "precision", "recall", "F1", last, left=last)
    for number, (name, row) in enumerate(zip(model.classes, metrics.per_class(matrix), strict=True)):
        wrong = matrix[number].copy()
        wrong[number] = 0
        taken = f"{model.classes[int(wrong.argmax())]} ({wrong.max()} times)" if wrong.any() else ""
        table.add_row(name, f"{row.images:,}", f"{row.precision:.2%}", f"{row.recall:.2%}", f"{row.f1:.2%}", taken)
    console().print(table)


def _plot_sheet(path: str, model: Model, dataset: Dataset, examples: Examples, result: Evaluation, seed: int) -> None:
    """A sheet of images drawn by the seed; up to a quarter of them are mistakes, so that some can be seen."""
    import numpy as np

    from fnnet import rng
    from fnnet.report.plots import plot_sheet

    order = rng.order(seed, "show", len(examples.labels))
    wrong = result.answers != examples.labels
    mistakes = order[wrong[order]][: SHEET // 4]
    right = order[~wrong[order]][: SHEET - len(mistakes)]
    shown = np.concatenate([mistakes, right])
    images = [examples.x[i].reshape(dataset.image_shape) for i in shown]
    captions = [
        f"{model.classes[result.answers[i]]} (is {model.classes[examples.labels[i]]})"
        if wrong[i]
        else model.classes[result.answers[i]]
        for i in shown
    ]
    first = f"first {len(mistakes)} of {wrong.sum():,} mistakes, then right answers"
    title = f"{dataset.name}: {result.accuracy:.2%} right; {first}"
    plot_sheet(path, images, captions, [bool(wrong[i]) for i in shown], title)


class Answer(NamedTuple):
    """One image: the file, its number in it, how many images the file has, pixels, whether it looks like dark ink on
    light paper, best class, probabilities."""

    file: str
    number: int
    of: int
    image: Array
    dark_on_light: bool
    best: int
    probs: Array


@click.command(short_help="Which digit is this?")
@click.argument("model_path", metavar="MODEL", type=FileName())
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True, type=FileName())
@click.option("--output", "-o", type=FileName(), help="Write the answers as CSV: ImageId,Label, counted from 1.")
@compiled_options("Predict")
@json_option
@quiet_option
def predict(
    model_path: str,
    files: tuple[str, ...],
    output: str | None,
    jit: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Which class is each IMAGE? Files are PNG (light ink on black), IDX, CSV or NPZ, of the size that MODEL knows; a
    folder stands for the PNG files in it.

    A file that cannot be read is reported and the others go on: their answers are printed, the exit code is 1, and no
    -o file is written. An image that looks like dark ink on light paper is noted.
    """
    from fnnet import storage

    notify = notifier(quiet)
    answers: list[Answer] = []
    failures: list[dict[str, str]] = []

    def fail(file: str, error: FnnetError) -> None:
        failures.append({"file": file, "error": str(error)})
        click.echo(f"error: {error}", err=True)

    files = _in_folders(files, fail)
    check_outputs(inputs=[model_path, *files], files={"--output": output})
    model = storage.load_model(model_path)
    kernels, _ = load_kernels(jit, threads, notify)
    for file in files:
        try:
            new = _answers(model, file, kernels)
        except FnnetError as error:
            fail(file, error)
        else:
            answers += new
            if dark := sum(answer.dark_on_light for answer in new):
                which = "looks" if len(new) == 1 else f"{dark:,} of {len(new):,} images look"
                notify(f"{file}: {which} like dark ink on light paper; the model knows light ink on black: invert")
    if output and not failures:
        _write_submission(output, model, answers)
    if as_json:
        predictions = [_as_json(model, answer) for answer in answers]
        written = None if failures else output
        print_json({"model": model_path, "output": written, "predictions": predictions, "failures": failures})
    elif not output or failures:
        _print_answers(model, answers, drawn=not quiet and len(answers) <= DRAWN)
    else:
        say(f"saved {output}: {len(answers):,} answers")
    if output and failures:
        found, fix = f"{len(failures)} that are not", "mend or leave out those"
        raise DataError("not written", where=output, expected="every file readable", found=found, fix=fix)
    return 1 if failures else 0


def _in_folders(files: tuple[str, ...], fail: Callable[[str, FnnetError], None]) -> tuple[str, ...]:
    """`files`, with the PNG files of a folder in its place; `fail` is told of folders that have none."""
    from fnnet.files import list_folder

    found: list[str] = []
    for file in files:
        if not os.path.isdir(file):
            found.append(file)
            continue
        try:
            inside = [str(path) for path in list_folder(file) if path.suffix.lower() == ".png" and path.is_file()]
            if not inside:
                fix = "name the files"
                raise DataError(
                    "no images", where=file, place="the folder", expected="PNG files", found="none", fix=fix
                )
            found += inside
        except FnnetError as error:
            fail(file, error)
    return tuple(found)


def _answers(model: Model, file: str, kernels: Any) -> list[Answer]:
    from fnnet import data
    from fnnet.images import dark_on_light
    from fnnet.network import answers, scores

    x = data.read_images(file, model.image_shape)
    logits = scores(model.params, x, activation=model.activation, kernels=kernels)
    dark = dark_on_light(x, model.image_shape).tolist()
    each = zip(x, dark, answers(logits).tolist(), kernels.softmax(logits), strict=True)
    return [Answer(file, i, len(x), *parts) for i, parts in enumerate(each)]


def _write_submission(path: str, model: Model, answers: list[Answer]) -> None:
    from fnnet.files import write_file

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "Label"])
    writer.writerows([number, model.classes[answer.best]] for number, answer in enumerate(answers, 1))
    write_file(path, text.getvalue().encode())


def _as_json(model: Model, answer: Answer) -> dict[str, Any]:
    return {
        "file": answer.file,
        "index": answer.number,
        "dark_on_light": answer.dark_on_light,
        "label": model.classes[answer.best],
        "probability": float(answer.probs[answer.best]),
        "probabilities": dict(zip(model.classes, answer.probs.tolist(), strict=True)),
    }


def _print_answers(model: Model, answers: list[Answer], drawn: bool) -> None:
    from fnnet.report import terminal

    screen = console()
    for answer in answers:
        name = answer.file if answer.of == 1 else f"{answer.file}[{answer.number}]"
        say(f"{name}: {model.classes[answer.best]} ({answer.probs[answer.best]:.2%})")
        if drawn:
            terminal.draw_answer(answer.image.reshape(model.image_shape), answer.probs, model.classes, screen)
