"""`fnnet predict`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.answers import Prediction, as_csv, as_kaggle, document_of
from fnnet.cli.common import (
    Notices,
    check_outputs,
    console,
    load_kept_model,
    load_kernels,
    model_file_of,
    print_json,
    say,
    without_skipping,
)
from fnnet.cli.options import (
    FileName,
    column_options,
    compiled_options,
    json_option,
    quiet_option,
)
from fnnet.cli.streams import print_aside
from fnnet.errors import DataError, FnnetError, UsageError, counted
from fnnet.files.endings import check_ending
from fnnet.names import DATA_FORMATS, PICTURE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fnnet.core.state import Model

DRAWN: Final = 4
"""Images that are drawn at most."""


@click.command(
    short_help="Which digit is this?",
    help=f"""Which class is each IMAGE? MODEL is a file, or the folder of a run. Files are images
    ({", ".join(PICTURE_FORMATS)}) or
    files of many images ({", ".join(DATA_FORMATS)}), of the size that MODEL was trained on; a folder stands for the
    images in it and in its folders, 2.png before 10.png.

    A file that cannot be read is reported and the others are still predicted: the exit code is 1, and no -o file is
    written. An image whose ink is dark where that of the training images is light, or
    the other way round, is reported. An image with nothing on it is blank: it gets no class.

    With -o, a folder that 'data expand' wrote (its images for training), a folder of nothing but Parquet and large
    Parquet files are read piece by piece, and the answers are written as they come: any number fits in memory.
    """,
)
@click.argument("model_path", metavar="MODEL", type=FileName())
@click.argument("files", metavar="IMAGE...", nargs=-1, required=True, type=FileName())
@click.option("--output", "-o", type=FileName(), help="Write the predictions as CSV: file, index, label, probability.")
@click.option(
    "--kaggle",
    is_flag=True,
    help="Write -o as Kaggle takes it: ImageId, Label; ids are those in a column named id or ImageId, or the names of "
    "the files if all are numbers, else counted from 1.",
)
@column_options
@compiled_options("Predict")
@json_option
@quiet_option
def predict(
    model_path: str,
    files: tuple[str, ...],
    output: str | None,
    kaggle: bool,
    label_column: str | None,
    image: bool,
    first_index: int | None,
    transpose: bool | None,
    jit: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Predict the class of each image in the files."""
    if kaggle and not output:
        raise UsageError("has no effect", where="--kaggle", expected="--output FILE", found="no --output")
    notify, model_path = Notices(quiet), model_file_of(model_path)
    columns = {"label_column": label_column, "first_index": first_index, "transpose": transpose, "image": image}
    if streams := _streams(files, output, as_json):
        try:
            return _predict_streams(model_path, files, streams, str(output), kaggle, columns, jit, threads, notify)
        except DataError as error:
            files = _at_once(streams, error)
    failures: list[dict[str, str]] = []

    def fail(file: str, error: FnnetError) -> None:
        failures.append({"file": file, "error": str(error)})
        print_aside("error", str(error))

    files = _in_folders(files, fail, notify)
    check_outputs(inputs=[model_path, *files], files={"--output": output})
    if output:
        check_ending(output, "CSV", "--output")
    model = load_kept_model(model_path, notify)
    kernels, _ = load_kernels(jit, threads, notify, ["infer"])
    predictions = _predict_files(model, files, kernels, columns, kaggle, fail, notify)
    _note(predictions, model, kaggle, notify)
    if output and not failures:
        _write(output, model, predictions, kaggle, notify)
    if as_json:
        document = [document_of(model, each) for each in predictions]
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
        drawn = not (quiet or model.preprocessing.scaling) and len(predictions) <= DRAWN
        _print_predictions(model, predictions, drawn=drawn)
    else:
        say(f"saved {output}: {counted(len(predictions), 'prediction')}")
    if output and failures:
        problem = f"predictions not written: {len(failures)} of {counted(len(files), 'file')} could not be read"
        raise DataError(problem, where=output, fix="fix or leave out the files reported above")
    return 1 if failures else 0


def _streams(files: tuple[str, ...], output: str | None, as_json: bool) -> list[str]:
    """Return what is predicted piece by piece of `files`: nothing where they are read at once.

    Raises   UsageError for streams whose answers would be printed: they may be millions.
    """
    from fnnet.data.stream_images import streamed

    found = streamed(files)
    if found and (as_json or not output):
        if not any(map(os.path.isdir, files)):
            return []
        where, given = ("--json", "--json") if as_json else ("--output", "no --output")
        raise UsageError("answers of a stream go to a file", where=where, expected="--output FILE", found=given)
    return found


def _predict_streams(
    model_path: str, files: tuple[str, ...], streams: list[str], output: str, kaggle: bool, columns: dict[str, Any],
    jit: bool, threads: int | None, notify: Notices,
) -> int:  # fmt: skip
    from fnnet.cli.predict_stream import predict_streams

    check_outputs(inputs=[model_path, *files], files={"--output": output})
    check_ending(output, "CSV", "--output")
    model = load_kept_model(model_path, notify)
    kernels, _ = load_kernels(jit, threads, notify, ["infer"])
    with without_skipping(), notify.held():
        count = predict_streams(model, streams, output, kaggle, columns, kernels, notify)
    say(f"saved {output}: {counted(count, 'prediction')}")
    return 0


def _at_once(streams: list[str], error: DataError) -> tuple[str, ...]:
    """Return the files of streams to predict all at once; raise the error if that is not what it takes."""
    from fnnet.data.reader import only_at_once

    if not only_at_once(error):
        raise error
    if any(map(os.path.isdir, streams)):
        raise error.at(error.where, fix="predict the Parquet files by themselves: they are then read at once")
    return tuple(streams)


