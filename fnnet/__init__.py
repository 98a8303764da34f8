"""A small neural network that reads like its mathematics: pure functions in NumPy, compiled twins in Numba.

>>> import fnnet
>>> data, params = fnnet.data.load("digits"), fnnet.init((784, 10, 10), seed=0)
>>> activations = fnnet.forward(params, data.train.x)
>>> grads = fnnet.backward(params, activations, data.train.labels)
>>> params = fnnet.update(params, grads, learning_rate=0.1)
>>> fnnet.predict(params, data.test.x).shape == data.test.labels.shape
True
"""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet import core as core
    from fnnet import data as data
    from fnnet.apps.batches import BatchPredictor as BatchPredictor
    from fnnet.apps.conversions import from_keras as from_keras
    from fnnet.apps.conversions import from_sklearn as from_sklearn
    from fnnet.apps.conversions import from_torch as from_torch
    from fnnet.apps.conversions import from_tree as from_tree
    from fnnet.apps.conversions import to_keras as to_keras
    from fnnet.apps.conversions import to_sklearn as to_sklearn
    from fnnet.apps.conversions import to_torch as to_torch
    from fnnet.apps.conversions import to_tree as to_tree
    from fnnet.apps.estimator import FNNetClassifier as FNNetClassifier
    from fnnet.apps.fitting import Fitted as Fitted
    from fnnet.apps.fitting import fit as fit
    from fnnet.apps.use import Evaluated as Evaluated
    from fnnet.apps.use import evaluate as evaluate
    from fnnet.apps.use import predict as predict
    from fnnet.apps.use import probabilities as probabilities
    from fnnet.core.committee import join as join
    from fnnet.core.deform import Deformation as Deformation
    from fnnet.core.deform import deform as deform
    from fnnet.core.gradcheck import check_gradient as check_gradient
    from fnnet.core.network import Activations as Activations
    from fnnet.core.operations import Activation as Activation
    from fnnet.core.optimizers import Optimizer as Optimizer
    from fnnet.core.params import Layer as Layer
    from fnnet.core.params import Params as Params
    from fnnet.core.public import backward as backward
    from fnnet.core.public import forward as forward
    from fnnet.core.public import init as init
    from fnnet.core.public import loss as loss
    from fnnet.core.public import predictor as predictor
    from fnnet.core.public import scores as scores
    from fnnet.core.public import update as update
    from fnnet.core.public_gradients import backpropagate as backpropagate
    from fnnet.core.public_gradients import input_gradient as input_gradient
    from fnnet.core.public_gradients import sample_gradients as sample_gradients
    from fnnet.core.public_optimizers import SGD as SGD
    from fnnet.core.public_optimizers import adam as adam
    from fnnet.core.public_optimizers import adamw as adamw
    from fnnet.core.public_optimizers import averaged as averaged
    from fnnet.core.public_optimizers import clipped as clipped
    from fnnet.core.public_optimizers import lion as lion
    from fnnet.core.public_optimizers import momentum as momentum
    from fnnet.core.public_optimizers import rmsprop as rmsprop
    from fnnet.core.public_optimizers import sgd as sgd
    from fnnet.core.state import Committee as Committee
    from fnnet.core.state import EpochReport as EpochReport
    from fnnet.core.state import Model as Model
    from fnnet.core.state import Objective as Objective
    from fnnet.core.state import Preprocessing as Preprocessing
    from fnnet.core.state import TrainState as TrainState
    from fnnet.core.table import Kernels as Kernels
    from fnnet.errors import FnnetError as FnnetError
    from fnnet.files.model import load_model as load_model
    from fnnet.files.model import save_model as save_model
    from fnnet.kernels import load as _load
    from fnnet.training.blocks import train_block as train_block
    from fnnet.training.many import train_many as train_many
    from fnnet.training.steps import train_step as train_step

    load_kernels = _load

__version__ = "0.1.0"

_PACKAGES = ("core", "data")
_HOMES = {
    "Activation": "core.operations",
    "Activations": "core.network",
    "BatchPredictor": "apps.batches",
    "Committee": "core.state",
    "Deformation": "core.deform",
    "EpochReport": "core.state",
    "Evaluated": "apps.use",
    "FNNetClassifier": "apps.estimator",
    "Fitted": "apps.fitting",
    "FnnetError": "errors",
    "Kernels": "core.table",
    "Layer": "core.params",
    "Model": "core.state",
    "Objective": "core.state",
    "Optimizer": "core.optimizers",
    "Params": "core.params",
    "Preprocessing": "core.state",
    "SGD": "core.public_optimizers",
    "TrainState": "core.state",
    "adam": "core.public_optimizers",
    "adamw": "core.public_optimizers",
    "averaged": "core.public_optimizers",
    "backpropagate": "core.public_gradients",
    "backward": "core.public",
    "check_gradient": "core.gradcheck",
    "clipped": "core.public_optimizers",
    "deform": "core.deform",
    "evaluate": "apps.use",
    "fit": "apps.fitting",
    "forward": "core.public",
    "from_keras": "apps.conversions",
    "from_sklearn": "apps.conversions",
    "from_torch": "apps.conversions",
    "from_tree": "apps.conversions",
    "init": "core.public",
    "input_gradient": "core.public_gradients",
    "join": "core.committee",
    "lion": "core.public_optimizers",
    "load_kernels": "kernels:load",
    "load_model": "files.model",
    "loss": "core.public",
    "momentum": "core.public_optimizers",
    "predict": "apps.use",
    "predictor": "core.public",
    "probabilities": "apps.use",
    "rmsprop": "core.public_optimizers",
    "sample_gradients": "core.public_gradients",
    "save_model": "files.model",
    "scores": "core.public",
    "sgd": "core.public_optimizers",
    "to_keras": "apps.conversions",
    "to_sklearn": "apps.conversions",
    "to_torch": "apps.conversions",
    "to_tree": "apps.conversions",
    "train_block": "training.blocks",
    "train_many": "training.many",
    "train_step": "training.steps",
    "update": "core.public",
}
"""Public name -> the module below `fnnet` that defines it, with the name it has there behind a colon if it differs."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES, packages=_PACKAGES)
