"""What each equation of a trace does, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fnnet.apps.trace.equations import NEW_LOSS, NEW_PROBS
from fnnet.apps.trace.steps import UPDATE, Step, Trace

HEADINGS: Final[Mapping[str, str]] = {
    "forward": "Forward: from the image to the loss",
    "backward": "Backward: how the loss changes with each number",
    "update": "Update: the step, and what it changes",
}
"""The heading of each part."""
SENTENCES: Final[Mapping[str, str]] = {
    "x": "The pixels as numbers from 0 to 1.",
    "numbers": "The numbers of the image.",
    "z": "Each hidden unit: all its inputs times its weights, and its bias.",
    "logits": "The score of each class: its inputs times its weights, and its bias.",
    "a": "The activation bends each sum; without it all layers together would be one affine map.",
    "relu": "Each unit passes on what is above 0; those below are off for this image.",
    "probs": "Scores become probabilities, which sum to 1.",
    "loss": "The negative logarithm of the label's probability, in nats: 0 if the network is sure and right. "
    "y is 1 at the label and 0 elsewhere.",
    "smoothed": "Cross-entropy in nats. y is the smoothed target: most of it at the label, the rest spread evenly.",
    "dlogits": "How the loss changes with each score: the probability, less the target.",
    "dW": "The gradient at each weight: its input times the gradient of its unit.",
    "db": "The gradient at each bias, one number per unit: its input is 1.",
    "da": "The gradient goes back through the same weights.",
    "dz": "The gradient goes back through the activation: times its slope.",
    "relu_backward": "Units that are on pass the gradient back; where z is 0 or less it is 0.",
    "v": "The velocity: this gradient and a part of those before; before the first step it is 0.",
    "m": "The mean of the gradients so far, older ones counting less; before the first step it is 0.",
    "s": "The mean of the squares of the gradients so far; before the first step it is 0.",
    "W": "Each weight moves against its gradient.",
    "b": "Each bias moves against its gradient.",
    NEW_PROBS: "What the network makes of the same image with the new weights.",
    NEW_LOSS: "The loss of the same image with the new weights.",
    "rose": "The loss of the same image with the new weights. It rose: the step was too long for this image; a smaller "
    "learning rate follows the gradient, which is right next to the old weights only.",
}
"""A sentence for each kind of equation; where several fit, the more special one is taken."""


def sentence(step: Step, trace: Trace) -> str:
    """Return what the equation of a step of `trace` does.

    >>> import fnnet
    >>> from fnnet.apps.trace import trace
    >>> found = trace(fnnet.init((1, 2), seed=1), [[0.5]], [1], differences=False)
    >>> sentence(found.step("db1"), found)
    'The gradient at each bias, one number per unit: its input is 1.'
    """
    if step.name == NEW_LOSS and trace.new_loss > trace.loss:
        return SENTENCES["rose"]
    return SENTENCES[_kind(step)]


def _kind(step: Step) -> str:
    if step.function in ("operations.relu", "operations.relu_backward"):
        return step.function.removeprefix("operations.")
    if step.name == "x" and step.operands[0].name == "numbers":
        return "numbers"
    if step.name == "loss" and _is_smoothed(step):
        return "smoothed"
    if step.name in SENTENCES:
        return step.name
    kind = re.sub(r"\d+$", "", step.name)
    return kind[0] if step.part == UPDATE else kind


def _is_smoothed(step: Step) -> bool:
    return bool(((step.operand("y") > 0) & (step.operand("y") < 1)).any())
