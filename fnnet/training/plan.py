"""How to train: one tuple of plain values, which recipes, the command line and checkpoints share."""

from __future__ import annotations

import itertools
import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core import deform, public_optimizers
from fnnet.core.check_network import check_initialiser, check_sizes
from fnnet.core.checks import check_amount, check_count, check_label_smoothing, check_share
from fnnet.core.dropout import dropped
from fnnet.core.optimizers import Optimizer
from fnnet.core.schedules import Schedule, check_cycles, follows_length, make_plateau, make_schedule, parse_schedule
from fnnet.core.shards import Ranks, check_message_bits
from fnnet.core.state import Objective
from fnnet.data.notes import Note
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.limits import MOST_LOCAL_STEPS, MOST_MEMBERS, MOST_SHARDS, MOST_WINDOW
from fnnet.names import ACTIVATIONS, OPTIMIZERS, STEPPING
from fnnet.training.recipes import Recipe

MOST_EPOCHS: Final = 10**9
"""With as many steps in each, the steps still fit 64-bit integers."""


class Plan(NamedTuple):
    """How to train.

    batch_size      images in a step; None for all of them.
    learning_rate   the highest; `schedule` lowers it: NAME or NAME:OPTION=NUMBER,... as in `step:every=5`.
    report_every    epochs between reports.
    momentum        coefficient of the optimizers momentum and nesterov.
    weight_decay    coupled; decoupled for adamw and lion.
    clip_norm       largest norm of the gradient; 0 for no limit.
    ema             decay of the moving average of the weights, which then predicts; 0 for none.
    dropout         fraction of hidden units dropped, one number or one for each layer.
    early_stopping  reports without a better dev loss after which training ends and the best weights are returned.
    deformation     of the images, drawn again in each epoch; None for none.
    shards          parts of a batch whose gradients are summed in a fixed tree: see `core.shards`.
    message_bits    of each number of these gradients and sums, 32 or 16.
    local_steps     that each shard makes by itself, in the second half of the epochs, before all take their mean; 1 for
                    none: see `local_steps`.
    cycles          epochs after which what depends on their number starts again, the schedule or a deformation that
                    fades; a run that was resumed for more epochs has them.
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
    cycles: tuple[int, ...] = ()
    shards: int = 1
    window: int | None = None
    message_bits: int = 32
    local_steps: int = 1

    @property
    def objective(self) -> Objective:
        """The part of the plan that a single step minimises."""
        return Objective(self.activation, self.dropout, self.label_smoothing, self.shards, self.message_bits)

    @property
    def is_stepwise(self) -> bool:
        """True if the optimizer updates the weights batch by batch; L-BFGS reads all images for each update."""
        return self.optimizer in STEPPING

    @property
    def follows_length(self) -> bool:
        """True if an epoch depends on how many there are: by the schedule, a deformation that fades or local steps."""
        fades = bool(self.deformation and self.deformation.fade)
        return follows_length(self.schedule) or fades or self.local_steps > 1

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The epochs after which each cycle begins and ends: from 0 to all of them, without `cycles`."""
        return tuple(itertools.pairwise((0, *self.cycles, self.epochs)))

    @property
    def kernel_parts(self) -> tuple[str, ...]:
        """The parts of the compiled kernels that this training uses: see `fnnet.load_kernels`."""
        if not self.is_stepwise:
            return ("infer", "operations")
        used = {"clip": self.clip_norm or self.shards > 1, "augment": self.deformation}
        return "train", *(part for part, is_used in used.items() if is_used)


WITH_MOMENTUM: Final = ("momentum", "nesterov")
USED_BY_LBFGS: Final = ("epochs", "activation", "report_every", "optimizer", "weight_decay", "label_smoothing")
IGNORED_BY_LBFGS: Final = ("learning_rate", "momentum")
"""Fields that every plan sets. All others must be at their default: L-BFGS has no use for them."""


def check_kind(plan: Any) -> Plan:
    """Return `plan` if it is a Plan, else raise ArgumentTypeError."""
    if not isinstance(plan, Plan):
        raise ArgumentTypeError("plan", expected="a Plan", found=type(plan).__name__)
    return plan


