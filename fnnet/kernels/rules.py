"""Optimizers in compiled code: the number of an update rule, and the constants of each step as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array
from fnnet.kernels.layout import (
    BLEND,
    CLIP,
    CONSTANTS,
    DECAY,
    FIRST,
    FIRST_REST,
    KEEP,
    LEAST,
    RATE,
    ROOT,
    RULES,
    SECOND,
    SECOND_REST,
    STEP,
)

FACTORS: Final[Mapping[str, Mapping[int, str]]] = {
    "sgd": {},
    "momentum": {FIRST: "beta"},
    "nesterov": {FIRST: "beta"},
    "rmsprop": {SECOND: "beta", LEAST: "epsilon"},
    "adam": {FIRST: "beta_1", SECOND: "beta_2", LEAST: "epsilon"},
    "lion": {FIRST: "beta_1", SECOND: "beta_2"},
}
"""Rule -> column -> the optimizer's figure that stands there."""


class Rule(NamedTuple):
    """The update rule of an optimizer: its `name` in layout.RULES, its figures, and whether it clips and averages."""

    name: str
    figures: Mapping[str, Any]

    @property
    def clips(self) -> bool:
        """True if the norm of the gradient has a limit."""
        return "clip_norm" in self.figures

    @property
    def averages(self) -> bool:
        """True if the average of the parameters is kept."""
        return "ema" in self.figures

    def constants(self, learning_rates: Any, steps: Array) -> Array:
        """Return what the update takes at `steps` (n,), counted from 1 over the optimizer's life: (n, CONSTANTS)."""
        figures = self.figures
        table = np.zeros((len(steps), CONSTANTS))
        with np.errstate(all="ignore"):
            table[:, RATE] = learning_rates
            decay = figures["weight_decay"]
            table[:, KEEP] = 1 - table[:, RATE] * decay if figures["decoupled"] else 1
            table[:, DECAY] = 0 if figures["decoupled"] else decay
            for column, figure in FACTORS[self.name].items():
                table[:, column] = figures[figure]
            table[:, FIRST_REST], table[:, SECOND_REST] = 1 - table[:, FIRST], 1 - table[:, SECOND]
            if self.name == "adam":
                table[:, STEP] = table[:, RATE] / (1 - figures["beta_1"] ** steps)
                table[:, ROOT] = 1 / np.sqrt(1 - figures["beta_2"] ** steps)
            if self.clips:
                table[:, CLIP] = figures["clip_norm"]
            if self.averages:
                table[:, BLEND] = (1 - figures["ema"]) / (1 - figures["ema"] ** steps)
        return table


def rule_of(optimizer: Optimizer) -> Rule | None:
    """Return the rule of an optimizer; None for one that compiled code does not have."""
    known = optimizer.name in RULES and optimizer.name in FACTORS
    return Rule(optimizer.name, optimizer.figures) if known else None
