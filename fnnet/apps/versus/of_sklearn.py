"""The side of scikit-learn: `MLPClassifier.partial_fit` on each batch, and what its `_backprop` computes there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, Final

import numpy as np

from fnnet.apps.conversions import to_sklearn
from fnnet.apps.versus.meanings import (
    Setup,
    Trait,
    Translation,
    corrected_epsilon,
    decay_words,
    epsilon_of,
    momentum_words,
    velocity,
)
from fnnet.apps.versus.steps import GRADIENT, UPDATE, Arrays, Batch, named
from fnnet.core.params import Layer, Params
from fnnet.core.state import Model
from fnnet.errors import FnnetError

ADAM: Final = "adam"


class Peer:
    """An MLPClassifier with the weights of a setup, trained batch by batch.

    decays     whether its gradients hold weight decay.
    reported   what it only reports: its loss takes probabilities below 2.2e-16 for that, its gradient does not.
    """

    decays, reported = True, ("loss",)

    def __init__(self, setup: Setup) -> None:
        self.setup, self.steps, self.seen = setup, 0, Arrays()
        params, plan = setup.params, setup.plan
        classes = params.layers[-1].b.size
        activation = plan.activation if len(params.layers) > 1 else "relu"
        model = Model(params, activation, image_shape=(1, len(params.layers[0].W)))
        self.made = to_sklearn(model, classes=range(classes))
        is_adam = plan.optimizer == ADAM
        options: dict[str, Any] = {"solver": ADAM if is_adam else "sgd", "shuffle": False}
        if setup.decay is not None:
            options["alpha"] = setup.decay
        self.translated: list[Translation] = []
        if plan.optimizer in ("momentum", "nesterov"):
            options["momentum"] = plan.momentum
        if setup.class_weights is not None and "sample_weight" not in signature(self.made.partial_fit).parameters:
            fix = "pip install -U scikit-learn"
            raise FnnetError("has no weights of rows", where="MLPClassifier", expected="version 1.7 or later", fix=fix)
        if not setup.by_name:
            self._translate(options)
        self.made.set_params(**options)
        self._watch()

    def _translate(self, options: dict[str, Any]) -> None:
        optimizer = self.setup.plan.optimizer
        if optimizer == ADAM:
            self.translated.append(Translation("optimizer", "epsilon * sqrt(1 - beta_2^t) at step t"))
        elif optimizer == "sgd":
            options["momentum"] = 0.0
            self.translated.append(Translation("optimizer", "solver sgd, momentum=0, which is 0.9 by default"))
        else:
            options["nesterovs_momentum"] = optimizer == "nesterov"
            given = f"solver sgd, nesterovs_momentum={optimizer == 'nesterov'}"
            self.translated.append(Translation("optimizer", given))
        self.translated.append(Translation("weight_decay", "alpha=0, which is 0.0001 by default"))

    def _watch(self) -> None:
        """Keep what `_backprop` computes."""
        computing = self.made._backprop

        def watched(*given: Any) -> Any:
            found = computing(*given)
            loss, dW, db = found
            activations, deltas, weights = *given[-4:-2], given[2]  # weights are an argument from version 1.7 on
            n = len(given[0]) if weights is None or weights is activations else weights.sum()
            self.seen = {f"a{number}": np.array(a) for number, a in enumerate(activations[1:-1], 1)}
            self.seen |= {f"dz{number}": delta / n for number, delta in enumerate(deltas, 1)}
            penalty = self.made.alpha / 2 * sum(float((W * W).sum()) for W in self.made.coefs_) / n
            self.seen |= {"probs": np.array(activations[-1]), "loss": np.array(loss - penalty)}
            self.seen |= named(Params(tuple(Layer(np.array(W), np.array(b)) for W, b in zip(dW, db, strict=True))), "d")
            return found

        self.made._backprop = watched

    def step(self, batch: Batch) -> Arrays:
        """Make a step, and return what it computes."""
        self.steps += 1
        at: dict[str, float] = {"learning_rate_init": batch.rate}
        if self.setup.plan.optimizer == ADAM and not self.setup.by_name:
            at["epsilon"] = corrected_epsilon(self.setup, self.steps)
        self.made.set_params(**at, batch_size=len(batch.x))
        optimizer = getattr(self.made, "_optimizer", None)  # made in the first step
        if optimizer is not None:
            optimizer.learning_rate = batch.rate
            for name, value in at.items():
                setattr(optimizer, name, value)
        weights = {} if batch.weights is None else {"sample_weight": batch.weights}
        self.made.partial_fit(batch.x, batch.labels, **weights)
        layers = zip(self.made.coefs_, self.made.intercepts_, strict=True)
        return self.seen | named(Params(tuple(Layer(W.copy(), b.copy()) for W, b in layers)))

    def traits(self) -> list[Trait]:
        """Return what both sides have in force."""
        figures, plan, there = self.setup.figures, self.setup.plan, self.made._optimizer
        theirs = decay_words(self.made.alpha, False, ", of weights alone, divided by the rows of the batch")
        found = [Trait("weight decay", decay_words(plan.weight_decay, False), theirs, (GRADIENT,))]
        if plan.optimizer == ADAM:
            ours, theirs = (f"{each['beta_1']:g} and {each['beta_2']:g}" for each in (figures, vars(there)))
            betas = Trait("betas", ours, theirs, (UPDATE,))
            return [*found, epsilon_of(self.setup, self.steps, there.epsilon), betas]
        ours = momentum_words(figures.get("beta", 0.0), plan.optimizer == "nesterov")
        found.append(Trait("momentum", ours, momentum_words(there.momentum, there.nesterov), (UPDATE,)))
        return [*found, *velocity(self.setup)]


@contextmanager
def opened(setup: Setup) -> Iterator[Peer]:
    """Make the side."""
    yield Peer(setup)
