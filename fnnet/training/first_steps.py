"""The first steps of a training, made again: how long they are, and which rate suits them.

They are measured where a run has gone wrong, to tell its cause; `signs` measures its end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fnnet.core import network, optimizers
from fnnet.core.optimizers import Optimizer
from fnnet.core.params import Array, Params, count_parameters, zeros
from fnnet.core.public_optimizers import unchecked
from fnnet.training.plan import Plan, make_optimizer
from fnnet.training.sample import Sample, floats_of, thinned
from fnnet.training.starting import first_params

if TYPE_CHECKING:
    from fnnet.training.session import Job

FEW: Final = 256
"""Images, at most, on which rates are tried from the start."""
RATES: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
ROOT: Final = math.sqrt(10)
"""Learning rates that are tried from the start, and by what those beside the best differ from it."""
STEPS: Final = 5
"""At each of these rates. A single step finds rates that differ by a hundred between seeds; more steps find others by a
factor of two."""
NEARLY: Final = 0.8
"""Of the largest fall of the loss: the lowest rate that reaches it is the safest for the steps behind."""
TRIAL, LEAST = 2 * 10**7, 32
"""Multiply-adds of a forward pass over the images on which they are tried, and the fewest images: there are 135 passes
forward and back."""
TINY: Final = 1e-30
"""In place of a size of 0, which nothing can be divided by."""


class Start(NamedTuple):
    """What the start of a training shows, measured where a run has gone wrong.

    moved       of each layer, how far its weights have come from their start, beside their size there.
    kept        the size of all weights at the end, beside that at the start.
    update      the size of the first update beside that of the weights, the largest of all layers.
    decay       the same without a gradient: that of weight decay alone.
    grad_norm   Euclidean norm of the first gradient.
    rate        a learning rate that suits the start: see `suitable_rate`; None if no step lowers the loss.
    """

    moved: tuple[float, ...]
    kept: float
    update: float
    decay: float
    grad_norm: float
    rate: float | None


def start_of(job: Job, sample: Sample, params: Params | None) -> Start:
    """Return what the start of a training shows, from which it came to `params`; None if it diverged."""
    plan, first = job.plan, first_params(job)
    few = thinned(sample, max(LEAST, min(FEW, TRIAL // count_parameters(job.sizes))))
    with np.errstate(all="ignore"):
        made = network.forward(first, floats_of(few, first), plan.activation)
        grads = network.backward(first, made, few.labels, few.weights, plan.label_smoothing)
        optimizer = unchecked(make_optimizer(plan))
        update = max(_sizes_of_update(first, grads, optimizer, plan.learning_rate))
        decay = max(_sizes_of_update(first, zeros(first), optimizer, plan.learning_rate)) if plan.weight_decay else 0.0
        moved = tuple(_distances(params, first)) if params else ()
        kept = _norm(params) / max(_norm(first), TINY) if params else math.inf
        rate = suitable_rate(first, few, plan)
    return Start(moved, kept, update, decay, optimizers.global_norm(grads), rate)


def suitable_rate(params: Params, sample: Sample, plan: Plan) -> float | None:
    """Return a learning rate by a few steps from `params` on all of `sample`, at each of RATES and beside the best.

    It is the lowest whose loss falls nearly as far as that of the best. The gradient is not clipped, nothing is dropped
    and no weight decays. None if the loss falls at no rate.
    """
    optimizer = unchecked(make_optimizer(plan._replace(clip_norm=0.0, weight_decay=0.0, ema=0.0)))
    x, labels, smoothing = floats_of(sample, params), sample.labels, plan.label_smoothing

    def loss(stepped: Params) -> float:
        found = network.loss(stepped, x, labels, plan.activation, sample.weights, smoothing)
        return found if math.isfinite(found) else math.inf

    before = loss(params)

    def fall(rate: float) -> float:
        stepped, state = params, optimizer.init(params)
        for _ in range(STEPS):
            made = network.forward(stepped, x, plan.activation)
            grads = network.backward(stepped, made, labels, sample.weights, smoothing)
            stepped, state = optimizer.update(stepped, grads, state, rate)
        return before - loss(stepped)

    falls = {rate: fall(rate) for rate in RATES}
    best = max(falls, key=lambda rate: falls[rate])
    falls |= {rate: fall(rate) for rate in (best / ROOT, best * ROOT)}
    most = max(falls.values())
    return min(rate for rate, found in falls.items() if found >= NEARLY * most) if most > 0 else None


def _sizes_of_update(params: Params, grads: Params, optimizer: Optimizer, rate: float) -> list[float]:
    """Return the size of an update of each layer's weights beside that of the weights, from a new optimizer state."""
    return _distances(optimizer.update(params, grads, optimizer.init(params), rate)[0], params)


def _distances(params: Params, others: Params) -> list[float]:
    """Return how far apart the weights of each layer of two networks are, beside the size of the second's."""
    pairs = zip(params.layers, others.layers, strict=True)
    return [_length(one.W - other.W) / max(_length(other.W), TINY) for one, other in pairs]


def _norm(params: Params) -> float:
    return math.hypot(*(_length(layer.W) for layer in params.layers))


def _length(array: Array) -> float:
    """Return the Euclidean norm, in float64: squares of long steps are beyond float32."""
    return float(np.linalg.norm(array.astype(np.float64)))
