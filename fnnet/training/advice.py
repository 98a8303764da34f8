"""The line at the end of a training that went wrong: the likely cause and one option to try, judged by measured signs.

`advise` measures and judges, `explain` judges alone: it is a pure function of the signs. docs/training.md has a row for
each kind of failure, with its signs and why each limit is where it is.

>>> from fnnet import data
>>> from fnnet.training import session
>>> job = session.prepare(data.load("digits"), "classic", {"learning_rate": 1e-6, "epochs": 2})
>>> model, reports = session.train(job)
>>> advise(job, model, reports).code
'at-chance'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fnnet.core.state import EpochReport, Model
from fnnet.data.notes import Note
from fnnet.training.signs import NOTHING, Signs, signs_of, signs_of_divergence, with_start

if TYPE_CHECKING:
    from fnnet.training.plan import Plan
    from fnnet.training.session import Job

NAMES: Final[Mapping[str, str]] = {
    "unscaled": "unscaled inputs",
    "dead-units": "dead units",
    "saturated": "saturated units",
    "diverged": "diverged",
    "at-chance": "at chance",
    "still-falling": "still falling",
    "overfitted": "overfitted",
}
"""Code of a failure -> how its line begins. Of several the first is named, as it is the cause of those behind it."""
LARGE, SMALL = 10.0, 0.02
"""Root mean squares of inputs beyond which they are not scaled; those of standardised ones are 1, of MNIST 0.33."""
FINE: Final = 0.8
"""Learnt: whatever the inputs and the units are, the network gets on with them."""
FITTED: Final = 0.95
"""Learnt: what is still falling has nowhere to fall to."""
WORSE: Final = -0.2
"""Learnt: the loss is above that of chance by a fifth, which no network comes to by steps that lower it."""
RISE: Final = 0.25
"""Of the loss of chance, that the training loss has risen since it was smallest."""
MANY: Final = 0.5
"""The share of a layer's units, dead or saturated, from which on there is a line."""
SQUASHING: Final = ("sigmoid", "tanh")
"""Activations whose units are saturated where they are 0."""
SLIPS: Final = 3.0
"""Standard deviations that the gap between two accuracies is allowed by luck."""
LOST: Final = 0.02
"""Variation of the last hidden layer below which it says the same of every image."""
SHRUNK: Final = 0.1
"""Of the size of the weights at the start, that decay has left."""
SHORT: Final = 0.1
"""Of their size at the start, that the weights of no layer have come from there: the steps were too short, or few."""
FEW: Final = 100
"""Steps: after fewer a network can be at chance whatever its images are."""
CLIPPED: Final = 10.0
"""Times that the first gradient is longer than what `clip_norm` leaves of it."""
MUCH_DROPPED: Final = 0.8
"""Dropout from which on so few units take part in a step that what is wrong with them is its doing."""
OTHERS: Final = "look at some images beside their labels: these may belong to others"
LATE: Final = 0.12
"""Late fall: half of that of a loss that falls in a straight line."""
APART: Final = 3.0
"""Times that a rate that suits the start differs from that of the plan, for it to be the cause."""
DEV_RISE: Final = 0.05
"""Of the loss of chance, that the dev loss has risen since it was smallest."""
GAP, WIDE_GAP = 0.05, 0.1
"""Of the accuracy on training images above that on dev images: with a dev loss that has risen, and without."""
PATIENCE: Final = 10
"""Reports of `early_stopping`, at most, that are advised."""


class Advice(NamedTuple):
    """What went wrong in a training, and one thing to try.

    code     one of NAMES.
    cause    what was measured, and what is likely behind it.
    option   the setting of `session.prepare` to try, which is also the option of `train`; "" if there is none.
    value    of the option; without one, what to do.
    """

    code: str
    cause: str
    option: str
    value: Any

    @property
    def remedy(self) -> str:
        """What to try, a clause: options are in backquotes."""
        return f"try `{self.option}` {_typed(self.value)}" if self.option else str(self.value)

    @property
    def note(self) -> Note:
        """The line, with its code."""
        return Note(self.code, f"{NAMES[self.code]}: {self.cause}; {self.remedy}")


