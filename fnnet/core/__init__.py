"""The mathematics in pure NumPy, for programs that have checked their arguments already.

These are the plain functions behind those of `fnnet`: the same names, the same results to the last bit. They check and
convert nothing: arguments that do not fit fail in NumPy or give a wrong result. Results are not read-only.
Positional arguments follow the order of `fnnet`'s; `operations=` takes the place of `kernels=`.

>>> import numpy as np
>>> from fnnet import core
>>> params, x, labels = core.init((4, 3, 2)), np.ones((5, 4), np.float32), np.array([0, 1, 1, 0, 1])
>>> grads = core.backward(params, core.forward(params, x), labels)
>>> params = core.update(params, grads, 0.1)
"""

from typing import TYPE_CHECKING

from fnnet.lazy import importers

if TYPE_CHECKING:
    from fnnet.core.network import backpropagate as backpropagate
    from fnnet.core.network import backward as backward
    from fnnet.core.network import forward as forward
    from fnnet.core.network import input_gradient as input_gradient
    from fnnet.core.network import loss as loss
    from fnnet.core.network import predict as predict
    from fnnet.core.network import sample_gradients as sample_gradients
    from fnnet.core.network import scores as scores
    from fnnet.core.optimizers import adam as adam
    from fnnet.core.optimizers import adamw as adamw
    from fnnet.core.optimizers import averaged as averaged
    from fnnet.core.optimizers import clipped as clipped
    from fnnet.core.optimizers import lion as lion
    from fnnet.core.optimizers import momentum as momentum
    from fnnet.core.optimizers import rmsprop as rmsprop
    from fnnet.core.optimizers import sgd as sgd
    from fnnet.core.optimizers import update as update
    from fnnet.core.params import init as init

_HOMES = {
    "adam": "optimizers",
    "adamw": "optimizers",
    "averaged": "optimizers",
    "backpropagate": "network",
    "backward": "network",
    "clipped": "optimizers",
    "forward": "network",
    "init": "params",
    "input_gradient": "network",
    "lion": "optimizers",
    "loss": "network",
    "momentum": "optimizers",
    "predict": "network",
    "rmsprop": "optimizers",
    "sample_gradients": "network",
    "scores": "network",
    "sgd": "optimizers",
    "update": "optimizers",
}
"""Public name -> the module that defines it."""

__all__ = list(_HOMES)
__getattr__, __dir__ = importers(__name__, _HOMES)
