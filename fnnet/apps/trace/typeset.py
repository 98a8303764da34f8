"""Equations of a trace as HTML: names as mathematics writes them, the shape or the value of each beneath it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

import numpy as np

from fnnet.apps.pages.numbers import TIMES, number, signed
from fnnet.apps.trace.steps import Step

GREEK: Final[Mapping[str, str]] = {
    "learning_rate": "\u03b1", "weight_decay": "\u03bb", "beta": "\u03b2", "epsilon": "\u03b5",
}  # fmt: skip
"""Names of figures -> their letters."""
TRANSPOSED: Final = "\u1d40"


def name_of(name: str) -> str:
    """Return a name as HTML: a letter in italics with its index below, a word upright.

    >>> name_of("dW1"), name_of("probs")
    ('<i>dW</i><sub>1</sub>', 'probs')
    """
    letters = re.sub(r"_?\d*$", "", name)
    index = re.sub(r"\D", "", name)
    below = f"<sub>{index}</sub>" if index else ""
    if letters in GREEK:
        return f"<i>{GREEK[letters]}</i>{below}"
    if moment := re.fullmatch("([vms])([Wb])", letters):
        return f"<i>{moment[1]}</i><sub><i>{moment[2]}</i>{index}</sub>"
    if re.fullmatch("d?[A-Za-z]", letters):
        return f"<i>{letters}</i>{below}"
    return "<i>d</i>logits" if letters == "dlogits" else f"{escape(letters)}{below}"


def size_text(value: Any) -> str:
    """Return what stands beneath a name: the shape of an array, or a number itself.

    >>> size_text(np.zeros(10)), size_text(0.05)
    ('10', '0.05')
    """
    shape = np.shape(value)
    return TIMES.join(map(str, shape)) if shape else signed(number(value))


def equation(step: Step) -> str:
    """Return the equation of a step as HTML, to be read by people who see it: `step.equation` is its text."""
    known: dict[str, Any] = {each.name: each.value for each in step.operands}
    known[step.name] = step.result  # of the shape that it had before, if the equation replaces it
    typeset = []
    for part in filter(None, re.split(rf"(\{{[^}}]+\}}{TRANSPOSED}?)", step.formula)):
        if not part.startswith("{"):
            typeset.append(f'<span class="op">{escape(part)}</span>')
            continue
        name, _, end = part[1:].partition("}")
        written = name_of(name) + "<sup>T</sup>" * bool(end)
        below = f"<small>{size_text(known[name])}</small>" if name in known else ""
        typeset.append(f'<span class="term"><b>{written}</b>{below}</span>')
    return "".join(typeset)
