"""`fnnet sweep`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    console,
    data_inputs,
    describe,
    is_streamed,
    load_data,
    load_kernels,
    print_json,
    say,
    threads_of,
)
from fnnet.cli.help import GROUPS, Group, Grouped
from fnnet.cli.mismatch import naming_options, option_of
from fnnet.cli.options import (
    Count,
    FileName,
    Number,
    class_weights_option,
    compiled_options,
    data_options,
    dev_data_option,
    json_option,
    quiet_option,
    reading_options,
    recipe_option,
    seed_option,
    test_data_option,
)
from fnnet.cli.plan_options import plan_options
from fnnet.cli.said import reading_of
from fnnet.cli.streams import echo
from fnnet.cli.tried import Values, check_combinations, maker, space_of, train_command
from fnnet.errors import FnnetError, UsageError, counted
from fnnet.limits import MOST_NETWORKS, NONNEGATIVE

if TYPE_CHECKING:
    from fnnet.apps.sweep.space import Space
    from fnnet.apps.sweep.study import Trial
    from fnnet.apps.sweep.sweeping import Swept
    from fnnet.core.state import Examples
    from fnnet.core.table import Kernels
    from fnnet.data import Dataset

SECONDS: Final = 60.0
"""That a sweep takes where neither --seconds nor --trials says otherwise."""
SHOWN: Final = 10
"""Trials in the table, the best ones."""
TYPED: Final = "typed"
"""The name of the options as they were typed, in the context of the command."""


class _Sweep(Grouped):
    """A command that keeps its options as they were typed: the best ones are printed as they are typed for `train`."""

    groups = (
        Group(
            "Search",
            ("--try", "--seconds", "--trials", "--by", "--repeats", "--folds"),
            "fnnet sweep --try learning-rate=0.01..1:log --try 'hidden=10 64,32' --seconds 60",
        ),
        *GROUPS,
    )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[TYPED] = self.make_parser(ctx).parse_args([*args])[0]
        return super().parse_args(ctx, args)


@click.command(cls=_Sweep, short_help="Which options? Trials of many, compared on images held out.")
@click.option(
    "--try",
    "tried",
    type=Values(),
    multiple=True,
    help="An option of train with its values: 'hidden=10 64,32', 'augment=yes no', or a range of numbers: "
    "learning-rate=0.01..1:log, batch-size=16..256. Can be given several times.",
)
@click.option("--seconds", type=Number(NONNEGATIVE), help="Time of the sweep.  [default: 60, without --trials]")
@click.option("--trials", type=Count(0), help="Trials at most, with those of the sweep that is resumed.")
@click.option(
    "--by",
    type=click.Choice(["accuracy", "loss"]),
    default="accuracy",
    show_default=True,
    help="Figure on the dev images that trials are compared by.",
)
@click.option(
    "--repeats",
    type=Count(1, MOST_NETWORKS),
    default=1,
    show_default=True,
    help="Networks of a trial, each with initial weights of its own; they see the batches of --seed.",
)
@click.option(
    "--folds",
    type=Count(2),
    help="Parts of the training images, each of which is held out once.  [default: the dev images alone]",
)
@compiled_options("Train")
@data_options
@reading_options
@recipe_option
@plan_options(without=["--window"])
@seed_option
@dev_data_option
@test_data_option
@class_weights_option
@click.option("--run-dir", type=FileName(), metavar="DIR", help="Folder that keeps the trials.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the sweep in --run-dir; several processes can do so at the same time.",
)
@click.option("--plot", type=FileName(), help="The trials as PNG, SVG or PDF.")
@json_option
@quiet_option
@click.pass_context
def sweep(context: click.Context, /, as_json: bool, quiet: bool, **options: Any) -> None:
    """Try options of `train`, and print the best as a command.

    Trials are chosen by Optuna (pip install 'fnnet[sweep]') and compared on images that they are not trained on, never
    on the test set. Those that see the same batches are trained at once.
    """
    from fnnet.apps.sweep.study import library

    space = space_of(context, options["tried"])
    options["seconds"] = SECONDS if options["seconds"] is None and options["trials"] is None else options["seconds"]
    _check(options)
    library()
    notify = Notices(quiet)
    begin_loading_kernels(options["jit"], options["threads"])
    make = maker(options)
    parts = check_combinations(space, make, held_out=bool(options["folds"] or options["dev_data"]))
    with naming_options(options["data_choice"], only_in_text=True):
        _check_place(options)
    dataset, dev_set = _load(options, notify)
    images = _count_images(space, make, dataset, dev_set, options)
    line = describe(dataset, images)
    if not quiet:
        echo(line, err=as_json)
    kernels, _ = load_kernels(options["jit"], options["threads"], notify, parts)
    began = time.perf_counter()
    found = _sweep(space, make, dataset, dev_set, kernels, options, quiet, notify)
    document = _document(dataset, images, kernels, options, space, found)
    document["seconds"] = time.perf_counter() - began
    document["command"] = _command(context, space, found.best, options, images) if found.best else None
    if options["plot"]:
        from fnnet.apps.sweep.picture import plot_sweep

        plot_sweep(options["plot"], space, found.trials, options["by"], f"{options['recipe']}, {dataset.name}")
    document |= {"run_dir": options["run_dir"], "plot": options["plot"], "notes": notify.notes}
    if as_json:
        print_json(document)
    else:
        _print(document, space, line, quiet)
    _raise_unless_whole(found, options)


def _check(options: dict[str, Any]) -> None:
    """Raise UsageError for options that do not go together, before the work."""
    check_outputs(inputs=data_inputs(options), pictures={"--plot": options["plot"]})
    if options["folds"] and options["dev_data"]:
        found = options["dev_data"]
        raise UsageError("cannot be combined with --folds", where="--dev-data", expected="one of them", found=found)
    if options["folds"] and options["dev"] is not None:
        found = options["dev"]
        raise UsageError("cannot be combined with --folds", where="--dev", expected="one of them", found=found)
    if options["resume"] and not options["run_dir"]:
        raise UsageError("needs the folder of the sweep", where="--resume", expected="--run-dir", found="none")
    if is_streamed(options):
        choice = options["data_choice"]
        raise UsageError("is read piece by piece", where="--data", expected="images in memory", found=choice)


def _check_place(options: Mapping[str, Any]) -> None:
    if not options["run_dir"]:
        return
    from fnnet.apps.sweep.journal import check_place
    from fnnet.files.disk import check_folder

    check_folder(options["run_dir"])
    check_place(options["run_dir"], options["resume"])


def _load(options: dict[str, Any], notify: Notices) -> tuple[Dataset, Examples | None]:
    """Return the data set, as `train` takes it, and the images of --dev-data: no image to test on is among them."""
    from fnnet.data.preprocess import AUTOMATIC, Reading
    from fnnet.training.dev_set import load_dev_set, with_test_set

    dataset, dev_data, test_data = load_data(options, notify), options["dev_data"], options["test_data"]
    with naming_options():
        reading = Reading(**reading_of(options)) if dev_data or test_data else AUTOMATIC
        dev_set = load_dev_set(dev_data, dataset, notify, reading) if dev_data else None
        return with_test_set(dataset, test_data, notify, reading), dev_set


def _count_images(
    space: Space,
    make: Callable[[Mapping[str, Any]], Any],
    dataset: Dataset,
    dev_set: Examples | None,
    options: Mapping[str, Any],
) -> dict[str, int]:
    """Return how many images a network is trained on, and measured on; UsageError for what does not fit the data."""
    from fnnet.apps.sweep import space as spaces
    from fnnet.apps.sweep.measuring import reference_job
    from fnnet.data.stream import count_of

    first = next(spaces.corners(space, 1))
    with naming_options():
        given = {"folds": options["folds"] or 0, "dev_set": dev_set, "seed": options["seed"]}
        job = reference_job(dataset, make(spaces.values(space, first)), **given)
    return {"train": job.images, "dev": count_of(job.dev)}


def _sweep(
    space: Space,
    make: Callable[[Mapping[str, Any]], Any],
    dataset: Dataset,
    dev_set: Examples | None,
    kernels: Kernels,
    options: Mapping[str, Any],
    quiet: bool,
    notify: Notices,
) -> Swept:
    """Sweep under a bar; the first signal stops it after the block that it comes in."""
    from fnnet.apps.sweep.sweeping import sweep_setups
    from fnnet.cli.bars import share_bar
    from fnnet.cli.signals import Interrupts

    seconds, began, interrupts = options["seconds"], time.perf_counter(), Interrupts()
    with share_bar("sweeping", not quiet and bool(seconds)) as show, interrupts:

        def stop() -> str:
            show(min(1.0, (time.perf_counter() - began) / seconds) if seconds else 0.0)
            return interrupts.word

        given = {name: options[name] for name in ("trials", "by", "repeats", "seed", "run_dir", "resume")}
        with naming_options(dataset.source, only_in_text=True):
            return sweep_setups(
                dataset, space, make, seconds=seconds, folds=options["folds"] or 0, dev_set=dev_set, kernels=kernels,
                stop=stop, notify=notify, **given,
            )  # fmt: skip


def _document(
    dataset: Dataset,
    images: dict[str, int],
    kernels: Kernels,
    options: Mapping[str, Any],
    space: Space,
    found: Swept,
) -> dict[str, Any]:
    from fnnet.apps.sweep.space import Choices

    tried = {name: list(each.names) if isinstance(each, Choices) else str(each) for name, each in space.items()}
    return {
        "dataset": dataset.name,
        "images": images,
        "recipe": options["recipe"],
        "jit": kernels.compiled,
        "threads": threads_of(kernels),
        **{name: options[name] for name in ("seed", "by", "repeats", "folds")},
        "try": tried,
        "reason": found.reason,
        "starts": [dict(each) for each in found.starts],
        "trials": [_about(space, each) for each in found.trials],
        "best": found.best.number + 1 if found.best else None,
    }


def _about(space: Space, trial: Trial) -> dict[str, Any]:
    """Return what the document has of a trial; trials are counted from 1 on."""
    from fnnet.apps.sweep import space as spaces

    about: dict[str, Any] = {"trial": trial.number + 1, "state": trial.state}
    if trial.point.keys() == space.keys():  # else its process ended as soon as it was begun
        about["options"] = spaces.texts(space, trial.point)
    about |= {"problem": trial.problem} if trial.problem else {}
    about |= {} if trial.again is None else {"again": trial.again + 1}
    return about | {"start": trial.start, **trial.figures}


def _command(
    context: click.Context, space: Space, best: Trial, options: Mapping[str, Any], images: Mapping[str, int]
) -> str:
    """Return the best options as a command: after cross-validation, on all images unless some decide when it ends."""
    from fnnet.apps.sweep import space as spaces
    from fnnet.training.choice import chosen_recipe

    more: list[str] = []
    if options["folds"]:
        setup = maker(options)(spaces.values(space, best.point))
        recipe = chosen_recipe(setup.recipe, setup.settings, None)
        dev = images["dev"] if recipe.plan.get("early_stopping") else 0
        more = ["--dev", str(dev)] if dev != recipe.dev else []
    return train_command(context, context.meta[TYPED], spaces.texts(space, best.point), more)


def _print(document: Mapping[str, Any], space: Space, line: str, quiet: bool) -> None:
    """Print a table of the best trials, how many there are of each kind, and the command of the best."""
    from fnnet.apps.report import loss_text

    if quiet:
        echo(line)
    else:
        _print_table(document, space)
    again = {trial.get("again") for trial in document["trials"]}
    last = [trial for trial in document["trials"] if trial["trial"] not in again]
    counts: dict[str, int] = {}
    for trial in last:
        counts[trial["state"]] = counts.get(trial["state"], 0) + 1
    kinds = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    say(f"{counted(len(last), 'trial')}{f': {kinds}' if kinds else ''}; {document['reason']}")
    if document["best"]:
        top = next(each for each in document["trials"] if each["trial"] == document["best"])
        say(f"best: trial {top['trial']}, dev accuracy {_accuracy(top)}, loss {loss_text(top['dev_loss'])}")
        echo(document["command"])
    if document["plot"]:
        say(f"saved {document['plot']}")


def _print_table(document: Mapping[str, Any], space: Space) -> None:
    from fnnet.apps.report import loss_text, terminal

    trained = [each for each in document["trials"] if "dev_loss" in each]
    if not trained:
        return
    sign = -1 if document["by"] == "accuracy" else 1
    trained.sort(key=lambda each: (sign * each[f"dev_{document['by']}"], each["dev_loss"]))
    names = [option_of(name).removeprefix("--") for name in space]
    rows = terminal.table("trial", *names, "dev acc", "dev loss", "networks", "seconds")
    for each in trained[:SHOWN]:
        values = [each["options"][name] or "''" for name in space]
        figures = _accuracy(each), loss_text(each["dev_loss"]), str(len(each["dev_losses"])), f"{each['seconds']:.2f}"
        rows.add_row(str(each["trial"]), *values, *figures)
    console().print(rows)


def _accuracy(trial: Mapping[str, Any]) -> str:
    spread = trial["dev_accuracy_spread"]
    return f"{trial['dev_accuracy']:.2%}" + ("" if spread is None else f" +- {100 * spread:.2f}")


def _raise_unless_whole(found: Swept, options: Mapping[str, Any]) -> None:
    """Raise FnnetError, once all is printed, for a sweep that was interrupted, or in which no trial was trained."""
    from fnnet.apps.sweep.course import ALL_KNOWN, ENOUGH, OUT_OF_TIME
    from fnnet.cli.signals import code_of

    if found.reason not in (OUT_OF_TIME, ENOUGH, ALL_KNOWN):
        fix = f"go on with --run-dir {options['run_dir']} --resume" if options["run_dir"] else "keep it with --run-dir"
        error = FnnetError(found.reason, fix=fix)
        error.exit_code = code_of(found.reason)
        raise error
    if found.best is None and options["seconds"] != 0:
        problems: Sequence[str] = [each.problem for each in found.trials if each.problem]
        text = f"{counted(len(found.trials), 'trial')}{f', the last: {problems[-1]}' if problems else ''}"
        fix = "give more --seconds or fewer --epochs" if found.reason == OUT_OF_TIME else "try other values"
        raise FnnetError("no trial was trained", expected="one at least", found=text, fix=fix)
