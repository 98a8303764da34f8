"""L-BFGS through SciPy, for training sets small enough that every step reads all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fnnet.core import network
from fnnet.core.check_network import as_input, check_activation, check_examples, check_finite_input, check_params
from fnnet.core.checks import check_amount, check_count, check_label_smoothing, check_labels, check_weights
from fnnet.core.flat import flatten, unflatten
from fnnet.core.operations import Activation
from fnnet.core.params import Array, Params, layer_sizes
from fnnet.core.state import Examples
from fnnet.core.table import NUMPY, Kernels, check_kernels
from fnnet.errors import DivergedError, FnnetError

GRADIENT: Final = 1e-7
"""The minimum is reached when no entry of the gradient is larger than this."""
FALL: Final = 1e-12
"""The minimum is reached when the loss falls by less than this fraction of itself in one iteration."""


def minimizer() -> Callable[..., Any]:
    """Return SciPy's `minimize`; FnnetError without SciPy, which nothing else of training needs."""
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        problem, fix = "`optimizer` lbfgs needs SciPy", "pip install 'fnnet[lbfgs]'"
        raise FnnetError(problem, expected="the library scipy", found=str(error), fix=fix) from None
    found: Callable[..., Any] = minimize
    return found


def minimise(
    params: Params,
    examples: Examples,
    *,
    iterations: int,
    activation: str | Activation = "relu",
    l2: float = 0.0,
    weights: Any = None,
    label_smoothing: float = 0.0,
    kernels: Kernels = NUMPY,
    on_iteration: Callable[[int, float, Params], None] | None = None,
) -> tuple[Params, tuple[float, ...]]:
    """Minimise mean cross-entropy + l2 / 2 * (sum of all squared parameters), starting from `params`.

    As the `weight_decay` of every optimizer here, l2 shrinks biases too; scikit-learn's alpha leaves them out.

    Limited-memory BFGS, Liu and Nocedal 1989, doi:10.1007/BF01589116, by scipy.optimize. It computes in float64, as its
    line search needs gradients more precise than float32. x and the activations of all rows are held as float64.

    iterations     the maximum number of iterations; each reads all examples once or a few times.
    weights        of the examples (n,); None for equal ones.
    on_iteration   called with the number of each iteration, from 1, and the loss and the parameters after it.
    Returns  the parameters, in the dtype of those given, and the loss after each iteration, nats.
    Raises   DivergedError at a loss or gradient that is not finite; UsageError as `forward`, and for arguments
             that are out of range; FnnetError without SciPy.
    """
    minimize = minimizer()
    iterations, l2 = check_count("iterations", iterations, 1), check_amount("l2", l2)
    params = check_params(params)
    sizes, dtype = layer_sizes(params), params.layers[0].W.dtype
    start, examples = flatten(params, np.float64), check_examples(examples)
    x = as_input(examples.x, unflatten(start, sizes))
    labels, weights = check_labels(examples.labels, (len(x), sizes[-1])), check_weights(weights, len(x))
    activation = check_activation(activation)
    check_kernels(kernels)
    label_smoothing, operations = check_label_smoothing(label_smoothing), kernels.operations
    history: list[float] = []

    def objective(vector: Array) -> tuple[float, Array]:
        at = unflatten(vector, sizes)
        with np.errstate(over="ignore", invalid="ignore"):
            activations = network.forward(at, x, activation, None, operations)
            loss = operations.cross_entropy(activations.logits, labels, weights, label_smoothing)
            grads = network.backward(at, activations, labels, weights, label_smoothing, operations)
            loss += l2 / 2 * float(np.vdot(vector, vector))
            slope = flatten(grads, np.float64) + l2 * vector
        if not (math.isfinite(loss) and np.isfinite(slope).all()):
            check_finite_input(x, at)
            place = f"iteration {len(history) + 1}"
            fix = "start from smaller weights, or scale x down"
            raise DivergedError("training diverged", place=place, expected="a finite loss", found=loss, fix=fix)
        return loss, slope

    def report(intermediate_result: Any) -> None:
        history.append(float(intermediate_result.fun))
        if on_iteration:
            on_iteration(len(history), history[-1], unflatten(intermediate_result.x, sizes, dtype))

    options = {"maxiter": iterations, "maxfun": 20 * iterations + 20, "gtol": GRADIENT, "ftol": FALL}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", callback=report, options=options)
    return unflatten(found.x, sizes, dtype), tuple(history)
