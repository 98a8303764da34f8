"""Derivatives of a function of many numbers by central differences, each with its error; kinks apart from curvature.

The five-point rule of a step w is (f(-2w) - 8 f(-w) + 8 f(w) - f(2w)) / 12w, whose error is proportional to w**4; from
those of w and w/2 follows one with an error of w**6 (Richardson 1911, doi:10.1098/rsta.1911.0009). Where they differ by
too much, w is halved until they agree, or rounding makes them differ more.

A kink is found by fourth differences divided by w: halving w leaves them as they are at a kink, divides them by 8 where
the function is smooth, and doubles them where rounding or a jump makes them. They are followed to the place where they
are largest, and there the jump must be the same at all steps: abs(x)**1.25 has none, as it falls where w is halved.

Rounding may leave values on a grid by chance, and their differences agree. So where a gradient differs, the fourth
differences of values to one side of the point, close together, tell by how much all values may be wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from fnnet.core.params import Array
from fnnet.errors import UsageError

LIMIT: Final = 1e-7
"""Of a relative error."""
FLOOR: Final = 1e-3
"""A relative error's denominator is at least this fraction of the largest derivative of the array."""
LEAST: Final = 1e-4
"""And at least this fraction of the function's size: rounding leaves 1e-12 of it where the true derivative is 0."""
TINY: Final = 1e-305
"""Stands for the size of a function that is 0: no number is divided by 0."""
COMPLEX_STEP: Final = 1e-100
COARSEST: Final = 4e-6
"""Differences whose error may be a larger fraction of the steepest slope decide nothing."""
AT_MINIMUM: Final = 1e-4
"""The same fraction where all derivatives are less than 1e-2 of the slopes a step away: rounding shows more there."""
HALVINGS: Final = 20
"""Of the step, at most, until the differences agree."""
ENOUGH: Final = 5
"""Halvings beyond the best step: what rounding does there tells what it does to the best."""
NARROWINGS: Final = 20
"""Of the step, at most, around a kink: down to a millionth of it."""
SPACINGS: Final = 0.25, 0.2236, 0.1937, 0.1581
"""Of values that show their errors, as fractions of the step: no ratio of two is that of small integers."""
FLAT: Final = 0.01
"""A kink's jump is proportional to no larger power of the step than this; that of abs(x)**p is p - 1."""


class Slopes(NamedTuple):
    """The derivative at each element, or what is known in its place, in the order of the point's elements.

    slopes      the derivatives divided by `unit`; NaN where there is none to compare with.
    tolerance   what a right derivative may differ by, divided by `unit`.
    kinks       True where a kink was found.
    unit        the largest value of the function.
    """

    slopes: Array
    tolerance: Array
    kinks: Array
    unit: float

    def errors(self, gradient: Array) -> Array:
        """Return the relative error of each element of a gradient, which is right up to LIMIT; NaN if not compared."""
        with np.errstate(over="ignore"):
            errors: Array = LIMIT * (abs(gradient / self.unit - self.slopes) / self.tolerance)
        return errors


class _Line:
    """The function along one coordinate, at distances from the point, each computed once."""

    def __init__(self, value: Callable[[float], float], middle: float) -> None:
        self._value, self._known, self.unit = value, {0.0: middle}, 1.0

    def __call__(self, distance: float) -> float:
        if distance not in self._known:
            self._known[distance] = self._value(distance)
        return self._known[distance] / self.unit

    def largest(self) -> float:
        """Return the largest value so far."""
        return max(map(abs, self._known.values()))

    def steepness(self, w: float) -> float:
        """Return the larger of the slopes to both sides, without their signs."""
        return max(abs(self(w) - self(0.0)), abs(self(0.0) - self(-w))) / w

    def slope(self, w: float) -> float:
        """Return the five-point rule of step w."""
        return (self(-2 * w) - 8 * self(-w) + 8 * self(w) - self(2 * w)) / (12 * w)

    def rounding(self, w: float, epsilon: float) -> float:
        """Return what rounding values by `epsilon` makes of the slope of step w."""
        return epsilon * max(abs(self(-2 * w)), abs(self(-w)), abs(self(w)), abs(self(2 * w))) / w

    def noise(self, w: float) -> float:
        """Return what values within 2w, to one side of the point, show of their errors: about 0 for smooth ones.

        Of both sides the one that shows less: a jump or a kink at the point does not count. Errors with a standard
        deviation of 1 make fourth differences of 8. At equal distances rounded values may lie on a line by chance; at
        those of SPACINGS they do not all.
        """
        sides = [0.0, 0.0]
        for spacing in SPACINGS:
            for number, side in enumerate((-spacing * w, spacing * w)):
                fourths = np.diff([self(place * side) for place in range(9)], 4)
                sides[number] = max(sides[number], float(abs(fourths).max()) / 8)
        return min(sides)

    def bend(self, w: float) -> float:
        """Return the fourth difference about the point, divided by w: twice the jump of the slope at a kink there."""
        return abs(self(-2 * w) - 4 * self(-w) + 6 * self(0.0) - 4 * self(w) + self(2 * w)) / w


