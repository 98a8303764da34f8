"""`fnnet predict`."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from fnnet.cli.common import (
    Notices,
    check_outputs,
    console,
    load_kernels,
    print_json,
    say,
)
from fnnet.cli.options import FileName, compiled_options, json_option, label_column_option, quiet_option
from fnnet.cli.streams import print_aside
from fnnet.errors import DataError, FnnetError, UsageError, counted
from fnnet.names import DATA_FORMATS, PICTURE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fnnet.core.params import Array
    from fnnet.core.state import Model

DRAWN: Final = 4
"""Images that are drawn at most."""


class Prediction(NamedTuple):
    """The prediction for one image.

    file, number, of   the file, the image's number in it, and how many images it has.
    image              its pixels.
    other_ink          whether its ink is dark where that of the training images is light, or the other way round.
    best, probs        the most probable class, and the probability of each.
    """

    file: str
    number: int
    of: int
    image: Array
    other_ink: bool
    best: int
    probs: Array


@click.command(
    short_help="Which digit is this?",
    help=f"""Which class is each IMAGE? Files are images ({", ".join(PICTURE_FORMATS)}) or
    files of many images ({", ".join(DATA_FORMATS)}), of the size that MODEL was trained on; a folder stands for the
    images in it.

    A file that cannot be read is reported and the others are still predicted: the exit code is 1, and no -o file is
    written. An image whose ink is dark where that of the training images is light, or
    the other way round, is reported.
    """,
)
@click.argument("model_path", metavar="MODEL", type=FileName())
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True, type=FileName())
@click.option("--output", "-o", type=FileName(), help="Write the predictions as CSV: ImageId,Label, counted from 1.")
@label_column_option
@compiled_options("Predict")
@json_option
@quiet_option
def predict(
    model_path: str,
    files: tuple[str, ...],
    output: str | None,
    label_column: str | None,
    jit: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Predict the class of each image in the files."""
    from fnnet.data.preprocess import other_ink_in
    from fnnet.files.model import load_model

    notify = Notices(quiet)
    predictions: list[Prediction] = []
    failures: list[dict[str, str]] = []

    def fail(file: str, error: FnnetError) -> None:
        failures.append({"file": file, "error": str(error)})
        print_aside("error", str(error))

    files = _in_folders(files, fail)
    check_outputs(inputs=[model_path, *files], files={"--output": output})
    model = load_model(model_path)
    kernels, _ = load_kernels(jit, threads, notify, ["infer"])
    for file in files:
        try:
            new = _predict(model, file, kernels, label_column, notify)
        except UsageError:  # of an option, not of the file
            raise
        except FnnetError as error:
            fail(file, error)
        else:
            predictions += new
            if count := sum(each.other_ink for each in new):
                notify(other_ink_in(file, count, len(new), model.preprocessing))
    if output and not failures:
        _write_submission(output, model, predictions)
    if as_json:
        document = [_as_json(model, each) for each in predictions]
        written = None if failures else output
        print_json(
            {
                "model": model_path,
                "output": written,
                "predictions": document,
                "failures": failures,
                "notes": notify.notes,
            }
        )
    elif not output or failures:
        _print_predictions(model, predictions, drawn=not quiet and len(predictions) <= DRAWN)
    else:
        say(f"saved {output}: {counted(len(predictions), 'prediction')}")
    if output and failures:
        problem = f"submission not written: {len(failures)} of {counted(len(files), 'file')} could not be read"
        raise DataError(problem, where=output, fix="fix or leave out the files reported above")
    return 1 if failures else 0


def _in_folders(files: tuple[str, ...], fail: Callable[[str, FnnetError], None]) -> tuple[str, ...]:
    """Return `files` with each folder replaced by the pictures in it; call `fail` for a folder without any."""
    from pathlib import Path

    from fnnet.data import formats
    from fnnet.data.layout import entries, pictures
    from fnnet.files.disk import refuse

    found: list[str] = []
    for file in files:
        if not os.path.isdir(file):
            found.append(file)
            continue
        try:
            inside = [str(path) for path in pictures(entries(Path(file))) if path.is_file()]
            if not inside:
                expected = f"{formats.picture_names()} files"
                refuse("no images", file, "the folder", expected, "none", "name the files")
            found += inside
        except FnnetError as error:
            fail(file, error)
    return tuple(found)


def _predict(model: Model, file: str, kernels: Any, label_column: str | None, notify: Notices) -> list[Prediction]:
    from fnnet import data
    from fnnet.core.public import best_classes, scores
    from fnnet.data.photo import dark_on_light

    x = data.read_images(file, model.image_shape, model.preprocessing, label_column=label_column, notify=notify)
    logits = scores(model.params, x, activation=model.activation, kernels=kernels)
    dark = dark_on_light(x, model.image_shape).tolist()
    each = zip(x, dark, best_classes(logits).tolist(), kernels.softmax(logits), strict=True)
    return [Prediction(file, i, len(x), *parts) for i, parts in enumerate(each)]


def _write_submission(path: str, model: Model, predictions: list[Prediction]) -> None:
    from fnnet.files.disk import write_file

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "Label"])
    writer.writerows([number, model.classes[each.best]] for number, each in enumerate(predictions, 1))
    write_file(path, text.getvalue().encode())


def _as_json(model: Model, prediction: Prediction) -> dict[str, Any]:
    return {
        "file": prediction.file,
        "index": prediction.number,
        "other_ink": prediction.other_ink,
        "label": model.classes[prediction.best],
        "probability": float(prediction.probs[prediction.best]),
        "probabilities": dict(zip(model.classes, prediction.probs.tolist(), strict=True)),
    }


def _print_predictions(model: Model, predictions: list[Prediction], drawn: bool) -> None:
    from fnnet.apps.report import terminal

    screen = console()
    for each in predictions:
        name = each.file if each.of == 1 else f"{each.file}[{each.number}]"
        say(f"{name}: {model.classes[each.best]} ({each.probs[each.best]:.2%})")
        if drawn:
            terminal.draw_prediction(each.image.reshape(model.image_shape), each.probs, model.classes, screen)
