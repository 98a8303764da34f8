"""`fnnet trace`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from click.core import ParameterSource

from fnnet.cli.common import (
    Notices,
    check_outputs,
    console,
    data_inputs,
    describe,
    load_data,
    load_kept_model,
    model_file_of,
    print_json,
    say,
)
from fnnet.cli.for_model import load_fitting
from fnnet.cli.mismatch import naming_options
from fnnet.cli.options import (
    Count,
    FileName,
    Number,
    Sizes,
    column_options,
    data_options,
    json_option,
    quiet_option,
)
from fnnet.cli.plan_options import PLAN_OPTIONS
from fnnet.cli.streams import echo
from fnnet.errors import DataError, UsageError, counted
from fnnet.files.endings import check_ending
from fnnet.limits import POSITIVE
from fnnet.names import ACTIVATIONS, STEPPING, composed

if TYPE_CHECKING:
    from fnnet.apps.trace.steps import Trace
    from fnnet.core.params import Array
    from fnnet.core.state import Model, Preprocessing
    from fnnet.data import Dataset
    from fnnet.training.plan import Plan

SETTINGS: Final = (
    "hidden", "activation", "learning_rate", "optimizer", "momentum", "weight_decay", "label_smoothing",
)  # fmt: skip
"""Options that are fields of a plan, or of a recipe."""
OF_DATA: Final = ("data_choice", "data_dir", "classes", "class_names", "first_label")
"""Options about a data set, which an IMAGE is not."""


class _Subject(NamedTuple):
    """What is traced: a network, one image and the number of its class, and where they are from.

    source   the data set or the file.
    about    the image, in words.
    """

    model: Model
    x: Array
    label: int
    source: str
    about: str


@click.command(short_help="What happens in one step of training? Every equation with its numbers.")
@click.argument("model_path", metavar="[MODEL]", required=False, type=FileName())
@click.argument("picture", metavar="[IMAGE]", required=False, type=FileName())
@click.option("--label", metavar="CLASS", help="The image's class.  [default: that in --data; IMAGE has none]")
@click.option(
    "--index",
    type=Count(0),
    default=0,
    show_default=True,
    help="Number of the image, counted from 0, among those for training in --data or those in IMAGE.",
)
@click.option("--out", "-o", type=FileName(), help="Write a page of HTML to step through, which needs no network.")
@click.option("--learning-rate", type=Number(POSITIVE), help="Learning rate of the step.  [default: 0.05]")
@click.option("--optimizer", type=click.Choice(STEPPING), help="Update rule, at its first step.  [default: sgd]")
@click.option("--momentum", **PLAN_OPTIONS["--momentum"])
@click.option("--weight-decay", **PLAN_OPTIONS["--weight-decay"])
@click.option("--label-smoothing", **PLAN_OPTIONS["--label-smoothing"])
@click.option(
    "--hidden", type=Sizes(empty=True), help="Without MODEL: sizes of the hidden layers, '' for none.  [default: 10]"
)
@click.option(
    "--activation", type=click.Choice(ACTIVATIONS), help="Without MODEL: that of the hidden units.  [default: relu]"
)
@click.option("--seed", type=Count(0, 2**64 - 1), help="Without MODEL: seed of the initial weights.  [default: 0]")
@data_options
@column_options
@json_option
@quiet_option
def trace(
    model_path: str | None,
    picture: str | None,
    label: str | None,
    index: int,
    out: str | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Trace one step of training on one image: each equation, of which shapes and numbers, by which function, and
    central differences beside each gradient.

    MODEL is a file, or the folder of a run; without it, the network is 784-10-10 with initial weights. Without IMAGE,
    the image is the first for training in --data. Nothing is changed: the weights after the step are shown, not saved.
    Of a committee, the first network is traced.

    \b
    fnnet trace                                  a new network, the first image
    fnnet trace model.safetensors 7.png --label 7
    fnnet trace --hidden 3 -o trace.html         a page to step through
    """
    from fnnet.apps.trace.computing import trace as traced
    from fnnet.training.plan import make_optimizer

    if model_path and not picture and not _is_model(model_path):
        model_path, picture = None, model_path
    model_path = model_file_of(model_path) if model_path else None
    inputs = [path for path in (model_path, picture) if path]
    check_outputs(inputs=[*inputs, *([] if picture else data_inputs(options))], files={"--out": out})
    if out:
        check_ending(out, "HTML", "--out")
    _check_arguments(model_path, picture, label, seed, options)
    notify = Notices(quiet)
    plan = _plan(options)
    model = _loaded(model_path, notify) if model_path else None
    if picture:
        model = model or _initial(plan, options, seed)
        subject = _of_picture(model, picture, label, index, notify, options)
    else:
        dataset: Any = load_fitting(options, model, str(model_path), notify) if model else load_data(options, notify)
        if not quiet:
            echo(describe(dataset, {"train": len(dataset.train.labels)}), err=as_json)
        if model is None:
            of_data = {"preprocessing": dataset.preprocessing}
            model = _initial(plan, options, seed, dataset.image_shape, dataset.classes, **of_data)
        subject = _of_data(model, dataset, label, index)
    settings: dict[str, Any] = {"learning_rate": plan.learning_rate, "label_smoothing": plan.label_smoothing}
    found = traced(subject.model, subject.x, [subject.label], optimizer=make_optimizer(plan), **settings)
    network = model_path or f"initial weights of seed {seed or 0}"
    facts = _facts(found, network, subject)
    if out:
        _write(out, found, facts)
    if as_json:
        about = {"model": model_path, "seed": None if model_path else seed or 0, "image": picture}
        about |= {"dataset": None if picture else subject.source, "index": index, "out": out}
        from fnnet.apps.trace.document import document_of

        print_json({**about, **document_of(found), "notes": notify.notes})
        return
    _print(found, facts, out, quiet)


