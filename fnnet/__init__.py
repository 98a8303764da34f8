"""A small neural network that reads like its mathematics: pure functions in NumPy, compiled twins in Numba.

params = fnnet.init((784, 10, 10), seed=0)
activations = fnnet.forward(params, x)
grads = fnnet.backward(params, activations, labels)
params = fnnet.update(params, grads, learning_rate=0.1)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnnet.core.deform import Deformation, deform
    from fnnet.core.network import Activations
    from fnnet.core.optimizers import Optimizer
    from fnnet.core.params import Layer, Params
    from fnnet.core.public import backward, forward, init, loss, predict, predictor, scores, update
    from fnnet.core.public_optimizers import SGD, adam, adamw, averaged, clipped, lion, momentum, rmsprop, sgd
    from fnnet.core.state import Objective, TrainState
    from fnnet.core.table import Kernels
    from fnnet.errors import FnnetError
    from fnnet.files.model import Model, load_model, save_model
    from fnnet.kernels import load as load_kernels
    from fnnet.training.blocks import train_block
    from fnnet.training.steps import train_step

__version__ = "0.1.0"

_HOMES = {
    "FnnetError": "errors",
    "Kernels": "core.table",
    "load_kernels": "kernels:load",
    "Activations": "core.network",
    "backward": "core.public",
    "forward": "core.public",
    "loss": "core.public",
    "predict": "core.public",
    "predictor": "core.public",
    "scores": "core.public",
    "SGD": "core.public_optimizers",
    "Optimizer": "core.optimizers",
    "adam": "core.public_optimizers",
    "adamw": "core.public_optimizers",
    "averaged": "core.public_optimizers",
    "clipped": "core.public_optimizers",
    "rmsprop": "core.public_optimizers",
    "sgd": "core.public_optimizers",
    "lion": "core.public_optimizers",
    "momentum": "core.public_optimizers",
    "update": "core.public",
    "Layer": "core.params",
    "Model": "files.model",
    "Params": "core.params",
    "init": "core.public",
    "load_model": "files.model",
    "save_model": "files.model",
    "Objective": "core.state",
    "TrainState": "core.state",
    "train_block": "training.blocks",
    "train_step": "training.steps",
    "Deformation": "core.deform",
    "deform": "core.deform",
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
    "lion",
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