def advise(job: Job, model: Model, history: Sequence[EpochReport]) -> Advice | None:
    """Return what went wrong in a training that has ended with `model`; None of a healthy one.

    model     of one network.
    history   the reports.
    """
    signs = signs_of(job, model, history)
    found = explain(signs) if signs else None
    if signs is None or found is None or found.code == "overfitted":
        return found
    return explain(with_start(job, signs, model.params))  # type: ignore[arg-type]


def advise_diverged(job: Job, history: Sequence[EpochReport]) -> Advice | None:
    """Return what went wrong in a training that diverged after the reports `history`; None if no cause shows."""
    signs = signs_of_divergence(job, history)
    return explain(signs) if signs else None


def together(found: Sequence[tuple[str, Advice | None]], noun: str) -> list[Note]:
    """Return a line for each code that networks of one command have, with the names of these.

    found   the name of each network, and what went wrong in it.
    noun    what names stand for: `member`, `seed`.
    """
    codes = {each.code: each for _, each in reversed(found) if each}
    lines = []
    for code in NAMES:
        if code in codes:
            names = [name for name, each in found if each and each.code == code]
            which = f"{noun if len(names) == 1 else noun + 's'} {', '.join(names[:8])}{', ...' if names[8:] else ''}"
            lines.append(Note(code, f"{which}: {codes[code].note}"))
    return lines


def explain(signs: Signs) -> Advice | None:
    """Return what signs say of a training; None if it is healthy.

    What is wrong does not depend on the start, only what to do: it may be measured afterwards. Of a network at chance
    after few steps it shows whether anything is.
    """
    for judge in _JUDGES:
        if found := judge(signs):
            return found
    return None


def _unscaled(signs: Signs) -> Advice | None:
    size = signs.input_size
    if SMALL <= size <= LARGE or not (signs.diverged or signs.learnt < FINE):
        return None
    wanted = f"{SMALL:g} to {LARGE:g} is usual"
    cause = f"the inputs are {size:.2g} in size (root mean square; {wanted})"
    if size < SMALL and signs.brightest is not None and signs.brightest < 255:
        cause = f"{cause}: no pixel is above {signs.brightest} of 255"
        return Advice("unscaled", cause, "pixel_max", max(signs.brightest, 1))
    remedy = "standardise them: subtract from each column its mean, and divide by its standard deviation"
    return Advice("unscaled", cause, "", remedy)


def _diverged(signs: Signs) -> Advice | None:
    risen = signs.train_loss - signs.least_train_loss > RISE * signs.chance_loss
    if signs.diverged:
        return _too_long(signs, "diverged", "")
    worse = signs.learnt < WORSE and signs.loss > (signs.start_loss or 0.0)
    if not (worse or risen):
        return None
    if risen:
        cause = f"the training loss rose from {signs.least_train_loss:.3g} to {signs.train_loss:.3g}"
    else:
        cause = f"the loss ended at {signs.loss:.3g}, above that of chance, {signs.chance_loss:.3g}"
    return _too_long(signs, "diverged", f"{cause}: ")


def _too_long(signs: Signs, code: str, before: str) -> Advice:
    """Return the advice about steps that are too long."""
    start, plan = signs.start, signs.plan
    if not plan.is_stepwise:
        return Advice(code, f"{before}L-BFGS went astray", "optimizer", "adam")
    if start and start.decay > 1:
        cause = f"{before}weight decay alone changes the weights by {start.decay:.2g} times their size in a step"
        return Advice(code, cause, "weight_decay", _round(plan.weight_decay * 1e-3 / start.decay))
    cause = f"{before}a rate of {plan.learning_rate:g} is too high"
    if start:
        length = f"{start.update:.2g} times the size of the weights"
        cause = f"{before}the first update, at rate {plan.learning_rate:g}, is {length}"
        cause += f", and a rate of {_round(start.rate):g} suits the start" if start.rate and _is_too_high(signs) else ""
    return Advice(code, cause, "learning_rate", _lower(signs))