def make_optimizer(plan: Plan) -> Optimizer:
    """Make the optimizer of a plan."""
    check_kind(plan)
    figures = {"weight_decay": plan.weight_decay, "clip_norm": plan.clip_norm, "ema": plan.ema}
    return public_optimizers.make(plan.optimizer, momentum_beta=plan.momentum, **figures)


def schedule_of(plan: Plan, steps_per_epoch: int) -> Schedule:
    """Make the schedule of a plan: the learning rate by step."""
    cycles = _for_schedule(plan).cycles
    return make_schedule(plan.schedule, plan.learning_rate, plan.epochs, steps_per_epoch, cycles)


def _for_schedule(plan: Plan) -> Plan:
    """Return a plan without the cycles that are those of its deformation alone."""
    return plan if follows_length(plan.schedule) else plan._replace(cycles=())


def deformation_in(plan: Plan, epoch: int) -> deform.Deformation | None:
    """Return the deformation of the images in epoch `epoch`, counted from 1; None if there is none."""
    begin, end = max(span for span in plan.spans if span[0] < epoch)
    return plan.deformation and deform.faded(plan.deformation, epoch - begin, end - begin)


def check_plan(plan: Plan, *, has_dev: bool = True, hidden: int | None = None) -> None:
    """Raise UsageError, at the name of the field, unless every field of `plan` is within its range.

    has_dev  whether there are dev images.
    hidden   the number of hidden layers; None for as many as the plan names.
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
        "activation": lambda: _check_activation(plan.activation),
        "momentum": lambda: check_share("momentum", plan.momentum),
        "label_smoothing": lambda: check_label_smoothing(plan.label_smoothing),
        "shards": lambda: check_count("shards", plan.shards, 1, MOST_SHARDS),
        "dropout": lambda: dropped(plan.dropout, hidden),
        "weight_decay": lambda: check_amount("weight_decay", plan.weight_decay),
        "clip_norm": lambda: check_amount("clip_norm", plan.clip_norm),
        "ema": lambda: check_share("ema", plan.ema),
        "optimizer": lambda: _check_optimizer(plan),
        "message_bits": lambda: check_message_bits(plan.message_bits, plan.shards),
        "local_steps": lambda: _check_local_steps(plan),
        "schedule": lambda: (
            make_schedule(plan.schedule, plan.learning_rate, plan.epochs, 1),
            make_plateau(plan.schedule),
        ),
        "deformation": lambda: plan.deformation is None or deform.check_deformation(plan.deformation),
        "cycles": lambda: _check_cycles(plan),
        "window": lambda: plan.window is None or check_count("window", plan.window, 1, MOST_WINDOW),
    }
    _run(checks)


def check_streamed(plan: Plan) -> None:
    """Raise UsageError, at its field, for a plan that needs all images at once, which a stream does not have."""
    if not plan.is_stepwise:
        expected, fix = " or ".join(STEPPING), "train on a data set that fits in memory"
        raise UsageError(
            "reads all images at once", where="optimizer", expected=expected, found=plan.optimizer, fix=fix
        )
    if plan.batch_size is None:
        expected = "a number of images for a stream"
        raise UsageError("reads all images at once", where="batch_size", expected=expected, found="full")


def _check_local_steps(plan: Plan) -> None:
    """Raise UsageError unless each shard has as many images of a batch for its own steps."""
    check_count("local_steps", plan.local_steps, 1, MOST_LOCAL_STEPS)
    if plan.local_steps == 1:
        return
    if plan.shards == 1:
        expected, fix = "2 shards or more", "set `shards`, 8 say"
        raise UsageError("local steps are those of shards", expected=expected, found=plan.shards, fix=fix)
    if plan.batch_size is None or plan.batch_size % plan.shards:
        expected = f"a multiple of {plan.shards}, so that each shard has its own steps"
        found = "full" if plan.batch_size is None else plan.batch_size
        raise UsageError("is not cut evenly", where="batch_size", expected=expected, found=found)
    if plan.message_bits != 32:
        expected, found = "32 for local steps, whose messages are weights", plan.message_bits
        raise UsageError("cannot be combined with `local_steps`", where="message_bits", expected=expected, found=found)


def _check_cycles(plan: Plan) -> None:
    known = check_cycles(plan.cycles, plan.epochs)
    if known and not plan.follows_length:
        expected = "a schedule that depends on the number of epochs, a deformation that fades, or local steps"
        raise UsageError("cycles have no effect", expected=expected, found=repr(plan.schedule))


def check_recipe(recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Raise UsageError, at the name of the field, unless the fields that are a recipe's own are within their ranges.

    settings   what was given in place of the recipe's: a correlation without elastic bending changes nothing.
    """
    check_figures(recipe.plan.get("deformation"), settings.get("deformation"))
    checks: dict[str, Callable[[], object]] = {
        "dev": lambda: check_count("dev", recipe.dev, 0),
        "train_images": lambda: recipe.train_images is None or check_count("train_images", recipe.train_images, 1),
        "min_steps": lambda: check_count("min_steps", recipe.min_steps, 0),
        "reports": lambda: recipe.reports is None or check_count("reports", recipe.reports, 1),
        "initialiser": lambda: check_initialiser(recipe.initialiser),
        "members": lambda: check_count("members", recipe.members, 1, MOST_MEMBERS),
    }
    _run(checks)


