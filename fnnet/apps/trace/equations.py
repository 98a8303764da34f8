"""The equations of one step of training in their order, as text: what is computed, of what, by which function.

Names are those of the mathematics: x, W1, b1, z1, a1, ..., logits, probs, loss, and dq for the gradient of q. In a
template each name of a value is in braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from fnnet.apps.trace.steps import BACKWARD, FORWARD, UPDATE
from fnnet.names import ACTIVATIONS

NEW: Final = "new "
"""Begins the key of a value after the step."""
NEW_PROBS: Final = "new probs"
NEW_LOSS: Final = "new loss"


class Equation(NamedTuple):
    """An equation without numbers.

    result      the key of the computed value: its name, or with "new " before it.
    template    as code, names in braces.
    function    what computes it, below `fnnet.core`.
    formula     as mathematics, where that does not follow from the template.
    """

    part: str
    result: str
    template: str
    function: str
    formula: str = ""

    @property
    def name(self) -> str:
        """The name of what is computed."""
        return self.result if self.result in (NEW_PROBS, NEW_LOSS) else self.result.removeprefix(NEW)

    @property
    def shown(self) -> str:
        """The template with names in the place of keys."""
        return re.sub(rf"\{{{NEW}(?!probs|loss)", "{", self.template)

    @property
    def operands(self) -> tuple[str, ...]:
        """The keys of the values on the right, each once."""
        right = re.split(":?= ", self.template, maxsplit=1)[1]
        return tuple(dict.fromkeys(re.findall(r"\{([^}]+)\}", right)))


VALUES: Final[Mapping[str, str]] = {
    "relu": "max({z}, 0)",
    "leaky_relu": "where({z} > 0, {z}, 0.01 * {z})",
    "elu": "where({z} > 0, {z}, exp({z}) - 1)",
    "sigmoid": "1 / (1 + exp(-{z}))",
    "linear": "{z}",
}
"""Activations whose equation is short; the others are written as functions."""
SLOPES: Final[Mapping[str, str]] = {
    "relu": "{da} * ({z} > 0)",
    "leaky_relu": "{da} * where({z} > 0, 1, 0.01)",
    "elu": "{da} * where({z} > 0, 1, exp({z}))",
    "linear": "{da}",
}
"""The same of what becomes of a gradient; the others are written as derivatives."""
MATHEMATICS: Final = (
    (r"(\{[^}]+\})\.sum\(axis=0\)", r"Σ \1"),
    (r"\* where\(([^,]+), ([^,]+), (.+)\)$", r"* (\2 where \1, else \3)"),
    (r"where\(([^,]+), ([^,]+), (.+)\)$", r"\2 where \1, else \3"),
    (r"(\{d[az]\d+\}) \* ", r"\1 ⊙ "),
    (r" [@*] ", " "),
    (r"\.T", "ᵀ"),
    (r"\*\*2", "²"),
    (r"sqrt\(", "√("),
    (r"'", "\u2032"),
    (r"-", "\u2212"),
)
"""Pattern of code -> how mathematics writes it, in this order; the last are the prime and the minus sign."""


def mathematics(template: str) -> str:
    """Return an equation of code as mathematics writes it.

    >>> mathematics("{dW1} = {x}.T @ {dz1}")
    '{dW1} = {x}ᵀ {dz1}'
    """
    for pattern, written in MATHEMATICS:
        template = re.sub(pattern, written, template)
    return template


def a_of(layer: int) -> str:
    """Return the name of what layer `layer` puts out, counted from 1: the input is that of layer 0."""
    return f"a{layer}" if layer else "x"


def z_of(layer: int, depth: int) -> str:
    """Return the name of a layer's z, of `depth` layers: those of the last are the logits."""
    return "logits" if layer == depth else f"z{layer}"


def equations(
    depth: int, activation: str, from_bytes: bool, images: int, optimizer: str, figures: Mapping[str, Any]
) -> Iterator[Equation]:
    """Yield all equations of a step in the order in which they are computed.

    depth        the number of layers with weights.
    activation   of the hidden layers.
    from_bytes   True if the images were given as bytes.
    images       how many there are: the loss is their mean.
    optimizer, figures   its name, and the figures that it was made with.
    """
    yield from _forward(depth, activation, from_bytes, images)
    yield from _backward(depth, activation)
    yield from _update(depth, optimizer, figures)


def _forward(depth: int, activation: str, from_bytes: bool, images: int) -> Iterator[Equation]:
    source = "{bytes} / 255" if from_bytes else "{numbers}"
    yield Equation(FORWARD, "x", f"{{x}} = {source}", "network.as_floats")
    for layer in range(1, depth + 1):
        a, z = a_of(layer - 1), z_of(layer, depth)
        yield Equation(FORWARD, z, f"{{{z}}} = {{{a}}} @ {{W{layer}}} + {{b{layer}}}", "operations.affine")
        if layer < depth:
            value = VALUES.get(activation, f"{activation}({{z}})").replace("{z}", f"{{{z}}}")
            yield Equation(FORWARD, f"a{layer}", f"{{a{layer}}} = {value}", _function(activation))
    softmax = "{probs} = exp({logits}) / Σ exp({logits})"
    yield Equation(FORWARD, "probs", "{probs} = softmax({logits})", "operations.softmax", softmax)
    mean, written = ("mean", "the mean of ") if images > 1 else ("", "")
    loss = f"{{loss}} = {mean}(log(sum(exp({{logits}}))) - sum({{y}} * {{logits}}))"
    formula = f"{{loss}} = {written}log Σ exp({{logits}}) - Σ {{y}} {{logits}}"
    yield Equation(FORWARD, "loss", loss if images > 1 else _bare(loss), "operations.cross_entropy", formula)