def _is_model(path: str) -> bool:
    """Return True for the folder of a run, and for a file that is named as a model is, or begins as one: by the length
    and text of its header.
    """
    from fnnet.files.disk import read_head
    from fnnet.files.run_folder import is_run

    if os.path.isdir(path) and is_run(path):
        return True
    return path.endswith(".safetensors") or (os.path.isfile(path) and read_head(path, 9)[8:] == b"{")


def _check_arguments(
    model_path: str | None, picture: str | None, label: str | None, seed: int | None, options: dict[str, Any]
) -> None:
    """Raise UsageError for options without an effect beside MODEL or IMAGE, and for an IMAGE without its class."""
    given = {**options, "seed": seed}
    for name in ("hidden", "activation", "seed") if model_path else ():
        if given[name] is not None:
            fix = "leave it out, or leave MODEL out"
            raise UsageError("is that of the model", where=f"--{name}", expected="no MODEL", found=model_path, fix=fix)
    if not picture:
        return
    context = click.get_current_context()
    for name in OF_DATA:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            where = "--data" if name == "data_choice" else f"--{name.replace('_', '-')}"
            raise UsageError("has no effect beside IMAGE", where=where, expected="no IMAGE", found=picture)
    if label is None:
        fix = "give the class that the image shows, such as --label 7"
        raise UsageError(
            "the class of an IMAGE is not in its file", where="--label", expected="a class", found="no --label", fix=fix
        )


def _plan(options: dict[str, Any]) -> Plan:
    """Return the plan of the step: classic's, with the options in place of its own."""
    from fnnet.training import session
    from fnnet.training.choice import chosen_recipe, plan_of

    settings = {name: options[name] for name in SETTINGS if options[name] is not None}
    with naming_options():
        session.check_settings("classic", settings)
        return plan_of(chosen_recipe("classic", settings, None))


def _loaded(path: str, notify: Notices) -> Model:
    """Return the model, with the first network of a committee in place of it."""
    from fnnet.core.state import networks_of
    from fnnet.data.notes import Note

    model = load_kept_model(path, notify)
    networks = networks_of(model.params)
    if len(networks) > 1:
        text = (
            f"{path} is a committee of {counted(len(networks), 'network')}; the first is traced, each is trained apart"
        )
        notify(Note("committee", text))
    return model._replace(params=networks[0])


def _initial(
    plan: Plan, options: dict[str, Any], seed: int | None, shape: tuple[int, int] = (28, 28),
    classes: tuple[str, ...] = tuple("0123456789"), **fields: Any,
) -> Model:  # fmt: skip
    """Return a network with initial weights for images of this shape and these classes."""
    from fnnet.core.public import init
    from fnnet.core.state import Model

    hidden = (10,) if options["hidden"] is None else options["hidden"]
    params = init((shape[0] * shape[1], *hidden, len(classes)), seed or 0)
    return Model(params, plan.activation, classes, shape, **fields)


