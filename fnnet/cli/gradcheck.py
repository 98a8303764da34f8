"""`fnnet gradcheck`."""

from __future__ import annotations

from typing import Any

import click

from fnnet.cli.common import Notices, console, load_kernels, print_json
from fnnet.cli.options import Fractions, Number, Sizes, jit_option, json_option, seed_option
from fnnet.cli.streams import echo
from fnnet.errors import UsageError
from fnnet.limits import FRACTION
from fnnet.names import ACTIVATIONS


@click.command(short_help="Is the gradient of every parameter right?")
@click.option("--sizes", type=Sizes(), default="784,10,10", show_default=True, help="Inputs, hidden layers, outputs.")
@click.option(
    "--activation",
    type=click.Choice(ACTIVATIONS),
    help="Activation of the hidden units.  [default: relu]",
)
@click.option(
    "--dropout", type=Fractions(), default=0.0, help="Fraction of hidden units dropped, one or one per layer."
)
@click.option(
    "--label-smoothing", type=Number(FRACTION), default=0.0, help="Fraction of each label spread over all classes."
)
@click.option("--weighted", is_flag=True, help="Give each image its own weight.")
@jit_option("Compute the gradient")
@seed_option
@json_option
def gradcheck(
    sizes: tuple[int, ...], activation: str | None, dropout: Any, label_smoothing: float, weighted: bool, jit: bool,
    seed: int, as_json: bool,
) -> int:  # fmt: skip
    """Check the gradient of every parameter, in float64, against central differences and the complex step.

    The exit code is 1 if any difference exceeds its limit.
    """
    from fnnet.core import gradcheck as checker
    from fnnet.core.dropout import masks

    _check(sizes, activation, dropout)
    activation = activation or "relu"
    kernels, _ = load_kernels(jit, 1 if jit else None, Notices(quiet=as_json), ["operations"])
    params, x, labels = checker.example(sizes, seed)
    checks = checker.check_gradients(
        params, x, labels, activation=activation, masks=masks(seed, 0, sizes[1:-1], len(x), dropout, dtype="float64"),
        weights=checker.example_weights(seed, len(x)) if weighted else None, label_smoothing=label_smoothing,
        kernels=kernels,
    )  # fmt: skip
    passed = checks.passed
    if as_json:
        limits = {"central": checker.CENTRAL_LIMIT, "complex_step": checker.COMPLEX_LIMIT}
        arrays = [{**check._asdict(), "passed": check.passed} for check in checks]
        options = {"activation": activation, "dropout": dropout, "label_smoothing": label_smoothing}
        print_json(
            {"sizes": list(sizes), **options, "weighted": weighted, "seed": seed, "jit": jit, "limits": limits,
             "arrays": arrays, "passed": passed}
        )  # fmt: skip
        return 0 if passed else 1
    from fnnet.apps.report import terminal

    table = terminal.table("array", "parameters", "at kinks", "central difference", "complex step", "", left="array")
    for check in checks:
        table.add_row(
            check.name,
            f"{check.checked + check.kinks:,}",
            f"{check.kinks:,}",
            f"{check.central:.1e}",
            "" if check.complex_step is None else f"{check.complex_step:.1e}",
            "ok" if check.passed else "WRONG",
        )
    console().print(table)
    limits_line = (
        f"limits {checker.CENTRAL_LIMIT:.0e} and {checker.COMPLEX_LIMIT:.0e}, largest relative differences above"
    )
    echo(f"{'gradient right' if passed else 'GRADIENT WRONG'}; {limits_line}")
    return 0 if passed else 1


def _check(sizes: tuple[int, ...], activation: str | None, dropout: Any) -> None:
    """Raise UsageError, at the option, for sizes of no network, and for what these sizes leave without an effect."""
    from fnnet.core.check_network import check_sizes
    from fnnet.core.dropout import dropped

    hidden = len(sizes) - 2
    try:
        check_sizes(sizes)
    except UsageError as error:
        raise error.at("--sizes") from None
    for option, given in (("--activation", activation), ("--dropout", dropout)):
        if given and not hidden:
            raise UsageError("has no effect without hidden layers", where=option, expected="hidden layers")
    try:
        dropped(dropout, hidden)
    except UsageError as error:
        raise error.at("--dropout") from None
