"""The side of Keras: `Dense` layers, its own activations, losses and optimizers, and the gradients of its backend.

Keras computes much of float64 in float32: on JAX tanh, with PyTorch each product of matrices. By one of its tables the
type of a result has 32 bits unless TensorFlow computes it; here that is lifted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from fnnet.apps.versus.meanings import (
    DECOUPLED,
    Setup,
    Trait,
    Translation,
    corrected_epsilon,
    decay_words,
    epsilon_of,
    momentum_words,
    velocity,
)
from fnnet.apps.versus.of_torch import one_thread
from fnnet.apps.versus.steps import ACTIVATION, LOSS, UPDATE, Arrays, Batch, named
from fnnet.core.operations import LEAKY_SLOPE
from fnnet.core.params import Layer, Params
from fnnet.errors import FnnetError

CLASSES: Final = {
    "sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW",
    "lion": "Lion",
}  # fmt: skip
BACKENDS: Final = ("jax", "torch")
KNOWN: Final = "KERAS_BACKEND"
"""The variable that names Keras's backend."""
THEIR_SLOPE: Final = 0.2
"""Of leaky_relu, Keras's default."""


class Peer:
    """Dense layers with the weights of a setup, and an optimizer of Keras.

    decays     whether its gradients hold weight decay: that of a penalty.
    reported   what it only reports.
    """

    reported = ()

    def __init__(self, setup: Setup, keras: Any) -> None:
        self.keras, self.setup, self.steps = keras, setup, 0
        plan, layers = setup.plan, setup.params.layers
        self.decays = bool(plan.weight_decay) and plan.optimizer not in DECOUPLED and not setup.by_name
        self.dense = [keras.layers.Dense(len(b), dtype="float64", **self._penalties()) for _, b in layers]
        for dense, (W, b) in zip(self.dense, layers, strict=True):
            dense.build((None, len(W)))
            dense.set_weights([np.array(W), np.array(b)])
        self.variables = [each for dense in self.dense for each in (dense.kernel, dense.bias)]
        self.slope = THEIR_SLOPE if setup.by_name else LEAKY_SLOPE
        self.optimizer = getattr(keras.optimizers, CLASSES[plan.optimizer])(plan.learning_rate, **self._options())
        self.optimizer.build(self.variables)
        self.translated = [] if setup.by_name else [*self._translated()]
        if plan.dropout and setup.by_name:
            self.seeds = keras.random.SeedGenerator(setup.seed % 2**31)
        if keras.backend.backend() == "torch":
            self.gradients = self._by_torch
            return
        jax = import_module("jax")
        gradient = jax.value_and_grad(self._loss, (0, 1), has_aux=True)
        # What draws changes the state of a generator, and is not compiled.
        self.gradient = gradient if plan.dropout and setup.by_name else jax.jit(gradient)
        self.gradients = self._by_jax

    def _penalties(self) -> dict[str, Any]:
        """Return the arguments of a layer by which its weights and biases decay."""
        if not self.decays:
            return {}
        make = self.keras.regularizers.L2
        return {name: make(self.setup.plan.weight_decay / 2) for name in ("kernel_regularizer", "bias_regularizer")}

    def _options(self) -> dict[str, Any]:
        setup, plan, figures, options = self.setup, self.setup.plan, self.setup.figures, dict[str, Any]()
        if plan.optimizer in ("momentum", "nesterov"):
            options |= {"momentum": figures["beta"], "nesterov": plan.optimizer == "nesterov"}
        if plan.clip_norm:
            options["clipnorm" if setup.by_name else "global_clipnorm"] = plan.clip_norm
        if setup.decay is not None and not self.decays:
            options["weight_decay"] = setup.decay
        if "beta_1" in figures and not setup.by_name:
            options |= {"beta_1": figures["beta_1"], "beta_2": figures["beta_2"]}
        return options

    def _translated(self) -> Iterator[Translation]:
        plan = self.setup.plan
        if plan.optimizer in ("adam", "adamw"):
            yield Translation("optimizer", "epsilon * sqrt(1 - beta_2^t) at step t")
        if self.decays:
            yield Translation("weight_decay", "a penalty L2(weight decay / 2) of weights and biases")
        if plan.clip_norm:
            yield Translation("clip_norm", "global_clipnorm: clipnorm is for each array by itself")
        if plan.activation == "leaky_relu":
            yield Translation("activation", f"negative_slope={LEAKY_SLOPE:g}, which is {THEIR_SLOPE:g} by default")
        if plan.dropout:
            yield Translation("dropout", "fnnet's masks in place of keras.layers.Dropout's own draws")
        if self.setup.class_weights is not None:
            yield Translation("class_weights", "sample_weight, reduction mean_with_sample_weight")

    def step(self, batch: Batch) -> Arrays:
        """Make a step, and return what it computes."""
        self.steps += 1
        ops, plan = self.keras.ops, self.setup.plan
        self.optimizer.learning_rate = batch.rate
        if plan.optimizer in ("adam", "adamw") and not self.setup.by_name:
            self.optimizer.epsilon = corrected_epsilon(self.setup, self.steps)
        targets = np.eye(self.setup.params.layers[-1].b.size)[batch.labels]
        at = tuple(None if each is None else ops.convert_to_tensor(each) for each in (batch.x, targets, batch.weights))
        masks = None if batch.masks is None else [ops.convert_to_tensor(each) for each in batch.masks]
        made, dz, grads = self.gradients((*at, masks))
        arrays = {name: _numpy(ops, each) for name, each in made.items()}
        arrays["probs"] = _numpy(ops, ops.softmax(made[f"z{len(self.dense)}"]))
        arrays |= {f"dz{number}": _numpy(ops, each) for number, each in enumerate(dz, 1)} | self._named(grads, "d")
        self.optimizer.apply(grads, self.variables)
        return arrays | self._named([each.value for each in self.variables])

    def _forward(self, given: tuple[Any, ...], moved: list[Any]) -> tuple[Any, dict[str, Any]]:
        """Return the loss that is minimised, and the arrays on the way to it.

        moved   what is added to each z, by which the gradient is taken there.
        """
        keras, plan = self.keras, self.setup.plan
        (a, targets, weights, masks), made = given, dict[str, Any]()
        for number, dense in enumerate(self.dense, 1):
            z = dense(a) + moved[number - 1]
            made[f"z{number}"] = z
            if number < len(self.dense):
                slope = {"negative_slope": self.slope} if plan.activation == "leaky_relu" else {}
                a = getattr(keras.activations, plan.activation)(z, **slope)
                if masks is not None:
                    a = self._dropped(a, masks[number - 1], number)
                made[f"a{number}"] = a
        own = {} if self.setup.by_name or weights is None else {"reduction": "mean_with_sample_weight"}
        loss_of = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=plan.label_smoothing, dtype="float64", **own
        )
        made["loss"] = loss_of(targets, made[f"z{len(self.dense)}"], sample_weight=weights)
        if not self.decays:
            return made["loss"], made
        penalties = ((each.kernel_regularizer(each.kernel), each.bias_regularizer(each.bias)) for each in self.dense)
        return made["loss"] + sum(map(sum, penalties)), made

    def _dropped(self, a: Any, mask: Any, layer: int) -> Any:
        if not self.setup.by_name:
            return a * mask
        rate = self.setup.plan.dropout
        return self.keras.random.dropout(a, rate[layer - 1] if isinstance(rate, tuple) else rate, seed=self.seeds)

    def _by_jax(self, given: tuple[Any, ...]) -> tuple[dict[str, Any], list[Any], list[Any]]:
        """Return the arrays of the forward pass, and the gradients at each z and each variable."""
        values = [each.value for each in self.variables]
        moved = [self.keras.ops.zeros((len(given[0]), dense.units), "float64") for dense in self.dense]
        (_, made), (grads, dz) = self.gradient(values, moved, given)
        return made, dz, grads

    def _loss(self, values: list[Any], moved: list[Any], given: tuple[Any, ...]) -> Any:
        """Return what `_forward` does, as a function of the variables."""
        pairs = [*zip(self.variables, values, strict=True)]
        with self.keras.StatelessScope(state_mapping=pairs):
            return self._forward(given, moved)

    def _by_torch(self, given: tuple[Any, ...]) -> tuple[dict[str, Any], list[Any], list[Any]]:
        for each in self.variables:
            each.value.grad = None
        loss, made = self._forward(given, [0.0] * len(self.dense))
        zs = [made[f"z{number}"] for number in range(1, len(self.dense) + 1)]
        for z in zs:
            z.retain_grad()
        loss.backward()
        return made, [z.grad for z in zs], [each.value.grad for each in self.variables]

    def _named(self, values: list[Any], prefix: str = "") -> Arrays:
        arrays = [_numpy(self.keras.ops, each) for each in values]
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        return named(Params(tuple(Layer(W, b) for W, b in pairs)), prefix)

    def traits(self) -> list[Trait]:
        """Return what both sides have in force."""
        plan, figures, there = self.setup.plan, self.setup.figures, self.optimizer
        ours = decay_words(plan.weight_decay, plan.optimizer in DECOUPLED)
        theirs = decay_words(plan.weight_decay, False) if self.decays else decay_words(there.weight_decay, True)
        found = [Trait("weight decay", ours, theirs, (UPDATE,))]
        if plan.optimizer in ("adam", "adamw"):
            found.append(epsilon_of(self.setup, self.steps, there.epsilon))
        elif plan.optimizer == "rmsprop":
            found.append(Trait("beta (rho)", f"{figures['beta']:g}", f"{there.rho:g}", (UPDATE,)))
            found.append(Trait("epsilon", f"{figures['epsilon']:g}", f"{there.epsilon:g} (inside the root)", (UPDATE,)))
        if "beta_1" in figures:
            ours, theirs = (f"{each['beta_1']:g} and {each['beta_2']:g}" for each in (figures, vars(there)))
            found.append(Trait("betas", ours, theirs, (UPDATE,)))
        if hasattr(there, "nesterov"):
            ours = momentum_words(figures.get("beta", 0.0), plan.optimizer == "nesterov")
            found.append(Trait("momentum", ours, momentum_words(there.momentum, there.nesterov), (UPDATE,)))
        if plan.clip_norm:
            theirs = "of all gradients together" if there.global_clipnorm else "of each gradient by itself"
            found.append(Trait("norm that is clipped", "of all gradients together", theirs, (UPDATE,)))
        return [*found, *velocity(self.setup), *self._by_name()]

    def _by_name(self) -> Iterator[Trait]:
        plan = self.setup.plan
        if plan.activation == "leaky_relu":
            yield Trait("slope of leaky_relu below 0", f"{LEAKY_SLOPE:g}", f"{self.slope:g}", (ACTIVATION,))
        if plan.dropout and self.setup.by_name:
            words = "masks drawn for (seed, step, row, unit)", "drawn by Keras's generator"
            yield Trait("dropout", *words, (ACTIVATION,))
        if self.setup.class_weights is not None:
            theirs = "rows" if self.setup.by_name else "sum of the weights"
            yield Trait("divisor of a weighted mean", "sum of the weights", theirs, (LOSS,))


