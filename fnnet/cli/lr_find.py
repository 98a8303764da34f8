"""`fnnet lr-find`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fnnet.cli.common import (
    Notices,
    begin_loading_kernels,
    check_outputs,
    console,
    data_inputs,
    describe,
    load_data,
    load_kernels,
    print_json,
    say,
)
from fnnet.cli.help import Grouped
from fnnet.cli.mismatch import naming_options
from fnnet.cli.options import (
    Count,
    FileName,
    Number,
    compiled_options,
    data_options,
    json_option,
    quiet_option,
    reading_options,
    recipe_option,
    seed_option,
)
from fnnet.cli.plan_options import COURSE, plan_options, settings_of
from fnnet.cli.streams import echo
from fnnet.errors import UsageError, counted
from fnnet.limits import MIN_RANGE_TEST_STEPS, POSITIVE
from fnnet.names import STEPPING

if TYPE_CHECKING:
    from fnnet.training.rate_search import RateSearch


@click.command("lr-find", cls=Grouped, short_help="Which learning rate? The range test, and short trainings.")
@compiled_options("Train")
@data_options
@reading_options
@recipe_option
@plan_options(without=COURSE)
@click.option("--low", type=Number(POSITIVE), default=1e-5, show_default=True, help="The first learning rate.")
@click.option("--high", type=Number(POSITIVE), default=10.0, show_default=True, help="The last learning rate.")
@click.option(
    "--steps",
    type=Count(MIN_RANGE_TEST_STEPS, 10**6),
    default=200,
    show_default=True,
    help="Steps from --low to --high.",
)
@seed_option
@click.option("--plot", type=FileName(), help="The curve as PNG, SVG or PDF.")
@json_option
@quiet_option
def lr_find(recipe: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train once while the learning rate grows from step to step, then at several rates, and suggest one.

    The test ends when the smoothed loss is 4 times its smallest value, or training diverges. Then the recipe is trained
    at rates ten times apart, and at others beside the best; it is shortened if it takes long. The suggestion is
    where the loss on images that are held out is smallest, between rates too. No model is saved.
    """
    settings = settings_of(options)
    check_outputs(inputs=data_inputs(options), pictures={"--plot": options["plot"]})
    _check_range(options)
    notify = Notices(quiet)
    begin_loading_kernels(options["jit"], options["threads"])
    from fnnet.training import rate_search, session

    with naming_options():
        session.check_settings(recipe, settings)
    dataset = load_data(options, notify)
    with naming_options():
        job = session.prepare(dataset, recipe, settings, seed=options["seed"])
    if not quiet:
        echo(describe(dataset, {"train": job.images}), err=as_json)
    kernels, _ = load_kernels(options["jit"], options["threads"], notify, job.plan.kernel_parts)
    rates: dict[str, Any] = {name: options[name] for name in ("low", "high", "steps")}
    with naming_options():
        found = rate_search.find_learning_rate(job, kernels=kernels, **rates)
    sizes, batch_size = "-".join(map(str, job.sizes)), session.batch_size_of(job)
    title = f"{job.recipe}, {sizes}, batches of {batch_size:,}, {dataset.name}"
    if options["plot"]:
        from fnnet.apps.report.plots import plot_lr_find

        test = found.test
        plot_lr_find(options["plot"], test.rates, test.smoothed, found.suggestion, raw=test.losses, title=title)
    if as_json:
        about = {"dataset": dataset.name, "recipe": job.recipe, "sizes": list(job.sizes), "batch_size": batch_size}
        more = {"jit": kernels.compiled, "seed": options["seed"], "seconds": found.seconds}
        trials = {"trial_epochs": found.epochs, "trials": [trial._asdict() for trial in found.trials]}
        end = {"suggestion": found.suggestion, "plot": options["plot"], "notes": notify.notes}
        print_json({**about, **more, **found.test._asdict(), **trials, **end})
        return
    made = f"{len(found.test.rates):,} of {counted(options['steps'], 'step')}"
    made = f"{made} and {counted(len(found.trials), 'trial')} in {found.seconds:.2f} s"
    _print(found, options, quiet, title, made)


def _check_range(options: dict[str, Any]) -> None:
    """Raise UsageError if there is no rate to test, or no range."""
    low, high, optimizer = options["low"], options["high"], options["optimizer"]
    if optimizer not in (None, *STEPPING):
        expected = " or ".join(STEPPING)
        raise UsageError(f"{optimizer} has no learning rate", where="--optimizer", expected=expected, found=optimizer)
    if low >= high:
        raise UsageError("not below --high", where="--low", expected=f"less than {high:g}", found=f"{low:g}")


def _print(found: RateSearch, options: dict[str, Any], quiet: bool, title: str, made: str) -> None:
    from fnnet.apps.report import loss_text, terminal

    test = found.test
    if not quiet and len(test.rates) > 1:
        terminal.rate_curve(test, console())
    say(title)
    say(made)
    if test.steepest is not None:
        say(f"steepest fall at {test.steepest:.2g}, smallest loss at {test.at_minimum:.2g}")
    if not quiet:
        last = f"loss on held-out images after {found.epochs:.3g} epochs"
        rows = terminal.table("rate", last, left="rate")
        for trial in found.trials:
            rows.add_row(f"{trial.rate:g}", loss_text(trial.loss))
        console().print(rows)
    if found.suggestion is None:
        say("no suggestion: at no rate is the loss below that of chance; try a lower --low or a higher --high")
    else:
        say(f"suggested learning rate {found.suggestion:g}")
    if options["plot"]:
        say(f"saved {options['plot']}")
