"""Going on with a run beyond what it was begun for: more epochs, or more patience before early stopping.

A run that is resumed for more epochs ends with the bits of a run of that many from its start, if its schedule does not
depend on their number. Otherwise the added epochs are a new cycle of the schedule, as `Plan.cycles` has it: the rate
starts again, and so does a warm-up; the optimizer's moments, the average of the weights, the order of the images and
the best weights so far go on. A run resumed with more patience ends as one that had it from its start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from fnnet.core.schedules import follows_length, parse_schedule
from fnnet.core.state import Preprocessing, Training, frozen
from fnnet.data.notes import Note
from fnnet.errors import UsageError, counted
from fnnet.files.checkpoints import Checkpoint, checkpoint_of, training_of
from fnnet.files.runs import Terms
from fnnet.training.config import plan_config
from fnnet.training.plan import Plan
from fnnet.training.reports import stops_early, without_extra_report

FOLLOWING: Final = ("cycles", "report_every")
"""Fields that a run keeps unless others are given: they follow from the epochs that it was begun for."""
OTHERWISE: Final = "or train into another folder"


def terms(plan: Plan, given: Collection[str]) -> Terms:
    """Return what a run may have otherwise than a plan, of which the fields `given` were asked for."""
    return Terms(partial(_changeable, plan, given), partial(_adapt, plan, given))


def plan_of(plan: Plan, config: Mapping[str, Any]) -> Plan:
    """Return a plan with what it takes over from the config of its run."""
    fields = ("epochs", *FOLLOWING)
    return plan._replace(**{name: config["plan"].get(name, Plan._field_defaults.get(name)) for name in fields})


def _changeable(plan: Plan, given: Collection[str], config: Mapping[str, Any]) -> list[str]:
    stored = config.get("plan", {})
    names = [name for name in FOLLOWING if name not in given]
    if "epochs" in given and "cycles" not in given and type(stored.get("epochs")) is int:
        names.append("epochs")
    patience = stored.get("early_stopping")
    if plan.early_stopping and type(patience) is int and plan.early_stopping > patience:
        names.append("early_stopping")
    data = config.get("data", {})
    read = () if "preprocessing" in data else Preprocessing._fields  # of a run that did not keep it
    return [*(f"plan.{name}" for name in names), *(f"data.preprocessing.{name}" for name in read)]


def _adapt(plan: Plan, given: Collection[str], found: Checkpoint, config: Mapping[str, Any]) -> tuple[Checkpoint, str]:
    wanted, notice = plan.epochs, ""
    kept = plan_of(plan, found.config)
    plan = kept._replace(**{name: getattr(plan, name) for name in FOLLOWING if name in given})
    if wanted != plan.epochs:
        training = training_of(found)
        cycles = _cycles(plan, wanted, training)
        notice = _notice(plan, wanted, cycles)
        plan = plan._replace(epochs=wanted, cycles=cycles)
        going_on = training if training.epoch == wanted else without_extra_report(training, plan)
        if wanted > training.epoch and stops_early(going_on, plan):
            problem = f"ended by early stopping after epoch {training.epoch}: more `epochs` would change nothing"
            expected, patience = "`early_stopping` of more reports", plan.early_stopping
            raise UsageError(problem, expected=expected, found=patience, fix=f"give it, {OTHERWISE}")
        found = checkpoint_of(going_on)
    return found._replace(config=frozen({**config, "plan": plan_config(plan)})), notice


def _cycles(plan: Plan, wanted: int, training: Training) -> tuple[int, ...]:
    """Return the cycles of a run of `wanted` epochs that goes on from `training`, begun for those of `plan`.

    A cycle that has begun keeps its length; one that has not is replaced.
    Raises   UsageError if it has made more epochs, or the cycle that it is in has more.
    """
    begun = training.epoch + (training.images > 0)
    least, problem = begun, "fewer `epochs` than the run has made"
    ends: list[int] = []
    if plan.follows_length:
        ends = [end for begin, end in plan.spans if begin < begun]
        if ends and ends[-1] > least:
            least, problem = ends[-1], f"fewer `epochs` than the {_following(plan)} was begun for"
    if wanted < least:
        expected, fix = f"{least} or more", f"resume with `epochs` {least}, {OTHERWISE}"
        raise UsageError(problem, expected=expected, found=wanted, fix=fix)
    return tuple(end for end in ends if end < wanted)


def _notice(plan: Plan, wanted: int, cycles: tuple[int, ...]) -> Note:
    text = f"resumed for {counted(wanted, 'epoch')} in place of {plan.epochs:,}"
    if cycles and cycles != plan.cycles:
        added = counted(wanted - cycles[-1], "epoch")
        text += f"; {_following(plan)} begins a new cycle of {added} after epoch {cycles[-1]:,}"
    return Note("more-epochs", text)


def _following(plan: Plan) -> str:
    """Return what depends on the number of epochs: the schedule, else the deformation that fades, else local steps."""
    if follows_length(plan.schedule):
        return f"schedule {parse_schedule(plan.schedule)[0]}"
    return "fading deformation" if plan.deformation and plan.deformation.fade else "course of local steps"
