"""Learning-rate schedules: pure functions of the step, and the text that describes them.

A schedule takes steps, counted from 0, as an integer or an integer array of any shape, and returns float64 rates of
the same shape. A schedule with a number of steps keeps its last value beyond them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from fnnet.core.checks import MOST, as_array, calm, check_amount, check_count, check_numbers, check_share
from fnnet.core.params import Array
from fnnet.errors import ArgumentTypeError, UsageError
from fnnet.limits import decimal_number

Schedule = Callable[[Any], Any]
"""steps, integers >= 0 -> learning rates, float64. UsageError for other steps."""


def constant(rate: float) -> Schedule:
    """Make the schedule that is `rate` at every step.

    Raises   UsageError unless `rate` is finite and above 0, as do all functions here.
    """
    rate = _rate(rate)
    return calm(lambda steps: np.full(_steps(steps).shape, rate)[()])


def step(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """Make the schedule rate * factor**floor(s / every) at step s: a drop by `factor` every `every` steps.

    Raises   UsageError unless every >= 1 and 0 < factor <= 1.
    """
    rate, every, factor = _rate(rate), check_count("every", every, 1), _factor(factor)
    return calm(lambda steps: rate * factor ** (_steps(steps) // every))


def exponential(rate: float, factor: float, every: int) -> Schedule:
    """Make the schedule rate * factor**(s / every) at step s: a steady fall, by `factor` in every `every` steps.

    Raises   UsageError unless every >= 1 and 0 < factor <= 1.
    """
    rate, every, factor = _rate(rate), check_count("every", every, 1), _factor(factor)
    return calm(lambda steps: rate * factor ** (_steps(steps) / every))


def cosine(peak: float, steps: int, final: float = 0.0) -> Schedule:
    """Make the schedule along half a cosine from `peak` at step 0 to `final * peak` at step `steps`, after the last.

    Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts: beyond the last step PyTorch's rises again.
    Raises   UsageError unless steps >= 1 and 0 <= final < 1.
    """
    peak, last, final = _rate(peak), check_count("steps", steps, 1), check_share("final", final)
    return calm(lambda steps: _ease(peak, peak * final, np.minimum(_steps(steps), last) / last))


def one_cycle(
    peak: float, steps: int, warmup: float = 0.3, start_factor: float = 25.0, final_factor: float = 1e4
) -> Schedule:
    """Make the schedule that rises and falls along half cosines, step s = 0 to steps - 1, with t = warmup * steps - 1.

    It goes from peak / start_factor at s = 0 to `peak` at s = t, then to peak / start_factor / final_factor at
    s = steps - 1. Smith and Topin 2018, arXiv:1708.07120, with the phases of PyTorch's OneCycleLR, also where t < 0
    leaves no step to rise. Where t = 0 the first step has the peak. Beyond the last step the rate stays; PyTorch
    allows one step more, with a rate that jumps. optax's cosine_onecycle_schedule is a step longer.
    Raises   UsageError unless steps >= 1, 0 <= warmup < 1 and both factors are >= 1.
    """
    peak, warmup = _rate(peak), check_share("warmup", warmup)
    top, last = warmup * check_count("steps", steps, 1) - 1, steps - 1
    start = peak / _at_least_1("start_factor", start_factor)
    final = start / _at_least_1("final_factor", final_factor)

    @calm
    def schedule(steps: Any) -> Any:
        at = np.minimum(_steps(steps), last)
        down = _ease(peak, final, np.maximum(at - top, 0) / (last - top))
        return np.where(at < top, _ease(start, peak, np.minimum(at / top, 1)), down)[()] if top > 0 else down

    return schedule


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """Make `schedule` times min((s + 1) / steps, 1): a linear rise to the schedule's own value at step steps - 1.

    The schedule itself also counts from step 0, so that its end does not move.
    Raises   UsageError unless steps >= 1.
    """
    warm = check_count("steps", steps, 1)
    if not callable(schedule):
        raise ArgumentTypeError("schedule", expected="a function of the steps", found=repr(schedule))
    return calm(lambda steps: schedule(steps) * ((np.minimum(_steps(steps), warm - 1) + 1) / warm))


def plateau_scale(losses: Sequence[float], factor: float = 0.1, patience: int = 10, threshold: float = 1e-4) -> float:
    """Return the factor of the learning rate after epochs with these losses, first epoch first.

    A loss is better than the best so far if it is below (1 - threshold) times that; NaN never is. After more than
    `patience` epochs in a row without a better one, the rate is multiplied by `factor` and the count starts again.
    As PyTorch's ReduceLROnPlateau in its mode "min", "rel", without its minimum change of the rate (eps); Keras and
    optax cut the rate one epoch earlier, after `patience` epochs.
    Raises   UsageError unless 0 < factor <= 1, patience >= 0, 0 <= threshold < 1.
    """
    factor, patience = _factor(factor), check_count("patience", patience, 0)
    threshold = check_share("threshold", threshold)
    losses = check_numbers("losses", losses)
    best, bad, scale = math.inf, 0, 1.0
    for loss in losses:
        best, bad = (loss, 0) if loss < best * (1 - threshold) else (best, bad + 1)
        if bad > patience:
            scale, bad = scale * factor, 0
    return scale


OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "constant": (),
        "step": ("every", "factor"),
        "exponential": ("factor", "every"),
        "cosine": ("final",),
        "onecycle": ("warmup", "start_factor", "final_factor"),
        "plateau": ("factor", "patience", "threshold"),
    }
)
"""Options of each schedule, in the order of names.SCHEDULES. As text, all but onecycle also take `warmup`."""


def make(name: str, rate: float, steps: int | None = None, **options: Any) -> Schedule:
    """Make the schedule `name`, one of OPTIONS, with the highest rate `rate` over `steps` steps.

    step          drops to a tenth (factor) twice, after each third of the steps (every).
    exponential   falls to a hundredth (factor) over all steps (every).
    plateau       is constant; `plateau_scale` gives the factor that depends on the losses.
    Raises   UsageError for an unknown name or option, a value out of range, or a missing number of steps.
    """
    if not isinstance(name, str) or name not in OPTIONS:
        raise UsageError("unknown schedule", expected=" or ".join(OPTIONS), found=repr(name))
    unknown = [option for option in options if option not in OPTIONS[name]]
    if unknown:
        expected = " or ".join(OPTIONS[name]) or "no options"
        raise UsageError(f"unknown option of schedule {name}", expected=expected, found=repr(unknown[0]))
    if name in ("constant", "plateau"):
        plateau_scale([], **options)
        return constant(rate)
    if steps is None:
        raise UsageError(f"schedule {name} needs a number of steps", expected="an integer >= 1", found="none")
    total = check_count("steps", steps, 1)
    if name == "step":
        return step(rate, **{"every": -(-total // 3), **options})
    if name == "exponential":
        return exponential(rate, **{"every": total, "factor": 0.01, **options})
    return (cosine if name == "cosine" else one_cycle)(rate, total, **options)


# The same as text: NAME or NAME:OPTION=NUMBER,... with `every`, `patience` and `warmup` in epochs; onecycle's `warmup`
# is a fraction of all steps.


def parse_schedule(text: str) -> tuple[str, Mapping[str, float]]:
    """Return the name and the options of a schedule that is written `NAME` or `NAME:OPTION=NUMBER,...`.

    Raises   UsageError for a name that is not in OPTIONS, and for options that it does not have.
    """
    return _parse(str(text))


@functools.lru_cache
def _parse(text: str) -> tuple[str, Mapping[str, float]]:
    name, _, rest = text.partition(":")
    if name not in OPTIONS:
        raise UsageError("unknown schedule", expected=" or ".join(OPTIONS), found=repr(text))
    known = OPTIONS[name] if name == "onecycle" else ("warmup", *OPTIONS[name])
    expected = " or ".join(f"{option}=NUMBER" for option in known)
    options: dict[str, float] = {}
    for part in rest.split(",") if rest else []:
        key, _, value = part.partition("=")
        if key not in known or key in options:
            raise UsageError(f"option of schedule {name}", expected=expected, found=repr(part))
        number = decimal_number(value)
        if number is None:
            raise UsageError(f"option of schedule {name}", expected=expected, found=repr(part))
        options[key] = number
    return name, MappingProxyType(options)


def follows_length(text: str) -> bool:
    """True if the schedule that `text` describes depends on the number of epochs.

    `cosine` and `onecycle` always do, `step` and `exponential` without `every`.
    Raises   UsageError as `parse_schedule`.
    """
    name, options = parse_schedule(text)
    return name in ("cosine", "onecycle") or (name in ("step", "exponential") and "every" not in options)


def make_schedule(text: str, rate: float, epochs: int, steps_per_epoch: int, cycles: Sequence[int] = ()) -> Schedule:
    """Make the schedule that `text` describes, with the highest rate `rate`, for `epochs` epochs.

    cycles   the epochs after which the schedule starts again, with its warm-up, for the epochs up to the next of them
             or the last; only for a schedule of which `follows_length` is true.
    Raises   UsageError as `parse_schedule` and `make`, and for cycles that do not fit.
    """
    epochs, steps_per_epoch = check_count("epochs", epochs, 0), check_count("steps_per_epoch", steps_per_epoch, 1)
    bounds = (0, *check_cycles(cycles, epochs), epochs)
    if len(bounds) > 2 and not follows_length(text):
        expected, found = "a schedule that depends on the number of epochs", repr(text)
        raise UsageError("cycles have no effect", expected=expected, found=found)
    made = [_one_schedule(text, rate, end - begin, steps_per_epoch) for begin, end in itertools.pairwise(bounds)]
    if len(made) == 1:
        return made[0]

    @calm
    def schedule(steps: Any) -> Any:
        at, rates = _steps(steps), made[0](steps)
        for begin, later in zip(bounds[1:-1], made[1:], strict=True):
            first = begin * steps_per_epoch
            rates = np.where(at >= first, later(np.maximum(at - first, 0)), rates)
        return rates[()]

    return schedule


def check_cycles(cycles: Any, epochs: int) -> tuple[int, ...]:
    """Return `cycles`, as `make_schedule` takes them; UsageError unless they rise, above 0 and below `epochs`."""
    if isinstance(cycles, str) or not isinstance(cycles, Sequence):
        raise ArgumentTypeError("cycles", expected="a sequence of epochs", found=repr(cycles))
    known, epochs = tuple(check_count("cycles", each, 1) for each in cycles), check_count("epochs", epochs, 0)
    if any(later <= earlier for earlier, later in itertools.pairwise((*known, epochs))):
        expected, found = f"rising numbers below {epochs}, the epochs", ", ".join(map(str, known))
        raise UsageError("cycles out of order", expected=expected, found=found)
    return known


def _one_schedule(text: str, rate: float, epochs: int, steps_per_epoch: int) -> Schedule:
    name, parsed = parse_schedule(text)
    options, warm = _for_steps(name, parsed, steps_per_epoch)
    if name not in ("constant", "plateau") and epochs < 1:
        fix = "set `epochs`"
        raise UsageError(f"schedule {name} needs epochs", expected="an integer >= 1", found=epochs, fix=fix)
    made = make(name, rate, max(1, epochs) * steps_per_epoch, **options)
    return warm_up(made, warm) if warm else made


def make_plateau(text: str) -> Callable[[Sequence[float]], float]:
    """Make the function from the losses so far to the factor of the rate; 1 for every schedule but plateau."""
    name, parsed = parse_schedule(text)
    if name != "plateau":
        return lambda losses: 1.0
    options, _ = _for_steps(name, parsed, 1)
    plateau_scale([], **options)
    return lambda losses: plateau_scale(losses, **options)


def _for_steps(name: str, parsed: Mapping[str, float], steps_per_epoch: int) -> tuple[dict[str, Any], int]:
    """Return the options for `make`, those that count epochs in steps, and the steps of the warm-up before it."""
    options: dict[str, Any] = {**parsed}
    if "every" in options:
        options["every"] = max(1, _in_steps(check_amount("every", options["every"], above=True), steps_per_epoch))
    if "patience" in options:
        patience = options["patience"]
        options["patience"] = check_count("patience", int(patience) if patience.is_integer() else patience, 0)
    ahead = 0.0 if name == "onecycle" else check_amount("warmup", options.pop("warmup", 0.0))
    return options, _in_steps(ahead, steps_per_epoch)


def _in_steps(epochs: float, steps_per_epoch: int) -> int:
    """Return the number of steps in `epochs` epochs, or a number that fits 64 bits if there are more."""
    return round(min(epochs * steps_per_epoch, 2.0**62))


def _steps(given: Any) -> Array:
    steps = as_array("steps are not integers", given, "iu", "an integer dtype")
    if steps.size and steps.min() < 0:
        raise UsageError("step out of range", expected="0 or more", found=steps.min())
    # 8-bit steps would overflow in the arithmetic that follows.
    return np.minimum(steps, np.array(MOST, np.uint64 if steps.dtype.kind == "u" else np.int64)).astype(np.int64)


def _ease(start: float, end: float, share: Any) -> Any:
    """Return the value at `share` of half a cosine from `start` at share 0 to `end` at 1."""
    return end + (start - end) / 2 * (1 + np.cos(np.pi * share))


def _rate(rate: Any) -> float:
    return check_amount("learning_rate", rate, above=True)


def _factor(given: Any) -> float:
    factor = check_amount("factor", given, above=True)
    if factor > 1:
        raise UsageError("factor out of range", expected="more than 0 and at most 1", found=factor)
    return factor


def _at_least_1(name: str, given: Any) -> float:
    value = check_amount(name, given)
    if value < 1:
        raise UsageError(f"{name} out of range", expected="a finite number >= 1", found=value)
    return value
