"""The optimizers' steps, one loop for each rule of `kernels.layout.RULES`.

A loop moves `count` parameters w along their gradient, which is `scale` g; m and s are the moments that the rule
keeps, and `constants` those of the step, in the columns of `kernels.layout`. To add a rule, write its loop, put it
into MOVES, and its name at the end of RULES of `kernels.layout` with the number of trees in its state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from numba import types
from numba.extending import intrinsic

from fnnet.kernels.layout import (
    BLEND,
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
from fnnet.kernels.native import compiled, inlined
from fnnet.kernels.native.dispatch import emit_call, emit_switch, signature_of
from fnnet.kernels.native.vector import square_root


@compiled
def _sgd(w, g, m, s, count, constants, scale):
    rate, keep, decay = constants[RATE], constants[KEEP], constants[DECAY]
    for i in range(count):
        w[i] = keep * w[i] - rate * (scale * g[i] + decay * w[i])


@compiled
def _momentum(w, g, m, s, count, constants, scale):
    rate, keep, decay, first = constants[RATE], constants[KEEP], constants[DECAY], constants[FIRST]
    for i in range(count):
        m[i] = first * m[i] + (scale * g[i] + decay * w[i])
        w[i] = keep * w[i] - rate * m[i]


@compiled
def _nesterov(w, g, m, s, count, constants, scale):
    rate, keep, decay, first = constants[RATE], constants[KEEP], constants[DECAY], constants[FIRST]
    for i in range(count):
        along = scale * g[i] + decay * w[i]
        m[i] = first * m[i] + along
        w[i] = keep * w[i] - rate * (along + first * m[i])


@compiled
def _rmsprop(w, g, m, s, count, constants, scale):
    """The only moment, of squares, is the first tree."""
    rate, keep, decay = constants[RATE], constants[KEEP], constants[DECAY]
    second, rest, least = constants[SECOND], constants[SECOND_REST], constants[LEAST]
    for i in range(count):
        along = scale * g[i] + decay * w[i]
        m[i] = second * m[i] + rest * (along * along)
        w[i] = keep * w[i] - rate * (along / (square_root(m[i]) + least))


@compiled
def _adam(w, g, m, s, count, constants, scale):
    keep, decay, step, root, least = (
        constants[KEEP], constants[DECAY], constants[STEP], constants[ROOT], constants[LEAST],
    )  # fmt: skip
    first, first_rest = constants[FIRST], constants[FIRST_REST]
    second, second_rest = constants[SECOND], constants[SECOND_REST]
    for i in range(count):
        along = scale * g[i] + decay * w[i]
        m[i] = first * m[i] + first_rest * along
        s[i] = second * s[i] + second_rest * (along * along)
        w[i] = keep * w[i] - step * m[i] / (square_root(s[i]) * root + least)


@compiled
def _lion(w, g, m, s, count, constants, scale):
    """The direction is a sign: 0 of 0, and NaN of NaN."""
    rate, keep, decay = constants[RATE], constants[KEEP], constants[DECAY]
    first, first_rest = constants[FIRST], constants[FIRST_REST]
    second, second_rest = constants[SECOND], constants[SECOND_REST]
    zero, one = w.dtype.type(0), w.dtype.type(1)
    for i in range(count):
        along = scale * g[i] + decay * w[i]
        mixed = first * m[i] + first_rest * along
        direction = one if mixed > zero else (-one if mixed < zero else (zero if mixed == zero else mixed))
        w[i] = keep * w[i] - rate * direction
        m[i] = second * m[i] + second_rest * along


MOVES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "sgd": _sgd,
        "momentum": _momentum,
        "nesterov": _nesterov,
        "rmsprop": _rmsprop,
        "adam": _adam,
        "lion": _lion,
    }
)
"""The loop of each rule of RULES, whose numbers are the positions there."""


@compiled
def _unknown(w, g, m, s, count, constants, scale):
    """Make the parameters NaN for a number that no rule has: training then stops."""
    for i in range(count):
        w[i] = math.nan


@intrinsic
def _move(typing, rule, w, g, m, s, count, constants, scale):
    """Run the loop of rule number `rule`."""
    given = (w, g, m, s, count, constants, scale)
    loops = [*(MOVES[name] for name in RULES), _unknown]
    signatures = [signature_of(typing, loop, given) for loop in loops]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        *cases, otherwise = (
            partial(emit_call, context, builder, loop, its, args[1:])
            for loop, its in zip(loops, signatures, strict=True)
        )
        emit_switch(builder, args[0], cases, otherwise)
        return context.get_dummy_value()

    return types.void(types.int64, *given), emit


@inlined
def move(rule, params, at, g, count, constants, scale):
    """Move `count` parameters from `at` on by rule number `rule`; then their average, where one is kept.

    Inlined: called some dozen parameters at a time, two calls in place of one took 3% of training on dense images.
    """
    p, first_moment, second_moment, _, e = params
    w, end = p[at : at + count], at + count
    _move(rule, w, g, first_moment[at:end], second_moment[at:end], count, constants, scale)
    if e.size:
        blend, average = constants[BLEND], e[at:end]
        for i in range(count):
            average[i] += blend * (w[i] - average[i])