def _note(predictions: list[Prediction], model: Model, kaggle: bool, notify: Notices) -> None:
    """Note images of another ink than the model's, blank ones and dim ones: one line of each kind."""
    from fnnet.data.blank import blank_predicted
    from fnnet.data.unlike import dim_predicted, other_ink_in

    if others := [each for each in predictions if each.other_ink]:
        counts = {each.file: each.of for each in others}
        first, *more = counts
        name = f"{first} and {counted(len(more), 'other file')}" if more else first
        notify(other_ink_in(name, len(others), sum(counts.values()), model.preprocessing))
    if blanks := [each.name for each in predictions if each.blank]:
        what = "Kaggle's form gives a class all the same" if kaggle else "no class is given"
        notify(blank_predicted(len(blanks), len(predictions), blanks[0], what))
    if dims := [each.name for each in predictions if each.dim]:
        notify(dim_predicted(len(dims), len(predictions), dims[0]))


def _in_folders(files: tuple[str, ...], fail: Callable[[str, FnnetError], None], notify: Notices) -> tuple[str, ...]:
    """Return `files` with each folder replaced by the pictures or Parquet in it; call `fail` for one without any, or
    a stream, which is not read at once.
    """
    from pathlib import Path

    from fnnet.data.layout import pictures_below
    from fnnet.data.parquet_folder import files_of
    from fnnet.data.stream_index import is_stream

    found: list[str] = []
    for file in files:
        if not os.path.isdir(file):
            found.append(file)
            continue
        if is_stream(Path(file)):
            expected, fix = "streams and Parquet files alone", "predict it by a command of its own, with --output FILE"
            fail(file, DataError("a stream among other files", where=file, expected=expected, fix=fix))
            continue
        try:
            tables = files_of(Path(file))
            inside, notes = (tables, []) if tables else pictures_below(Path(file))
        except FnnetError as error:
            fail(file, error)
        else:
            found += map(str, inside)
            for note in notes:
                notify(note)
    return tuple(found)


def _predict_files(
    model: Model,
    files: tuple[str, ...],
    kernels: Any,
    columns: dict[str, Any],
    kaggle: bool,
    fail: Callable[[str, FnnetError], None],
    notify: Notices,
) -> list[Prediction]:
    """Return the predictions of all files; call `fail` for one that cannot be read, or not for sure."""
    from fnnet.data.child import kept
    from fnnet.data.ranges import SIGNED, UNIT, differs

    found: dict[str, list[Prediction]] = {}
    ranges: dict[str, tuple[str, ...]] = {}
    with kept():
        for file in files:
            try:
                new, ranges[file] = _predict(model, file, kernels, columns, notify)
                found[file] = _with_ids(new, file, model, notify) if kaggle else new
            except UsageError:  # of an option, not of the file
                raise
            except FnnetError as error:
                fail(file, error)
    for file in found if any(SIGNED in each for each in ranges.values()) else ():
        if UNIT in ranges[file]:  # it may be from -1 to 1 without a number below 0
            fail(file, differs(file))
            found[file] = []
    return [each for file in files for each in found.get(file, [])]


def _predict(
    model: Model, file: str, kernels: Any, columns: dict[str, Any], notify: Notices
) -> tuple[list[Prediction], tuple[str, ...]]:
    """Return the predictions of a file, and the ranges that its pixels were scaled from."""
    from fnnet.core.public import best_classes, scores
    from fnnet.data.binary import BINARY
    from fnnet.data.from_path import images_to_predict
    from fnnet.data.ranges import scaled_from
    from fnnet.data.unlike import looks_of

    read = images_to_predict(file, model.image_shape, model.preprocessing, **columns)
    for note in read.notes:
        if note.code == BINARY:
            raise DataError(str(note))  # no image in it is blank for sure
        notify(note)
    logits = scores(model.params, read.x, activation=model.activation, kernels=kernels)
    others, blank, dim = (each.tolist() for each in looks_of(read.x, model.image_shape, model.preprocessing))
    each = zip(read.x, others, blank, best_classes(logits).tolist(), kernels.softmax(logits), dim, strict=True)
    return [Prediction(file, i, len(read.x), *parts) for i, parts in enumerate(each)], scaled_from(read.pixel_ranges)


def _with_ids(predictions: list[Prediction], file: str, model: Model, notify: Notices) -> list[Prediction]:
    """Return the predictions with the ids of their images, if the file is a table that has a column of them."""
    from fnnet.data.ids import read_ids

    ids, notes = read_ids(file, model.image_shape, model.preprocessing)
    for note in notes:
        notify(note)
    if ids is None:
        return predictions
    return [each._replace(id=number) for each, number in zip(predictions, ids.tolist(), strict=True)]


def _write(path: str, model: Model, predictions: list[Prediction], kaggle: bool, notify: Notices) -> None:
    from fnnet.files.disk import write_file

    content, notes = as_kaggle(model, predictions) if kaggle else (as_csv(model, predictions), [])
    write_file(path, content)
    for note in notes:
        notify(note)


def _print_predictions(model: Model, predictions: list[Prediction], drawn: bool) -> None:
    from fnnet.apps.report import terminal

    screen = console()
    for each in predictions:
        found = "blank" if each.blank else f"{model.classes[each.best]} ({each.probs[each.best]:.2%})"
        say(f"{each.name}: {found}")
        if drawn and not each.blank:
            terminal.draw_prediction(each.image.reshape(model.image_shape), each.probs, model.classes, screen)
