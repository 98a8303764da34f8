"""A small neural network that reads like its mathematics: pure functions in NumPy, compiled twins in Numba.

params = fnnet.init((784, 10, 10), seed=0)
activations = fnnet.forward(params, x)
grads = fnnet.backward(params, activations, labels)
params = fnnet.update(params, grads, learning_rate=0.1)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnnet.augment import Deformation, deform
    from fnnet.errors import FnnetError
    from fnnet.kernels import Kernels
    from fnnet.kernels import load as load_kernels
    from fnnet.network import Activations, backward, forward, loss, predict, predictor, scores
    from fnnet.optim import SGD, adam, adamw, averaged, clipped, momentum, rmsprop, sgd, update
    from fnnet.optimizer import Optimizer
    from fnnet.params import Layer, Model, Params, init
    from fnnet.steps import Objective, TrainState, train_block, train_step
    from fnnet.storage import load_model, save_model

__version__ = "0.1.0"

_HOMES = {
    "FnnetError": "errors",
    "Kernels": "kernels",
    "load_kernels": "kernels:load",
    "Activations": "network",
    "backward": "network",
    "forward": "network",
    "loss": "network",
    "predict": "network",
    "predictor": "network",
    "scores": "network",
    "SGD": "optim",
    "Optimizer": "optimizer",
    "adam": "optim",
    "adamw": "optim",
    "averaged": "optim",
    "clipped": "optim",
    "rmsprop": "optim",
    "sgd": "optim",
    "momentum": "optim",
    "update": "optim",
    "Layer": "params",
    "Model": "params",
    "Params": "params",
    "init": "params",
    "load_model": "storage",
    "save_model": "storage",
    "Objective": "steps",
    "TrainState": "steps",
    "train_block": "steps",
    "train_step": "steps",
    "Deformation": "augment",
    "deform": "augment",
}

__all__ = [
    "SGD",
    "Activations",
    "Deformation",
    "FnnetError",
    "Kernels",
    "Layer",
    "Model",
    "Objective",
    "Optimizer",
    "Params",
    "TrainState",
    "adam",
    "adamw",
    "averaged",
    "backward",
    "clipped",
    "deform",
    "forward",
    "init",
    "load_kernels",
    "load_model",
    "loss",
    "momentum",
    "predict",
    "predictor",
    "rmsprop",
    "save_model",
    "scores",
    "sgd",
    "train_block",
    "train_step",
    "update",
]


def __getattr__(name: str) -> Any:
    # Names are fetched at their first use: `fnnet --help` then need not wait for NumPy (0.25 s).
    if name not in _HOMES:
        raise AttributeError(f"module 'fnnet' has no attribute {name!r}")
    from importlib import import_module

    home, _, original = _HOMES[name].partition(":")
    value = getattr(import_module(f"fnnet.{home}"), original or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
