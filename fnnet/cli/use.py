"""`fnnet evaluate` and `fnnet predict`: a trained model at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.options import data_options, jit_option, json_option, quiet_option, seed_option
from fnnet.cli.output import console, load_kernels, notifier, print_json
from fnnet.errors import DataError, FnnetError, ModelError, one_line

if TYPE_CHECKING:
    from fnnet.data import Dataset
    from fnnet.metrics import Evaluation
    from fnnet.network import Examples
    from fnnet.params import Array, Model

DRAWN: Final = 4
"""So many images at most are drawn by `predict`."""
SHEET: Final = 100


@click.command()
@click.argument("model_path", metavar="MODEL")
@data_options
@jit_option("Evaluate")
@click.option(
    "--plot",
    metavar="[FILE]",
    is_flag=False,
    flag_value="evaluation.png",
    help="A sheet of test images with answers and labels, mistakes marked (extra plot).  [evaluation.png]",
)
@seed_option
@json_option
@quiet_option
def evaluate(
    model_path: str, plot: str | None, jit: bool, seed: int, as_json: bool, quiet: bool, **options: Any
) -> None:
    """How good is MODEL on the test images, class by class; on all labelled images where there is no test set."""
    from fnnet import data, metrics, storage

    notify = notifier(quiet)
    if plot:
        from fnnet.report.plots import check_plot

        check_plot(plot)
        storage.check_writable(plot)
    model = storage.load_model(model_path)
    classes = options["classes"] or len(model.classes)
    dataset = data.load(options["data_choice"], options["data_dir"], classes=classes, notify=notify)
    _check_fit(model, dataset, model_path)
    part, examples = ("test", dataset.test) if dataset.test else ("labelled", dataset.train)
    if not quiet:
        source = one_line(f"data: {dataset.name}, {len(examples.labels):,} {part} images ({dataset.source})")
        click.echo(source, err=as_json)
    kernels, _ = load_kernels(jit, notify)
    result = metrics.evaluate(model.params, *examples, activation=model.activation, kernels=kernels)
    matrix = metrics.confusion(result.answers, examples.labels, len(model.classes))
    if plot:
        _plot_sheet(plot, model, dataset, examples, result, seed)
    if as_json:
        figures = metrics.per_class(matrix)
        print_json(
            {
                "model": model_path,
                "dataset": dataset.name,
                "images": len(examples.labels),
                "jit": jit,
                "loss": result.loss,
                "accuracy": result.accuracy,
                "classes": [{"class": name, **row._asdict()} for name, row in zip(model.classes, figures, strict=True)],
                "confusion": matrix.tolist(),
                "plot": plot,
            }
        )
        return
    if not quiet:
        _print_classes(model, matrix)
    click.echo(f"accuracy {result.accuracy:.2%}, loss {result.loss:.4f} on {len(examples.labels):,} images")
    if plot:
        click.echo(f"saved {plot}")


def _check_fit(model: Model, dataset: Dataset, model_path: str) -> None:
    if model.image_shape != dataset.image_shape or len(model.classes) != len(dataset.classes):
        expected, found = (
            f"{height}x{width} pixels and {len(classes)} classes"
            for (height, width), classes in (
                (model.image_shape, model.classes),
                (dataset.image_shape, dataset.classes),
            )
        )
        fix = "use the data that it was trained for"
        raise ModelError(f"does not fit {dataset.name}", where=model_path, expected=expected, found=found, fix=fix)


def _print_classes(model: Model, matrix: Array) -> None:
    from rich.table import Table

    from fnnet import metrics

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("class", "images", "precision", "recall", "F1", "most often taken for"):
        table.add_column(heading, justify="left" if heading.startswith("most") else "right")
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
    shown = np.concatenate([mistakes, right])[:SHEET]
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


@click.command()
@click.argument("model_path", metavar="MODEL")
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--output", "-o", metavar="FILE", help="Write the answers as CSV: ImageId,Label, counted from 1.")
@jit_option("Predict")
@json_option
@quiet_option
def predict(model_path: str, files: tuple[str, ...], output: str | None, jit: bool, as_json: bool, quiet: bool) -> int:
    """Which class is each IMAGE? Files are PNG (light ink on black), IDX, CSV or NPZ, of the size that MODEL knows.

    A file that cannot be read is reported and the others go on; the exit code is then 1, and no -o file is written.
    """
    from fnnet import data, storage

    if output:
        storage.check_writable(output)
    model = storage.load_model(model_path)
    kernels, _ = load_kernels(jit, notifier(quiet))
    answers: list[tuple[str, int, Array, Array]] = []
    failures = 0
    for file in files:
        try:
            x = data.read_images(file, model.image_shape)
        except FnnetError as error:
            failures += 1
            click.echo(f"error: {error}", err=True)
            continue
        probs = _probs(model, x, kernels)
        answers += [(file, number, image, row) for number, (image, row) in enumerate(zip(x, probs, strict=True))]
    if output:
        if failures:
            raise DataError(f"{failures} of {len(files)} files could not be read", fix=f"{output} was not written")
        lines = [f"{number},{model.classes[int(row.argmax())]}" for number, (*_, row) in enumerate(answers, 1)]
        storage.write_file(output, "\n".join(["ImageId,Label", *lines, ""]).encode())
    if as_json:
        print_json({"model": model_path, "output": output, "predictions": [_as_json(model, *each) for each in answers]})
    elif output:
        click.echo(f"saved {output}: {len(answers):,} answers")
    else:
        _print_answers(model, answers, drawn=not quiet and len(answers) <= DRAWN)
    return 1 if failures else 0


def _probs(model: Model, x: Array, kernels: Any) -> Array:
    import numpy as np

    from fnnet.metrics import CHUNK
    from fnnet.network import forward

    chunks = [
        forward(model.params, x[start : start + CHUNK], activation=model.activation, kernels=kernels).probs
        for start in range(0, len(x), CHUNK)
    ]
    return np.concatenate(chunks)


def _as_json(model: Model, file: str, number: int, image: Array, row: Array) -> dict[str, Any]:
    best = int(row.argmax())
    return {
        "file": file,
        "index": number,
        "label": model.classes[best],
        "probability": float(row[best]),
        "probabilities": dict(zip(model.classes, row.tolist(), strict=True)),
    }


def _print_answers(model: Model, answers: list[tuple[str, int, Array, Array]], drawn: bool) -> None:
    from fnnet.report import terminal

    screen = console()
    counts = {file: sum(1 for each in answers if each[0] == file) for file in dict.fromkeys(a[0] for a in answers)}
    for file, number, image, row in answers:
        best = int(row.argmax())
        name = one_line(file if counts[file] == 1 else f"{file}[{number}]")
        click.echo(f"{name}: {model.classes[best]} ({row[best]:.2%})")
        if drawn:
            picture = terminal.draw(image.reshape(model.image_shape), screen)
            terminal.beside(picture, terminal.bars(row, model.classes, screen), screen)
