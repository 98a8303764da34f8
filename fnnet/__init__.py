"""A small neural network that reads like its mathematics: pure functions in NumPy, compiled twins in Numba.

params = fnnet.init((784, 10, 10), seed=0)
activations = fnnet.forward(params, x)
grads = fnnet.backward(params, activations, labels)
params = fnnet.update(params, grads, learning_rate=0.1)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnnet.errors import FnnetError
    from fnnet.kernels import Kernels
    from fnnet.kernels import load as load_kernels
    from fnnet.network import Activations, backward, forward, loss, predict, predictor, scores
    from fnnet.optim import SGD, Optimizer, adam, momentum, update
    from fnnet.params import Layer, Model, Params, init
    from fnnet.storage import load_model, save_model
    from fnnet.train import TrainState, train_block, train_step

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
    "Optimizer": "optim",
    "adam": "optim",
    "momentum": "optim",
    "update": "optim",
    "Layer": "params",
    "Model": "params",
    "Params": "params",
    "init": "params",
    "load_model": "storage",
    "save_model": "storage",
    "TrainState": "train",
    "train_block": "train",
    "train_step": "train",
}

__all__ = [
    "SGD",
    "Activations",
    "FnnetError",
    "Kernels",
    "Layer",
    "Model",
    "Optimizer",
    "Params",
    "TrainState",
    "adam",
    "backward",
    "forward",
    "init",
    "load_kernels",
    "load_model",
    "loss",
    "momentum",
    "predict",
    "predictor",
    "save_model",
    "scores",
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