def fitting_step(name: str, at: Array, step: float) -> float:
    """Return the power of 2 next to `step`, else UsageError if it is lost beside an element of `at`."""
    power = 2.0 ** max(-1074, min(1023, round(math.log2(step))))
    place = tuple(map(int, np.unravel_index(int(abs(at).argmax()), at.shape)))
    largest = float(abs(at[place]))
    # From there on the points lie apart as far as they should.
    least = 256 * float(np.spacing(largest)) if math.isfinite(largest) else math.inf
    if math.isinf(least):
        raise UsageError("at is not finite", place=f"{name}, element {place}", expected="finite", found=at[place])
    if not power >= least:
        raise UsageError(
            "step is lost in rounding", place=f"{name}, element {place}, which is {at[place]:g}",
            expected=f"a step of at least {least:.1e}", found=step,
            fix=f"give step={largest / 1000:.0e}, which suits elements of that size, or scale `at`",
        )  # fmt: skip
    return power


def fitting_complex_step(name: str, unit: float) -> float:
    """Return the complex step for a function as large as `unit`, else UsageError: times it, it must be a number still.

    The complex step's error is proportional to its square, 1e-14 at most.
    """
    small = COMPLEX_STEP if unit <= TINY else max(COMPLEX_STEP, 1e-306 / unit)
    if small > 1e-7:
        problem, fix = (
            "values too small for the complex step",
            "multiply the function and its gradient by a large number",
        )
        raise UsageError(problem, place=name, expected="values of at least 1e-299, or 0", found=f"{unit:.1e}", fix=fix)
    return small


def differentiate(
    value: Callable[[int, float], float],
    middle: float,
    at: Array,
    step: float,
    epsilon: Callable[[], float],
    gradient: Array,
) -> Slopes:
    """Return the derivatives of a function at `at`, and what each may be wrong by.

    value      of the function where the element of a number is moved by a distance; `middle` at `at` itself.
    at         the point, (n,).
    step       a power of 2 that is not lost beside any element.
    epsilon    the relative rounding of the function's values so far.
    gradient   what they are compared with: a derivative that differs from it by little is computed more exactly.
    Raises     UsageError for a function whose values are too small for float64.
    """

    lines = [_Line(functools.partial(value, number), middle) for number in range(len(at))]
    coarse, fine = (np.empty(at.shape) for _ in range(2))
    for each in lines:
        for distance in (-2, -1, -0.5, 0.5, 1, 2):
            each(distance * step)
    size = max(each.largest() for each in lines)
    if 0 < size < TINY:
        expected, fix = f"values of at least {TINY:g}, or 0", "multiply the function and its gradient by a large number"
        raise UsageError("values of the function are too small to differ", expected=expected, found=size, fix=fix)
    unit = max(TINY, size)
    for place, each in enumerate(lines):
        each.unit = unit
        coarse[place], fine[place] = each.slope(step), each.slope(step / 2)
    steep = np.array([each.steepness(step) for each in lines])
    steepest = float(steep.max())
    # A function rounds its argument too, and what it makes of it on the way to its value: numbers of a thousand steps.
    shaken = max(1024 * step * steepest, float((abs(at) * steep).sum()))
    rounding = 2 * (epsilon() * (1 + shaken) + 5e-324 / unit) / (step / 2)
    slopes, found, steps = (16 * fine - coarse) / 15, np.zeros(at.shape), np.full(at.shape, step / 2)
    alike = abs(fine - coarse) <= np.maximum(abs(fine), abs(coarse)) / 10
    bounds = _bounds(slopes, slopes[alike], steepest, rounding)
    kinks = np.zeros(at.shape, bool)
    for place, each in enumerate(lines):
        bound = bounds[place]
        if abs(fine[place] - coarse[place]) <= bound / 4 and each.bend(step / 2) <= bound:
            continue
        least = float(np.spacing(abs(at[place]) + 2 * step))
        kinks[place] = _has_kink(each, step, max(float(bound), 1024 * rounding), least, epsilon())
        if not kinks[place]:
            slopes[place], found[place], steps[place] = _refined(each, step, float(bound), least, steepest, epsilon())
    slopes[kinks] = np.nan
    unknown = 8 * found > _coarsest(_largest(slopes[found == 0]), steepest)
    slopes[unknown] = np.nan
    bounds = _bounds(slopes, slopes, steepest, rounding)
    tolerance = np.where(found > bounds / 4, np.maximum(bounds, 8 * found), bounds)
    with np.errstate(over="ignore"):
        given = gradient / unit
    _look_again(lines, given, slopes, tolerance, found, steps, (step, steepest, epsilon()), at)
    _doubt(lines, given, slopes, tolerance, kinks, steps, step)
    largest = _largest(slopes)
    constant = max(largest, steepest) <= 16 * rounding
    if rounding > (LIMIT * LEAST if constant else _coarsest(largest, steepest)):
        slopes[:] = np.nan
    return Slopes(slopes, tolerance, kinks, unit)


