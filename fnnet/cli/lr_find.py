"""`fnnet lr-find`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

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
)
from fnnet.cli.mismatch import by_options
from fnnet.cli.options import (
    POSITIVE,
    Count,
    FileName,
    compiled_options,
    data_options,
    json_option,
    quiet_option,
    recipe_option,
    seed_option,
)
from fnnet.cli.train import COURSE, override, plan_options
from fnnet.errors import UsageError
from fnnet.names import STEPPING
from fnnet.training import recipes

if TYPE_CHECKING:
    from fnnet.training.lr_find import RangeTest


@click.command("lr-find", short_help="Which learning rate? The range test and its curve.")
@compiled_options("Train")
@data_options
@recipe_option
@plan_options
@click.option("--low", type=POSITIVE, default=1e-5, show_default=True, help="The first learning rate.")
@click.option("--high", type=POSITIVE, default=10.0, show_default=True, help="The last learning rate.")
@click.option("--steps", type=Count(10, 10**6), default=200, show_default=True, help="Steps from --low to --high.")
@seed_option
@click.option("--plot", type=FileName(), help="The curve as PNG, SVG or PDF (extra plot).")
@json_option
@quiet_option
def lr_find(recipe: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Train once while the learning rate grows from step to step, and suggest one.

    The test ends where the smoothed loss is 4 times its smallest, or training diverges. The suggestion is the smaller
    of the rate where the loss falls fastest and a tenth of the rate where it is smallest. No model is saved.
    """
    from fnnet import data
    from fnnet.cli.run import plan_of
    from fnnet.core import params
    from fnnet.core.deform import deform
    from fnnet.core.state import Objective
    from fnnet.training import epochs, memory
    from fnnet.training.lr_find import range_test
    from fnnet.training.plan import check_plan, make_optimizer

    check_outputs(inputs=data_inputs(options), pictures={"--plot": options["plot"]})
    _check_range(options)
    notify = notifier(quiet)
    dataset = load_data(options, notify)
    chosen = override(recipes.get(recipe), options, len(dataset.train.labels))
    plan = plan_of(chosen)
    with by_options():
        check_plan(plan, hidden=len(chosen.hidden))
    train_set, _ = data.split(dataset.train, chosen.dev, options["seed"], chosen.train_images)
    if plan.deformation:
        place = {"seed": options["seed"], "epoch": 1}
        deformed = deform(train_set.x, dataset.image_shape, plan.deformation, **place)
        train_set = train_set._replace(x=deformed)
    if not quiet:
        say(describe(dataset, {"train": len(train_set.labels)}), err=as_json)
    kernels, _ = load_kernels(options["jit"], options["threads"], notify)
    sizes = (dataset.train.x.shape[1], *chosen.hidden, len(dataset.classes))
    memory.check(sizes, len(train_set.labels), plan, compiled=kernels.compiled)
    state = epochs.start(params.init(sizes, options["seed"], scheme=chosen.initialiser), options["seed"], plan).state
    batch_size = min(chosen.batch_size or len(train_set.labels), len(train_set.labels))
    began = time.perf_counter()
    test = range_test(
        state,
        train_set,
        batch_size,
        low=options["low"],
        high=options["high"],
        steps=options["steps"],
        objective=Objective(plan.activation, plan.dropout, plan.label_smoothing),
        optimizer=make_optimizer(plan),
        kernels=kernels,
    )
    seconds = time.perf_counter() - began
    title = f"{chosen.name}, {'-'.join(map(str, sizes))}, batches of {batch_size:,}, {dataset.name}"
    if options["plot"]:
        from fnnet.apps.report.plots import plot_lr_find

        plot_lr_find(options["plot"], test.rates, test.smoothed, test.suggestion, raw=test.losses, title=title)
    if as_json:
        settings = {"dataset": dataset.name, "recipe": chosen.name, "sizes": list(sizes), "batch_size": batch_size}
        more = {"jit": kernels.compiled, "seed": options["seed"], "seconds": seconds}
        print_json({**settings, **more, **test._asdict(), "plot": options["plot"]})
        return
    _print(test, options, quiet, f"{title}, {len(test.rates):,} of {options['steps']:,} steps in {seconds:.2f} s")


# A range test has a course of its own.
lr_find.params = [param for param in lr_find.params if param.name not in COURSE]


def _check_range(options: dict[str, Any]) -> None:
    """UsageError where there is no rate to test, or no range."""
    low, high, optimizer = options["low"], options["high"], options["optimizer"]
    if optimizer not in (None, *STEPPING):
        expected = " or ".join(STEPPING)
        raise UsageError(f"{optimizer} has no learning rate", where="--optimizer", expected=expected, found=optimizer)
    if low >= high:
        raise UsageError("not below --high", where="--low", expected=f"less than {high:g}", found=f"{low:g}")


def _print(test: RangeTest, options: dict[str, Any], quiet: bool, line: str) -> None:
    if not quiet and len(test.rates) > 1:
        from fnnet.apps.report import terminal

        terminal.rate_curve(test, console())
    say(line)
    if test.suggestion is None:
        say("no suggestion: the loss does not fall; try a lower --low, a higher --high or more --steps")
    else:
        say(f"steepest fall at {test.steepest:.2g}, smallest loss at {test.at_minimum:.2g}")
        say(f"suggested learning rate {test.suggestion:.2g}")
    if options["plot"]:
        say(f"saved {options['plot']}")