def _lower(signs: Signs) -> float:
    """Return a lower learning rate: one that suits the start, a third of the plan's at most."""
    rate = signs.plan.learning_rate
    found = signs.start and signs.start.rate
    return _round(min(found, rate / APART) if found else rate / 10)


def _is_too_high(signs: Signs) -> bool:
    """True if a rate that suits the start is much below that of the plan."""
    found = signs.start and signs.start.rate
    return bool(found and found * APART <= signs.plan.learning_rate)


def _dead(signs: Signs) -> Advice | None:
    if max(signs.dead, default=0.0) < MANY or signs.learnt >= FINE or signs.plan.activation in SQUASHING:
        return None
    layer = signs.dead.index(max(signs.dead))
    cause = f"{signs.dead[layer]:.0%} of hidden layer {layer + 1} are 0 for every training image and learn no more"
    if _most_dropped(signs.plan) >= MUCH_DROPPED:
        return _too_sparse(signs, "dead-units", f"{cause}: ")
    if _is_too_high(signs):
        return _too_long(signs, "dead-units", f"{cause}: ")
    return Advice("dead-units", cause, "activation", "leaky_relu")


def _most_dropped(plan: Plan) -> float:
    """Return the largest dropout of a hidden layer."""
    return max(plan.dropout, default=0.0) if isinstance(plan.dropout, tuple) else plan.dropout


def _too_sparse(signs: Signs, code: str, before: str) -> Advice:
    """Return the advice about a dropout that leaves too few units."""
    dropout = _most_dropped(signs.plan)
    return Advice(
        code, f"{before}a dropout of {dropout:g} leaves {1 - dropout:.0%} of the units in a step", "dropout", 0.2
    )


def _saturated(signs: Signs) -> Advice | None:
    if max(signs.saturated, default=0.0) < MANY or signs.learnt >= FINE:
        return None
    layer = signs.saturated.index(max(signs.saturated))
    cause = f"{signs.saturated[layer]:.0%} of hidden layer {layer + 1} are flat for nearly every training image"
    if _is_too_high(signs):
        return _too_long(signs, "saturated", f"{cause}: ")
    return Advice("saturated", cause, "activation", "relu")


def _at_chance(signs: Signs) -> Advice | None:
    if signs.gained is None or signs.gained >= NOTHING:
        return None
    cause = f"loss {signs.loss:.4g} on training images, {signs.chance_loss:.4g} by the shares of the classes alone"
    return _why_at_chance(signs, f"{cause}: ")