def _look_again(
    lines: list[_Line], given: Array, slopes: Array, tolerance: Array, found: Array, steps: Array,
    scales: tuple[float, float, float], at: Array,
) -> None:  # fmt: skip
    """Change `slopes`, `tolerance` and `steps` where a gradient differs by little, and rounding may be why.

    It may be chance that two differences agreed, where rounding is more than the values show. Terms that cancel in the
    values leave a rounding that may show at one element only, as what was `found` there.
    """
    step, steepest, epsilon = scales
    errors = abs(given - slopes)
    small = errors <= np.maximum(100 * tolerance, _coarsest(_largest(slopes), steepest))
    for place in np.flatnonzero((errors > tolerance) & small).tolist():
        least = float(np.spacing(abs(at[place]) + 2 * step))
        slope, error, w = _refined(lines[place], step, 0.0, least, steepest, epsilon)
        if 8 * error <= _coarsest(_largest(slopes), steepest):
            slopes[place], tolerance[place], steps[place] = slope, max(tolerance[place], 8 * error), w
        elif errors[place] <= 8 * error:
            slopes[place] = np.nan
    errors = abs(given - slopes)
    slopes[(errors > tolerance) & (errors <= 8 * found[~np.isnan(slopes)].max(initial=0.0))] = np.nan


def _doubt(
    lines: list[_Line], given: Array, slopes: Array, tolerance: Array, kinks: Array, steps: Array, widest: float
) -> None:  # fmt: skip
    """Make NaN of `slopes` that the gradient differs from by no more than the errors of the function's values explain.

    These errors are those of one function: what one element shows of them counts for all.
    """
    errors = abs(given - slopes)
    differ = errors > tolerance
    if differ.any():
        asked = np.flatnonzero(differ | (np.isnan(slopes) & ~kinks)).tolist()
        noise = 0.0
        for place in asked:
            while not (found := lines[place].noise(float(steps[place]))) and steps[place] < widest:
                steps[place] *= 2  # values that do not change within a step are not known better for that
            noise = max(noise, found)
        # Errors of 1 make one of at most 1.65 / w in the slope of the steps w and 2w.
        slopes[differ & (errors <= 8 * 1.65 * noise / steps)] = np.nan


def _bounds(slopes: Array, known: Array, steepest: float, rounding: float) -> Array:
    """Return what each slope may differ by; `known` are the slopes whose largest counts."""
    largest = _largest(known)
    big, least = max(largest, steepest), LIMIT * LEAST
    if big > 16 * rounding:  # else the function is constant as far as its values show
        least = min(least, COARSEST * big)
    bounds: Array = np.maximum(LIMIT * np.fmax(abs(slopes), FLOOR * largest), max(least, rounding))
    return bounds


def _coarsest(largest: float, steepest: float) -> float:
    """Return the error of differences that still decide, next to the largest derivative and the steepest slope."""
    return max(COARSEST * max(largest, steepest), AT_MINIMUM * steepest if largest < steepest / 100 else 0.0)


