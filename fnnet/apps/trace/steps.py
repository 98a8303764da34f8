"""A trace: one step of training as a sequence of equations, each with its operands and its result."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from fnnet.apps.pages.numbers import element, largest, number
from fnnet.core.differences import LIMIT
from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array, Params, array_tuple, layer_sizes
from fnnet.errors import counted

FORWARD: Final = "forward"
BACKWARD: Final = "backward"
UPDATE: Final = "update"
PARTS: Final = (FORWARD, BACKWARD, UPDATE)
"""The parts of a step of training, in their order."""


@array_tuple
class Operand(NamedTuple):
    """What stands on the right of an equation: a name and its value, an array or a number."""

    name: str
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value; () of a number."""
        return np.shape(self.value)


@array_tuple
class Difference(NamedTuple):
    """Central differences of the loss, in float64, beside a gradient.

    slopes   the differences, in the shape of the gradient; NaN where there is none to compare with.
    kinks    True where there is none because the slope jumps there.
    taken    elements whose difference was taken: all, or of a large array those with the largest gradients.
    error    the largest relative error of the gradient that the same equations have in float64.
    """

    slopes: Array
    kinks: Array
    taken: int
    error: float

    @property
    def compared(self) -> int:
        """Elements that were compared with the gradient."""
        return int(np.count_nonzero(~np.isnan(self.slopes)))

    @property
    def undecided(self) -> int:
        """Elements whose difference is lost in rounding: a sure network has gradients of next to 0."""
        return self.taken - self.compared - int(np.count_nonzero(self.kinks))

    @property
    def verdict(self) -> str:
        """What the differences show of the gradient: that it is right, WRONG, or not decided."""
        if self.error > LIMIT:
            return "WRONG"
        return "not decided" if self.undecided or not self.compared else "right"

    def text(self, place: tuple[int, ...]) -> str:
        """Return the difference of one element, or why there is none."""
        slope = float(self.slopes[place])
        return "kink" if self.kinks[place] else number(slope) if math.isfinite(slope) else "?"

    @property
    def words(self) -> str:
        """What the differences show, in a line."""
        counts = {"at kinks": int(np.count_nonzero(self.kinks)), "lost in rounding": self.undecided}
        others = "".join(f", {count:,} {what}" for what, count in counts.items() if count)
        text = f"{self.compared:,} of {self.slopes.size:,} compared{others}: {self.verdict}"
        return f"{text}; largest relative error {self.error:.1e}, limit {LIMIT:.0e}" if self.compared else text


@array_tuple
class Step(NamedTuple):
    """One equation with its numbers.

    name         of what is computed: z1, dW1, ...; W1 of the update is that after it.
    part         forward, backward or update.
    template     the equation as code, with each operand and the result in braces.
    formula      the same as mathematics.
    function     what computed the result, below `fnnet.core`.
    operands     what stands on the right.
    result       an array, read-only, or the loss, a number.
    difference   central differences, if the result is a gradient and they were taken.
    """

    name: str
    part: str
    template: str
    formula: str
    function: str
    operands: tuple[Operand, ...]
    result: Any
    difference: Difference | None = None

    @property
    def equation(self) -> str:
        """The equation as code."""
        return self.template.replace("{", "").replace("}", "")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result; () of a number."""
        return np.shape(self.result)

    def elements(self, count: int) -> tuple[list[str], dict[str, list[str]]]:
        """Return the names of the elements that count most, those that are largest or that move most, at most `count`,
        and columns of their numbers by title: before and after a step, a gradient beside its difference, or "".
        """
        array = np.asarray(self.result)
        before = next((each.value for each in self.operands if each.name == self.name), None)
        places = [place for place in largest(array if before is None else array - before, count) if array[place]]
        found = [number(array[place]) for place in places]
        columns = {"": found}
        if before is not None:
            columns = {"before": [number(before[place]) for place in places], "after": found}
        if self.difference:
            columns = {"gradient": found, "difference": [self.difference.text(place) for place in places]}
        return [element(self.name, place) for place in places], columns

    def operand(self, name: str) -> Any:
        """Return the value of the operand of this name."""
        return next(each.value for each in self.operands if each.name == name)


class Trace(NamedTuple):
    """One step of training, all that was computed in its order.

    params, grads, updated   the parameters before the step, their gradient, the parameters after it.
    loss, new_loss           of the images before and after the step.
    labels                   of the images, as numbers of classes.
    classes                  the names of the classes.
    image_shape              (height, width) of an image; None if it is not known.
    activation               the name of the activation of the hidden layers.
    optimizer, learning_rate, label_smoothing   of the step.
    """

    steps: tuple[Step, ...]
    params: Params
    grads: Params
    updated: Params
    loss: float
    new_loss: float
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None
    activation: str
    optimizer: Optimizer
    learning_rate: float
    label_smoothing: float

    def __repr__(self) -> str:
        sizes, images = "-".join(map(str, layer_sizes(self.params))), counted(len(self.labels), "image")
        return f"Trace({sizes}, {images}, {len(self.steps)} steps, loss {self.loss:.4g} -> {self.new_loss:.4g})"

    def step(self, name: str) -> Step:
        """Return the first step of this name, else KeyError."""
        for each in self.steps:
            if each.name == name:
                return each
        raise KeyError(name)
