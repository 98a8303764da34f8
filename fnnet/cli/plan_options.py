"""Options that override a recipe: those of a plan of training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import click

from fnnet.cli.options import Count, Decorator, FigureList, Fractions, Number, Sizes, deformation_help
from fnnet.errors import UsageError
from fnnet.limits import FRACTION, MOST_LOCAL_STEPS, MOST_MEMBERS, MOST_SHARDS, MOST_WINDOW, NONNEGATIVE, POSITIVE
from fnnet.names import ACTIVATIONS, OPTIMIZERS, SCHEDULES

PLAN_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "--hidden": {"type": Sizes(empty=True), "help": "Sizes of the hidden layers, such as 128,64; '' for none."},
    "--activation": {"type": click.Choice(ACTIVATIONS), "help": "Activation of the hidden units."},
    "--epochs": {"type": Count(0), "help": "Passes over the training images."},
    "--batch-size": {
        "type": Count(1, word="full"),
        "metavar": "N|full",
        "help": "Images in a step, or full for all of them.",
    },
    "--learning-rate": {"type": Number(POSITIVE), "help": "Highest learning rate; see --schedule."},
    "--optimizer": {"type": click.Choice(OPTIMIZERS), "help": "Update rule of the weights."},
    "--schedule": {
        "metavar": "NAME[:OPTION=N,...]",
        "help": f"Learning-rate schedule: {', '.join(SCHEDULES)}; such as step:every=5,factor=0.3 (in epochs).",
    },
    "--momentum": {"type": Number(FRACTION), "help": "Momentum coefficient (momentum, nesterov)."},
    "--weight-decay": {"type": Number(NONNEGATIVE), "help": "Weight decay (decoupled for adamw and lion)."},
    "--clip-norm": {"type": Number(NONNEGATIVE), "help": "Largest norm of the gradient; 0 for no limit."},
    "--ema": {
        "type": Number(FRACTION),
        "help": "Decay of the moving average of the weights, which then predicts; 0 for none.",
    },
    "--dropout": {"type": Fractions(), "help": "Fraction of hidden units dropped in training, one or one per layer."},
    "--label-smoothing": {"type": Number(FRACTION), "help": "Fraction of each label spread over all classes."},
    "--shards": {
        "type": Count(1, MOST_SHARDS),
        "help": "Parts of each batch whose gradients are summed in a fixed tree: machines can share them, same bits.",
    },
    "--message-bits": {
        "type": Count(16, 32),
        "metavar": "16|32",
        "help": "Bits of each number of these gradients and sums; 16 halves the messages between machines.",
    },
    "--local-steps": {
        "type": Count(1, MOST_LOCAL_STEPS),
        "help": "Steps of each shard by itself before all take their mean, in the second half of the epochs.",
    },
    "--window": {
        "type": Count(1, MOST_WINDOW),
        "help": "Images of a stream in memory, shuffled at a time; Parquet becomes a stream by it.  [default: 65,536]",
    },
    "--members": {"type": Count(1, MOST_MEMBERS), "help": "Networks, each with a seed, whose logits are averaged."},
    "--augment/--no-augment": {"default": None, "help": "Deform the training images, differently in each epoch."},
    "--deformation": {
        "type": FigureList(),
        "help": deformation_help("Strength of --augment, e.g. rotation=10,shear=0; figures left out are the recipe's."),
    },
    "--early-stopping": {
        "type": Count(1),
        "help": "Stop after N reports without a better dev loss, and keep the best weights.",
    },
    "--dev": {"type": Count(0), "help": "Images held out for validation; 0 trains on all."},
}
"""Options that override a recipe; each has the name of the field that it sets."""
COURSE: Final = (
    "--epochs",
    "--learning-rate",
    "--schedule",
    "--early-stopping",
    "--members",
    "--window",
    "--local-steps",
)
"""Options of the rate, the course and the repetition of training, and of streams, which `lr-find` does not have."""


def plan_options(without: Collection[str] = ()) -> Decorator:
    """Make the options that override a recipe, all but those in `without`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for declaration, attributes in reversed([*PLAN_OPTIONS.items()]):
            if declaration not in without:
                command = click.option(declaration, **attributes)(command)
        return command

    return decorate


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a training session that the values of `plan_options` stand for."""
    fields = [declaration.removeprefix("--").replace("-", "_") for declaration in PLAN_OPTIONS]
    settings = {field: options[field] for field in fields if options.get(field) is not None}
    if settings.get("batch_size") == "full":
        settings["batch_size"] = None
    augment = options["augment"]
    if augment is False and "deformation" in settings:
        raise UsageError("nothing to deform", where="--deformation", expected="--augment", found="--no-augment")
    if augment is not None:
        settings.setdefault("deformation", {} if augment else None)
    return settings