def _numpy(ops: Any, tensor: Any) -> Any:
    """Return a tensor as an array; Keras takes one of PyTorch by what NumPy warns of."""
    return tensor.detach().cpu().numpy().copy() if hasattr(tensor, "detach") else np.array(ops.convert_to_numpy(tensor))


def load() -> Any:
    """Return Keras on a backend whose gradients are known here: that of KERAS_BACKEND, else one that is installed.

    Raises   FnnetError where there is none.
    """
    wanted = os.environ.get(KNOWN)
    installed = next((each for each in BACKENDS if find_spec(each)), "")
    if not (wanted or installed):
        raise FnnetError("needs a backend", where="Keras", expected=" or ".join(BACKENDS), fix="pip install jax")
    os.environ[KNOWN] = wanted or installed
    try:
        import keras
    except ImportError as error:
        fix = f"set {KNOWN}={installed}" if installed else "pip install jax"
        raise FnnetError("does not load", where="Keras", found=error, fix=fix) from None
    finally:
        if not wanted:
            del os.environ[KNOWN]
    if (found := keras.backend.backend()) not in BACKENDS:
        expected, fix = " or ".join(BACKENDS), f"set {KNOWN}={installed or BACKENDS[0]}"
        raise FnnetError("is a backend with other gradients", where=KNOWN, expected=expected, found=found, fix=fix)
    return keras


@contextmanager
def opened(setup: Setup) -> Iterator[Peer]:
    """Make the side, in float64, which has to be asked for; what is set for that is as it was at the end."""
    keras = load()
    with ExitStack() as stack:
        stack.callback(keras.config.set_floatx, keras.config.floatx())
        narrow = getattr(import_module("keras.src.backend.common.dtypes"), "BIT64_TO_BIT32_DTYPE", {})
        stack.callback(narrow.update, dict(narrow))
        narrow["float64"] = "float64"
        if keras.backend.backend() == "jax":
            jax = import_module("jax")
            stack.callback(jax.config.update, "jax_enable_x64", jax.config.jax_enable_x64)
            jax.config.update("jax_enable_x64", True)
        else:
            stack.enter_context(one_thread())
        keras.config.set_floatx("float64")
        yield Peer(setup, keras)