def _largest(slopes: Array) -> float:
    finite = abs(slopes[np.isfinite(slopes)])
    return float(finite.max()) if finite.size else 0.0


def _has_kink(line: _Line, step: float, bound: float, least: float, epsilon: float) -> bool:
    """Return whether the slope jumps within two steps of the point.

    The sum of the fourth differences of nine values, divided by w, is 2 to 4 times the jump: it must stay within these
    over the last four halvings of w, the last down to rounding or NARROWINGS, and it must be flat there.
    """
    w, centre, sums = step / 2, 0.0, list[float]()
    for _ in range(NARROWINGS):
        values = np.array([line(centre + number * w) for number in range(-4, 5)])
        fourths = abs(values[:-4] - 4 * values[1:-3] + 6 * values[2:-2] - 4 * values[3:-1] + values[4:])
        sums.append(float(fourths.sum()) / w)
        grows = len(sums) > 3 and sums[-1] > 3 * sums[-3] and sums[-1] > 6 * sums[-4]
        if sums[-1] <= bound or grows:
            return False
        centre += (int(fourths.argmax()) - 2) * w
        w /= 2
        if w < least or 80 * epsilon / w > sums[-1] / 4:
            break
    last = sums[-4:]
    return len(last) == 4 and max(last) <= 2.2 * min(last) and _is_flat(line, centre, 32 * w, 2 * step)


def _is_flat(line: _Line, centre: float, w: float, reach: float) -> bool:
    """Return whether the jump of the slope at the kink near `centre` is the same for w, 2w, 4w, ... within `reach`.

    The fourth difference F of w is J (2w - 3d) for a jump J at a distance d from `centre`, so F(2w) - F(w) tells J
    whatever d is. The median over all w counts, as other kinks may be near. True where there are too few to tell.
    """
    jumps = list[float]()
    while abs(centre) + 4 * w <= reach:
        near, far = (
            abs(
                line(centre - 2 * v)
                - 4 * line(centre - v)
                + 6 * line(centre)
                - 4 * line(centre + v)
                + line(centre + 2 * v)
            )
            for v in (w, 2 * w)
        )
        jumps.append(abs(far - near) / w)
        w *= 2
    if len(jumps) < 4:
        return True
    powers = np.diff(np.log2(np.maximum(jumps, TINY)))
    return bool(abs(np.median(powers)) <= FLAT)


def _refined(
    line: _Line, step: float, bound: float, least: float, steepest: float, epsilon: float
) -> tuple[float, float, float]:
    """Return the slope at the point, from the step at which the differences agree best, its error, and that step.

    They agree if those of three steps do, and the slope does not jump at the point at all steps. Where the second
    derivative jumps, halving w halves the error of the differences, and two of them may agree by chance. So an error
    is taken to be at least an eighth of the one before and of the fourth differences, at least the rounding of the
    values, and at least half of the one after it.
    """
    w, coarse, before, gap = step / 2, line.slope(step), math.nan, 0.0
    slopes, errors, bends, best = list[float](), list[float](), list[float](), 0
    for _ in range(HALVINGS):
        if w < least:
            break
        fine = line.slope(w)
        slope = (16 * fine - coarse) / 15
        bends.append(line.bend(w))
        if not math.isnan(before):
            earlier, gap = gap, max(abs(slope - before), abs(slope - fine))
            slopes.append(slope)
            errors.append(max(gap, earlier / 8, bends[-1] / 8, line.rounding(w, epsilon)))
            best = min(range(len(errors)), key=lambda number: _error(errors, number))
            if best < len(errors) - 1 and _error(errors, best) <= bound / 4 and min(bends) <= bound:
                break
            if len(errors) > best + ENOUGH and 8 * min(bends) <= COARSEST * steepest:
                break
        w, coarse, before = w / 2, fine, slope
    if not errors or min(bends) > max(bound, _coarsest(0.0, steepest) / 8):
        return math.nan, math.inf, math.ldexp(step, -2 - best)
    return slopes[best], _error(errors, best), math.ldexp(step, -2 - best)


def _error(errors: list[float], number: int) -> float:
    """Return the error of the slope of this number: rounding doubles with every one that follows."""
    return max(math.ldexp(error, -later) for later, error in enumerate(errors[number:]))