def _of_picture(
    model: Model, path: str, label: str | None, index: int, notify: Notices, options: dict[str, Any]
) -> _Subject:
    """Return what is traced of a file of images."""
    from fnnet.data.from_path import images_to_predict
    from fnnet.data.unlike import other_ink_in

    columns = {name: options[name] for name in ("label_column", "image", "first_index", "transpose")}
    _check_images(model.preprocessing, path)
    read = images_to_predict(path, model.image_shape, model.preprocessing, **columns)
    for note in read.notes:
        notify(note)
    count, name = len(read.x), os.path.basename(path)
    _check_index(index, count, path)
    x = read.x[index : index + 1]
    if _check_ink(x, model, path if count == 1 else f"{path}[{index}]"):
        notify(other_ink_in(path, 1, 1, model.preprocessing))
    number = _class(str(label), model.classes)
    about = f"{name}, label {label}" if count == 1 else f"{name}[{index}], label {label}"
    return _Subject(model, x, number, path, about)


def _of_data(model: Model, dataset: Dataset, label: str | None, index: int) -> _Subject:
    """Return what is traced of a data set that fits the model."""
    _check_images(dataset.preprocessing, dataset.source)
    _check_index(index, len(dataset.train.labels), dataset.name)
    x = dataset.train.x[index : index + 1]
    _check_ink(x, model, f"{dataset.name}, training image {index}")
    number = int(dataset.train.labels[index]) if label is None else _class(label, dataset.classes)
    about = f"{dataset.name} ({dataset.source}), training image {index}, label {dataset.classes[number]}"
    return _Subject(model, x, number, dataset.name, about)


def _check_images(preprocessing: Preprocessing, found: str) -> None:
    """Raise UsageError for rows of a table, which cannot be drawn."""
    if preprocessing.scaling:
        expected, fix = "images", "in Python, fnnet.forward and fnnet.backward give each number of a step"
        problem, found = "traces a step on an image", f"{found}, a table"
        raise UsageError(problem, where="trace", expected=expected, found=found, fix=fix)


def _check_index(index: int, count: int, where: str) -> None:
    if index >= count:
        expected = f"0 to {count - 1:,}" if count > 1 else "0"
        raise UsageError(f"no such image in {where}", where="--index", expected=expected, found=index)


def _check_ink(x: Array, model: Model, where: str) -> bool:
    """Return whether an image is of the other ink than the model's; raise DataError for a blank one."""
    from fnnet.data.unlike import looks_of

    looks = looks_of(x, model.image_shape, model.preprocessing)
    if looks.blank[0]:
        fix = "choose another image, by --index where there are several"
        raise DataError("blank or nearly blank: there is nothing to learn from", where=where, fix=fix)
    return bool(looks.other_ink[0])


def _class(label: str, classes: tuple[str, ...]) -> int:
    """Return the number of a class by its name, else UsageError."""
    name = composed(label)
    if name not in classes:
        expected = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
        raise UsageError("not one of the classes", where="--label", expected=expected, found=label)
    return classes.index(name)


def _facts(found: Trace, network: str, subject: _Subject) -> list[str]:
    """Return what the step is of: the network, the image, the update, a line each."""
    from fnnet.core.params import layer_sizes

    sizes = "-".join(map(str, layer_sizes(found.params)))
    kind = f"{sizes}, {found.activation}" if len(found.params.layers) > 1 else sizes
    smoothing = f", label smoothing {found.label_smoothing:g}" if found.label_smoothing else ""
    update = f"{found.optimizer.name}, learning rate {found.learning_rate:g}{smoothing}"
    return [f"{kind}, {network}", subject.about, update]


def _write(path: str, found: Trace, facts: list[str]) -> None:
    from fnnet.apps.trace.page import page_of
    from fnnet.files.disk import write_file

    write_file(path, page_of(found, "One step of training", facts).encode("utf-8", "backslashreplace"))


def _print(found: Trace, facts: list[str], out: str | None, quiet: bool) -> None:
    """Print the trace, or where its page is."""
    from fnnet.apps.pages.numbers import number

    if not out:
        from fnnet.apps.trace.terminal import print_trace

        for line in [*facts, ""] if not quiet else ():
            say(line)
        print_trace(found, console())
        return
    verdicts = {step.difference.verdict for step in found.steps if step.difference}
    gradients = next(each for each in ("WRONG", "not decided", "right") if each in verdicts)
    losses = f"loss {number(found.loss)} before, {number(found.new_loss)} after"
    say(f"saved {out}: {counted(len(found.steps), 'equation')}, gradients {gradients}, {losses}")
