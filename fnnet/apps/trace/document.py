"""A trace as values that JSON has."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fnnet.apps.pages.numbers import largest
from fnnet.apps.trace.steps import Difference, Operand, Step, Trace
from fnnet.core.params import layer_sizes

WHOLE: Final = 10_000
"""Elements of an array that is written whole: all of a 784-10-10 network."""
SOME: Final = 6
"""Elements that are listed, largest first."""


def document_of(trace: Trace) -> dict[str, Any]:
    """Return a trace as a dict: what it is of, each step with its numbers, the parameters before it.

    Arrays of more than WHOLE elements are null; their largest elements are listed.

    >>> import fnnet
    >>> from fnnet.apps.trace import trace
    >>> found = document_of(trace(fnnet.init((4, 2)), [[1.0, 0.5, 0.0, 0.5]], [1]))
    >>> found["sizes"], found["steps"][1]["equation"], found["steps"][4]["difference"]["verdict"]
    ([4, 2], 'logits = x @ W1 + b1', 'right')
    """
    layers = enumerate(trace.params.layers, 1)
    return {
        "sizes": list(layer_sizes(trace.params)),
        "activation": trace.activation,
        "optimizer": trace.optimizer.name,
        "figures": dict(trace.optimizer.figures),
        "learning_rate": trace.learning_rate,
        "label_smoothing": trace.label_smoothing,
        "labels": [trace.classes[label] for label in trace.labels],
        "loss": trace.loss,
        "new_loss": trace.new_loss,
        "parameters": {f"{name}{at}": _whole(array) for at, layer in layers for name, array in layer._asdict().items()},
        "steps": [_step(each) for each in trace.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    result = np.asarray(step.result)
    about = {"name": step.name, "part": step.part, "equation": step.equation, "function": step.function}
    found = {**about, "operands": [_operand(each) for each in step.operands], "shape": list(step.shape)}
    if not step.shape:
        return {**found, "result": result.item(), "largest": [], "difference": None}
    some = [{"at": list(place), "value": result[place].item()} for place in largest(result, SOME)]
    return {**found, "result": _whole(result), "largest": some, "difference": _difference(step.difference)}


def _operand(operand: Operand) -> dict[str, Any]:
    value = None if operand.shape else operand.value
    return {"name": operand.name, "shape": list(operand.shape), "value": value}


def _difference(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    counts = {"taken": difference.taken, "compared": difference.compared, "kinks": int(difference.kinks.sum())}
    about = {**counts, "largest_relative_error": difference.error, "verdict": difference.verdict}
    return {**about, "slopes": _whole(difference.slopes)}


def _whole(array: Any) -> Any:
    return np.asarray(array).tolist() if np.size(array) <= WHOLE else None