def check_figures(figures: Any, given: Any) -> None:
    """Raise UsageError, at `deformation`, for a deformation that changes nothing, or figures in it that do not.

    figures   the deformation, as a Deformation or a mapping.
    given     what was given in place of a recipe's; None if nothing was.
    """
    known = figures._asdict() if isinstance(figures, deform.Deformation) else figures
    if not isinstance(known, Mapping):
        return
    if isinstance(given, Mapping) and given.get("correlation") and not known.get("elastic"):
        raise UsageError("correlation has no effect", where="deformation", expected="elastic above 0")
    if not any(known.get(name) for name in deform.FADING):
        fix = "leave the deformation out"
        raise UsageError("has no effect", where="deformation", expected="a figure above 0", found="0 for all", fix=fix)


def check_effects(recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Raise UsageError for a setting that would change nothing."""
    optimizer = recipe.plan.get("optimizer", Plan._field_defaults["optimizer"])
    needs = {
        "momentum": (optimizer in WITH_MOMENTUM, f"with `optimizer` {optimizer}", " or ".join(WITH_MOMENTUM)),
        "learning_rate": (optimizer in STEPPING, f"with `optimizer` {optimizer}", " or ".join(STEPPING)),
        "dropout": (bool(recipe.hidden), "without hidden layers", "hidden layers"),
        "activation": (bool(recipe.hidden), "without hidden layers", "hidden layers"),
    }
    for name, (fulfilled, reason, expected) in needs.items():
        if settings.get(name) and not fulfilled:
            raise UsageError(f"has no effect {reason}", where=name, expected=expected)


def check_parts(recipe: Recipe) -> Recipe:
    """Return a recipe with plain values, else UsageError unless it has a name and the fields that every plan needs."""
    recipe = Recipe(*map(plain_values, recipe))
    if not isinstance(recipe.name, str):
        raise ArgumentTypeError("name of the recipe", where="recipe", expected="a text", found=repr(recipe.name))
    if not isinstance(recipe.plan, Mapping):
        raise ArgumentTypeError("plan", where="recipe", expected="a mapping", found=type(recipe.plan).__name__)
    for name in ("epochs", "batch_size", "learning_rate"):
        if name not in recipe.plan:
            found = ", ".join(map(str, recipe.plan)) or "none"
            raise UsageError("plan without a field", where="recipe", expected=name, found=found)
    for name in recipe.plan:
        if name not in Plan._fields:
            raise UsageError("plan with an unknown field", where="recipe", expected="a field of Plan", found=repr(name))
    return recipe


def check_run_dir(run_dir: str | os.PathLike[str] | None, resume: bool, optimizer: str) -> None:
    """Raise UsageError if a training with this optimizer cannot be kept in, or resumed from, `run_dir`."""
    if not (run_dir is None or isinstance(run_dir, (str, os.PathLike))):
        raise ArgumentTypeError("run_dir", expected="the path of a folder", found=repr(run_dir))
    if resume and not run_dir:
        raise UsageError("`resume` needs the folder of the run", expected="`run_dir`", found="none")
    if run_dir and optimizer not in STEPPING:
        expected = f"`optimizer` {' or '.join(STEPPING)}"
        raise UsageError("`run_dir` keeps steps, which lbfgs does not make", expected=expected, found=optimizer)


def check_ranks(plan: Plan, ranks: Ranks) -> None:
    """Raise UsageError, at its field, unless ranks can train by a plan: each needs a shard of the batches of its own.

    The gradient of a plan with the default of one shard would be another sum if it were cut up.
    """
    if ranks.size == 1:
        return
    if not plan.is_stepwise:
        expected = f"{' or '.join(STEPPING)} for {ranks.size} ranks"
        raise UsageError("is not trained by several ranks", where="optimizer", expected=expected, found=plan.optimizer)
    if plan.shards < ranks.size:
        expected = f"at least {ranks.size}, one for each rank"
        fix = f"set {max(8, ranks.size)}, here and wherever the same bits are wanted"
        raise UsageError("fewer shards than ranks", where="shards", expected=expected, found=plan.shards, fix=fix)


def _run(checks: Mapping[str, Callable[[], object]]) -> None:
    """Run the check of each field; an error that does not say where it is, is at the name of the field."""
    for field, check in checks.items():
        try:
            check()
        except UsageError as error:
            raise (error if error.where else error.at(field)) from None


def check_hidden(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the sizes of the layers; UsageError, at `hidden`, for those of hidden layers that do not fit."""
    try:
        return check_sizes(sizes)
    except UsageError as error:
        raise error.at("hidden") from None


def _check_activation(activation: Any) -> None:
    """Raise UsageError unless a file can store the activation: its name."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UsageError("unknown activation", expected=" or ".join(ACTIVATIONS), found=repr(activation))


def _check_optimizer(plan: Plan) -> None:
    if plan.optimizer not in OPTIMIZERS:
        raise UsageError("unknown optimizer", expected=" or ".join(OPTIMIZERS), found=repr(plan.optimizer))
    if plan.is_stepwise:
        make_optimizer(plan)
        return
    for field, found in plan._asdict().items():
        neutral = Plan._field_defaults.get(field)
        if field not in (*USED_BY_LBFGS, *IGNORED_BY_LBFGS) and found != neutral:
            expected = "full" if field == "batch_size" else "none" if neutral is None else neutral
            fix = "choose another optimizer"
            raise UsageError(f"not with {plan.optimizer}", where=field, expected=expected, found=found, fix=fix)
    from fnnet.training.lbfgs import minimizer

    minimizer()  # now: an error before the work, and no part of the first iteration's time


def _check_early_stopping(plan: Plan, has_dev: bool) -> None:
    if plan.early_stopping is None:
        return
    check_count("early_stopping", plan.early_stopping, 1)
    if not has_dev:
        fix = "hold some out with `dev`"
        raise UsageError("no dev images for early stopping", expected="dev images", found="none", fix=fix)


def note_of_schedule(plan: Plan) -> Note | None:
    """Return the note that a plan ends before its schedule leaves the warm-up, or None."""
    name, options = parse_schedule(plan.schedule)
    warm = 0.0 if name == "onecycle" else options.get("warmup", 0.0)
    longest = max(end - begin for begin, end in _for_schedule(plan).spans)
    if not 0 < longest <= warm:
        return None
    rate = plan.learning_rate * longest / warm
    text = f"schedule {name}: its warm-up of {warm:g} epochs takes up the whole run of {longest:,}"
    return Note("warm-up", f"{text}; the learning rate rises to {rate:.2g} of {plan.learning_rate:g}")


def plain_values(value: Any) -> Any:
    """Return settings with Python's own numbers and texts, which can be stored, in place of NumPy's and others."""
    if isinstance(value, Mapping):
        return {name: plain_values(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return tuple(map(plain_values, value))
    if isinstance(value, deform.Deformation):
        return deform.Deformation(*map(plain_values, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim <= 1:
        return plain_values(value.tolist())
    if type(value) not in (bool, int, float) and isinstance(value, numbers.Real):
        return float(value)
    if getattr(value, "shape", None) == () and np.asarray(value).dtype.kind in "fiub":  # of other libraries
        return np.asarray(value).item()
    return value
