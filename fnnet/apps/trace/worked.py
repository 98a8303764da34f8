"""An equation worked out in the numbers of one element."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from fnnet.apps.pages.numbers import element, factor, largest, number
from fnnet.apps.trace.equations import NEW_LOSS, NEW_PROBS
from fnnet.apps.trace.steps import Step
from fnnet.core.params import Array

TERMS: Final = 2
"""Terms of a sum that are written out, those that count most."""


def place_of(step: Step) -> tuple[int, ...]:
    """Return the element of the result at which an equation is worked out: the one that moves or counts most."""
    if not step.shape:
        return ()
    result = np.asarray(step.result)
    before = [each.value for each in step.operands if each.name == step.name]
    return largest(result - before[0] if before else result)[0]


def worked(step: Step) -> str:
    """Return the equation of a step in the numbers of one element; nothing for what has no such equation.

    >>> import fnnet
    >>> from fnnet.apps.trace import trace
    >>> found = trace(fnnet.init((1, 2), seed=1), [[0.0]], [1], differences=False)
    >>> worked(found.step("dlogits"))
    'dlogits[0, 0] = (0.5 - 0) / 1 = 0.5'
    """
    place = place_of(step)
    found = np.asarray(step.result)[place]
    if step.name in (NEW_PROBS, NEW_LOSS):
        return ""
    name = element(step.name, place)
    right = SUMS.get(step.function, _elementwise)(step, place)
    return f"{name} = {right} = {number(found)}" if right else f"{name} = {number(found)}"


def _elementwise(step: Step, place: tuple[int, ...]) -> str:
    """Return the right side with each array's element, and each number, in the place of its name."""
    right = re.split(":?= ", step.template, maxsplit=1)[1]

    def value(match: re.Match[str]) -> str:
        given = np.asarray(step.operand(match[1]))
        at = given[place] if given.shape else given[()]
        before, after = right[: match.start()], right[match.end() :]
        alone = not before.endswith(("* ", "- ", "-", "+ ")) and not after.startswith(("**",))
        return number(at) if alone else factor(at)

    return re.sub(r"\{([^}]+)\}", value, right).replace(" * ", "·").replace("**2", "²")


def _sum(terms: list[tuple[Any, str]], rest: str = "") -> str:
    """Return a sum of terms, each with its text: those that count most, and how many more there are."""
    counted = sorted((term for term in terms if term[0]), key=lambda term: -abs(term[0]))
    shown = [text for _, text in counted[:TERMS]]
    more = len(counted) - len(shown)
    parts = [*shown, *([f"{more} more"] if more else []), *([rest] if rest else [])]
    return " + ".join(parts)


def _products(one: Array, two: Array) -> list[tuple[Any, str]]:
    return [(a * b, f"{factor(a)}·{factor(b)}") for a, b in zip(one.tolist(), two.tolist(), strict=True)]


def _affine(step: Step, place: tuple[int, ...]) -> str:
    a, W, b = (each.value for each in step.operands)
    row, unit = place
    return _sum(_products(a[row], W[:, unit]), factor(b[unit]))


def _affine_backward(step: Step, place: tuple[int, ...]) -> str:
    values = [each.value for each in step.operands]
    if step.name.startswith("db"):
        column = values[0][:, place[0]]
        return _sum([(each, factor(each)) for each in column.tolist()]) if len(column) > 1 else ""
    if step.name.startswith("dW"):
        return _sum(_products(values[0][:, place[0]], values[1][:, place[1]]))
    return _sum(_products(values[0][place[0]], values[1][place[1]]))


def _softmax(step: Step, place: tuple[int, ...]) -> str:
    logits = step.operand("logits")[place[0]]
    shifted = np.exp(logits - logits.max())
    most = factor(logits.max())
    return f"exp({number(logits[place[1]])} - {most}) / {number(shifted.sum())}"


def _cross_entropy(step: Step, place: tuple[int, ...]) -> str:
    logits, y = step.operand("logits"), step.operand("y")
    top = logits.max(axis=1, keepdims=True)
    whole = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    first = f"{number(whole[0])} - {factor((y * logits)[0].sum())}"
    return first if len(logits) == 1 else f"(({first}) + {len(logits) - 1} more) / {len(logits)}"


def _change(step: Step, place: tuple[int, ...]) -> str:
    """Return what an element of the parameters was, by how much it moves."""
    before = np.asarray(step.operand(step.name))[place]
    moved = np.asarray(step.result)[place] - before
    return f"{number(before)} {'-' if moved < 0 else '+'} {number(abs(moved))}"


SUMS: Final[Mapping[str, Callable[[Step, tuple[int, ...]], str]]] = {
    "operations.affine": _affine,
    "operations.affine_backward": _affine_backward,
    "operations.softmax": _softmax,
    "operations.cross_entropy": _cross_entropy,
    "optimizers.Optimizer": _change,
}
"""The functions whose equations are not worked out element by element."""
