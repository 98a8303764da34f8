"""`fnnet train`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    check_outputs,
    console,
    data_inputs,
    describe,
    load_data,
    load_kernels,
    notifier,
    print_json,
    say,
    threads_of,
)
from fnnet.cli.mismatch import option_of
from fnnet.cli.options import (
    AMOUNT,
    POSITIVE,
    SHARE,
    Count,
    FileName,
    Shares,
    Sizes,
    compiled_options,
    data_options,
    deformation_option,
    json_option,
    quiet_option,
    recipe_option,
    seed_option,
)
from fnnet.errors import DataError, FnnetError, UsageError
from fnnet.names import ACTIVATIONS, OPTIMIZERS, SCHEDULES, STEPPING
from fnnet.training import recipes
from fnnet.training.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fnnet.core.params import Array
    from fnnet.core.state import EpochReport, Examples
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset
    from fnnet.files.model import Model

LBFGS_ITERATIONS: Final = 100
WITH_MOMENTUM: Final = ("momentum", "nesterov")
COURSE: Final = ("epochs", "learning_rate", "schedule", "early_stopping")
"""Of plan_options those that say how fast training goes, and how far."""
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that override a recipe."""
    options: list[Decorator] = [
        click.option("--hidden", type=Sizes(), help="Sizes of the hidden layers, such as 128,64; '' for none."),
        click.option("--activation", type=click.Choice(ACTIVATIONS), help="Function of the hidden units."),
        click.option("--epochs", type=Count(0), help="Passes over the training images."),
        click.option(
            "--batch-size",
            type=Count(1, full=True),
            metavar="N|full",
            help="Images in a step, or full for all of them.",
        ),
        click.option("--learning-rate", type=POSITIVE, help="Largest size of a step along the gradient."),
        click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="How the weights move along the gradient."),
        click.option(
            "--schedule",
            metavar="NAME[:OPTION=N,...]",
            help=f"How the learning rate moves: {', '.join(SCHEDULES)}; such as step:every=5,factor=0.3 (epochs).",
        ),
        click.option("--momentum", type=SHARE, help="Of momentum and nesterov."),
        click.option("--weight-decay", type=AMOUNT, help="Pull of the weights to 0; decoupled for adamw."),
        click.option("--clip-norm", type=AMOUNT, help="Largest norm of the gradient; 0 for any."),
        click.option("--ema", type=SHARE, help="Decay of the weights' moving average, which then answers; 0 for none."),
        click.option(
            "--dropout", type=Shares(), help="Share of hidden units left out in training, one or one a layer."
        ),
        click.option("--label-smoothing", type=SHARE, help="Share of each label spread over all classes."),
        click.option("--augment/--no-augment", default=None, help="Deform the images anew in each epoch."),
        deformation_option("Deform so strongly, as --augment does; figures left out are the recipe's."),
        click.option(
            "--early-stopping",
            type=Count(1),
            help="Stop after so many reports without a better dev loss; keep the best.",
        ),
        click.option("--dev", type=Count(0), help="Images held out of training to watch it by; 0 trains on all."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@compiled_options("Train")
@data_options
@recipe_option
@plan_options
@seed_option
@click.option(
    "--dev-data", type=FileName(), metavar="PATH", help="Watch training by these images, and hold none out of --data."
)
@click.option(
    "--class-weights",
    metavar="balanced|CLASS=WEIGHT,...",
    help="How much each class counts in training, 1 unless said; balanced: as if all had as many images.",
)
@click.option("--run-dir", type=FileName(), metavar="DIR", help="Folder for checkpoints and a log of training.")
@click.option("--resume", is_flag=True, help="Go on with the run in --run-dir, to the bit as if it had not stopped.")
@click.option("--out", type=FileName(), default="model.safetensors", show_default=True, help="Where the model goes.")
@click.option("--plot", type=FileName(), help="Curves of loss and accuracy as PNG, SVG or PDF (extra plot).")
@json_option
@quiet_option
@click.pass_obj
def train(shared: dict[str, Any], /, recipe: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train a network, test it, and save it.

    Options left out are the recipe's. `classic` is 784-10-10 by mini-batch gradient descent; `notebook` is the
    original full-batch run of 1,200 steps.
    """
    from fnnet import data
    from fnnet.cli.run import Job, train_and_test
    from fnnet.files.model import save_model

    _check_run_dir(options)
    check_outputs(
        inputs=data_inputs(options),
        files={"--out": options["out"]},
        pictures={"--plot": options["plot"]},
    )
    notify = notifier(quiet)
    began = time.perf_counter()
    dataset = load_data(options, notify)
    own_dev = own_dev_set(options, dataset)
    chosen = override(recipes.get(recipe), options, len(dataset.train.labels))
    train_set, dev_set = data.split(dataset.train, chosen.dev, options["seed"], chosen.train_images)
    dev_set = dev_set if own_dev is None else own_dev
    weights = class_weights(options["class_weights"], train_set.labels, dataset.classes)
    load_seconds = time.perf_counter() - began
    parts = (("train", train_set), ("dev", dev_set), ("test", dataset.test))
    images = {part: len(found.labels) if found else 0 for part, found in parts}
    line = describe(dataset, images)
    if not quiet:
        say(line, err=as_json)
    kernels, compile_seconds = load_kernels(options["jit"], options["threads"], notify)
    job = Job(chosen, dataset, train_set, dev_set, weights, options["seed"], kernels)
    model, reports = train_and_test(job, options["run_dir"], options["resume"], quiet, notify)
    seconds = {"load_seconds": load_seconds, "compile_seconds": compile_seconds}
    document = _document(dataset, images, reports, model, options, kernels, seconds)
    save_model(options["out"], model)
    plot_error = None
    try:
        _plot(options["plot"], reports, document)
    except FnnetError as error:
        plot_error = error
    document["total_seconds"] = time.perf_counter() - shared["began"]
    if as_json:
        print_json(document)
    else:
        _print_results(document, line, reports, quiet)
    if plot_error:
        raise plot_error
    if options["plot"] and not as_json:
        say(f"saved {options['plot']}")


def _check_run_dir(options: dict[str, Any]) -> None:
    """UsageError where --run-dir is missing, cannot keep what is to be trained, or is where a file is to go."""
    folder = options["run_dir"]
    if options["resume"] and not folder:
        raise UsageError("--resume needs the folder of the run", expected="--run-dir DIR", found="none")
    if folder and options["optimizer"] == "lbfgs":
        expected = " or ".join(STEPPING)
        raise UsageError("--run-dir keeps steps, which lbfgs has none of", expected=expected, found="lbfgs")
    from fnnet.files.runs import is_ours

    for name in ("out", "plot"):
        place = os.path.realpath(options[name] or "")
        if folder and os.path.dirname(place) == os.path.realpath(folder) and is_ours(os.path.basename(place)):
            expected, found = "a name that the run does not use", options[name]
            raise UsageError("would replace a file of the run", where=f"--{name}", expected=expected, found=found)
        # Neither is there yet, so that only the end of training would show it.
        if folder and options[name] and os.path.realpath(folder) == os.path.realpath(options[name]):
            found = f"{options[name]}, which --{name} writes"
            raise UsageError("is a folder", where="--run-dir", expected="a place of its own", found=found)


def _document(
    dataset: Dataset,
    images: dict[str, int],
    reports: Sequence[EpochReport],
    model: Model,
    options: dict[str, Any],
    kernels: Kernels,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The JSON document of a run, with its total still to be filled in."""
    from fnnet.core import params

    sizes = params.layer_sizes(model.params)
    return {
        "dataset": dataset.name,
        "images": images,
        "recipe": model.training["recipe"],
        "sizes": list(sizes),
        "parameters": params.count_parameters(sizes),
        "jit": kernels.compiled,
        "threads": threads_of(kernels),
        "seed": options["seed"],
        "epochs": [report._asdict() for report in reports],
        **seconds,
        "train_seconds": float(sum(report.seconds for report in reports)),
        "total_seconds": None,
        "test_loss": model.training["test_loss"],
        "test_accuracy": model.training["test_accuracy"],
        "dead_units": list(model.training["dead_units"]),
        "weights_sha256": params.weights_sha256(model.params),
        "model": options["out"],
    }


def _plot(path: str | None, reports: Sequence[EpochReport], document: dict[str, Any]) -> None:
    if path:
        from fnnet.apps.report.plots import plot_curves

        sizes = "-".join(map(str, document["sizes"]))
        plot_curves(path, reports, f"{document['recipe']}, {sizes}, {document['dataset']}")


def own_dev_set(options: dict[str, Any], dataset: Dataset) -> Examples | None:
    """The images of --dev-data, in place of which none are held out."""
    if not options["dev_data"]:
        return None
    if options["dev"]:
        raise UsageError("--dev beside --dev-data", expected="one of them", found=f"--dev {options['dev']}")
    from fnnet import data

    place = options["dev_data"]
    try:
        found = data.load(place, None, classes=dataset.classes, flat=dataset.image_shape)
    except DataError as error:
        raise (error.at("--dev-data") if error.where == "--data" else error) from None
    if found.image_shape != dataset.image_shape or found.classes != dataset.classes:
        expected, said = _kind_of(dataset), _kind_of(found)
        raise UsageError("dev images differ", where=place, expected=expected, found=said)
    options["dev"] = 0
    return found.train


def _kind_of(dataset: Dataset) -> str:
    """Shape of images and classes, in words."""
    names = dataset.classes
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{dataset.image_shape} pixels, {len(names)} classes ({shown})"


def class_weights(text: str | None, labels: Array, classes: Sequence[str]) -> Array | None:
    """The weight of each image by --class-weights; None for equal ones."""
    if text is None:
        return None
    from fnnet.training import class_weights

    try:
        return class_weights.class_weights(class_weights.parse(text, classes), labels, len(classes))
    except UsageError as error:
        raise error.at("--class-weights") from None


def override(recipe: Recipe, options: dict[str, Any], available: int) -> Recipe:
    """The recipe with the options that were given, and its own figures fitted to so many images."""
    said = {name: options[name] for name in Recipe._fields if options.get(name) is not None}
    if said.get("batch_size") == "full":
        said["batch_size"] = None
    if "deformation" in said:
        if said.setdefault("augment", True) is False:
            raise UsageError("nothing to deform", where="--deformation", expected="--augment", found="--no-augment")
        said["deformation"] = {**recipe.deformation, **said["deformation"]}
    recipe = recipe._replace(dev=recipe.dev_for(available))
    if said.get("optimizer") == "lbfgs":
        # It goes over all images in each of its iterations; a recipe's own ways of taking steps give way.
        recipe = recipe._replace(batch_size=None, schedule="constant", min_steps=LBFGS_ITERATIONS, epochs=1)
    recipe = recipe._replace(**said)
    _check_effects(recipe, options)
    training = min(available - recipe.dev, recipe.train_images or available)
    return recipe if "epochs" in said else recipe._replace(epochs=recipe.epochs_for(max(training, 1)))


def _check_effects(recipe: Recipe, options: dict[str, Any]) -> None:
    """UsageError for an option that was given and would change nothing."""
    optimizer = recipe.optimizer
    without = {
        "momentum": (optimizer not in WITH_MOMENTUM, f"--optimizer {' or '.join(WITH_MOMENTUM)}", optimizer),
        "learning_rate": (optimizer not in STEPPING, f"--optimizer {' or '.join(STEPPING)}", optimizer),
        "dropout": (not recipe.hidden, "hidden layers", "none"),
    }
    for name, (useless, expected, found) in without.items():
        if options.get(name) and useless:
            raise UsageError("without effect", where=option_of(name), expected=expected, found=found)


def _print_results(document: dict[str, Any], line: str, reports: Sequence[EpochReport], quiet: bool) -> None:
    if quiet:
        say(line)
    elif reports:
        from fnnet.apps.report import terminal

        screen = console()
        terminal.epoch_table(reports, screen)
        terminal.curves(reports, screen)
    sizes = "-".join(map(str, document["sizes"]))
    if document["test_accuracy"] is None:
        click.echo("no test set")
    else:
        click.echo(f"test accuracy {document['test_accuracy']:.2%}, loss {document['test_loss']:.4f}")
    click.echo(
        f"{sizes}, {document['parameters']:,} parameters, trained in {document['train_seconds']:.2f} s"
        f" (loading {document['load_seconds']:.2f} s, compiling {document['compile_seconds']:.2f} s)"
    )
    for number, share in enumerate(document["dead_units"], 1):
        if share:
            click.echo(f"hidden layer {number}: {share:.1%} of its units are dead, 0 for every training image")
    say(f"saved {document['model']}")
