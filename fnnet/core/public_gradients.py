"""The public functions for losses of one's own: from their gradient at the logits to those at weights and inputs.

A loss L of the logits (n, classes) is the user's; dlogits = dL/dlogits has their shape. `fnnet.backward` is
`backpropagate` with dlogits = (P - Y) / n. `fnnet.check_gradient` compares such gradients with difference quotients.
"""

from __future__ import annotations

from typing import Any

from fnnet.core import network
from fnnet.core.check_network import check_activations, check_dlogits, check_params
from fnnet.core.checks import calm
from fnnet.core.network import Activations
from fnnet.core.params import Array, Params, freeze, freeze_params
from fnnet.core.table import NUMPY, Kernels, check_kernels


@calm
def backpropagate(params: Params, activations: Activations, dlogits: Any, *, kernels: Kernels = NUMPY) -> Params:
    """Return the gradient at every weight and bias of a loss whose gradient at the logits is `dlogits`, as Params.

    activations   what `forward` returned for these parameters.
    dlogits       dL/dlogits (n, classes), floats; the 1/n of a mean is in it.
    Raises   UsageError for arguments that do not fit.

    >>> import fnnet, numpy as np
    >>> params, targets = fnnet.init((4, 3, 2)), np.ones((5, 2))
    >>> activations = fnnet.forward(params, np.ones((5, 4)))
    >>> dlogits = 2 * (activations.logits - targets) / targets.size  # of the mean squared error
    >>> fnnet.backpropagate(params, activations, dlogits)
    Params(4-3-2, float32, 23 parameters)
    """
    check_kernels(kernels)
    params = check_params(params)
    activations = check_activations(params, activations)
    dlogits = check_dlogits(dlogits, activations.probs)
    return freeze_params(network.backpropagate(params, activations, dlogits, kernels.operations))


@calm
def input_gradient(params: Params, activations: Activations, dlogits: Any, *, kernels: Kernels = NUMPY) -> Array:
    """Return the gradient at the inputs of a loss whose gradient at the logits is `dlogits`, read-only (n, inputs).

    It is that at the inputs as floats: of bytes, at the bytes divided by 255.

    activations, dlogits   as in `backpropagate`.
    Raises   UsageError for arguments that do not fit.

    >>> import fnnet, numpy as np
    >>> params, x = fnnet.init((4, 3, 2)), np.ones((5, 4))
    >>> activations = fnnet.forward(params, x)
    >>> fnnet.input_gradient(params, activations, np.eye(2)[[0, 1, 1, 0, 1]]).shape  # of the score of each label
    (5, 4)
    """
    check_kernels(kernels)
    params = check_params(params)
    activations = check_activations(params, activations)
    dlogits = check_dlogits(dlogits, activations.probs)
    return freeze(network.input_gradient(params, activations, dlogits, kernels.operations))


@calm
def sample_gradients(params: Params, activations: Activations, dlogits: Any, *, kernels: Kernels = NUMPY) -> Params:
    """Return the gradient of each sample at every weight and bias: `W` (n, inputs, outputs), `b` (n, outputs).

    Their sum over the samples is what `backpropagate` returns. They take n times its memory.

    activations, dlogits   as in `backpropagate`.
    Raises   UsageError for arguments that do not fit.

    >>> import fnnet, numpy as np
    >>> params = fnnet.init((4, 3, 2))
    >>> grads = fnnet.sample_gradients(params, fnnet.forward(params, np.ones((5, 4))), np.ones((5, 2)))
    >>> grads[0].W.shape, grads[0].b.shape
    ((5, 4, 3), (5, 3))
    """
    check_kernels(kernels)
    params = check_params(params)
    activations = check_activations(params, activations)
    dlogits = check_dlogits(dlogits, activations.probs)
    return freeze_params(network.sample_gradients(params, activations, dlogits, kernels.operations))
