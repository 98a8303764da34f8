"""What a sweep tries: for each name some values, or a range of numbers.

A point of a space has a coordinate for each name: the text that a choice is called, or a number of a range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from fnnet.errors import UsageError

DIGITS: Final = 4
"""Digits of a number that is drawn from a range: it can be typed again, and no result depends on more."""
LISTED: Final = 10_000
"""Points of a space that are listed at most; larger ones are taken to be endless."""
Point = Mapping[str, Any]


class Choices(NamedTuple):
    """Some values, each with the text that it is called."""

    values: tuple[Any, ...]
    names: tuple[str, ...]

    def value(self, coordinate: Any) -> Any:
        """Return the value that is called so."""
        return self.values[self.names.index(coordinate)]

    def text(self, coordinate: Any) -> str:
        """Return the coordinate as it is typed."""
        return str(coordinate)

    def ends(self) -> tuple[Any, ...]:
        """Return coordinates of which each may be refused beside others: all."""
        return self.names

    def __str__(self) -> str:
        return " ".join(name or "''" for name in self.names)


class Range(NamedTuple):
    """The numbers from `low` to `high`.

    log    whether each factor, and not each difference, is drawn as often.
    whole  whether whole numbers are drawn.
    make   makes the value of a number.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    make: Callable[[Any], Any] = lambda number: number

    def number(self, coordinate: Any) -> Any:
        """Return the number at a coordinate, with DIGITS digits."""
        if self.whole:
            return int(coordinate)
        return min(max(float(f"{coordinate:.{DIGITS}g}"), self.low), self.high)

    def value(self, coordinate: Any) -> Any:
        """Return the value that is made of the number."""
        return self.make(self.number(coordinate))

    def text(self, coordinate: Any) -> str:
        """Return the number as it is typed."""
        return f"{self.number(coordinate):.15g}"

    def ends(self) -> tuple[Any, ...]:
        """Return coordinates of which each may be refused beside others: the ends."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"


Space = Mapping[str, Choices | Range]


def choices(**values: Any) -> dict[str, Choices]:
    """Return the choices of each name, called as they are written.

    >>> choices(optimizer=["sgd", "adam"], hidden=[(), (64, 32)])["hidden"].names
    ('', '64,32')
    """
    return {name: Choices(tuple(each), tuple(map(_typed, each))) for name, each in values.items()}


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def check_space(space: Any) -> None:
    """Raise UsageError, at its name, for what cannot be tried."""
    if not isinstance(space, Mapping) or not space:
        raise UsageError("nothing to try", expected="Choices or a Range for each of some names", found=repr(space))
    for name, tried in space.items():
        if isinstance(tried, Choices):
            again = [text for text, value in zip(*tried[::-1], strict=False) if tried.values.count(value) > 1]
            if again:
                raise UsageError("tried twice", where=name, expected="each value once", found=again[-1] or "''")
            if len(tried.names) < 2 or len(tried.names) != len(tried.values):
                found = " ".join(tried.names) or "none"
                raise UsageError("nothing to choose", where=name, expected="two values or more", found=found)
        elif isinstance(tried, Range):
            _check_range(name, tried)
        else:
            expected, found = "Choices or a Range", type(tried).__name__
            raise UsageError("cannot be tried", where=name, expected=expected, found=found)


def _check_range(name: str, tried: Range) -> None:
    if not (math.isfinite(tried.low) and math.isfinite(tried.high) and tried.low < tried.high):
        raise UsageError("not a range", where=name, expected="LOW..HIGH, the lower first", found=str(tried))
    if tried.log and tried.low <= 0:
        raise UsageError("has no logarithm", where=name, expected="a lower end above 0 with :log", found=str(tried))


def count(space: Space) -> int | None:
    """Return how many points there are; None for a range of numbers that are not whole, or more than LISTED.

    >>> count({"epochs": Range(1, 5, whole=True), **choices(optimizer=["sgd", "adam"])})
    10
    """
    found = math.prod(_size(tried) for tried in space.values())
    return found if found <= LISTED else None


def _size(tried: Choices | Range) -> int:
    if isinstance(tried, Choices):
        return len(tried.names)
    return int(tried.high - tried.low) + 1 if tried.whole else LISTED + 1


def points(space: Space) -> Iterator[dict[str, Any]]:
    """Yield all points of a space that `count` counts."""
    coordinates = [
        tried.names if isinstance(tried, Choices) else range(int(tried.low), int(tried.high) + 1)
        for tried in space.values()
    ]
    for found in itertools.product(*coordinates):
        yield dict(zip(space, found, strict=True))


def corners(space: Space, most: int) -> Iterator[dict[str, Any]]:
    """Yield points by which a space can be checked: all combinations of choices and ends of ranges.

    Of more than `most`, those of any two names, beside the first of all others.
    """
    ends = {name: tried.ends() for name, tried in space.items()}
    if math.prod(map(len, ends.values())) <= most:
        for found in itertools.product(*ends.values()):
            yield dict(zip(space, found, strict=True))
        return
    first = {name: each[0] for name, each in ends.items()}
    yield first
    for one, other in itertools.combinations(space, 2):
        for pair in itertools.product(ends[one], ends[other]):
            yield first | dict(zip((one, other), pair, strict=True))


def values(space: Space, point: Point) -> dict[str, Any]:
    """Return the value of each name at a point."""
    return {name: tried.value(point[name]) for name, tried in space.items()}


def texts(space: Space, point: Point) -> dict[str, str]:
    """Return what is typed for each name at a point."""
    return {name: tried.text(point[name]) for name, tried in space.items()}
