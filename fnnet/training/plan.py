"""How to train, as one value of plain figures that a recipe, a command line and a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fnnet.core import deform, public_optimizers, schedules
from fnnet.core.check_network import check_activation
from fnnet.core.checks import check_amount, check_count, check_label_smoothing, check_share
from fnnet.core.dropout import dropped
from fnnet.core.optimizers import Optimizer
from fnnet.core.schedules import Schedule
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.names import OPTIMIZERS, SCHEDULES, STEPPING

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **{name: ("warmup", *options) for name, options in schedules.OPTIONS.items() if name != "onecycle"},
        "onecycle": schedules.OPTIONS["onecycle"],
        "plateau": ("warmup", "factor", "patience", "threshold"),
    }
)
"""What can be said of a schedule: `every`, `patience` and `warmup` in epochs, but onecycle's `warmup` is a share."""
MOST_EPOCHS: Final = 10**9
"""Times as many steps in each they still fit the 64-bit integers that steps are counted in."""


class Plan(NamedTuple):
    """How to train.

    batch_size      None takes all images in every step.
    learning_rate   the highest; `schedule` says how it moves: NAME, or NAME:OPTION=NUMBER,... as `step:every=5`.
    report_every    epochs between reports.
    momentum        of momentum and nesterov.
    weight_decay    coupled, for adamw decoupled.
    clip_norm       largest norm of the gradient; 0 for any.
    ema             decay of the weights' average, which then answers; 0 for none.
    dropout         share of hidden units left out, one for all layers or one for each.
    early_stopping  reports without a better dev loss after which training ends, and gives back the best weights.
    deformation     of the images, anew in each epoch; None for none.
    """

    epochs: int
    batch_size: int | None
    learning_rate: float
    activation: str = "relu"
    report_every: int = 1
    optimizer: str = "sgd"
    schedule: str = "constant"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    dropout: float | tuple[float, ...] = 0.0
    label_smoothing: float = 0.0
    early_stopping: int | None = None
    deformation: deform.Deformation | None = None


def check_kind(plan: Any) -> Plan:
    """`plan` if it is one, else ArgumentTypeError."""
    if not isinstance(plan, Plan):
        raise ArgumentTypeError("plan", expected="a Plan", found=type(plan).__name__)
    return plan


def goes_by_steps(plan: Plan) -> bool:
    """Whether its optimizer moves batch by batch; L-BFGS looks at all images along a line before it moves."""
    check_kind(plan)
    return plan.optimizer in STEPPING


def make_optimizer(plan: Plan) -> Optimizer:
    """The optimizer of a plan."""
    check_kind(plan)
    figures = {"weight_decay": plan.weight_decay, "clip_norm": plan.clip_norm, "ema": plan.ema}
    return public_optimizers.make(plan.optimizer, momentum_beta=plan.momentum, **figures)


def parse_schedule(text: str) -> tuple[str, dict[str, float]]:
    """`NAME` or `NAME:OPTION=NUMBER,...` as name and options.

    Raises   UsageError for a name not in SCHEDULES, and for options that it does not have.
    """
    name, _, rest = str(text).partition(":")
    if name not in SCHEDULES:
        raise UsageError("unknown schedule", expected=" or ".join(SCHEDULES), found=repr(text))
    options: dict[str, float] = {}
    for part in rest.split(",") if rest else []:
        key, _, value = part.partition("=")
        expected = " or ".join(f"{option}=NUMBER" for option in OPTIONS[name])
        if key not in OPTIONS[name] or key in options:
            raise UsageError(f"option of schedule {name}", expected=expected, found=repr(part))
        try:
            options[key] = float(value)
        except ValueError:
            raise UsageError(f"option of schedule {name}", expected=expected, found=repr(part)) from None
    return name, options


def make_schedule(plan: Plan, steps_an_epoch: int) -> Schedule:
    """The learning rate of each step of a plan; a plateau's is the constant that `make_plateau` scales."""
    steps_an_epoch = check_count("steps_an_epoch", steps_an_epoch, 1)
    check_kind(plan)
    name, options = parse_schedule(plan.schedule)
    if name in ("constant", "plateau"):
        made = schedules.constant(plan.learning_rate)
    else:
        if plan.epochs < 1:
            fix = "say --epochs"
            raise UsageError(
                f"schedule {name} lacks its epochs", expected="an integer >= 1", found=plan.epochs, fix=fix
            )
        said: dict[str, Any] = {key: value for key, value in options.items() if key != "warmup" or name == "onecycle"}
        if "every" in said:
            said["every"] = max(1, _in_steps(check_amount("every", said["every"], above=True), steps_an_epoch))
        made = schedules.make(name, plan.learning_rate, plan.epochs * steps_an_epoch, **said)
    ahead = 0.0 if name == "onecycle" else check_amount("warmup", options.get("warmup", 0.0))
    warm = _in_steps(ahead, steps_an_epoch)
    return schedules.warm_up(made, warm) if warm else made


