"""The side of PyTorch: `nn.Linear` layers, its own activations, autograd and optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from fnnet.apps.conversions import to_torch
from fnnet.apps.versus.meanings import DECOUPLED, Setup, Trait, Translation, decay_words, momentum_words
from fnnet.apps.versus.steps import ACTIVATION, CLIPPING, LOSS, UPDATE, Arrays, Batch, named
from fnnet.core.params import Layer, Params
from fnnet.core.state import Model

CLASSES: Final = {
    "sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW",
}  # fmt: skip
SLACK: Final = 1e-6
"""What PyTorch adds to the norm that it divides by."""


class Peer:
    """An nn.Sequential with the weights of a setup, and an optimizer of torch.optim.

    decays     whether its gradients hold weight decay.
    reported   what it only reports.
    """

    decays, reported = False, ()

    def __init__(self, setup: Setup) -> None:
        import torch

        self.torch, self.setup = torch, setup
        plan, layers = setup.plan, setup.params.layers
        model = Model(setup.params, plan.activation, tuple(map(str, range(layers[-1].b.size))), (1, len(layers[0].W)))
        modules = [*to_torch(model)]
        self.linear, self.between = modules[::2], modules[1::2]
        self.parameters = [each for module in self.linear for each in (module.weight, module.bias)]
        self.optimizer = getattr(torch.optim, CLASSES[plan.optimizer])(self.parameters, **self._options())
        self.translated: list[Translation] = []
        if plan.clip_norm and not setup.by_name:
            given = "clip_grad_norm_ to norm * (1 + 1e-6 / gradient's norm), as it adds 1e-6 to what it divides by"
            self.translated.append(Translation("clip_norm", given))
        if plan.dropout and not setup.by_name:
            self.translated.append(Translation("dropout", "fnnet's masks in place of torch.nn.Dropout's own draws"))
        elif plan.dropout:
            torch.manual_seed(setup.seed % 2**63)
        if setup.class_weights is not None and not setup.by_name:
            given = "losses of the rows times their weights, divided by the sum of the weights"
            self.translated.append(Translation("class_weights", given))

    def _options(self) -> dict[str, Any]:
        setup, options = self.setup, dict[str, Any](lr=self.setup.plan.learning_rate)
        if setup.decay is not None:
            options["weight_decay"] = setup.decay
        figures = setup.figures
        if setup.plan.optimizer in ("momentum", "nesterov"):
            options |= {"momentum": figures["beta"], "nesterov": setup.plan.optimizer == "nesterov"}
        if setup.by_name:
            return options
        if "epsilon" in figures:
            options["eps"] = figures["epsilon"]
        if "beta_1" in figures:
            options["betas"] = (figures["beta_1"], figures["beta_2"])
        if setup.plan.optimizer == "rmsprop":
            options["alpha"] = figures["beta"]
        return options

    def step(self, batch: Batch) -> Arrays:
        """Make a step, and return what it computes."""
        torch, by_name = self.torch, self.setup.by_name
        a, zs, arrays = torch.tensor(batch.x), list[Any](), Arrays()
        for number, module in enumerate(self.linear, 1):
            z = module(a)
            z.retain_grad()
            zs.append(z)
            arrays[f"z{number}"] = _numpy(z)
            if number < len(self.linear):
                a = self._dropped(self.between[number - 1](z), batch, number)
                arrays[f"a{number}"] = _numpy(a)
        loss = self._loss(zs[-1], torch.tensor(batch.labels), batch)
        self.optimizer.zero_grad()
        loss.backward()
        arrays |= {"probs": _numpy(torch.softmax(zs[-1], 1)), "loss": _numpy(loss)}
        arrays |= {f"dz{number}": _numpy(z.grad) for number, z in enumerate(zs, 1)} | self._named("d", grad=True)
        if norm := self.setup.plan.clip_norm:
            if not by_name:
                all_of = float(torch.stack([each.grad.norm() for each in self.parameters]).norm())
                norm = norm * (1 + SLACK / all_of) if all_of else norm
            torch.nn.utils.clip_grad_norm_(self.parameters, norm)
            arrays |= self._named("clipped d", grad=True)
        for group in self.optimizer.param_groups:
            group["lr"] = batch.rate
        self.optimizer.step()
        return arrays | self._named("")

    def _dropped(self, a: Any, batch: Batch, layer: int) -> Any:
        """Return the activations of a layer with dropout."""
        if batch.masks is None:
            return a
        if not self.setup.by_name:
            return a * self.torch.tensor(batch.masks[layer - 1])
        rate = self.setup.plan.dropout
        return self.torch.nn.functional.dropout(a, rate[layer - 1] if isinstance(rate, tuple) else rate)

    def _loss(self, logits: Any, labels: Any, batch: Batch) -> Any:
        """Return the mean loss of a batch."""
        torch, smoothing = self.torch, self.setup.plan.label_smoothing
        if batch.weights is None:
            return torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels)
        if self.setup.by_name:
            weights = torch.tensor(self.setup.class_weights)
            return torch.nn.CrossEntropyLoss(weights, label_smoothing=smoothing)(logits, labels)
        losses = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)(logits, labels)
        weights = torch.tensor(batch.weights)
        return (losses * weights).sum() / weights.sum()

    def _named(self, prefix: str, grad: bool = False) -> Arrays:
        pairs = ([each.grad if grad else each for each in (module.weight, module.bias)] for module in self.linear)
        return named(Params(tuple(Layer(np.ascontiguousarray(_numpy(W).T), _numpy(b)) for W, b in pairs)), prefix)

    def traits(self) -> list[Trait]:
        """Return what both sides have in force."""
        setup, plan, figures = self.setup, self.setup.plan, self.setup.figures
        group, kind = self.optimizer.param_groups[0], type(self.optimizer).__name__
        decoupled = group.get("decoupled_weight_decay", kind == "AdamW")
        theirs = decay_words(group["weight_decay"], decoupled)
        found = [Trait("weight decay", decay_words(plan.weight_decay, plan.optimizer in DECOUPLED), theirs, (UPDATE,))]
        if "eps" in group:
            found.append(Trait("epsilon", f"{figures['epsilon']:g}", f"{group['eps']:g}", (UPDATE,)))
        if "betas" in group:
            ours, theirs = f"{figures['beta_1']:g} and {figures['beta_2']:g}", "{:g} and {:g}".format(*group["betas"])
            found.append(Trait("betas", ours, theirs, (UPDATE,)))
        if "alpha" in group:
            found.append(Trait("beta (alpha)", f"{figures['beta']:g}", f"{group['alpha']:g}", (UPDATE,)))
        elif "momentum" in group:
            ours = momentum_words(figures.get("beta", 0.0), plan.optimizer == "nesterov")
            found.append(Trait("momentum", ours, momentum_words(group["momentum"], group["nesterov"]), (UPDATE,)))
        if setup.by_name:
            found += self._by_name()
        return found

    def _by_name(self) -> list[Trait]:
        plan, found = self.setup.plan, list[Trait]()
        if plan.clip_norm:
            words = "the norm of the gradient", "the norm + 1e-6"
            found.append(Trait("divisor of clipping", *words, (CLIPPING,)))
        if plan.dropout:
            words = "masks drawn for (seed, step, row, unit)", "drawn by torch's generator"
            found.append(Trait("dropout", *words, (ACTIVATION,)))
        if plan.label_smoothing and self.setup.class_weights is not None:
            words = "the row's, for the whole target", "that of each class in the target"
            found.append(Trait("class weight of a smoothed label", *words, (LOSS,)))
        return found


def _numpy(tensor: Any) -> Any:
    return tensor.detach().numpy().copy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread: its threads and those of NumPy wait for one another by looking for work, which
    takes 12 times as long on two processors."""
    import torch

    known = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(known)


@contextmanager
def opened(setup: Setup) -> Iterator[Peer]:
    """Make the side."""
    with one_thread():
        yield Peer(setup)