def _bare(equation: str) -> str:
    """Return an equation without the parentheses around all that is on its right."""
    return re.sub(r"= \((.*)\)$", r"= \1", equation)


def _function(activation: str, ending: str = "") -> str:
    """Return what computes an activation or, with its ending, what becomes of a gradient."""
    return f"operations.{activation}{ending}" if activation in ACTIVATIONS else "operations.Activation"


def _backward(depth: int, activation: str) -> Iterator[Equation]:
    yield Equation(BACKWARD, "dlogits", "{dlogits} = ({probs} - {y}) / {n}", "operations.cross_entropy_backward")
    for layer in reversed(range(1, depth + 1)):
        a, dz, by = a_of(layer - 1), f"d{z_of(layer, depth)}", "operations.affine_backward"
        yield Equation(BACKWARD, f"dW{layer}", f"{{dW{layer}}} = {{{a}}}.T @ {{{dz}}}", by)
        yield Equation(BACKWARD, f"db{layer}", f"{{db{layer}}} = {{{dz}}}.sum(axis=0)", by)
        if layer > 1:
            z, da, own = z_of(layer - 1, depth), f"d{a}", _function(activation, "_backward")
            yield Equation(BACKWARD, da, f"{{{da}}} = {{{dz}}} @ {{W{layer}}}.T", by)
            slope = SLOPES.get(activation, f"{{da}} * {activation}'({{z}})")
            slope = slope.replace("{da}", f"{{{da}}}").replace("{z}", f"{{{z}}}")
            yield Equation(BACKWARD, f"d{z}", f"{{d{z}}} = {slope}", own)


class Rule(NamedTuple):
    """The equations of an optimizer, for the array W, its gradient g and its moments.

    moments   letter -> the right side of its equation.
    update    the right side of that of W.
    last      True if W moves before the moments do.
    """

    moments: Mapping[str, str]
    update: str
    function: str
    last: bool = False


RULES: Final[Mapping[str, Rule]] = {
    "sgd": Rule({}, "W - {learning_rate} * g", "operations.update"),
    "momentum": Rule({"v": "{beta} * {v} + g"}, "W - {learning_rate} * {v}", "optimizers.momentum"),
    "nesterov": Rule({"v": "{beta} * {v} + g"}, "W - {learning_rate} * (g + {beta} * {v})", "optimizers.momentum"),
    "rmsprop": Rule(
        {"s": "{beta} * {s} + (1 - {beta}) * g**2"},
        "W - {learning_rate} * g / (sqrt({s}) + {epsilon})",
        "optimizers.rmsprop",
    ),
    "lion": Rule(
        {"m": "{beta_2} * {m} + (1 - {beta_2}) * g"},
        "W - {learning_rate} * sign({beta_1} * {m} + (1 - {beta_1}) * g)",
        "optimizers.lion",
        last=True,
    ),
    **dict.fromkeys(
        ("adam", "adamw"),
        Rule(
            {
                "m": "{beta_1} * {m} + (1 - {beta_1}) * g",
                "s": "{beta_2} * {s} + (1 - {beta_2}) * g**2",
            },
            "W - {learning_rate} * ({m} / (1 - {beta_1})) / (sqrt({s} / (1 - {beta_2})) + {epsilon})",
            "optimizers.adam",
        ),
    ),
}
"""The name of each optimizer -> its equations at its first step, before which all moments are 0."""
PARTLY: Final = ("clip_norm", "ema")
"""Figures of optimizers that do more than these equations."""


def rule_of(name: str, figures: Mapping[str, Any]) -> Rule | None:
    """Return the equations of an optimizer; None for those of which only the result is shown."""
    return None if any(figures.get(each) for each in PARTLY) else RULES.get(name)


def _update(depth: int, name: str, figures: Mapping[str, Any]) -> Iterator[Equation]:
    rule = rule_of(name, figures)
    for array in (f"{letter}{layer}" for layer in range(1, depth + 1) for letter in "Wb"):
        if rule is None:
            own = f"{{{array}}} := update({{{array}}}, {{d{array}}}, {{learning_rate}})"
            yield Equation(UPDATE, NEW + array, own, "optimizers.Optimizer")
        else:
            yield from _rule(rule, array, figures)
    yield Equation(UPDATE, NEW_PROBS, f"{{{NEW_PROBS}}} = softmax(network({{x}}))", "network.forward")
    loss, formula = "cross_entropy(network({x}), {y})", "loss(network({x}), {y})"
    yield Equation(UPDATE, NEW_LOSS, f"{{{NEW_LOSS}}} = {loss}", "network.loss", f"{{{NEW_LOSS}}} = {formula}")


def _rule(rule: Rule, array: str, figures: Mapping[str, Any]) -> Iterator[Equation]:
    W, g = f"{{{array}}}", f"{{d{array}}}"
    if figures.get("weight_decay"):
        if figures.get("decoupled"):
            W = f"(1 - {{learning_rate}} * {{weight_decay}}) * {W}"
        else:
            g = f"({g} + {{weight_decay}} * {W})"

    def written(right: str, key: str) -> str:
        right = re.sub(r"(?<![\w{])W(?![\w}])", lambda _: W, re.sub(r"(?<![\w{])g(?![\w}])", lambda _: g, right))
        for letter in rule.moments:
            right = right.replace(f"{{{letter}}}", f"{{{key}{letter}{array}}}")
        return right

    moments = [
        Equation(UPDATE, f"{NEW}{letter}{array}", f"{{{letter}{array}}} := {written(right, '')}", rule.function)
        for letter, right in rule.moments.items()
    ]
    right = written(rule.update, "" if rule.last else NEW)
    move = Equation(UPDATE, NEW + array, f"{{{array}}} := {right}", rule.function)
    yield from [move, *moments] if rule.last else [*moments, move]