def _why_at_chance(signs: Signs, before: str) -> Advice | None:
    start, plan, hidden = signs.start, signs.plan, signs.sizes[1:-1]
    code = "at-chance"
    if start and plan.weight_decay and start.kept < SHRUNK:
        cause = f"{before}weight decay left {start.kept:.2g} of the size of the weights"
        return Advice(code, cause, "weight_decay", _round(plan.weight_decay / 100))
    if start and plan.clip_norm and start.grad_norm > CLIPPED * plan.clip_norm:
        cause = f"{before}gradients, {start.grad_norm:.2g} long at the start, are cut to {plan.clip_norm:g}"
        return Advice(code, cause, "clip_norm", _round(start.grad_norm))
    if start and max(start.moved, default=1.0) < SHORT:
        return _too_short(signs, code, f"{before}no layer's weights moved by more than {max(start.moved):.2g} of")
    if signs.variation is not None and signs.variation < LOST:
        cause = f"{before}the last hidden layer's outputs vary by {signs.variation:.2g} of their size between images"
        if plan.activation != "relu":
            return Advice(code, cause, "activation", "relu")
        return Advice(code, cause, "hidden", hidden[: max(1, len(hidden) // 2)])
    if _most_dropped(plan) >= MUCH_DROPPED:
        return _too_sparse(signs, code, before)
    if _is_too_high(signs):
        return _too_long(signs, code, before)
    if start and signs.steps < FEW:
        return None  # too few to say that there is nothing to find, and none of what is measured went wrong
    if not hidden:
        return Advice(code, f"{before}without a hidden layer classes must lie apart by flat cuts", "hidden", (32,))
    cause = f"{before}the weights moved, and found nothing that tells the classes apart"
    return Advice(code, cause, "", OTHERS)


def _too_short(signs: Signs, code: str, cause: str) -> Advice:
    """Return the advice about steps that are too short, else too few."""
    start, plan = signs.start, signs.plan
    assert start
    cause = f"{cause} their size in {signs.steps:,} steps"
    if start.rate and start.rate >= APART * plan.learning_rate:
        return Advice(code, cause, "learning_rate", _round(start.rate))
    return Advice(code, cause, "epochs", 10 * signs.epochs)


def _still_falling(signs: Signs) -> Advice | None:
    late, plan = signs.late_fall, signs.plan
    if late is None or late < LATE or signs.learnt >= FITTED or signs.epochs < plan.epochs:
        return None
    if signs.gained is not None and signs.gained < NOTHING:  # of a fall that is nothing, shares are noise
        return None
    cause = f"{late:.0%} of all that the loss fell came in the last quarter of the run"
    start = signs.start
    if start and start.rate and start.rate >= APART * plan.learning_rate:
        cause = f"{cause}: the first update, at rate {plan.learning_rate:g}, is {start.update:.2g} times the weights"
        return Advice("still-falling", cause, "learning_rate", _round(start.rate))
    return Advice("still-falling", cause, "epochs", 3 * plan.epochs)


def _overfitted(signs: Signs) -> Advice | None:
    if signs.dev_accuracy is None or signs.dev_loss is None or signs.least_dev_loss is None:
        return None
    gap = signs.accuracy - signs.dev_accuracy
    luck = SLIPS * math.hypot(_spread(signs.accuracy, signs.rows), _spread(signs.dev_accuracy, signs.dev_images))
    rise = signs.dev_loss - signs.least_dev_loss
    has_risen = rise > DEV_RISE * signs.chance_loss and gap > GAP + luck
    if not (has_risen or gap > WIDE_GAP + luck):
        return None
    cause = f"accuracy {signs.accuracy:.1%} on training images, {signs.dev_accuracy:.1%} on dev images"
    if signs.chance_loss - signs.least_dev_loss < NOTHING * (signs.chance_loss - signs.floor_loss):
        return Advice("overfitted", f"{cause}, whose loss was never below that of chance", "", OTHERS)
    if has_risen and signs.plan.early_stopping is None:
        cause = f"{cause}, whose loss rose from {signs.least_dev_loss:.3g} to {signs.dev_loss:.3g}"
        reports = signs.plan.epochs // signs.plan.report_every
        return Advice("overfitted", cause, "early_stopping", max(2, min(PATIENCE, reports // 10)))
    return Advice("overfitted", cause, *_against_overfitting(signs))


def _spread(accuracy: float, images: int) -> float:
    """Return the standard deviation of an accuracy on images that are drawn by chance."""
    return math.sqrt(accuracy * (1 - accuracy) / max(images, 1))


def _against_overfitting(signs: Signs) -> tuple[str, Any]:
    """Return the first of what helps against overfitting that is not in use, with its value."""
    plan, hidden = signs.plan, signs.sizes[1:-1]
    if plan.deformation is None and min(signs.image_shape) >= SMALLEST_PICTURE and plan.is_stepwise:
        return "deformation", {}
    if hidden and not plan.dropout and plan.is_stepwise:
        return "dropout", 0.3
    if plan.weight_decay and hidden:
        return "hidden", tuple(max(1, units // 2) for units in hidden)
    return "weight_decay", _round(10 * plan.weight_decay) or 1e-3


SMALLEST_PICTURE: Final = 8
"""Pixels a side from which on images are deformed: what has one row is a table."""
_JUDGES: Final[tuple[Callable[[Signs], Advice | None], ...]] = (
    _unscaled, _dead, _saturated, _diverged, _at_chance, _still_falling, _overfitted,
)  # fmt: skip
"""In the order of NAMES."""


def _round(value: float) -> float:
    """Return a number with one digit that is not 0."""
    return float(f"{value:.0e}")


def _typed(value: Any) -> str:
    """Return a value as it is typed behind its option."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "''"
    return f"{value:g}" if isinstance(value, float) else str(value)
