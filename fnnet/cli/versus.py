"""`fnnet versus`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from fnnet.cli.common import (
    Notices,
    check_outputs,
    console,
    data_inputs,
    describe,
    is_streamed,
    load_data,
    print_json,
    say,
)
from fnnet.cli.help import GROUPS, Group, Grouped
from fnnet.cli.mismatch import naming_options, option_of
from fnnet.cli.options import (
    Count,
    class_weights_option,
    data_options,
    json_option,
    quiet_option,
    reading_options,
    recipe_option,
    seed_option,
    test_data_option,
)
from fnnet.cli.plan_options import plan_options, settings_of
from fnnet.cli.said import reading_of
from fnnet.cli.streams import echo
from fnnet.errors import UsageError, counted

if TYPE_CHECKING:
    from fnnet.apps.versus import Comparison
    from fnnet.apps.versus.meanings import Trait
    from fnnet.data import Dataset
    from fnnet.training.session import Job

MOST_STEPS: Final = 10**6
GROWN: Final = 1e-9
"""A relative difference of weights above which rounding has grown with the steps."""
SHOWN: Final = (1, 2, 5)
"""Steps in the table: these times powers of ten, where the two part, and the last."""


class _Versus(Grouped):
    """A command with options of its own before those of training."""

    groups = (Group("Comparison", ("--steps", "--by-name"), "fnnet versus torch --optimizer adam --steps 200"), *GROUPS)


@click.command(cls=_Versus, short_help="Does another library train the same? Step by step, and where it parts.")
@click.argument("peer", metavar="sklearn|torch|keras", type=click.Choice(["sklearn", "torch", "keras"]))
@click.option("--steps", type=Count(1, MOST_STEPS), default=100, show_default=True, help="Steps to compare.")
@click.option(
    "--by-name",
    is_flag=True,
    help="Give the library each option under its own name for it, all else as its defaults, without translation: shows "
    "where equal names mean other things.",
)
@data_options
@reading_options
@recipe_option
@plan_options(without=["--window"])
@seed_option
@test_data_option
@class_weights_option
@json_option
@quiet_option
def versus(peer: str, steps: int, by_name: bool, recipe: str, as_json: bool, quiet: bool, **options: Any) -> int:
    """Train the network of `train` in another library beside fnnet, in float64, from the same weights on the same
    batches, and find the first step and operation whose results differ by more than rounding.

    Options that mean another thing there are translated, which is printed, or refused with the reason. The exit code is
    1 if the two part.

    \b
    fnnet versus sklearn --optimizer adam
    fnnet versus torch --optimizer nesterov --weight-decay 0.001
    fnnet versus keras --optimizer adam --by-name     another epsilon there
    """
    from fnnet.apps.versus.comparing import check_installed, compare
    from fnnet.training import session

    settings = settings_of(options)
    check_outputs(inputs=data_inputs(options))
    _check(peer, recipe, settings, by_name, options)
    check_installed(peer)
    notify = Notices(quiet)
    dataset = _load(options, notify)
    with naming_options():
        weights = options["class_weights"]
        job = session.prepare(dataset, recipe, settings, class_weights=weights, seed=options["seed"])
    if not quiet:
        echo(describe(dataset, {"train": job.images}), err=as_json)
    with naming_options():
        found = compare(peer, job, steps, by_name=by_name)
    if as_json:
        print_json({**_document(job, found, by_name), "notes": notify.notes})
    else:
        _print(job, found, quiet)
    return 0 if found.parting is None else 1


def _check(peer: str, recipe: str, settings: dict[str, Any], by_name: bool, options: dict[str, Any]) -> None:
    """Raise UsageError for what cannot be compared, before any data are read."""
    from fnnet.apps.versus.meanings import check
    from fnnet.training import session
    from fnnet.training.choice import chosen_recipe, plan_of

    if is_streamed(options):
        choice = options["data_choice"]
        raise UsageError("is read piece by piece", where="--data", expected="images in memory", found=choice)
    with naming_options():
        chosen = chosen_recipe(recipe, settings, None)
        check(peer, plan_of(chosen), len(chosen.hidden), chosen.members, by_name)
        session.check_settings(recipe, settings, class_weights=options["class_weights"])


def _load(options: dict[str, Any], notify: Notices) -> Dataset:
    """Return the data set as `train` takes it: without the images that it tests on."""
    from fnnet.data.preprocess import AUTOMATIC, Reading
    from fnnet.training.dev_set import with_test_set

    dataset, test_data = load_data(options, notify), options["test_data"]
    with naming_options():
        reading = Reading(**reading_of(options)) if test_data else AUTOMATIC
        return with_test_set(dataset, test_data, notify, reading)


def _document(job: Job, found: Comparison, by_name: bool) -> dict[str, Any]:
    """Return the JSON document of a comparison, without its notes."""
    from fnnet.core.state import thawed
    from fnnet.training import session
    from fnnet.training.config import plan_as_json
    from fnnet.training.options import options_of_plan

    parting = found.parting
    return {
        "peer": found.peer,
        "about": found.about,
        "dataset": job.dataset.name,
        "sizes": list(job.sizes),
        "recipe": job.recipe,
        "seed": job.seed,
        "images": job.images,
        "images_in_a_step": session.batch_size_of(job),
        "options": thawed(options_of_plan(plan_as_json(job.plan), job.sizes[1:-1])),
        "by_name": by_name,
        "translated": {option_of(each.option): each.given for each in found.translated},
        "differing": [_reason(each, found) for each in found.differing],
        "steps": [row._asdict() for row in found.rows],
        "equal": parting is None,
        "parting": parting and {**parting._asdict(), "reasons": [_reason(each, found) for each in parting.reasons]},
    }


def _reason(trait: Trait, found: Comparison) -> dict[str, str]:
    return {"what": trait.name, "fnnet": trait.ours, found.peer: trait.theirs}


def _print(job: Job, found: Comparison, quiet: bool) -> None:
    """Print what is compared, some of the steps, and the result in one line."""
    from fnnet.apps.report import loss_text, terminal
    from fnnet.apps.versus.meanings import PEERS

    name = PEERS[found.peer]
    if not quiet:
        for line in _facts(job, found, name):
            say(line)
        headings = "step", "learning rate", "loss", f"{found.peer}'s", "weights differ", "relative", "by rounding"
        rows = terminal.table(*headings)
        for row in (found.rows[step - 1] for step in _shown(found)):
            losses = loss_text(row.loss), loss_text(row.peer_loss)
            figures = (f"{each:.1e}" for each in (row.absolute, row.relative, row.itself))
            rows.add_row(f"{row.step:,}", f"{row.learning_rate:.4g}", *losses, *figures)
        console().print(rows)
    say(_result(found, name))


def _facts(job: Job, found: Comparison, name: str) -> Iterator[str]:
    """Yield what is compared, what was translated, and what differs."""
    from fnnet.training import session

    sizes, plan = "-".join(map(str, job.sizes)), job.plan
    kind = f"{sizes}, {plan.activation}" if len(job.sizes) > 2 else sizes
    batches = f"batches of {session.batch_size_of(job):,}"
    yield f"{kind}, {plan.optimizer}, {batches}, float64: fnnet beside {found.about}"
    for each in found.translated:
        yield f"translated: {option_of(each.option)}: {each.given}"
    for trait in found.differing:
        yield f"differs: {_differs(trait, name)}"


def _shown(found: Comparison) -> list[int]:
    """Return the numbers of the steps in the table."""
    last = len(found.rows)
    steps = {factor * 10**power for power in range(len(str(last))) for factor in SHOWN}
    return sorted(step for step in {*steps, last, found.parting.step if found.parting else 1} if step <= last)


def _result(found: Comparison, name: str) -> str:
    """Return the result in one line."""
    parting, steps = found.parting, len(found.rows)
    if parting is None:
        most, over = max(row.relative for row in found.rows), counted(steps, "step")
        if most > GROWN:
            away = f"of fnnet started an ulp away {max(row.itself for row in found.rows):.1e}"
            grown = f"which grows: weights differ by {most:.1e} of the largest, {away}"
            return f"no operation differs by more than rounding, {grown}, over {over}"
        return f"equal to rounding: weights differ by {most:.1e} of the largest at most, over {over}"
    line = f"parted at step {parting.step:,}, {parting.operation}: by {parting.difference:.1e} of the largest"
    if not parting.reasons:
        return f"{line}; no option in force explains it"
    return f"{line}, because of {'; '.join(_differs(each, name) for each in parting.reasons)}"


def _differs(trait: Trait, name: str) -> str:
    return f"{trait.name}: {trait.ours} in fnnet, {trait.theirs} in {name}"