def _in_steps(epochs: float, steps_an_epoch: int) -> int:
    """How many steps so many epochs have; for more than anyone trains, a number that still fits 64 bits."""
    return round(min(epochs * steps_an_epoch, 2.0**62))


def make_plateau(plan: Plan) -> Callable[[Sequence[float]], float]:
    """What the rate is multiplied by after these losses: 1 but for reduce-on-plateau."""
    name, options = parse_schedule(plan.schedule)
    if name != "plateau":
        return lambda losses: 1.0
    said: dict[str, Any] = {key: value for key, value in options.items() if key != "warmup"}
    if "patience" in said:
        patience = said["patience"]
        said["patience"] = check_count("patience", int(patience) if patience.is_integer() else patience, 0)
    schedules.plateau_scale([], **said)
    return lambda losses: schedules.plateau_scale(losses, **said)


def _check_whole(plan: Plan) -> None:
    """UsageError unless `plan` is of the full batch, without what changes from step to step."""
    plain = {
        "batch_size": (plan.batch_size, None, "full"),
        "schedule": (plan.schedule, "constant", "constant"),
        "dropout": (plan.dropout, 0.0, "0"),
        "clip_norm": (plan.clip_norm, 0.0, "0"),
        "ema": (plan.ema, 0.0, "0"),
        "early_stopping": (plan.early_stopping, None, "none"),
        "deformation": (plan.deformation and "one", None, "none (--no-augment)"),
    }
    for name, (found, expected, said) in plain.items():
        if found != expected:
            raise UsageError("not with lbfgs", where=name, expected=said, found=found, fix="choose another optimizer")
    check_amount("weight_decay", plan.weight_decay)


def check_plan(plan: Plan, *, has_dev: bool = True, hidden: int | None = None) -> None:
    """UsageError unless every figure of `plan` is within its range; it is at the name of the field.

    hidden   how many hidden layers it is for; None for as many as it says.
    """
    check_kind(plan)
    if hidden is None:
        hidden = len(plan.dropout) if isinstance(plan.dropout, tuple) else 1
    checks: dict[str, Callable[[], object]] = {
        "learning_rate": lambda: check_amount("learning_rate", plan.learning_rate, above=True),
        "epochs": lambda: check_count("epochs", plan.epochs, 0, MOST_EPOCHS),
        "report_every": lambda: check_count("report_every", plan.report_every, 1),
        "batch_size": lambda: plan.batch_size is None or check_count("batch_size", plan.batch_size, 1),
        "early_stopping": lambda: _check_early_stopping(plan, has_dev),
        "activation": lambda: check_activation(plan.activation),
        "momentum": lambda: check_share("momentum", plan.momentum),
        "label_smoothing": lambda: check_label_smoothing(plan.label_smoothing),
        "dropout": lambda: dropped(plan.dropout, hidden),
        "optimizer": lambda: _check_optimizer(plan),
        "schedule": lambda: (make_schedule(plan, 1), make_plateau(plan)),
        "deformation": lambda: plan.deformation is None or deform.check_deformation(plan.deformation),
    }
    for field, check in checks.items():
        try:
            check()
        except UsageError as error:
            raise (error if error.where else error.at(field)) from None


def _check_optimizer(plan: Plan) -> None:
    if plan.optimizer not in OPTIMIZERS:
        raise UsageError("unknown optimizer", expected=" or ".join(OPTIMIZERS), found=repr(plan.optimizer))
    if goes_by_steps(plan):
        make_optimizer(plan)
    else:
        _check_whole(plan)


def _check_early_stopping(plan: Plan, has_dev: bool) -> None:
    if plan.early_stopping is None:
        return
    check_count("early_stopping", plan.early_stopping, 1)
    if not has_dev:
        fix = "hold some out with --dev"
        raise UsageError("nothing to watch", expected="dev images", found="none", fix=fix)
